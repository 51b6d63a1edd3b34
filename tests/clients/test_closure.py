"""An account is closed by its owner: everything of it is destroyed, with a report and certificates that a stranger checks."""

import datetime
import hashlib
import json
import re
import sqlite3
import subprocess

import house as h
from conftest import s3_client
from kit import Browser
from sdk import Sdk, make_user
from test_s3 import code
from test_versions import refused


def root_of(house, alias="acme"):
    """A browser in which the account's root signed in."""
    browser = Browser(house)
    browser.get("/signin")
    root = house.tenant(alias)["root"]
    browser.sign_in(alias, "root", root["password"])
    return browser


def ask(house, days="0"):
    browser = root_of(house)
    browser.get("/console/close")
    assert browser.status == 200, browser.text
    browser.post("/console/close", days=days, confirm="acme")
    assert browser.status == 200, browser.text
    return browser, re.search(r"/closed/([a-z2-9]{40})", browser.source).group(1)


def counts(house, tenant):
    """Rows that any table of the database has of a tenant."""
    db = sqlite3.connect(house.data / "bailee.sqlite")
    out = {}
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        if "tenant_id" in columns:
            n = db.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = ?", (tenant,)).fetchone()[0]
            if n:
                out[table] = n
    db.close()
    return out


# What tells of an account after its end: the account's number, its log, what was consented, moved and destroyed.
STAYS = {
    "tenant", "tenant_key", "access_intent", "account_closure", "destruction", "ticket", "consent_request", "consent_decision",
    "transfer", "transfer_move", "transfer_request", "tenant_quota", "tenant_region", "sts_used", "cmk_use", "rpc_nonce", "collected_event", "collected_batch",
}


def test_everything_of_a_closed_account_is_gone_and_the_report_says_so(house, tmp_path):
    tenant = house.tenant("acme")["id"]
    s3, ram, kms = s3_client(house), Sdk("Ram", house, house.key("acme")), Sdk("Kms", house, house.key("acme"))
    s3.create_bucket(Bucket="acme-old")
    s3.put_bucket_versioning(Bucket="acme-old", VersioningConfiguration={"Status": "Enabled"})
    for n in range(3):
        s3.put_object(Bucket="acme-old", Key="k", Body=b"x" * (10 + n))
    s3.delete_object(Bucket="acme-old", Key="k")
    s3.put_object(Bucket="acme-old", Key="big", Body=b"y" * 300_000)
    up = s3.create_multipart_upload(Bucket="acme-old", Key="parts")["UploadId"]
    s3.upload_part(Bucket="acme-old", Key="parts", UploadId=up, PartNumber=1, Body=b"z" * 100)
    key = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms("CreateSecret", SecretName="db", VersionId="v1", SecretData="pw")
    li = make_user(ram, "closing-li", "AdministratorAccess")
    wang = Browser(house).login_tenant(house)

    # A user, whatever he may do, does not close it; a wrong alias does nothing; what waits is called back.
    wang.get("/console/close")
    wang.post("/console/close", days="0", confirm="acme")
    assert wang.status == 409 and "root" in wang.text
    root, receipt = ask(house, "7")
    assert house.run("tenant", "end-closed").stdout.startswith("0")
    assert root.get(f"/closed/{receipt}").status == 200 and b'"waiting"' in root.data
    root.get("/console/close")
    root.post("/console/close/cancel")
    assert root.status == 200 and root.get(f"/closed/{receipt}").status == 404
    root.get("/console/close")
    root.post("/console/close", days="0", confirm="acm")
    assert root.status == 400
    root, receipt = ask(house)
    assert house.run("tenant", "end-closed").stdout.startswith("1")

    # Nobody comes in, with whatever he had.
    for who in (house.key("acme"), li):
        assert code(refused(lambda: s3_client(house, key=who).list_buckets()))[1] == 403
    assert wang.get("/console/data").path == "/login" and root.get("/console").path == "/login"
    fresh = Browser(house)
    fresh.get("/signin")
    fresh.sign_in("acme", "root", house.tenant("acme")["root"]["password"])
    assert fresh.status >= 400 or fresh.path == "/login"

    stranger = Browser(house)
    stranger.get(f"/closed/{receipt}")
    told = json.loads(stranger.data)
    report = told["report"]
    assert told["state"] == "closed" and report["retainedVersions"] == 0 and report["account"] == tenant
    assert report["keys"] == [key] and report["secrets"] == ["db"] and report["people"]["users"] >= 1
    old = [b for b in report["buckets"] if b["bucket"] == "acme-old"]
    assert [b["items"] for b in old] == [5] and old[0]["bytes"] == 10 + 11 + 12 + 300_000
    assert {b["bucket"] for b in report["buckets"]} >= {"acme-old", "acme-invoices"}
    # Each certificate is checked by a stranger against the log.
    bundle = house.export()
    h.verify(bundle)
    for b in report["buckets"]:
        stranger.get(f"/closed/{receipt}/{b['certificate']}")
        assert stranger.status == 200
        path = tmp_path / "certificate"
        path.write_bytes(stranger.data)
        done = subprocess.run([h.VERIFY, "destruction", str(path), str(bundle)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    text = bundle.read_bytes()
    assert b'"eventName":"EraseAccount"' in text and b'"eventName":"CloseAccount"' in text
    digest = re.search(rb'"reportSha256":"([0-9a-f]{64})"', text).group(1).decode()
    stranger.get(f"/closed/{receipt}/report")
    assert json.loads(stranger.data) == report and digest == hashlib.sha256(stranger.data).hexdigest()
    left = counts(house, tenant)
    assert not {t for t in left if t not in STAYS and not t.startswith("trail_")}, left
    assert not [p for p in (house.data / "blobs").rglob("*") if p.is_file() and p.stat().st_size == 300_000 + 1]
    # The provider reads the report, too; the other account is as it was.
    assert json.loads(house.run("tenant", "closure", "--tenant", "acme").stdout)["report"] == report
    assert s3_client(house, "globex").list_buckets()["Buckets"]
    for wrong in ["a" * 40, receipt[:-1], "x", "x/report", "x/7"]:
        assert stranger.get(f"/closed/{wrong}").status == 404
    assert stranger.get(f"/closed/{receipt}/999999").status == 404
    house.assert_well()
    assert receipt not in house.log_text()


def test_what_is_retained_outlives_the_account(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="acme-locked", ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
    s3.put_object(Bucket="acme-locked", Key="kept", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket="acme-locked", Key="free", Body=b"y")
    key = Sdk("Kms", house, house.key("acme"))("CreateKey")["KeyMetadata"]["KeyId"]
    _, receipt = ask(house)
    assert house.run("tenant", "end-closed").stdout.startswith("1")
    told = json.loads(house.run("tenant", "closure", "--tenant", "acme").stdout)
    assert told["state"] == "ending" and told["report"]["retainedVersions"] == 1 and told["report"]["keys"] == []
    assert code(refused(lambda: s3_client(house).list_buckets()))[1] == 403, "closed all the same"
    left = counts(house, house.tenant("acme")["id"])
    assert left["bucket"] == 1 and left["cmk"] == 1 and key
    # The next round finds nothing to do and says the same.
    db = sqlite3.connect(house.data / "bailee.sqlite", isolation_level=None)
    db.execute("UPDATE account_closure SET due_at_ms = 0")
    db.close()
    house.run("tenant", "end-closed")
    again = json.loads(house.run("tenant", "closure", "--tenant", "acme").stdout)
    assert again["report"]["buckets"] == told["report"]["buckets"] and again["state"] == "ending"
    h.verify(house.export())


def test_a_closure_that_is_killed_goes_on(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="acme-many")
    for n in range(300):
        s3.put_object(Bucket="acme-many", Key=f"k{n}", Body=b"x")
    _, receipt = ask(house)
    for wait in (0.4, 0.2, 0.3, 0.4):
        process = subprocess.Popen([h.BIN, "tenant", "end-closed", "--data", str(house.data)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    house.run("tenant", "end-closed")
    told = json.loads(house.run("tenant", "closure", "--tenant", "acme").stdout)
    assert told["state"] == "closed", told
    left = counts(house, house.tenant("acme")["id"])
    assert "object" not in left and "bucket" not in left
    h.verify(house.export())
