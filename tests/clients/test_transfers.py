"""Documents of transfers, kept by the house, and requests of operators: in the console, at the desk and at the command line, with
what somebody hostile would send."""

import hashlib
import io
import json
import os
import re
import socket
import sqlite3
import zipfile

import house as h
from kit import Browser, wait_until
from sdk import Sdk, policy
from test_closure import ask as close_account
from test_places import FORM, first_object, read

MIB = 1024 * 1024
PDF = b"%PDF-1.7\n"
NONE = "tr-" + "a" * 12


def digest(data):
    return hashlib.sha256(data).hexdigest()


def packed(names):
    """A ZIP file; what is in it is a megabyte of zeros each, a thousand times smaller."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name in names:
            z.writestr(name, bytes(MIB))
    return out.getvalue()


def blobs(house):
    return [p for p in (house.data / "blobs").rglob("*") if p.is_file()]


def registered(li, *files, **change):
    """Registers a transfer by the form of the page; answers where it is."""
    li.get("/console/places?basis=cn-38-3")
    assert 'enctype="multipart/form-data"' in li.source and 'type="file"' in li.source
    li.upload("/console/places", *files, **{**FORM, **change})
    assert li.status == 200, li.text
    return re.search(r"/console/places/(tr-[a-z2-9]{12})/suspend", li.source).group(0).removesuffix("/suspend")


def test_documents_are_kept_downloaded_and_recorded(house, chance):
    li, lin = Browser(house).login_tenant(house), Browser(house).login_operator(house)
    before = len(blobs(house))
    contract, annex = PDF + chance.randbytes(300_000), packed(["[Content_Types].xml", "word/document.xml"])
    # A document that is attached when it is registered is the document that the basis needs.
    registered(li, ("n" * 3000, contract), documents="")
    here = registered(li, ("../../contract.pdf", contract), documents="")
    assert "contract.pdf" in li.text and "../" not in li.text.split("Documents")[1] and digest(contract) in li.text
    assert len(blobs(house)) == before + 2
    assert not any(contract[100:200] in p.read_bytes() for p in blobs(house)), "it is sealed"
    li.upload(here + "/documents", ('附件 "A".docx', annex))
    assert li.status == 200 and "wordprocessingml" in li.text
    li.post(f"{here}/documents/{digest(contract)}/read")
    assert li.status == 200 and li.data == contract
    assert li.headers["content-disposition"].startswith('attachment; filename="contract.pdf"')
    assert li.headers["x-content-type-options"] == "nosniff" and "sandbox" in li.headers["content-security-policy"]
    assert li.headers["content-type"] == "application/octet-stream"
    li.get(here).upload(here + "/documents", ("again.pdf", contract))
    assert li.status == 409 and digest(contract) in li.text
    # While it is live, and while it rests, it is not removed; behind its end it is.
    li.get(here)
    assert "/remove" not in li.source
    li.post(f"{here}/documents/{digest(annex)}/remove")
    assert li.status == 409 and "rests on its documents" in li.text
    li.get(here).post(here + "/end", reason="done")
    li.post(f"{here}/documents/{digest(annex)}/remove")
    assert li.status == 200 and digest(annex) not in li.text and digest(contract) in li.text
    # Others: another account, and an operator, find nothing there and read nothing.
    other = Browser(house).login_tenant(house, "globex")
    theirs = registered(other, documents="0" * 64 + "  x.pdf")
    for at in (here, theirs, f"/console/places/{NONE}"):
        other.get(theirs).post(f"{at}/documents/{digest(contract)}/read")
        assert other.status == 404
    other.get(theirs).upload(here + "/documents", ("x.pdf", PDF))
    assert other.status == 404
    lin.get("/desk").post(f"{here}/documents/{digest(contract)}/read")
    assert lin.status == 404
    lin.get("/desk").upload(here + "/documents", ("x.pdf", PDF))
    assert lin.status == 404
    bundle = house.export()
    h.verify(bundle)
    text = bundle.read_bytes()
    for act in (b"AttachTransferDocument", b"GetTransferDocument", b"RemoveTransferDocument"):
        told = re.findall(rb'[^\n]*"eventName":"' + act + rb'"[^\n]*', text)
        assert any(digest(contract).encode() in line or digest(annex).encode() in line for line in told), act
    # It is there after a restart; a flipped bit is found by the scrub, and nothing of it is given out.
    house.stop()
    house.start()
    li = Browser(house).login_tenant(house)
    li.get(here).post(f"{here}/documents/{digest(contract)}/read")
    assert li.data == contract
    house.run("vault", "scrub")
    blob = max(blobs(house), key=lambda p: p.stat().st_mtime_ns if p.stat().st_size > 300_000 else 0)
    sealed = bytearray(blob.read_bytes())
    sealed[200_000] ^= 4
    blob.write_bytes(sealed)
    said = house.run("vault", "scrub", "--output", "json", code=3).stdout
    assert "transfer" in said and here.rsplit("/", 1)[1] in said
    li.get(here).post(f"{here}/documents/{digest(contract)}/read")
    assert li.status == 500 and contract[:50] not in li.data, "damage is an error, not a download that breaks off"
    house.assert_well()


def test_what_was_named_is_supplied_and_nothing_else(house, tmp_path):
    li = Browser(house).login_tenant(house)
    contract, second = PDF + b"the contract", PDF + b"the second"
    here = registered(li, documents=f"{digest(contract)}  contract.pdf\n{digest(second)}  second.pdf\n")
    transfer = here.rsplit("/", 1)[1]
    assert li.text.count("named only") == 2
    li.upload(here + "/documents", ("contract.pdf", second), named=digest(contract))
    assert li.status == 400 and digest(second) in li.text
    li.get(here).upload(here + "/documents", ("contract.pdf", contract), named=digest(contract))
    assert li.status == 200 and li.text.count("named only") == 1
    # At the machine: what the tenant named is filed, nothing else.
    (tmp_path / "second.pdf").write_bytes(second)
    (tmp_path / "third.pdf").write_bytes(PDF)
    (tmp_path / "page.pdf").write_bytes(b"<html>")
    at = ("--tenant", "acme", "--transfer", transfer)
    assert "only the tenant adds one" in house.run("residency", "attach", *at, str(tmp_path / "third.pdf"), code=1).stderr
    assert "HTML" in house.run("residency", "attach", *at, str(tmp_path / "page.pdf"), code=1).stderr
    assert "none.pdf" in house.run("residency", "attach", *at, str(tmp_path / "none.pdf"), code=1).stderr
    assert digest(second) in house.run("residency", "attach", *at, str(tmp_path / "second.pdf")).stdout
    listed = json.loads(house.run("residency", "list", "--tenant", "acme", "--output", "json").stdout.splitlines()[0])
    assert [(d["name"], d["kept"], d["attachedBy"]) for d in listed["documents"]] == [
        ("contract.pdf", True, house.tenant("acme")["user"]["name"]), ("second.pdf", True, "bailee residency")]
    assert "2 kept, 0 named only" in house.run("residency", "list", "--tenant", "acme").stdout


def test_hostile_documents_and_forms_are_refused_and_leave_nothing(house):
    li = Browser(house).login_tenant(house)
    here = registered(li)
    documents = here + "/documents"
    before = len(blobs(house))
    largest = PDF + bytes(20 * MIB - len(PDF))
    bomb = packed([f"{n}.bin" for n in range(200)])
    assert len(bomb) < MIB
    for name, data, said in [
        ("large.pdf", largest + b"x", "20 MiB"), ("large.pdf", PDF + bytes(21 * MIB), "20 MiB"),
        ("page.pdf", b"<!DOCTYPE html><script>alert(1)</script>", "HTML"), ("page.pdf", b"hello", "text/plain"),
        ("bomb.docx", bomb, "ZIP"), ("run.exe", b"MZ\x90\0" + bytes(100), "none of"), ("empty.pdf", b"", "empty"),
        ("macro.docx", packed(["[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"]), "macros"),
        ("a.txt", "gb18030 文".encode("gb18030"), "none of"),
    ]:
        li.get(here).upload(documents, (name, data))
        assert li.status == 400 and said in li.text, (name, li.status, li.text)
        assert "<script>alert" not in li.source
    li.get(here).upload(documents, ("a.pdf", PDF), ("b.pdf", PDF + b"b"))
    assert li.status == 400, "one at a time"
    li.get(here).upload(documents)
    assert li.status == 400, "none"
    li.get(here).upload(f"/console/places/{NONE}/documents", ("a.pdf", PDF))
    assert li.status == 404
    # Names are cleaned, never believed.
    for name, kept in [("../../x", "x.pdf"), ("a\u202efdp.txt.pdf", "afdp.txt.pdf"), ("<b>.pdf", "<b>.pdf"), ("n" * 3000 + ".pdf", "n" * 186 + ".pdf")]:
        data = PDF + name.encode()
        li.get(here).upload(documents, (name, data))
        assert li.status == 200 and kept in li.text and "<b>.pdf" not in li.source, (name, li.text)
        li.post(f"{documents}/{digest(data)}/read")
        assert li.data == data and "\n" not in li.headers["content-disposition"] and "/" not in li.headers["content-disposition"].split("filename")[1]
    assert len(blobs(house)) == before + 4
    # A bomb that says to be a document of Office is kept as it is: nothing is unpacked.
    inside = packed(["[Content_Types].xml", "xl/workbook.xml", *(f"{n}.bin" for n in range(400))])
    memory = house.memory("VmRSS")
    li.get(here).upload(documents, ("b.xlsx", inside))
    assert li.status == 200 and house.memory("VmRSS") < memory + 100
    # The largest goes in and comes out.
    li.get(here).upload(documents, ("largest.pdf", largest))
    assert li.status == 200 and "20.0 MiB" in li.text
    li.post(f"{documents}/{digest(largest)}/read")
    assert li.data == largest
    kept = len(blobs(house))
    # A form of somebody else's page, without the token, or with the token behind the file, is not taken.
    good = li.get(here).token()
    edge = "xedge"
    file = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n'.encode() + PDF + b"late\r\n"
    token = f'--{edge}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{good}\r\n'.encode()
    end = f"--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    for body, headers, status in [
        (file + end, kind, 403), (file + token + end, kind, 403), (token + file + end, kind | {"Sec-Fetch-Site": "cross-site"}, 403),
        (token.replace(good.encode(), b"0" * len(good)) + file + end, kind, 403), (token + file, kind, 400), (token + file[:-9], kind, 400),
        (b"x" * 1000, kind, 400), (end, {"Content-Type": "multipart/form-data"}, 400), (token * 3000 + end, kind, 400),
    ]:
        li.send("POST", documents, headers=headers, body=body)
        assert li.status == status, (body[:200], headers, li.status, li.text)
    # Cut in the middle.
    host, port = li.host.split(":")
    head = (f"POST {documents} HTTP/1.1\r\nHost: {li.host}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {20 * MIB}\r\nCookie: "
            + "; ".join(f"{k}={v}" for k, v in li.cookies.items()) + f"\r\nContent-Type: {kind['Content-Type']}\r\n\r\n").encode()
    # Two at once of one account are enough; when they are cut, there is room again.
    held = []
    for _ in range(2):
        held.append(socket.create_connection((host, int(port))))
        held[-1].sendall(head + token + file[:-2] + os.urandom(MIB))
    wait_until(lambda: li.get(here).upload(documents, ("waits.pdf", PDF + b"waits")).status == 503)
    for each in held:
        each.close()
    wait_until(lambda: li.get(here).upload(documents, ("waits.pdf", PDF + b"waits")).status == 200)
    assert len(blobs(house)) == kept + 1
    # Twenty, and not one more.
    for n in range(20 - 7):
        li.get(here).upload(documents, (f"{n}.pdf", PDF + b"%d" % n))
        assert li.status == 200, li.text
    li.get(here).upload(documents, ("more.pdf", PDF + b"more"))
    assert li.status == 400 and "20" in li.text
    assert Browser(house).get(here).path == "/login"
    house.assert_well()


WISH = dict(to="sg", resources="acme-invoices/invoices/2026-11/\n", basis="cn-38-3", importer="Bailee SG Pte. Ltd.",
            reason="the page renders blank, bytes must be compared", days="30")


def test_an_operator_asks_for_a_transfer_and_the_tenant_answers(house):
    mei, li = Browser(house).login_operator(house, "op-mei"), Browser(house).login_tenant(house)
    what = first_object(mei)

    def propose(who, status=200, **change):
        who.get("/desk/tickets/T-1")
        who.post("/desk/tickets/T-1/transfer", **{**WISH, **change})
        assert who.status == status, (who.status, who.text)
        return who

    for change, said in [({"to": "cn"}, "country"), ({"basis": "scc-m2"}, "law of EU"), ({"resources": "<script>"}, "names no bucket"),
                         ({"reason": "x"}, "5 to 500"), ({"days": "0"}, "1 to 3660"), ({"days": "x"}, "number"), ({"from": "DE"}, "no region")]:
        assert said in propose(mei, 400, **change).text and "<script>" not in mei.source, (change, mei.text)
    for ticket in ("T-999", "T-x"):
        mei.get("/desk/tickets/T-1").post(f"/desk/tickets/{ticket}/transfer", **WISH)
        assert mei.status == 404
    assert "Requested" in propose(mei).text
    # It permits nothing.
    assert read(mei, what).status == 403 and "must stay in `CN`" in mei.text
    li.get("/console/places")
    request = re.search(r'id="(tq-[a-z2-9]{12})"', li.source).group(1)
    assert "bytes must be compared" in li.text and "op-mei" not in li.source and "Nothing may leave" in li.text
    li.get(f"/console/places?request={request}&basis=cn-38-3")
    assert f'name="request" value="{request}"' in li.source and 'value="SG"' in li.source and "acme-invoices/invoices/2026-11/" in li.source
    # Not more than was asked for.
    for change, said in [({"resources": "acme-invoices/"}, "not asked for"), ({"to": "JP"}, "as asked for"), ({"days": "31"}, "30 days")]:
        li.get(f"/console/places?request={request}&basis=cn-38-3").upload("/console/places", **{**FORM, **change, "request": request})
        assert li.status == 400 and said in li.text, li.text
    other = Browser(house).login_tenant(house, "globex")
    other.get(f"/console/places?request={request}&basis=cn-38-3")
    assert 'name="request"' not in other.source
    other.upload("/console/places", **{**FORM, "request": request})
    assert other.status == 404
    other.get("/console/places").post(f"/console/places/requests/{request}/decline", note="x")
    assert other.status == 404
    # Less of it, for a shorter time.
    li.get(f"/console/places?request={request}&basis=cn-38-3")
    li.upload("/console/places", ("contract.pdf", PDF), **{**FORM, "request": request, "resources": what["bucket"] + "/" + what["key"], "days": "2"})
    assert li.status == 200 and "CN → SG" in li.text, li.text
    read(mei, what)
    assert mei.status == 403 and 'id="ask"' in mei.source, "now consent is asked for, as of anybody"
    assert "Accepted" in mei.get("/desk").text
    assert "Accepted" in li.get("/console/places").text and f"?request={request}" not in li.source
    # Once.
    li.get("/console/places?basis=cn-38-3").upload("/console/places", **{**FORM, "request": request, "days": "2"})
    assert li.status == 409 and "accepted" in li.text
    li.get("/console/places").post(f"/console/places/requests/{request}/decline", note="x")
    assert li.status == 409
    for none in ("tq-" + "a" * 12, "x" * 3000, NONE):
        li.get("/console/places").post(f"/console/places/requests/{none}/decline", note="x")
        assert li.status == 404
    # Another one is declined, a third lapses, with its note at the desk.
    propose(mei, reason="a second look at it")
    li.get("/console/places")
    second = re.search(r"requests/(tq-[a-z2-9]{12})/decline", li.source).group(1)
    li.post(f"/console/places/requests/{second}/decline", note="ask our counsel <b>first</b>")
    assert li.status == 200 and "Declined" in li.text and "<b>first" not in li.source
    assert "ask our counsel <b>first</b>" in mei.get("/desk").text
    propose(mei, reason="a third look at it")
    db = sqlite3.connect(house.data / "bailee.sqlite", isolation_level=None, timeout=30)
    db.execute("UPDATE transfer_request SET lapses_at_ms = asked_at_ms WHERE answered_at_ms IS NULL")
    db.close()
    third = re.search(r'id="(tq-[a-z2-9]{12})"', li.get("/console/places").source).group(1)
    assert "Lapsed" in li.text and f"requests/{third}/decline" not in li.source
    li.get("/console/places?basis=cn-38-3").upload("/console/places", **{**FORM, "request": third, "days": "2"})
    assert li.status == 409 and "lapsed" in li.text
    told = [json.loads(l) for l in house.run("residency", "requests", "--tenant", "acme", "--output", "json").stdout.splitlines()]
    assert sorted(r["state"] for r in told) == ["accepted", "declined", "lapsed"]
    assert "已失效" in li.get("/console/places?lang=zh").text
    bundle = house.export()
    h.verify(bundle)
    text = bundle.read_bytes()
    assert text.count(b'"eventName":"RequestTransfer"') >= 3 and b'"eventName":"DeclineTransfer"' in text


def test_a_user_without_the_right_reads_no_document_and_accepts_nothing(house):
    ram = Sdk("Ram", house, house.key("acme"))
    ram("CreateUser", UserName="papers-wang")
    ram("CreateLoginProfile", UserName="papers-wang", Password="correct-Horse-9-battery", PasswordResetRequired="false", MFABindRequired="false")
    ram("CreatePolicy", PolicyName="sees-register", PolicyDocument=policy(action="bailee:ListTransfers"))
    ram("AttachPolicyToUser", UserName="papers-wang", PolicyType="Custom", PolicyName="sees-register")
    ram("CreatePolicy", PolicyName="sees-buckets", PolicyDocument=policy(action="oss:ListBuckets"))
    ram("AttachPolicyToUser", UserName="papers-wang", PolicyType="Custom", PolicyName="sees-buckets")
    li, mei, wang = Browser(house).login_tenant(house), Browser(house).login_operator(house, "op-mei"), Browser(house)
    here = registered(li, ("contract.pdf", PDF + b"secret"))
    mei.get("/desk/tickets/T-1").post("/desk/tickets/T-1/transfer", **WISH)
    wang.get("/signin")
    wang.sign_in("acme", "papers-wang", "correct-Horse-9-battery")
    assert wang.get(here).status == 200, wang.text
    wang.post(f"{here}/documents/{digest(PDF + b'secret')}/read")
    assert wang.status == 403 and "GetTransferDocument" in wang.text and b"secret" not in wang.data
    wang.get(here).upload(here + "/documents", ("x.pdf", PDF))
    assert wang.status == 403 and "AttachTransferDocument" in wang.text
    wang.get("/console/places")
    request = re.search(r'id="(tq-[a-z2-9]{12})"', wang.source).group(1)
    wang.upload("/console/places", **{**FORM, "request": request})
    assert wang.status == 403 and "RegisterTransfer" in wang.text
    wang.get("/console/places").post(f"/console/places/requests/{request}/decline", note="x")
    assert wang.status == 403 and "DeclineTransfer" in wang.text


def test_documents_end_with_the_account(house):
    li = Browser(house).login_tenant(house)
    registered(li, ("contract.pdf", PDF + os.urandom(100_000)))
    _, receipt = close_account(house)
    assert house.run("tenant", "end-closed").stdout.startswith("1")
    report = json.loads(house.run("tenant", "closure", "--tenant", "acme").stdout)["report"]
    assert report["documents"] == {"count": 1, "bytes": 100_000 + len(PDF)}
    db = sqlite3.connect(house.data / "bailee.sqlite")
    assert db.execute("SELECT count(*) FROM paper").fetchone() == (0,)
    db.close()
    assert b'"eventName":"DestroyDocuments"' in house.export().read_bytes() and receipt
