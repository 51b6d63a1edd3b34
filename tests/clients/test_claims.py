"""Claims: checked over the running system, recorded, and judged offline by a program that knows the log's key only."""

import json
import re
import subprocess

import house as h


def check(house, *args, code=0):
    return json.loads(house.run("check", *args, "--output", "json", code=code).stdout)


def key(house):
    page = h.request("GET", house.console + "/verify", "", {})[2].decode()
    return re.search(r'id="vkey">([^<]+)<', page).group(1)


def verify(path, vkey, code):
    done = subprocess.run([h.VERIFY, "claim", str(path), "--key", vkey], capture_output=True, text=True, env={})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_a_claim_is_proven_offline_and_falls_with_its_check(house, tmp_path):
    found = {f["check"]: f for f in check(house, "run", "RES-01", "ENC-01", "TRL-01")}
    assert {f["answer"] for f in found.values()} == {"pass"}, found
    assert found["RES-01"]["numbers"]["elsewhere"] == 0 and found["RES-01"]["numbers"]["sample"] > 0
    claims = {c["claim"]: c for c in json.loads(house.run("claim", "list", "--output", "json").stdout)}
    assert claims["data-location"]["standing"] == "proven", claims["data-location"]
    assert claims["network-isolation"]["standing"] == "unproven", "nobody looks at it yet"
    proof = tmp_path / "claim.txt"
    house.run("claim", "proof", "data-location", "-o", str(proof))
    vkey = key(house)
    said = verify(proof, vkey, 0)
    assert said.startswith("PROVEN") and "RES-01 pass" in said, said
    # Another answer, another key, another file.
    bad = tmp_path / "bad.txt"
    changed = bytearray(proof.read_bytes())
    at = changed.index(b"extra ") + 100
    changed[at] = ord("B") if changed[at] == ord("A") else ord("A")
    bad.write_bytes(changed)
    assert "DOES NOT VERIFY" in verify(bad, vkey, 3)
    other = vkey.rsplit("+", 1)[0] + "+" + "A" * 44
    assert verify(proof, other, 1)
    bad.write_text("no claim")
    verify(bad, vkey, 1)
    # Operators have no second factor in the sample house: that is told, and the claim that it carries fails.
    failed = check(house, "run", "IAM-01", code=3)
    assert failed[0]["answer"] == "fail" and failed[0]["numbers"]["withoutFactor"] > 0, failed
    house.run("claim", "proof", "identity-controls", "-o", str(proof))
    assert verify(proof, vkey, 3).startswith("FAILING")
    for what in ["show", "run"]:
        assert "NO-1" in house.run("check", what, "NO-1", code=1).stderr
    # Each run stands in the provider's log.
    h.verify(house.export("provider", "provider.bundle"))
