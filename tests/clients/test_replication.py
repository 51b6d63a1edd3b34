"""Replication of new versions into another bucket, in another region: by boto3, with its lag, its transfer and its record."""

import json
import os
import subprocess
import time

import house as h
from conftest import s3_client
from kit import Browser, wait_until
from sdk import Sdk, make_user, policy
from test_places import FORM
from test_regions import DE, add, files, german, make, register
from test_s3 import code
from test_versions import get, put, refused


def rule(to, prefix="", status="Enabled", name="abroad"):
    return {"ID": name, "Priority": 1, "Filter": {"Prefix": prefix}, "Status": status, "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": f"arn:aws:s3:::{to}"}}


def set_rules(s3, bucket, *rules):
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": "", "Rules": list(rules)})


def versioned(s3, name, region=None):
    if region:
        make(s3, name, region)
    else:
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def arrives(s3, bucket, key, body):
    def there():
        try:
            return get(s3, bucket, key) == body
        except s3.exceptions.NoSuchKey:
            return False

    wait_until(there)


def test_new_versions_are_copied_in_their_order_with_all_that_stands_beside_them(house, chance, tmp_path):
    s3 = s3_client(house)
    versioned(s3, "acme-a"), versioned(s3, "acme-b")
    assert code(refused(lambda: s3.get_bucket_replication(Bucket="acme-a"))) == ("ReplicationConfigurationNotFoundError", 404)
    put(s3, "acme-a", b"from before", "docs/before")
    set_rules(s3, "acme-a", rule("acme-b", "docs/"))
    told = s3.get_bucket_replication(Bucket="acme-a")["ReplicationConfiguration"]["Rules"][0]
    assert (told["ID"], told["Filter"]["Prefix"], told["Destination"]["Bucket"]) == ("abroad", "docs/", "arn:aws:s3:::acme-b")
    big = chance.randbytes(9 * 1024 * 1024)
    s3.put_object(Bucket="acme-a", Key="docs/x", Body=big, ContentType="text/x", Metadata={"who": "li"}, Tagging="k=v", CacheControl="no-cache")
    put(s3, "acme-a", b"not this", "other/x")
    for n in range(20):
        put(s3, "acme-a", f"version {n}".encode(), "docs/many")
    up = s3.create_multipart_upload(Bucket="acme-a", Key="docs/parts")["UploadId"]
    etag = s3.upload_part(Bucket="acme-a", Key="docs/parts", UploadId=up, PartNumber=1, Body=big)["ETag"]
    s3.complete_multipart_upload(Bucket="acme-a", Key="docs/parts", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    arrives(s3, "acme-b", "docs/x", big)
    arrives(s3, "acme-b", "docs/many", b"version 19")
    arrives(s3, "acme-b", "docs/parts", big)
    head = s3.head_object(Bucket="acme-b", Key="docs/x")
    assert (head["ContentType"], head["Metadata"], head["CacheControl"]) == ("text/x", {"who": "li"}, "no-cache")
    assert s3.get_object_tagging(Bucket="acme-b", Key="docs/x")["TagSet"] == [{"Key": "k", "Value": "v"}]
    versions = [v for v in s3.list_object_versions(Bucket="acme-b", Prefix="docs/many")["Versions"]]
    assert [get(s3, "acme-b", "docs/many", VersionId=v["VersionId"]) for v in versions] == [f"version {n}".encode() for n in reversed(range(20))]
    keys = {o["Key"] for o in s3.list_objects_v2(Bucket="acme-b")["Contents"]}
    assert keys == {"docs/x", "docs/many", "docs/parts"}
    bundle = house.export()
    h.verify(bundle)
    # An auditor finds each copy ordered by the tenant's own rule.
    audit = tmp_path / "audit.json"
    subprocess.run([h.VERIFY, "audit", str(bundle), "--json", str(audit)], capture_output=True, timeout=60)
    keys = next(p for p in json.loads(audit.read_text())["procedures"] if p["id"] == "P5")
    assert keys["population"] >= 22 and not keys["exceptions"], keys
    assert bundle.read_bytes().count(b'"eventName":"ReplicateObject"') >= 22
    # There and back is no circle.
    set_rules(s3, "acme-b", rule("acme-a"))
    put(s3, "acme-b", b"back", "docs/back")
    arrives(s3, "acme-a", "docs/back", b"back")
    time.sleep(2)
    assert len(s3.list_object_versions(Bucket="acme-b", Prefix="docs/back")["Versions"]) == 1
    s3.delete_bucket_replication(Bucket="acme-a")
    put(s3, "acme-a", b"late", "docs/late")
    time.sleep(2)
    assert code(refused(lambda: get(s3, "acme-b", "docs/late")))[1] == 404


def test_across_a_border_it_waits_for_a_transfer_and_the_page_says_why(house):
    add(house)
    s3 = s3_client(house)
    versioned(s3, "acme-src"), versioned(s3, "acme-berlin", DE)
    set_rules(s3, "acme-src", rule("acme-berlin"))
    put(s3, "acme-src", b"first", "o")
    put(s3, "acme-src", b"second", "o")
    li = Browser(house).login_tenant(house)
    wait_until(lambda: "must stay in" in li.get("/console/data/acme-src").text)
    assert "Copied elsewhere" in li.text and not files(german(house))
    here = register(li, "acme-src/\n")
    arrives(s3, "acme-berlin", "o", b"second")
    assert len(files(german(house))) == 2
    wait_until(lambda: "must stay in" not in li.get("/console/data/acme-src").text)
    li.get(f"/console/places/{here}")
    assert li.text.count("acme-src/o") == 2
    # Stopped, it stops; what waits is copied when it goes on.
    li.post(f"/console/places/{here}/suspend", reason="audit")
    put(s3, "acme-src", b"third", "o")
    wait_until(lambda: "must stay in" in li.get("/console/data/acme-src").text)
    assert get(s3, "acme-berlin", "o") == b"second"
    li.get(f"/console/places/{here}")
    li.post(f"/console/places/{here}/resume")
    arrives(s3, "acme-berlin", "o", b"third")


def test_rules_are_checked_and_what_cannot_be_copied_waits_with_its_reason(house):
    s3 = s3_client(house)
    versioned(s3, "acme-a"), versioned(s3, "acme-b")
    s3.create_bucket(Bucket="acme-plain")
    for rules, said in [
        ([rule("acme-a")], "bucket itself"), ([rule("acme-plain")], "keeps no versions"), ([rule("acme-b"), rule("acme-b")], "two rules"),
        ([rule("no-such-bucket")], "NoSuchBucket"),
        ([{**rule("acme-b"), "DeleteMarkerReplication": {"Status": "Enabled"}}], "NotImplemented"),
        ([{**rule("acme-b"), "Filter": {"Tag": {"Key": "a", "Value": "b"}}}], "NotImplemented"),
    ]:
        assert said in str(refused(lambda r=rules: set_rules(s3, "acme-a", *r))), rules
    assert "keeps versions" in str(refused(lambda: set_rules(s3, "acme-plain", rule("acme-b"))))
    theirs = house.bucket("globex")
    assert code(refused(lambda: set_rules(s3, "acme-a", rule(theirs))))[1] == 404
    # Who may set rules but neither read here nor write there has nothing copied.
    wang = s3_client(house, key=make_user(Sdk("Ram", house, house.key("acme")), "rules-wang", own={"rules-only": policy(action="oss:PutBucketReplication")}))
    assert code(refused(lambda: set_rules(wang, "acme-a", rule("acme-b"))))[1] == 403
    set_rules(s3, "acme-a", rule("acme-b"))
    s3.put_object(Bucket="acme-a", Key="sealed", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    put(s3, "acme-a", b"y", "open")
    arrives(s3, "acme-b", "open", b"y")
    li = Browser(house).login_tenant(house)
    wait_until(lambda: "customer" in li.get("/console/data/acme-a").text)
    # A rule is no right to a key.
    kms = Sdk("Kms", house, house.key("acme"))
    cmk = kms("CreateKey")["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket="acme-a", Key="kms", Body=b"under a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
    wait_until(lambda: "under a key of KMS" in li.get("/console/data/acme-a").text)
    assert code(refused(lambda: get(s3, "acme-b", "kms")))[1] == 404


def test_nothing_is_forgotten_when_the_server_dies(house):
    s3 = s3_client(house)
    versioned(s3, "acme-a"), versioned(s3, "acme-b")
    set_rules(s3, "acme-a", rule("acme-b"))
    bodies = {}
    for round in range(3):
        for n in range(30):
            bodies[f"k{round}-{n}"] = os.urandom(200)
            put(s3, "acme-a", bodies[f"k{round}-{n}"], f"k{round}-{n}")
        house.kill()
        house.start()
        s3 = s3_client(house)
    for key, body in bodies.items():
        arrives(s3, "acme-b", key, body)
    h.verify(house.export())
