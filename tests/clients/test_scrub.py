"""`bailee vault scrub` finds every kind of damage to what is stored, names the object, and is quiet when there is none."""

import json
import pathlib
import random
import sqlite3

import pytest
from conftest import s3_client

import house as h

MIB = 1024 * 1024
PART = 5 * MIB


def scrub(house, *args, code=0):
    return json.loads(house.run("vault", "scrub", *args, "--output", "json", code=code).stdout)


@pytest.fixture
def stored(house, chance):
    """Small and large objects, versions, parts, and an upload under way."""
    s3 = s3_client(house)
    s3.create_bucket(Bucket="scrubbed")
    s3.put_bucket_versioning(Bucket="scrubbed", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"old", b"small"):
        s3.put_object(Bucket="scrubbed", Key="small", Body=body)
    for n in (1, 2):
        s3.put_object(Bucket="scrubbed", Key="文/large", Body=chance.randbytes(300_000 + n))
    s3.put_object(Bucket="scrubbed", Key="empty", Body=b"")
    s3.delete_object(Bucket="scrubbed", Key="empty")
    for key, whole in (("parts", True), ("under-way", False)):
        upload = s3.create_multipart_upload(Bucket="scrubbed", Key=key)["UploadId"]
        tags = [
            s3.upload_part(Bucket="scrubbed", Key=key, UploadId=upload, PartNumber=n + 1, Body=chance.randbytes(size))["ETag"]
            for n, size in enumerate((PART, 70_000))
        ]
        if whole:
            parts = [{"PartNumber": n + 1, "ETag": t} for n, t in enumerate(tags)]
            s3.complete_multipart_upload(Bucket="scrubbed", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return house


def change(house, sql, *values):
    with sqlite3.connect(pathlib.Path(house.data) / "bailee.sqlite") as db:
        done = db.execute(sql, values)
        assert done.rowcount > 0, sql


def one(house, sql):
    with sqlite3.connect(pathlib.Path(house.data) / "bailee.sqlite") as db:
        return db.execute(sql).fetchone()[0]


def blob(house, name):
    found = [p for p in (pathlib.Path(house.data) / "blobs").rglob(name) if p.is_file()]
    assert len(found) == 1, found
    return found[0]


def flip(data, at):
    data = bytearray(data)
    data[at] ^= 1 << random.randrange(8)
    return bytes(data)


def test_what_is_whole_is_found_whole_and_the_run_is_on_record(stored):
    done = scrub(stored)
    assert done["damaged"] == [] and done["damagedInAll"] == 0 and done["withoutChecksum"] == 0
    mine = scrub(stored, "--tenant", "acme", "--bucket", "scrubbed")
    # small twice, large twice, empty behind its marker, the object of parts, two parts under way.
    assert (mine["objects"], mine["damaged"]) == (8, [])
    assert scrub(stored, "--bucket", "no-such-bucket")["objects"] == 0
    plain = stored.run("vault", "scrub", "--tenant", "acme").stdout
    assert " looked at; 0 damaged" in plain, plain
    record = stored.export("provider", "provider.bundle").read_bytes()
    assert record.count(b'"eventName":"ScrubVault"') >= 3, "each run stands in the provider's own log"


def test_each_kind_of_damage_is_found_and_its_object_named(stored, chance):
    newest = one(stored, "SELECT version_id FROM object WHERE object_key = '文/large'")
    former = one(stored, "SELECT version_id FROM object_version WHERE object_key = '文/large'")
    part = one(stored, "SELECT part_id FROM object_part WHERE part_number = 2")
    pending = one(stored, "SELECT part_id FROM upload_part WHERE part_number = 1")
    harms = []

    def file_harm(name, key, what, harm):
        path = blob(stored, name)
        whole = path.read_bytes()
        harms.append((key, what, lambda: path.write_bytes(harm(whole)), lambda: path.write_bytes(whole)))

    for name, key in ((newest, "文/large"), (former, "文/large"), (part, "parts"), (pending, "under-way")):
        file_harm(name, key, "were changed", lambda b: flip(b, chance.randrange(100, len(b))))
        file_harm(name, key, "header", lambda b: flip(b, chance.randrange(0, 88)))
        file_harm(name, key, "in place of", lambda b: b[:-1])
        file_harm(name, key, "in place of", lambda b: b + b"x")
        path = blob(stored, name)
        aside = path.with_suffix(".aside")
        harms.append((key, "missing", lambda p=path, a=aside: p.rename(a), lambda p=path, a=aside: a.rename(p)))

    def row_harm(key, what, table, column, where):
        whole = one(stored, f"SELECT {column} FROM {table} WHERE {where}")
        update = f"UPDATE {table} SET {column} = ? WHERE {where}"
        harmed = flip(whole, chance.randrange(len(whole)))
        harms.append((key, what, lambda: change(stored, update, harmed), lambda: change(stored, update, whole)))

    for key, table in (("small", "object"), ("small", "object_version"), ("文/large", "object"), ("parts", "object")):
        for column in ("wrapped_key", "sealed_meta"):
            row_harm(key, "its row was changed", table, column, f"object_key = '{key}'")
    row_harm("文/large", "its row was changed", "object", "header", "object_key = '文/large'")
    row_harm("parts", "header", "object_part", "header", "part_number = 2")
    small = one(stored, "SELECT version_id FROM object WHERE object_key = 'small'")
    row_harm("small", "database were changed", "object_inline", "sealed_bytes", f"version_id = '{small}'")
    sizes = [("object", "small", "its row was changed"), ("object", "parts", "its row was changed")]
    for table, key, what in sizes:
        harms.append((
            key, what,
            lambda t=table, k=key: change(stored, f"UPDATE {t} SET size = size + 1 WHERE object_key = ?", k),
            lambda t=table, k=key: change(stored, f"UPDATE {t} SET size = size - 1 WHERE object_key = ?", k),
        ))
    for key, what, harm, mend in harms:
        harm()
        done = scrub(stored, code=3)
        assert [d["key"] for d in done["damaged"]] == [key], (key, what, done)
        assert what in done["damaged"][0]["what"], done
        assert done["damaged"][0]["bucket"] == "scrubbed" and done["damaged"][0]["tenant"] == stored.tenant("acme")["id"]
        mend()
    assert scrub(stored)["damaged"] == []
    plain = None
    harms[0][2]()
    plain = stored.run("vault", "scrub", code=3).stdout
    assert "scrubbed/文/large" in plain and "1 damaged" in plain
    harms[0][3]()


def test_a_house_that_serves_is_scrubbed_while_it_is_written(house, chance):
    s3 = s3_client(house)
    s3.create_bucket(Bucket="busy")
    stop = []

    def write():
        n = 0
        while not stop:
            n += 1
            s3.put_object(Bucket="busy", Key=f"k{n % 7}", Body=bytes(100_000 + n))
            if n % 5 == 0:
                s3.delete_object(Bucket="busy", Key=f"k{(n + 3) % 7}")

    import threading

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(6):
            done = scrub(house)
            assert done["damaged"] == [], "what is replaced meanwhile is not damaged"
    finally:
        stop.append(True)
        writer.join()
    assert h.bailee("vault", "scrub", "--help").stdout.count("repairs nothing") == 1
