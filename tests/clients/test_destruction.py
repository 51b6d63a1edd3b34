"""Destruction that can be shown: what was destroyed, a certificate of it, and a stranger who checks that against the log."""

import hashlib
import json
import sqlite3
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import house as h
import pytest
from conftest import s3_client
from kit import Browser
from sdk import Sdk, make_user, policy
from test_s3 import code
from test_versions import everything, get, put, refused


def signed(house, method, path, access=None, **query):
    """A request that boto's own signer signs: status, headers, text."""
    url = f"{house.objects}/{path}?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=b"")
    who = botocore.credentials.Credentials(*(access or house.key("acme")))
    botocore.auth.S3SigV4Auth(who, "s3", h.REGION).add_auth(request)
    status, headers, body = h.request(method, url, headers=dict(request.headers), body=b"")
    return status, headers, body.decode()


def destroy(house, bucket, **query):
    return signed(house, "POST", bucket, destroy="", **query)


def verify(certificate, bundle, *more, code=0):
    done = subprocess.run(
        [h.VERIFY, "destruction", str(certificate), str(bundle), *more], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def bucket(house):
    s3_client(house).create_bucket(Bucket="acme-shred")
    return "acme-shred"


def test_what_is_destroyed_is_named_and_a_stranger_can_check_it(house, bucket, tmp_path):
    s3 = s3_client(house)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    names = ["old/a b", "old/发票%1", "old/large"]
    versions = [put(s3, bucket, b"x" * 100, name) for name in names for _ in range(2)]
    versions.append(put(s3, bucket, b"y" * 100_000, "old/large"))
    s3.delete_object(Bucket=bucket, Key="old/a b")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="old/parts")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="old/parts", UploadId=upload, PartNumber=1, Body=b"part")
    put(s3, bucket, b"stays", "older")
    with sqlite3.connect(house.data / "bailee.sqlite") as db:
        keys = [row[0] for table in ("object", "object_version") for row in db.execute(
            f"SELECT wrapped_key FROM {table} WHERE object_key LIKE 'old/%' AND length(wrapped_key) > 0")]
    prints = {hashlib.sha256(b"bailee/wrapped-key/v1\0" + key).hexdigest() for key in keys}
    begun = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Initiated"].timestamp()
    status, headers, text = destroy(house, bucket, prefix="old/")
    assert (status, headers["x-bailee-items"], headers["x-bailee-retained"], headers["x-bailee-more"]) == (200, "8", "0", "false")
    lines = text.split("\n\n", 1)[1].splitlines()
    assert [int(line.split()[2]) // 1000 for line in lines if line.endswith(" old/parts")] == [int(begun)]
    assert {line.split()[3] for line in lines} > set(versions) and len(lines) == 8
    assert {line.split()[0] for line in lines} > prints, "each key that is gone has its fingerprint here"
    assert {urllib.parse.unquote(line.split()[5]) for line in lines} == {*names, "old/parts"}
    assert everything(s3, bucket)[0] == [("older", everything(s3, bucket)[0][0][1], True)] and everything(s3, bucket)[1] == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with sqlite3.connect(house.data / "bailee.sqlite") as db:
        assert not set(keys) & {row[0] for t in ("object", "object_version", "upload") for row in db.execute(f"SELECT wrapped_key FROM {t}")}
    # It can be had again, and there is a list.
    record = headers["x-bailee-record"]
    assert signed(house, "GET", "", destructions="", record=record)[2] == text
    listed = [json.loads(line) for line in signed(house, "GET", "", destructions="")[2].splitlines()]
    assert [(d["record"], d["bucket"], d["items"]) for d in listed] == [(int(record), bucket, 8)]
    assert signed(house, "GET", "", destructions="", record="99999")[0] == 404
    # A stranger checks it.
    certificate = tmp_path / "certificate.txt"
    certificate.write_text(text)
    bundle = house.export()
    said = verify(certificate, bundle)
    assert "DESTROYED" in said and f"record {record}" in said and "8 versions" in said
    told = json.loads(verify(certificate, bundle, "--output", "json"))
    assert told["verifies"] and told["destruction"]["items"] == 8
    # Nobody can change it: another object, one less, another time, another record, another tenant.
    first = lines[0]
    for change in [
        (first.split()[5], "old/other"), (first + "\n", ""), (first.split()[0], "0" * 64),
        (f"record {record}", "record 0"), ("items 8", "items 7"), ("/v1", "/v2"),
    ]:
        bad = tmp_path / "bad.txt"
        bad.write_text(text.replace(*change, 1))
        assert bad.read_text() != text
        assert "DOES NOT VERIFY (destruction)" in verify(bad, bundle, code=3), change
    # One item less and counts that fit: the digest tells.
    shorter = text.replace(first + "\n", "", 1).replace("items 8", "items 7")
    shorter = shorter.replace(f"bytes {sum(int(l.split()[1]) for l in lines)}", f"bytes {sum(int(l.split()[1]) for l in lines[1:])}")
    (tmp_path / "bad.txt").write_text(shorter)
    assert "digest" in verify(tmp_path / "bad.txt", bundle, code=3)
    other = house.export("globex", "globex.bundle")
    assert "DOES NOT VERIFY" in verify(certificate, other, code=3)
    assert "could not tell" in verify(tmp_path / "none.txt", bundle, code=1)


def test_what_is_retained_stays_and_is_counted(house, bucket):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="acme-held", ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket="acme-held", Key="held", Body=b"x", ObjectLockLegalHoldStatus="ON")
    put(s3, "acme-held", b"free", "free")
    status, headers, text = destroy(house, "acme-held", prefix="")
    assert (status, headers["x-bailee-items"], headers["x-bailee-retained"]) == (200, "1", "1")
    assert get(s3, "acme-held", "held") == b"x" and text.splitlines()[8:] == [line for line in text.splitlines()[8:] if line.endswith(" free")]
    # Exactly one key, and not those that begin like it.
    for name in ("a", "a1", "ab/c"):
        put(s3, bucket, b"x", name)
    assert destroy(house, bucket, key="a")[1]["x-bailee-items"] == "1"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a1", "ab/c"]
    # Nothing there is no error, and no certificate is kept of nothing.
    status, headers, text = destroy(house, bucket, prefix="nothing")
    assert (status, headers["x-bailee-items"]) == (200, "0") and text.endswith("items 0\nbytes 0\n\n")


def test_it_says_what_it_destroys_and_asks_for_each_right(house, bucket):
    s3 = s3_client(house)
    put(s3, bucket, b"x", "kept/1")
    put(s3, bucket, b"x", "free/1")
    for wrong in ({}, {"prefix": "a", "key": "a"}):
        assert destroy(house, bucket, **wrong)[0] == 400
    assert destroy(house, "acme-nowhere", prefix="")[0] == 404
    theirs = signed(house, "POST", bucket, access=house.key("globex"), destroy="", prefix="")
    assert theirs[0] == 404 and "NoSuchBucket" in theirs[2]
    ram = Sdk("Ram", house, house.key("acme"))
    everything_but = json.dumps({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "oss:DeleteObjectVersion", "Resource": f"acs:oss:*:*:{bucket}/kept/*"}]})
    user = make_user(ram, "cleaner", own={"but": everything_but})
    assert signed(house, "POST", bucket, access=user, destroy="", prefix="")[0] == 403
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2, "all or nothing"
    assert signed(house, "POST", bucket, access=user, destroy="", prefix="free/")[0] == 200
    plain = make_user(ram, "deleter", own={"deletes": policy("Allow", "oss:DeleteObject*", f"acs:oss:*:*:{bucket}*")})
    assert signed(house, "POST", bucket, access=plain, destroy="", prefix="")[0] == 403


def test_more_than_one_act_destroys_is_said(house, bucket):
    s3 = s3_client(house)
    for n in range(12):
        put(s3, bucket, b"x", f"{n:04}")
    # The limit is on versions and markers together: markers are cheap to make.
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "m"}] * 1000})
    status, headers, text = destroy(house, bucket, prefix="")
    assert (headers["x-bailee-items"], headers["x-bailee-more"]) == ("12", "true")
    status, headers, text = destroy(house, bucket, prefix="")
    assert (headers["x-bailee-items"], headers["x-bailee-more"]) == ("0", "false")
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_people_destroy_and_get_certificates_in_the_console(house, bucket, lang, tmp_path):
    s3 = s3_client(house)
    put(s3, bucket, b"x", "q/1")
    browser = Browser(house).login_tenant(house).get(f"/?lang={lang}")
    browser.get("/console/destructions")
    assert ("Nothing was destroyed yet" if lang == "en" else "尚未销毁任何内容") in browser.text
    at = f"/console/data/{bucket}"
    browser.get(at).post(at + "/destroy", prefix="q/", confirm="something")
    assert browser.status == 400 and get(s3, bucket, "q/1") == b"x"
    browser.get(at).post(at + "/destroy", prefix="q/", confirm=bucket)
    assert browser.status == 200 and bucket in browser.text
    assert code(refused(lambda: get(s3, bucket, "q/1"))) == ("NoSuchKey", 404)
    record = int(json.loads(signed(house, "GET", "", destructions="")[2])["record"])
    browser.get(f"/console/destructions/{record}")
    assert "attachment" in browser.headers["Content-Disposition"] and browser.source.startswith("bailee-destruction/v1\n")
    certificate = tmp_path / "c.txt"
    certificate.write_text(browser.source)
    assert "DESTROYED" in verify(certificate, house.export())
    for path in ("/console/destructions/0", "/console/destructions/x"):
        assert browser.get(path).status == 404
    other = Browser(house).login_tenant(house, "globex")
    assert other.get(f"/console/destructions/{record}").status == 404
