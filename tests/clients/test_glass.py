"""Breaking glass: two operators with second factors, names and sealed bytes for a while, and a tenant who is told, ends and reviews it.
By browsers, the signed API, the command line, and what the verifier makes of the log."""

import json
import re

from house import VERIFY
from kit import BIN, Browser, Server, run
from sdk import make_user, Sdk
from test_api import Api
from test_handling import operator

ASK = {"tenant": "acme", "incident": "INC-42", "reason": "the region is down", "minutes": "30"}
GLASSES = "/api/v1/glasses"


def fresh(s, id, role):
    """An operator who binds an authenticator app, and so has just shown it."""
    who = operator(s, id, role)
    who.get("/security").bind_app()
    return who


def asked(bo, **change):
    bo.get("/desk/handling").post("/desk/glass", **{**ASK, **change})
    return bo


def glass(bo, **change):
    before = set(re.findall(r"H-[a-z0-9]{12}", bo.get("/desk/handling").source))
    assert asked(bo, **change).status == 200, bo.text
    [id] = set(re.findall(r"H-[a-z0-9]{12}", bo.source)) - before
    return id


def listed(s):
    return json.loads(run(BIN, "handling", "list", "--tenant", "acme", "--data", s.data, "--output", "json").stdout)["glasses"]


def test_two_break_it_and_the_tenant_ends_and_reviews_it():
    with Server() as s:
        tenant = s.tenant()["id"]
        weak, bo, yu = operator(s, "op-weak", "stability"), fresh(s, "op-bo", "stability"), fresh(s, "op-yu", "approver")
        li, lin, stranger = Browser(s).login_tenant(s), Browser(s).login_operator(s), Browser(s).login_tenant(s, "globex")
        assert 'id="glass-banner"' not in li.get("/console").source
        assert asked(weak).status == 403 and 'id="fresh-mfa"' in weak.source
        for wrong in ({"minutes": "61"}, {"minutes": "0"}, {"minutes": "x"}, {"incident": " "}, {"reason": "no"}):
            assert asked(bo, **wrong).status == 400, (wrong, bo.text)
        assert asked(bo, tenant="nobody").status == 404
        lin.get("/desk").post("/desk/glass", **ASK)
        assert lin.status == 403 and lin.get(f"/desk/glass/{tenant}/H-{'a' * 12}").status == 404

        id = glass(bo)
        here = f"/desk/glass/{tenant}/{id}"
        assert f'id="break-{id}"' not in bo.source
        assert bo.get(here).post(here + "/break").status == 409 and "another person" in bo.text
        assert bo.get(here + "?look=buckets").status == 403 and id in bo.text
        yu.get(here)
        assert f'id="break-{id}"' in yu.source
        assert yu.post(here + "/break").status == 200, yu.text
        assert yu.get(here).post(here + "/break").status == 409

        # Names and sizes, never content, and by the first alone.
        assert "acme-invoices" in bo.get(here + "?look=buckets").text
        assert bo.get(here + "?look=usage").status == 200 and bo.get(here + "?look=bucket&bucket=acme-invoices").status == 200
        assert bo.get(here + "?look=objects&bucket=acme-invoices").status == 200 and "invoices/2026-11/1.pdf" in bo.text, bo.text
        assert bo.get(here + "?look=objects&bucket=NO").status == 400 and bo.get(here + "?look=bucket&bucket=no-such").status == 404
        assert bo.get(here).post(here + "/scrub", bucket="acme-invoices").status == 200 and "damaged: 0" in bo.text, bo.text
        assert yu.get(here + "?look=buckets").status == 403

        # On top of every page of the tenant, in both languages; and first in who can touch its data.
        for path in ("/console", "/console/data", "/security"):
            assert 'id="glass-banner"' in li.get(path).source and id in li.text, path
        assert "紧急访问" in li.get("/console/handling?lang=zh").text
        li.get("/console/handling?lang=en")
        for text in ("INC-42", "the region is down", "ListObjects", "ScrubVault", "broken"):
            assert text in li.text, text
        assert "op-bo" not in li.source and "op-yu" not in li.source
        record = re.search(r'/console/trail/(\d+)', li.source).group(1)
        assert "INC-42" in li.get(f"/console/trail/{record}").text
        page = li.get("/console/consent").source
        assert page.index('id="glass"') < page.index('id="standing"')
        stranger.get("/console/handling")
        assert id not in stranger.source and stranger.post(f"/console/handling/{id}/end").status == 404

        assert li.get("/console/handling").post(f"/console/handling/{id}/review", verdict="accepted").status == 409
        assert li.get("/console/consent").post(f"/console/handling/{id}/end").status == 200, li.text
        assert bo.get(here + "?look=buckets").status == 403
        assert 'id="glass-banner"' not in li.get("/console").source, "who ended it has read of it"
        assert li.get("/console/handling").post(f"/console/handling/{id}/review", verdict="disputed", note="").status == 400
        assert li.get("/console/handling").post(f"/console/handling/{id}/review", verdict="disputed", note="nothing was down").status == 200
        assert "disputed" in li.text and (ticket := re.search(r"/console/tickets/(T-\d+)", li.source))
        assert "disputed" in bo.get("/desk/handling").text and ticket.group(1) in bo.text and "nothing was down" in bo.text
        assert "nothing was down" in li.get(f"/console/tickets/{ticket.group(1)}").text

        # Its end by the one who asked, and at the machine; a notice waits to be acknowledged.
        second = glass(bo, minutes="5")
        assert asked(bo).status == 409 and second in bo.text
        bo.get("/desk/handling").post(f"/desk/glass/{tenant}/{second}/end")
        assert bo.status == 200 and 'id="glass-banner"' in li.get("/console").source
        li.get("/console/handling").post(f"/console/handling/{second}/acknowledge")
        assert li.status == 200 and 'id="glass-banner"' not in li.source
        third = glass(bo)
        run(BIN, "handling", "end-glass", "--tenant", "acme", "--id", third, "--data", s.data)
        assert run(BIN, "handling", "end-glass", "--tenant", "acme", "--id", third, "--data", s.data, ok=1).stdout == ""
        assert run(BIN, "handling", "end-glass", "--tenant", "acme", "--id", "H-x", "--data", s.data, ok=2).stdout == ""
        states = [(g["id"], g["state"]) for g in listed(s)]
        assert states == [(third, "ended"), (second, "ended"), (id, "ended")], states
        assert len(listed(s)[2]["acts"]) == 6 and listed(s)[2]["broken"]["operator"] == "op-yu"
        run(VERIFY, s.export("acme", "acme.bundle"))
        li.get("/console/trail?type=ALIYUN_INITIATED_SERVICE")
        assert f"glass {id}, incident INC-42" in li.text, li.text


def test_programs_of_the_tenant_see_end_and_review_it():
    with Server() as s:
        tenant = s.tenant()["id"]
        bo, yu = fresh(s, "op-bo", "stability"), fresh(s, "op-yu", "stability")
        api, none = Api(s, s.key("acme")), Api(s, make_user(Sdk("Ram", s, s.key("acme")), "nobody"))
        assert api.ok("GET", GLASSES) == {"glasses": []}
        id = glass(bo)
        here = f"/desk/glass/{tenant}/{id}"
        assert yu.get(here).post(here + "/break").status == 200
        bo.get(here + "?look=objects&bucket=acme-invoices")
        [g] = api.ok("GET", GLASSES)["glasses"]
        assert (g["id"], g["state"], g["incident"], g["acknowledged"]) == (id, "broken", "INC-42", False)
        assert [a["name"] for a in g["acts"]] == ["ListObjects"] and g["asked"]["by"] != g["broken"]["by"]
        assert none("GET", GLASSES)[0] == 403 and Api(s, s.key("globex")).ok("GET", GLASSES) == {"glasses": []}
        at = f"{GLASSES}/{id}"
        for path in ("/end", "/acknowledge"):
            assert none("POST", at + path)[0] == 403, path
            assert Api(s, s.key("globex"))("POST", at + path)[0] == 404, path
        assert api("POST", at + "/review", {"verdict": "accepted"})[0] == 409, "it is not over"
        api.ok("POST", at + "/acknowledge")
        assert api.ok("POST", at + "/end") == {"id": id, "ticket": None}
        assert api("POST", at + "/end")[0] == 409 and bo.get(here + "?look=buckets").status == 403
        assert api("POST", at + "/review", {"verdict": "fine"}) == (400, "InvalidParameter.verdict")
        assert api("POST", at + "/review", {"verdict": "accepted", "more": 1})[0] == 400
        assert none("POST", at + "/review", {"verdict": "accepted"})[0] == 403
        assert api.ok("POST", at + "/review", {"verdict": "accepted", "note": "thank you"})["ticket"] is None
        [g] = api.ok("GET", GLASSES, query={"limit": "1"})["glasses"]
        assert (g["state"], g["review"]["verdict"], g["acknowledged"]) == ("ended", "accepted", True)
        assert api("GET", GLASSES, query={"limit": "0"})[0] == 400
        run(VERIFY, s.export("acme", "acme.bundle"))
