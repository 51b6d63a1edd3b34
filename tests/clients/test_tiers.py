"""Storage types: Standard, IA, Archive and colder; restore before read; lifecycle rules that move. By boto3, oss2 and
alibabacloud-oss-v2."""

import datetime
import hashlib
import json

import alibabacloud_oss_v2 as oss
import oss2
import pytest

import house as h
from conftest import s3_client
from kit import Browser, run
from sdk import Sdk, make_user, policy
from test_oss import bucket_of, v2_client
from test_s3 import code
from test_versions import get, refused


@pytest.fixture
def bucket(s3, request):
    name = "st-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


def classes(s3, bucket):
    return {o["Key"]: o["StorageClass"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_an_archived_object_is_restored_before_it_is_read(shared, s3, bucket):
    for key, kind in [("at-hand", "STANDARD"), ("seldom", "STANDARD_IA"), ("cold", "GLACIER"), ("colder", "DEEP_ARCHIVE")]:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), StorageClass=kind)
    assert classes(s3, bucket) == {"at-hand": "STANDARD", "seldom": "STANDARD_IA", "cold": "GLACIER", "colder": "DEEP_ARCHIVE"}
    assert get(s3, bucket, "seldom") == b"seldom"
    head = s3.head_object(Bucket=bucket, Key="cold")
    assert head["StorageClass"] == "GLACIER" and head["ContentLength"] == 4 and "Restore" not in head
    for no in (lambda: get(s3, bucket, "cold"), lambda: get(s3, bucket, "cold", Range="bytes=0-1"),
               lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/cold"),
               lambda: s3.restore_object(Bucket=bucket, Key="seldom", RestoreRequest={"Days": 1})):
        assert code(refused(no)) == ("InvalidObjectState", 403)
    for days in (0, 366):
        assert code(refused(lambda: s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": days})))[1] == 400
    first = s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}})
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 202
    head = s3.head_object(Bucket=bucket, Key="cold")
    assert 'ongoing-request="false"' in head["Restore"] and head["StorageClass"] == "GLACIER"
    assert get(s3, bucket, "cold") == b"cold"
    again = s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 1})
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.head_object(Bucket=bucket, Key="cold")["Restore"] == head["Restore"], "a second restore makes the first no shorter"
    # A copy is at hand unless it says otherwise; a copy onto itself changes the class and nothing else.
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/cold")
    assert classes(s3, bucket)["copy"] == "STANDARD" and get(s3, bucket, "copy") == b"cold"
    s3.copy_object(Bucket=bucket, Key="at-hand", CopySource=f"{bucket}/at-hand", StorageClass="GLACIER")
    assert code(refused(lambda: get(s3, bucket, "at-hand"))) == ("InvalidObjectState", 403)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", StorageClass="GLACIER")["UploadId"]
    tag = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]})
    assert classes(s3, bucket)["parts"] == "GLACIER"
    assert code(refused(lambda: s3.put_object(Bucket=bucket, Key="x", Body=b"", StorageClass="WARM"))) == ("InvalidStorageClass", 400)
    browser = Browser(shared).login_tenant(shared)
    browser.get(f"/console/data/{bucket}").post(f"/console/data/{bucket}/read", key="colder")
    assert browser.status == 409 and "restore" in browser.text


def test_an_operator_with_consent_waits_for_the_restore_too(house):
    from test_consent import OBJECT, ask, read
    s3 = s3_client(house)
    s3.copy_object(Bucket=OBJECT["bucket"], Key=OBJECT["key"], CopySource=f"{OBJECT['bucket']}/{OBJECT['key']}", StorageClass="GLACIER")
    lin, li = Browser(house).login_operator(house), Browser(house).login_tenant(house)
    read(lin, OBJECT)
    grant = ask(lin, OBJECT)
    li.get("/console/consent")
    li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
    read(lin, OBJECT)
    assert lin.status == 409 and "restore" in lin.text
    s3.restore_object(Bucket=OBJECT["bucket"], Key=OBJECT["key"], RestoreRequest={"Days": 1})
    read(lin, OBJECT)
    assert lin.status == 200 and b"48,000.00" in lin.data


def test_osss_words_and_a_bucket_with_a_class(shared):
    name = "st-oss"
    bucket = bucket_of(shared, name, "v4")
    bucket.create_bucket(input=oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_IA))
    assert bucket.get_bucket_info().storage_class == "IA"
    bucket.put_object("usual", b"usual")
    upload = bucket.init_multipart_upload("parts").upload_id
    bucket.complete_multipart_upload("parts", upload, [oss2.models.PartInfo(1, bucket.upload_part("parts", upload, 1, b"p").etag)])
    assert bucket.head_object("parts").headers["x-oss-storage-class"] == "IA"
    bucket.delete_object("parts")
    bucket.put_object("cold", b"cold", headers={"x-oss-storage-class": "ColdArchive"})
    bucket.put_object("warm", b"warm", headers={"x-oss-storage-class": "Standard"})
    assert {o.key: o.storage_class for o in bucket.list_objects().object_list} == {"usual": "IA", "cold": "ColdArchive", "warm": "Standard"}
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.get_object("cold")
    assert (error.value.status, error.value.code) == (403, "InvalidObjectState")
    done = bucket.restore_object("cold", input=oss2.models.RestoreConfiguration(days=3, job_parameters=oss2.models.RestoreJobParameters("Bulk")))
    assert done.status == 202
    assert 'ongoing-request="false"' in bucket.head_object("cold").headers["x-oss-restore"]
    assert bucket.get_object("cold").read() == b"cold"
    with pytest.raises(oss2.exceptions.ServerError):
        bucket.append_object("log", 0, b"x", headers={"x-oss-storage-class": "Archive"})
    new = v2_client(shared)
    new.put_object(oss.PutObjectRequest(bucket=name, key="new", body=b"new", storage_class="Archive"))
    assert new.restore_object(oss.RestoreObjectRequest(bucket=name, key="new")).status_code == 202
    assert new.get_object(oss.GetObjectRequest(bucket=name, key="new")).body.content == b"new"
    ram = Sdk("Ram", shared, shared.key("acme"))
    reader = s3_client(shared, key=make_user(ram, "st-reader", own={"reads": policy("Allow", "oss:GetObject")}))
    assert code(refused(lambda: reader.restore_object(Bucket=name, Key="cold", RestoreRequest={"Days": 1}))) == ("AccessDenied", 403)


def test_rules_that_move_and_what_they_do(house):
    s3, name = s3_client(house), "st-rules"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in ("log/a", "log/b", "other"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    s3.put_object(Bucket=name, Key="log/b", Body=b"newer")
    rules = [{"ID": "cool", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 400},
              "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}],
              "NoncurrentVersionTransitions": [{"NoncurrentDays": 10, "StorageClass": "DEEP_ARCHIVE"}]}]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == rules

    def explain(days):
        at = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")
        told = run(h.BIN, "vault", "lifecycle", "--data", str(house.data), "--tenant", "acme", "--bucket", name, "--explain", "--at", at,
                   "--output", "json").stdout
        return sorted((d["key"], d["ends"]) for d in json.loads(told))

    assert explain(5) == []
    assert explain(12) == [("log/b", "moves to ColdArchive")]
    assert explain(40) == [("log/a", "moves to IA"), ("log/b", "moves to ColdArchive"), ("log/b", "moves to IA")]
    assert [e for e in explain(120) if e[1] == "moves to Archive"] == [("log/a", "moves to Archive"), ("log/b", "moves to Archive")]
    assert [e for e in explain(500) if e[1] == "expires"] == [("log/a", "expires"), ("log/b", "expires")], "what expires does not move first"
    # A rule whose day has come: the house applies it, a version at a time, and once.
    past = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [
        {"ID": "now", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Transitions": [{"Date": past, "StorageClass": "GLACIER"}]}]})
    apply = lambda: json.loads(run(h.BIN, "vault", "lifecycle", "--data", str(house.data), "--tenant", "acme", "--bucket", name, "--output", "json").stdout)
    done = apply()
    assert done["ended"] == {"moves to Archive": 2} and done["bytes"] == 0
    assert apply()["ended"] == {}
    assert classes(s3, name) == {"log/a": "GLACIER", "log/b": "GLACIER", "other": "STANDARD"}
    assert code(refused(lambda: get(s3, name, "log/a"))) == ("InvalidObjectState", 403)
    s3.restore_object(Bucket=name, Key="log/a", RestoreRequest={"Days": 1})
    assert get(s3, name, "log/a") == b"log/a", "its bytes are what they were"
    old = bucket_of(house, name, "v4")
    old.put_bucket_lifecycle(oss2.models.BucketLifecycle([oss2.models.LifecycleRule(
        "r", "x/", status="Enabled", storage_transitions=[oss2.models.StorageTransition(days=5, storage_class="IA")])]))
    told = old.get_bucket_lifecycle().rules[0].storage_transitions
    assert [(t.days, t.storage_class) for t in told] == [(5, "IA")]
