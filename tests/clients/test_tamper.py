"""Stored bytes that were changed behind the server's back are found before they are believed."""

import shutil
import sqlite3

import botocore.exceptions
import conftest
import pytest

import house as h

HEADER_BYTES = 88


def fetch(s3, bucket, key):
    """The object, or none when it is not given out (whole)."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (botocore.exceptions.ClientError, botocore.exceptions.IncompleteReadError, botocore.exceptions.HTTPClientError,
            botocore.exceptions.ResponseStreamingError):
        return None


def edit(house, statement, *values):
    """A change in the database that the server did not make."""
    with sqlite3.connect(house.data / "bailee.sqlite") as db:
        return db.execute(statement, values).rowcount


def flip(data, at):
    out = bytearray(data)
    out[at] ^= 1
    return bytes(out)


def test_a_blob_with_one_other_byte_is_not_given_out(house, chance):
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    before = {p for p in (house.data / "blobs").rglob("*") if p.is_file()}
    body = chance.randbytes(300_000)
    s3.put_object(Bucket=bucket, Key="large", Body=body)
    (blob,) = {p for p in (house.data / "blobs").rglob("*") if p.is_file()} - before
    good = blob.read_bytes()
    for at in {0, 1, 40, len(good) - 1, len(good) - 17, *(chance.randrange(len(good)) for _ in range(20))}:
        blob.write_bytes(flip(good, at))
        # The header's copy in the file is for repair: reads take the row's. Whatever is given out is what was put.
        allowed = (None, body) if at < HEADER_BYTES else (None,)
        assert fetch(s3, bucket, "large") in allowed, f"byte {at}"
    for changed in (good[:-1], good[:-65536], good[: len(good) // 2], b""):
        blob.write_bytes(changed)
        assert fetch(s3, bucket, "large") is None
    blob.write_bytes(good + b"x")
    assert fetch(s3, bucket, "large") in (None, body)
    blob.write_bytes(good)
    assert fetch(s3, bucket, "large") == body
    blob.unlink()
    assert fetch(s3, bucket, "large") is None
    assert "panicked" not in house.log_text()


def test_rows_of_objects_cannot_be_swapped_or_edited(house):
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    s3.put_object(Bucket=bucket, Key="one", Body=b"content one")
    s3.put_object(Bucket=bucket, Key="two", Body=b"content two")
    read = lambda key: fetch(s3, bucket, key)  # noqa: E731
    assert (read("one"), read("two")) == (b"content one", b"content two")
    find = "(SELECT {} FROM object WHERE object_key = 'two')"
    # The one's row now points to the other's bytes.
    assert edit(house, f"UPDATE object SET version_id = {find.format('version_id')} WHERE object_key = 'one'") == 1
    assert read("one") is None
    assert edit(house, f"UPDATE object SET wrapped_key = {find.format('wrapped_key')} WHERE object_key = 'one'") == 1
    assert read("one") is None
    # Whole rows exchange their names: each opens under its version only, and says which key it was.
    edit(house, "UPDATE object_inline SET sealed_bytes = sealed_bytes || x'00'")
    assert read("two") is None
    assert "panicked" not in house.log_text()


def test_an_object_of_one_tenant_opens_not_for_another(house):
    """The provider's administrator moves a row: globex's report into acme's bucket."""
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    statement = "UPDATE object SET tenant_id = ?, bucket = ? WHERE object_key = 'reports/q3.txt'"
    assert edit(house, statement, house.tenant("acme")["id"], bucket) == 1
    edit(house, "UPDATE object_inline SET tenant_id = ?", house.tenant("acme")["id"])
    assert fetch(s3, bucket, "reports/q3.txt") is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trail_record SET entry = zeroblob(50) WHERE record_index = 1",
        "UPDATE trail_record SET sealed_opening = zeroblob(200) WHERE record_index = 1",
        "UPDATE trail_record SET leaf_hash = zeroblob(32) WHERE record_index = 1",
        "DELETE FROM trail_record WHERE record_index = 1",
        "DELETE FROM trail_record WHERE record_index = (SELECT max(record_index) FROM trail_record)",
    ],
)
def test_a_record_that_was_changed_is_found(house, statement):
    house.stop()
    assert edit(house, statement) >= 1
    done = h.subprocess.run([h.BIN, "doctor", "--data", str(house.data)], capture_output=True, text=True)
    assert done.returncode != 0 and "BAD" in done.stdout, done.stdout
    assert "panicked" not in done.stderr
    out = house.data.parent / "x.bundle"
    done = h.subprocess.run([h.BIN, "trail", "export", "--data", str(house.data), "--tenant", "acme", "-o", str(out)],
                            capture_output=True, text=True)
    assert "panicked" not in done.stderr
    if done.returncode == 0 and "leaf_hash" not in statement:  # a bundle has no leaf hashes: they are recomputed
        h.verify(out, code=3)


def test_an_old_backup_does_not_grow_a_second_history(house, tmp_path):
    """The likeliest accident: yesterday's database is restored, and checkpoints of today were seen by others."""
    house.stop()
    old = tmp_path / "old.sqlite"
    shutil.copy(house.data / "bailee.sqlite", old)
    house.start()
    s3 = conftest.s3_client(house)
    for n in range(3):
        s3.create_bucket(Bucket=f"later-{n}")
    late = h.bailee("trail", "head", "--data", str(house.data), "--tenant", "acme", "--output", "json").stdout
    assert late
    house.stop()
    for name in ("bailee.sqlite-wal", "bailee.sqlite-shm"):
        (house.data / name).unlink(missing_ok=True)
    shutil.copy(old, house.data / "bailee.sqlite")
    done = h.subprocess.run([h.BIN, "serve", "--data", str(house.data), "--listen", "127.0.0.1:0", "--object-listen",
                             "127.0.0.1:0"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 3 and "older than what was signed" in done.stderr, done.stderr
    assert "panicked" not in done.stderr
