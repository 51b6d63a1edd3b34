"""OSS by its own clients: oss2 with V1 and V4 signatures, and alibabacloud-oss-v2."""

import hashlib
import io

import alibabacloud_oss_v2 as oss
import oss2
import pytest

import house as h

MIB = 1024 * 1024
KEYS = ["plain.txt", "a b+c.txt", "发票/十一月/1.pdf", "100%/&?#=;'\"<>.txt", "emoji 🐚"]
TEXT = b"hello, kestrel"


def bucket_of(house, name, version, alias="acme"):
    key_id, secret = house.key(alias)
    auth = oss2.Auth(key_id, secret) if version == "v1" else oss2.AuthV4(key_id, secret)
    return oss2.Bucket(auth, house.objects, name, region=h.REGION)


@pytest.fixture(params=["v1", "v4"])
def bucket(shared, request):
    """An empty bucket, by oss2, once with each signature."""
    name = "o-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    made = bucket_of(shared, name, request.param)
    made.create_bucket()
    return made


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 + 1, 5 * MIB + 3])
def test_what_was_put_comes_back_whole_and_in_ranges(bucket, chance, size):
    body = chance.randbytes(size)
    put = bucket.put_object("o", body, headers={"Content-Type": "text/x-test", "x-oss-meta-note": "hello"})
    assert put.etag == hashlib.md5(body).hexdigest().upper()
    got = bucket.get_object("o")
    assert got.read() == body  # oss2 compares the CRC-64 on the way
    assert got.server_crc == put.crc and got.headers["x-oss-meta-note"] == "hello"
    head = bucket.head_object("o")
    assert (head.content_length, head.content_type) == (size, "text/x-test")
    assert bucket.get_object_meta("o").content_length == size
    for _ in range(4 if size else 0):
        first = chance.randrange(size)
        last = chance.randrange(first, size)
        part = bucket.get_object("o", byte_range=(first, last))
        assert (part.status, part.read()) == (206, body[first : last + 1])


def test_keys_of_every_script_are_listed_paged_and_deleted(bucket):
    for n, key in enumerate(KEYS):
        bucket.put_object(key, str(n))
    wanted = sorted(KEYS, key=lambda k: k.encode())
    assert [o.key for o in oss2.ObjectIterator(bucket, max_keys=2)] == wanted
    assert [o.key for o in oss2.ObjectIteratorV2(bucket, max_keys=2)] == wanted
    folders = bucket.list_objects(delimiter="/")
    assert folders.prefix_list == ["100%/", "发票/"]
    for n, key in enumerate(KEYS):
        assert bucket.get_object(key).read() == str(n).encode()
    assert sorted(bucket.batch_delete_objects(KEYS).deleted_keys) == sorted(KEYS)
    assert bucket.list_objects().object_list == []


def test_buckets_answer_their_questions(shared, bucket):
    info = bucket.get_bucket_info()
    assert (info.name, info.storage_class) == (bucket.bucket_name, "Standard")
    assert h.REGION in bucket.get_bucket_location().location
    service = oss2.Service(bucket.auth, shared.objects, region=h.REGION)
    assert bucket.bucket_name in [b.name for b in oss2.BucketIterator(service)]
    bucket.put_object("o", b"x")
    with pytest.raises(oss2.exceptions.BucketNotEmpty):
        bucket.delete_bucket()
    bucket.delete_object("o")
    bucket.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket) as error:
        bucket.get_bucket_info()
    assert error.value.status == 404 and error.value.request_id and error.value.ec


def test_conditions_and_checksums_decide_before_anything_is_stored(bucket):
    bucket.put_object("o", TEXT)
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object("o", b"other", headers={"x-oss-forbid-overwrite": "true"})
    assert (error.value.status, error.value.code) == (409, "FileAlreadyExists")
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object("o", b"other", headers={"Content-MD5": "A" * 22 + "=="})
    assert (error.value.status, error.value.code) == (400, "InvalidDigest")
    assert bucket.get_object("o").read() == TEXT
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.get_object("o", headers={"If-None-Match": bucket.head_object("o").etag})
    with pytest.raises(oss2.exceptions.PreconditionFailed):
        bucket.get_object("o", headers={"If-Match": '"00000000000000000000000000000000"'})
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object("none")
    with pytest.raises(oss2.exceptions.NotFound):
        bucket.head_object("none")


def test_a_signed_address_opens_one_object_for_its_time(bucket):
    bucket.put_object("片 1.txt", TEXT)
    address = bucket.sign_url("GET", "片 1.txt", 60, slash_safe=True)
    assert h.get(address) == (200, TEXT)
    status, _, body = h.request("GET", address.replace("1.txt", "2.txt"))
    assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body
    upload = bucket.sign_url("PUT", "up", 60)
    assert h.request("PUT", upload, body=TEXT)[0] == 200
    assert bucket.get_object("up").read() == TEXT
    assert h.request("GET", upload)[0] == 403


def test_what_is_not_offered_says_so_and_changes_nothing(bucket):
    bucket.put_object("o", TEXT)
    attempts = {
        "put_object_acl": lambda: bucket.put_object_acl("o", oss2.OBJECT_ACL_PUBLIC_READ_WRITE),
        "put_with_acl": lambda: bucket.put_object("open", b"x", headers={"x-oss-object-acl": "public-read-write"}),
        "callback": lambda: bucket.put_object("called", b"x", headers={"x-oss-callback": "e30="}),
    }
    for name, attempt in attempts.items():
        with pytest.raises(oss2.exceptions.ServerError) as error:
            attempt()
        assert (error.value.status, error.value.code) == (501, "NotImplemented"), name
    assert [o.key for o in bucket.list_objects().object_list] == ["o"]


def test_everything_belongs_to_its_account_alone_and_says_so(bucket):
    bucket.put_object("o", TEXT, headers={"x-oss-object-acl": "private"})
    assert bucket.get_bucket_acl().acl == "private" and bucket.get_object_acl("o").acl == "private"
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PRIVATE)
    bucket.put_object_acl("o", oss2.OBJECT_ACL_PRIVATE)
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object_acl("none")


def v2_client(house, alias="acme"):
    key_id, secret = house.key(alias)
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(key_id, secret)
    config.region, config.endpoint, config.retry_max_attempts = h.REGION, house.objects, 1
    return oss.Client(config)


def test_the_second_sdk_does_the_same(shared, chance):
    client, bucket = v2_client(shared), "v2-sdk-bucket"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    body = chance.randbytes(3 * MIB)
    for key in KEYS:
        client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=io.BytesIO(body)))
        got = client.get_object(oss.GetObjectRequest(bucket=bucket, key=key))
        assert got.body.read() == body and got.hash_crc64
    part = client.get_object(oss.GetObjectRequest(bucket=bucket, key=KEYS[0], range_header="bytes=5-9"))
    assert part.body.read() == body[5:10]
    wanted = sorted(KEYS, key=lambda k: k.encode())
    pages = client.list_objects_v2_paginator().iter_page(oss.ListObjectsV2Request(bucket=bucket, max_keys=2))
    assert [o.key for p in pages for o in p.contents or []] == wanted
    pages = client.list_objects_paginator().iter_page(oss.ListObjectsRequest(bucket=bucket, max_keys=2))
    assert [o.key for p in pages for o in p.contents or []] == wanted
    assert client.head_object(oss.HeadObjectRequest(bucket=bucket, key=KEYS[0])).content_length == len(body)
    with pytest.raises(oss.exceptions.OperationError) as error:
        client.head_object(oss.HeadObjectRequest(bucket=bucket, key="none"))
    cause = error.value.unwrap()
    assert (cause.status_code, cause.code) == (404, "NoSuchKey") and cause.ec and cause.request_id
    gone = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=[oss.DeleteObject(key=k) for k in KEYS])
    )
    assert sorted(d.key for d in gone.deleted_objects) == sorted(KEYS)
    client.delete_bucket(oss.DeleteBucketRequest(bucket=bucket))


def test_one_object_is_the_same_in_both_dialects(shared):
    import conftest

    s3, bucket = conftest.s3_client(shared), bucket_of(shared, shared.bucket("acme"), "v4")
    bucket.put_object("both", TEXT, headers={"x-oss-meta-note": "hello"})
    got = s3.get_object(Bucket=bucket.bucket_name, Key="both")
    assert (got["Body"].read(), got["Metadata"]) == (TEXT, {"note": "hello"})
    assert got["ETag"] == f'"{hashlib.md5(TEXT).hexdigest()}"'
