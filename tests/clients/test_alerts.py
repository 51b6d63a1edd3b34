"""Alerts as the tenant sees them: within seconds, at the console and the command line."""

import json
import re

from kit import Browser, Server, wait_until

OBJECT = {"bucket": "acme-invoices", "key": "invoices/2026-11/1.pdf"}


def test_a_refused_operator_and_a_read_of_content_are_raised_within_seconds():
    with Server() as s:
        alerts = lambda *more: json.loads(s.run("trail", "alerts", "--tenant", "acme", *more, "--output", "json").stdout)
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        assert "No alert" in li.get("/console/trail/alerts").text
        read = lambda: lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/").post("/desk/tickets/T-1/read", **OBJECT)
        read()
        wait_until(lambda: [a["kind"] for a in alerts()["alerts"]] == ["refused"], seconds=10)
        lin.post("/desk/tickets/T-1/ask", minutes="30", uses="2", reason="compare bytes", **OBJECT) if lin.status == 403 else None
        grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)
        li.get("/console/consent").post(f"/console/consent/{grant}/approve", minutes="30", uses="2")
        read()
        assert lin.status == 200
        wait_until(lambda: "content" in [a["kind"] for a in alerts()["alerts"]], seconds=10)
        li.get("/console/trail/alerts")
        assert "An operator opened content" in li.text and "An operator was refused" in li.text
        assert re.search(r"Open alerts\s+\d", li.get("/console").text)
        number = next(a["alert"] for a in alerts()["alerts"] if a["kind"] == "content")
        li.get("/console/trail/alerts").post("/console/trail/alerts", alert=str(number))
        assert "content" not in [a["kind"] for a in alerts()["alerts"]]
        assert next(a for a in alerts("--all")["alerts"] if a["kind"] == "content")["acknowledged"]["by"] == "li"
        s.run("trail", "alerts", "--tenant", "acme", "--ack-up-to", "1000")
        assert alerts()["open"] == 0
        # Only what is wanted; another tenant has its own.
        li.get("/console/trail/alerts").post("/console/trail/alerts/kinds", content="yes", unknown="yes")
        assert set(alerts()["muted"]) == {"uncovered", "warning", "refused", "behind"}
        assert "takes content, uncovered, warning" in s.run("trail", "alerts", "--tenant", "acme", "--mute", "pigeons", code=1).stderr
        assert json.loads(s.run("trail", "alerts", "--tenant", "globex", "--all", "--output", "json").stdout)["alerts"] == []
        zh = li.get("/console/trail/alerts?lang=zh").text
        assert "告警" in zh and "没有告警" in zh
