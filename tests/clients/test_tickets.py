"""Tickets over the pages of both sides, and on the command line."""

import json
import re

from kit import BIN, Browser, Server, run

HOSTILE = """# hello <script>alert(1)</script>

<script>
alert(2)
</script>

<img src=x onerror=alert(3)> [one](javascript:alert(4)) [two](JaVaScRiPt:alert(5)) [three](data:text/html,x)
![pic](https://evil.example/p.png "t\\" onload=\\"x") <a href="https://evil.example" onclick="x">four</a>
[five](https://good.example/?a="onclick="x) <https://auto.example>

```js" onmouseover="x
code
```
"""


def thread(source):
    return source.split('id="thread"')[1].split('id="reply"')[0]


def open_ticket(browser, **form):
    browser.get("/console/tickets")
    browser.post("/console/tickets", **form)
    assert browser.status == 200, browser.text
    return re.search(r'href="/console/tickets/(T-\d+)">', browser.source).group(1)


def state(browser):
    return re.search(r'data-state="(\w+)"', browser.source).group(1)


def test_both_sides_write_and_each_sees_what_it_may():
    with Server() as s:
        li, lin, wang = Browser(s).login_tenant(s), Browser(s).login_operator(s), Browser(s).login_tenant(s, "globex")
        form = {"title": "Pumps stand still", "new-category": "incident", "new-priority": "urgent", "message": "the **left** one\nsince noon"}
        mine = open_ticket(li, **form)
        li.get(f"/console/tickets/{mine}")
        assert state(li) == "open" and "<strong>left</strong>" in li.source and "First answer by" in li.text, li.text

        lin.get("/desk/tickets?priority=urgent")
        assert mine in lin.source and "T-1\"" not in lin.source.split("<table")[1]
        lin.get(f"/desk/tickets/{mine}")
        assert lin.status == 200 and "<strong>left</strong>" in lin.source and "Buckets" in lin.text
        lin.post(f"/desk/tickets/{mine}/assign", to="op-lin")
        lin.post(f"/desk/tickets/{mine}/reply", message="which *pump*?")
        assert lin.status == 200 and state(lin) == "answered" and "op-lin" in lin.text
        lin.post(f"/desk/tickets/{mine}/assign", to="op-nobody")
        assert lin.status == 404

        li.get(f"/console/tickets/{mine}")
        assert state(li) == "answered" and "<em>pump</em>" in li.source and "The clock stands" in li.text
        assert "op-lin" not in li.source and re.search(r"emp-[a-z2-7]{16}", thread(li.source))
        li.post(f"/console/tickets/{mine}/reply", message="the left one")
        assert state(li) == "waiting"

        # Another tenant's looks like none, whatever is done with it.
        wang.get("/console/tickets")
        assert mine not in wang.source
        none = wang.get("/console/tickets/T-999").text
        assert wang.get(f"/console/tickets/{mine}").status == 404 and wang.text == none
        for what in ("reply", "solve", "reopen", "close"):
            wang.get("/console/tickets")
            wang.post(f"/console/tickets/{mine}/{what}", message="x")
            assert wang.status == 404, (what, wang.status)

        # Solved: no data, a thread still; reopened by the tenant alone.
        lin.get(f"/desk/tickets/{mine}")
        lin.post(f"/desk/tickets/{mine}/solve")
        assert lin.status == 200 and state(lin) == "solved" and "Buckets" not in lin.text
        assert lin.get(f"/desk/tickets/{mine}/data/acme-invoices").status == 404
        li.get(f"/console/tickets/{mine}")
        li.post(f"/console/tickets/{mine}/reply", message="late")
        assert li.status == 409, li.text
        li.get(f"/console/tickets/{mine}")
        li.post(f"/console/tickets/{mine}/reopen")
        assert state(li) == "waiting"
        li.post(f"/console/tickets/{mine}/close")
        assert li.status == 200 and li.path == "/console/tickets"
        assert lin.get(f"/desk/tickets/{mine}").status == 404
        li.get(f"/console/tickets/{mine}?lang=zh")
        assert state(li) == "closed" and "已关闭" in li.text and 'id="reply"' not in li.source

        # The log has each act, names nobody and says nothing of what was written.
        out = run(BIN, "trail", "acts", "--data", s.data, "--tenant", "acme", "--limit", "200", "--output", "json").stdout
        events = {a["event"] for a in json.loads(out)["acts"]}
        assert {"ReplyTicket", "AssignTicket", "SolveTicket", "GetTicket"} <= events, events
        li.get("/console/trail?family=own")
        assert all(event in li.text for event in ("OpenTicket", "ReplyTicket", "ReopenTicket", "CloseTicket")), li.text
        assert "since noon" not in li.text
        assert "op-lin" not in out and "which" not in out and "left" not in out


def test_hostile_messages_are_text():
    with Server() as s:
        li, lin = Browser(s).login_tenant(s), Browser(s).login_operator(s)
        mine = open_ticket(li, title="<script>alert(0)</script>", message=HOSTILE)
        for page in (li.get(f"/console/tickets/{mine}"), lin.get(f"/desk/tickets/{mine}")):
            assert page.status == 200
            said = thread(page.source)
            assert "<script" not in page.source and "<img" not in page.source, said
            for tag in re.findall(r"<[^>]+>", said):
                assert not re.search(r"\son\w+\s*=", re.sub(r'"[^"]*"', '""', tag)), tag
                assert "javascript:" not in tag.lower() and "data:" not in tag.lower(), tag
            links = re.findall(r'<a href="(https?:[^"]*)" rel="([^"]*)"', said)
            assert [to for to, _ in links] == [
                "https://evil.example/p.png", "https://good.example/?a=&quot;onclick=&quot;x", "https://auto.example"], links
            assert {rel for _, rel in links} == {"noopener noreferrer nofollow"}
            assert "&lt;img src=x onerror=alert(3)&gt;" in said


def test_what_is_wrong_is_told_and_changes_nothing():
    with Server() as s:
        li, lin = Browser(s).login_tenant(s), Browser(s).login_operator(s)
        page = "/console/tickets/T-1"
        for form, code in [({"message": "泵" * 20_001}, 400), ({"message": "  "}, 400), ({"message": "a\x1b[2J"}, 400)]:
            li.get(page)
            li.post(page + "/reply", **form)
            assert li.status == code and "20000" in li.text or "control" in li.text, li.text
        li.get(page)
        li.post(page + "/reply", message="泵" * 20_000)
        assert li.status == 200, li.text
        before = len(re.findall('id="entry-', li.source))
        token = li.token()
        for form, headers in [({"message": "abc"}, {}), ({"message": "abc", "csrf": "0" * 64}, {}),
                              ({"message": "abc", "csrf": token}, {"Sec-Fetch-Site": "cross-site"})]:
            for what in ("reply", "solve", "close"):
                assert li.send("POST", f"{page}/{what}", form, headers).status == 403
        lin.get("/desk/tickets/T-1")
        for what in ("reply", "solve", "assign"):
            assert lin.send("POST", f"/desk/tickets/T-1/{what}", {"message": "abc", "to": "op-lin"}).status == 403
        # An operator does not do what is the tenant's, and the other way round.
        assert lin.post("/console/tickets/T-1/close").status == 404
        li.get(page)
        assert li.status == 200 and len(re.findall('id="entry-', li.source)) == before and state(li) == "waiting"
        assert li.post("/desk/tickets/T-1/solve").status == 404
        for wrong in ("state=nope", "category=nope", "priority=nope", "assigned=op-lin", "text=" + "x" * 201):
            assert li.get("/console/tickets?" + wrong).status == 400, wrong
        li.get("/console/tickets")
        assert li.post("/console/tickets", title="abc", **{"new-category": "nope"}).status == 400


def test_lists_are_filtered_searched_and_shown_on_the_command_line():
    with Server() as s:
        li, lin = Browser(s).login_tenant(s), Browser(s).login_operator(s)
        mine = open_ticket(li, title="Wrong amounts", message="the needle in the hay", **{"new-category": "billing"})
        rows = lambda b: re.findall(r"T-\d+(?=</span>| · )", b.source.split("<tbody")[1]) if "<tbody" in b.source else []
        assert rows(li.get("/console/tickets?category=billing")) == [mine]
        assert rows(li.get("/console/tickets?text=needle")) == []
        assert rows(li.get("/console/tickets?text=NEEDLE&messages=yes")) == [mine]
        assert rows(lin.get("/desk/tickets?text=AMOUNTS")) == [mine]
        assert lin.get("/desk/tickets?text=needle&messages=yes").status == 400 and "tenant" in lin.text
        assert rows(lin.get("/desk/tickets?text=needle&messages=yes&tenant=acme")) == [mine]
        assert rows(lin.get("/desk/tickets?text=needle&messages=yes&tenant=globex")) == []
        acts = run(BIN, "trail", "acts", "--data", s.data, "--tenant", "acme", "--output", "json").stdout
        assert "ListTickets" in acts and "needle" not in acts
        out = run(BIN, "ticket", "list", "--data", s.data, "--category", "billing", "--output", "json").stdout
        found = json.loads(out)["tickets"]
        assert [k["ticket"] for k in found] == [mine] and found[0]["state"] == "open" and not found[0]["firstAnswer"]["overdue"]
        assert mine in run(BIN, "ticket", "list", "--data", s.data, "--tenant", "acme").stdout
        shown = json.loads(run(BIN, "ticket", "show", mine, "--data", s.data, "--output", "json").stdout)
        assert shown["entries"][0]["text"] == "the needle in the hay"
        assert "the needle in the hay" in run(BIN, "ticket", "show", mine, "--data", s.data).stdout
        acts = run(BIN, "trail", "acts", "--data", s.data, "--tenant", "acme", "--output", "json").stdout
        assert "GetTicket" in acts, "an administrator's look is recorded"
        # Another priority's time, by the configuration.
        with open(f"{s.data}/bailee.toml", "a") as toml:
            toml.write("\n[tickets]\nfirst_answer_hours = { normal = 87600 }\n")
        out = json.loads(run(BIN, "ticket", "show", mine, "--data", s.data, "--output", "json").stdout)
        assert out["firstAnswer"]["due"] > "2035"


def digests(browser):
    return re.findall(r"<code>([0-9a-f]{64})</code>", browser.source)


def test_documents_go_both_ways_and_support_reads_them_on_record():
    pdf = b"%PDF-1.7\n" + bytes(range(256)) * 900
    with Server() as s:
        li, lin, wang = Browser(s).login_tenant(s), Browser(s).login_operator(s), Browser(s).login_tenant(s, "globex")
        mei = Browser(s).login_operator(s, "op-mei")
        li.get("/console/tickets")
        assert "Support reads what is attached here" in li.text and "支持人员会读取" in li.get("/console/tickets?lang=zh").text
        li.get("/console/tickets?lang=en")
        li.upload("/console/tickets", ("泵\r\nX-A: b.pdf".replace("\r\n", "%0D%0A"), pdf), title="Pumps stand still", message="see the *scan*")
        assert li.status == 200, li.text
        mine = re.search(r'href="/console/tickets/(T-\d+)">', li.source).group(1)
        page, desk = f"/console/tickets/{mine}", f"/desk/tickets/{mine}"
        [scan] = digests(li.get(page))
        assert "<em>scan</em>" in li.source

        # Message and document in one form; of a wrong one nothing is kept, the message neither.
        lin.get(desk)
        lin.upload(desk + "/reply", ("answer.txt", b"turn it off"), message="turn it " + "泵" * 19_000)
        assert lin.status == 200 and len(digests(lin)) == 2 and state(lin) == "answered", lin.text
        for wrong in (("a.pdf", b"<!doctype html><script>alert(1)</script>"), ("a.exe", b"MZ\x90\0"), ("big.pdf", pdf + b"\0" * (21 << 20)), ("scan.pdf", pdf)):
            li.get(page)
            li.upload(page + "/reply", wrong, message="not said")
            assert li.status in (400, 409), (wrong[0], li.status)
        li.get(page)
        assert "not said" not in li.text and len(digests(li)) == 2

        for browser, at in ((li, page), (lin, desk)):
            browser.get(at)
            browser.post(f"{at}/documents/{scan}/read")
            assert (browser.status, browser.data) == (200, pdf)
            assert browser.headers["Content-Disposition"].startswith("attachment; ") and browser.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in browser.headers["Content-Security-Policy"] and browser.headers["Content-Type"] == "application/octet-stream"
        # Elsewhere, without the form's token, by another ticket or tenant, or on one that is not there: no.
        mei.get(desk)
        assert mei.post(f"{desk}/documents/{scan}/read").status == 403 and b"%PDF" not in mei.data
        for browser, at in ((li, page), (lin, desk)):
            assert browser.send("POST", f"{at}/documents/{scan}/read", {}).status == 403
            assert browser.get(f"{at}/documents/{scan}/read").status == 405
        wang.get("/console/tickets")
        assert wang.post(f"{page}/documents/{scan}/read").status == 404
        wang.get("/console/tickets")
        assert wang.post(f"{page}/documents/{scan}/remove").status == 404
        lin.get(desk)
        assert lin.post(f"/desk/tickets/T-1/documents/{scan}/read").status == 404
        # Solved: the tenant's alone.
        lin.get(desk)
        token = lin.token()
        lin.post(desk + "/solve")
        assert "Download" not in lin.text
        assert lin.send("POST", f"{desk}/documents/{scan}/read", {"csrf": token}).status in (403, 404)
        li.get(page)
        assert li.post(f"{page}/documents/{scan}/read").data == pdf
        li.get(page)
        li.post(f"{page}/documents/{scan}/remove")
        assert li.status == 200 and scan not in li.source
        li.get("/console/trail?family=platform")
        assert "GetTicketAttachment" in li.text, li.text
        shown = json.loads(run(BIN, "ticket", "show", mine, "--data", s.data, "--output", "json").stdout)
        assert [d["document"] for d in shown["documents"]] == ["answer.txt"], shown
