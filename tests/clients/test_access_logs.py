"""Access logs of a bucket, in the words of both dialects: who asked for what, strangers too, and no secret in them."""

import re
import urllib.parse

import boto3
import oss2
import pytest

import house as h
from conftest import s3_client
from sdk import Sdk, make_user, policy
from test_oss import bucket_of
from test_s3 import code
from test_sharing import anybody, document, statement, unblock
from test_versions import get, refused

# Fields of S3's line, in order (Amazon S3 server access log format).
S3_LINE = re.compile(
    r'(?P<owner>\S+) (?P<bucket>\S+) \[(?P<time>[^\]]+)\] (?P<ip>\S+) (?P<requester>\S+) (?P<request>\S+) (?P<operation>\S+) (?P<key>\S+) '
    r'"(?P<uri>[^"]*)" (?P<status>\d+) (?P<error>\S+) (?P<sent>\S+) (?P<size>\S+) (?P<total>\d+) (?P<turn>\d+) "(?P<referer>[^"]*)" '
    r'"(?P<agent>[^"]*)" (?P<version>\S+) (?P<host>\S+) (?P<signature>\S+) (?P<cipher>\S+) (?P<auth>\S+) (?P<header>\S+) (?P<tls>\S+) (?P<point>\S+) (?P<acl>\S+)')


def logs(s3, bucket, prefix):
    names = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return names, [line for name in names for line in get(s3, bucket, name).decode().splitlines()]


def test_what_is_asked_of_a_bucket_is_written_into_another(house):
    s3 = s3_client(house)
    for name in ("al-source", "al-logs"):
        s3.create_bucket(Bucket=name)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="al-source")
    s3.put_object(Bucket="al-source", Key="before", Body=b"x")
    to = {"LoggingEnabled": {"TargetBucket": "al-logs", "TargetPrefix": "s3/"}}
    s3.put_bucket_logging(Bucket="al-source", BucketLoggingStatus=to)
    assert s3.get_bucket_logging(Bucket="al-source")["LoggingEnabled"] == to["LoggingEnabled"]
    s3.put_object(Bucket="al-source", Key="a b/发票", Body=b"hello")
    assert get(s3, "al-source", "a b/发票") == b"hello"
    refused(lambda: get(s3, "al-source", "none"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "al-source", "Key": "a b/发票"})
    assert h.request("GET", url, headers={"User-Agent": 'odd "agent"\t', "Referer": "https://page.example/"})[0] == 200
    unblock(s3, "al-source")
    s3.put_bucket_policy(Bucket="al-source", Policy=document(statement("al-source", key="*")))
    assert anybody(house, "al-source/before")[0] == 200
    assert anybody(house, "al-source?policy")[0] == 403
    oss = bucket_of(house, "al-oss", "v4")
    oss.create_bucket()
    oss.put_bucket_logging(oss2.models.BucketLogging("al-logs", "oss/"))
    assert (oss.get_bucket_logging().target_bucket, oss.get_bucket_logging().target_prefix) == ("al-logs", "oss/")
    oss.put_object("o", b"hello")
    oss.get_object("o").read()
    house.stop()
    again = h.House(house.data)
    try:
        s3 = s3_client(again)
        names, lines = logs(s3, "al-logs", "s3/")
        assert re.fullmatch(r"s3/\d{4}(-\d\d){5}-[0-9A-F]{16}", names[0]), names
        read = [S3_LINE.fullmatch(line) for line in lines]
        assert all(read), [line for line, r in zip(lines, read) if not r]
        acme = again.tenant("acme")["id"]
        assert {r["owner"] for r in read} == {acme} and {r["bucket"] for r in read} == {"al-source"}
        seen = [(r["operation"], urllib.parse.unquote(r["key"]), r["status"], r["error"], r["auth"]) for r in read]
        assert ("REST.PUT.OBJECT", "a b/发票", "200", "-", "AuthHeader") in seen
        assert ("REST.GET.OBJECT", "none", "404", "NoSuchKey", "AuthHeader") in seen
        assert ("REST.GET.OBJECT", "a b/发票", "200", "-", "QueryString") in seen
        assert ("REST.GET.OBJECT", "before", "200", "-", "-") in seen
        assert ("REST.GET.BUCKET", "-", "403", "AccessDenied", "-") in seen
        assert not any(key == "before" and what == "REST.PUT.OBJECT" for what, key, *_ in seen), "from before it was wanted"
        strangers = [r for r in read if r["requester"] == "-"]
        assert len(strangers) == 2 and all(r["ip"] == "127.0.0.1" for r in read)
        presigned = next(r for r in read if r["auth"] == "QueryString")
        assert presigned["agent"].startswith("odd ?agent?") and presigned["referer"] == "https://page.example/"
        whole = "\n".join(lines).lower()
        assert "x-amz-signature" not in whole and "x-amz-credential" not in whole
        names, lines = logs(s3, "al-logs", "oss/")
        assert re.fullmatch(r"oss/al-oss-\d{4}(-\d\d){5}-[0-9A-F]{16}", names[0])
        put = next(line for line in lines if '"PutObject" "al-oss" "o"' in line)
        assert re.match(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:[\d:]{8} \+0000\] "PUT /al-oss/o HTTP/1\.1" 200 ', put)
        assert again.key("acme")[0] in put
        s3.put_bucket_logging(Bucket="al-source", BucketLoggingStatus={})
        assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="al-source")
    finally:
        again.stop()


def test_whoever_has_logs_written_somewhere_may_write_there(shared, s3):
    for name in ("al-a", "al-b"):
        s3.create_bucket(Bucket=name)
    own = policy("Allow", ["oss:PutBucketLogging", "oss:GetBucketLogging"])
    user = s3_client(shared, key=make_user(Sdk("Ram", shared, shared.key("acme")), "al-user", own={"logging": own}))
    to = {"LoggingEnabled": {"TargetBucket": "al-b", "TargetPrefix": "x"}}
    assert code(refused(lambda: user.put_bucket_logging(Bucket="al-a", BucketLoggingStatus=to))) == ("AccessDenied", 403)
    s3_client(shared, "globex").create_bucket(Bucket="al-globex")
    for target in ("al-globex", "al-none"):
        to = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "x"}}
        assert code(refused(lambda: s3.put_bucket_logging(Bucket="al-a", BucketLoggingStatus=to))) == ("NoSuchBucket", 404)
    for prefix in ("x" * 600, "../", "a/../b"):
        to = {"LoggingEnabled": {"TargetBucket": "al-b", "TargetPrefix": prefix}}
        assert code(refused(lambda: s3.put_bucket_logging(Bucket="al-a", BucketLoggingStatus=to))) == ("InvalidArgument", 400), prefix
