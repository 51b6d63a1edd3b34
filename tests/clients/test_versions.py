"""Versions of objects, by boto3, oss2 and alibabacloud-oss-v2, against a model that remembers everything."""

import concurrent.futures
import hashlib
import io
import sqlite3
import pathlib

import alibabacloud_oss_v2 as oss
import botocore.exceptions
import oss2
import pytest
from conftest import s3_client
from test_oss import bucket_of, v2_client
from test_s3 import code



@pytest.fixture
def bucket(s3, request):
    name = "v-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


def keep(s3, bucket, status="Enabled"):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3, bucket, body, key="o"):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def get(s3, bucket, key="o", **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def everything(s3, bucket, **more):
    """(key, id, latest, is a marker) of all, in the order of each kind."""
    versions, markers = [], []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more):
        versions += [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])]
        markers += [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("DeleteMarkers", [])]
    return versions, markers


def refused(act):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        act()
    return error


def test_a_bucket_keeps_versions_from_when_it_is_told(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, bucket, b"first") is None
    keep(s3, bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    two, three = put(s3, bucket, b"second"), put(s3, bucket, b"third")
    assert get(s3, bucket) == b"third"
    assert [get(s3, bucket, VersionId=v) for v in ("null", two, three)] == [b"first", b"second", b"third"]
    assert s3.get_object(Bucket=bucket, Key="o")["VersionId"] == three
    assert s3.head_object(Bucket=bucket, Key="o", VersionId=two)["ContentLength"] == 6
    assert everything(s3, bucket) == ([("o", three, True), ("o", two, False), ("o", "null", False)], [])
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["o"]
    assert code(refused(lambda: get(s3, bucket, VersionId="0" * 32))) == ("NoSuchVersion", 404)
    assert code(refused(lambda: get(s3, bucket, VersionId="nonsense"))) == ("NoSuchVersion", 404)


def test_a_delete_hides_and_a_delete_of_a_version_destroys(s3, bucket):
    keep(s3, bucket)
    one, two = put(s3, bucket, b"one"), put(s3, bucket, b"two")
    gone = s3.delete_object(Bucket=bucket, Key="o")
    assert gone["DeleteMarker"] and gone["VersionId"]
    error = refused(lambda: get(s3, bucket))
    assert code(error) == ("NoSuchKey", 404)
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == gone["VersionId"]
    error = refused(lambda: get(s3, bucket, VersionId=gone["VersionId"]))
    assert code(error) == ("MethodNotAllowed", 405)
    assert get(s3, bucket, VersionId=two) == b"two"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert everything(s3, bucket) == ([("o", two, False), ("o", one, False)], [("o", gone["VersionId"], True)])
    assert code(refused(lambda: s3.delete_bucket(Bucket=bucket))) == ("BucketNotEmpty", 409)
    # The marker goes, the object is back; the newest goes, the one before it is current.
    back = s3.delete_object(Bucket=bucket, Key="o", VersionId=gone["VersionId"])
    assert back["DeleteMarker"] and get(s3, bucket) == b"two"
    away = s3.delete_object(Bucket=bucket, Key="o", VersionId=two)
    assert away["VersionId"] == two and "DeleteMarker" not in away and get(s3, bucket) == b"one"
    assert code(refused(lambda: get(s3, bucket, VersionId=two))) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=bucket, Key="o", VersionId=one)
    assert everything(s3, bucket) == ([], [])
    s3.delete_object(Bucket=bucket, Key="o", VersionId=one)  # gone is fine
    s3.delete_bucket(Bucket=bucket)


def test_suspended_the_null_version_is_replaced_and_the_others_stay(s3, bucket):
    put(s3, bucket, b"before")
    keep(s3, bucket)
    kept = put(s3, bucket, b"kept")
    keep(s3, bucket, "Suspended")
    assert put(s3, bucket, b"null one") == "null"
    assert put(s3, bucket, b"null two") == "null"
    assert everything(s3, bucket) == ([("o", "null", True), ("o", kept, False)], [])
    assert (get(s3, bucket), get(s3, bucket, VersionId=kept)) == (b"null two", b"kept")
    assert s3.delete_object(Bucket=bucket, Key="o")["VersionId"] == "null"
    assert everything(s3, bucket) == ([("o", kept, False)], [("o", "null", True)])
    keep(s3, bucket)
    newest = put(s3, bucket, b"newest")
    assert everything(s3, bucket) == ([("o", newest, True), ("o", kept, False)], [("o", "null", False)])


def test_versions_are_paged_in_one_order_with_prefix_and_delimiter(s3, bucket):
    keep(s3, bucket)
    for round_ in range(3):
        for key in ("a/1", "a/2", "b", "发票/1", "c"):
            put(s3, bucket, str(round_), key)
    s3.delete_object(Bucket=bucket, Key="b")
    whole = everything(s3, bucket)
    assert len(whole[0]) == 15 and len(whole[1]) == 1
    assert [v for v in whole[0] if v[2]] == [v for n, v in enumerate(whole[0]) if v[0] != "b" and n % 3 == 0]
    for size in (1, 2, 4, 7):
        assert everything(s3, bucket, PaginationConfig={"PageSize": size}) == whole, size
    assert {v[0] for v in everything(s3, bucket, Prefix="a/")[0]} == {"a/1", "a/2"}
    for size in (1, 2, 100):
        pages = list(
            s3.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
            )
        )
        prefixes = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
        keys = [v["Key"] for page in pages for v in page.get("Versions", [])]
        assert (prefixes, keys) == (["a/", "发票/"], ["b"] * 3 + ["c"] * 3), size
    assert code(refused(lambda: s3.list_object_versions(Bucket=bucket, VersionIdMarker="x"))) == ("InvalidArgument", 400)


def test_copies_batches_and_parts_know_versions(s3, bucket):
    keep(s3, bucket)
    one, two = put(s3, bucket, b"one"), put(s3, bucket, b"two")
    done = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "o", "VersionId": one})
    assert done["CopySourceVersionId"] == one and done["VersionId"] and get(s3, bucket, "copy") == b"one"
    # Restoring an old version is a copy onto itself.
    s3.copy_object(Bucket=bucket, Key="o", CopySource={"Bucket": bucket, "Key": "o", "VersionId": one})
    assert get(s3, bucket) == b"one" and get(s3, bucket, VersionId=two) == b"two"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="o")["UploadId"]
    tag = s3.upload_part(Bucket=bucket, Key="o", UploadId=upload, PartNumber=1, Body=b"in parts")["ETag"]
    made = s3.complete_multipart_upload(
        Bucket=bucket, Key="o", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    put(s3, bucket, b"after")
    assert get(s3, bucket, VersionId=made["VersionId"]) == b"in parts"
    gone = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": "o", "VersionId": one}, {"Key": "o", "VersionId": "nonsense"}, {"Key": "copy"}]},
    )["Deleted"]
    assert gone[0] == {"Key": "o", "VersionId": one} and gone[2]["DeleteMarker"] and gone[2]["DeleteMarkerVersionId"]
    assert code(refused(lambda: get(s3, bucket, VersionId=one))) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=bucket, Key="o", VersionId=made["VersionId"])
    versions, markers = everything(s3, bucket)
    every = [{"Key": k, "VersionId": v} for k, v, _ in versions + markers]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": every})
    s3.delete_bucket(Bucket=bucket)


def test_what_happens_is_what_a_model_says(s3, bucket, chance):
    """A hundred random acts on two keys; the whole history is compared after each."""
    model = {"a": [], "b": []}  # newest first: [id, body or None for a marker]
    state = "Off"

    def shown(key):
        return [(key, v[0], n == 0, v[1] is None) for n, v in enumerate(model[key])]

    for _ in range(120):
        key = chance.choice(["a", "b"])
        act = chance.choice(["put", "put", "put", "delete", "destroy", "switch"])
        history = model[key]
        if act == "switch":
            state = chance.choice(["Enabled", "Suspended"])
            keep(s3, bucket, state)
        elif act == "put":
            body = chance.randbytes(chance.choice([10, 40_000]))
            new = put(s3, bucket, body, key)
            if state == "Off":
                assert new is None
                history[:] = [["null", body]]
            else:
                if state == "Suspended":
                    assert new == "null"
                    history[:] = [v for v in history if v[0] != "null"]
                history.insert(0, [new, body])
        elif act == "delete":
            gone = s3.delete_object(Bucket=bucket, Key=key)
            if state == "Off":
                history.clear()
            else:
                if state == "Suspended":
                    history[:] = [v for v in history if v[0] != "null"]
                history.insert(0, [gone["VersionId"], None])
        elif history:
            old = chance.choice(history)
            s3.delete_object(Bucket=bucket, Key=key, VersionId=old[0])
            history.remove(old)
        versions, markers = everything(s3, bucket)
        found = sorted([(*v, False) for v in versions] + [(*m, True) for m in markers])
        assert found == sorted(shown("a") + shown("b"))
        for name in model:
            current = model[name][0][1] if model[name] else None
            if current is None:
                assert code(refused(lambda name=name: get(s3, bucket, name))) == ("NoSuchKey", 404)
            else:
                assert get(s3, bucket, name) == current
    for name, history in model.items():
        for version, body in history:
            if body is not None:
                assert get(s3, bucket, name, VersionId=version) == body


def test_writers_at_once_and_a_kill_lose_no_version(house):
    s3, name = s3_client(house), "many-writers"
    s3.create_bucket(Bucket=name)
    keep(s3, name)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: (put(s3, name, str(n)), str(n).encode()), range(80)))
    house.kill()
    house.start()
    s3 = s3_client(house)
    versions, markers = everything(s3, name)
    assert {v[1] for v in versions} == {v for v, _ in made} and not markers
    assert [v[2] for v in versions] == [True] + [False] * 79
    for version, body in made:
        assert get(s3, name, VersionId=version) == body


def test_versions_exchanged_in_the_database_do_not_open(house):
    s3, name = s3_client(house), "exchanged"
    s3.create_bucket(Bucket=name)
    keep(s3, name)
    one, two = put(s3, name, b"one"), put(s3, name, b"two")
    put(s3, name, b"three")
    with sqlite3.connect(pathlib.Path(house.data) / "bailee.sqlite") as db:
        columns = "wrapped_key, sealed_meta, header"
        a = db.execute(f"SELECT {columns} FROM object_version WHERE version_id = ?", [one]).fetchone()
        db.execute("UPDATE object_version SET wrapped_key = ?, sealed_meta = ?, header = ? WHERE version_id = ?", [*a, two])
    assert code(refused(lambda: get(s3, name, VersionId=two))) == ("InternalError", 500)
    assert get(s3, name, VersionId=one) == b"one"


def test_another_tenant_and_a_reader_destroy_nothing(shared, s3, bucket):
    keep(s3, bucket)
    one = put(s3, bucket, b"one")
    other = s3_client(shared, "globex")
    for act in (
        lambda: other.delete_object(Bucket=bucket, Key="o", VersionId=one),
        lambda: other.list_object_versions(Bucket=bucket),
        lambda: get(other, bucket, VersionId=one),
        lambda: keep(other, bucket, "Suspended"),
    ):
        assert code(refused(act)) == ("NoSuchBucket", 404)
    assert get(s3, bucket, VersionId=one) == b"one"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_oss_keeps_versions(shared, version):
    bucket = bucket_of(shared, f"oss-versions-{version}", version)
    bucket.create_bucket()
    assert bucket.get_bucket_versioning().status is None
    config = oss2.models.BucketVersioningConfig()
    config.status = oss2.BUCKET_VERSIONING_ENABLE
    bucket.put_bucket_versioning(config)
    assert bucket.get_bucket_versioning().status == "Enabled"
    one, two = bucket.put_object("文", b"one").versionid, bucket.put_object("文", b"two").versionid
    assert bucket.get_object("文", params={"versionId": one}).read() == b"one"
    assert bucket.head_object("文", params={"versionId": two}).versionid == two
    gone = bucket.delete_object("文")
    assert gone.delete_marker and gone.versionid
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object("文")
    listed = bucket.list_object_versions(max_keys=2)
    assert listed.is_truncated and [v.versionid for v in listed.delete_marker] == [gone.versionid]
    rest = bucket.list_object_versions(key_marker=listed.next_key_marker, versionid_marker=listed.next_versionid_marker)
    assert [v.versionid for v in listed.versions + rest.versions] == [two, one]
    batch = oss2.models.BatchDeleteObjectVersionList()
    for id_ in (one, gone.versionid):
        batch.append(oss2.models.BatchDeleteObjectVersion("文", id_))
    bucket.delete_object_versions(batch)
    assert bucket.get_object("文").read() == b"two"
    copied = bucket.copy_object(bucket.bucket_name, "文", "copy", params={"versionId": two})
    assert copied.versionid and bucket.get_object("copy").read() == b"two"
    bucket.delete_object("文", params={"versionId": two})
    assert not bucket.object_exists("文")


def test_the_second_oss_sdk_keeps_versions(shared):
    client, bucket = v2_client(shared), "v2-versions"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    config = oss.VersioningConfiguration(status="Enabled")
    client.put_bucket_versioning(oss.PutBucketVersioningRequest(bucket=bucket, versioning_configuration=config))
    assert client.get_bucket_versioning(oss.GetBucketVersioningRequest(bucket=bucket)).version_status == "Enabled"
    ids = [
        client.put_object(oss.PutObjectRequest(bucket=bucket, key="o", body=io.BytesIO(b))).version_id
        for b in (b"one", b"two")
    ]
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key="o", version_id=ids[0]))
    assert got.body.read() == b"one" and got.version_id == ids[0]
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="o"))
    listed = client.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket))
    assert [v.version_id for v in listed.version] == ids[::-1] and listed.delete_marker[0].is_latest
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="o", version_id=ids[0]))
    listed = client.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket))
    assert [v.version_id for v in listed.version] == ids[1:]
