"""Standing rights and decisions by program: console, signed API, command line, and what a verifier makes of the log."""

import datetime
import json
import os
import re
import subprocess

import house as h
import pytest
from house import VERIFY
from kit import BIN, Browser, Server, run
from openapi_spec_validator import validate
from sdk import Sdk, make_user, policy, two_codes
from test_api import Api
from test_consent import OBJECT, OTHER, PREFIX, WISH, read

CONSENTS, RIGHTS = "/api/v1/consents", "/api/v1/standing-rights"
RIGHT = {"covers": "prefix", "bucket": "acme-invoices", "name": "invoices/2026-11/", "operators": "", "minutes": "30", "uses": "3",
         "uses_a_day": "4", "days": "90", "why": "on call", "customer_initiated_support": "1"}


@pytest.fixture
def server():
    with Server() as s:
        yield s


def asks(lin, reason="they open blank", **wish):
    lin.get("/desk/tickets/T-1/ask").post("/desk/tickets/T-1/ask", **{**PREFIX, **WISH, "reason": reason, **wish})
    assert lin.status == 200, lin.text
    return re.search(r"G-[a-z0-9]{12}", lin.source).group(0)


class Cli:
    """`bailee consent …` as the customer runs it: no data folder, a key in a file."""

    def __init__(self, server, key, folder):
        secret = folder / f"secret-{key[0]}"
        secret.write_text(key[1] + "\n")
        self.env = {**os.environ, "BAILEE_ENDPOINT": server.console, "BAILEE_ACCESS_KEY_ID": key[0], "BAILEE_ACCESS_KEY_SECRET_FILE": str(secret),
                    "BAILEE_DATA": str(folder / "nothing")}

    def __call__(self, *args):
        done = subprocess.run([BIN, "consent", *args], env=self.env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def json(self, *args):
        code, out, err = self(*args, "--json")
        assert code == 0, err
        return json.loads(out)


def test_a_standing_right_from_the_console_to_the_verifier(server, tmp_path):
    lin, mei, li = Browser(server).login_operator(server), Browser(server).login_operator(server, "op-mei"), Browser(server).login_tenant(server)
    assert 'id="covered"' not in lin.get("/desk/tickets/T-1").source
    form = lambda **change: li.get("/console/consent/standing").post("/console/consent/standing", **{**RIGHT, **change})
    for change in ({"name": ""}, {"days": "91"}, {"days": "x"}, {"uses_a_day": "2"}, {"operators": "op-lin"}, {"bucket": ""}, {"customer_initiated_support": ""},
                   {"covers": "target", "name": "web"}, {"covers": "object", "name": "/x"}):
        assert form(**change).status == 400, (change, li.text)
    assert form(bucket="acme-nothing").status == 404
    li.get("/console/consent/standing").post("/console/consent/standing", **RIGHT)
    assert li.status == 200, li.text
    right = re.search(r"R-[a-z0-9]{12}", li.source).group(0)
    # It stands above everything else.
    assert li.source.index('id="standing"') < min(li.source.index(f'id="{e}"') for e in ("pending", "live", "ended"))
    assert "on call" in li.text and "0 / 4" in li.text
    assert read(lin, OBJECT).status == 403, "by itself it opens nothing"
    lin.get("/desk/tickets/T-1")
    assert right in lin.source and "invoices/2026-11/" in lin.source.split('id="covered"')[1]
    grant = asks(lin)
    assert lin.source.count("Live") == 1, lin.text
    assert read(lin, OBJECT).status == 200 and b"48,000.00 CNY" in lin.data
    li.get("/console/consent")
    assert f"by {right}" in li.text and "3 / 4" in li.text and "op-lin" not in li.source
    assert f"standing right {right} of li" in li.get(f"/console/consent/{grant}").text
    # More than it gives waits for the tenant.
    waits = asks(lin, uses="2")
    assert f"approve-{waits}" in li.get("/console/consent").source
    # Another tenant sees nothing of it; forms from elsewhere end nothing.
    wang = Browser(server).login_tenant(server, "globex")
    assert right not in wang.get("/console/consent").source
    wang.post(f"/console/consent/standing/{right}/revoke")
    assert wang.status == 404
    li.send("POST", f"/console/consent/standing/{right}/revoke", {"csrf": "0" * 64})
    assert li.status == 403
    li.get("/console/consent").post(f"/console/consent/standing/{right}/revoke")
    assert li.status == 200 and "ended by li" in li.text
    assert read(lin, OTHER).status == 403, lin.text
    assert mei.get("/desk/tickets/T-1").status == 200 and 'id="covered"' not in mei.source
    zh = li.get("/console/consent?lang=zh").source + li.get("/console/consent/standing?lang=zh").source
    assert "常设授权" in zh and "Standing" not in zh
    # The log tells all of it, and replays.
    li.get("/console/trail?family=own&lang=en")
    assert "SetStandingRight" in li.text and "RevokeStandingRight" in li.text
    bundle = server.export("acme", "acme.bundle")
    run(VERIFY, bundle)
    audit = json.dumps(h.run_audit(bundle, tmp_path))
    assert f"li by {right}" in audit and grant in audit


def test_a_program_decides_and_sets_standing_rights(server):
    api = Api(server, server.key("acme"))
    validate(api.told)
    lin = Browser(server).login_operator(server)
    grant = asks(lin, reason='the "left" <one> & 泵')
    [one] = api.ok("GET", CONSENTS, query={"state": "pending"})["consents"]
    assert one["id"] == grant and one["scope"] == {"prefix": "acme-invoices/invoices/2026-11/"} and "op-lin" not in json.dumps(one)
    whole = api.ok("GET", f"{CONSENTS}/{grant}")
    assert whole["preview"]["en"]["sentence"] == (
        f"{one['operator']}, from CN, may read objects under acme-invoices/invoices/2026-11/ 3 times within 30 minutes of the approval.")
    assert whole["statement"].startswith("bailee-grant/v1\n") and "可以" in whole["preview"]["zh"]["sentence"]
    at = f"{CONSENTS}/{grant}"
    for body in ({"minutes": 31}, {"uses": 0}, {"minutes": "5"}, {"minutes": -1}, {"x": 1}, {"scope": {"prefix": "acme-invoices"}}, {"scope": {"object": "acme-invoices/a", "x": 1}},
                 {"scope": "acme-invoices/a"}, {"statement": "x"}, {"statement": "x", "minutes": 1}, {"note": "x" * 1001}, []):
        assert api("POST", at + "/approve", body)[0] == 400, body
    assert api("POST", at + "/approve", {"scope": {"prefix": "acme-invoices/invoices/"}}) == (409, "OperationConflict"), "wider"
    done = api.ok("POST", at + "/approve", {"uses": 1, "scope": {"object": "acme-invoices/" + OBJECT["key"]}, "note": "only the first"})
    assert done["state"] == "live" and done["approvedBy"] == ["root"] and done["scope"] == {"object": "acme-invoices/" + OBJECT["key"]}
    assert api("POST", at + "/approve", {}) == (409, "OperationConflict")
    assert read(lin, OTHER).status == 403 and read(lin, OBJECT).status == 200
    whole = api.ok("GET", at)
    assert whole["consent"]["uses"] == 1 and whole["consent"]["state"] == "exhausted" and whole["statement"] is None
    assert whole["comments"][0]["text"] == "only the first" and whole["comments"][0]["side"] == "tenant"
    assert api.ok("POST", at + "/revoke") == {"id": grant, "state": "revoked"}
    other = asks(lin)
    assert api.ok("POST", f"{CONSENTS}/{other}/deny", {"note": "use the copy"}) == {"id": other, "state": "denied"}
    # Pages.
    more = [asks(lin, reason=f"number {n}") for n in range(3)]
    cursor, seen = {}, []
    while cursor is not None:
        page = api.ok("GET", CONSENTS, query={"limit": "2", "operator": one["operator"], **cursor})
        seen += [c["id"] for c in page["consents"]]
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    assert len(seen) == len(set(seen)) == 5 and set(seen) == {grant, other, *more}
    assert {c["id"] for c in api.ok("GET", CONSENTS, query={"state": "open"})["consents"]} == set(more)
    for query in ({"state": "nope"}, {"operator": "op-lin"}, {"limit": "0"}, {"cursor": "x"}, {"x": "1"}):
        assert api("GET", CONSENTS, query=query)[0] == 400, query
    # Standing rights.
    new = {"scope": {"prefix": "acme-invoices/invoices/"}, "codes": ["customer_initiated_support"], "minutes": 30, "uses": 3, "usesADay": 3,
           "until": "2099-01-01T00:00:00Z", "operators": [one["operator"]], "why": "on call"}
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    good = {**new, "until": soon}
    for change in ({}, {"until": "tomorrow"}, {"until": soon, "operators": ["op-lin"]}, {"until": soon, "codes": ["nope"]}, {"until": soon, "codes": ["legal_request"]},
                   {"until": soon, "minutes": 0}, {"until": soon, "usesADay": 2}, {"until": soon, "scope": {"prefix": "acme-invoices/"}}, {"until": soon, "x": 1}):
        assert api("POST", RIGHTS, {**new, **change})[0] == 400, change
    assert api("POST", RIGHTS, {k: v for k, v in good.items() if k != "codes"})[0] == 400 and api("POST", RIGHTS)[0] == 400
    right = api.ok("POST", RIGHTS, good, code=201)["id"]
    opened = asks(lin)
    assert api.ok("GET", f"{CONSENTS}/{opened}")["consent"]["standingRight"] == right
    [listed] = api.ok("GET", RIGHTS)["standingRights"]
    assert listed["live"] and listed["usesToday"] == 3 and listed["set"]["by"] == "root" and listed["why"] == "on call"
    # Another tenant's look like none.
    globex = Api(server, server.key("globex"))
    for method, path in (("GET", at), ("POST", at + "/approve"), ("POST", at + "/deny"), ("POST", at + "/revoke"), ("DELETE", f"{RIGHTS}/{right}")):
        nowhere = re.sub("(G|R)-.{12}", r"\1-aaaaaaaaaaaa", path)
        body = {"minutes": 1, "uses": 1} if path.endswith("approve") else None
        assert globex(method, path, body) == globex(method, nowhere, body) and globex(method, path, body)[0] == 404, path
    assert globex.ok("GET", RIGHTS) == {"standingRights": []} and globex.ok("GET", CONSENTS)["consents"] == []
    # Policies.
    root = Sdk("Ram", server, server.key("acme"))
    nobody = make_user(root, "nobody")
    half = make_user(root, "half", own={"half": policy(action=["bailee:SetStandingRight", "bailee:ListConsents"], resource="*")})
    for method, path, body in (("GET", CONSENTS, None), ("GET", at, None), ("POST", at + "/approve", {"minutes": 1, "uses": 1}), ("POST", at + "/deny", None), ("POST", at + "/revoke", None),
                               ("GET", RIGHTS, None), ("POST", RIGHTS, good), ("DELETE", f"{RIGHTS}/{right}", None)):
        assert api(method, path, body, key=nobody) == (403, "NoPermission"), path
    assert api("GET", CONSENTS, key=half)[0] == 200 and api("POST", RIGHTS, good, key=half) == (403, "NoPermission"), "who may not approve sets none"
    assert api.ok("DELETE", f"{RIGHTS}/{right}") == {"id": right, "endedGrants": [opened]}
    assert api("DELETE", f"{RIGHTS}/{right}") == (409, "OperationConflict")
    assert read(lin, OBJECT).status == 403
    # Where a second factor is demanded no AccessKey is enough, and the answer says where to show one.
    li = Browser(server).login_tenant(server)
    rule = {"approvals": "1", "approvers": "", "lapse_hours": "24", "minutes_max": "60", "from": "09:00", "to": "18:00", "offset": "480", "mfa": "1"}
    assert li.get("/console/consent/policy").post("/console/consent/policy", **rule).status == 200, li.text
    for path, body in ((f"{CONSENTS}/{more[0]}/approve", {}), (RIGHTS, good)):
        assert api("POST", path, body) == (403, "SecondFactorRequired")
    assert api.ok("POST", f"{CONSENTS}/{more[0]}/deny")["state"] == "denied", "a no needs none"
    run(VERIFY, server.export("acme", "acme.bundle"))


def test_who_has_a_factor_shows_it_and_a_key_does_not(server):
    root = Sdk("Ram", server, server.key("acme"))
    api = Api(server, make_user(root, "zhao", "AdministratorAccess"))
    lin = Browser(server).login_operator(server)
    assert api.ok("POST", f"{CONSENTS}/{asks(lin)}/approve")["state"] == "live"
    device = root("CreateVirtualMFADevice", VirtualMFADeviceName="zhao")["VirtualMFADevice"]
    first, second = two_codes(device["Base32StringSeed"])
    root("BindMFADevice", UserName="zhao", SerialNumber=device["SerialNumber"], AuthenticationCode1=first, AuthenticationCode2=second)
    grant = asks(lin)
    assert api("POST", f"{CONSENTS}/{grant}/approve") == (403, "SecondFactorRequired")


def test_the_command_line_decides_for_the_customer(server, tmp_path):
    cli = Cli(server, server.key("acme"), tmp_path)
    lin = Browser(server).login_operator(server)
    assert cli("inbox") == (0, "No request.\n", "")
    grant, other = asks(lin), asks(lin, reason="it goes on and more")
    code, out, _ = cli("inbox")
    assert code == 0 and grant in out and other in out and "\x1b" not in out and "acme-invoices/invoices/2026-11/*" in out
    code, out, _ = cli("inbox", grant)
    assert code == 0 and "may read objects under acme-invoices/invoices/2026-11/ 3 times" in out and "bailee-grant/v1" in out
    code, out, _ = cli("approve", grant, "--uses", "1", "--object", "acme-invoices/" + OBJECT["key"])
    assert code == 0 and out.startswith(f"{grant} is live until 20"), out
    assert read(lin, OBJECT).status == 200 and read(lin, OTHER).status == 403
    assert cli.json("deny", other, "--note", "no")["state"] == "denied"
    assert cli.json("revoke", grant) == {"id": grant, "state": "revoked"}
    assert [c["state"] for c in cli.json("inbox", "--state", "all")["consents"]] == ["denied", "revoked"]
    assert cli("approve", grant)[0] == 1 and cli("deny", "../tickets")[0] == 1 and "is no id" in cli("deny", "../tickets")[2]
    assert cli("approve", grant, "--statement", "/nowhere")[0] == 1 and cli("approve", grant, "--statement", "/nowhere", "--uses", "1")[0] == 2
    # Standing rights.
    assert "say on what" in cli("standing", "set")[2] and "--limits" in cli("standing", "set", "--target", "web")[2]
    assert "InvalidParameter.prefix" in cli("standing", "set", "--prefix", "acme-invoices/")[2]
    right = cli.json("standing", "set", "--prefix", "acme-invoices/invoices/", "--days", "90", "--uses-a-day", "3")["id"]
    opened = asks(lin)
    code, out, _ = cli("standing", "list")
    assert right in out and "3/3" in out and "live" in out
    shown = json.loads(run(BIN, "consent", "show", opened, "--data", server.data, "--tenant", "acme", "--output", "json").stdout)
    assert shown["standingRight"] == right and shown["state"] == "live"
    assert f"standing right {right}" in cli("inbox", opened)[1]
    code, out, _ = cli("standing", "revoke", right)
    assert (code, out) == (0, f"{right} has ended, and 1 grants with it\n")
    # Who may not is told so, with the exit code of a refusal; a secret stands in no error.
    nobody = make_user(Sdk("Ram", server, server.key("acme")), "nobody")
    code, out, err = Cli(server, nobody, tmp_path)("inbox")
    assert code == 2 and "NoPermission" in err and nobody[1] not in out + err
    wrong = Cli(server, (server.key("acme")[0], "wrong-secret-of-mine"), tmp_path)
    code, out, err = wrong("inbox")
    assert code == 1 and "SignatureDoesNotMatch" in err and "wrong-secret" not in err
    for endpoint in ("http://127.0.0.1:1", "trust.example", "http://", "http://a/b"):
        assert cli("inbox", "--endpoint", endpoint)[0] == 1, endpoint
    assert "none of the API's" in cli("inbox", "--endpoint", server.objects)[2]
    run(VERIFY, server.export("acme", "acme.bundle"))
