"""The main job: an operator reads a customer's object only by consent."""

import json
import os
import re

from house import VERIFY
from kit import BIN, Browser, Server, run

OBJECT = {"bucket": "acme-invoices", "key": "invoices/2026-11/1.pdf"}
OTHER = {"bucket": "acme-invoices", "key": "invoices/2026-11/2.pdf"}


def read(lin, what):
    lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    assert lin.status == 200, lin.text
    return lin.post("/desk/tickets/T-1/read", **what)


def ask(lin, what):
    """From the refusal's page, as a person would."""
    assert lin.status == 403 and 'id="ask"' in lin.source
    lin.post("/desk/tickets/T-1/ask", minutes="30", uses="3", reason="the page renders blank, compare bytes", **what)
    assert lin.status == 200, lin.text
    return re.search(r"G-[a-z0-9]{12}", lin.source).group(0)


def test_an_operator_reads_only_by_consent():
    with Server() as s:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        read(lin, OBJECT)
        assert lin.status == 403
        assert "needs the tenant's consent: no live grant covers `GetObject` for ticket `T-1`" in lin.text, lin.text
        assert b"48,000.00" not in lin.data
        grant = ask(lin, OBJECT)

        li.get("/console/consent")
        assert "the page renders blank" in li.text and "op-lin" not in li.text
        pseudonym = re.search(r"emp-[a-z2-7]{16}", li.source).group(0)
        li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
        assert li.status == 200, li.text

        read(lin, OBJECT)
        assert lin.status == 200 and b"48,000.00 CNY" in lin.data
        assert "attachment" in lin.headers["Content-Disposition"]
        read(lin, OTHER)
        assert lin.status == 403, "a second object is still refused"

        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/revoke")
        assert li.status == 200
        read(lin, OBJECT)
        assert lin.status == 403 and "the tenant revoked the grant" in lin.text, lin.text

        li.get("/console/trail")
        for wanted in [pseudonym, "CN", "T-1", grant, "the page renders blank", "Refused", "Done", "in checkpoint"]:
            assert wanted in li.text, (wanted, li.text)
        assert "op-lin" not in li.source
        # Newest first: refused after revocation, refused other object, done.
        ends = re.findall(r"(Refused|Done|Failed|Running)", re.sub(r"<option.*?</option>", "", li.source.split("<ol>")[1]))
        assert ends[0] == "Refused", ends


def test_less_may_be_approved_and_never_more():
    with Server() as s:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        grant = ask(read(lin, OBJECT), OBJECT)
        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/approve", minutes="31", uses="3")
        assert li.status == 400
        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/approve", minutes="30", uses="1")
        assert li.status == 200
        assert read(lin, OBJECT).status == 200
        assert read(lin, OBJECT).status == 403 and "all reads of the grant are used" in lin.text


def test_denied_closed_and_foreign_requests_open_nothing():
    with Server() as s:
        lin, li, wang = Browser(s).login_operator(s), Browser(s).login_tenant(s), Browser(s).login_tenant(s, "globex")
        grant = ask(read(lin, OBJECT), OBJECT)
        wang.get("/console/consent")
        assert grant not in wang.source
        wang.post(f"/console/consent/{grant}/approve", minutes="1", uses="1")
        assert wang.status == 404, "another tenant cannot know of it"
        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/deny")
        assert read(lin, OBJECT).status == 403 and "the tenant denied it" in lin.text
        li.get("/console/tickets")
        li.post("/console/tickets/T-1/close")
        assert li.status == 200
        lin.get("/desk/tickets/T-1")
        assert lin.status == 404


def test_an_operator_abroad_is_refused_even_with_consent():
    with Server() as s:
        mei, li = Browser(s).login_operator(s, "op-mei"), Browser(s).login_tenant(s)
        mei.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
        mei.post("/desk/tickets/T-1/read", **OBJECT)
        assert mei.status == 403 and "must stay in `CN`" in mei.text, mei.text


def test_forms_from_elsewhere_are_refused():
    with Server() as s:
        li = Browser(s).login_tenant(s)
        li.get("/console/tickets")
        token = li.token()
        for form, headers in [({"title": "abc"}, {}), ({"title": "abc", "csrf": "0" * 64}, {}),
                              ({"title": "abc", "csrf": token}, {"Sec-Fetch-Site": "cross-site"})]:
            li.send("POST", "/console/tickets", form, headers)
            assert li.status == 403, (form, li.status)
        li.get("/console/tickets")
        assert "abc" not in li.text
        stranger = Browser(s).get("/console/trail")
        assert "Sign in" in stranger.text
        assert li.get("/desk").status == 404


def test_passwords_are_throttled_and_say_nothing():
    with Server() as s:
        b = Browser(s)
        texts = set()
        for tenant, user in [("acme", "li"), ("acme", "nobody"), ("nowhere", "li")]:
            b.send("POST", "/login/tenant", {"tenant": tenant, "user": user, "password": "wrong wrong"})
            assert b.status == 403
            texts.add(re.search(r'id="failure">([^<]+)', b.source).group(1))
        assert len(texts) == 1
        codes = []
        for _ in range(8):
            b.send("POST", "/login/tenant", {"tenant": "acme", "user": "li", "password": "wrong wrong"})
            codes.append(b.status)
        assert 429 in codes


def test_pages_carry_strict_headers_and_both_languages():
    with Server() as s:
        b = Browser(s)
        for path in ["/", "/faq", "/verify", "/login", "/nope"]:
            en, zh = b.get(path + "?lang=en").source, b.get(path + "?lang=zh").source
            assert 'lang="en"' in en and 'lang="zh"' in zh and en != zh
            csp = b.headers["Content-Security-Policy"]
            assert "default-src 'none'" in csp and "unsafe" not in csp
            # Signing in with a passkey takes a script of our own; nothing else of these pages has one.
            assert ("script-src 'self'" in csp) if path == "/login" else ("script" not in csp)
            assert b.headers["X-Frame-Options"] == "DENY"
            assert en.count("<script") == en.count('<script src="/assets/') and " style=" not in en


def test_the_trail_is_seen_on_the_command_line_too():
    with Server() as s:
        lin = Browser(s).login_operator(s)
        read(lin, OBJECT)
        out = run(BIN, "trail", "acts", "--data", s.data, "--tenant", "acme", "--output", "json").stdout
        acts = json.loads(out)["acts"]
        assert acts[0]["event"] == "GetObject" and acts[0]["result"] == "refused"
        assert os.path.getmtime(s.data) > 0


def test_a_refusal_is_told_in_the_language_of_the_page():
    with Server() as s:
        lin = Browser(s).login_operator(s)
        lin.get("/desk/tickets/T-1/data/acme-invoices?lang=zh")
        lin.post("/desk/tickets/T-1/read", bucket="acme-invoices", key="readme.txt")
        assert lin.status == 403 and "需要租户同意" in lin.text and "尚未请求" in lin.text, lin.text


def root_of(s, alias="acme"):
    root = Browser(s).get("/signin").sign_in(alias, "root", s.tenant(alias)["root"]["password"])
    assert root.status == 200, root.text
    return root


PREFIX = {"covers": "prefix", "bucket": "acme-invoices", "name": "invoices/2026-11/"}
WISH = {"minutes": "30", "uses": "3", "code": "customer_initiated_support", "reference": "", "reason": "they open blank"}


def test_two_persons_approve_a_part_of_what_was_built():
    with Server() as s:
        lin, li, root = Browser(s).login_operator(s), Browser(s).login_tenant(s), root_of(s)
        # The tenant demands two persons, and no grant longer than half an hour.
        li.get("/console/consent/policy")
        rule = {"approvals": "2", "approvers": "root\r\nuser/li\r\n", "lapse_hours": "24", "minutes_max": "30",
                "from": "09:00", "to": "18:00", "offset": "480"}
        li.post("/console/consent/policy", **{**rule, "approvers": "user/li"})
        assert li.status == 400 and "name 1 of the 2 persons" in li.text, li.text
        li.get("/console/consent/policy").post("/console/consent/policy", **{**rule, "day-1": "1", "from": "9 o'clock"})
        assert li.status == 400, li.text
        li.get("/console/consent/policy").post("/console/consent/policy", **rule)
        assert li.status == 200 and "Set by li" in li.text, li.text
        told = json.loads(run(BIN, "consent", "policy", "--data", s.data, "--tenant", "acme", "--output", "json").stdout)
        assert told["approvals"] == 2 and told["approvers"] == ["root", "user/li"] and told["setBy"] == "li"

        # The operator sees in a sentence what he asks for, before he asks.
        lin.get("/desk/tickets/T-1").get("/desk/tickets/T-1/ask")
        lin.post("/desk/tickets/T-1/ask", step="preview", **PREFIX, **{**WISH, "minutes": "45"})
        wanted = "may read objects under acme-invoices/invoices/2026-11/ 3 times within 45 minutes of the approval."
        assert lin.status == 200 and wanted in lin.text, lin.text
        assert 'value="45"' in lin.source and 'value="prefix" selected' in lin.source
        lin.post("/desk/tickets/T-1/ask", **PREFIX, **{**WISH, "minutes": "45"})
        assert lin.status == 400 and "the tenant allows no longer" in lin.text, lin.text
        lin.get("/desk/tickets/T-1/ask").post("/desk/tickets/T-1/ask", **PREFIX, **{**WISH, "code": "legal_request"})
        assert lin.status == 400 and "reference" in lin.text
        lin.get("/desk/tickets/T-1/ask").post("/desk/tickets/T-1/ask", **PREFIX, **WISH)
        assert lin.status == 200, lin.text
        grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)

        # The tenant reads the same sentence; one person opens nothing, and not twice.
        li.get(f"/console/consent/{grant}")
        assert wanted.replace("45", "30") in li.text and "Support that the tenant asked for" in li.text
        yes = {"minutes": "30", "uses": "3"}
        less = {"narrow": "1", "under": OBJECT["key"], "exact": "1"}
        li.post(f"/console/consent/{grant}/approve", **yes, narrow="1", under="invoices/")
        assert li.status == 409 and "asks for less" in li.text, li.text
        li.get(f"/console/consent/{grant}").post(f"/console/consent/{grant}/approve", **yes, **less, note="only the first")
        assert li.status == 200 and re.search(r"1\s+of\s+2", li.text), li.text
        assert read(lin, OBJECT).status == 403
        li.post(f"/console/consent/{grant}/approve", **yes)
        assert li.status == 409, li.text
        root.get(f"/console/consent/{grant}")
        assert "only the first" in root.text
        root.post(f"/console/consent/{grant}/approve", **yes)
        assert root.status == 200, root.text
        assert read(lin, OBJECT).status == 200 and read(lin, OTHER).status == 403
        shown = json.loads(run(BIN, "consent", "show", grant, "--data", s.data, "--tenant", "acme", "--output", "json").stdout)
        assert shown["state"] == "live" and shown["scope"] == "acme-invoices/" + OBJECT["key"] and shown["uses"] == 1
        assert "only the first" in run(BIN, "consent", "show", grant, "--data", s.data, "--tenant", "acme").stdout

        # Given back, and asked again from what it was.
        lin.get("/desk")
        path = re.search(rf'action="(/desk/requests/\d+/{grant}/withdraw)"', lin.source).group(1)
        lin.post(path)
        assert lin.status == 200 and "Given back" in lin.text, lin.text
        assert read(lin, OBJECT).status == 403 and "gave the grant back" in lin.text
        lin.get(f"/desk/tickets/T-1/ask?renews={grant}")
        assert lin.status == 200 and 'value="invoices/2026-11/"' in lin.source
        lin.post("/desk/tickets/T-1/ask", renews=grant, **PREFIX, **WISH)
        assert lin.status == 200, lin.text
        listed = run(BIN, "consent", "list", "--data", s.data, "--tenant", "acme", "--open", "--output", "json").stdout
        [again] = json.loads(listed)["requests"]
        assert again["renews"] == grant and again["state"] == "pending"
        # What a verifier replays: a part is no grant, the whole is, for what it was narrowed to.
        run(VERIFY, s.export("acme", "acme.bundle"))


def test_another_operator_confirms_before_the_tenant_is_asked():
    with Server() as s:
        at = ["--data", s.data, "--output", "json"]
        yu = json.loads(run(BIN, "operator", "create", *at, "--id", "op-yu", "--role", "approver", "--place", "CN").stdout)
        s.stop()
        with open(f"{s.data}/bailee.toml", "a") as toml:
            toml.write("second_eye = true\n")
        s.start()
        lin, li, eye = Browser(s).login_operator(s), Browser(s).login_tenant(s), Browser(s)
        eye.send("POST", "/login/operator", {"operator": "op-yu", "password": yu["password"]})
        assert eye.status == 200, eye.text
        grant = ask(read(lin, OBJECT), OBJECT)
        li.get("/console/consent")
        assert "Not yet asked of you" in li.text and f"approve-{grant}" not in li.source
        li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
        assert li.status == 409, li.text
        eye.get("/desk")
        path = re.search(rf'href="(/desk/requests/\d+/{grant})"', eye.source).group(1)
        # Who asked sees no form, and may not.
        lin.get(path)
        assert lin.status == 200 and 'id="confirm"' not in lin.source
        lin.post(path + "/confirm", answer="yes")
        assert lin.status == 403, lin.text
        eye.get(path)
        assert "may read the object" in eye.text
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {}):
            form = {"answer": "yes", "csrf": eye.token() if headers else "0" * 64}
            assert Browser.send(eye, "POST", path + "/confirm", form, headers).status == 403
            eye.get(path)
        eye.post(path + "/confirm", answer="no", comment="")
        assert eye.status == 400
        eye.get(path).post(path + "/confirm", answer="yes", comment="it is needed")
        assert eye.status == 200, eye.text
        li.get(f"/console/consent/{grant}")
        assert "it is needed" in li.text and "op-yu" not in li.source and li.source.count("emp-") > 1
        li.post(f"/console/consent/{grant}/comment", comment="<b>why</b> not the copy?")
        assert li.status == 200 and "<b>why" not in li.source and "not the copy?" in li.text
        li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
        assert li.status == 200
        assert read(lin, OBJECT).status == 200
        assert "why" in lin.get(path).text
        # Nobody else of the provider's people looks at it, and no other tenant.
        wang = Browser(s).login_tenant(s, "globex")
        assert wang.get(f"/console/consent/{grant}").status == 404
        mei = Browser(s).login_operator(s, "op-mei")
        assert mei.get(path).status == 404 and mei.get(f"/desk/tickets/T-1/ask?renews={grant}").status == 404
