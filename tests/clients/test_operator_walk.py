"""No page and no answer shows an operator what is a tenant's: each registered address is asked with his cookie, with acme's real ids.

The addresses come out of the sources, so a new page is walked the day it is made; a piece of an address that nobody here knows how
to fill fails the test: `fill` says what it stands for."""

import json
import pathlib
import re

import pytest

from conftest import s3_client
from kit import BIN, Browser, rpc, run
from test_places import FORM
from test_transfers import digest

KMS = "2016-01-20"
WEB = pathlib.Path(__file__).parents[2] / "crates/web/src"
# All markers begin so, and nothing else of the sample does.
MARK = "MARK-"
BUCKET, OBJECT, PLAIN = "acme-invoices", "walk/content.txt", b"MARK-object"
PAPER = b"%PDF-1.7\nMARK-paper"
# What is registered elsewhere than in a router's table, asked by a browser.
MORE = ["/", "/collect/v1/events"]
# These end or change the session that walks: the last.
LAST = ["/desk/tickets/{id}/solve", "/login/tenant", "/login/operator", "/logout"]
# Words that stand for `{what}`.
WHAT = ["break", "scrub", "approve", "deny", "revoke", "read", "remove", "test", "replay", "solve", "close", "suspend", "end", "enable", "delete", "confirm",
        "comment", "withdraw", "lift"]
# Where an operator has pages of his own.
THEIRS = ("/desk", "/security", "/signin")


def sources():
    for path in sorted(WEB.rglob("*.rs")):
        yield path, path.read_text().split("#[cfg(test)]")[0]


def routes():
    """The registered addresses, each with its methods, and how many there are by a rougher count."""
    found, rough = {}, 0
    for path, text in sources():
        at = re.search(r'let at = \|rest: &str\| format!\("([^"{]+)\{rest\}"\);', text)
        for piece in re.split(r"\.route\(", text)[1:]:
            rough += 1
            m = re.match(r'\s*(&at\()?\s*"([^"]+)"', piece)
            assert m, f"{path}: an address that is not written out: {piece[:80]}"
            address = (at.group(1) if m.group(1) else "") + m.group(2)
            methods = {"GET": "get(", "POST": "post("}
            found[address] = {method for method, call in methods.items() if re.search(rf"\b{re.escape(call)}", piece)}
            assert found[address], f"{path}: {address} has no method that is walked"
    for method, address in re.findall(r'^    \("(GET|POST|DELETE)", "(/api/[^"]+)", Act::', (WEB / "api/mod.rs").read_text(), re.M):
        rough += address not in found
        found.setdefault(address, set()).add(method)
    return {**found, **{address: {"GET", "POST"} for address in MORE if address not in found}}, rough


def test_no_address_escapes_the_walk():
    found, rough = routes()
    assert rough > 200 and len(found) >= rough, (rough, len(found))
    ways = r"\.(nest|nest_service|route_service|fallback_service)\("
    assert not [str(path) for path, text in sources() if re.search(ways, text)], "addresses are registered in a way that is not read here"
    api = (WEB / "api/mod.rs").read_text()
    assert len([a for a in found if a.startswith("/api/")]) == len(set(re.findall(r'"(/api/v1/[^"]+)", Act::', api))) > 10


class Acme:
    """Content wherever acme can have some, and the ids of it."""

    def __init__(self, s):
        self.s, self.li = s, Browser(s).login_tenant(s)
        self.tenant = s.tenant("acme")["id"]
        s3 = s3_client(s)
        s3.put_object(Bucket=BUCKET, Key=OBJECT, Body=PLAIN, Metadata={"note": "MARK-meta"}, Tagging="team=MARK-tag")
        rpc(s, "CreateUser", UserName="walker", Email="MARK-mail@acme.example", Comments="MARK-comment", ok=True)
        self.access_key = rpc(s, "CreateAccessKey", UserName="walker", ok=True)["AccessKey"]
        rpc(s, "CreateGroup", GroupName="readers", Comments="MARK-group", ok=True)
        self.key = rpc(s, "CreateKey", KMS, Description="MARK-key", ok=True)["KeyMetadata"]["KeyId"]
        rpc(s, "CreateSecret", KMS, SecretName="MARK-name", SecretData="MARK-secret", VersionId="v1", ok=True)
        li = self.li
        li.get("/console/places?basis=cn-38-3").upload("/console/places", ("contract.pdf", PAPER), **{**FORM, "importer": "MARK-importer"})
        self.transfer = re.search(r"tr-[a-z2-9]{12}", li.path + li.source).group(0)
        li.get("/console/targets").post("/console/targets", family="database", name="db-1", address="10.0.0.8:5432", database="bills",
                                        admin="MARK-admin", roles="reader", password="MARK-target")
        assert li.status == 200, li.text
        li.get("/console/notifications").post("/console/notifications", addresses="", webhook="https://203.0.113.9/MARK-hook", ticket="yes")
        assert li.status == 200, li.text
        li.get("/console/trail/sinks").post("/console/trail/sinks", name="hook", kind="webhook", address="https://203.0.113.9/MARK-sink",
                                            format="cloudevents", events="all", roots="")
        assert li.status == 200, li.text
        self.record = re.search(r"secret/MARK-name.*?records (\d+)", li.get("/console/trail?family=own").text).group(1)
        lin = Browser(s).login_operator(s)
        lin.get("/desk").post("/desk/tickets/T-1/ask", bucket=BUCKET, key=OBJECT, minutes="30", uses="3", reason="it opens blank")
        self.grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)

    def fill(self, address):
        """Addresses with acme's ids in place of the pieces that stand for something."""
        found = [address]
        ids = {
            "/desk/tickets/": "T-1", "/console/tickets/": "T-1", "/console/consent/standing/": "R-" + "a" * 12, "/console/consent/": self.grant,
            "/console/places/requests/": "tq-" + "a" * 12, "/console/places/": self.transfer, "/console/keys/stores/": "ks-none",
            "/console/keys/": self.key, "/desk/requests/": self.grant, "/console/access/": self.access_key["AccessKeyId"],
            "/console/sessions/": "s-" + "a" * 16, "/desk/sessions/": "s-" + "a" * 16, "/console/handling/": "H-" + "a" * 12,
            "/desk/handling/": "H-" + "a" * 12, "/desk/glass/": "H-" + "a" * 12, "/desk/changes/": "CHG-1", "/security/": "none", "/trail/": self.tenant, "/log/": self.tenant,
        }
        names = {"/console/access/groups/": "readers", "/console/access/users/": "walker", "/console/targets/": "db-1",
                 "/console/trail/sinks/": "hook", "/assets/": "bailee.css", "/totals/": "2026-01-01.txt", "/console/access/": "none"}
        of = lambda table: next((value for start, value in table.items() if address.startswith(start)), None)
        pieces = {
            "id": of(ids), "name": of(names), "tenant": self.tenant, "bucket": BUCKET, "record": self.record, "number": "1", "n": "1", "kind": "custom",
            "which": "client", "owner": "walker", "receipt": "none", "sha256": digest(PAPER), "ticket": "T-1", "grant": self.grant,
            "right": "R-" + "a" * 12, "glass": "H-" + "a" * 12, "*part": "checkpoint", "what": WHAT,
        }
        for piece in re.findall(r"\{([^}]+)\}", address):
            value = pieces.get(piece)
            assert value, f"what stands for {{{piece}}} in {address}? Say it in `fill`"
            found = [a.replace("{" + piece + "}", v) for a in found for v in (value if isinstance(value, list) else [value])]
        return found

    def form(self):
        """A form with everything that some form wants."""
        return {
            "bucket": BUCKET, "key": OBJECT, "object": OBJECT, "prefix": "walk/", "tenant": "acme", "ticket": "T-1", "id": self.grant,
            "minutes": "30", "uses": "3", "reason": "it opens blank", "text": "we look", "message": "we look", "title": "another", "comment": "why",
            "note": "why", "target": "db-1", "family": "database", "user": "walker", "name": "more", "kind": "custom", "to": "SG", "basis": "cn-38-3",
            "resources": BUCKET, "importer": "us", "days": "30", "employee": "emp-" + "a" * 16, "reference": "case 7", "answer": "yes",
            "scope": "object", "content": "yes", "q": "pump", "action": "oss:GetObject", "resource": f"acs:oss:*:{self.tenant}:{BUCKET}/{OBJECT}",
            "authority": "Hangzhou Internet Court", "document": "(2026) 0192-17", "dated": "2026-11-20", "days_min": "0", "version": "1",
            "incident": "INC-7", "verdict": "accepted", "change": "CHG-7", "work": "scrub", "planned": "2026-12-24T12:00", "start": "0", "operator": "op-lin", "code": "000000",
        }


@pytest.fixture(scope="module")
def acme(shared):
    return Acme(shared)


def operators(s):
    """Those who have all roles between them."""
    for id, roles in [("op-all", ["support", "stability", "compliance", "portal-editor"]), ("op-yes", ["approver"]), ("op-audit", ["auditor-liaison"])]:
        made = run(BIN, "operator", "create", "--data", s.data, "--output", "json", "--id", id, *(w for r in roles for w in ("--role", r)), "--place", "CN")
        password = json.loads(made.stdout)["password"]
        yield id, lambda: Browser(s).send("POST", "/login/operator", {"operator": id, "password": password})


def judge(who, method, address, browser):
    """What is wrong with an answer."""
    at = f"{who}: {method} {address} -> {browser.status} {browser.path}"
    if browser.status >= 500:
        return f"{at}: {browser.text[:200]}"
    if MARK.encode() in browser.data or MARK.encode() in repr(browser.headers.items()).encode():
        return f"{at} shows a marker: {re.search(r'.{0,60}MARK-.{0,20}', browser.source, re.S).group(0)!r}"
    if (browser.path + "/").startswith("/console/") and browser.status not in (404, 405):
        return f"{at}: a page of the tenants', which looks to him as if it were not there"
    return None


def test_no_address_shows_an_operator_what_is_a_tenant_s(acme):
    addresses, _ = routes()
    order = [a for a in addresses if a not in LAST] + [a for a in LAST if a in addresses]
    wrong, seen = [], {}
    for who, sign_in in operators(acme.s):
        browser = sign_in()
        assert browser.status == 200, browser.text
        acme.li.get("/console/tickets/T-1").post("/console/tickets/T-1/reopen")
        for pattern in order:
            for address in acme.fill(pattern):
                # Both methods, also where one is not registered: then it must be a plain no.
                for method, form in [("GET", None), ("POST", {}), ("POST", acme.form()), *[("DELETE", None)] * ("DELETE" in addresses[pattern])]:
                    if browser.get("/desk").status != 200 or browser.path != "/desk":
                        browser = sign_in().get("/desk")
                    if form is not None:
                        form = {"csrf": browser.token(), **form}
                    browser.send(method, address, form)
                    seen[who, method, address] = browser.status
                    wrong.append(judge(who, method, address, browser))
        done = [a for (w, _, a), status in seen.items() if w == who and status == 200 and a.startswith(THEIRS)]
        assert len(done) > 5, f"{who} gets nothing at all: {done}"
    for end in ("read", "show", "session"):
        assert seen["op-all", "POST", f"/desk/tickets/T-1/{end}"] == 403, "asked for content on an open ticket he hears that there is no consent"
    wrong = [w for w in wrong if w]
    assert not wrong, "\n".join(wrong[:60])


def test_the_same_addresses_show_their_tenant_what_is_his(acme):
    """Without this the walk could go past everything: these ids are real."""
    shown, li = set(), acme.li
    for pattern, methods in routes()[0].items():
        if "GET" not in methods or not pattern.startswith("/console") or pattern.endswith("/live"):
            continue
        for address in acme.fill(pattern):
            li.get(address)
            if li.status == 200 and MARK in li.source:
                shown.add(pattern)
    assert shown >= {
        "/console/access/users/{name}", "/console/access/groups/{name}", "/console/keys", "/console/keys/{id}", "/console/places",
        "/console/places/{id}", "/console/notifications", "/console/trail/sinks", "/console/trail/{record}",
    }, shown
    li.get("/console/data/" + BUCKET).post(f"/console/data/{BUCKET}/read", key=OBJECT)
    assert li.status == 200 and li.data == PLAIN, li.text
    li.get(f"/console/places/{acme.transfer}").post(f"/console/places/{acme.transfer}/documents/{digest(PAPER)}/read")
    assert li.status == 200 and li.data == PAPER, li.text
