"""An auditor's work: a bundle or a part of it, the procedures over it, and reports that are the same in every run."""

import io
import json
import re
import subprocess

import house as h
import pypdf
import pytest
from kit import Browser, Server

OBJECT = {"bucket": "acme-invoices", "key": "invoices/2026-11/1.pdf"}


@pytest.fixture(scope="module")
def worked():
    """A house in which an operator was refused, asked, was allowed and read; and an object with a Chinese name."""
    with Server() as s:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        read = lambda: lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/").post("/desk/tickets/T-1/read", **OBJECT)
        read()
        lin.post("/desk/tickets/T-1/ask", minutes="30", uses="2", reason="compare bytes", **OBJECT)
        grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)
        li.get("/console/consent").post(f"/console/consent/{grant}/approve", minutes="30", uses="2")
        read()
        assert lin.status == 200 and b"48,000.00 CNY" in lin.data
        yield s, li, grant


def audit(bundle, *args, code=0):
    """In an empty environment, as the auditor has it."""
    command = [str(a) for a in (h.VERIFY, "audit", bundle, *args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=h.PATIENCE, env={})
    assert done.returncode == code and "panicked" not in done.stderr, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def test_procedures_name_each_read_its_grant_and_each_exception(worked, tmp_path):
    house, _, grant = worked
    bundle = house.export()
    done = json.loads(json_report(bundle, tmp_path, code=3))
    found = {p["id"]: p for p in done["procedures"]}
    assert [r[3:6] for r in found["P1"]["rows"]] == [["acme-invoices/invoices/2026-11/1.pdf", grant, "done"]]
    assert found["P1"]["outcome"] == found["P3"]["outcome"] == found["P5"]["outcome"] == "no-exceptions"
    # Li had shown no second factor, and the report says so of that record.
    assert found["P2"]["outcome"] == "exceptions" and grant in found["P2"]["exceptions"][0]["why"]
    assert found["P2"]["exceptions"][0]["record"] == int(found["P2"]["rows"][0][0])
    assert ["records", "refusal", "1"] in found["P10"]["rows"]
    assert done["verification"]["tenant"] == house.tenant()["id"]


def json_report(bundle, tmp_path, code=0):
    path = tmp_path / "report.json"
    audit(bundle, "--json", path, code=code)
    return path.read_text()


def test_two_runs_write_the_same_bytes_in_each_form(worked, tmp_path):
    house, _, grant = worked
    bundle = house.export()
    written = []
    for n in range(2):
        paths = [tmp_path / f"{n}.{form}" for form in ("md", "json", "pdf")]
        audit(bundle, "--markdown", paths[0], "--json", paths[1], "--pdf", paths[2], "--threads", str(n + 1), code=3)
        written.append([p.read_bytes() for p in paths])
    assert written[0] == written[1]
    text, _, pdf = written[0]
    assert audit(bundle, code=3).stdout.encode() == text
    pages = pypdf.PdfReader(io.BytesIO(pdf), strict=True).pages
    shown = "".join(page.extract_text() for page in pages)
    flat = re.sub(r"\s+", "", shown)
    for wanted in ("Report on agreed-upon procedures", grant, "EXCEPTIONS", f"page 1 of {len(pages)}"):
        assert re.sub(r"\s+", "", wanted) in flat, shown
    assert b"P2 Each grant was approved with a second factor" in text


def test_a_part_opens_what_it_names_and_proves_the_rest(worked, tmp_path):
    house, li, grant = worked
    part = house.data.parent / "part.bundle"
    part.unlink(missing_ok=True)
    house.run("trail", "export", "--tenant", "acme", "--resource", "acme-invoices/invoices/*", "-o", str(part))
    whole = house.export()
    data = part.read_bytes()
    assert b"GetObject" in data and b"ApproveConsent" in data and b"CreateUser" not in data and b"SignIn" not in data
    assert b"CreateUser" in whole.read_bytes() or b"ConsoleSignin" in whole.read_bytes()
    text = h.verify(part).stdout
    assert re.search(r"^scope +not shown +\d+ records are withheld", text, re.M), text
    assert re.search(r"^consent +holds +operators' reads of content: 1,", text, re.M), text
    found = {p["id"]: p for p in json.loads(json_report(part, tmp_path, code=3))["procedures"]}
    assert found["P1"]["population"] == 1 and "withheld" in found["P1"]["note"]
    # A time without records opens none of them; and from the console.
    none = house.data.parent / "none.bundle"
    none.unlink(missing_ok=True)
    house.run("trail", "export", "--tenant", "acme", "--until", "2020-01-01", "-o", str(none))
    assert b"GetObject" not in none.read_bytes()
    h.verify(none)
    assert "ends before it begins" in house.run(
        "trail", "export", "--tenant", "acme", "--since", "2030-01-01", "--until", "2020-01-01", "-o", str(none), code=1
    ).stderr
    li.get("/console/trail/proof").post("/console/trail/export", **{"from": "2020-01-01", "until": "2040-01-01", "resources": "acme-invoices/*\r\n"})
    assert li.status == 200 and li.data.startswith(b"bailee-bundle/v2\n") and b"CreateUser" not in li.data
    path = tmp_path / "console.bundle"
    path.write_bytes(li.data)
    h.verify(path)
    li.get("/console/trail/proof").post("/console/trail/export", **{"from": "yesterday", "until": "", "resources": ""})
    assert li.status == 400 and "2026-11-25" in li.text


def test_a_bundle_that_does_not_verify_gives_a_report_that_says_so(worked, tmp_path):
    house, _, _ = worked
    data = bytearray(house.export().read_bytes())
    data[-20] ^= 1
    bad = tmp_path / "bad.bundle"
    bad.write_bytes(data)
    text = audit(bad, code=3).stdout
    assert "DOES NOT VERIFY" in text and "No procedure was performed" in text
    assert audit(tmp_path / "none", code=1).stderr
