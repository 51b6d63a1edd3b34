"""The command line as an administrator meets it."""

import json
import os
import signal
import socket
import subprocess
import time

import conftest
import pytest

import house as h

INIT = ["--name", "Test Cloud", "--host", "trust.test.example"]


@pytest.fixture
def made(tmp_path):
    """An empty house by `bailee init`."""
    data = tmp_path / "data"
    h.bailee("init", "--data", str(data), *INIT)
    return data


def serve(data, *args):
    """`bailee serve` with its two addresses, which it prints on standard error."""
    command = [h.BIN, "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0", *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    addresses = {}
    for line in process.stderr:
        name, _, address = line.decode().strip().partition("  ")
        if name in ("console", "objects"):
            addresses[name] = address.strip()
        if len(addresses) == 2:
            break
    return process, addresses


def test_help_and_version_and_completions_are_there():
    assert "bailee 0." in h.bailee("--version").stdout
    text = h.bailee("--help").stdout
    for noun in ("dev", "init", "serve", "doctor", "tenant", "operator", "trail", "completions"):
        assert f"  {noun}" in text
    for shell in ("bash", "zsh", "fish"):
        assert len(h.bailee("completions", shell).stdout) > 1000
    done = subprocess.run(["bash", "-n"], input=h.bailee("completions", "bash").stdout, text=True)
    assert done.returncode == 0
    h.bailee(code=2)
    h.bailee("tenant", "create", code=2)


def test_a_house_is_made_once_filled_and_served(made):
    at = ["--data", str(made), "--output", "json"]
    h.bailee("init", *at, *INIT, code=1)
    assert json.loads(h.bailee("tenant", "list", *at).stdout) == []
    tenant = json.loads(h.bailee("tenant", "create", *at, "--alias", "acme", "--name", "Acme").stdout)
    assert tenant["alias"] == "acme" and len(tenant["id"]) == 16
    h.bailee("tenant", "create", *at, "--alias", "acme", "--name", "Acme", code=1)
    user = json.loads(h.bailee("tenant", "add-user", *at, "--tenant", "acme", "--user", "li").stdout)
    assert user["password"]
    key = json.loads(h.bailee("tenant", "add-key", *at, "--tenant", "acme", "--user", "li").stdout)
    document = made.parent / "policy.json"
    document.write_text(
        '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:shop*"}]}'
    )
    h.bailee("tenant", "create-policy", *at, "--tenant", "acme", "--name", "shop", "--document", str(document))
    h.bailee("tenant", "attach-policy", *at, "--tenant", "acme", "--user", "li", "--policy", "shop", "--custom")
    operator = json.loads(h.bailee("operator", "create", *at, "--id", "op-lin", "--place", "CN").stdout)
    assert operator["password"]
    h.bailee("operator", "disable", *at, "op-lin")
    assert json.loads(h.bailee("operator", "list", *at).stdout)[0]["active"] is False
    h.bailee("operator", "enable", *at, "op-lin")
    h.bailee("operator", "create", *at, "--id", "op-x", "--place", "nowhere", code=1)
    assert "acme" in h.bailee("tenant", "list", "--data", str(made)).stdout

    process, addresses = serve(made)
    house = type("H", (), {"objects": addresses["objects"]})()
    s3 = conftest.s3_client(house, key=(key["access_key_id"], key["access_key_secret"]))
    s3.create_bucket(Bucket="shop-1")
    s3.put_object(Bucket="shop-1", Key="o", Body=b"x")
    with pytest.raises(Exception, match="AccessDenied"):
        s3.create_bucket(Bucket="other-1")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0

    acts = json.loads(h.bailee("trail", "acts", *at, "--tenant", "acme", "--all").stdout)
    names = [a["event"] for a in acts["acts"]]
    assert "CreateUser" in names and "CreateAccessKey" in names, names
    head = json.loads(h.bailee("trail", "head", *at, "--tenant", "acme").stdout)
    assert head["checkpoint"].startswith(head["log"] + "\n") and head["size"] > 0
    out = made.parent / "acme.bundle"
    export = json.loads(h.bailee("trail", "export", *at, "--tenant", "acme", "-o", str(out)).stdout)
    assert export["bytes"] == out.stat().st_size and export["key"] == head["key"]
    h.verify(out)
    for line in (["trail", "export", "--tenant", "nobody", "-o", str(out)], ["trail", "head", "--tenant", "nobody"]):
        done = h.bailee(*line, *at, code=1)
        assert "nobody" in done.stderr and "does not exist" in done.stderr


def test_doctor_says_what_is_missing(made, tmp_path):
    found = json.loads(h.bailee("doctor", "--data", str(made), "--output", "json").stdout)
    assert {f["what"] for f in found} >= {"clock", "data folder", "root key", "house", "logs"} - {"house"}
    assert all(f["state"] != "BAD" for f in found)
    done = h.bailee("doctor", "--data", str(tmp_path / "nothing"), code=1)
    assert "bailee init" in done.stdout


def test_a_root_key_that_others_can_read_is_refused(made):
    key = made / "root.key"
    for mode in (0o644, 0o640, 0o604, 0o666):
        key.chmod(mode)
        done = h.bailee("tenant", "list", "--data", str(made), code=1)
        assert "root.key" in done.stderr and "chmod 600" in done.stderr, done.stderr
        assert "BAD" in h.bailee("doctor", "--data", str(made), code=1).stdout
    key.chmod(0o600)
    h.bailee("tenant", "list", "--data", str(made))


@pytest.mark.parametrize("change", ["gone", "empty", "cut", "bit", "another"])
def test_a_root_key_that_is_not_the_right_one_opens_nothing(seed, tmp_path, change):
    data = h.copy_of(seed, tmp_path / "data")
    key = data / "root.key"
    text = key.read_bytes()
    if change == "gone":
        key.unlink()
    elif change == "another":
        other = tmp_path / "other"
        h.bailee("init", "--data", str(other), *INIT)
        key.write_bytes((other / "root.key").read_bytes())
    else:
        middle = len(text) // 2
        key.write_bytes({"empty": b"", "cut": text[:-9], "bit": text[:middle] + bytes([text[middle] ^ 1]) +
                         text[middle + 1 :]}[change])
    before = (data / "bailee.sqlite").read_bytes()
    done = subprocess.run([h.BIN, "dev", "--data", str(data), "--listen", "127.0.0.1:0", "--object-listen",
                           "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert done.returncode in (1, 3) and "panicked" not in done.stderr, done.stderr
    assert "key" in done.stderr, done.stderr
    assert (data / "bailee.sqlite").read_bytes() == before, "a house whose key is missing must not be changed"


def test_a_second_server_on_one_folder_is_refused(house):
    done = subprocess.run([h.BIN, "serve", "--data", str(house.data), "--listen", "127.0.0.1:0", "--object-listen",
                           "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "serves" in done.stderr, done.stderr
    house.assert_well()


def test_addresses_that_cannot_or_must_not_be_served_are_refused(made):
    for address in ("0.0.0.0:0", "[::]:0"):
        done = h.bailee("serve", "--data", str(made), "--listen", address, "--object-listen", "127.0.0.1:0", code=1)
        assert "TLS" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = h.bailee("serve", "--data", str(made), "--listen", address, "--object-listen", "127.0.0.1:0", code=1)
        assert address in done.stderr and "--listen" in done.stderr


def test_a_misspelt_option_in_the_file_is_refused(made):
    (made / "bailee.toml").write_text("lisen = '127.0.0.1:1'\n")
    done = h.bailee("tenant", "list", "--data", str(made), code=1)
    assert "bailee.toml" in done.stderr and "lisen" in done.stderr
    (made / "bailee.toml").write_text("database = 'mysql://x'\n")
    assert "postgres://" in h.bailee("tenant", "list", "--data", str(made), code=1).stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_finds_the_same_state(house, how):
    s3, bucket = conftest.s3_client(house), house.bucket("acme")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    idle = socket.create_connection(house.objects.removeprefix("http://").split(":"))
    before = house.facts
    start = time.monotonic()
    house.process.send_signal(how)
    assert house.process.wait(30) == 0
    assert time.monotonic() - start < 5, "an idle connection must not hold it up"
    idle.close()
    with pytest.raises(OSError):
        h.get(before["console"] + "/healthz")
    house.start()
    for same in ("tenants", "operators", "tickets", "region"):
        assert house.facts[same] == before[same]
    assert conftest.s3_client(house).get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"


def test_a_request_that_runs_ends_before_the_server_does(house):
    """SIGTERM in the middle of an upload: it is finished, answered and kept."""
    from signing import sigv4

    host, path = house.objects.removeprefix("http://"), f"/{house.bucket('acme')}/in-flight"
    signed = sigv4("PUT", path, house.key("acme"), host=host, payload="UNSIGNED-PAYLOAD")
    head = "\r\n".join([f"PUT {path} HTTP/1.1", f"host: {host}", "content-length: 200000",
                        *(f"{k}: {v}" for k, v in signed.items())]) + "\r\n\r\n"
    with socket.create_connection(host.split(":")) as wire:
        wire.sendall(head.encode() + b"a" * 100_000)
        # It has begun when it was accepted; the other listener's answer comes after that.
        h.get(house.objects + "/")
        house.process.send_signal(signal.SIGTERM)
        wire.sendall(b"a" * 100_000)
        assert wire.recv(4096).startswith(b"HTTP/1.1 200")
    assert house.process.wait(30) == 0
    house.start()
    got = conftest.s3_client(house).get_object(Bucket=house.bucket("acme"), Key="in-flight")
    assert got["ContentLength"] == 200_000


def test_the_sample_is_not_made_in_a_house_that_is_in_use(made):
    h.bailee("tenant", "create", "--data", str(made), "--alias", "real", "--name", "Real")
    done = h.bailee("dev", "--data", str(made), "--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0", code=1)
    assert "sample" in done.stderr


def test_the_welcome_shows_how_to_go_on(tmp_path):
    command = [h.BIN, "dev", "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = ""
    while "Ctrl-C" not in text:
        line = process.stdout.readline()
        assert line, text
        text += line
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    for needed in ("http://127.0.0.1:", "acme", "globex", "op-lin", "--env acme", "bailee-verify"):
        assert needed in text, text


def test_nothing_secret_stands_in_the_logs(house):
    """The worst day of a log: wrong passwords, wrong signatures, presigned addresses, form fields."""
    from kit import Browser

    s3 = conftest.s3_client(house)
    address = s3.generate_presigned_url("get_object", Params={"Bucket": house.bucket("acme"), "Key": "readme.txt"})
    h.get(address)
    h.get(address + "broken")
    Browser(house).send("POST", "/login/tenant", {"tenant": "acme", "user": "li", "password": "hunter2-hunter2"})
    Browser(house).login_operator(house)
    house.stop()
    before = house.objects
    house.env = {"RUST_LOG": "trace"}
    house.start()
    Browser(house).login_operator(house)
    h.get(house.objects + address.removeprefix(before))
    conftest.s3_client(house).list_buckets()
    log = house.log_text()
    for secret in ("hunter2-hunter2", "X-Amz-Signature", house.key("acme")[1], house.operator("op-lin")["password"],
                   house.tenant("acme")["user"]["password"], "AWS4-HMAC-SHA256 Credential"):
        assert secret not in log, f"{secret} is in the log"


def test_environment_and_flags_say_the_same(made):
    env = {"BAILEE_DATA": str(made), "BAILEE_OUTPUT": "json"}
    assert json.loads(h.bailee("tenant", "list", env=env).stdout) == []
    assert os.path.exists(made / "root.key")
