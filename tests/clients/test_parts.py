"""Objects in parts, and copies: by boto3, the AWS command line, oss2 and alibabacloud-oss-v2, and by what none of them sends."""

import concurrent.futures
import hashlib
import io
import pathlib
import sqlite3

import alibabacloud_oss_v2 as oss
import boto3.s3.transfer
import botocore.exceptions
import oss2
import pytest
from conftest import s3_client
from signing import sigv4
from test_oss import bucket_of, v2_client
from test_s3 import Aws, code

import house as h

MIB = 1024 * 1024
PART = 5 * MIB


@pytest.fixture
def bucket(s3, request):
    name = "p-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


def etag(parts):
    return hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest() + f"-{len(parts)}"


def begin(s3, bucket, key="big", **more):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]


def put(s3, bucket, upload, number, body, key="big"):
    done = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": done["ETag"]}


def complete(s3, bucket, upload, parts, key="big"):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def test_parts_in_any_order_at_the_same_time_become_one_object(s3, bucket, chance):
    pieces = [chance.randbytes(PART), chance.randbytes(PART + 17), chance.randbytes(3)]
    whole = b"".join(pieces)
    upload = begin(s3, bucket, ContentType="text/x-test", Metadata={"note": "hello"}, CacheControl="no-store")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        numbers = [3, 1, 2]
        done = list(pool.map(lambda n: put(s3, bucket, upload, n, pieces[n - 1]), numbers))
    listed = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, PART), (2, PART + 17), (3, 3)]
    page = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 2
    rest = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload, PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Parts"]] == [3] and not rest["IsTruncated"]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object(Bucket=bucket, Key="big")
    assert code(error) == ("NoSuchKey", 404), "nothing is there before it is whole"
    made = complete(s3, bucket, upload, sorted(done, key=lambda p: p["PartNumber"]))
    assert made["ETag"] == f'"{etag(pieces)}"'
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == whole
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (made["ETag"], "text/x-test", {"note": "hello"})
    assert got["CacheControl"] == "no-store"
    edges = [(PART - 5, PART + 5), (0, 0), (len(whole) - 1, len(whole) - 1), (PART - 1, 2 * PART + 18)]
    edges += [sorted((chance.randrange(len(whole)), chance.randrange(len(whole)))) for _ in range(6)]
    for first, last in edges:
        part = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={first}-{last}")
        assert part["Body"].read() == whole[first : last + 1], (first, last)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(whole)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        complete(s3, bucket, upload, done)
    assert code(error) == ("NoSuchUpload", 404)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_what_is_wrong_with_a_list_of_parts_is_said_and_the_upload_goes_on(s3, bucket, chance):
    pieces = [chance.randbytes(PART), chance.randbytes(100), chance.randbytes(100)]
    upload = begin(s3, bucket)
    one, two, three = [put(s3, bucket, upload, n + 1, p) for n, p in enumerate(pieces)]
    again = put(s3, bucket, upload, 3, b"another")

    def refused(parts):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            complete(s3, bucket, upload, parts)
        return code(error)

    assert refused([one, two, again]) == ("EntityTooSmall", 400)
    assert refused([two, one]) == ("InvalidPartOrder", 400)
    assert refused([one, one]) == ("InvalidPartOrder", 400)
    assert refused([one, three]) == ("InvalidPart", 400), "the first third part was replaced"
    assert refused([one, {"PartNumber": 9, "ETag": one["ETag"]}]) == ("InvalidPart", 400)
    for number in (0, 10_001, -1):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            put(s3, bucket, upload, number, b"x")
        assert code(error) == ("InvalidArgument", 400)
    # A part that is not listed is not in the object.
    made = complete(s3, bucket, upload, [one, again])
    assert made["ETag"] == f'"{etag([pieces[0], b"another"])}"'
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == pieces[0] + b"another"


def test_an_upload_is_given_up_and_its_bytes_go(shared, s3, bucket):
    upload = begin(s3, bucket)
    put(s3, bucket, upload, 1, bytes(PART))
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == ("BucketNotEmpty", 409)
    s3.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload)
    for act in (
        lambda: put(s3, bucket, upload, 2, b"x"),
        lambda: s3.list_parts(Bucket=bucket, Key="big", UploadId=upload),
        lambda: s3.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload),
        lambda: complete(s3, bucket, upload, [{"PartNumber": 1, "ETag": "x"}]),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            act()
        assert code(error) == ("NoSuchUpload", 404)
    s3.delete_bucket(Bucket=bucket)
    with sqlite3.connect(f"file:{pathlib.Path(shared.data) / 'bailee.sqlite'}?mode=ro", uri=True) as db:
        left = "SELECT count(*) FROM upload_part WHERE upload_id = ?"
        assert db.execute(left, [upload]).fetchone() == (0,)


def test_uploads_are_listed_by_prefix_and_page(s3, bucket):
    keys = ["a/1", "a/2", "b", "c/x/1", "c/x/2", "d", "d"]
    ids = {(key, begin(s3, bucket, key)) for key in keys}
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert {(u["Key"], u["UploadId"]) for u in listed} == ids
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [(u["Key"], u["UploadId"]) for page in pages for u in page.get("Uploads", [])]
    assert found == sorted(ids)
    some = s3.list_multipart_uploads(Bucket=bucket, Prefix="c/")
    assert [u["Key"] for u in some["Uploads"]] == ["c/x/1", "c/x/2"]
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    pages = list(pages)
    assert [u["Key"] for page in pages for u in page.get("Uploads", [])] == ["b", "d", "d"]
    assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a/", "c/"]


def test_the_transfer_manager_and_the_command_line_move_large_files(shared, s3, bucket, chance, tmp_path):
    large, back = tmp_path / "large.bin", tmp_path / "back.bin"
    large.write_bytes(chance.randbytes(23 * MIB + 7))
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
    s3.upload_file(str(large), bucket, "by-boto", Config=config)
    s3.download_file(bucket, "by-boto", str(back), Config=config)
    assert back.read_bytes() == large.read_bytes()
    assert s3.head_object(Bucket=bucket, Key="by-boto")["ETag"].endswith('-5"')
    aws = Aws(shared, tmp_path)
    pathlib.Path(aws.env["AWS_CONFIG_FILE"]).write_text("[default]\ns3 =\n  addressing_style = path\n")
    aws("s3", "cp", str(large), f"s3://{bucket}/by-cli")
    aws("s3", "cp", f"s3://{bucket}/by-cli", f"s3://{bucket}/文 件/copied")
    aws("s3", "mv", f"s3://{bucket}/文 件/copied", f"s3://{bucket}/moved")
    aws("s3", "cp", f"s3://{bucket}/moved", str(back))
    assert back.read_bytes() == large.read_bytes()
    assert "文" not in aws("s3", "ls", f"s3://{bucket}/", "--recursive").stdout


def test_copies_keep_or_replace_what_the_source_says_of_itself(s3, bucket, chance):
    body = chance.randbytes(200_000)
    s3.put_object(Bucket=bucket, Key="from é+ü", Body=body, ContentType="text/x-a", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": "from é+ü"}
    done = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert done["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (body, "text/x-a", {"a": "1"})
    s3.copy_object(
        Bucket=bucket, Key="to", CopySource=source, MetadataDirective="REPLACE", ContentType="text/x-b", Metadata={"b": "2"}
    )
    got = s3.head_object(Bucket=bucket, Key="to")
    assert (got["ContentType"], got["Metadata"]) == ("text/x-b", {"b": "2"})
    # Onto itself, which is how metadata is changed.
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/to", MetadataDirective="REPLACE", Metadata={"c": "3"})
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (body, {"c": "3"})
    for more, wanted in (
        ({"CopySource": f"{bucket}/to"}, ("InvalidRequest", 400)),
        ({"CopySource": f"{bucket}/none"}, ("NoSuchKey", 404)),
        ({"CopySource": "no-such-bucket-here/none"}, ("NoSuchBucket", 404)),
        ({"CopySource": source, "CopySourceIfMatch": '"x"'}, ("PreconditionFailed", 412)),
        ({"CopySource": source, "CopySourceIfNoneMatch": done["CopyObjectResult"]["ETag"]}, ("PreconditionFailed", 412)),
        ({"CopySource": source, "IfNoneMatch": "*"}, ("PreconditionFailed", 412)),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.copy_object(Bucket=bucket, Key="to", **more)
        assert code(error) == wanted, more


def test_parts_are_copied_out_of_objects(s3, bucket, chance):
    body = chance.randbytes(PART + 1000)
    s3.put_object(Bucket=bucket, Key="from", Body=body)
    upload = begin(s3, bucket)
    parts = []
    for number, span in ((1, (0, PART - 1)), (2, (PART, PART + 999))):
        done = s3.upload_part_copy(
            Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, CopySource=f"{bucket}/from",
            CopySourceRange=f"bytes={span[0]}-{span[1]}",
        )
        parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.upload_part_copy(
            Bucket=bucket, Key="big", UploadId=upload, PartNumber=3, CopySource=f"{bucket}/from",
            CopySourceRange=f"bytes=0-{PART + 1000}",
        )
    assert code(error) == ("InvalidRange", 416)
    complete(s3, bucket, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == body


def test_another_tenant_neither_copies_nor_joins(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="secret", Body=b"acme's")
    upload = begin(s3, bucket)
    other = s3_client(shared, "globex")
    other.create_bucket(Bucket="globex-parts")
    own = begin(other, "globex-parts")
    attempts = {
        "copy out": lambda: other.copy_object(Bucket="globex-parts", Key="x", CopySource=f"{bucket}/secret"),
        "copy a part out": lambda: other.upload_part_copy(
            Bucket="globex-parts", Key="big", UploadId=own, PartNumber=1, CopySource=f"{bucket}/secret"
        ),
        "join": lambda: put(other, bucket, upload, 1, b"x"),
        "join by id": lambda: put(other, "globex-parts", upload, 1, b"x"),
        "list": lambda: other.list_parts(Bucket=bucket, Key="big", UploadId=upload),
        "list all": lambda: other.list_multipart_uploads(Bucket=bucket),
        "give up": lambda: other.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload),
    }
    for name, attempt in attempts.items():
        with pytest.raises(botocore.exceptions.ClientError) as error:
            attempt()
        wanted = ("NoSuchUpload", 404) if name == "join by id" else ("NoSuchBucket", 404)
        assert code(error) == wanted, name
    # The upload belongs to its key, too.
    with pytest.raises(botocore.exceptions.ClientError) as error:
        put(s3, bucket, upload, 1, b"x", key="other")
    assert code(error) == ("NoSuchUpload", 404)
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1


def test_a_part_that_is_cut_or_lies_is_not_kept(shared, s3, bucket):
    upload = begin(s3, bucket)
    host, path = shared.objects.removeprefix("http://"), f"/{bucket}/big"
    query = [("partNumber", "1"), ("uploadId", upload)]
    for headers in ({"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, {"x-amz-checksum-crc32": "AAAAAA=="}):
        signed = sigv4("PUT", path, shared.key("acme"), host=host, payload="UNSIGNED-PAYLOAD", query=query, headers=headers)
        address = f"{shared.objects}{path}?partNumber=1&uploadId={upload}"
        status, _, body = h.request("PUT", address, body=b"hello", headers={**signed, **headers})
        assert status == 400 and b"BadDigest" in body, body
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)


def test_a_changed_part_is_never_given_out(house, chance):
    """Parts swapped, cut or exchanged in the database or on disk: an error, not other bytes."""
    s3, name = s3_client(house), "swapped-parts"
    s3.create_bucket(Bucket=name)
    pieces = [chance.randbytes(PART), chance.randbytes(PART)]
    upload = begin(s3, name)
    complete(s3, name, upload, [put(s3, name, upload, n + 1, p) for n, p in enumerate(pieces)])
    path = pathlib.Path(house.data) / "bailee.sqlite"
    swaps = [
        "UPDATE object_part SET part_number = 3 - part_number + 10; UPDATE object_part SET part_number = part_number - 10",
        "UPDATE object_part SET part_number = 3 - part_number + 10; UPDATE object_part SET part_number = part_number - 10",
        "UPDATE object_part SET size = size - 1 WHERE part_number = 2",
        "UPDATE object_part SET size = size + 1 WHERE part_number = 2",
        "DELETE FROM object_part WHERE part_number = 2",
    ]
    for n, sql in enumerate(swaps):
        with sqlite3.connect(path) as db:
            db.executescript(sql)
        if n in (1, 3):
            assert s3.get_object(Bucket=name, Key="big")["Body"].read() == b"".join(pieces)
            continue
        for more in ({}, {"Range": "bytes=0-9"}):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                s3.get_object(Bucket=name, Key="big", **more)
            assert code(error) == ("InternalError", 500), sql


def test_what_was_acknowledged_survives_a_kill(house, chance):
    s3, name = s3_client(house), "killed-parts"
    s3.create_bucket(Bucket=name)
    pieces = [chance.randbytes(PART), b"the end"]
    upload = begin(s3, name)
    one = put(s3, name, upload, 1, pieces[0])
    house.kill()
    house.start()
    s3 = s3_client(house)
    assert [p["PartNumber"] for p in s3.list_parts(Bucket=name, Key="big", UploadId=upload)["Parts"]] == [1]
    two = put(s3, name, upload, 2, pieces[1])
    complete(s3, name, upload, [one, two])
    house.kill()
    house.start()
    assert s3_client(house).get_object(Bucket=name, Key="big")["Body"].read() == b"".join(pieces)


def test_ten_thousand_parts(house):
    """As many parts as there may be; small, so by the other dialect's rule for all but their size."""
    auth_bucket = bucket_of(house, "many-parts", "v4")
    auth_bucket.create_bucket()
    upload = auth_bucket.init_multipart_upload("big").upload_id
    piece = bytes(100 * 1024)
    count = 1_000
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tags = list(pool.map(lambda n: auth_bucket.upload_part("big", upload, 10 * n, piece).etag, range(1, count + 1)))
    parts = [oss2.models.PartInfo(10 * (n + 1), tag) for n, tag in enumerate(tags)]
    auth_bucket.complete_multipart_upload("big", upload, parts)
    head = auth_bucket.head_object("big")
    assert head.content_length == count * len(piece) and head.object_type == "Multipart"
    assert auth_bucket.get_object("big", byte_range=(count * len(piece) - 5, None)).read() == bytes(5)


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_oss_uploads_resume_and_copy(shared, version, tmp_path, chance):
    bucket = bucket_of(shared, f"oss-parts-{version}", version)
    bucket.create_bucket()
    large, back = tmp_path / "large.bin", tmp_path / "back.bin"
    large.write_bytes(chance.randbytes(3 * MIB + 11))
    store = oss2.ResumableStore(root=str(tmp_path))
    oss2.resumable_upload(
        bucket, "文/large", str(large), store=store, multipart_threshold=MIB, part_size=MIB, num_threads=3,
        headers={"x-oss-meta-note": "hi"},
    )
    head = bucket.head_object("文/large")
    assert (head.content_length, head.headers["x-oss-meta-note"]) == (3 * MIB + 11, "hi")
    oss2.resumable_download(bucket, "文/large", str(back), multiget_threshold=MIB, part_size=MIB, num_threads=3)
    assert back.read_bytes() == large.read_bytes()
    assert bucket.get_object("文/large").read() == large.read_bytes()  # compares the CRC-64 of all parts together
    bucket.copy_object(bucket.bucket_name, "文/large", "copy")
    assert bucket.get_object("copy").read() == large.read_bytes()
    upload = bucket.init_multipart_upload("joined").upload_id
    parts = [
        bucket.upload_part_copy(bucket.bucket_name, "文/large", (n * MIB, (n + 1) * MIB - 1), "joined", upload, n + 1)
        for n in range(3)
    ]
    assert [p.part_number for p in oss2.PartIterator(bucket, "joined", upload, max_parts=1)] == [1, 2, 3]
    assert [u.key for u in oss2.MultipartUploadIterator(bucket, max_uploads=1)] == ["joined"]
    infos = [oss2.models.PartInfo(n + 1, p.etag) for n, p in enumerate(parts)]
    bucket.complete_multipart_upload("joined", upload, infos)
    assert bucket.get_object("joined").read() == large.read_bytes()[: 3 * MIB]
    kinds = {o.key: o.type for o in bucket.list_objects().object_list}
    assert kinds == {"文/large": "Multipart", "copy": "Normal", "joined": "Multipart"}
    other = bucket.init_multipart_upload("all").upload_id
    bucket.upload_part("all", other, 7, b"seven")
    bucket.complete_multipart_upload("all", other, None, headers={"x-oss-complete-all": "yes"})
    assert bucket.get_object("all").read() == b"seven"
    gone = bucket.init_multipart_upload("gone").upload_id
    bucket.abort_multipart_upload("gone", gone)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.upload_part("gone", gone, 1, b"x")


def test_the_second_oss_sdk_uploads_and_copies(shared, chance):
    client, bucket = v2_client(shared), "v2-parts"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    body = chance.randbytes(3 * MIB + 5)
    uploader = client.uploader(part_size=MIB, parallel_num=3)
    uploader.upload_from(oss.PutObjectRequest(bucket=bucket, key="big"), reader=io.BytesIO(body))
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key="big"))
    assert got.body.read() == body and got.object_type == "Multipart"
    client.copy_object(oss.CopyObjectRequest(bucket=bucket, key="copy", source_bucket=bucket, source_key="big"))
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="copy")).body.read() == body
    begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key="x"))
    listed = client.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=bucket))
    assert [u.upload_id for u in listed.uploads] == [begun.upload_id]
    client.abort_multipart_upload(
        oss.AbortMultipartUploadRequest(bucket=bucket, key="x", upload_id=begun.upload_id)
    )
