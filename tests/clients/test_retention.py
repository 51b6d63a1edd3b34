"""Erasing what events say: at the machine and the console, and what everybody else then sees."""

import json
import re

import house as h
import kit

MARK = "Zebedee-7731"


def marked(house):
    """A user whose name is to be forgotten, and the record of his making."""
    kit.rpc(house, "CreateUser", ok=True, UserName=MARK)
    acts = json.loads(house.run("trail", "list", "--tenant", "acme", "--own", "--limit", "50", "--output", "json").stdout)
    return next(a["record"] for a in acts["acts"] if a["event"] == "CreateUser" and MARK in json.dumps(a))


def erase(house, *records, code=0):
    args = [a for r in records for a in ("--record", str(r))]
    return house.run("trail", "erase", "--tenant", "acme", *args, "--reason", "asked by the person", "--legal-basis", "GDPR Art. 17", code=code)


def test_an_erased_event_is_gone_everywhere_and_every_proof_stays(house, tmp_path):
    record = marked(house)
    before = house.export(name="before.bundle")
    head = tmp_path / "head"
    head.write_text(json.loads(house.run("trail", "head", "--tenant", "acme", "--output", "json").stdout)["checkpoint"])
    assert MARK.encode() in before.read_bytes()
    assert "is erased already" in (erase(house, record).stdout and erase(house, record, code=1).stderr)

    after = house.export(name="after.bundle")
    assert MARK.encode() not in after.read_bytes().split(b'"GetUser"')[0]
    text = h.verify(after, "--head", head).stdout
    assert re.search(r"^erasure +holds +1 events are gone", text, re.M), text
    assert re.search(r"^continuity +holds", text, re.M), text
    report = h.run_audit(after, tmp_path)
    assert ["asked by the person", "GDPR Art. 17"] in [r[4:] for p in report["procedures"] if p["id"] == "P8" for r in p["rows"]]

    li = kit.Browser(house).login_tenant(house)
    li.get(f"/console/trail/{record}")
    assert "asked by the person" in li.text and "GDPR Art. 17" in li.text and MARK not in li.text
    li.get("/console/trail?family=own")
    assert "Erased" in li.text and "asked by the person" in li.text
    assert "擦除记录为" in li.get(f"/console/trail/{record}?lang=zh").text
    li.get("/console/trail?lang=en")
    shown = house.run("trail", "list", "--tenant", "acme", "--own").stdout
    assert "ERASED" in shown
    # The house starts again and finds its log whole.
    house.kill()
    assert house.run("doctor").stdout
    house.start()
    house.assert_well()


def test_what_may_not_go_stays_and_says_why(house):
    refused = json.loads(house.run("trail", "list", "--tenant", "acme", "--own", "--limit", "50", "--output", "json").stdout)["acts"]
    record = marked(house)
    assert "is not in this log" in erase(house, 99_999, code=1).stderr
    assert "name the act" in erase(house, record + 1, code=1).stderr
    assert "nothing was erased" in erase(house, record, record + 1, code=1).stderr
    assert MARK in house.run("trail", "list", "--tenant", "acme", "--own", "--output", "json").stdout
    # Under a hold it stays; the tenant sees it, and does not lift what the provider placed.
    house.run("trail", "hold", "place", "--tenant", "acme", "--reference", "case 17", "--reason", "court", "--since", "2020-01-01")
    assert "under legal hold 1" in erase(house, record, code=1).stderr
    li = kit.Browser(house).login_tenant(house)
    li.get("/console/trail/keeping")
    assert "case 17" in li.text and "by the provider only" in li.text
    li.post("/console/trail/keeping/holds", reference="own <b>case</b>", reason="we want it", resource="acme-invoices/*", **{"from": "", "until": ""})
    assert li.status == 200 and "own <b>case</b>" in li.text and "<b>case</b>" not in li.source
    assert "holds" in house.run("trail", "hold", "list", "--tenant", "acme").stdout
    house.run("trail", "hold", "lift", "--tenant", "acme", "1", "--reason", "closed")
    erase(house, record)
    assert "lifted already" in house.run("trail", "hold", "lift", "--tenant", "acme", "1", "--reason", "again", code=1).stderr
    assert refused is not None


def test_somebody_at_an_open_session_erases_nothing(house):
    record = marked(house)
    li = kit.Browser(house).login_tenant(house)
    li.get(f"/console/trail/{record}").post(f"/console/trail/{record}/erase", reason="r", legal_basis="l")
    assert li.status == 403 and "/security" in li.source
    li.get("/console/trail/keeping").post("/console/trail/keeping", days="180")
    assert li.status == 403
    li.get("/console/trail/keeping").post("/console/trail/keeping", days="soon")
    assert li.status == 400


def test_retention_is_explained_before_it_is_set(house):
    def show(*args):
        return json.loads(house.run("trail", "retention", "--tenant", "acme", *args, "--output", "json").stdout)

    assert show()["days"] == "forever"
    asked = show("--days", "180", "--explain")
    assert asked["days"] == "forever" and asked["asked"] == 180 and asked["old_enough"] == 0
    assert "180 to 3650" in house.run("trail", "retention", "--tenant", "acme", "--days", "30", code=1).stderr
    assert show("--days", "365")["days"] == 365
    li = kit.Browser(house).login_tenant(house)
    assert "365" in li.get("/console/trail/keeping").text
    assert show("--days", "forever")["days"] == "forever"
    h.verify(house.export())
