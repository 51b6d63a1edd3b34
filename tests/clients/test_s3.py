"""S3 by its own clients: boto3 and the AWS command line, path style, SigV4, nothing set up for us in particular."""

import hashlib
import os
import pathlib
import subprocess
import sys
import urllib.request

import botocore.exceptions
import pytest
from conftest import s3_client

import house as h

MIB = 1024 * 1024
KEYS = ["plain.txt", "a b+c.txt", "发票/十一月/1.pdf", "emoji 🐚.bin", "100%/&?#=;'\"<>.txt", "UPPER/lower", "dots/..a/...b"]


def code(error):
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def bucket(s3, request):
    name = "t-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 64 * 1024 + 1, 5 * MIB + 3])
def test_what_was_put_comes_back_whole_and_in_ranges(s3, bucket, chance, size):
    body = chance.randbytes(size)
    put = s3.put_object(Bucket=bucket, Key="o", Body=body, ContentType="text/x-test", Metadata={"note": "hello"})
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="o")
    assert got["Body"].read() == body
    assert (got["ContentLength"], got["ContentType"], got["Metadata"]) == (size, "text/x-test", {"note": "hello"})
    assert got["ETag"] == put["ETag"]
    head = s3.head_object(Bucket=bucket, Key="o")
    assert (head["ContentLength"], head["ETag"]) == (size, put["ETag"])
    for _ in range(6 if size else 0):
        first = chance.randrange(size)
        last = chance.randrange(first, size)
        part = s3.get_object(Bucket=bucket, Key="o", Range=f"bytes={first}-{last}")
        assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert part["ContentRange"] == f"bytes {first}-{last}/{size}"
        assert part["Body"].read() == body[first : last + 1]
    if size:
        tail = s3.get_object(Bucket=bucket, Key="o", Range="bytes=-7")
        assert tail["Body"].read() == body[-7:]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object(Bucket=bucket, Key="o", Range=f"bytes={size}-")
    assert code(error) == ("InvalidRange", 416)


def test_keys_of_every_script_are_listed_as_they_were_put(s3, bucket):
    for n, key in enumerate(KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=str(n).encode())
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=lambda k: k.encode())
    assert [o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]] == listed
    for n, key in enumerate(KEYS):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(n).encode(), key
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in KEYS]})
    assert sorted(d["Key"] for d in gone["Deleted"]) == sorted(KEYS) and "Errors" not in gone
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_lists_are_paged_by_marker_token_and_delimiter(s3, bucket):
    keys = [f"{folder}/{n:02}" for folder in ("a", "b", "c") for n in range(7)] + ["top"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 4}))
        assert [o["Key"] for p in pages for o in p["Contents"]] == keys
        assert all(len(p["Contents"]) <= 4 for p in pages) and len(pages) == 6
        folders = list(
            s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2})
        )
        assert [c["Prefix"] for p in folders for c in p.get("CommonPrefixes", [])] == ["a/", "b/", "c/"]
        assert [o["Key"] for p in folders for o in p.get("Contents", [])] == ["top"]
        inside = s3.get_paginator(operation).paginate(Bucket=bucket, Prefix="b/0", PaginationConfig={"PageSize": 3})
        assert [o["Key"] for p in inside for o in p["Contents"]] == [f"b/{n:02}" for n in range(7)]
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="b/06")
    assert [o["Key"] for o in after["Contents"]] == keys[14:]


def test_buckets_are_made_found_and_removed_only_when_empty(s3, bucket):
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == h.REGION
    s3.put_object(Bucket=bucket, Key="o", Body=b"x")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="o")
    s3.delete_object(Bucket=bucket, Key="o")  # what is gone already is gone
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.list_objects_v2(Bucket=bucket)
    assert code(error) == ("NoSuchBucket", 404)


def test_conditions_decide_before_anything_is_sent_or_stored(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="o", Body=b"first")["ETag"]
    refused = [
        (lambda: s3.get_object(Bucket=bucket, Key="o", IfMatch='"00000000000000000000000000000000"'), 412),
        (lambda: s3.get_object(Bucket=bucket, Key="o", IfNoneMatch=etag), 304),
        (lambda: s3.put_object(Bucket=bucket, Key="o", Body=b"second", IfNoneMatch="*"), 412),
        (lambda: s3.put_object(Bucket=bucket, Key="o", Body=b"x", IfMatch='"00000000000000000000000000000000"'), 412),
    ]
    for attempt, status in refused:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            attempt()
        assert code(error)[1] == status
    assert s3.get_object(Bucket=bucket, Key="o", IfMatch=etag)["Body"].read() == b"first"
    s3.put_object(Bucket=bucket, Key="o", Body=b"third", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="new", Body=b"x", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="o")["Body"].read() == b"third"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_that_differs_stores_nothing(s3, bucket, algorithm):
    if algorithm in ("CRC32C", "CRC64NVME"):
        # boto3 computes these only with a C library of its vendor; a wrong value needs no computing.
        wrong = {"CRC32C": "AAAAAA==", "CRC64NVME": "AAAAAAAAAAA="}[algorithm]
    else:
        s3.put_object(Bucket=bucket, Key="good", Body=b"hello", ChecksumAlgorithm=algorithm)
        assert s3.get_object(Bucket=bucket, Key="good")["Body"].read() == b"hello"
        wrong = {"CRC32": "AAAAAA==", "SHA1": "A" * 27 + "=", "SHA256": "A" * 43 + "="}[algorithm]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="bad", Body=b"hello", **{f"Checksum{algorithm}": wrong})
    assert code(error) == ("BadDigest", 400)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="bad", Body=b"hello", ContentMD5="A" * 22 + "==")
    assert code(error) == ("BadDigest", 400)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.head_object(Bucket=bucket, Key="bad")
    assert code(error)[1] == 404


@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
def test_both_checksum_modes_of_the_client_work(shared, bucket, mode):
    client = s3_client(shared, request_checksum_calculation=mode, response_checksum_validation=mode)
    body = os.urandom(MIB)
    client.put_object(Bucket=bucket, Key=mode, Body=body)
    assert client.get_object(Bucket=bucket, Key=mode)["Body"].read() == body


def test_a_presigned_address_opens_one_object_for_its_time(s3, bucket):
    s3.put_object(Bucket=bucket, Key="片 1.txt", Body=b"hello", ContentType="text/plain")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "片 1.txt"}, ExpiresIn=60)
    assert urllib.request.urlopen(address).read() == b"hello"
    for broken in (address.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), address.replace("1.txt", "2.txt")):
        assert h.request("GET", broken)[0] == 403
    upload = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "up"}, ExpiresIn=60)
    assert h.request("PUT", upload, body=b"by address")[0] == 200
    assert s3.get_object(Bucket=bucket, Key="up")["Body"].read() == b"by address"
    assert h.request("GET", upload)[0] == 403, "an address for PUT must not read"


def test_what_is_not_offered_says_so_and_changes_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"x")
    attempts = {
        "put_bucket_website": lambda: s3.put_bucket_website(
            Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}
        ),
        "put_object_grant": lambda: s3.put_object_acl(Bucket=bucket, Key="o", GrantRead='id="1"'),
        "put_object_acl": lambda: s3.put_object_acl(Bucket=bucket, Key="o", ACL="authenticated-read"),
        "put_with_acl": lambda: s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read-write"),
        "mfa_delete": lambda: s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}
        ),
    }
    for name, attempt in attempts.items():
        with pytest.raises(botocore.exceptions.ClientError) as error:
            attempt()
        assert code(error) == ("NotImplemented", 501), name
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["o"]


def test_everything_belongs_to_its_account_alone_and_says_so(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"x", ACL="private")
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="o")):
        grants = [(g["Grantee"]["Type"], g["Grantee"]["ID"], g["Permission"]) for g in acl["Grants"]]
        assert grants == [("CanonicalUser", acl["Owner"]["ID"], "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_object_acl(Bucket=bucket, Key="o", ACL="private")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object_acl(Bucket=bucket, Key="none")
    assert code(error) == ("NoSuchKey", 404)
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())


class Aws:
    """The AWS command line with a home of its own."""

    def __init__(self, house, home):
        self.house = house
        key_id, secret = house.key("acme")
        config = pathlib.Path(home) / "config"
        config.write_text("[default]\ns3 =\n  addressing_style = path\n")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_CONFIG_FILE": str(config),
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": h.REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self.program = pathlib.Path(sys.executable).parent / "aws"

    def __call__(self, *args, code=0):
        command = [sys.executable, str(self.program), "--endpoint-url", self.house.objects, *args]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=180)
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def test_the_aws_command_line_copies_lists_and_removes(shared, tmp_path, chance):
    aws = Aws(shared, tmp_path)
    aws("s3", "mb", "s3://cli-bucket")
    small, large = tmp_path / "small.txt", tmp_path / "large.bin"
    small.write_bytes(b"hello\n")
    large.write_bytes(chance.randbytes(24 * MIB + 1))
    aws("s3", "cp", str(small), "s3://cli-bucket/文 件/small.txt")
    aws("s3", "cp", str(large), "s3://cli-bucket/large.bin")
    listed = aws("s3", "ls", "s3://cli-bucket/", "--recursive").stdout
    assert "文 件/small.txt" in listed and f"{large.stat().st_size} large.bin" in listed
    assert "PRE 文 件/" in aws("s3", "ls", "s3://cli-bucket/").stdout
    for name, source in (("large.bin", large), ("文 件/small.txt", small)):
        back = tmp_path / "back"
        aws("s3", "cp", f"s3://cli-bucket/{name}", str(back))
        assert back.read_bytes() == source.read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.txt").write_text(str(n))
    aws("s3", "sync", str(folder), "s3://cli-bucket/folder/")
    assert len(aws("s3", "ls", "s3://cli-bucket/folder/").stdout.splitlines()) == 12
    aws("s3", "rm", "s3://cli-bucket/large.bin")
    assert aws("s3", "cp", "s3://cli-bucket/large.bin", str(tmp_path / "no"), code=1)
    aws("s3", "rm", "s3://cli-bucket/", "--recursive")
    aws("s3", "rb", "s3://cli-bucket")
    assert "cli-bucket" not in aws("s3", "ls").stdout
