"""Who is trusted from outside and with what, in the console: providers, service roles, tags, devices, keys, the report.

Each page is judged by what then works or does not work on the wire, not by what it says of itself.
"""

import csv
import io
import json
import re

import botocore.exceptions
import oss2
import pytest
from conftest import s3_client

import house as h
from kit import IMS, STS, Browser, Server, rpc, totp, totp_step, wait_until
from test_access_pages import BASE, made, policy
from test_federation import Issuer, role_for, trust, with_oidc
from test_ims import metadata

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


@pytest.fixture(scope="module")
def li(server):
    return Browser(server).login_tenant(server)


def test_a_provider_made_by_the_page_opens_a_role_and_what_is_taken_out_does_not(server, li):
    issuer = Issuer()
    try:
        li.get(BASE + "/providers")
        assert "No OIDC provider" in li.text and "No SAML provider" in li.text
        form = {"name": "ci", "issuer": issuer.url, "client_ids": "bailee\r\nother\r\n", "fingerprints": "", "hours": "12",
                "description": NASTY}
        li.post(BASE + "/providers/oidc", **{**form, "issuer": "http://evil.example"})
        assert li.status == 400 and "https address" in li.text and "http://evil.example" in li.source
        li.post(BASE + "/providers/oidc", **{**form, "hours": "many"})
        assert li.status == 400 and "168" in li.text
        li.post(BASE + "/providers/oidc", **{**form, "client_ids": "\n"})
        assert li.status == 400
        li.post(BASE + "/providers/oidc", **form)
        page = BASE + "/providers/oidc/ci"
        assert li.status == 200 and ">ci</h1>" in li.source and NASTY not in li.source and NASTY in li.text
        arn = f"acs:ram::{server.tenant('acme')['id']}:oidc-provider/ci"
        assert arn in li.text
        role = role_for(server, trust(arn, oidc_aud="bailee", oidc_sub="lin"))
        assert with_oidc(server, arn, role, issuer.token())[0] == 200
        li.post(BASE + "/providers/oidc", **form)
        assert li.status == 409 and "exists already" in li.text

        li.get(page).post(page + "/list/client/remove", value="bailee")
        assert li.status == 200 and "bailee" not in li.source.split('id="client-ids"')[1].split("</section>")[0]
        assert with_oidc(server, arn, role, issuer.token())[0] == 400, "the audience is not one of ours any more"
        li.post(page + "/list/client/remove", value="other")
        assert li.status == 400, "one must stay"
        li.post(page + "/list/client/add", value="bailee")
        assert with_oidc(server, arn, role, issuer.token())[0] == 200
        li.post(page + "/list/fingerprint/add", value="not hex")
        assert li.status == 400 and 'value="not hex"' in li.source
        li.post(page + "/list/fingerprint/add", value="9" * 40)
        assert li.status == 200 and "9" * 40 in li.source
        li.post(page, hours="24", description="the builds")
        assert "24 hours" in li.text and "the builds" in li.text
        assert li.post(page + "/list/issuer/add", value="x").status == 404
        li.get(page + "/delete").post(page + "/delete")
        assert li.status == 200 and "No OIDC provider" in li.text and li.get(page).status == 404
        status, answer = with_oidc(server, arn, role, issuer.token())
        assert status in (400, 404) and "OIDCProvider" in answer["Code"], answer
    finally:
        issuer.close()


def test_a_saml_provider_by_its_metadata(server, li):
    good = metadata()
    li.get(BASE + "/providers").post(BASE + "/providers/saml", name="idp", description=NASTY, metadata="<no>" + NASTY)
    assert li.status == 400 and NASTY not in li.source and "refused" in li.text
    li.post(BASE + "/providers/saml", name="idp", description=NASTY, metadata="x" * 102_401)
    assert li.status == 400 and "100 KiB" in li.text, li.text
    li.post(BASE + "/providers/saml", name="idp", description=NASTY, metadata=good)
    page = BASE + "/providers/saml/idp"
    assert li.status == 200 and NASTY not in li.source and "<md:EntityDescriptor" not in li.source
    assert "urn:alibaba:cloudcomputing" in li.text and "https://idp.example" in li.text
    li.post(page, description="ours", metadata=good.replace("</md:", "</mx:"))
    assert li.status == 400 and "/mx:" in li.source, "what was typed is still there"
    li.post(page, description="ours", metadata=metadata("https://idp.example/new"))
    assert li.status == 200 and "https://idp.example/new" in li.text and "ours" in li.text
    _, got = rpc(server, "GetSAMLProvider", IMS, SAMLProviderName="idp")
    assert got["SAMLProvider"]["Description"] == "ours"
    li.get(page + "/delete").post(page + "/delete")
    assert li.status == 200 and li.get(page).status == 404


def test_tags_of_users_roles_and_policies(server, li):
    user, own = made(li, "tagged.user"), policy(li, "tagged-policy")
    li.get(BASE + "/roles")
    arn = f"acs:ram::{server.tenant('acme')['id']}:root"
    document = json.dumps({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": [arn]}}]})
    li.post(BASE + "/roles", name="tagged-role", minutes="60", trust=document)
    for page, kind, name in [(user, "user", "tagged.user"), (BASE + "/roles/tagged-role", "role", "tagged-role"),
                             (own, "policy", "tagged-policy")]:
        li.get(page)
        assert "No tag" in li.text, page
        li.post(page + "/tags", key="team", value=NASTY)
        assert li.status == 200 and NASTY not in li.source and NASTY in li.text
        if kind == "user":
            upn = f"{name}@{server.tenant('acme')['id']}.onaliyun.com"
            rows = rpc(server, "ListTagResources", IMS, ok=True, **{"ResourceType": kind, "ResourcePrincipalName.1": upn})
            rows = rows["TagResources"]["TagResource"]
        else:
            form = {"ResourceType": kind, "ResourceNames.1": name}
            rows = rpc(server, "ListTagResources", ok=True, **form)["TagResources"]
        assert [(t["TagKey"], t["TagValue"]) for t in rows] == [("team", NASTY)]
        for bad in ("", "acs:x", "Aliyun-x"):
            li.post(page + "/tags", key=bad, value="v")
            assert li.status == 400, (page, bad)
        li.post(page + "/tags/remove", key="team")
        assert li.status == 200 and "No tag" in li.text
    assert li.get(BASE).post(BASE + "/users/nobody.here/tags", key="a", value="b").status == 404
    assert li.get(BASE).post(BASE + "/policies/system/AdministratorAccess/tags", key="a", value="b").status == 404


def test_roles_of_services_stand_apart_and_their_deletion_says_how_it_stands(server, li):
    here = BASE + "/service-roles"
    li.get(here)
    assert "No service has a role here" in li.text
    li.post(here, service="kms.aliyuncs.com", suffix="two")
    assert li.status == 400 and "one role only" in li.text
    li.post(here, service="nobody.aliyuncs.com")
    assert li.status == 404
    li.get(here).post(here, service="kms.aliyuncs.com")
    assert li.status == 200 and "AliyunServiceRoleForKMS" in li.text and f"{here}/AliyunServiceRoleForKMS/delete" in li.source
    assert "AliyunServiceRoleForKMS" in li.get(here).text and "AliyunServiceRoleForKMS" not in li.get(BASE + "/roles").text
    li.get(f"{here}?deleted=AliyunServiceRoleForKMS")
    assert "NOT STARTED" in li.text
    li.get(f"{here}/AliyunServiceRoleForKMS/delete").post(f"{here}/AliyunServiceRoleForKMS/delete")
    assert li.status == 200 and "SUCCEEDED" in li.text and "No service has a role here" in li.text
    assert rpc(server, "GetRole", RoleName="AliyunServiceRoleForKMS")[0] == 404


def test_the_report_is_csv_that_no_spreadsheet_runs(server, li):
    made(li, "-2.looks-like-a-formula")
    li.get(BASE + "/report").post(BASE + "/report")
    assert li.status == 200 and li.headers["Content-Type"].startswith("text/csv")
    assert li.headers["Content-Disposition"].startswith("attachment;") and li.headers["X-Content-Type-Options"] == "nosniff"
    rows = list(csv.DictReader(io.StringIO(li.source)))
    names = [r["user"] for r in rows]
    assert "<root>" in names and "li" in names and "'-2.looks-like-a-formula" in names
    assert not [c for r in rows for c in r.values() if len(c) > 1 and c[0] in "=+-@"], rows
    # The same at the machine.
    out = server.run("report", "credentials", "--tenant", "acme", "--csv").stdout
    assert [r["user"] for r in csv.DictReader(io.StringIO(out))] == names


def test_an_app_is_bound_for_somebody_else(server, li):
    here = BASE + "/mfa"
    made(li, "has.app")
    li.get(here).post(here, name="has.app", user="no one")
    assert li.status == 400
    li.post(here, name="no/name", user="has.app")
    assert li.status == 400 and 'value="no/name"' in li.source
    li.post(here, name="has.app", user="has.app")
    seed = re.search(r'id="device-key">([A-Z2-7]+)<', li.source).group(1)
    assert li.status == 200 and "data:image/png;base64," in li.source
    step = totp_step()
    li.post(here + "/has.app/bind", user="has.app", first="000000", second="000001")
    assert li.status == 400 and "do not fit" in li.text and seed not in li.source, "the key is shown once"
    li.post(here + "/has.app/bind", user="nobody.here", first=totp(seed, step - 1), second=totp(seed, step))
    assert li.status == 404
    li.get(here)
    assert "nobody yet" in li.text
    li.get(here + "/has.app/bind").post(here + "/has.app/bind", user="has.app", first=totp(seed, step - 1), second=totp(seed, step))
    assert li.status == 200 and "An authenticator app is bound" in li.text
    _, info = rpc(server, "GetUserMFAInfo", UserName="has.app")
    assert info["MFADevice"]["SerialNumber"].endswith(":mfa/has.app")
    assert li.get(here + "/has.app/delete").status == 404, "it is somebody's"
    li.get(here).post(here, name="spare", user="has.app")
    li.get(here + "/spare/delete").post(here + "/spare/delete")
    assert li.status == 200 and "spare" not in li.text


def is_refused_in_every_dialect(server, key, refused):
    """What the four signatures say to this key."""
    for version in ("v1", "v4"):
        auth = oss2.Auth(*key) if version == "v1" else oss2.AuthV4(*key)
        service = oss2.Service(auth, server.objects, region=h.REGION)
        if refused:
            with pytest.raises(oss2.exceptions.ServerError) as error:
                service.list_buckets()
            assert (error.value.status, error.value.code) == (403, "AccessDenied")
        else:
            service.list_buckets()
    s3 = s3_client(server, key=key)
    if refused:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.list_buckets()
        assert error.value.response["Error"]["Code"] == "AccessDenied"
        assert "network" in error.value.response["Error"]["Message"]
    else:
        s3.list_buckets()
    status, said = rpc(server, "ListUsers", key=key)
    assert (status, said.get("Code")) == ((403, "Forbidden.AccessKeyNetwork") if refused else (200, None)), said


def test_keys_work_from_their_networks_only(server, li):
    here = BASE + "/keys"
    page = made(li, "netted.user")
    li.get(page).post(page + "/attach", policy="System/AdministratorAccess")
    li.get(page).post(page + "/keys")
    key = tuple(re.search(rf'id="key-{w}">([^<]+)', li.source).group(1) for w in ("id", "secret"))
    is_refused_in_every_dialect(server, key, False)
    li.get(here)
    assert key[0] in li.source and "netted.user" in li.text and "From anywhere" in li.text
    li.post(here + "/networks", networks="everywhere\r\n")
    assert li.status == 400 and "everywhere" in li.source
    li.post(here + "/networks", networks="198.51.100.0/24\r\n2001:db8::/32\r\n")
    assert li.status == 200 and "Bound" in li.text
    is_refused_in_every_dialect(server, key, True)
    is_refused_in_every_dialect(server, server.key("acme"), True)
    is_refused_in_every_dialect(server, server.key("globex"), False)
    # The key's own stands in place of the account's, and the tenant's own act is in his trail.
    own = f"{here}/netted.user/{key[0]}/networks"
    li.get(own).post(own, networks="127.0.0.0/8")
    assert li.status == 200 and "127.0.0.0/8" in li.source
    is_refused_in_every_dialect(server, key, False)
    shown = rpc(server, "GetAccessKeyPolicy", IMS, key=key, UserPrincipalName=f"netted.user@{server.tenant('acme')['id']}.onaliyun.com", UserAccessKeyId=key[0])[1]
    assert json.loads(shown["AccessKeyPolicy"])["Statements"][0]["IPList"] == ["127.0.0.0/8"], shown
    # Not under another's name, not another tenant's.
    assert li.get(f"{here}/li/{key[0]}/networks").status == 404
    assert li.get(f"{here}/root/{server.key('globex')[0]}/networks").status == 404
    li.get(here).post(here + "/networks", networks="")
    is_refused_in_every_dialect(server, server.key("acme"), False)
    li.get("/console/trail?family=own")
    assert "may not be used from your network" in li.text or "Forbidden.AccessKeyNetwork" in li.text, li.text
    for bad in ("", "[]", '{"Status":"Active","Statements":[]}',
                '{"Status":"Active","Statements":[{"Type":"VPCWhiteList","Value":"AllowAllVPC","IPList":["0.0.0.0/0"]}]}'):
        status, said = rpc(server, "SetAccessKeyPolicyForAccount", IMS, AccessKeyPolicy=bad)
        assert status == 400 and "AccessKeyPolicy" in said["Code"] + said["Message"], said


def test_age_is_counted_at_the_machine(server):
    all = json.loads(server.run("key", "list", "--tenant", "acme", "--output", "json").stdout)
    assert {"root"} <= {k["owner"] for k in all} and all[0]["age_days"] == 0
    assert json.loads(server.run("key", "list", "--tenant", "acme", "--older-than", "90d", "--output", "json").stdout) == []
    assert "No AccessKey of that age" in server.run("key", "list", "--tenant", "acme", "--older-than", "90d").stdout
    server.run("key", "list", "--tenant", "acme", "--older-than", "-1d", code=2)
    server.run("key", "list", "--tenant", "nobody", code=1)


def test_sessions_are_revoked_at_the_machine(server):
    account = server.tenant("acme")["id"]
    document = {"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": [f"acs:ram::{account}:root"]}}]}
    rpc(server, "CreateRole", ok=True, RoleName="revoked-role", AssumeRolePolicyDocument=document)
    rpc(server, "CreateUser", ok=True, UserName="role.taker")
    rpc(server, "AttachPolicyToUser", ok=True, UserName="role.taker", PolicyType="System", PolicyName="AliyunSTSAssumeRoleAccess")
    made_key = rpc(server, "CreateAccessKey", ok=True, UserName="role.taker")["AccessKey"]
    key = (made_key["AccessKeyId"], made_key["AccessKeySecret"])
    c = rpc(server, "AssumeRole", STS, key, ok=True, RoleArn=f"acs:ram::{account}:role/revoked-role",
            RoleSessionName="x1")["Credentials"]
    session = (c["AccessKeyId"], c["AccessKeySecret"], c["SecurityToken"])
    assert rpc(server, "GetCallerIdentity", STS, session)[0] == 200
    said = json.loads(server.run("role", "revoke-sessions", "--tenant", "acme", "revoked-role", "--output", "json").stdout)
    assert said["role"] == "revoked-role"
    # Another process on the database is noticed within five seconds.
    wait_until(lambda: rpc(server, "GetCallerIdentity", STS, session)[1].get("Code") == "InvalidSecurityToken.Expired", 15)
    server.run("role", "revoke-sessions", "--tenant", "acme", "no-such-role", code=1)


POSTS = ["/keys/networks", "/keys/root/LTAI5tNoSuchKeyNoSuchKey/networks", "/mfa", "/mfa/x/bind", "/mfa/x/delete", "/report",
         "/users/li/tags", "/users/li/tags/remove", "/roles/r/tags", "/roles/r/tags/remove", "/policies/custom/p/tags",
         "/policies/custom/p/tags/remove", "/providers/oidc", "/providers/saml", "/providers/oidc/p", "/providers/saml/p",
         "/providers/oidc/p/list/client/add", "/providers/oidc/p/delete", "/service-roles", "/service-roles/r/delete"]


def test_no_form_from_elsewhere_and_no_stranger(server, li):
    for path in POSTS:
        assert li.send("POST", BASE + path, {"csrf": "0" * 64, "name": "x"}).status == 403, path
        li.get(BASE + "/providers")
        token = li.token()
        elsewhere = li.send("POST", BASE + path, {"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"})
        assert elsewhere.status == 403, path
    operator = Browser(server).login_operator(server)
    for path in ("/keys", "/mfa", "/report", "/providers", "/service-roles"):
        assert operator.get(BASE + path).status == 404, path
    # Who has no policy is refused on each, and it is recorded.
    page = made(li, "powerless")
    li.get(page).post(page + "/login", password="correct horse 1", password_again="correct horse 1")
    plain = Browser(server).sign_in("acme", "powerless", "correct horse 1")
    for path in ("/keys", "/mfa", "/service-roles"):
        assert plain.get(BASE + path).status == 403, path
    assert plain.get(BASE + "/providers").text.count("no policy of yours allows") == 2
    plain.get(BASE + "/report").post(BASE + "/report")
    assert plain.status == 403 and "recorded" in plain.text
