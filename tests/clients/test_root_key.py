"""The root key: in clear, under a passphrase, under a key in an HSM (SoftHSM2); copies, and putting one back."""

import json
import os
import pathlib
import shutil
import subprocess

import house as h
import pytest
from conftest import s3_client

GOOD, OTHER = "correct horse battery staple", "another passphrase of mine"


def secret(folder, text, name="passphrase", mode=0o600):
    path = pathlib.Path(folder) / name
    path.write_text(text + "\n")
    path.chmod(mode)
    return str(path)


@pytest.fixture
def stopped(house):
    """A house that holds an object and is stopped."""
    s3 = s3_client(house)
    s3.create_bucket(Bucket="acme-root")
    s3.put_object(Bucket="acme-root", Key="o", Body=b"content")
    house.stop()
    return house


def bailee(house, *args, code=0, env=None, stdin=None):
    done = subprocess.run(
        [h.BIN, *args, "--data", str(house.data)], capture_output=True, text=True, timeout=120, input=stdin,
        env={**os.environ, **(env or {})})
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert GOOD not in done.stdout + done.stderr and OTHER not in done.stdout + done.stderr
    return done.stdout + done.stderr


def status(house, *more, **kw):
    return json.loads(bailee(house, "root", "status", "--output", "json", *more, **kw))


def opens(house, *more, **kw):
    """That the house opens: its tenants are listed."""
    return "acme" in bailee(house, "tenant", "list", *more, **kw)


def test_under_a_passphrase_nothing_opens_without_it(stopped, tmp_path):
    house, key = stopped, stopped.data / "root.key"
    before = key.read_text()
    assert status(house)["protection"] == "clear"
    good, other = secret(tmp_path, GOOD), secret(tmp_path, OTHER, "other")
    assert "at least 12" in bailee(house, "root", "protect", "passphrase", "--new-passphrase-file", secret(tmp_path, "short", "s"), code=1)
    assert key.read_text() == before
    bailee(house, "root", "protect", "passphrase", "--new-passphrase-file", good)
    assert before.split()[1] not in key.read_text() and oct(key.stat().st_mode & 0o777) == "0o600"
    assert "--root-passphrase-file" in bailee(house, "tenant", "list", code=1)
    lost = bailee(house, "tenant", "list", "--root-passphrase-file", other, code=1)
    assert "cannot be recovered by anybody" in lost
    assert opens(house, "--root-passphrase-file", good)
    assert opens(house, env={"BAILEE_ROOT_PASSPHRASE_FILE": good})
    assert opens(house, "--root-passphrase-file", "-", stdin=GOOD + "\n")
    assert "chmod 600" in bailee(house, "tenant", "list", "--root-passphrase-file", secret(tmp_path, GOOD, "open", 0o644), code=1)
    assert status(house) == {"file": str(key), "protection": "passphrase", "detail": "under a passphrase", "opens": False}
    assert "does not open" in bailee(house, "doctor", code=1)
    # A server starts with it, and reads what was written before.
    (house.data / "bailee.toml").write_text(f'root_passphrase_file = "{good}"\n')
    server = h.House(house.data)
    try:
        assert s3_client(server).get_object(Bucket="acme-root", Key="o")["Body"].read() == b"content"
    finally:
        server.stop()
    (house.data / "bailee.toml").unlink()
    # Another passphrase in its place; the first opens nothing any more; back in clear it is the same key.
    bailee(house, "root", "protect", "passphrase", "--new-passphrase-file", other, "--root-passphrase-file", good)
    assert "cannot be recovered" in bailee(house, "tenant", "list", "--root-passphrase-file", good, code=1)
    bailee(house, "root", "protect", "clear", "--root-passphrase-file", other)
    assert key.read_text() == before


def test_a_copy_brings_a_lost_passphrase_back(stopped, tmp_path):
    house, key, copy = stopped, stopped.data / "root.key", tmp_path / "copy.key"
    good, other = secret(tmp_path, GOOD), secret(tmp_path, OTHER, "other")
    bailee(house, "root", "backup", "--to", str(copy), "--new-passphrase-file", other)
    assert "exists already" in bailee(house, "root", "backup", "--to", str(copy), "--new-passphrase-file", other, code=1)
    bailee(house, "root", "protect", "passphrase", "--new-passphrase-file", good)
    assert "cannot be recovered" in bailee(house, "root", "restore", "--from", str(copy), "--root-passphrase-file", good, code=1)
    bailee(house, "root", "restore", "--from", str(copy), "--root-passphrase-file", other)
    assert opens(house, "--root-passphrase-file", other)
    key.unlink()
    assert "holds no house" in bailee(house, "tenant", "list", "--root-passphrase-file", other, code=1)
    bailee(house, "root", "restore", "--from", str(copy), "--root-passphrase-file", other)
    assert opens(house, "--root-passphrase-file", other)
    # A copy of another house is refused, before it replaces anything.
    elsewhere = tmp_path / "elsewhere"
    subprocess.run([h.BIN, "init", "--data", str(elsewhere), "--name", "Other", "--host", "other.example",
                    "--region", "cn-hangzhou", "--jurisdiction", "CN"], check=True, capture_output=True)
    shutil.copy(elsewhere / "root.key", tmp_path / "theirs.key")
    (tmp_path / "theirs.key").chmod(0o600)
    assert "another house" in bailee(house, "root", "restore", "--from", str(tmp_path / "theirs.key"), code=1)
    assert opens(house, "--root-passphrase-file", other)


@pytest.fixture
def token(tmp_path):
    """A token of SoftHSM2 from Debian, with a PIN."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": str(conf)}
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "bailee", "--so-pin", "12345678", "--pin", "87654321"],
                   check=True, env={**os.environ, **env}, capture_output=True)
    return env


MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def test_under_a_key_in_an_hsm_nothing_opens_without_token_and_pin(stopped, token, tmp_path):
    house, key = stopped, stopped.data / "root.key"
    pin, wrong = secret(tmp_path, "87654321", "pin"), secret(tmp_path, "00000000", "wrong")
    hsm = ("root", "protect", "hsm", "--module", MODULE, "--token", "bailee")
    assert "--root-pin-file" in bailee(house, *hsm, code=1, env=token)
    assert "does not take the PIN" in bailee(house, *hsm, "--root-pin-file", wrong, code=1, env=token)
    assert "no token" in bailee(house, *hsm[:-1], "other", "--root-pin-file", pin, code=1, env=token)
    assert "cannot be loaded" in bailee(house, *hsm[:4], "/nowhere.so", *hsm[5:], "--root-pin-file", pin, code=1, env=token)
    assert status(house)["protection"] == "clear", "nothing changed"
    bailee(house, *hsm, "--root-pin-file", pin, env=token)
    told = status(house, "--root-pin-file", pin, env=token)
    assert (told["protection"], told["opens"]) == ("hsm", True) and "bailee-root" in told["detail"]
    assert opens(house, "--root-pin-file", pin, env=token)
    assert "--root-pin-file" in bailee(house, "tenant", "list", code=1, env=token)
    assert "does not take the PIN" in bailee(house, "tenant", "list", "--root-pin-file", wrong, code=1, env=token)
    # Without the token the file is worth nothing; a copy under a passphrase helps.
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "empty.conf").write_text(f"directories.tokendir = {empty}\n")
    assert "no token" in bailee(house, "tenant", "list", "--root-pin-file", pin, code=1, env={"SOFTHSM2_CONF": str(tmp_path / "empty.conf")})
    whole = key.read_text()
    key.write_text(whole[:-3] + ("0" if whole[-3] != "0" else "1") + whole[-2:])
    assert "does not open the file" in bailee(house, "tenant", "list", "--root-pin-file", pin, code=1, env=token)
    key.write_text(whole)
    good, copy = secret(tmp_path, GOOD), tmp_path / "copy.key"
    bailee(house, "root", "backup", "--to", str(copy), "--new-passphrase-file", good, "--root-pin-file", pin, env=token)
    bailee(house, "root", "restore", "--from", str(copy), "--root-passphrase-file", good)
    assert opens(house, "--root-passphrase-file", good)
    # Changes of the key's protection stand in the provider's own log.
    bailee(house, "root", "protect", "clear", "--root-passphrase-file", good)
    acts = house.export("provider", "provider.bundle").read_bytes()
    assert all(act in acts for act in (b"ProtectRootKey", b"BackUpRootKey", b"bailee-root"))
