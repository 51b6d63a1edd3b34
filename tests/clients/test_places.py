"""Residency: an operator abroad, the tenant's register of transfers, what crossed, and how it is stopped; in the console and at the
command line, both languages, and in a bundle that a stranger checks."""

import hashlib
import json
import re

import house as h
from kit import Browser, Server, run

FORM = dict(
    basis="cn-38-3", to="sg", resources="acme-invoices/invoices/2026-11/\n", importer="Bailee SG Pte. Ltd.",
    exporter_role="controller", importer_role="processor", purpose="support of the billing run", data_categories="invoices",
    subjects="customers, about 900", days="30",
    **{"f-signed_on": "2026-11-01", "f-filing_no": "备案 12", "f-pipia": "2026-10-20", "f-separate_consent": "in the contract"},
    documents=hashlib.sha256(b"x").hexdigest() + "  contract.pdf\n",
)


def first_object(browser):
    """The first object of the demo's bucket, by the operator's own list."""
    browser.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    return {"bucket": "acme-invoices", "key": re.search(r'name="key" value="([^"]+)"', browser.source).group(1)}


def read(mei, what):
    mei.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    return mei.post("/desk/tickets/T-1/read", **what)


def test_nothing_leaves_without_a_transfer_and_all_that_does_is_listed():
    with Server() as s:
        mei, li = Browser(s).login_operator(s, "op-mei"), Browser(s).login_tenant(s)
        what = first_object(mei)
        read(mei, what)
        assert mei.status == 403 and "must stay in `CN`" in mei.text
        li.get("/console/places")
        assert "Nothing may leave" in li.text and "may receive now" not in li.text
        li.get("/console/places?basis=cn-38-3")
        for name in ("f-signed_on", "f-filing_no", "f-pipia", "f-separate_consent"):
            assert f'name="{name}"' in li.source
        # What has not the form of its basis is refused, with what is missing.
        for change, said in [
            ({"f-pipia": ""}, "pipia"), ({"documents": ""}, "document"), ({"basis": "scc-m2"}, "law of EU"),
            ({"to": "CN"}, "country"), ({"days": "0"}, "1 to 3660"), ({"documents": "abc contract.pdf"}, "SHA-256"),
            ({"resources": "<script>"}, "names no bucket"),
        ]:
            li.get("/console/places?basis=cn-38-3")
            li.post("/console/places", **{**FORM, **change})
            assert li.status == 400 and said in li.text, (change, li.text)
            assert "<script>" not in li.source
        li.get("/console/places?basis=cn-38-3")
        li.post("/console/places", **FORM)
        assert li.status == 200 and "CN → SG" in li.text and "备案 12" in li.text, li.text
        here = re.search(r"/console/places/(tr-[a-z2-9]{12})/suspend", li.source).group(0).removesuffix("/suspend")
        # Now consent is asked for, as of anybody; both together open the object.
        read(mei, what)
        assert mei.status == 403 and 'id="ask"' in mei.source
        mei.post("/desk/tickets/T-1/ask", minutes="30", uses="9", reason="the page renders blank, compare bytes", **what)
        grant = re.search(r"G-[a-z0-9]{12}", mei.source).group(0)
        li.get("/console/consent").post(f"/console/consent/{grant}/approve", minutes="30", uses="9")
        read(mei, what)
        assert mei.status == 200 and mei.data
        length = len(mei.data)
        li.get(here)
        assert f"acme-invoices/{what['key']}" in li.text and f"{length}" in li.text and "op-mei" not in li.source
        assert "may receive now" in li.get("/console/places").text and "SG" in li.text
        li.get(here).post(here + "/suspend", reason="our counsel asks")
        assert "our counsel asks" in li.text
        assert read(mei, what).status == 403 and "must stay in `CN`" in mei.text
        li.get(here).post(here + "/resume", reason="")
        assert read(mei, what).status == 200
        li.get(here).post(here + "/end", reason="done")
        assert read(mei, what).status == 403
        assert li.get(here).status == 200 and 'id="suspend"' not in li.source and "It is over" in li.text
        assert li.get("/console/places?lang=zh").text.count("已终止") == 1
        other = Browser(s).login_tenant(s, "globex")
        for none in ("tr-" + "a" * 12, "x" * 5000, "tr-..%2f"):
            assert li.get(f"/console/places/{none}").status == 404
        assert other.get(here).status == 404 and "Nothing may leave" in other.get("/console/places").text
        li.get("/console/trail")
        for act in ("RegisterTransfer", "SuspendTransfer", "ResumeTransfer", "EndTransfer"):
            assert act in li.get(f"/console/trail?act={act}").source or act in li.get("/console/trail").source, act


def test_the_command_line_lists_bases_and_registers(house):
    at = ("--data", str(house.data))
    house.stop()
    told = [json.loads(line) for line in run(h.BIN, "residency", "bases", *at, "--output", "json").stdout.splitlines()]
    by_id = {b["id"]: b for b in told}
    assert {"scc-m1", "scc-m2", "scc-m3", "scc-m4", "scc-2010-87", "eu-45", "eu-46-2-b", "eu-49-1-a", "cn-38-1", "cn-38-2",
            "cn-38-3", "no-personal-data"} <= by_id.keys()
    assert by_id["scc-2010-87"]["usableUntil"] == "2022-12-27" and "pipia" in by_id["cn-38-3"]["needs"]
    assert "Security assessment" in run(h.BIN, "residency", "bases", *at).stdout
    assert "no transfer: nothing may leave CN" in run(h.BIN, "residency", "list", "--tenant", "acme", *at).stdout
    assert run(h.BIN, "residency", "list", "--tenant", "nobody", *at, ok=1).stderr
