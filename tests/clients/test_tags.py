"""Tags of objects, versions and buckets, by boto3, oss2 and alibabacloud-oss-v2."""

import concurrent.futures
import hashlib
import io

import alibabacloud_oss_v2 as oss
import botocore.exceptions
import oss2
import pytest
from conftest import s3_client
from sdk import Sdk, make_user, policy
from test_oss import bucket_of, v2_client
from test_s3 import code


@pytest.fixture
def bucket(s3, request):
    name = "g-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:24]
    s3.create_bucket(Bucket=name)
    return name


def as_set(tags):
    return {"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]}


def tags_of(s3, bucket, key="o", **more):
    return {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key=key, **more)["TagSet"]}


def refused(act):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        act()
    return code(error)


def test_tags_come_with_a_write_and_are_set_read_and_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"x", Tagging="team=a%20b&%E7%A7%98%E5%AF%86=&n=1", Metadata={"m": "1"})
    assert tags_of(s3, bucket) == {"team": "a b", "秘密": "", "n": "1"}
    before = s3.get_object(Bucket=bucket, Key="o")
    assert before["TagCount"] == 3
    s3.put_object_tagging(Bucket=bucket, Key="o", Tagging=as_set({"new": "<&>"}))
    assert tags_of(s3, bucket) == {"new": "<&>"}
    after = s3.get_object(Bucket=bucket, Key="o")
    assert (after["Body"].read(), after["ETag"], after["LastModified"], after["Metadata"]) == (
        b"x", before["ETag"], before["LastModified"], {"m": "1"}
    ), "tags change nothing else"
    s3.delete_object_tagging(Bucket=bucket, Key="o")
    assert tags_of(s3, bucket) == {} and "TagCount" not in s3.head_object(Bucket=bucket, Key="o")
    assert refused(lambda: tags_of(s3, bucket, "none")) == ("NoSuchKey", 404)


def test_too_many_too_long_and_doubled_tags_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"x", Tagging="a=1")
    bad = [
        {str(n): "" for n in range(11)}, {"k" * 129: ""}, {"k": "v" * 257}, {"a\x07": "v"},
    ]
    for tags in bad:
        assert refused(lambda: s3.put_object_tagging(Bucket=bucket, Key="o", Tagging=as_set(tags)))[1] == 400, tags
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refused(lambda: s3.put_object_tagging(Bucket=bucket, Key="o", Tagging=twice)) == ("MalformedXML", 400)
    for header in ("a=1&a=2", "=1", "a=%zz", "&".join(f"k{n}=" for n in range(11))):
        assert refused(lambda: s3.put_object(Bucket=bucket, Key="p", Body=b"x", Tagging=header))[1] == 400, header
    assert tags_of(s3, bucket) == {"a": "1"} and "p" not in str(s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"])


def test_versions_copies_and_parts_have_tags_of_their_own(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=bucket, Key="o", Body=b"1", Tagging="v=one")["VersionId"]
    two = s3.put_object(Bucket=bucket, Key="o", Body=b"2", Tagging="v=two")["VersionId"]
    s3.put_object_tagging(Bucket=bucket, Key="o", VersionId=one, Tagging=as_set({"v": "first"}))
    assert tags_of(s3, bucket, VersionId=one) == {"v": "first"} and tags_of(s3, bucket, VersionId=two) == {"v": "two"}
    assert s3.get_object(Bucket=bucket, Key="o", VersionId=one)["Body"].read() == b"1"
    source = {"Bucket": bucket, "Key": "o"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, TaggingDirective="REPLACE", Tagging="x=y")
    s3.copy_object(Bucket=bucket, Key="meta", CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "b"})
    assert [tags_of(s3, bucket, k) for k in ("kept", "new", "meta")] == [{"v": "two"}, {"x": "y"}, {"v": "two"}]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p", Tagging="in=parts")["UploadId"]
    tag = s3.upload_part(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="p", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    s3.put_object_tagging(Bucket=bucket, Key="p", Tagging=as_set({"in": "one", "more": "2"}))
    assert tags_of(s3, bucket, "p") == {"in": "one", "more": "2"}
    assert s3.get_object(Bucket=bucket, Key="p")["Body"].read() == b"part"
    s3.delete_object(Bucket=bucket, Key="o")
    assert refused(lambda: tags_of(s3, bucket)) == ("NoSuchKey", 404)


def test_taggers_and_writers_at_once_lose_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"x")

    def act(n):
        try:
            if n % 4 == 0:
                s3.put_object(Bucket=bucket, Key="o", Body=b"x" * n, Tagging=f"by=writer{n}")
            else:
                s3.put_object_tagging(Bucket=bucket, Key="o", Tagging=as_set({"by": f"tagger{n}"}))
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ("ServiceUnavailable", "NoSuchKey"), error

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(60)))
    got = s3.get_object(Bucket=bucket, Key="o")
    assert set(got["Body"].read()) <= set(b"x") and list(tags_of(s3, bucket)) == ["by"]


def test_buckets_have_tags_and_another_tenant_sees_none(shared, s3, bucket):
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket)) == ("NoSuchTagSet", 404)
    s3.put_bucket_tagging(Bucket=bucket, Tagging=as_set({"cost": "42", "团队": "甲"}))
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == as_set({"cost": "42", "团队": "甲"})["TagSet"]
    s3.put_object(Bucket=bucket, Key="o", Body=b"x", Tagging="a=1")
    other = s3_client(shared, "globex")
    for act in (
        lambda: other.get_bucket_tagging(Bucket=bucket),
        lambda: other.put_bucket_tagging(Bucket=bucket, Tagging=as_set({"x": "y"})),
        lambda: tags_of(other, bucket),
        lambda: other.put_object_tagging(Bucket=bucket, Key="o", Tagging=as_set({"x": "y"})),
        lambda: other.delete_object_tagging(Bucket=bucket, Key="o"),
    ):
        assert refused(act) == ("NoSuchBucket", 404)
    assert tags_of(s3, bucket) == {"a": "1"}
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket)) == ("NoSuchTagSet", 404)


def test_who_may_write_but_not_tag_brings_no_tags_by_any_way(shared, s3, bucket):
    root = Sdk("Ram", shared, shared.key("acme"))
    document = policy(action=["oss:PutObject", "oss:GetObject"])
    key = make_user(root, "writes-only", own={"writes-only": document})
    writer = s3_client(shared, key=key)
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="a=1")
    source = f"{bucket}/tagged"
    writer.put_object(Bucket=bucket, Key="plain", Body=b"x")
    writer.copy_object(Bucket=bucket, Key="bare", CopySource=source, TaggingDirective="REPLACE")
    for act in (
        lambda: writer.put_object(Bucket=bucket, Key="o", Body=b"x", Tagging="a=1"),
        lambda: writer.copy_object(Bucket=bucket, Key="o", CopySource=source),
        lambda: writer.copy_object(Bucket=bucket, Key="o", CopySource=source, TaggingDirective="REPLACE", Tagging="b=2"),
        lambda: writer.create_multipart_upload(Bucket=bucket, Key="o", Tagging="a=1"),
        lambda: writer.put_object_tagging(Bucket=bucket, Key="plain", Tagging=as_set({"a": "1"})),
        lambda: tags_of(writer, bucket, "tagged"),
    ):
        assert refused(act) == ("AccessDenied", 403)
    assert {o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"tagged", "plain", "bare"}
    assert tags_of(s3, bucket, "bare") == {} and "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_tags_are_sealed_in_the_database(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="sealed-tags")
    s3.put_object(Bucket="sealed-tags", Key="o", Body=b"x", Tagging="patient=Mustermann4711")
    s3.put_object_tagging(Bucket="sealed-tags", Key="o", Tagging=as_set({"patient": "Mustermann4712"}))
    for path in house.data.rglob("*"):
        if path.is_file():
            assert b"Mustermann471" not in path.read_bytes(), path


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_oss_tags(shared, version):
    bucket = bucket_of(shared, f"oss-tags-{version}", version)
    bucket.create_bucket()
    bucket.put_object("文", b"x", headers={"x-oss-tagging": "a=1&b=2"})
    assert bucket.get_object_tagging("文").tag_set.tagging_rule == {"a": "1", "b": "2"}
    assert bucket.head_object("文").headers["x-oss-tagging-count"] == "2"
    rule = oss2.models.TaggingRule()
    rule.add("c", "3")
    bucket.put_object_tagging("文", oss2.models.Tagging(rule))
    assert bucket.get_object_tagging("文").tag_set.tagging_rule == {"c": "3"}
    bucket.delete_object_tagging("文")
    assert bucket.get_object_tagging("文").tag_set.tagging_rule == {}
    assert bucket.get_bucket_tagging().tag_set.tagging_rule == {}
    bucket.put_bucket_tagging(oss2.models.Tagging(rule))
    assert bucket.get_bucket_tagging().tag_set.tagging_rule == {"c": "3"}
    bucket.delete_bucket_tagging()


def test_the_second_oss_sdk_tags(shared):
    client, bucket = v2_client(shared), "v2-tags"
    client.put_bucket(oss.PutBucketRequest(bucket=bucket))
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="o", body=io.BytesIO(b"x"), tagging="a=1"))
    got = client.get_object_tagging(oss.GetObjectTaggingRequest(bucket=bucket, key="o"))
    assert [(t.key, t.value) for t in got.tag_set.tags] == [("a", "1")]
    tagging = oss.Tagging(tag_set=oss.TagSet(tags=[oss.Tag(key="b", value="2")]))
    client.put_object_tagging(oss.PutObjectTaggingRequest(bucket=bucket, key="o", tagging=tagging))
    got = client.get_object_tagging(oss.GetObjectTaggingRequest(bucket=bucket, key="o"))
    assert [(t.key, t.value) for t in got.tag_set.tags] == [("b", "2")]
