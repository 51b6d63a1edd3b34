"""Appendable objects and symbolic links of OSS, by oss2 and alibabacloud-oss-v2; read over S3, too."""

import concurrent.futures
import hashlib
import json
import sqlite3

import alibabacloud_oss_v2 as oss
import house as h
import oss2
import pytest
from conftest import s3_client
from kit import Browser, run
from test_oss import bucket_of, v2_client


@pytest.fixture(params=["v1", "v4"])
def bucket(shared, request):
    made = bucket_of(shared, "a-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24], request.param)
    made.create_bucket()
    return made


def refused(act):
    with pytest.raises(oss2.exceptions.OssError) as error:
        act()
    return error.value.status, error.value.code


def test_a_log_grows_at_its_end_and_nowhere_else(shared, s3, bucket, chance):
    pieces = [b"first\n", b"", chance.randbytes(200_000), b"last"]
    end, whole = 0, b""
    for piece in pieces:
        done = bucket.append_object("log", end, piece, headers={"x-oss-meta-a": "1"} if not end else None)
        whole += piece
        end = done.next_position
        assert end == len(whole)
        head = bucket.head_object("log")
        assert (head.object_type, head.content_length, head.headers["x-oss-next-append-position"]) == (
            "Appendable", end, str(end))
        assert bucket.get_object("log").read() == whole
    assert bucket.head_object("log").headers["x-oss-meta-a"] == "1"
    assert bucket.get_object("log", byte_range=(3, 9_999)).read() == whole[3:10_000]
    assert s3.get_object(Bucket=bucket.bucket_name, Key="log")["Body"].read() == whole
    for wrong in (0, end - 1, end + 1):
        with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as error:
            bucket.append_object("log", wrong, b"x")
        assert error.value.next_position == end
    assert refused(lambda: bucket.append_object("new", 5, b"x")) == (409, "PositionNotEqualToLength")
    bucket.put_object("plain", b"x")
    assert refused(lambda: bucket.append_object("plain", 1, b"x")) == (409, "ObjectNotAppendable")
    assert refused(lambda: bucket.append_object("log", -1, b"x"))[0] == 400
    assert [(o.key, o.type) for o in bucket.list_objects().object_list] == [("log", "Appendable"), ("plain", "Normal")]
    # A checksum that is wrong appends nothing; tags change nothing; a copy is an object like others.
    assert refused(lambda: bucket.append_object("log", end, b"x", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}))[0] == 400
    rule = oss2.models.TaggingRule()
    rule.add("a", "1")
    bucket.put_object_tagging("log", oss2.models.Tagging(rule))
    bucket.copy_object(bucket.bucket_name, "log", "copy")
    assert bucket.get_object("copy").read() == whole and bucket.head_object("copy").object_type == "Normal"
    end = bucket.append_object("log", end, b"more").next_position
    assert bucket.get_object("log").read() == whole + b"more"
    bucket.put_object("log", b"replaced")
    assert refused(lambda: bucket.append_object("log", 8, b"x")) == (409, "ObjectNotAppendable")


def test_of_two_who_append_at_once_one_is_told_where_it_ends_now(shared, bucket):
    bucket.append_object("log", 0, b"")

    def append(n):
        at, lost = 0, 0
        while True:
            try:
                bucket.append_object("log", at, f"{n:02}\n".encode())
                return lost
            except oss2.exceptions.PositionNotEqualToLength as error:
                at, lost = error.next_position, lost + 1

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        lost = sum(pool.map(append, range(24)))
    lines = bucket.get_object("log").read().decode().split()
    assert sorted(lines) == [f"{n:02}" for n in range(24)] and lost > 0


def test_links_are_followed_once_and_only_within_their_bucket(shared, s3, bucket):
    bucket.put_object("目标/1", b"content", headers={"x-oss-meta-a": "1"})
    bucket.put_symlink("目标/1", "link")
    assert bucket.get_symlink("link").target_key == "目标/1"
    got = bucket.get_object("link")
    assert got.read() == b"content" and got.headers["x-oss-object-type"] == "Symlink" and got.headers["x-oss-meta-a"] == "1"
    assert bucket.head_object("link").content_length == 7
    assert bucket.get_object("link", byte_range=(1, 3)).read() == b"ont"
    assert s3.get_object(Bucket=bucket.bucket_name, Key="link")["Body"].read() == b"content"
    bucket.copy_object(bucket.bucket_name, "link", "copy")
    assert bucket.get_object("copy").read() == b"content"
    assert {o.key: o.type for o in bucket.list_objects().object_list} == {
        "copy": "Normal", "link": "Symlink", "目标/1": "Normal"}
    bucket.put_symlink("link", "second")
    assert refused(lambda: bucket.get_object("second")) == (400, "InvalidTargetType")
    bucket.put_symlink("nowhere", "dangling")
    assert refused(lambda: bucket.get_object("dangling")) == (404, "SymlinkTargetNotExist")
    assert refused(lambda: bucket.get_symlink("copy"))[0] == 400
    for target in ("", "%zz", "x" * 1100):
        sent = lambda: bucket._do("PUT", bucket.bucket_name, "bad", headers={"x-oss-symlink-target": target}, params={"symlink": ""})
        assert refused(sent)[0] == 400, target
    bucket.put_object("目标/1", b"changed")
    assert bucket.get_object("link").read() == b"changed"


def test_the_new_sdk_appends_and_links(shared):
    client, bucket = v2_client(shared), "a-new-sdk"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    done = client.append_object(oss.AppendObjectRequest(bucket=bucket, key="log", position=0, body=b"one "))
    done = client.append_object(oss.AppendObjectRequest(bucket=bucket, key="log", position=done.next_position, body=b"two"))
    assert done.next_position == 7
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="log")).body.content == b"one two"
    client.put_symlink(oss.PutSymlinkRequest(bucket=bucket, key="link", symlink_target="log"))
    assert client.get_symlink(oss.GetSymlinkRequest(bucket=bucket, key="link")).target == "log"
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="link")).body.content == b"one two"


def test_who_may_read_the_link_but_not_what_it_means_reads_nothing(shared):
    from sdk import Sdk, make_user, policy
    s3, name = s3_client(shared), "a-link-rights"
    bucket = bucket_of(shared, name, "v4")
    bucket.create_bucket()
    bucket.put_object("secret/1", b"secret")
    bucket.put_symlink("secret/1", "open/link")
    own = policy("Allow", ["oss:GetObject"], f"acs:oss:*:*:{name}/open/*")
    user = s3_client(shared, key=make_user(Sdk("Ram", shared, shared.key("acme")), "linker", own={"open-only": own}))
    with pytest.raises(Exception) as error:
        user.get_object(Bucket=name, Key="open/link")
    assert "AccessDenied" in str(error.value)
    browser = Browser(shared).login_tenant(shared)
    browser.get(f"/console/data/{name}?prefix=open/").post(f"/console/data/{name}/read", key="open/link")
    assert browser.status == 400 and "secret/1" in browser.text, "not an empty download"


def test_what_was_appended_survives_and_what_was_changed_is_found(house):
    bucket = bucket_of(house, "a-kept", "v4")
    bucket.create_bucket()
    end = 0
    for n in range(5):
        end = bucket.append_object("log", end, f"line {n}\n".encode()).next_position
    bucket.put_object("locked", b"x")
    stat = bucket.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count) == (end + 1, 2)
    house.stop()
    assert json.loads(run(h.BIN, "vault", "scrub", "--data", str(house.data), "--output", "json").stdout.splitlines()[-1])
    again = h.House(house.data)
    try:
        bucket = bucket_of(again, "a-kept", "v4")
        assert bucket.get_object("log").read() == b"".join(f"line {n}\n".encode() for n in range(5))
        # Under a WORM nothing grows; parts that are exchanged are an error.
        with sqlite3.connect(again.data / "bailee.sqlite") as db:
            db.execute("UPDATE object_part SET part_number = CASE part_number WHEN 1 THEN 99 ELSE part_number END WHERE part_number = 1")
        with pytest.raises(oss2.exceptions.ServerError) as error:
            bucket.get_object("log")
        assert error.value.status == 500
        assert refused(lambda: bucket.append_object("log", end, b"x"))[0] == 500
        with sqlite3.connect(again.data / "bailee.sqlite") as db:
            db.execute("UPDATE object_part SET part_number = 1 WHERE part_number = 99")
        bucket.complete_bucket_worm(bucket.init_bucket_worm(1).worm_id)
        assert refused(lambda: bucket.append_object("log", end, b"x")) == (409, "FileImmutable")
    finally:
        again.stop()
