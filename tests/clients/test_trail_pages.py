"""The pages of the trail: filters, figures, the live view by server-sent events, and compliance's page."""

import http.client
import json
import re
import threading
import time

import pytest

import house as h
from kit import Browser, Server, wait_until
from sdk import Sdk
from test_browser import Chromium, login_operator, login_tenant, open_browser  # noqa: F401
from test_trail import consented_read

OBJECT = {"bucket": "acme-invoices", "key": "invoices/2026-11/1.pdf"}


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        consented_read(s)
        yield s


def refused_read(server, key="invoices/2026-11/2.pdf"):
    """An act of the platform: a read without consent."""
    lin = Browser(server).login_operator(server)
    lin.get("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    lin.post("/desk/tickets/T-1/read", bucket="acme-invoices", key=key)
    assert lin.status == 403


def records(browser):
    return re.findall(r'<li class="ev" id="r(\d+)"', browser.source)


def test_each_filter_narrows_the_list_and_lives_in_the_address(server):
    li = Browser(server).login_tenant(server)
    everything = records(li.get("/console/trail"))
    operator = re.search(r"emp-[a-z2-7]{16}", li.source).group(0)
    grant = re.search(r"G-[a-z0-9]{12}", li.source).group(0)
    for query in (f"operator={operator}", f"grant={grant}", "product=OSS", "event=GetObject", "result=refused",
                  "type=CUSTOMER_INITIATED_SUPPORT", "ticket=T-1", "text=1.pdf", "text=RENDERS"):
        found = records(li.get(f"/console/trail?{query}"))
        assert found and set(found) <= set(everything), query
    assert set(records(li.get("/console/trail?event=GetObject"))) < set(everything)
    for query in ("operator=emp-aaaaaaaaaaaaaaaa", "grant=G-000000000000", "product=RDS", "ticket=T-999",
                  "type=ALIYUN_INITIATED_PENALTY", "until=2020-01-01", "text=nobody+wrote+this"):
        li.get(f"/console/trail?{query}")
        assert not records(li) and "No act matches" in li.text, query
    assert li.get("/console/trail?from=yesterday").status == 400
    li.get("/console/trail?operator=%22%3E%3Cscript%3E&lang=zh")
    assert "<script" not in li.source and "没有符合的操作" in li.text


def test_the_figures_are_those_of_the_list(server):
    li = Browser(server).login_tenant(server)
    li.get("/console/trail")
    count = len(records(li))
    li.get("/console/trail/figures")
    assert int(re.search(r'id="acts"[^>]*>(\d+)<', li.source).group(1)) == count
    assert li.source.count("<svg class=\"m\"") == 4 and "<style" not in li.source and " style=" not in li.source
    for part in ("by-day", "by-hour", "by-who", "by-resource"):
        assert f'aria-labelledby="{part}-t {part}-d"' in li.source and f'id="{part}-d"' in li.source
    hours = [int(n) for n in re.findall(r":00 — (\d+)<", li.source)]
    assert len(hours) == 7 * 24 and sum(hours) == count
    empty = li.get("/console/trail/figures?ticket=T-999")
    assert "No act matches" in empty.text and 'id="by-day"' not in empty.source
    assert li.get("/console/trail/figures?from=2020-01-01").status == 400
    assert Browser(server).login_operator(server).get("/console/trail/figures").status == 404


class Stream:
    """A client of server-sent events."""

    def __init__(self, browser, path, last=None):
        self.connection = http.client.HTTPConnection(browser.host, timeout=h.PATIENCE)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()), "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()

    def next(self):
        """The next event: (name, id, data); none at the end."""
        event = {}
        while line := self.answer.readline().decode():
            line = line.rstrip("\n")
            if not line and "data" in event:
                return event.get("event"), event.get("id"), json.loads(event["data"])
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
        return None

    def close(self):
        self.connection.close()


def test_the_stream_gives_acts_and_outcomes_and_goes_on_where_it_was(server):
    li = Browser(server).login_tenant(server)
    li.get("/console/trail/watch")
    live = re.search(r'data-live="([^"]+)"', li.source).group(1).replace("&amp;", "&")
    refused_read(server)
    stream = Stream(li, live)
    assert stream.answer.status == 200 and stream.answer.getheader("Content-Type").startswith("text/event-stream")
    name, first, act = stream.next()
    while "2.pdf" not in act["html"]:
        name, first, act = stream.next()
    assert name == "act" and "Refused" in act["html"] and int(first) == act["record"]
    stream.close()
    refused_read(server, "invoices/2026-11/3.pdf")
    again = Stream(li, live, last=first)
    seen = again.next()
    while "3.pdf" not in seen[2]["html"]:
        assert int(seen[1]) > int(first), "nothing comes twice"
        seen = again.next()
    again.close()


def test_streams_are_few_and_end_with_the_session(server):
    assert Stream(Browser(server), "/console/trail/live").answer.status == 303, "nobody"
    li = Browser(server).login_tenant(server)
    streams = [Stream(li, "/console/trail/live") for _ in range(4)]
    assert [s.answer.status for s in streams] == [200] * 4
    assert Stream(li, "/console/trail/live").answer.status == 429
    li.get("/console")
    li.post("/logout")
    for stream in streams:
        name, _, _ = stream.next()
        assert name == "over" and stream.next() is None


def test_who_may_not_see_the_trail_gets_no_stream(server):
    ram = Sdk("Ram", server, server.key("acme"))
    ram("CreateUser", UserName="blind")
    ram("CreateLoginProfile", UserName="blind", Password="correct-Horse-9-battery", MFABindRequired=False)
    blind = Browser(server).sign_in("acme", "blind", "correct-Horse-9-battery")
    for path in ("/console/trail", "/console/trail/figures", "/console/trail/watch", "/console/trail/live"):
        assert blind.get(path).status == 403, path


def test_the_server_stops_though_somebody_watches(seed, tmp_path):
    house = h.House(h.copy_of(seed, tmp_path / "data"))
    li = Browser(house).login_tenant(house)
    stream = Stream(li, "/console/trail/live")
    began = time.monotonic()
    house.stop()
    assert time.monotonic() - began < 8, "it does not wait for whoever watches"
    stream.close()


def test_live_in_a_real_browser(server, open_browser):  # noqa: F811
    li = open_browser()
    login_tenant(li, server)
    li.go("/console/trail/watch")
    wait_until(lambda: "Live, last news" in li.text)
    before = len(li.there("ol[data-live] > li"))
    threading.Thread(target=refused_read, args=(server, "invoices/2026-11/4.pdf")).start()
    wait_until(lambda: len(li.there("ol[data-live] > li")) > before)
    top = li.there("ol[data-live] > li")[0]
    assert "4.pdf" in li.find("ol[data-live]").text and top.get_attribute("id").startswith("r")
    said = [e["message"] for e in li.driver.get_log("browser") if e["level"] == "SEVERE"]
    assert not said, said
    li.picture("trail-watch-en")


def test_pages_in_a_real_browser(server, open_browser):  # noqa: F811
    for width, name in [(1280, "wide"), (400, "narrow")]:
        li = open_browser(width=width)
        login_tenant(li, server)
        for path, page in [("/console/trail", "trail"), ("/console/trail/figures", "figures"),
                           ("/console/trail?ticket=T-999", "trail-empty")]:
            for lang, theme in [("en", "light"), ("zh", "dark")]:
                more = "&" if "?" in path else "?"
                li.go(f"{path}{more}lang={lang}&theme={theme}").well()
                li.picture(f"trail-{page}-{name}-{lang}")
    li = open_browser()
    login_tenant(li, server)
    li.go("/console/trail?lang=en").fill(ticket="T-1", text="1.pdf").press("form.filters")
    assert "ticket=T-1" in li.driver.current_url and "1.pdf" in li.text
    li.find("#all").click()
    wait_until(lambda: "ticket=T-1" not in li.driver.current_url)


def test_compliance_resolves_a_number_on_the_desk(server, tmp_path):
    li = Browser(server).login_tenant(server)
    number = re.search(r"emp-[a-z2-7]{16}", li.get("/console/trail").source).group(0)
    made = json.loads(h.bailee("operator", "create", "--data", str(server.data), "--output", "json", "--id", "op-yu",
                               "--role", "compliance", "--place", "CN").stdout)
    yu = Browser(server)
    yu.send("POST", "/login/operator", {"operator": "op-yu", "password": made["password"]})
    assert "/desk/employee" in yu.get("/desk").source
    yu.get("/desk/employee")
    yu.post("/desk/employee", tenant="acme", employee=number, reference="CASE-7")
    assert yu.status == 200 and "op-lin" in yu.text
    for wrong, status in [({"employee": "emp-x"}, 400), ({"reference": " "}, 400), ({"ticket": "X"}, 400),
                          ({"employee": "emp-aaaaaaaaaaaaaaaa"}, 404), ({"tenant": "no-such"}, 404),
                          ({"ticket": "T-999"}, 403)]:
        yu.get("/desk/employee")
        yu.post("/desk/employee", **({"tenant": "acme", "employee": number, "reference": "CASE-8"} | wrong))
        assert yu.status == status, (wrong, yu.status, yu.text)
    lin = Browser(server).login_operator(server)
    assert "/desk/employee" not in lin.get("/desk").source
    lin.get("/desk/employee")
    lin.post("/desk/employee", tenant="acme", employee=number, reference="CASE-9")
    assert lin.status == 403
    li.get("/console/trail?event=ResolveEmployee")
    assert "legal reference CASE-7" in li.text and "op-lin" not in li.source
