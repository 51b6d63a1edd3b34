"""S3's checksums of whole objects: by boto3 and the AWS command line, which compute them on their own, and by clients that lie."""

import base64
import hashlib
import sqlite3
import zlib

import boto3.s3.transfer
import botocore.exceptions
import pytest
from awscrt import checksums as crt
from conftest import s3_client
from test_parts import MIB, PART, begin, complete
from test_parts import bucket as bucket  # noqa: PLC0414
from test_s3 import Aws, code

SIZE = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
BOTH = [(a, "COMPOSITE") for a in SIZE if a != "CRC64NVME"]
BOTH += [(a, "FULL_OBJECT") for a in ("CRC32", "CRC32C", "CRC64NVME")]


def raw(algorithm, data):
    if algorithm.startswith("SHA"):
        return hashlib.new(algorithm, data).digest()
    crc = {"CRC32": zlib.crc32, "CRC32C": crt.crc32c, "CRC64NVME": crt.crc64nvme}[algorithm]
    return crc(data).to_bytes(SIZE[algorithm], "big")


def of(algorithm, data):
    return base64.b64encode(raw(algorithm, data)).decode()


def whole(algorithm, kind, pieces):
    if kind == "FULL_OBJECT":
        return of(algorithm, b"".join(pieces))
    return of(algorithm, b"".join(raw(algorithm, p) for p in pieces)) + f"-{len(pieces)}"


@pytest.fixture
def plain(shared):
    """A client that adds no checksum of its own and asks for none."""
    return s3_client(shared, request_checksum_calculation="when_required", response_checksum_validation="when_required")


def refused(act):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        act()
    return (*code(error), error.value.response["Error"]["Message"])


def begin_with(s3, bucket, algorithm, kind=None, key="big"):
    more = {"ChecksumType": kind} if kind else {}
    return s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm=algorithm, **more)


def put(s3, bucket, upload, number, body, algorithm, key="big"):
    name = f"Checksum{algorithm}"
    done = s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, **{name: of(algorithm, body)}
    )
    assert done[name] == of(algorithm, body)
    return {"PartNumber": number, "ETag": done["ETag"], name: done[name]}


@pytest.mark.parametrize(("algorithm", "kind"), BOTH)
def test_a_checksum_of_an_object_of_parts_is_what_the_client_computes(s3, bucket, chance, algorithm, kind):
    name, pieces = f"Checksum{algorithm}", [chance.randbytes(PART), chance.randbytes(PART + 17), chance.randbytes(3)]
    expected = whole(algorithm, kind, pieces)
    made = begin_with(s3, bucket, algorithm, kind)
    assert (made["ChecksumAlgorithm"], made["ChecksumType"]) == (algorithm, kind)
    upload = made["UploadId"]
    parts = [put(s3, bucket, upload, n + 1, p, algorithm) for n, p in enumerate(pieces)]

    listed = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, kind)
    assert [p[name] for p in listed["Parts"]] == [of(algorithm, p) for p in pieces]
    [found] = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (found["ChecksumAlgorithm"], found["ChecksumType"]) == (algorithm, kind)

    claims = {name: expected, "ChecksumType": kind, "MpuObjectSize": sum(map(len, pieces))}
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}, **claims
    )
    assert (done[name], done["ChecksumType"]) == (expected, kind)
    head = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (expected, kind)
    # boto3 compares what it reads with a checksum of the whole.
    got = s3.get_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name]) == (b"".join(pieces), expected)
    # Of a range the checksum of the whole says nothing.
    assert name not in s3.get_object(Bucket=bucket, Key="big", Range="bytes=0-9", ChecksumMode="ENABLED")


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC64NVME", "FULL_OBJECT"), ("CRC32", "FULL_OBJECT"), ("SHA256", None)])
def test_the_transfer_manager_uploads_under_a_checksum(s3, bucket, chance, tmp_path, algorithm, kind):
    large, back = tmp_path / "large.bin", tmp_path / "back.bin"
    large.write_bytes(chance.randbytes(13 * MIB + 7))
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    more = {"ChecksumType": kind} if kind else {}
    s3.upload_file(str(large), bucket, "by-boto", Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm, **more})
    data = large.read_bytes()
    pieces = [data[at : at + PART] for at in range(0, len(data), PART)]
    expected = whole(algorithm, kind or "COMPOSITE", pieces)
    head = s3.head_object(Bucket=bucket, Key="by-boto", ChecksumMode="ENABLED")
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (expected, kind or "COMPOSITE")
    s3.download_file(bucket, "by-boto", str(back), Config=config)
    assert back.read_bytes() == data


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "SHA256"])
def test_the_aws_command_line_uploads_under_a_checksum(shared, s3, bucket, chance, tmp_path, algorithm):
    large, back = tmp_path / "large.bin", tmp_path / "back.bin"
    large.write_bytes(chance.randbytes(17 * MIB + 3))
    aws = Aws(shared, tmp_path)
    aws("s3", "cp", str(large), f"s3://{bucket}/by-cli", "--checksum-algorithm", algorithm)
    head = s3.head_object(Bucket=bucket, Key="by-cli", ChecksumMode="ENABLED")
    data = large.read_bytes()
    pieces = [data[at : at + 8 * MIB] for at in range(0, len(data), 8 * MIB)]
    assert head[f"Checksum{algorithm}"] == whole(algorithm, head["ChecksumType"], pieces)
    assert head["ChecksumType"] == ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    aws("s3", "cp", f"s3://{bucket}/by-cli", str(back), "--checksum-mode", "ENABLED")
    assert back.read_bytes() == data


@pytest.mark.parametrize(("algorithm", "kind"), BOTH)
def test_a_whole_that_is_another_is_not_made(s3, bucket, chance, algorithm, kind):
    name, pieces = f"Checksum{algorithm}", [chance.randbytes(PART), b"end"]
    s3.put_object(Bucket=bucket, Key="big", Body=b"former")
    upload = begin_with(s3, bucket, algorithm, kind)["UploadId"]
    parts = [put(s3, bucket, upload, n + 1, p, algorithm) for n, p in enumerate(pieces)]
    lie = whole(algorithm, kind, [pieces[0], b"eNd"])

    def done(listed=parts, **more):
        return s3.complete_multipart_upload(
            Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": listed}, **more
        )

    small = algorithm.lower()
    text = f"The {small} you specified did not match the calculated checksum."
    assert refused(lambda: done(**{name: lie})) == ("BadDigest", 400, text)
    other = "COMPOSITE" if kind == "FULL_OBJECT" else "FULL_OBJECT"
    text = f"The upload was created using the {kind} checksum mode. The complete request must use the same checksum mode."
    assert refused(lambda: done(ChecksumType=other)) == ("InvalidRequest", 400, text)
    size = sum(map(len, pieces))
    text = f"The provided 'x-amz-mp-object-size' header value {size + 1} does not match what was computed: {size}"
    assert refused(lambda: done(MpuObjectSize=size + 1)) == ("InvalidRequest", 400, text)
    another = next(a for a in SIZE if a != algorithm)
    text = f"Checksum Type mismatch occurred, expected checksum Type: {small}, actual checksum Type: {another.lower()}"
    assert refused(lambda: done(**{f"Checksum{another}": of(another, b"x")})) == ("InvalidRequest", 400, text)
    assert refused(lambda: done(**{name: "no checksum"}))[:2] == ("InvalidRequest", 400)
    assert refused(lambda: done([{**parts[0], name: parts[1][name]}, parts[1]]))[:2] == ("InvalidPart", 400)
    assert refused(lambda: done([parts[0], {**parts[1], f"Checksum{another}": of(another, b"x")}]))[:2] == ("InvalidPart", 400)
    bare = [parts[0], {k: parts[1][k] for k in ("PartNumber", "ETag")}]
    if kind == "COMPOSITE":
        text = f"The upload was created using a {small} checksum. The complete request must include the checksum for each part. It was missing for part 2 in the request."
        assert refused(lambda: done(bare)) == ("InvalidRequest", 400, text)
        bare = parts
    # Nothing of it was visible, and the upload goes on.
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"former"
    done(bare)
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"".join(pieces)


def test_what_does_not_go_together_is_refused_before_anything_is_sent(s3, plain, bucket):
    for algorithm, kind in (("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
        text = f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        assert refused(lambda: begin_with(s3, bucket, algorithm, kind)) == ("InvalidRequest", 400, text)  # noqa: B023
    text = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
    act = lambda: plain.create_multipart_upload(Bucket=bucket, Key="x", ChecksumType="COMPOSITE")  # noqa: E731
    assert refused(act) == ("InvalidRequest", 400, text)
    for more in ({"ChecksumAlgorithm": "CRC31"}, {"ChecksumAlgorithm": "CRC32", "ChecksumType": "HALF"}):
        assert refused(lambda: plain.create_multipart_upload(Bucket=bucket, Key="x", **more))[:2] == ("InvalidRequest", 400)  # noqa: B023
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_part_comes_with_the_checksum_of_its_upload(s3, plain, bucket, chance):
    body = chance.randbytes(100)
    for algorithm, kind in BOTH:
        upload = begin_with(s3, bucket, algorithm, kind)["UploadId"]
        another = next(a for a in SIZE if a != algorithm)

        def part(**more):
            return plain.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=1, Body=body, **more)  # noqa: B023

        text = f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, actual checksum Type: "
        wrong = {f"Checksum{another}": of(another, body)}
        assert refused(lambda: part(**wrong)) == ("InvalidRequest", 400, text + another.lower())  # noqa: B023
        if kind == "COMPOSITE":
            assert refused(part) == ("InvalidRequest", 400, text + "null")
        else:
            assert part()[f"Checksum{algorithm}"] == of(algorithm, body), "of the whole the server adds it"
        assert refused(lambda: part(**{f"Checksum{algorithm}": of(algorithm, b"lie")}))[:2] == ("BadDigest", 400)  # noqa: B023
        s3.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload)


def test_what_names_no_checksum_has_one_of_the_whole(s3, plain, bucket, chance):
    """CRC64NVME, as at S3; parts may come with another, which is compared when they are listed with it."""
    pieces = [chance.randbytes(PART), chance.randbytes(9)]
    upload = plain.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    listed = [u for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"] if u["UploadId"] == upload]
    assert "ChecksumAlgorithm" not in listed[0]
    parts = [put(plain, bucket, upload, n + 1, p, "SHA1") for n, p in enumerate(pieces)]
    lie = [parts[0], {**parts[1], "ChecksumSHA1": of("SHA1", b"lie")}]
    assert refused(lambda: complete(plain, bucket, upload, lie))[:2] == ("InvalidPart", 400)
    done = complete(plain, bucket, upload, parts)
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (of("CRC64NVME", b"".join(pieces)), "FULL_OBJECT")
    for key, body in (("none", b""), ("small", b"hello"), ("large", pieces[0])):
        done = plain.put_object(Bucket=bucket, Key=key, Body=body)
        assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (of("CRC64NVME", body), "FULL_OBJECT")
        head = plain.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert head["ChecksumCRC64NVME"] == of("CRC64NVME", body)
        assert "ChecksumCRC64NVME" not in plain.head_object(Bucket=bucket, Key=key), "only who asks is told"
    for algorithm in SIZE:
        s3.put_object(Bucket=bucket, Key="named", Body=b"hello", **{f"Checksum{algorithm}": of(algorithm, b"hello")})
        got = s3.get_object(Bucket=bucket, Key="named", ChecksumMode="ENABLED")
        assert got[f"Checksum{algorithm}"] == of(algorithm, b"hello") and got["Body"].read() == b"hello"


def test_a_copy_has_the_checksum_of_its_source_or_the_one_it_names(s3, bucket, chance):
    body = chance.randbytes(200_000)
    s3.put_object(Bucket=bucket, Key="from", Body=body, ChecksumAlgorithm="SHA256")
    source = {"Bucket": bucket, "Key": "from"}
    for more, algorithm in (({}, "SHA256"), ({"ChecksumAlgorithm": "CRC32"}, "CRC32"), ({"MetadataDirective": "REPLACE"}, "SHA256")):
        done = s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **more)["CopyObjectResult"]
        assert (done[f"Checksum{algorithm}"], done["ChecksumType"]) == (of(algorithm, body), "FULL_OBJECT")
        assert s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")[f"Checksum{algorithm}"] == of(algorithm, body)
    # Parts that are copied; of what was composite the copy is whole.
    upload = begin_with(s3, bucket, "SHA256", key="joined")["UploadId"]
    parts = []
    for number in (1, 2):
        done = s3.upload_part_copy(
            Bucket=bucket, Key="joined", UploadId=upload, PartNumber=number, CopySource=source,
            CopySourceRange=f"bytes={(number - 1) * 100_000}-{number * 100_000 - 1}",
        )["CopyPartResult"]
        parts.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": done["ChecksumSHA256"]})
    assert parts[1]["ChecksumSHA256"] == of("SHA256", body[100_000:])
    assert refused(lambda: complete(s3, bucket, upload, parts, key="joined"))[:2] == ("EntityTooSmall", 400)
    s3.put_object(Bucket=bucket, Key="from", Body=chance.randbytes(PART))
    one = s3.upload_part_copy(Bucket=bucket, Key="joined", UploadId=upload, PartNumber=1, CopySource=source)["CopyPartResult"]
    parts[0] = {"PartNumber": 1, "ETag": one["ETag"], "ChecksumSHA256": one["ChecksumSHA256"]}
    assert complete(s3, bucket, upload, parts, key="joined")["ChecksumType"] == "COMPOSITE"
    done = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "joined"})["CopyObjectResult"]
    joined = s3.get_object(Bucket=bucket, Key="joined")["Body"].read()
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (of("SHA256", joined), "FULL_OBJECT")


def test_attributes_tell_checksum_and_parts(shared, s3, bucket, chance):
    pieces = [chance.randbytes(PART), chance.randbytes(PART), b"end"]
    upload = begin_with(s3, bucket, "CRC32C")["UploadId"]
    parts = [put(s3, bucket, upload, 10 * n + 1, p, "CRC32C") for n, p in enumerate(pieces)]
    made = complete(s3, bucket, upload, parts)
    every = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    told = s3.get_object_attributes(Bucket=bucket, Key="big", ObjectAttributes=every)
    assert told["ETag"] == made["ETag"].strip('"') and told["ObjectSize"] == 2 * PART + 3
    assert told["Checksum"] == {"ChecksumCRC32C": whole("CRC32C", "COMPOSITE", pieces), "ChecksumType": "COMPOSITE"}
    assert (told["ObjectParts"]["TotalPartsCount"], told["ObjectParts"]["IsTruncated"]) == (3, False)
    assert told["StorageClass"] == "STANDARD" and told["LastModified"]
    assert told["ObjectParts"]["Parts"] == [
        {"PartNumber": 10 * n + 1, "Size": len(p), "ChecksumCRC32C": of("CRC32C", p)} for n, p in enumerate(pieces)
    ]
    page = s3.get_object_attributes(
        Bucket=bucket, Key="big", ObjectAttributes=["ObjectParts"], MaxParts=1, PartNumberMarker=1
    )
    assert set(page) == {"ResponseMetadata", "LastModified", "ObjectParts"}
    page = page["ObjectParts"]
    assert [p["PartNumber"] for p in page["Parts"]] == [11] and page["IsTruncated"]
    assert (page["PartNumberMarker"], page["NextPartNumberMarker"], page["MaxParts"]) == (1, 11, 1)
    s3.put_object(Bucket=bucket, Key="small", Body=b"hello")
    told = s3.get_object_attributes(Bucket=bucket, Key="small", ObjectAttributes=every)
    assert "ObjectParts" not in told and told["Checksum"]["ChecksumCRC32"] == of("CRC32", b"hello")
    assert refused(lambda: s3.get_object_attributes(Bucket=bucket, Key="none", ObjectAttributes=every))[:2] == ("NoSuchKey", 404)
    assert refused(lambda: s3.get_object_attributes(Bucket=bucket, Key="small", ObjectAttributes=["Owner"]))[:2] == ("InvalidArgument", 400)
    other = s3_client(shared, "globex")
    assert refused(lambda: other.get_object_attributes(Bucket=bucket, Key="small", ObjectAttributes=every))[:2] == ("NoSuchBucket", 404)


def test_checksums_tell_nobody_which_objects_are_equal(house):
    """They are sealed like every digest: the database holds none of them."""
    s3 = s3_client(house)
    s3.create_bucket(Bucket="sealed-sums")
    upload = begin_with(s3, "sealed-sums", "SHA256")["UploadId"]
    complete(s3, "sealed-sums", upload, [put(s3, "sealed-sums", upload, 1, b"content", "SHA256")])
    house.kill()
    with sqlite3.connect(f"file:{house.data}/bailee.sqlite?mode=ro", uri=True) as db:
        rows = db.execute("SELECT sealed_digests FROM object_part").fetchall()
        rows += db.execute("SELECT sealed_meta FROM object").fetchall()
    assert len(rows) >= 2
    for (sealed,) in rows:
        assert of("SHA256", b"content").encode() not in sealed and raw("SHA256", b"content") not in sealed
