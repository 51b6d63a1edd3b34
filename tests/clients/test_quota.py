"""What lies in a bucket and how much may: oss2, alibabacloud-oss-v2, boto3, the command line, the console."""

import hashlib
import json

import alibabacloud_oss_v2 as oss
import house as h
import oss2
import pytest
from conftest import s3_client
from kit import Browser, run
from test_oss import bucket_of, v2_client
from test_s3 import code
from test_versions import refused


@pytest.mark.parametrize("signed", ["v1", "v4"])
def test_oss2_sees_what_lies_there_and_sets_a_capacity(shared, request, signed):
    bucket = bucket_of(shared, "q-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24], signed)
    bucket.create_bucket()
    bucket.put_object("a", b"x" * 100)
    upload = bucket.init_multipart_upload("p").upload_id
    bucket.upload_part("p", upload, 1, b"y" * 50)
    stat = bucket.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count, stat.multi_part_upload_count) == (150, 1, 1)
    assert bucket.get_bucket_storage_capacity().storage_capacity == -1
    bucket.set_bucket_storage_capacity(oss2.models.BucketUserQos(2))
    assert bucket.get_bucket_storage_capacity().storage_capacity == 2
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.set_bucket_storage_capacity(oss2.models.BucketUserQos(-5))
    assert error.value.status == 400
    bucket.set_bucket_storage_capacity(oss2.models.BucketUserQos(-1))
    assert bucket.get_bucket_storage_capacity().storage_capacity == -1


def test_the_new_sdk_sets_a_quota_in_bytes_and_it_holds_for_every_dialect(shared, s3):
    client, bucket = v2_client(shared), "q-bytes"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    with pytest.raises(oss.exceptions.OperationError) as error:
        client.get_bucket_storage_quota(oss.GetBucketStorageQuotaRequest(bucket=bucket))
    assert error.value.unwrap().code == "NoSuchQuotaConfiguration"
    client.put_bucket_storage_quota(oss.PutBucketStorageQuotaRequest(
        bucket=bucket, quota_configuration=oss.QuotaConfiguration(storage_quota=1000, mode="Strict")))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="a", body=b"x" * 600))
    told = client.get_bucket_storage_quota(oss.GetBucketStorageQuotaRequest(bucket=bucket)).quota_configuration
    assert (told.storage_quota, told.mode, told.current_usage) == (1000, "Strict", 600)
    assert client.get_bucket_stat(oss.GetBucketStatRequest(bucket=bucket)).storage == 600
    # Too much at once, too much with what is there; by parts, by a copy; nothing of it stays.
    for size in (5_000_000, 401):
        error = refused(lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"y" * size))
        assert code(error) == ("QuotaExceeded", 403) and "1000" in str(error.value)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p")["UploadId"]
    part = dict(Bucket=bucket, Key="p", UploadId=upload)
    tag = s3.upload_part(**part, PartNumber=1, Body=b"z" * 400)["ETag"]
    assert code(refused(lambda: s3.upload_part(**part, PartNumber=2, Body=b"z")))[0] == "QuotaExceeded"
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert code(refused(lambda: s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a")))[0] == "QuotaExceeded"
    s3.delete_object(Bucket=bucket, Key="p")
    s3.put_object(Bucket=bucket, Key="b", Body=b"y" * 400)
    client.delete_bucket_storage_quota(oss.DeleteBucketStorageQuotaRequest(bucket=bucket))
    s3.put_object(Bucket=bucket, Key="c", Body=b"y" * 5000)
    assert sorted(o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]) == ["a", "b", "c"]


def test_the_provider_says_how_much_a_tenant_may_store(house):
    s3 = s3_client(house)
    for n in range(2):
        s3.create_bucket(Bucket=f"acme-quota-{n}")
    at = ("--data", str(house.data))
    told = json.loads(run(h.BIN, "tenant", "quota", "--tenant", "acme", *at, "--output", "json").stdout)
    assert told["bytesMax"] is None
    told = json.loads(run(h.BIN, "tenant", "quota", "--tenant", "acme", "--bytes", str(told["bytes"] + 1000), *at, "--output", "json").stdout)
    s3.put_object(Bucket="acme-quota-0", Key="o", Body=b"x" * 600)
    assert code(refused(lambda: s3.put_object(Bucket="acme-quota-1", Key="o", Body=b"x" * 401)))[0] == "QuotaExceeded"
    s3.put_object(Bucket="acme-quota-1", Key="o", Body=b"x" * 400)
    after = json.loads(run(h.BIN, "tenant", "quota", "--tenant", "acme", *at, "--output", "json").stdout)
    assert after["bytes"] == told["bytesMax"] and {"bucket": "acme-quota-0", "versions": 1, "bytes": 600} in after["buckets"]
    s3.create_bucket(Bucket="acme-quota-2")
    assert code(refused(lambda: s3.put_object(Bucket="acme-quota-2", Key="o", Body=b"x")))[0] == "QuotaExceeded"
    theirs = s3_client(house, "globex")
    theirs.create_bucket(Bucket="globex-quota")
    theirs.put_object(Bucket="globex-quota", Key="o", Body=b"x" * 5000)
    run(h.BIN, "tenant", "quota", "--tenant", "acme", "--none", *at)
    s3.put_object(Bucket="acme-quota-2", Key="o", Body=b"x")
    browser = Browser(house).login_tenant(house)
    assert "acme-quota-0" in browser.get("/console/data").text and "600" in browser.text
