"""`bailee takeout`: a tenant takes everything out, in a bag that bagit reads; cut and gone on with; nothing that is not his."""

import json
import os
import pathlib
import signal
import subprocess
import time

import bagit
import oss2
import pytest

import house as h
from conftest import s3_client
from kit import run
from sdk import Sdk, make_user, policy
from test_oss import bucket_of

ODD = ["plain.txt", "a", "a/b", "A", "..-x", "dir/", "x//y", "发票/十一月/1.pdf", "100%/&?#=;'\"<>.txt", "end.", " lead", "k" * 1000, "tab\u00a0"]


def takeout(house, out, *more, key=None, ok=0, url=None):
    key_id, secret = key or house.key("acme")
    secret_file = pathlib.Path(str(out) + ".secret")
    secret_file.write_text(secret + "\n")
    done = run(h.BIN, "takeout", "--url", url or house.objects, "--access-key-id", key_id, "--secret-file", str(secret_file), "--out", str(out),
               "--output", "json", *more, ok=ok)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else done.stderr


def lines(out):
    return [json.loads(line) for line in (out / "versions.jsonl").read_text().splitlines()]


def test_all_of_it_comes_out_and_is_what_was_put_in(house, tmp_path, chance):
    s3, out = s3_client(house), tmp_path / "bag"
    s3.create_bucket(Bucket="tk-one")
    s3.put_bucket_versioning(Bucket="tk-one", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="tk-one", Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    put = {}
    for n, key in enumerate(ODD):
        body = chance.randbytes(10 * n)
        done = s3.put_object(Bucket="tk-one", Key=key, Body=body, Metadata={"n": str(n)}, ContentType="text/x", Tagging="k=v%20w")
        put[key, done["VersionId"]] = body
    for n in range(3):
        body = chance.randbytes(3_000_000)
        put["plain.txt", s3.put_object(Bucket="tk-one", Key="plain.txt", Body=body)["VersionId"]] = body
    s3.delete_object(Bucket="tk-one", Key="a/b")
    oss = bucket_of(house, "tk-two", "v4")
    oss.create_bucket()
    oss.append_object("log", 0, b"one ")
    oss.put_symlink("log", "link")
    oss.put_object("cold", b"cold", headers={"x-oss-storage-class": "Archive"})
    told = takeout(house, out, ok=3)
    assert [l for l in told["left"] if "tk-two/cold" in l and "--restore-days" in l] and len(told["left"]) == 1
    told = takeout(house, out, "--restore-days", "1")
    assert told["left"] == []
    bagit.Bag(str(out)).validate()
    got = {(l["key"], l["version"]): l for l in lines(out) if l["bucket"] == "tk-one"}
    assert {k for k, l in got.items() if l.get("deleteMarker")} == {("a/b", next(v for (k, v), l in got.items() if l.get("deleteMarker")))}
    for (key, version), body in put.items():
        line = got[key, version]
        assert (out / line["file"]).read_bytes() == body, key
        assert line["size"] == len(body)
    first = next(l for (k, _), l in got.items() if k == "发票/十一月/1.pdf")
    assert first["tags"] == {"k": "v w"} and first["headers"]["x-oss-meta-n"] == "7" and first["headers"]["content-type"] == "text/x"
    assert first["file"] == "data/objects/tk-one/发票/十一月/1.pdf"
    two = {l["key"]: l for l in lines(out) if l["bucket"] == "tk-two"}
    assert two["link"]["symlinkTarget"] == "log" and (out / two["cold"]["file"]).read_bytes() == b"cold"
    assert "<Status>Enabled</Status>" in (out / "data/buckets/tk-one/versioning.xml").read_text()
    assert "team" in (out / "data/buckets/tk-one/tagging.xml").read_text()
    assert "acme-invoices" in {l["bucket"] for l in lines(out)}
    # What is there is not fetched again; what changed meanwhile is, and the bag says what is now.
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "data/objects" in str(p)}
    oss.append_object("log", 4, b"two")
    s3.put_object(Bucket="tk-one", Key="a", Body=b"newer")
    takeout(house, out)
    bagit.Bag(str(out)).validate()
    now = {l["key"]: l for l in lines(out) if l["bucket"] == "tk-two"}
    assert (out / now["log"]["file"]).read_bytes() == b"one two"
    same = [p for p, at in before.items() if p.exists() and p.stat().st_mtime_ns == at]
    assert len(same) >= len(before) - 3
    for path in out.rglob("*"):
        assert path.resolve().is_relative_to(out.resolve())


def test_cut_in_the_middle_it_goes_on(house, tmp_path, chance):
    s3, out = s3_client(house), tmp_path / "bag"
    s3.create_bucket(Bucket="tk-large")
    bodies = {f"o{n}": chance.randbytes(40_000_000 if n == 5 else 400_000) for n in range(80)}
    for key, body in bodies.items():
        s3.put_object(Bucket="tk-large", Key=key, Body=body)
    key_id, secret = house.key("acme")
    (tmp_path / "secret").write_text(secret)
    command = [h.BIN, "takeout", "--url", house.objects, "--access-key-id", key_id, "--secret-file", str(tmp_path / "secret"), "--out", str(out),
               "--bucket", "tk-large"]
    cuts = 0
    for _ in range(6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.03, 0.15))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            cuts += 1
        process.wait()
    assert cuts
    # A torn last line is none; the server that goes away in the middle is told as such.
    with open(out / "versions.jsonl", "ab") as log:
        log.write(b'{"bucket":"tk-la')
    house.kill()
    assert "cannot be reached" in takeout(house, out, "--bucket", "tk-large", ok=1)
    house.start()
    told = takeout(house, out, "--bucket", "tk-large")
    assert told["versions"] == 80 and told["left"] == []
    bagit.Bag(str(out)).validate()
    assert {l["key"]: (out / l["file"]).read_bytes() for l in lines(out)} == bodies
    assert not (out / "partial").exists()
    # What lies there and was changed is seen by who checks the bag, and by the next run when its length changed.
    victim = out / lines(out)[0]["file"]
    victim.write_bytes(b"changed")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(out)).validate()
    takeout(house, out, "--bucket", "tk-large")
    bagit.Bag(str(out)).validate()


def test_it_takes_what_the_key_may_read_and_says_what_it_left(shared, tmp_path):
    s3 = s3_client(shared)
    s3.create_bucket(Bucket="tk-rights")
    for key in ("open/1", "secret/1"):
        s3.put_object(Bucket="tk-rights", Key=key, Body=b"x")
    own = policy("Allow", ["oss:List*", "oss:GetBucket*"])
    reads = policy("Allow", ["oss:GetObject*"], "acs:oss:*:*:tk-rights/open/*")
    key = make_user(Sdk("Ram", shared, shared.key("acme")), "tk-user", own={"lists": own, "reads-open": reads})
    told = takeout(shared, tmp_path / "bag", "--bucket", "tk-rights", key=key, ok=3)
    assert told["files"] >= 1 and [l["key"] for l in lines(tmp_path / "bag")] == ["open/1"]
    assert len(told["left"]) == 1 and "secret/1" in told["left"][0] and "403" in told["left"][0]
    theirs = takeout(shared, tmp_path / "theirs", "--bucket", "tk-rights", key=shared.key("globex"), ok=1)
    assert "NoSuchBucket" in theirs
    wrong = takeout(shared, tmp_path / "wrong", key=(shared.key("acme")[0], "not-the-secret"), ok=1)
    assert "SignatureDoesNotMatch" in wrong and "not-the-secret" not in wrong and "x-oss-signature" not in wrong
    assert "cannot be reached" in takeout(shared, tmp_path / "nowhere", url="http://127.0.0.1:9", ok=1)
    s3.put_object(Bucket="tk-rights", Key="sse-c", Body=b"c", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    told = takeout(shared, tmp_path / "c", "--bucket", "tk-rights", "--current", ok=3)
    assert len(told["left"]) == 1 and "sse-c" in told["left"][0]
