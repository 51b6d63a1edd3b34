"""Lifecycle rules as clients set them, and what `bailee vault lifecycle --explain` says of them."""

import datetime
import json

import botocore.exceptions
import oss2
import pytest
from conftest import s3_client
from test_oss import bucket_of
from test_s3 import code

RULE = {
    "ID": "logs", "Status": "Enabled", "Filter": {"And": {"Prefix": "log/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 1}},
    "Expiration": {"Days": 30}, "NoncurrentVersionExpiration": {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
}


def test_rules_come_back_as_they_were_set(s3):
    s3.create_bucket(Bucket="lifecycle-s3")

    def refused(act):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            act()
        return code(error)

    get = lambda: s3.get_bucket_lifecycle_configuration(Bucket="lifecycle-s3")["Rules"]
    put = lambda *rules: s3.put_bucket_lifecycle_configuration(Bucket="lifecycle-s3", LifecycleConfiguration={"Rules": list(rules)})
    assert refused(get) == ("NoSuchLifecycleConfiguration", 404)
    plain = {"ID": "all", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True}}
    dated = {"Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Date": datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)}}
    put(RULE, plain, {"ID": "dated", **dated})
    assert get() == [RULE, plain, {"ID": "dated", **dated}]
    put(dated)
    assert len(get()) == 1 and get()[0]["ID"], "a rule without a name gets one"
    for bad, wanted in (
        ({**RULE, "Transitions": [{"Days": 1, "StorageClass": "WARM"}]}, ("InvalidStorageClass", 400)),
        ({**RULE, "Expiration": {"Days": 0}}, ("InvalidArgument", 400)),
        ({**RULE, "Expiration": {"Date": datetime.datetime(2030, 1, 1, 5, tzinfo=datetime.timezone.utc)}}, ("InvalidArgument", 400)),
        ({"ID": "none", "Status": "Enabled", "Filter": {"Prefix": ""}}, ("MalformedXML", 400)),
    ):
        assert refused(lambda: put(bad)) == wanted, bad
    assert refused(lambda: put(RULE, RULE)) == ("InvalidArgument", 400)
    assert len(get()) == 1
    s3.delete_bucket_lifecycle(Bucket="lifecycle-s3")
    assert refused(get) == ("NoSuchLifecycleConfiguration", 404)


def test_oss_rules(shared):
    bucket = bucket_of(shared, "lifecycle-oss", "v4")
    bucket.create_bucket()
    rule = oss2.models.LifecycleRule(
        "old", "log/", status=oss2.models.LifecycleRule.ENABLED, expiration=oss2.models.LifecycleExpiration(days=3),
        abort_multipart_upload=oss2.models.AbortMultipartUpload(days=1),
    )
    bucket.put_bucket_lifecycle(oss2.models.BucketLifecycle([rule]))
    (got,) = bucket.get_bucket_lifecycle().rules
    assert (got.id, got.prefix, got.status, got.expiration.days, got.abort_multipart_upload.days) == ("old", "log/", "Enabled", 3, 1)
    bucket.delete_bucket_lifecycle()
    with pytest.raises(oss2.exceptions.NoSuchLifecycle):
        bucket.get_bucket_lifecycle()


def test_what_would_go_is_explained_and_nothing_goes(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="explained")
    for key in ("log/1", "log/2", "stays"):
        s3.put_object(Bucket="explained", Key=key, Body=b"12345")
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 2}}
    s3.put_bucket_lifecycle_configuration(Bucket="explained", LifecycleConfiguration={"Rules": [rule]})
    args = ["vault", "lifecycle", "--tenant", "acme", "--bucket", "explained"]
    assert house.run(*args, "--explain").stdout == "nothing is due\n"
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=4)).strftime("%Y-%m-%d")
    plain = house.run(*args, "--explain", "--at", later).stdout
    assert "log/1" in plain and "log/2" in plain and "stays" not in plain and "logs" in plain
    due = json.loads(house.run(*args, "--explain", "--at", later, "--output", "json").stdout)
    assert [(d["key"], d["ends"], d["size"], d["rule"]) for d in due] == [("log/1", "expires", 5, "logs"), ("log/2", "expires", 5, "logs")]
    assert house.run(*args).stdout == "nothing is due\n"
    assert len(s3.list_objects_v2(Bucket="explained")["Contents"]) == 3
    past = {"ID": "past", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Date": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)}}
    s3.put_bucket_lifecycle_configuration(Bucket="explained", LifecycleConfiguration={"Rules": [past]})
    done = house.run(*args).stdout
    assert "2  expires" in done and "2  by rule `past`" in done
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="explained")["Contents"]] == ["stays"]
    assert house.run(*args, "--at", later, code=2).stderr, "--at needs --explain"
    assert "does not exist" in house.run("vault", "lifecycle", "--tenant", "acme", "--bucket", "none-such", code=1).stderr
