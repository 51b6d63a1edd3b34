"""Encryption at rest as its owner wants it: keys of KMS, SM4, keys that customers keep; by boto3, oss2 and alibabacloud-oss-v2."""

import base64
import hashlib
import json
import sqlite3

import alibabacloud_oss_v2 as oss
import oss2
import house as h
import pytest
from conftest import s3_client
from kit import run
from sdk import Sdk, make_user, policy
from test_oss import bucket_of, v2_client
from test_s3 import code
from test_versions import get, put, refused

MIB = 1024 * 1024


@pytest.fixture
def bucket(s3, request):
    name = "e-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def kms(shared):
    return Sdk("Kms", shared, shared.key("acme"))


@pytest.fixture
def cmk(kms):
    return kms("CreateKey", KeySpec="Aliyun_AES_256")["KeyMetadata"]["KeyId"]


def rule(algorithm, key=None):
    by = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": by}]}


def customer(byte="k"):
    return dict(SSECustomerAlgorithm="AES256", SSECustomerKey=byte * 32)


def test_an_object_under_a_key_lives_and_dies_with_it(shared, s3, kms, bucket, cmk, chance):
    for size in (10, 3 * MIB + 1):
        body = chance.randbytes(size)
        done = s3.put_object(Bucket=bucket, Key="o", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
        assert (done["ServerSideEncryption"], done["SSEKMSKeyId"]) == ("aws:kms", cmk)
        head = s3.head_object(Bucket=bucket, Key="o")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", cmk)
        assert get(s3, bucket) == body
        assert get(s3, bucket, Range="bytes=5-8") == body[5:9]
        kms("DisableKey", KeyId=cmk)
        assert code(refused(lambda: get(s3, bucket))) == ("KMS.KMSInvalidStateException", 400)
        assert s3.head_object(Bucket=bucket, Key="o")["ContentLength"] == size, "headers are the tenant's, not the key's"
        more = dict(Bucket=bucket, Key="p", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
        assert code(refused(lambda: s3.put_object(**more))) == ("KMS.KMSInvalidStateException", 400)
        kms("EnableKey", KeyId=cmk)
        assert get(s3, bucket) == body
    kms("ScheduleKeyDeletion", KeyId=cmk, PendingWindowInDays=7)
    assert code(refused(lambda: get(s3, bucket))) == ("KMS.KMSInvalidStateException", 400)
    kms("CancelKeyDeletion", KeyId=cmk)
    kms("EnableKey", KeyId=cmk)
    assert get(s3, bucket) == body


def test_a_bucket_says_how_its_objects_are_encrypted(s3, kms, bucket, cmk):
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0][
        "ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    put(s3, bucket, b"before", "before")
    kms("CreateAlias", KeyId=cmk, AliasName="alias/of-" + bucket)
    for named in (cmk, "alias/of-" + bucket):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule("aws:kms", named))
        shown = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert shown["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": named}
        put(s3, bucket, b"x")
        assert s3.head_object(Bucket=bucket, Key="o")["SSEKMSKeyId"] == cmk
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"part")
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="p", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert done["SSEKMSKeyId"] == cmk and get(s3, bucket, "p") == b"part"
    # A writer who says otherwise has his way; a copy follows its own bucket.
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=bucket, Key="plain")["ServerSideEncryption"] == "AES256"
    assert s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/plain")["SSEKMSKeyId"] == cmk
    s3.delete_bucket_encryption(Bucket=bucket)
    put(s3, bucket, b"after", "after")
    assert s3.head_object(Bucket=bucket, Key="after")["ServerSideEncryption"] == "AES256"
    kms("DisableKey", KeyId=cmk)
    assert get(s3, bucket, "before") == b"before" and get(s3, bucket, "after") == b"after"
    for key in ("o", "p", "copy"):
        assert code(refused(lambda: get(s3, bucket, key))) == ("KMS.KMSInvalidStateException", 400)


def test_what_is_no_key_for_it_is_refused(shared, s3, kms, bucket, cmk):
    rsa = kms("CreateKey", KeySpec="EC_P256", KeyUsage="SIGN/VERIFY")["KeyMetadata"]["KeyId"]
    nowhere = "key-" + "0" * 32
    other = Sdk("Kms", shared, shared.key("globex"))("CreateKey")["KeyMetadata"]["KeyId"]
    for key in (nowhere, other, "alias/nothing"):
        with_key = dict(Bucket=bucket, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        assert code(refused(lambda: s3.put_object(**with_key)))[0] == "KMS.NotFoundException", key
        settings = dict(Bucket=bucket, ServerSideEncryptionConfiguration=rule("aws:kms", key))
        assert code(refused(lambda: s3.put_bucket_encryption(**settings)))[0] == "KMS.NotFoundException", key
    settings = dict(Bucket=bucket, ServerSideEncryptionConfiguration=rule("aws:kms", rsa))
    assert code(refused(lambda: s3.put_bucket_encryption(**settings))) == ("InvalidArgument", 400)
    # Without a key the tenant's default one is meant, when there is one.
    unnamed = dict(Bucket=bucket, Key="o", Body=b"x", ServerSideEncryption="aws:kms")
    error = refused(lambda: s3.put_object(**unnamed))
    assert code(error) == ("InvalidArgument", 400) and "alias/acs/oss" in str(error.value)
    kms("CreateAlias", KeyId=cmk, AliasName="alias/acs/oss")
    assert s3.put_object(**unnamed)["SSEKMSKeyId"] == cmk
    kms("DeleteAlias", AliasName="alias/acs/oss")


def test_who_may_not_use_the_key_reads_nothing_under_it(shared, s3, bucket, cmk):
    own = policy("Allow", ["oss:PutObject", "oss:GetObject"], f"acs:oss:*:*:{bucket}/*")
    ram = Sdk("Ram", shared, shared.key("acme"))
    user = s3_client(shared, key=make_user(ram, "keyless", own={"objects-only": own}))
    under = dict(Bucket=bucket, Key="o", Body=b"secret", ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
    s3.put_object(**under)
    for act in (lambda: get(user, bucket), lambda: user.put_object(**under)):
        error = refused(act)
        assert code(error) == ("AccessDenied", 403)
    assert user.put_object(Bucket=bucket, Key="plain", Body=b"x")
    uses = policy("Allow", ["kms:Decrypt"], f"acs:kms:*:*:key/{cmk}")
    ram("CreatePolicy", PolicyName="may-decrypt", PolicyDocument=uses)
    ram("AttachPolicyToUser", UserName="keyless", PolicyType="Custom", PolicyName="may-decrypt")
    assert get(user, bucket) == b"secret"
    assert code(refused(lambda: user.put_object(**under))) == ("AccessDenied", 403)


def test_a_key_that_the_customer_keeps_is_needed_each_time(shared, s3, bucket, chance):
    body = chance.randbytes(2 * MIB)
    done = s3.put_object(Bucket=bucket, Key="o", Body=body, **customer())
    assert done["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(b"k" * 32).digest()).decode()
    assert get(s3, bucket, **customer()) == body
    assert s3.head_object(Bucket=bucket, Key="o", **customer())["SSECustomerAlgorithm"] == "AES256"
    for act in (get, lambda s3, bucket, **more: s3.head_object(Bucket=bucket, Key="o", **more)):
        assert code(refused(lambda: act(s3, bucket, **customer("x"))))[1] == 403
        assert code(refused(lambda: act(s3, bucket)))[1] == 400
    put(s3, bucket, b"plain", "plain")
    assert code(refused(lambda: get(s3, bucket, "plain", **customer()))) == ("InvalidRequest", 400)
    # In parts, and copied from one key to the next.
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p", **customer())["UploadId"]
    part = dict(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"part")
    assert code(refused(lambda: s3.upload_part(**part))) == ("InvalidRequest", 400)
    assert code(refused(lambda: s3.upload_part(**part, **customer("x"))))[1] == 403
    tag = s3.upload_part(**part, **customer())["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="p", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert get(s3, bucket, "p", **customer()) == b"part"
    source = dict(CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey="k" * 32)
    copy = dict(Bucket=bucket, Key="c", CopySource=f"{bucket}/o")
    assert code(refused(lambda: s3.copy_object(**copy)))[1] == 400
    s3.copy_object(**copy, **source, **customer("n"))
    assert get(s3, bucket, "c", **customer("n")) == body
    s3.copy_object(**copy, **source)
    assert get(s3, bucket, "c") == body
    # Not without its digest, not with another, not with a key of another length.
    for more in (dict(SSECustomerKeyMD5=base64.b64encode(b"0" * 16).decode()), dict(SSECustomerKey="short")):
        with pytest.raises(Exception) as error:
            s3.put_object(Bucket=bucket, Key="bad", Body=b"x", **{**customer(), **more})
        assert "InvalidArgument" in str(error.value)
    # Nothing of the key lies here, and no row opens without it.
    for text in (b"k" * 32, base64.b64encode(b"k" * 32), hashlib.md5(b"k" * 32).hexdigest().encode()):
        for file in (shared.data / "bailee.sqlite", shared.data / "bailee.sqlite-wal", shared.log):
            assert not file.exists() or text not in file.read_bytes(), (text, file)


@pytest.mark.parametrize("signed", ["v1", "v4"])
def test_oss2_encrypts_with_sm4_and_keys(shared, kms, request, cmk, signed, chance):
    name = "e-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    bucket = bucket_of(shared, name, signed)
    bucket.create_bucket()
    with pytest.raises(oss2.exceptions.NoSuchServerSideEncryptionRule):
        bucket.get_bucket_encryption()
    body = chance.randbytes(300_000)
    got = bucket.put_object("o", body, headers={"x-oss-server-side-encryption": "SM4"})
    assert got.headers["x-oss-server-side-encryption"] == "SM4"
    assert bucket.get_object("o").read() == body and bucket.get_object("o", byte_range=(70_000, 70_009)).read() == body[70_000:70_010]
    rules = oss2.models.ServerSideEncryptionRule()
    rules.sse_algorithm, rules.kms_master_keyid, rules.kms_data_encryption = "KMS", cmk, "SM4"
    bucket.put_bucket_encryption(rules)
    shown = bucket.get_bucket_encryption()
    assert (shown.sse_algorithm, shown.kms_master_keyid, shown.kms_data_encryption) == ("KMS", cmk, "SM4")
    bucket.put_object("p", body)
    head = bucket.head_object("p").headers
    assert head["x-oss-server-side-encryption"] == "KMS" and head["x-oss-server-side-encryption-key-id"] == cmk
    assert head["x-oss-server-side-data-encryption"] == "SM4"
    assert bucket.get_object("p").read() == body
    bucket.delete_bucket_encryption()
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object("q", b"x", headers={"x-oss-server-side-encryption": "DES"})
    assert error.value.code == "InvalidEncryptionAlgorithmError"


def test_the_new_sdk_of_oss_sets_the_rule_of_a_bucket(shared, bucket, cmk):
    client = v2_client(shared)
    by = oss.ApplyServerSideEncryptionByDefault(sse_algorithm="KMS", kms_master_key_id=cmk)
    client.put_bucket_encryption(oss.PutBucketEncryptionRequest(
        bucket=bucket,
        server_side_encryption_rule=oss.ServerSideEncryptionRule(apply_server_side_encryption_by_default=by)))
    shown = client.get_bucket_encryption(oss.GetBucketEncryptionRequest(bucket=bucket)).server_side_encryption_rule
    assert shown.apply_server_side_encryption_by_default.kms_master_key_id == cmk
    done = client.put_object(oss.PutObjectRequest(bucket=bucket, key="o", body=b"x"))
    assert done.headers["x-oss-server-side-encryption-key-id"] == cmk
    client.delete_bucket_encryption(oss.DeleteBucketEncryptionRequest(bucket=bucket))


def test_wraps_that_are_moved_do_not_open(house, request):
    """Wrapped keys exchanged between objects under keys, by hand in the database: nothing is given out."""
    kms, s3 = Sdk("Kms", house, house.key("acme")), s3_client(house)
    s3.create_bucket(Bucket="moved-wraps")
    keys = [kms("CreateKey")["KeyMetadata"]["KeyId"] for _ in range(2)]
    for name, key in (("a", keys[0]), ("b", keys[0]), ("c", keys[1])):
        s3.put_object(Bucket="moved-wraps", Key=name, Body=name.encode(), ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    s3.put_object(Bucket="moved-wraps", Key="d", Body=b"d")
    with sqlite3.connect(house.data / "bailee.sqlite") as db:
        rows = dict(db.execute("SELECT object_key, wrapped_key FROM object WHERE bucket = 'moved-wraps'"))
        assert all(rows[n] != rows[m] for n in "abc" for m in "abc" if n != m)
        for name, of in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")):
            db.execute("UPDATE object SET wrapped_key = ? WHERE bucket = 'moved-wraps' AND object_key = ?", (rows[of], name))
    for name in "abcd":
        assert code(refused(lambda: get(s3, "moved-wraps", name))) == ("InternalError", 500)


def test_uses_of_a_key_by_objects_are_counted(house):
    kms, s3 = Sdk("Kms", house, house.key("acme")), s3_client(house)
    key = kms("CreateKey")["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket="counted-uses")
    s3.put_object(Bucket="counted-uses", Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    for _ in range(3):
        get(s3, "counted-uses")
    house.stop()
    at = ("--data", str(house.data))
    said = run(h.BIN, "kms", "uses", "--tenant", "acme", "--key", key, *at, "--output", "json").stdout
    uses = {use["operation"]: use["times"] for use in map(json.loads, said.splitlines())}
    assert uses == {"GenerateDataKey": 1, "Decrypt": 3}
