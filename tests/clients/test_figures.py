"""Figures of consent, the weekly digest, and the portal's signed totals: what they say is what was done."""

import datetime
import json
import os
import re
import subprocess
import time

from house import VERIFY
from kit import BIN, Browser, Server, run, wait_until
from openapi_spec_validator import validate
from sdk import Sdk, make_user, policy
from test_api import Api
from test_consent import OBJECT, read
from test_handling import operator
from test_notices import Sink
from test_postgres import OnPostgres, cluster  # noqa: F401
from test_standing import Cli, asks

FIGURES = "/api/v1/consents/figures"
DAY_MS = 86_400_000


def test_figures_are_what_was_done(tmp_path):
    with Server() as server:
        li, lin, mei = Browser(server).login_tenant(server), Browser(server).login_operator(server), Browser(server).login_operator(server, "op-mei")
        api, cli = Api(server, server.key("acme")), Cli(server, server.key("acme"), tmp_path)
        validate(api.told)
        assert 'id="nothing"' in li.get("/console/consent/figures").source and 'href="/console/consent/figures"' in li.get("/console/consent").source
        nothing = api.ok("GET", FIGURES)
        assert nothing["requests"]["asked"] == 0 and nothing["decisions"] is None and nothing["byOperator"] == [] and nothing["complete"]
        one, two, three, four = asks(lin), asks(lin), asks(lin), asks(mei)
        api.ok("POST", f"/api/v1/consents/{one}/approve", {"minutes": 30, "uses": 2})
        api.ok("POST", f"/api/v1/consents/{two}/approve", {"minutes": 30, "uses": 3})
        api.ok("POST", f"/api/v1/consents/{three}/deny")
        assert read(lin, OBJECT).status == 200
        api.ok("POST", f"/api/v1/consents/{one}/revoke")
        api.ok("POST", f"/api/v1/consents/{two}/revoke")
        f = api.ok("GET", FIGURES)
        of = lambda **n: {"asked": 0, "approved": 0, "denied": 0, "declined": 0, "lapsed": 0, "withdrawn": 0, "waiting": 0, **n}
        assert f["requests"] == of(asked=4, approved=2, denied=1, waiting=1)
        assert f["byCode"]["customer_initiated_support"] == f["requests"] and f["byCode"]["legal_request"] == of()
        assert [o["requests"] for o in f["byOperator"]] == [of(asked=3, approved=2, denied=1), of(asked=1, waiting=1)]
        assert f["decisions"]["count"] == 3 and 0 <= f["decisions"]["medianMs"] <= f["decisions"]["p90Ms"] < 120_000
        assert f["grants"] == {"given": 2, "standing": 0, "live": 0, "unused": 1, "usesAllowed": 5, "usesMade": 1, "ended": {"revoked": 2}}
        assert (f["reads"], f["sessions"], f["takedowns"], f["changes"], f["standingRights"]) == (1, 0, 0, 0, 0)
        # Page, command line and API say the same; another tenant has its own.
        page = li.get("/console/consent/figures").source
        shown = lambda id: int(re.search(rf'id="{id}"[^>]*>(\d+)<', page).group(1))
        assert [shown(i) for i in ("asked", "approved", "denied", "waiting", "reads", "unused", "ended-revoked", "uses-made")] == [4, 2, 1, 1, 1, 1, 2, 1]
        assert "op-lin" not in page and 'id="ask-for-less"' in page and "Ended without one use" in li.text
        assert "结束时从未使用" in li.get("/console/consent/figures?lang=zh").text
        assert cli.json("figures") == f
        code, out, _ = cli("figures", "--from", f["from"], "--to", f["to"])
        assert code == 0 and re.search(r"^all +4 +2 +1 +0 +0 +0 +1$", out, re.M) and "grants ended as revoked: 2" in out, out
        assert Api(server, server.key("globex")).ok("GET", FIGURES)["requests"]["asked"] == 0
        # Days, and who may look.
        day = datetime.date.fromisoformat(f["to"]) - datetime.timedelta(days=1)
        assert api.ok("GET", FIGURES, query={"to": str(day)})["requests"]["asked"] == 0
        for wrong in ({"from": "x"}, {"to": "2026-02-30"}, {"from": "2020-01-01"}, {"from": "9999-01-01"}):
            assert api("GET", FIGURES, query=wrong) in [(400, "InvalidParameter.from"), (400, "InvalidParameter.to")], wrong
        assert api("GET", FIGURES, query={"until": "2026-01-01"})[0] == 400 and cli("figures", "--from", "x")[0] == 1
        assert li.get("/console/consent/figures?from=x").status == 400
        root = Sdk("Ram", server, server.key("acme"))
        half = make_user(root, "half", own={"half": policy(action="bailee:ListConsents", resource="*")})
        assert Api(server, half)("GET", FIGURES) == (403, "NoPermission")
        # The provider's own: for compliance and approvers, on record, without a name of content.
        assert lin.get("/desk/figures").status == 403 and li.get("/desk/figures").status == 404
        chen = operator(server, "op-chen", "compliance")
        assert 'href="/desk/figures"' in chen.get("/desk").source
        desk = chen.get("/desk/figures")
        assert desk.status == 200 and "op-lin" in desk.text and 'id="outliers"' in desk.source, desk.text
        assert re.search(r'id="asked"[^>]*>4<', desk.source) and not any(w in desk.source for w in ("invoices", "acme", "they open blank"))
        assert "值得留意" in chen.get("/desk/figures?lang=zh").text
        run(VERIFY, server.export("acme", "acme.bundle"))


def test_a_finished_week_is_told_once_though_two_servers_run(cluster, tmp_path):  # noqa: F811
    env, data = {"BAILEE_DATABASE": cluster.url}, tmp_path / "data"
    ask = lambda sql: subprocess.run([str(cluster.bin / "psql"), cluster.url, "-At", "-c", sql], capture_output=True, text=True, check=True).stdout.strip()
    servers = [OnPostgres(data, env=env)]
    try:
        asks(Browser(servers[0]).login_operator(servers[0]))
        servers.pop().stop()
        # It was asked in the week before this one.
        ask(f"UPDATE consent_request SET asked_at_ms = asked_at_ms - {7 * DAY_MS}")
        with Sink() as sink:
            with open(data / "bailee.toml", "a") as toml:
                toml.write(f'\n[mail]\nserver = "127.0.0.1"\nport = {sink.port}\nfrom = "trust@kestrel.example"\ntls = "none"\n')
            for tenant in ("acme", "globex"):
                run(BIN, "notify", "set", "--data", str(data), "--tenant", tenant, "--mail", f"ops@{tenant}.example=digest", env={**os.environ, **env})
            servers = [OnPostgres(data, env=env), OnPostgres(data, env=env)]
            wait_until(lambda: sink.to("ops@acme.example"), 60)
            wait_until(lambda: ask("SELECT count(*) FROM digest") == "2", 60)
            # A server that starts anew looks, too.
            servers.pop().kill()
            servers.append(OnPostgres(data, env=env))
            time.sleep(3)
            [mail] = sink.to("ops@acme.example")
            assert not sink.to("ops@globex.example"), "a quiet week"
            week = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=7)
            name = "{}-W{:02}".format(*week.isocalendar()[:2])
            assert mail["Subject"] == f"Your week {name} in figures is ready / {name} 周数据摘要已可查看"
            link = re.search(r"https?://\S+(/console/consent/figures\?\S+)", mail.get_content()).group(1)
            whole = mail.as_string() + mail.get_content()
            assert not any(word in whole for word in ("invoices", "op-lin", "blank")), whole
            # The link leads to that week.
            li = Browser(servers[0]).login_tenant(servers[0]).get(link)
            assert re.search(r'id="asked"[^>]*>1<', li.source), li.text
            assert ask("SELECT count(*) FROM notice WHERE kind = 'digest'") == "0"
        for server in servers:
            server.assert_well()
    finally:
        for server in servers:
            if server.is_running():
                server.kill()


def test_totals_verify_and_a_changed_byte_is_refused(tmp_path):
    with Server() as server:
        visitor = Browser(server)
        for path in ("/totals", "/totals.txt"):
            assert visitor.get(path).status == 404, "off, unless the provider says otherwise"
        assert 'href="/totals"' not in visitor.get("/").source
        asks(Browser(server).login_operator(server))
        toml = server.data / "bailee.toml"
        server.stop()
        toml.write_text("public_totals = true\n" + (toml.read_text() if toml.exists() else ""))
        server.start()
        visitor = Browser(server)
        wait_until(lambda: visitor.get("/totals.txt").status == 200, 60)
        note, kept = visitor.data, tmp_path / "totals.txt"
        assert visitor.headers["Content-Type"].startswith("text/plain")
        key = re.search(r'id="vkey">([^<]+)<', visitor.get("/verify").source).group(1)

        def check(bytes, *more, code, key=key):
            kept.write_bytes(bytes)
            return run(VERIFY, "totals", str(kept), "--key", key, *more, ok=code)

        assert check(note, code=0).stdout.startswith("SIGNED by the key of ")
        told = json.loads(check(note, "--output", "json", code=0).stdout)
        now = datetime.datetime.now(datetime.timezone.utc)
        day = (now - datetime.timedelta(minutes=5)).date() - datetime.timedelta(days=1)
        assert told["to"] == str(day) and told["from"] == str(day - datetime.timedelta(days=89)) and told["tenantsMin"] == 5
        assert told["figures"] == {"requests": None, "approvals": None, "refusals": None, "median-minutes": None, "content-reads": None}, "two tenants are too few"
        lines = note.decode().splitlines()
        assert lines[0] == "bailee-totals/v1" and "requests few" in lines
        for at in range(0, len(note), 7):
            changed = bytearray(note)
            changed[at] ^= 1
            assert "DOES NOT VERIFY (totals)" in check(bytes(changed), code=3).stderr, at
        assert "DOES NOT VERIFY" in check(note.replace(b"requests few", b"requests 500"), code=3).stderr
        # Another key, no key, no file, another note of the same key: a checkpoint is no totals, and totals are no checkpoint.
        heads = re.search(r'id="heads-vkey">([^<]+)<', visitor.source).group(1)
        check(note, code=3, key=heads)
        check(note, code=1, key="nonsense")
        run(VERIFY, "totals", str(tmp_path / "none"), "--key", key, ok=1)
        log = re.search(r'href="(/log/[^"]+/checkpoint)"', visitor.source).group(1)
        check(visitor.get(log).data, code=3)
        bundle = server.export("acme", "acme.bundle")
        kept.write_bytes(note)
        assert run(VERIFY, str(bundle), "--head", str(kept), ok=3).stderr
        # The page, in both languages; a day keeps its note.
        page = visitor.get("/totals?lang=en")
        assert page.status == 200 and "too few" in page.text and "bailee-totals/v1" in page.text and 'href="/totals"' in visitor.get("/").source
        assert "所有租户合计" in visitor.get("/totals?lang=zh").text
        assert visitor.get(f"/totals/{day}.txt").data == note
        for wrong in (f"/totals/{day}", "/totals/2020-01-01.txt", "/totals/..%2f..%2fx.txt"):
            assert visitor.get(wrong).status == 404, wrong
        server.stop()
        server.start()
        assert Browser(server).get("/totals.txt").data == note
