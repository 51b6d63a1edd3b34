"""Regions: where bytes lie, where they may lie, and what a copy across a border needs. By boto3 and the console."""

import json
import os
import pathlib
import re
import threading
import time

import house as h
import pytest
from conftest import s3_client
from kit import Browser, wait_until
from sdk import Sdk, make_user, policy
from test_places import FORM
from test_s3 import code
from test_versions import get, put, refused

MIB = 1024 * 1024
DE = "eu-central-1"


def add(house, region=DE, jurisdiction="DE", *more, wait=True):
    house.run("region", "add", region, "--jurisdiction", jurisdiction, *more)
    if wait:
        # A region is used when every server knows it.
        time.sleep(6.5)


def make(s3, name, region=DE):
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return name


def made(act):
    try:
        act()
        return True
    except Exception:
        return False


def files(folder):
    return {p for p in pathlib.Path(folder).rglob("*") if p.is_file() and len(p.name) == 32}


def german(house):
    return house.data / "regions" / DE


def test_content_lies_in_its_region_and_nowhere_else(house, chance):
    s3 = s3_client(house)
    assert code(refused(lambda: make(s3, "acme-berlin"))) == ("InvalidLocationConstraint", 400)
    house.run("region", "add", DE, "--jurisdiction", "DE")
    listed = [json.loads(l) for l in house.run("region", "list", "--output", "json").stdout.splitlines()]
    assert [(r["region"], r["jurisdiction"]) for r in listed] == [(h.REGION, "CN"), (DE, "DE")]
    # Unknown still, or too new: never half known.
    assert code(refused(lambda: make(s3, "acme-berlin"))) == ("InvalidLocationConstraint", 400)
    time.sleep(6.5)
    wait_until(lambda: made(lambda: make(s3, "acme-berlin")))
    assert s3.get_bucket_location(Bucket="acme-berlin")["LocationConstraint"] == DE
    at_home, there = files(house.data / "blobs"), files(german(house))
    assert not there
    small, big = chance.randbytes(100), chance.randbytes(9 * MIB)
    put(s3, "acme-berlin", small, "small")
    put(s3, "acme-berlin", b"", "empty")
    put(s3, "acme-berlin", big, "big")
    up = s3.create_multipart_upload(Bucket="acme-berlin", Key="parts")["UploadId"]
    tags = [s3.upload_part(Bucket="acme-berlin", Key="parts", UploadId=up, PartNumber=n, Body=big)["ETag"] for n in (1, 2)]
    s3.complete_multipart_upload(Bucket="acme-berlin", Key="parts", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": t} for n, t in enumerate(tags)]})
    assert files(house.data / "blobs") == at_home, "bytes of the German bucket lie at home"
    assert len(files(german(house))) == 5
    for key, body in [("small", small), ("empty", b""), ("big", big), ("parts", big + big)]:
        assert get(s3, "acme-berlin", key) == body
    # Also not in the database: what is small lies there at home only.
    assert get(s3, "acme-berlin", "parts", Range=f"bytes={9 * MIB - 2}-{9 * MIB + 1}") == big[-2:] + big[:2]
    house.run("vault", "scrub")
    # A bucket does not move, and its name is one over all regions.
    assert code(refused(lambda: s3.create_bucket(Bucket="acme-berlin", CreateBucketConfiguration={"LocationConstraint": h.REGION})))[1] in (400, 409)
    # After a restart it is found again; without its disk it is an error, not an empty store.
    house.stop()
    house.start()
    s3 = s3_client(house)
    assert get(s3, "acme-berlin", "big") == big
    german(house).rename(german(house).with_name("away"))
    time.sleep(2.5)
    assert code(refused(lambda: get(s3_client(house, retries={"max_attempts": 1}), "acme-berlin", "big"))) == ("ServiceUnavailable", 503)
    assert code(refused(lambda: put(s3_client(house, retries={"max_attempts": 1}), "acme-berlin", b"x", "new")))[1] == 503
    german(house).with_name("away").rename(german(house))
    time.sleep(2.5)
    assert get(s3, "acme-berlin", "big") == big
    s3.delete_object(Bucket="acme-berlin", Key="big")
    house.assert_well()


def test_regions_are_added_with_care(house, tmp_path):
    for args, said in [(["x_y", "--jurisdiction", "DE"], ""), ([DE, "--jurisdiction", "de"], "alpha-2"), ([DE, "--jurisdiction", "DE", "--folder", "rel"], "absolute"), ([h.REGION, "--jurisdiction", "CN"], "exist")]:
        done = h.bailee("region", "add", *args, "--data", str(house.data), code=1)
        assert said in done.stderr, done.stderr
    disk = tmp_path / "disk"
    add(house, DE, "DE", "--folder", str(disk), wait=False)
    assert h.bailee("region", "add", "eu-west-1", "--jurisdiction", "FR", "--folder", str(disk), "--data", str(house.data), code=1)
    s3 = s3_client(house)
    time.sleep(6.5)
    make(s3, "acme-disk")
    put(s3, "acme-disk", os.urandom(100))
    assert len(files(disk)) == 1


def test_an_account_says_where_its_buckets_may_lie(house):
    add(house)
    s3 = s3_client(house)
    li = Browser(house).login_tenant(house)
    li.get("/console/places")
    assert "Where your buckets may lie" in li.text
    li.post("/console/places/regions", **{f"r-{h.REGION}": "yes"})
    assert li.status == 200
    no = refused(lambda: make(s3, "acme-berlin"))
    assert code(no) == ("InvalidLocationConstraint", 400) and "lets no bucket lie" in str(no)
    make(s3_client(house, "globex"), "globex-berlin")
    li.get("/console/places")
    li.post("/console/places/regions", **{f"r-{DE}": "yes"})
    make(s3, "acme-berlin")
    assert code(refused(lambda: s3.create_bucket(Bucket="acme-home")))[0] == "InvalidLocationConstraint", "the default is home, which is not let"
    li.get("/console/places")
    li.post("/console/places/regions")
    s3.create_bucket(Bucket="acme-home")
    li.get("/console/places")
    assert re.search(r"DE · eu-central-1.*1 buckets", li.text.replace("\n", " ")), li.text
    wang = make_user(Sdk("Ram", house, house.key("acme")), "places-wang", own={"oss-only": policy(action="oss:*")})
    make(s3_client(house, key=wang), "acme-wang")


def register(li, resources, to="DE", origin="CN"):
    li.get("/console/places?basis=cn-38-3")
    li.post("/console/places", **{**FORM, "from": origin, "to": to, "resources": resources})
    assert li.status == 200, li.text
    return re.search(r"/console/places/(tr-[a-z2-9]{12})/suspend", li.source).group(1)


def test_a_copy_across_a_border_needs_a_transfer_and_stands_in_the_register(house, chance):
    add(house)
    s3 = s3_client(house)
    make(s3, "acme-berlin")
    s3.create_bucket(Bucket="acme-src")
    body = chance.randbytes(6 * MIB)
    put(s3, "acme-src", body, "out/a")
    put(s3, "acme-src", b"other", "in/a")

    def copy(key="out/a", client=s3):
        return client.copy_object(Bucket="acme-berlin", Key=key, CopySource={"Bucket": "acme-src", "Key": key})

    def copy_part(key="out/a"):
        up = s3.create_multipart_upload(Bucket="acme-berlin", Key="part")["UploadId"]
        part = s3.upload_part_copy(Bucket="acme-berlin", Key="part", UploadId=up, PartNumber=1, CopySource={"Bucket": "acme-src", "Key": key})
        s3.complete_multipart_upload(Bucket="acme-berlin", Key="part", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})

    for no in (refused(copy), refused(copy_part)):
        assert code(no) == ("AccessDenied", 403) and "must stay in `CN`" in str(no), no
    assert s3.list_objects_v2(Bucket="acme-berlin").get("KeyCount") == 0 and not files(german(house))
    li = Browser(house).login_tenant(house)
    here = register(li, "acme-src/out/\n")
    copy()
    copy_part()
    assert get(s3, "acme-berlin", "out/a") == body == get(s3, "acme-berlin", "part")
    assert code(refused(lambda: copy("in/a"))) == ("AccessDenied", 403), "another prefix"
    li.get(f"/console/places/{here}")
    assert li.text.count("acme-src/out/a") == 2 and "12.0 MiB" in li.text, li.text
    moved = json.loads(house.run("residency", "list", "--tenant", "acme", "--output", "json").stdout.splitlines()[0])
    assert (moved["from"], moved["to"], moved["moves"], moved["movedBytes"]) == ("CN", "DE", 2, 12 * MIB)
    # Somebody whose policies are about objects only does not carry them abroad; nor does it work back without a transfer.
    ram = Sdk("Ram", house, house.key("acme"))
    wang = s3_client(house, key=make_user(ram, "copy-wang", own={"copy-only": policy(action="oss:*")}))
    assert code(refused(lambda: copy(client=wang)))[1] == 403
    back = refused(lambda: s3.copy_object(Bucket="acme-src", Key="back", CopySource={"Bucket": "acme-berlin", "Key": "out/a"}))
    assert "must stay in `DE`" in str(back)
    # Within a region nothing is asked.
    s3.copy_object(Bucket="acme-berlin", Key="again", CopySource={"Bucket": "acme-berlin", "Key": "out/a"})
    li.get(f"/console/places/{here}")
    li.post(f"/console/places/{here}/suspend", reason="audit")
    assert "must stay in `CN`" in str(refused(copy))
    bundle = house.export()
    h.verify(bundle)
    assert bundle.read_bytes().count(b'"eventName":"MoveContent"') >= 6, "what was refused and what was done"


def test_a_transfer_that_is_stopped_stops_a_copy_that_runs(house):
    add(house)
    s3 = s3_client(house, read_timeout=120, retries={"max_attempts": 1})
    make(s3, "acme-berlin")
    s3.create_bucket(Bucket="acme-src")
    big = os.urandom(MIB) * 400
    put(s3, "acme-src", big, "big")
    li = Browser(house).login_tenant(house)
    here = register(li, "acme-src/\n")
    ended = []

    def run():
        try:
            ended.append(s3.copy_object(Bucket="acme-berlin", Key="big", CopySource={"Bucket": "acme-src", "Key": "big"}) and "done")
        except Exception as e:
            ended.append(str(e))

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: "acme-src/big" in li.get(f"/console/places/{here}").text)
    li.post(f"/console/places/{here}/suspend", reason="stop now")
    thread.join(60)
    if ended == ["done"]:
        pytest.fail("the copy was faster than the stop: make it larger")
    assert ended and "done" not in ended[0], ended
    assert s3.list_objects_v2(Bucket="acme-berlin").get("KeyCount") == 0


def test_an_operators_place_is_held_against_the_objects_region(house):
    add(house, "ap-southeast-1", "SG")
    s3 = s3_client(house)
    make(s3, "acme-singapore", "ap-southeast-1")
    put(s3, "acme-singapore", b"hello from SG", "o")
    lin, mei, li = Browser(house).login_operator(house), Browser(house).login_operator(house, "op-mei"), Browser(house).login_tenant(house)
    what = {"bucket": "acme-singapore", "key": "o"}

    def read(who):
        who.get("/desk/tickets/T-1/data/acme-singapore")
        return who.post("/desk/tickets/T-1/read", **what)

    # Lin sits in CN, Mei in SG: for this bucket it is Lin who is abroad.
    assert read(lin).status == 403 and "must stay in `SG`" in lin.text
    assert read(mei).status == 403 and 'id="ask"' in mei.source
    mei.post("/desk/tickets/T-1/ask", minutes="30", uses="9", reason="compare the bytes", **what)
    grant = re.search(r"G-[a-z0-9]{12}", mei.source).group(0)
    li.get("/console/consent")
    li.post(f"/console/consent/{grant}/approve", minutes="30", uses="9")
    assert read(mei).status == 200 and mei.data == b"hello from SG"
    bundle = house.export().read_bytes()
    assert b'"ResourceRegionID":"ap-southeast-1"' in bundle
