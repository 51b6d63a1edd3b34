"""The JSON API of tickets: signed by our own signer and by the vendor's SDK, its answers against its description."""

import datetime
import hashlib
import http.client
import json
import re

import house as h
import pytest
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_util.models import RuntimeOptions
from jsonschema import Draft202012Validator
from kit import BIN, Browser, Server, run
from openapi_spec_validator import validate
from referencing import Registry, Resource
from sdk import Sdk, make_user, policy
from signing import rest_v3

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 900
TICKETS = "/api/v1/tickets"


class Api:
    """Calls the API as somebody; each answer must be what the description says."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.host = server.console.removeprefix("http://")
        self.told = json.loads(h.request("GET", server.console + "/api/v1/openapi.json")[2])
        self.registry = Registry().with_resource("urn:api", Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema", **self.told}))

    def schema(self, method, path, status):
        for template, item in self.told["paths"].items():
            if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) and method.lower() in item:
                responses = item[method.lower()]["responses"]
                answer = responses.get(str(status)) or responses.get("default")
                if "requestBody" in item[method.lower()] or status < 500:
                    return answer
        return None

    def __call__(self, method, path, body=None, raw=None, key=None, send=None, **signing):
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        target, headers = rest_v3(method, path, key or self.key, host=self.host, body=data, **signing)
        status, got, answer = h.request(method, self.server.console + target, data if send is None else send, headers)
        assert got["x-acs-request-id"] and got["cache-control"] == "no-store" and got["x-content-type-options"] == "nosniff"
        if got.get("content-type") != "application/json":
            assert status in (200, 204)
            return status, answer
        answer = json.loads(answer)
        told = self.schema(method, path, status)
        if told is None:
            assert status in (404, 405), (method, path, status, answer)
            schema = {"$ref": "urn:api#/components/schemas/Error"}
        else:
            schema = {"$ref": "urn:api" + told["content"]["application/json"]["schema"]["$ref"]}
        Draft202012Validator(schema, registry=self.registry, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer)
        if status >= 400:
            assert answer["requestId"] == got["x-acs-request-id"]
            return status, answer["code"]
        return status, answer

    def ok(self, *args, code=200, **kw):
        status, answer = self(*args, **kw)
        assert status == code, (args, status, answer)
        return answer


@pytest.fixture
def server():
    with Server() as s:
        yield s


def test_a_program_opens_writes_attaches_and_closes(server):
    api = Api(server, server.key("acme"))
    validate(api.told)
    mine = api.ok("POST", TICKETS, {"title": "Pumps stand still", "category": "incident", "priority": "urgent", "message": "the *left* one"}, code=201)["id"]
    at = f"{TICKETS}/{mine}"
    thread = api.ok("GET", at)
    assert thread["ticket"]["state"] == "open" and thread["ticket"]["clocks"]["firstAnswer"] and thread["entries"][0]["text"] == "the *left* one"
    assert api.ok("POST", at + "/messages", {"message": "泵" * 20_000}) == {"state": "waiting"}
    kept = api.ok("POST", at + "/attachments", raw=PDF, query={"name": "泵 &+b.pdf"}, code=201)
    assert kept == {"name": "泵 &+b.pdf", "sha256": hashlib.sha256(PDF).hexdigest(), "size": len(PDF)}
    document = f"{at}/attachments/{kept['sha256']}"
    assert api("GET", document) == (200, PDF)
    lin = Browser(server).login_operator(server)
    lin.get(f"/desk/tickets/{mine}")
    assert lin.post(f"/desk/tickets/{mine}/documents/{kept['sha256']}/read").data == PDF
    lin.get(f"/desk/tickets/{mine}")
    lin.post(f"/desk/tickets/{mine}/reply", message="which one?")
    thread = api.ok("GET", at)
    assert thread["ticket"]["state"] == "answered" and thread["ticket"]["clocks"]["stands"] and "op-lin" not in json.dumps(thread)
    assert thread["attachments"][0]["name"] == "泵 &+b.pdf" and re.fullmatch("emp-[a-z2-7]{16}", thread["entries"][-1]["writer"])
    assert [e["seq"] for e in api.ok("GET", at, query={"before": "2"})["entries"]] == [1]
    assert api.ok("POST", at + "/solve") == {"state": "solved"} and api.ok("POST", at + "/reopen") == {"state": "waiting"}
    assert api("DELETE", document) == (204, b"") and api("GET", document)[0] == 404
    assert api.ok("POST", at + "/close") == {"state": "closed"}
    assert api("POST", at + "/messages", {"message": "late"}) == (409, "OperationConflict")
    # Lists, page by page.
    for n in range(4):
        api.ok("POST", TICKETS, {"title": f"number {n} 50%"}, code=201)
    cursor, seen = {}, []
    while True:
        page = api.ok("GET", TICKETS, query={"limit": "2", "text": "NUMBER", **cursor})
        seen += [k["title"] for k in page["tickets"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert seen == [f"number {n} 50%" for n in (3, 2, 1, 0)]
    found = lambda **q: [k["id"] for k in api.ok("GET", TICKETS, query=q)["tickets"]]
    assert found(state="closed") == [mine] and found(text="*left*", inMessages="true") == [mine] and found(priority="urgent", category="incident") == [mine]
    assert found(text="50%") == found(text="number") and found(overdue="true") == [] and mine not in found(state="live")
    # The tenant's log has the acts, with the key that signed.
    li = Browser(server).login_tenant(server).get("/console/trail?family=own")
    assert all(e in li.text for e in ("OpenTicket", "AttachToTicket", "GetTicketAttachment", "CloseTicket"))


def test_what_is_not_signed_as_it_should_be_is_refused(server):
    api = Api(server, server.key("acme"))
    mine = api.ok("POST", TICKETS, {"title": "Pumps stand still"}, code=201)["id"]
    at = f"{TICKETS}/{mine}"
    url = server.console + at
    status, _, answer = h.request("GET", url)
    assert (status, json.loads(answer)["code"]) == (401, "IncompleteSignature")
    assert api("GET", at, secret="wrong") == (400, "SignatureDoesNotMatch")
    assert api("GET", at, key=("LTAInobodyknowsthis1234", "x"))[0] == 404
    for name in ("host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
        assert api("GET", at, leave=(name,)) == (400, "IncompleteSignature"), name
    hour = datetime.timedelta(hours=1)
    for when in (-hour, hour):
        assert api("GET", at, when=datetime.datetime.now(datetime.timezone.utc) + when) == (400, "InvalidTimeStamp.Expired")
    # Another body, path, method or query than what was signed.
    assert api("POST", at + "/messages", {"message": "mine"}, send=b'{"message":"forged"}') == (400, "SignatureDoesNotMatch")
    target, headers = rest_v3("GET", at, api.key, host=api.host)
    for method, other in (("GET", at + "/../T-1"), ("POST", at + "/close"), ("GET", at + "?before=1"), ("GET", f"{TICKETS}/T-1")):
        status, _, answer = h.request(method, server.console + other, headers=headers)
        assert status in (400, 404) and b"SignatureDoesNotMatch" in answer or status == 404, (method, other, answer)
    # Twice the same: a write, and a read.
    for method, path, body in (("POST", at + "/messages", b'{"message":"once"}'), ("GET", at, b"")):
        target, headers = rest_v3(method, path, api.key, host=api.host, body=body)
        assert h.request(method, server.console + target, body, headers)[0] == 200
        status, _, answer = h.request(method, server.console + target, body, headers)
        assert (status, json.loads(answer)["code"]) == (400, "SignatureNonceUsed"), method
    assert [e["text"] for e in api.ok("GET", at)["entries"]] == ["once"]
    # A console session is nothing here, and the API's signature nothing on pages.
    li = Browser(server).login_tenant(server)
    assert li.get(at).status == 401
    assert li.send("POST", at + "/close", {}).status == 401


def test_what_cannot_be_is_told_and_changes_nothing(server):
    api, globex = Api(server, server.key("acme")), Api(server, server.key("globex"))
    mine = api.ok("POST", TICKETS, {"title": "Pumps stand still"}, code=201)["id"]
    at = f"{TICKETS}/{mine}"
    kept = api.ok("POST", at + "/attachments", raw=PDF, query={"name": "a.pdf"}, code=201)["sha256"]
    # Another tenant's ticket and document look like none.
    for method, path, body in (("GET", "", None), ("POST", "/messages", {"message": "x"}), ("POST", "/solve", None), ("POST", "/close", None),
                               ("GET", f"/attachments/{kept}", None), ("DELETE", f"/attachments/{kept}", None)):
        there, nowhere = globex(method, at + path, body), globex(method, f"{TICKETS}/T-999" + path, body)
        assert there == nowhere and there[0] == 404, (method, path, there)
    assert globex("POST", at + "/attachments", raw=PDF, query={"name": "a.pdf"})[0] == 404
    own = globex.ok("POST", TICKETS, {"title": "of globex"}, code=201)["id"]
    assert globex("GET", f"{TICKETS}/{own}/attachments/{kept}")[0] == 404
    for body in (b"", b"[]", b"null", b"{", b'{"title":1}', b'{"title":"abc","x":"y"}', b'{"title":"abc","category":"nope"}', b'{"title":"ab"}',
                 b'{"title":"a\\nb c"}', b"[" * 100_000, b'{"title":"abc","message":"a\\u0000b"}', b"\xff\xfe", json.dumps({"title": "abc", "message": "x" * 20_001}).encode()):
        assert api("POST", TICKETS, raw=body)[0] == 400, body[:40]
    for query in ({"state": "nope"}, {"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "x"}, {"assigned": "op-lin"}, {"overdue": "1"},
                  {"text": "x" * 201}, {"unknown": "1"}, {"cursor": "9" * 40}):
        assert api("GET", TICKETS, query=query)[0] == 400, query
    for name, raw, code in (("a.pdf", PDF, 409), ("b.pdf", b"<!doctype html>", 400), ("b.exe", b"MZ\x90\0", 400), ("b.pdf", b"", 400), ("b.txt", PDF, 400)):
        assert api("POST", at + "/attachments", raw=raw, query={"name": name})[0] == code, name
    for method, path in (("PATCH", at), ("DELETE", TICKETS), ("GET", "/api/v1/nothing"), ("GET", "/api/"), ("GET", at + "/"), ("GET", f"{TICKETS}/T-x"), ("POST", at + "/assign")):
        assert api(method, path)[0] in (404, 405), path
    # Too long: told, or cut off while it still comes; kept it is not.
    try:
        assert api("POST", at + "/attachments", raw=PDF + bytes(21 << 20), query={"name": "big.pdf"}) == (413, "RequestEntityTooLarge")
    except (ConnectionError, http.client.HTTPException):
        pass
    assert len(api.ok("GET", at)["attachments"]) == 1 and api.ok("GET", at)["ticket"]["state"] == "open"


def test_policies_hold_and_an_auditor_reads_and_does_nothing(server):
    root = Sdk("Ram", server, server.key("acme"))
    account = server.tenant("acme")["id"]
    api = Api(server, server.key("acme"))
    mine = api.ok("POST", TICKETS, {"title": "Pumps stand still", "message": "the left one"}, code=201)["id"]
    at = f"{TICKETS}/{mine}"
    kept = api.ok("POST", at + "/attachments", raw=PDF, query={"name": "a.pdf"}, code=201)["sha256"]
    auditor = make_user(root, "auditor", "BaileeTicketAuditorAccess")
    assert api("GET", f"{at}/attachments/{kept}", key=auditor) == (200, PDF)
    assert api.ok("GET", at, key=auditor)["entries"][0]["text"] == "the left one"
    assert [k["id"] for k in api.ok("GET", TICKETS, key=auditor)["tickets"]][0] == mine
    nobody = make_user(root, "nobody")
    one = make_user(root, "one", own={"one": policy(action="bailee:*", resource=f"acs:bailee:*:{account}:ticket/{mine}")})
    no = (403, "NoPermission")
    for method, path, body in (("POST", at + "/messages", {"message": "x"}), ("POST", at + "/solve", None), ("POST", at + "/close", None),
                               ("DELETE", f"{at}/attachments/{kept}", None), ("POST", TICKETS, {"title": "abc"})):
        assert api(method, path, body, key=auditor) == no and api(method, path, body, key=nobody) == no, path
    assert api("POST", at + "/attachments", raw=PDF[:-1], query={"name": "b.pdf"}, key=auditor) == no
    for path in (TICKETS, at, f"{at}/attachments/{kept}"):
        assert api("GET", path, key=nobody) == no
    assert api("GET", at, key=one)[0] == 200 and api("GET", f"{TICKETS}/T-1", key=one) == no and api("GET", TICKETS, key=one) == no
    # A role session with the auditor's policy: his key goes with its token, and not without.
    trust = json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": [f"acs:ram::{account}:root"]}}]})
    root("CreateRole", RoleName="auditors", AssumeRolePolicyDocument=trust)
    root("AttachPolicyToRole", RoleName="auditors", PolicyType="System", PolicyName="BaileeTicketAuditorAccess")
    taker = Sdk("Sts", server, make_user(root, "taker", "AliyunSTSAssumeRoleAccess"))
    c = taker("AssumeRole", RoleArn=f"acs:ram::{account}:role/auditors", RoleSessionName="kpmg")["Credentials"]
    session = (c["AccessKeyId"], c["AccessKeySecret"], c["SecurityToken"])
    assert api("GET", at, key=session)[0] == 200 and api("POST", at + "/close", key=session) == no
    assert api("GET", at, key=session[:2])[1] == "MissingSecurityToken"
    assert api("GET", at, key=session, leave=("x-acs-security-token",)) == (400, "IncompleteSignature")


def test_the_vendors_sdk_calls_it(server):
    key = server.key("acme")
    client = Client(Config(access_key_id=key[0], access_key_secret=key[1], endpoint=server.console.removeprefix("http://"), protocol="HTTP"))

    def call(method, path, body=None, query=None):
        params = Params(action="Tickets", version="2026-01-01", protocol="HTTP", pathname=path, method=method, auth_type="AK",
                        style="ROA", req_body_type="json", body_type="json")
        return client.call_api(params, OpenApiRequest(body=body, query=query), RuntimeOptions(autoretry=False))

    made = call("POST", TICKETS, {"title": "By the SDK", "message": "中文 & more"})
    assert made["statusCode"] == 201
    mine = made["body"]["id"]
    assert call("GET", f"{TICKETS}/{mine}")["body"]["entries"][0]["text"] == "中文 & more"
    assert call("GET", TICKETS, query={"text": "by the sdk", "limit": "1"})["body"]["tickets"][0]["id"] == mine
    with pytest.raises(Exception, match="EntityNotExist.Ticket"):
        call("GET", f"{TICKETS}/T-999")
    out = run(BIN, "ticket", "show", mine, "--data", server.data, "--output", "json").stdout
    assert json.loads(out)["title"] == "By the SDK"
