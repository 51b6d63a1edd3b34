"""New versions of a tenant's key and a new root key, by the commands, while clients go on."""

import concurrent.futures
import json
import subprocess
import time

import house as h
from conftest import s3_client
from kit import Browser, totp

BUCKET = "acme-rekeyed"
ACTIVE, PASS = 15, 30


def told(house, *args, code=0):
    """What a command says, on either stream."""
    done = house.run(*args, code=code)
    return done.stdout + done.stderr


def keys(house, *args):
    return json.loads(house.run("keys", *args, "--output", "json").stdout)


def versions(house, tenant="acme"):
    return keys(house, "status", "--tenant", tenant)


def test_a_tenants_key_gets_a_new_version_while_clients_go_on(house):
    s3 = s3_client(house)
    s3.create_bucket(Bucket=BUCKET)
    bodies = {f"o/{n:03}": bytes([n % 251]) * (100 if n % 10 else 200_000) for n in range(240)}
    bodies["in-parts"] = b"p" * (6 << 20)

    def put(name):
        s3.put_object(Bucket=BUCKET, Key=name, Body=bodies[name])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put, [n for n in bodies if n != "in-parts"]))
    # An upload that is under way all the time.
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="in-parts")["UploadId"]
    part = {"Bucket": BUCKET, "Key": "in-parts", "UploadId": upload}
    first = s3.upload_part(**part, PartNumber=1, Body=bodies["in-parts"][: 5 << 20])["ETag"]

    assert [v["version"] for v in versions(house)] == [1]
    rotated = time.monotonic()
    assert keys(house, "rotate", "--tenant", "acme")["version"] == 2
    assert "moments ago" in told(house, "keys", "rotate", "--tenant", "acme", code=1)
    assert "can be sealed anew from" in told(house, "keys", "rewrap", "--tenant", "acme", code=1)
    assert "acme" not in told(house, "keys", "retire", "--tenant", "globex", "--number", "1", code=1)
    assert "can be destroyed from" in told(house, "keys", "retire", "--tenant", "acme", "--number", "1", code=1)
    # Reads and writes go on through the change.
    while time.monotonic() - rotated < PASS + 1:
        put("o/001")
        assert s3.get_object(Bucket=BUCKET, Key="o/000")["Body"].read() == bodies["o/000"]
        time.sleep(0.5)
    # Cut in the middle, more than once: what was done is done, the rest is done by the next, or by the server itself.
    for pause in (0.05, 0.1, 0.2, 0.4):
        cut = subprocess.Popen(
            [h.BIN, "keys", "rewrap", "--tenant", "acme", "--data", str(house.data)], stdout=subprocess.DEVNULL)
        time.sleep(pause)
        cut.kill()
        cut.wait()
        assert s3.get_object(Bucket=BUCKET, Key="o/010")["Body"].read() == bodies["o/010"]
    done = keys(house, "rewrap", "--tenant", "acme")
    assert (done["looked"], done["damagedInAll"], done["raced"]) == (done["objectsInAll"], 0, 0), done
    again = keys(house, "rewrap", "--tenant", "acme")
    assert (again["objects"], again["others"]) == (0, 0), again
    newest = versions(house)[-1]
    assert (newest["version"], bool(newest["settledAt"])) == (2, True)
    # The upload ends under the new version; a restarted server reads everything.
    second = s3.upload_part(**part, PartNumber=2, Body=bodies["in-parts"][5 << 20 :])["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": parts})
    house.kill()
    house.start()
    s3 = s3_client(house)
    for name, body in bodies.items():
        assert s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == body, name
    assert "0 damaged" in told(house, "vault", "scrub")
    # The tenant reads of it in its own log, and the log is whole.
    bundle = house.export()
    assert h.verify(bundle)
    names = told(house, "trail", "list", "--tenant", "acme", "--limit", "200")
    assert "RotateTenantKey" in names and "RewrapTenant" in names


def test_a_house_gets_a_new_root_key_and_everything_opens(house, tmp_path):
    s3 = s3_client(house)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="o", Body=b"content")
    person = house.tenant("acme")["user"]
    browser = Browser(house).sign_in("acme", person["name"], person["password"])
    assert browser.get("/console").status == 200
    browser.get("/security")
    seed, step, _ = browser.bind_app()
    old = (house.data / "root.key").read_bytes()
    # A server that runs, or was killed a moment ago, keeps it from happening.
    assert "stop all servers" in told(house, "root", "renew", code=1)
    assert (house.data / "root.key").read_bytes() == old and not (house.data / "root.key.next").exists()
    house.stop()
    time.sleep(31)
    assert "make a copy of it" in told(house, "root", "renew")
    assert (house.data / "root.key").read_bytes() != old
    assert oct((house.data / "root.key").stat().st_mode & 0o777) == "0o600"
    house.start()
    assert s3_client(house).get_object(Bucket=BUCKET, Key="o")["Body"].read() == b"content"
    # Password, second factor.
    again = Browser(house).sign_in("acme", person["name"], person["password"])
    assert again.path == "/signin"
    again.post("/signin/factor", code=totp(seed, max(step + 1, int(time.time()) // 30)))
    assert again.path == "/console", again.text[:300]
    assert h.verify(house.export())
    # The old key opens nothing here.
    house.stop()
    new = (house.data / "root.key").read_bytes()
    (house.data / "root.key").write_bytes(old)
    assert "another house" in told(house, "tenant", "list", code=1)
    (house.data / "root.key").write_bytes(new)
    assert "acme" in told(house, "tenant", "list")
    house.start()
