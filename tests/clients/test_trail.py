"""The trail from outside: export, verify offline, tiles as files, crashes, a full disk."""

import json
import os
import random
import re
import secrets
import shutil
import struct
import subprocess
import urllib.request

import boto3
import pytest
from botocore.config import Config

from kit import BIN, VERIFY, Browser, Server, run, wait_until

OBJECT = {"bucket": "acme-invoices", "key": "invoices/2026-11/1.pdf"}


def s3(server, alias="acme"):
    id, secret = server.keys(alias)
    return boto3.client("s3", endpoint_url=server.objects, region_name=server.region, aws_access_key_id=id,
                        aws_secret_access_key=secret,
                        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


def consented_read(server):
    lin, li = Browser(server).login_operator(server), Browser(server).login_tenant(server)
    lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    lin.post("/desk/tickets/T-1/read", **OBJECT)
    assert lin.status == 403
    lin.post("/desk/tickets/T-1/ask", minutes="30", uses="3", reason="it renders blank", **OBJECT)
    grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)
    li.get("/console/consent")
    li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
    lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    lin.post("/desk/tickets/T-1/read", **OBJECT)
    assert lin.status == 200
    return lin, li


def export(data, to, alias="acme"):
    run(BIN, "trail", "export", "--data", data, "--tenant", alias, "-o", to)
    return to


def records(bundle):
    """Where each record begins and ends: the format is documented in crates/proof/src/bundle.rs."""
    at = 17
    for _ in range(3):
        (n,) = struct.unpack_from(">I", bundle, at)
        at += 4 + n
    (count,) = struct.unpack_from(">Q", bundle, at)
    at += 8
    spans = []
    for _ in range(count):
        (n,) = struct.unpack_from(">I", bundle, at + 83)
        spans.append((at, at + 87 + n))
        at += 87 + n
    assert at == len(bundle)
    return spans


def test_a_bundle_verifies_without_network_and_no_change_of_it_does(tmp_path):
    with Server() as s:
        _, li = consented_read(s)
        # Before the export: the export is an act, too, and the log grows by it.
        key = json.loads(run(BIN, "trail", "head", "--data", s.data, "--tenant", "acme", "--output", "json").stdout)
        path = export(s.data, str(tmp_path / "acme.bundle"))
        report = json.loads(run(VERIFY, path, "--output", "json").stdout)["report"]
        assert report["counts"]["content_reads"] == 1
        (tmp_path / "head").write_text(key["checkpoint"])
        run(VERIFY, path, "--key", key["key"], "--tenant", s.tenant()["id"], "--head", str(tmp_path / "head"))
        other = export(s.data, str(tmp_path / "globex.bundle"), "globex")
        run(VERIFY, other)
        run(VERIFY, other, "--key", key["key"], ok=3)
        good = (tmp_path / "acme.bundle").read_bytes()
        spans = records(good)
        seed = secrets.randbits(32)
        print("seed", seed)
        dice = random.Random(seed)

        def refused(bytes_, word=""):
            (tmp_path / "bad").write_bytes(bytes_)
            said = run(VERIFY, str(tmp_path / "bad"), ok=3).stderr
            assert word in said, said

        for at in [dice.randrange(len(good)) for _ in range(60)]:
            refused(good[:at] + bytes([good[at] ^ (1 << dice.randrange(8))]) + good[at + 1:])
        a, b = spans[3], spans[4]
        refused(good[:a[0]] + good[a[1]:], "record")
        refused(good[:a[0]] + good[b[0]:b[1]] + good[a[0]:a[1]] + good[b[1]:], "record 3")
        refused(good[:spans[-1][0]], f"record {len(spans) - 1}")
        refused(good + b"x")
        # The console gives the same evidence.
        li.get("/console/trail")
        li.post("/console/trail/export")
        (tmp_path / "web.bundle").write_bytes(li.data)
        run(VERIFY, str(tmp_path / "web.bundle"), "--key", key["key"])


def test_tiles_and_checkpoint_are_served_to_anybody():
    with Server() as s:
        source = urllib.request.urlopen(s.console + "/verify").read().decode()
        base = s.console + re.search(r'href="(/log/[0-9a-f]{32}/)checkpoint"', source).group(1)
        note = urllib.request.urlopen(base + "checkpoint").read().decode()
        size = int(note.split("\n")[1])
        assert note.startswith("trust.kestrel.example/trail/") and size > 0
        tile = urllib.request.urlopen(base + f"tile/0/000.p/{size % 256}")
        assert len(tile.read()) == 32 * (size % 256) and "immutable" in tile.headers["Cache-Control"]
        entries = urllib.request.urlopen(base + f"tile/entries/000.p/{size % 256}").read()
        assert len(entries) == 52 * (size % 256)
        for path in ["tile/0/000", "tile/9/000.p/1", "tile/0/../../checkpoint", "nope", f"tile/0/000.p/{size % 256 + 50}"]:
            with pytest.raises(urllib.error.HTTPError) as e:
                urllib.request.urlopen(base + path)
            assert e.value.code == 404, path


def test_starting_again_finds_the_same_state():
    with Server() as s:
        consented_read(s)
        first = s.info
        s.stop()
        s.start()
        for name in ["tenants", "operators", "tickets"]:
            assert s.info[name] == first[name]
        li = Browser(s).login_tenant(s)
        assert "Done" in li.get("/console/trail").text


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root: not tried here")
def test_with_a_full_disk_operators_are_refused_and_tenants_read_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk))
    try:
        s = Server(data=str(disk / "data"))
        try:
            lin = Browser(s).login_operator(s)
            client = s3(s)
            lin.get("/desk/tickets/T-1")
            assert lin.status == 200
            filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
            try:
                while True:
                    os.write(filler, b"\0" * 4096)
            except OSError:
                os.close(filler)
            # The database may still have room inside its files: fill that too.
            def is_full():
                try:
                    client.put_object(Bucket="acme-invoices", Key="f" + secrets.token_hex(4), Body=b"x" * 15_000)
                except client.exceptions.ClientError as e:
                    return e.response["ResponseMetadata"]["HTTPStatusCode"] == 503
                return False
            wait_until(is_full)
            def refused():
                lin.get("/desk/tickets/T-1")
                return lin.status == 503
            wait_until(refused)
            assert "the trail cannot be written, so `GetTicket` was not done" in lin.text, lin.text
            body = client.get_object(Bucket="acme-invoices", Key="invoices/2026-11/1.pdf")["Body"].read()
            assert b"48,000.00" in body
            os.remove(disk / "filler")
            def works():
                lin.get("/desk/tickets/T-1")
                return lin.status == 200
            wait_until(works)
        finally:
            s.kill()
    finally:
        subprocess.run(["umount", "-l", str(disk)])


def test_a_changed_or_older_database_is_not_believed(tmp_path):
    import sqlite3
    with Server() as s:
        consented_read(s)
        s.stop()
        tenant = s.tenant()["id"]

        def changed(name, sql):
            copy = str(tmp_path / name)
            shutil.copytree(s.data, copy)
            db = sqlite3.connect(os.path.join(copy, "bailee.sqlite"))
            assert db.execute(sql, (tenant,)).rowcount == 1
            db.commit()
            db.close()
            return copy

        last = "record_index = (SELECT max(record_index) FROM trail_record WHERE tenant_id = ?1)"
        copy = changed("tail", f"DELETE FROM trail_record WHERE tenant_id = ?1 AND {last}")
        said = run(BIN, "trail", "head", "--data", copy, "--tenant", "acme", ok=3).stderr
        assert "records are stored and the head says" in said, said
        for name, sql in [
            ("gap", "DELETE FROM trail_record WHERE tenant_id = ? AND record_index = 2"),
            ("entry", "UPDATE trail_record SET entry = zeroblob(50) WHERE tenant_id = ? AND record_index = 2"),
        ]:
            copy = changed(name, sql)
            assert "BAD    logs" in run(BIN, "doctor", "--data", copy, ok=1).stdout
        copy = changed("text", "UPDATE trail_record SET sealed_opening = zeroblob(200) WHERE tenant_id = ? AND record_index = 2")
        run(BIN, "trail", "export", "--data", copy, "--tenant", "acme", "-o", str(tmp_path / "x"), ok=3)
        assert not os.path.exists(tmp_path / "x")
        s.start()
