"""Retention of objects by boto3, oss2 and alibabacloud-oss-v2: locks of versions, legal holds, the WORM of a bucket."""

import datetime
import hashlib
import time

import alibabacloud_oss_v2 as oss
import oss2
import pytest
from conftest import s3_client
from sdk import Sdk, make_user, policy
from test_oss import bucket_of, v2_client
from test_s3 import code
from test_versions import everything, get, put, refused


def soon(seconds):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


@pytest.fixture
def bucket(s3, request):
    name = "l-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def retain(s3, bucket, version, mode, seconds, **more):
    s3.put_object_retention(
        Bucket=bucket, Key="o", VersionId=version, Retention={"Mode": mode, "RetainUntilDate": soon(seconds)}, **more
    )


def destroy(s3, bucket, version, **more):
    return s3.delete_object(Bucket=bucket, Key="o", VersionId=version, **more)


def test_a_bucket_made_with_locks_keeps_versions_and_stays_so(s3, bucket):
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    suspend = lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert code(refused(suspend)) == ("InvalidBucketState", 409)
    rule = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 2}}, "ObjectLockEnabled": "Enabled"}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == rule
    version = put(s3, bucket, b"kept")
    head = s3.head_object(Bucket=bucket, Key="o")
    assert head["ObjectLockMode"] == "GOVERNANCE" and "ObjectLockLegalHoldStatus" not in head
    assert abs((head["ObjectLockRetainUntilDate"] - soon(2 * 365 * 86400)).total_seconds()) < 60
    assert code(refused(lambda: destroy(s3, bucket, version))) == ("AccessDenied", 403)
    destroy(s3, bucket, version, BypassGovernanceRetention=True)
    assert everything(s3, bucket) == ([], [])


def test_governance_gives_way_to_who_may_and_compliance_to_nobody(s3, bucket):
    version = put(s3, bucket, b"kept")
    assert code(refused(lambda: s3.get_object_retention(Bucket=bucket, Key="o"))) == (
        "NoSuchObjectLockConfiguration", 404)
    retain(s3, bucket, version, "GOVERNANCE", 600)
    assert s3.get_object_retention(Bucket=bucket, Key="o")["Retention"]["Mode"] == "GOVERNANCE"
    assert code(refused(lambda: retain(s3, bucket, version, "GOVERNANCE", 300))) == ("AccessDenied", 403)
    retain(s3, bucket, version, "GOVERNANCE", 300, BypassGovernanceRetention=True)
    retain(s3, bucket, version, "COMPLIANCE", 400)
    for softer in (("GOVERNANCE", 500), ("COMPLIANCE", 300)):
        assert code(refused(lambda: retain(s3, bucket, version, *softer, BypassGovernanceRetention=True))) == (
            "AccessDenied", 403)
    for bypass in (True, False):
        error = refused(lambda: destroy(s3, bucket, version, BypassGovernanceRetention=bypass))
        assert code(error) == ("AccessDenied", 403) and "COMPLIANCE" in str(error.value)
        batch = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "o", "VersionId": version}]}, BypassGovernanceRetention=bypass)
        assert [e["Code"] for e in batch["Errors"]] == ["AccessDenied"] and "Deleted" not in batch
    # A delete without a version hides it and destroys nothing; the bucket stays.
    assert s3.delete_object(Bucket=bucket, Key="o")["DeleteMarker"]
    assert get(s3, bucket, VersionId=version) == b"kept"
    assert code(refused(lambda: s3.delete_bucket(Bucket=bucket))) == ("BucketNotEmpty", 409)


def test_a_retention_ends_by_itself_and_a_hold_does_not(s3, bucket):
    done = s3.put_object(
        Bucket=bucket, Key="o", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=soon(3),
        ObjectLockLegalHoldStatus="ON")
    version = done["VersionId"]
    head = s3.head_object(Bucket=bucket, Key="o")
    assert (head["ObjectLockMode"], head["ObjectLockLegalHoldStatus"]) == ("COMPLIANCE", "ON")
    time.sleep(3.2)
    error = refused(lambda: destroy(s3, bucket, version, BypassGovernanceRetention=True))
    assert code(error) == ("AccessDenied", 403) and "legal hold" in str(error.value)
    s3.put_object_legal_hold(Bucket=bucket, Key="o", LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=bucket, Key="o")["LegalHold"] == {"Status": "OFF"}
    destroy(s3, bucket, version)
    assert everything(s3, bucket) == ([], [])


def test_copies_and_uploads_in_parts_are_retained_as_they_say(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon(600))
    s3.copy_object(Bucket=bucket, Key="o", CopySource=f"{bucket}/source")
    assert "ObjectLockMode" not in s3.head_object(Bucket=bucket, Key="o")
    s3.copy_object(Bucket=bucket, Key="o", CopySource=f"{bucket}/source", ObjectLockLegalHoldStatus="ON")
    assert s3.head_object(Bucket=bucket, Key="o")["ObjectLockLegalHoldStatus"] == "ON"
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="p", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=soon(600))["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="p", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.head_object(Bucket=bucket, Key="p")["ObjectLockMode"] == "COMPLIANCE"


def test_what_makes_no_sense_is_refused(s3, bucket):
    plain = bucket + "-p"
    s3.create_bucket(Bucket=plain)
    put(s3, plain, b"x")
    locked = dict(Bucket=plain, Key="o", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon(60))
    assert code(refused(lambda: s3.put_object(**locked))) == ("InvalidRequest", 400)
    assert code(refused(lambda: s3.get_object_lock_configuration(Bucket=plain))) == (
        "ObjectLockConfigurationNotFoundError", 404)
    assert code(refused(lambda: s3.get_object_legal_hold(Bucket=plain, Key="o"))) == ("InvalidRequest", 400)
    on = {"ObjectLockEnabled": "Enabled"}
    assert code(refused(lambda: s3.put_object_lock_configuration(Bucket=plain, ObjectLockConfiguration=on))) == (
        "InvalidBucketState", 409)
    put(s3, bucket, b"x")
    for days in (0, 40000):
        rule = {**on, "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}}}
        assert code(refused(lambda: s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)))[1] == 400
    past = dict(Bucket=bucket, Key="o", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon(-60))
    assert code(refused(lambda: s3.put_object(**past))) == ("InvalidArgument", 400)
    half = lambda: s3.put_object(Bucket=bucket, Key="o", Body=b"x", ObjectLockMode="GOVERNANCE")
    assert code(refused(half)) == ("InvalidArgument", 400)


@pytest.mark.parametrize("signed", ["v1", "v4"])
def test_the_worm_of_a_bucket_by_oss2(shared, request, signed):
    name = "w-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    bucket = bucket_of(shared, name, signed)
    bucket.create_bucket()
    bucket.put_object("o", b"x")
    with pytest.raises(oss2.exceptions.NoSuchWORMConfiguration):
        bucket.get_bucket_worm()
    worm = bucket.init_bucket_worm(1).worm_id
    shown = bucket.get_bucket_worm()
    assert (shown.worm_id, shown.state, shown.retention_period_days) == (worm, "InProgress", 1)
    for act in (lambda: bucket.delete_object("o"), lambda: bucket.put_object("o", b"y")):
        with pytest.raises(oss2.exceptions.OssError) as error:
            act()
        assert (error.value.status, error.value.code) == (409, "FileImmutable")
    bucket.abort_bucket_worm()
    bucket.put_object("o", b"y")
    worm = bucket.init_bucket_worm(1).worm_id
    bucket.complete_bucket_worm(worm)
    assert bucket.get_bucket_worm().state == "Locked"
    with pytest.raises(oss2.exceptions.OssError) as error:
        bucket.abort_bucket_worm()
    assert (error.value.status, error.value.code) == (409, "WORMConfigurationLocked")
    bucket.extend_bucket_worm(worm, 2)
    assert bucket.get_bucket_worm().retention_period_days == 2
    with pytest.raises(oss2.exceptions.OssError) as error:
        bucket.extend_bucket_worm(worm, 1)
    assert error.value.status == 400
    with pytest.raises(oss2.exceptions.OssError) as error:
        bucket.delete_object("o")
    assert error.value.code == "FileImmutable"
    bucket.put_object("new", b"z")


def test_locks_of_versions_by_the_new_sdk_of_oss(shared, s3, bucket):
    client = v2_client(shared)
    rule = oss.ObjectWormConfiguration(
        object_worm_enabled="Enabled",
        rule=oss.ObjectWormConfigurationRule(
            default_retention=oss.ObjectWormConfigurationRuleDefaultRetention(mode="GOVERNANCE", days=3)))
    client.put_bucket_object_worm_configuration(
        oss.PutBucketObjectWormConfigurationRequest(bucket=bucket, object_worm_configuration=rule))
    shown = client.get_bucket_object_worm_configuration(
        oss.GetBucketObjectWormConfigurationRequest(bucket=bucket)).object_worm_configuration
    assert (shown.object_worm_enabled, shown.rule.default_retention.days) == ("Enabled", 3)
    done = client.put_object(oss.PutObjectRequest(
        bucket=bucket, key="o", body=b"x", object_worm_mode="COMPLIANCE",
        object_worm_retain_until_date=soon(600).strftime("%Y-%m-%dT%H:%M:%S.000Z"), object_worm_legal_hold="ON"))
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="o"))
    assert (head.object_worm_mode, head.object_worm_legal_hold) == ("COMPLIANCE", "ON")
    kept = client.get_object_retention(oss.GetObjectRetentionRequest(bucket=bucket, key="o"))
    assert kept.retention.mode == "COMPLIANCE"
    client.put_object_legal_hold(oss.PutObjectLegalHoldRequest(
        bucket=bucket, key="o", legal_hold=oss.LegalHold(status="OFF")))
    assert client.get_object_legal_hold(
        oss.GetObjectLegalHoldRequest(bucket=bucket, key="o")).legal_hold.status == "OFF"
    with pytest.raises(oss.exceptions.OperationError) as error:
        client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="o", version_id=done.version_id))
    assert error.value.unwrap().code == "FileImmutable"


def test_who_may_write_may_not_retain_or_bypass_without_the_right(shared, s3, bucket):
    own = policy("Allow", ["oss:PutObject", "oss:DeleteObject*", "oss:GetObject*"], f"acs:oss:*:*:{bucket}/*")
    key = make_user(Sdk("Ram", shared, shared.key("acme")), "writer", own={"writes": own})
    user = s3_client(shared, key=key)
    version = put(user, bucket, b"x")
    locked = dict(Bucket=bucket, Key="o", Body=b"x")
    for more in (dict(ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon(60)), dict(ObjectLockLegalHoldStatus="ON")):
        assert code(refused(lambda: user.put_object(**locked, **more))) == ("AccessDenied", 403)
    assert code(refused(lambda: retain(user, bucket, version, "GOVERNANCE", 60))) == ("AccessDenied", 403)
    retain(s3, bucket, version, "GOVERNANCE", 600)
    assert code(refused(lambda: destroy(user, bucket, version, BypassGovernanceRetention=True))) == ("AccessDenied", 403)
    assert get(s3, bucket, VersionId=version) == b"x"
    destroy(s3, bucket, version, BypassGovernanceRetention=True)
