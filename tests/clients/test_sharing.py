"""Who besides its account may use a bucket: ACLs, policies in both dialects' words, public access, CORS, and forms that a browser
posts. By boto3, oss2, alibabacloud-oss-v2, and requests without a signature."""

import base64
import datetime
import hashlib
import hmac
import json
import zlib

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

OPEN = dict(BlockPublicAcls=False, IgnorePublicAcls=False, BlockPublicPolicy=False, RestrictPublicBuckets=False)
SHUT = {name: True for name in OPEN}


@pytest.fixture
def bucket(s3, request):
    name = "p-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="site/index.html", Body=b"<p>hello", ContentType="text/html")
    s3.put_object(Bucket=name, Key="secret", Body=b"secret")
    return name


def unblock(s3, bucket, **flags):
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={**OPEN, **flags})


def statement(bucket, action="s3:GetObject", key="site/*", principal="*", effect="Allow", **more):
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": f"arn:aws:s3:::{bucket}/{key}", **more}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def anybody(house, path, method="GET", body=None, headers=None):
    """Without a signature: status, headers, body."""
    return h.request(method, f"{house.objects}/{path}", body=body, headers=headers)


def account(house, alias):
    return house.tenant(alias)["id"]


def test_nothing_is_public_until_its_owner_says_twice_that_it_is(shared, s3, bucket):
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == SHUT
    site = document(statement(bucket))
    for no in (lambda: s3.put_bucket_policy(Bucket=bucket, Policy=site), lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"),
               lambda: s3.create_bucket(Bucket=bucket + "-b", ACL="public-read")):
        assert code(refused(no)) == ("AccessDenied", 403)
    assert code(refused(lambda: s3.get_bucket_policy(Bucket=bucket))) == ("NoSuchBucketPolicy", 404)
    said = {anybody(shared, path)[0] for path in (f"{bucket}/site/index.html", bucket, "no-such-bucket-at-all/x", "")}
    assert said == {403}, "the same for what is there and what is not"
    one, other = anybody(shared, f"{bucket}/x")[2], anybody(shared, "no-such-bucket-at-all/x")[2]
    blind = lambda body: body.split(b"<RequestId>")[0]
    assert blind(one) == blind(other)

    unblock(s3, bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=site)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(site)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    status, headers, body = anybody(shared, f"{bucket}/site/index.html")
    assert (status, body, headers["content-type"]) == (200, b"<p>hello", "text/html")
    assert anybody(shared, f"{bucket}/site/index.html", headers={"range": "bytes=1-3"})[::2] == (206, b"p>h")
    assert anybody(shared, f"{bucket}/site/index.html", "HEAD")[0] == 200
    for path, method in ((f"{bucket}/secret", "GET"), (bucket, "GET"), (f"{bucket}?policy", "GET"), (f"{bucket}/site/new", "PUT"),
                         (f"{bucket}/site/index.html", "DELETE"), (f"{bucket}?acl", "GET"), (f"{bucket}?policy", "DELETE"),
                         (f"{bucket}?publicAccessBlock", "PUT")):
        assert anybody(shared, path, method)[0] == (400 if method == "PUT" and "?" in path else 403), (path, method)
    # Blocked again, it is at once as if there were no policy.
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=SHUT)
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403
    s3.delete_public_access_block(Bucket=bucket)
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 200
    s3.delete_bucket_policy(Bucket=bucket)
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403


def test_canned_acls_in_osss_words(shared, s3):
    name = "p-canned"
    bucket = bucket_of(shared, name, "v4")
    bucket.create_bucket()
    bucket.put_object("a", b"hello")
    bucket.put_object("kept", b"private", headers={"x-oss-object-acl": "private"})
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ)
    new = v2_client(shared)
    new.put_bucket_public_access_block(oss.PutBucketPublicAccessBlockRequest(
        bucket=name, public_access_block_configuration=oss.PublicAccessBlockConfiguration(block_public_access=False)))
    assert new.get_bucket_public_access_block(oss.GetBucketPublicAccessBlockRequest(bucket=name)) \
        .public_access_block_configuration.block_public_access is False
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ)
    assert bucket.get_bucket_acl().acl == "public-read" and bucket.get_bucket_info().acl.grant == "public-read"
    assert anybody(shared, f"{name}/a")[::2] == (200, b"hello")
    assert anybody(shared, f"{name}/kept")[0] == 403, "an object stays private that says so"
    assert bucket.get_object("kept").read() == b"private"
    assert bucket.get_object_acl("kept").acl == "private" and bucket.get_object_acl("a").acl == "default"
    bucket.put_object_acl("kept", oss2.OBJECT_ACL_DEFAULT)
    assert anybody(shared, f"{name}/kept")[0] == 200
    bucket.put_object_acl("a", oss2.OBJECT_ACL_PRIVATE)
    assert anybody(shared, f"{name}/a")[0] == 403
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object_acl("a", oss2.OBJECT_ACL_PUBLIC_READ_WRITE)
    assert error.value.status == 501
    assert b"<Key>a</Key>" in anybody(shared, f"{name}/?list-type=2")[2]
    assert anybody(shared, f"{name}/new", "PUT", b"x", {"content-length": "1"})[0] == 403
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ_WRITE)
    assert anybody(shared, f"{name}/new", "PUT", b"x")[0] == 200
    assert bucket.get_object("new").read() == b"x"
    assert anybody(shared, f"{name}/new", "DELETE")[0] == 204
    grants = {g["Permission"] for g in s3.get_bucket_acl(Bucket=name)["Grants"] if g["Grantee"]["Type"] == "Group"}
    assert grants == {"READ", "WRITE"}
    # What nobody who is named asked for is not written into the log either; what opened the door is.
    trail = Sdk("Actiontrail", shared, shared.key("acme"))("LookupEvents", LookupAttribute=[{"Key": "EventName", "Value": "PutBucketAcl"}])
    told = [e["requestParameters"] for e in trail["Events"] if e["requestParameters"].get("bucket") == name]
    assert [t["acl"] for t in told] == ["public-read-write", "public-read"] or len(told) == 3, told
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PRIVATE)
    assert anybody(shared, f"{name}/kept")[0] == 403


def blind(body):
    return body.split(b"<RequestId>")[0]


def test_an_object_s_acl_opens_it_alone(shared, s3):
    """By oss2: PutObjectACL and the header; before and after by plain HTTP, by another account, and in the trail."""
    name, theirs = "p-object-acl", s3_client(shared, "globex")
    bucket = bucket_of(shared, name, "v4")
    bucket.create_bucket()
    for key in ("open", "shut"):
        bucket.put_object(key, b"hello " + key.encode())
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_object_acl("open", oss2.OBJECT_ACL_PUBLIC_READ)
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_object("brought", b"x", headers={"x-oss-object-acl": "public-read"})
    assert not bucket.object_exists("brought"), "it is refused before anything is stored"
    assert bucket.get_object_acl("open").acl == "default"
    nowhere = refused(lambda: theirs.get_object(Bucket="no-such-bucket-at-all", Key="x"))
    hidden, told = code(nowhere), nowhere.value.response["Error"]
    unblock(s3, name)
    said = [blind(anybody(shared, f"{name}/{key}")[2]) for key in ("open", "shut", "none")]
    said += [blind(anybody(shared, path)[2]) for path in ("no-such-bucket-at-all/x", name)]
    assert len(set(said)) == 1, "before it is open, it is as if it were not there"

    bucket.put_object_acl("open", oss2.OBJECT_ACL_PUBLIC_READ)
    assert bucket.get_object_acl("open").acl == "public-read"
    grants = s3.get_object_acl(Bucket=name, Key="open")["Grants"]
    assert [g["Permission"] for g in grants if g["Grantee"]["Type"] == "Group"] == ["READ"]
    assert anybody(shared, f"{name}/open")[::2] == (200, b"hello open")
    assert anybody(shared, f"{name}/open", "HEAD")[0] == 200
    assert anybody(shared, f"{name}/open", headers={"range": "bytes=0-4"})[::2] == (206, b"hello")
    assert get(theirs, name, "open") == b"hello open"
    theirs.create_bucket(Bucket="p-acl-of-globex")
    theirs.copy_object(Bucket="p-acl-of-globex", Key="copy", CopySource=f"{name}/open")
    assert {blind(anybody(shared, f"{name}/{key}")[2]) for key in ("shut", "none")} == {said[0]}
    for key in ("shut", "none"):
        error = refused(lambda: get(theirs, name, key))  # noqa: B023
        assert code(error) == hidden and error.value.response["Error"] == {**told, "BucketName": name}
    for path, method in ((name, "GET"), (f"{name}/open", "PUT"), (f"{name}/open", "DELETE"), (f"{name}/open?acl", "GET"),
                         (f"{name}/open?tagging", "GET"), (f"{name}/new", "PUT")):
        assert anybody(shared, path, method, b"" if method == "PUT" else None)[0] == 403, (path, method)
    for no in (lambda: theirs.put_object_acl(Bucket=name, Key="open", ACL="private"), lambda: theirs.get_object_acl(Bucket=name, Key="open"),
               lambda: theirs.put_object_acl(Bucket=name, Key="shut", ACL="public-read"), lambda: theirs.list_objects_v2(Bucket=name),
               lambda: theirs.put_object(Bucket=name, Key="x", Body=b"", ACL="public-read")):
        assert code(refused(no)) == hidden

    # With a write, a copy and an upload in parts; a write without one closes it again, and a copy takes none along.
    bucket.put_object("brought", b"x", headers={"x-oss-object-acl": "public-read"})
    bucket.copy_object(name, "open", "copied", headers={"x-oss-object-acl": "public-read"})
    bucket.copy_object(name, "open", "copied-plain")
    upload = s3.create_multipart_upload(Bucket=name, Key="parts", ACL="public-read")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="parts", UploadId=upload, PartNumber=1, Body=b"parts")
    s3.complete_multipart_upload(Bucket=name, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert [anybody(shared, f"{name}/{key}")[0] for key in ("brought", "copied", "parts", "copied-plain")] == [200, 200, 200, 403]
    bucket.put_object("brought", b"y")
    assert anybody(shared, f"{name}/brought")[0] == 403
    # In the trail: whoever opened what, also by a write.
    trail = Sdk("Actiontrail", shared, shared.key("acme"))("LookupEvents", LookupAttribute=[{"Key": "EventName", "Value": "PutObjectAcl"}])
    told = [e["requestParameters"] for e in trail["Events"] if e["requestParameters"].get("bucket") == name]
    opened = {t["object"] for t in told if t["acl"] == "public-read"}
    assert {"open", "brought", "copied", "parts"} <= opened and "copied-plain" not in opened, told
    # Public access is blocked again: at once, whatever the object says.
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=SHUT)
    assert blind(anybody(shared, f"{name}/open")[2]) == said[0]
    assert code(refused(lambda: get(theirs, name, "open"))) == hidden
    assert get(s3, name, "open") == b"hello open"


def test_an_acl_is_one_version_s(shared, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    unblock(s3, bucket)
    one = s3.put_object(Bucket=bucket, Key="v", Body=b"one", ACL="public-read")["VersionId"]
    assert anybody(shared, f"{bucket}/v")[2] == b"one"
    two = s3.put_object(Bucket=bucket, Key="v", Body=b"two")["VersionId"]
    assert anybody(shared, f"{bucket}/v")[0] == 403
    assert anybody(shared, f"{bucket}/v?versionId={one}")[2] == b"one"
    assert anybody(shared, f"{bucket}/v?versionId={two}")[0] == 403
    s3.put_object_acl(Bucket=bucket, Key="v", VersionId=two, ACL="public-read")
    s3.put_object_acl(Bucket=bucket, Key="v", VersionId=one, ACL="private")
    assert anybody(shared, f"{bucket}/v")[2] == b"two"
    assert anybody(shared, f"{bucket}/v?versionId={one}")[0] == 403
    s3.delete_object(Bucket=bucket, Key="v")
    assert blind(anybody(shared, f"{bucket}/v")[2]) == blind(anybody(shared, f"{bucket}/none")[2])


def test_a_private_object_stays_so_in_a_public_bucket(shared, s3, bucket):
    unblock(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for acl in ("private", "bucket-owner-full-control", "bucket-owner-read"):
        s3.put_object(Bucket=bucket, Key="kept", Body=b"x", ACL=acl)
        assert anybody(shared, f"{bucket}/kept")[0] == 403, acl
    s3.put_object_acl(Bucket=bucket, Key="kept", ACL="public-read")
    assert anybody(shared, f"{bucket}/kept")[0] == 200
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert anybody(shared, f"{bucket}/kept")[0] == 200 and anybody(shared, f"{bucket}/secret")[0] == 403


def test_acls_that_are_none_are_refused(shared, s3, bucket):
    unblock(s3, bucket)
    acl = lambda **more: lambda: s3.put_object_acl(Bucket=bucket, Key="secret", **more)
    owner = {"ID": account(shared, "acme")}
    grants = {"Owner": owner, "Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": owner["ID"]}, "Permission": "READ"}]}
    for no in (acl(ACL="public-read-write"), acl(ACL="authenticated-read"), acl(ACL="aws-exec-read"), acl(AccessControlPolicy=grants),
               acl(GrantRead=f"id={owner['ID']}"), acl(ACL="public-read", GrantRead=f"id={owner['ID']}")):
        assert code(refused(no)) == ("NotImplemented", 501)
    assert code(refused(acl(ACL="everybody")))[0] == "InvalidArgument"
    assert code(refused(acl(ACL="public-read", AccessControlPolicy=grants))) == ("UnexpectedContent", 400)
    assert code(refused(lambda: s3.put_object(Bucket=bucket, Key="x", Body=b"", ACL="everybody")))[0] == "InvalidArgument"
    assert code(refused(lambda: s3.put_object_acl(Bucket=bucket, Key="none", ACL="public-read"))) == ("NoSuchKey", 404)
    assert anybody(shared, f"{bucket}/secret")[0] == 403
    # Nothing under a key is opened, whoever wrote what first.
    key = Sdk("Kms", shared, shared.key("acme"))("CreateKey")["KeyMetadata"]["KeyId"]
    under = dict(ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert code(refused(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"k", ACL="public-read", **under)))[0] == "InvalidArgument"
    s3.put_object(Bucket=bucket, Key="k", Body=b"k", **under)
    assert code(refused(lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")))[0] == "InvalidArgument"
    assert anybody(shared, f"{bucket}/k", "HEAD")[0] == 403
    # Who may write may not open; that is a right of its own.
    writes = {"writes": policy("Allow", ["oss:PutObject", "oss:GetObject"])}
    writer = s3_client(shared, key=make_user(Sdk("Ram", shared, shared.key("acme")), "acl-writer", own=writes))
    writer.put_object(Bucket=bucket, Key="w", Body=b"w")
    for no in (lambda: writer.put_object(Bucket=bucket, Key="w", Body=b"w", ACL="public-read"),
               lambda: writer.put_object_acl(Bucket=bucket, Key="w", ACL="public-read")):
        assert code(refused(no)) == ("AccessDenied", 403)


def test_another_account_reads_what_it_was_given_and_no_more(shared, s3, bucket):
    theirs = s3_client(shared, "globex")
    assert code(refused(lambda: get(theirs, bucket, "secret"))) == ("NoSuchBucket", 404)
    given = {"AWS": f"arn:aws:iam::{account(shared, 'globex')}:root"}
    # Not public: it names one account. So it needs no unblocking.
    s3.put_bucket_policy(Bucket=bucket, Policy=document(
        statement(bucket, ["s3:GetObject", "s3:PutObject"], "site/*", given),
        {**statement(bucket, "s3:ListBucket", principal=given), "Resource": f"arn:aws:s3:::{bucket}",
         "Condition": {"StringLike": {"s3:prefix": "site/*"}}}))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    assert get(theirs, bucket, "site/index.html") == b"<p>hello"
    theirs.put_object(Bucket=bucket, Key="site/from-globex", Body=b"x" * 100_000)
    assert get(s3, bucket, "site/from-globex") == b"x" * 100_000
    listed = theirs.list_objects_v2(Bucket=bucket, Prefix="site/")
    assert [o["Key"] for o in listed["Contents"]] == ["site/from-globex", "site/index.html"]
    for no in (lambda: get(theirs, bucket, "secret"), lambda: theirs.list_objects_v2(Bucket=bucket),
               lambda: theirs.delete_object(Bucket=bucket, Key="site/index.html"), lambda: theirs.get_bucket_policy(Bucket=bucket),
               lambda: theirs.delete_bucket_policy(Bucket=bucket), lambda: theirs.delete_bucket(Bucket=bucket),
               lambda: theirs.put_bucket_acl(Bucket=bucket, ACL="private")):
        assert code(refused(no)) == ("NoSuchBucket", 404)
    # Copies: a read there, a write here, each by its own right.
    theirs.create_bucket(Bucket="p-of-globex")
    theirs.copy_object(Bucket="p-of-globex", Key="copy", CopySource=f"{bucket}/site/index.html")
    assert get(theirs, "p-of-globex", "copy") == b"<p>hello"
    assert code(refused(lambda: theirs.copy_object(Bucket="p-of-globex", Key="c", CopySource=f"{bucket}/secret")))[1] == 404
    assert code(refused(lambda: theirs.create_bucket(Bucket=bucket))) == ("BucketAlreadyExists", 409)
    # A user of the other account may, unless a policy of his own denies it; anybody else may not.
    ram = Sdk("Ram", shared, shared.key("globex"))
    allowed = s3_client(shared, key=make_user(ram, "guest"))
    assert get(allowed, bucket, "site/index.html") == b"<p>hello"
    denied = s3_client(shared, key=make_user(ram, "kept-home", own={"no-oss": policy("Deny", "oss:*")}))
    assert code(refused(lambda: get(denied, bucket, "site/index.html")))[1] == 404
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403
    # What is under a key of KMS is not theirs, whatever the bucket says.
    key = Sdk("Kms", shared, shared.key("acme"))("CreateKey")["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=bucket, Key="site/under-a-key", Body=b"k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert code(refused(lambda: get(theirs, bucket, "site/under-a-key"))) == ("AccessDenied", 403)
    refused_put = lambda: theirs.put_object(Bucket=bucket, Key="site/k", Body=b"k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert code(refused(refused_put)) == ("AccessDenied", 403)


def test_a_bucket_s_policy_holds_for_its_own_people_too(shared, s3, bucket):
    ram = Sdk("Ram", shared, shared.key("acme"))
    reader = make_user(ram, "p-reader")
    writer = make_user(ram, "p-writer", own={"all-of-oss": policy("Allow", "oss:*")})
    me, she = s3_client(shared, key=reader), s3_client(shared, key=writer)
    assert code(refused(lambda: get(me, bucket, "secret"))) == ("AccessDenied", 403)
    acme = account(shared, "acme")
    oss_words = json.dumps({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["oss:GetObject"], "Principal": {"RAM": [f"acs:ram::{acme}:user/p-reader"]},
         "Resource": [f"acs:oss:*:{acme}:{bucket}/*"]},
        {"Effect": "Deny", "Action": ["oss:DeleteObject"], "Principal": ["*"], "Resource": [f"acs:oss:*:*:{bucket}/secret"]}]})
    old = bucket_of(shared, bucket, "v1")
    old.put_bucket_policy(oss_words)
    assert json.loads(old.get_bucket_policy().policy) == json.loads(oss_words)
    new = v2_client(shared)
    assert json.loads(new.get_bucket_policy(oss.GetBucketPolicyRequest(bucket=bucket)).body) == json.loads(oss_words)
    assert new.get_bucket_policy_status(oss.GetBucketPolicyStatusRequest(bucket=bucket)).policy_status.is_public is False
    assert get(me, bucket, "secret") == b"secret"
    assert code(refused(lambda: me.put_object(Bucket=bucket, Key="x", Body=b""))) == ("AccessDenied", 403)
    assert code(refused(lambda: she.delete_object(Bucket=bucket, Key="secret"))) == ("AccessDenied", 403)
    # The root is not limited by it.
    s3.delete_object(Bucket=bucket, Key="secret")
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    def who_can(action):
        told = run(h.BIN, "who-can", "--tenant", "acme", "--action", action, "--resource", f"acs:oss:*:{acme}:{bucket}/secret",
                   "--data", str(shared.data), "--output", "json").stdout
        return json.loads(told)

    cans = who_can("oss:DeleteObject")
    writer = [c for c in cans if c["principal"] == "user/p-writer"]
    assert writer and all(any("the bucket's policy, statement 2" in u for u in c["unless"]) for c in writer)
    assert all(not c["unless"] for c in cans if c["principal"] == "root")
    assert any("the bucket's policy, statement 1" in c["path"] and "user/p-reader" in " ".join(c["only_if"]) for c in who_can("oss:GetObject"))
    old.delete_bucket_policy()
    assert code(refused(lambda: get(me, bucket, "secret"))) == ("AccessDenied", 403)


@pytest.mark.parametrize("text,says", [
    ("", ""), ("{", ""), ("[]", ""), ('{"Version":"1","Statement":[]}', ""),
    (document(statement("x", "s3:Fly")), "s3:Fly"), (document(statement("x", principal={"Service": "a"})), "AWS"),
    (document({**statement("x"), "Condition": {"StringEquals": {"aws:Oddity": "1"}}}), "aws:Oddity"),
    (json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}), "Principal"),
    ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::x"}]}', "Effect"),
    ("x" * 20_000, ""), ("[" * 9_000, ""),
])
def test_a_policy_is_understood_whole_or_refused(s3, bucket, text, says):
    unblock(s3, bucket)
    error = refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=text))
    assert code(error)[0] in ("MalformedPolicy", "EntityTooLarge") and code(error)[1] == 400
    assert says in error.value.response["Error"]["Message"]
    assert code(refused(lambda: s3.get_bucket_policy(Bucket=bucket))) == ("NoSuchBucketPolicy", 404)


def test_conditions_of_address_and_transport(shared, s3, bucket):
    unblock(s3, bucket)
    here = {"Condition": {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket, **here)))
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 200
    away = {"Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket, **away)))
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403
    tls = statement(bucket, "s3:*", effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket), tls))
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403, "the sample serves without TLS"


def test_it_survives_a_restart_and_another_s_bucket_of_the_same_name_is_not_shared(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="p-again")
    s3.put_object(Bucket="p-again", Key="a", Body=b"a")
    unblock(s3, "p-again")
    s3.put_bucket_acl(Bucket="p-again", ACL="public-read")
    house.kill()
    again = h.House(house.data)
    try:
        assert anybody(again, "p-again/a")[0] == 200
        s3 = s3_client(again)
        s3.delete_object(Bucket="p-again", Key="a")
        s3.delete_bucket(Bucket="p-again")
        theirs = s3_client(again, "globex")
        theirs.create_bucket(Bucket="p-again")
        theirs.put_object(Bucket="p-again", Key="a", Body=b"b")
        assert anybody(again, "p-again/a")[0] == 403
        assert code(refused(lambda: get(s3, "p-again", "a"))) == ("NoSuchBucket", 404)
    finally:
        again.stop()


def preflight(house, path, origin, method, headers=None):
    sent = {"Origin": origin, "Access-Control-Request-Method": method}
    return anybody(house, path, "OPTIONS", headers={**sent, **({"Access-Control-Request-Headers": headers} if headers else {})})


def test_pages_of_other_origins(shared, s3, bucket):
    app = "https://app.example.com"
    assert code(refused(lambda: s3.get_bucket_cors(Bucket=bucket))) == ("NoSuchCORSConfiguration", 404)
    assert preflight(shared, f"{bucket}/a", app, "PUT")[0] == 403
    rules = [{"ID": "app", "AllowedOrigins": ["https://*.example.com"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["content-*", "x-amz-date"],
              "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 600}, {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    status, headers, _ = preflight(shared, f"{bucket}/a", app, "PUT", "Content-Type, x-amz-date")
    assert status == 200 and headers["access-control-allow-origin"] == app and headers["access-control-max-age"] == "600"
    assert headers["access-control-allow-headers"] == "Content-Type, x-amz-date" and "Origin" in headers["vary"]
    assert "access-control-allow-credentials" not in headers
    assert preflight(shared, f"{bucket}/a", app, "PUT", "authorization")[0] == 403
    assert preflight(shared, f"{bucket}/a", "https://evil.example", "PUT")[0] == 403
    assert preflight(shared, f"{bucket}/a", "https://evil.example", "GET")[1]["access-control-allow-origin"] == "*"
    assert anybody(shared, f"{bucket}/a", "OPTIONS")[0] == 400
    # The answer itself, errors too: else a page could not say what went wrong.
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "secret"})
    status, headers, _ = h.request("GET", url, headers={"Origin": app})
    assert status == 200 and headers["access-control-allow-origin"] == app and headers["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" in anybody(shared, f"{bucket}/secret", headers={"Origin": app})[1]
    assert "access-control-allow-origin" not in h.request("GET", url)[1]
    for bad in ([{"AllowedOrigins": ["*.*"], "AllowedMethods": ["GET"]}], [{"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}]):
        assert code(refused(lambda: s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": bad})))[1] == 400
    old = bucket_of(shared, bucket, "v4")
    old.put_bucket_cors(oss2.models.BucketCors([oss2.models.CorsRule(allowed_origins=["https://o.example"], allowed_methods=["POST"])]))
    assert old.get_bucket_cors().rules[0].allowed_origins == ["https://o.example"]
    assert preflight(shared, bucket, "https://o.example", "POST")[0] == 200
    s3.delete_bucket_cors(Bucket=bucket)
    assert preflight(shared, bucket, "https://o.example", "POST")[0] == 403


def multipart(fields, file=b"content", name="a b.txt", last=True):
    mark = "----bailee"
    out = b""
    for key, value in fields.items():
        out += f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
    if file is not None:
        out += f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'.encode() + file + b"\r\n"
    if last:
        out += f"--{mark}--\r\n".encode()
    return out, {"Content-Type": f"multipart/form-data; boundary={mark}"}


def post(house, bucket, fields, **more):
    body, headers = multipart(fields, **more)
    return anybody(house, f"{bucket}", "POST", body, headers)


def test_a_form_of_boto3(shared, s3, bucket, chance):
    made = s3.generate_presigned_post(bucket, "up/${filename}", Fields={"Content-Type": "text/plain", "x-amz-meta-a": "1", "success_action_status": "201"},
                                      Conditions=[{"Content-Type": "text/plain"}, {"x-amz-meta-a": "1"}, {"success_action_status": "201"},
                                                  ["content-length-range", 1, 3_000_000]])
    content = chance.randbytes(2_500_000)
    status, headers, body = post(shared, bucket, made["fields"], file=content)
    assert status == 201 and b"<Key>up/a b.txt</Key>" in body, body
    got = s3.get_object(Bucket=bucket, Key="up/a b.txt")
    assert got["Body"].read() == content and got["Metadata"] == {"a": "1"} and got["ContentType"] == "text/plain"
    assert headers["etag"] == f'"{hashlib.md5(content).hexdigest()}"'
    fields = made["fields"]
    flipped = fields["x-amz-signature"][:-1] + ("0" if fields["x-amz-signature"][-1] != "0" else "1")
    late = s3.generate_presigned_post(bucket, "late", ExpiresIn=-10)
    for fields_, file, status, says in [
        ({**fields, "x-amz-signature": flipped}, b"x", 403, b"SignatureDoesNotMatch"),
        ({**fields, "x-amz-meta-a": "2"}, b"x", 403, b"x-amz-meta-a"),
        ({**fields, "x-amz-meta-b": "2"}, b"x", 403, b"x-amz-meta-b"),
        ({**fields, "key": "elsewhere"}, b"x", 403, b"key"),
        (fields, b"", 400, b"smaller"),
        (fields, b"x" * 3_000_001, 400, b"larger"),
        (late["fields"], b"x", 403, b"expired"),
        ({k: v for k, v in fields.items() if k != "policy"}, b"x", 400, b"policy"),
        ({k: v for k, v in fields.items() if k != "key"}, b"x", 400, b"key"),
        ({**fields, "policy": "e30="}, b"x", 400, b""),
        ({"key": "unsigned"}, b"x", 403, b"not signed"),
        ({**fields, "x-amz-credential": "AKNOBODY/20260102/us-east-1/s3/aws4_request"}, b"x", 403, b"x-amz-credential"),
        (fields, None, 400, b"no file"),
    ]:
        got = post(shared, bucket, fields_, file=file)
        assert got[0] == status and says in got[2], (status, says, got)
    assert post(shared, bucket, fields, file=b"cut", last=False)[0] == 400
    assert post(shared, bucket, {**{f"f{n}": "" for n in range(101)}, **fields})[0] == 400
    assert post(shared, bucket, {"x-ignore-big": "x" * 70_000, **fields})[2].count(b"EntityTooLarge") == 1
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["secret", "site/index.html", "up/a b.txt"], "nothing of what was refused is kept"
    assert got_is(s3, bucket, content)
    with_sum = s3.generate_presigned_post(bucket, "sum", Fields={"x-amz-checksum-crc32": "AAAAAA=="}, Conditions=[["starts-with", "$x-amz-checksum-crc32", ""]])
    assert post(shared, bucket, with_sum["fields"])[0] == 400, "a checksum that a form claims is compared"
    right = {**with_sum["fields"], "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(b"content").to_bytes(4, "big")).decode()}
    assert post(shared, bucket, right)[0] == 204
    # For another's bucket the same form opens nothing.
    s3_client(shared, "globex").create_bucket(Bucket="p-form-of-globex")
    other = s3.generate_presigned_post("p-form-of-globex", "x")
    assert post(shared, "p-form-of-globex", other["fields"])[0] == 404


def got_is(s3, bucket, content):
    return get(s3, bucket, "up/a b.txt") == content


def oss_form(house, bucket, key, version, **more):
    key_id, secret = house.key("acme")
    now = datetime.datetime.now(datetime.timezone.utc)
    expires = (now + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    conditions = [{"bucket": bucket}, ["starts-with", "$key", "up/"], ["content-length-range", 1, 1000], ["in", "$x-oss-meta-kind", ["a", "b"]]]
    fields = {"key": key, "x-oss-meta-kind": "a", **more}
    if version == "v4":
        day, date = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
        credential = f"{key_id}/{day}/{h.REGION}/oss/aliyun_v4_request"
        fields |= {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-credential": credential, "x-oss-date": date}
        conditions += [{n: fields[n]} for n in ("x-oss-signature-version", "x-oss-credential", "x-oss-date")]
    document = base64.b64encode(json.dumps({"expiration": expires, "conditions": conditions}).encode()).decode()
    fields["policy"] = document
    if version == "v4":
        key = ("aliyun_v4" + secret).encode()
        for part in (day, h.REGION, "oss", "aliyun_v4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        fields["x-oss-signature"] = hmac.new(key, document.encode(), hashlib.sha256).hexdigest()
    else:
        fields["OSSAccessKeyId"] = key_id
        fields["Signature"] = base64.b64encode(hmac.new(secret.encode(), document.encode(), hashlib.sha1).digest()).decode()
    return fields


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_form_of_oss(shared, bucket, version):
    mine = bucket_of(shared, bucket, "v4")
    done = post(shared, bucket, oss_form(shared, bucket, "up/发票.txt", version, success_action_status="200"))
    assert done[0] == 200, done
    assert done[1]["x-oss-request-id"] and done[1]["etag"] == f'"{hashlib.md5(b"content").hexdigest().upper()}"'
    assert mine.get_object("up/发票.txt").headers["x-oss-meta-kind"] == "a"
    to = post(shared, bucket, oss_form(shared, bucket, "up/b", version, success_action_redirect="https://app.example/done"))
    assert to[0] == 303 and to[1]["location"].startswith(f"https://app.example/done?bucket={bucket}&key=up%2Fb&etag=%22")
    for fields, status in [
        (oss_form(shared, bucket, "elsewhere", version), 403),
        ({**oss_form(shared, bucket, "up/c", version), "x-oss-meta-kind": "c"}, 403),
        ({**oss_form(shared, bucket, "up/c", version), "callback": "e30="}, 501),
        ({**oss_form(shared, bucket, "up/c", version), "x-oss-object-acl": "public-read-write"}, 501),
        ({**oss_form(shared, bucket, "up/c", version), "x-oss-object-acl": "public-read"}, 403),
        ({**oss_form(shared, bucket, "up/发票.txt", version), "x-oss-forbid-overwrite": "true"}, 409),
    ]:
        assert post(shared, bucket, fields)[0] == status, fields
    assert post(shared, bucket, oss_form(shared, bucket, "up/d", version), file=b"x" * 1001)[0] == 400


def test_the_console_says_who_may_use_a_bucket_and_blocks_it(shared, s3, bucket):
    browser = Browser(shared).login_tenant(shared)
    page = browser.get(f"/console/data/{bucket}")
    assert "public access is blocked" in page.text.lower()
    unblock(s3, bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket)))
    page = browser.get(f"/console/data/{bucket}")
    assert "everybody may read" in page.text.lower() or "public" in page.text.lower()
    assert "s3:GetObject" in page.text
    page.post(f"/console/data/{bucket}/block")
    assert anybody(shared, f"{bucket}/site/index.html")[0] == 403
    assert "public access is blocked" in browser.get(f"/console/data/{bucket}").text.lower()
