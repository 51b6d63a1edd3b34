"""People and keys in the console: users, groups, roles, policies, AccessKeys, why and who can, settings."""

import base64
import hashlib
import hmac
import json
import re
import struct
import time
import urllib.parse

import pytest

from kit import Browser, Server
from test_browser import Chromium, login_tenant

BASE = "/console/access"
GOOD = json.dumps({
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:acme-invoices/*"}],
}, indent=2)
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


@pytest.fixture(scope="module")
def li(server):
    """An administrator who forgets nothing between tests: each test uses names of its own."""
    return Browser(server).login_tenant(server)


@pytest.fixture
def open_browser(server, tmp_path):
    opened = []

    def make(**more):
        opened.append(Chromium(server, tmp_path / str(len(opened)), **more))
        return opened[-1]

    yield make
    for browser in opened:
        browser.quit()


def ids(browser, name):
    return re.findall(rf'id="{name}"', browser.source)


def made(li, name, **more):
    """A user of the test's own, and his page."""
    li.get(BASE + "/users").post(BASE + "/users", name=name, **more)
    assert li.status == 200 and f">{name}</h1>" in li.source, li.text
    return f"{BASE}/users/{name}"


def policy(li, name, document=GOOD):
    li.get(BASE + "/policies/new").post(BASE + "/policies", name=name, document=document)
    assert li.status == 200 and f"{BASE}/policies/custom/{name}/edit" in li.source, li.text
    return f"{BASE}/policies/custom/{name}"


# --- the journey, by its buttons, in both languages ---------------------------------------------------------------


def not_accepted(browser):
    """The page came back with a status that says so, which Chromium's own log takes for a failure."""
    said = [e["message"] for e in browser.driver.get_log("browser") if e["level"] == "SEVERE"]
    assert [re.search(r"status of 4\d\d", m) is not None for m in said] == [True], said
    return browser.well()


def by_its_buttons(server, browser, lang):
    """User, group, policy with a mistake, mended, attached, key, why, who can, revoked."""
    user, group, name = f"mei.{lang}", f"readers-{lang}", f"read-invoices-{lang}"
    zh = lang == "zh"
    browser.go(f"/login?lang={lang}")
    login_tenant(browser, server)
    browser.go(BASE).well().picture(f"access-home-{lang}")
    assert bool(HAN.search(browser.find("h1").text)) == zh
    assert browser.find(".side a[aria-current]").get_attribute("href").endswith(BASE)

    browser.go(BASE + "/users").fill(create_name=user, create_comments="reads the bills").press("#create-user").well()
    assert browser.find("h1").text == user and "reads the bills" in browser.text
    browser.picture(f"access-user-{lang}")
    browser.go(BASE + "/groups").fill(create_name=group).press("#create-group").well()
    not_accepted(browser.fill(member_user="nobody.here").press("#add-member"))
    assert "nobody.here" in browser.find("#failure").text
    assert browser.find("#member-user").get_attribute("value") == "nobody.here", "what was typed is still there"
    browser.fill(member_user=user).press("#add-member").well()
    assert user in browser.find("#members").text

    browser.go(BASE + "/policies/new").fill(create_name=name, create_document=GOOD.replace("Effect", "Efect"))
    not_accepted(browser.press("#create-policy")).picture(f"access-policy-refused-{lang}")
    shown = browser.find("#policy-error").text
    assert "`Efect` is not a member of a statement" in shown and "--> line 5" in shown, shown
    assert "^^^^^^^" in shown and "did you mean `Effect`?" in shown, shown
    assert browser.find("#create-name").get_attribute("value") == name
    assert "Efect" in browser.find("#create-document").get_attribute("value")
    browser.fill(create_document=GOOD).press("#create-policy").well().picture(f"access-policy-{lang}")
    assert browser.find("h1").text.startswith(name) and "oss:GetObject" in browser.find("#document").text

    browser.go(f"{BASE}/groups/{group}")
    browser.find(f"#attach-policy option[value='Custom/{name}']").click()
    browser.press("#attach").well().picture(f"access-group-{lang}")
    assert name in browser.find("#policies table").text

    browser.go(f"{BASE}/users/{user}").press("#create-key").well()
    key = browser.find("#key-id").text
    secret = browser.find("#key-secret").text
    assert len(secret) >= 30 and secret not in browser.driver.current_url and key not in browser.driver.current_url
    browser.picture(f"access-key-{lang}")
    browser.find("#key-kept").click()
    browser.find(f"[id='{key}']")
    assert secret not in browser.driver.page_source

    browser.go(f"{BASE}/why").fill(why_who=f"user/{user}", why_action="oss:GetObject", why_resource="acme-invoices/a.pdf")
    browser.press("#ask-why").well().picture(f"access-why-{lang}")
    assert ("允许" if zh else "Allowed") in browser.find("#verdict").text
    assert name in browser.find("#deciding").text and "acme-invoices/*" in browser.find("#deciding").text
    browser.fill(why_action="oss:PutObject").press("#ask-why").well()
    assert ("未允许" if zh else "Not allowed") in browser.find("#verdict").text
    assert "oss:GetObject" in browser.find("#nearest").text
    browser.go(f"{BASE}/who-can").fill(who_can_action="oss:GetObject", who_can_resource="acme-invoices/a.pdf")
    browser.press("#ask-who-can").well().picture(f"access-who-can-{lang}")
    row = next(r for r in browser.there("#who-can tbody tr") if f"user/{user}" in r.text)
    assert group in row.text and name in row.text
    return user, group, key


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_whole_journey_by_its_buttons(server, open_browser, lang):
    browser = open_browser()
    user, group, key = by_its_buttons(server, browser, lang)
    # And back: the user leaves the group, the key is switched off and deleted, the user goes.
    browser.go(f"{BASE}/users/{user}").press("#groups").well()
    browser.go(f"{BASE}/who-can?action=oss:GetObject&resource=acme-invoices/a.pdf")
    assert f"user/{user}" not in browser.find("#who-can").text
    browser.go(f"{BASE}/users/{user}").press(f"[id='{key}'] form").well()
    assert ("停用" if lang == "zh" else "Off") in browser.find(f"[id='{key}']").text
    browser.find(f"[id='{key}'] a.stop").click()
    browser.find("#confirm")
    browser.well().picture(f"access-confirm-{lang}")
    browser.press("#confirm").well()
    assert not browser.there(f"[id='{key}']")
    browser.go(f"{BASE}/users/{user}").find("#to-delete").click()
    browser.find("#confirm")
    browser.press("#confirm").well()
    assert user not in browser.find("#users").text


def test_every_page_fits_a_narrow_screen_in_the_dark(server, open_browser, li):
    user, name = made(li, "narrow.user"), policy(li, "narrow-policy")
    li.get(user).post(user + "/keys")
    li.get(BASE + "/groups").post(BASE + "/groups", name="narrow-group")
    trust = sample_trust(li)
    li.get(BASE + "/roles").post(BASE + "/roles", name="narrow-role", minutes="60", trust=trust)
    assert li.status == 200, li.text
    browser = open_browser(width=400)
    browser.go("/login?theme=dark")
    login_tenant(browser, server)
    pages = ["", "/users", "/users/narrow.user", "/users/narrow.user/delete", "/groups", "/groups/narrow-group", "/roles",
             "/roles/narrow-role", "/roles/narrow-role/revoke", "/policies", "/policies/new", "/policies/custom/narrow-policy",
             "/policies/custom/narrow-policy/edit", "/policies/system/AdministratorAccess", "/account", "/settings",
             "/keys", "/providers", "/service-roles", "/mfa", "/report",
             "/why?who=user/narrow.user&action=oss:GetObject&resource=acme-invoices/x",
             "/who-can?action=oss:GetObject&resource=acme-invoices/x"]
    for page in pages:
        browser.go(BASE + page).well().picture("narrow-access" + re.sub(r"[^a-zA-Z]+", "-", page.split("?")[0]))
    browser.find("html[data-theme=dark]")


def sample_trust(li):
    li.get(BASE + "/roles")
    text = re.search(r'<textarea[^>]*name="trust"[^>]*>\n?(.*?)</textarea>', li.source, re.S).group(1)
    return text.replace("&quot;", '"').replace("&amp;", "&")


# --- the pages one by one, without a picture -----------------------------------------------------------------------


PAGES = ["", "/users", "/groups", "/roles", "/policies", "/policies?kind=custom", "/policies/new", "/account", "/why", "/who-can",
         "/settings", "/policies/system/AdministratorAccess", "/keys", "/providers", "/service-roles", "/mfa", "/report"]


def test_each_page_stands_in_both_languages(li):
    for page in PAGES:
        sep = "&" if "?" in page else "?"
        en = li.get(f"{BASE}{page}{sep}lang=en").source
        en_text = re.sub(r'<a id="switch-lang".*?</a>', "", en.split('<main class="main"')[1])
        assert li.status == 200 and not HAN.search(en_text), (page, HAN.findall(en_text)[:20])
        zh = li.get(f"{BASE}{page}{sep}lang=zh").source
        assert HAN.search(zh.split("<h1>")[1][:200]), page
        assert li.headers["Cache-Control"] == "no-store" and "<script" not in zh and " style=" not in zh
        assert f'href="{BASE}' in zh and "lang=en" in re.search(r'id="switch-lang"[^>]*', zh).group(0)
        assert BASE in re.search(r'id="switch-lang"[^>]*', zh).group(0), "the switch leads back here"
    li.get(BASE + "?lang=en")


def test_the_overview_counts_and_says_what_to_do(server, li):
    li.get(BASE)
    assert "Users" in li.text and "Score" in li.text
    assert "Root has no second factor" in li.text and "Sign in as root and bind an authenticator app." in li.text
    assert "Active AccessKeys of root: 1" in li.text
    bad = li.source.index("Put right")
    assert bad < li.source.index(">Fine<"), "bad news first"


def test_names_can_be_filtered_and_paged(li):
    for n in range(53):
        li.get(BASE + "/users").post(BASE + "/users", name=f"zz{n:02}")
    li.get(BASE + "/users?begin=zz")
    assert len(re.findall(r">zz\d\d</a>", li.source)) == 50
    following = re.search(r'id="next" href="([^"]+)"', li.source).group(1).replace("&amp;", "&")
    li.get(following)
    assert re.findall(r">(zz\d\d)</a>", li.source) == ["zz50", "zz51", "zz52"] and not ids(li, "next")
    li.get(BASE + "/users?begin=zz0")
    assert len(re.findall(r">zz0\d</a>", li.source)) == 10
    li.get(BASE + "/users?begin=Q")
    assert "No name begins so" in li.text


def test_a_user_is_changed_and_errors_keep_what_was_typed(li):
    page = made(li, "change.me", display_name="Old")
    li.post(page, name="changed.me", display_name="New", comments="c", email="a@b.example", mobile_phone="1")
    assert li.status == 200 and "changed.me" in li.source and "a@b.example" in li.text
    assert li.get(page).status == 404
    made(li, "taken.one")
    li.post(BASE + "/users/taken.one", name="changed.me", display_name="typed <b>here</b>")
    assert li.status == 409 and "exists already" in li.text
    assert 'value="typed &lt;b&gt;here&lt;/b&gt;"' in li.source
    li.get(BASE + "/users").post(BASE + "/users", name="no spaces", comments="kept")
    assert li.status == 400 and 'value="kept"' in li.source and "A-Z, a-z, 0-9" in li.text
    li.get(BASE + "/users?lang=zh").post(BASE + "/users", name="taken.one")
    assert li.status == 409 and "用户 `taken.one` 已存在" in li.text
    li.post(BASE + "/users", name="long.comment", comments="x" * 200)
    assert li.status == 400 and "备注不被接受：最多 128 个字符" in li.text
    li.get(BASE + "?lang=en")
    li.get(BASE + "/users").post(BASE + "/users", name="root")
    assert li.status == 400


def test_hostile_text_is_shown_as_text(li):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    page = made(li, "evil.one", display_name=evil, comments=evil)
    for at in [page, BASE + "/users", page + "/delete"]:
        li.get(at)
        assert "<script" not in li.source and "<img" not in li.source, at
    li.get(BASE + "/policies/new").post(BASE + "/policies", name="evil", description=evil, document=evil)
    assert li.status == 400 and "<script" not in li.source and ids(li, "policy-error")
    li.post(BASE + "/policies", name="evil", description=evil, document="</textarea><script>")
    assert "<script" not in li.source
    sid = json.dumps({"Version": "1", "Statement": [{
        "Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:a/</pre><script>alert(1)</script>"}]})
    policy(li, "evil-document", sid)
    assert "<script" not in li.source and "&lt;/pre&gt;&lt;script&gt;" in li.source
    for query in ["who=", "who=user/&action=", "who=root&action=oss:GetObject&resource="]:
        li.get(f"{BASE}/why?{query}{urllib.parse.quote(evil)}")
        assert "<script" not in li.source and "<img" not in li.source
    li.get(f"{BASE}/who-can?action=oss:GetObject&resource={urllib.parse.quote(evil)}")
    assert "<script" not in li.source
    li.get(f"{BASE}/users?begin={urllib.parse.quote(evil)}")
    assert li.status == 200 and "<script" not in li.source
    for at in ["/users/%3Cscript%3E", "/users/a%2Fb", "/groups/%00", "/roles/%22", "/policies/custom/..%2F", "/policies/own/x",
               "/policies/custom/evil/v/1/delete", "/policies/system/None"]:
        assert li.get(BASE + at).status in (400, 404), (at, li.status)


def test_dots_are_names_too(li):
    for name in [".", ".."]:
        li.get(BASE + "/users").post(BASE + "/users", name=name)
        assert li.status == 200 and f"<h1>{name}</h1>" in li.source, li.text
        li.get(f"{BASE}/users/!{name}/delete").post(f"{BASE}/users/!{name}/delete")
        assert li.status == 200, li.text


def test_forms_without_the_token_do_nothing(server, li):
    page, doc = made(li, "csrf.user"), policy(li, "csrf-policy")
    li.get(page)
    for path, form in [("/users", {"name": "csrf.two"}), ("/groups", {"name": "csrf"}), ("/users/csrf.user/keys", {}),
                       ("/users/csrf.user/delete", {}), ("/account/keys", {}), ("/settings/alias", {"alias": "csrf"}),
                       ("/policies/custom/csrf-policy/delete", {"cascade": "on"}),
                       ("/users/csrf.user/attach", {"policy": "System/AdministratorAccess"})]:
        li.send("POST", BASE + path, form)
        assert li.status == 403 and "was not sent from this page" in li.text, path
        li.send("POST", BASE + path, {**form, "csrf": "0" * 64})
        assert li.status == 403, path
    assert li.get(page).status == 200 and "No AccessKey" in li.text and "No policy" in li.text
    assert li.get(doc).status == 200 and li.get(BASE + "/users/csrf.two").status == 404
    assert li.get(page + "/keys").status == 405, "what changes something is no link"


def test_another_tenants_things_are_not_there(server, li):
    page, doc = made(li, "secret.person"), policy(li, "secret-policy")
    li.get(page).post(page + "/keys")
    key = re.search(r'id="key-id">([^<]+)', li.source).group(1)
    wang = Browser(server).login_tenant(server, "globex")
    for path in [page, page + "/delete", doc, doc + "/edit", f"{page}/keys/{key}/delete", f"{BASE}/account/keys/{key}/delete"]:
        assert wang.get(path).status == 404 and "secret" not in wang.text, path
    wang.get(BASE)
    for path, form in [("/keys", {}), ("/delete", {}), (f"/keys/{key}/switch", {"to": "off"}), (f"/keys/{key}/delete", {})]:
        assert wang.post(page + path, **form).status == 404, path
        wang.get(BASE)
    wang.get(f"{BASE}/why?who=user/secret.person&action=oss:GetObject&resource=acme-invoices/x")
    assert wang.status == 400 and "does not exist" in wang.text
    lin = Browser(server).login_operator(server)
    assert lin.get(BASE + "/users").status == 404, "operators have no such page"
    assert Browser(server).get(BASE).text.count("Sign in") > 0


def test_a_user_without_rights_sees_why_not(server, li):
    page = made(li, "plain.user")
    li.post(page + "/login", password="correct horse 1", password_again="correct horse 2")
    assert li.status == 400 and "differ" in li.text and "correct horse" not in li.source
    li.post(page + "/login", password="short", password_again="short")
    assert li.status == 400 and "8 to" in li.text
    li.post(page + "/login", password="correct horse 1", password_again="correct horse 1")
    assert li.status == 200 and "May sign in" in li.text
    plain = Browser(server)
    plain.send("POST", "/login/tenant", {"tenant": "acme", "user": "plain.user", "password": "correct horse 1"})
    plain.get(BASE)
    assert plain.status == 200 and plain.text.count("no policy of yours allows") == 2, plain.text
    assert plain.get(BASE + "/users").status == 403 and "recorded" in plain.text
    assert plain.get(BASE + "/account").status == 200 and "no policy of yours allows" in plain.text
    plain.get(BASE)
    assert plain.post(BASE + "/users", name="by.plain").status == 403

    # The rules change, the sign-in is switched off, then taken away.
    li.get(page).post(page + "/login", must_reset="on", mfa_required="on", password="", password_again="")
    assert re.search(r"second factor yes", li.text), li.text
    li.post(page + "/login/switch", to="off")
    assert "Switched off" in li.text
    assert plain.get(BASE).text.count("Sign in") > 0, "his session is over"
    li.get(page + "/login/delete").post(page + "/login/delete")
    assert li.status == 200 and "He cannot sign in to the console" in li.text


def test_two_keys_rotate(server, li):
    page = made(li, "rotating.user")
    li.post(page + "/keys")
    first, secret = (re.search(rf'id="key-{w}">([^<]+)', li.source).group(1) for w in ("id", "secret"))
    assert li.headers["Cache-Control"] == "no-store" and "second key" not in li.text
    li.get(page)
    assert secret not in li.source and "make a second key, move your programs" in li.text
    li.post(page + "/keys")
    second = re.search(r'id="key-id">([^<]+)', li.source).group(1)
    li.get(page)
    assert not ids(li, "create-key") and first in li.source and second in li.source
    li.post(page + "/keys")
    assert li.status == 400 and "at most 2" in li.text
    li.post(f"{page}/keys/{first}/switch", to="off")
    assert "Off" in li.text
    li.post(f"{page}/keys/{first}/switch", to="on")
    li.get(f"{page}/keys/{first}/delete")
    assert "gone for good" in li.text and first in li.source
    li.post(f"{page}/keys/{first}/delete")
    assert li.status == 200 and first not in li.source and second in li.source
    # Whoever still has something cannot be deleted, and the page says what.
    li.get(page + "/delete").post(page + "/delete")
    assert li.status == 409 and "still has AccessKeys" in li.text


def test_versions_of_a_policy(li):
    page = policy(li, "versioned")
    wide = GOOD.replace("acme-invoices/*", "acme-*")
    li.get(page + "/edit")
    assert "oss:GetObject" in li.source
    li.post(page + "/edit", document=wide.replace("Allow", "Alow"), default="on")
    assert li.status == 400 and "^" in re.search(r'id="policy-error">(.*?)</pre>', li.source, re.S).group(1)
    assert "Alow" in li.source.split("<textarea")[1]
    li.post(page + "/edit", document=wide.replace("\n", "\r\n"), default="on", rotate="on")
    assert li.status == 200 and "v2" in li.text and ids(li, "lints"), li.text
    assert "over-match" in li.text
    li.post(page + "/default", version="1")
    assert not ids(li, "lints")
    li.get(page + "?v=2")
    assert "does not count" in li.text and "acme-*" in li.text
    li.get(page + "/v/2/delete").post(page + "/v/2/delete")
    assert li.status == 200 and "v2" not in li.text
    assert li.get(page + "?v=2").status == 404 and li.get(page + "?v=x").status == 404
    li.get(page).post(page, description="what it is for")
    assert "what it is for" in li.text
    made(li, "versioned.holder")
    li.post(BASE + "/users/versioned.holder/attach", policy="Custom/versioned")
    assert "versioned" in li.text
    li.post(BASE + "/users/versioned.holder/attach", policy="Custom/versioned")
    assert li.status == 409
    li.get(page)
    assert "versioned.holder" in li.text
    li.get(page + "/delete").post(page + "/delete")
    assert li.status == 409 and "still has users that it is on" in li.text
    li.get(page + "/delete").post(page + "/delete", cascade="on")
    assert li.status == 200 and li.get(page).status == 404
    system = BASE + "/policies/system/AdministratorAccess"
    li.get(system)
    assert li.status == 200 and not ids(li, "new-version") and "allow-everything" in li.text
    assert li.get(system + "/edit").status == 404
    li.get(BASE).post(system + "/delete", cascade="on")
    assert li.status in (404, 409) and li.get(system).status == 200


def test_roles_are_trusted_and_revoked(server, li):
    trust = sample_trust(li)
    li.post(BASE + "/roles", name="builder", description="builds", minutes="90", trust=trust.replace("Principal", "Principle"))
    assert li.status == 400 and "did you mean `Principal`" in li.text
    li.post(BASE + "/roles", name="builder", description="builds", minutes="9", trust=trust)
    assert li.status == 400 and 'value="builds"' in li.source
    li.post(BASE + "/roles", name="builder", description="builds", minutes="90", trust=trust)
    page = BASE + "/roles/builder"
    assert li.status == 200 and "90 min" in li.text and "role/builder" in li.text
    li.post(page, description="builds more", minutes="120", trust=trust, console="on")
    assert "120 min" in li.text and "builds more" in li.text
    li.post(page + "/attach", policy="System/AliyunOSSReadOnlyAccess")
    assert li.status == 200 and "AliyunOSSReadOnlyAccess" in li.source.split('id="policies"')[1]
    li.get(page + "/revoke")
    assert "Every session" in li.text
    li.post(page + "/revoke")
    assert re.search(r'id="revoked">all that began before', li.source), li.text
    li.get(page + "/delete").post(page + "/delete")
    assert li.status == 409 and "still has" in li.text
    li.get(page).post(page + "/detach", policy="System/AliyunOSSReadOnlyAccess")
    li.get(page + "/delete").post(page + "/delete")
    assert li.status == 200 and "builder" not in li.text


def test_groups_are_renamed_and_deleted(li):
    li.get(BASE + "/groups").post(BASE + "/groups", name="team", comments="first")
    page = made(li, "team.member")
    li.post(page + "/join", group="team")
    assert "team" in li.source.split('id="groups"')[1]
    li.get(BASE + "/groups/team").post(BASE + "/groups/team", name="team-two", display_name="Two", comments="x")
    assert li.status == 200 and "team.member" in li.text and "Two" in li.text
    assert li.get(BASE + "/groups/team").status == 404
    li.get(BASE + "/groups/team-two/delete").post(BASE + "/groups/team-two/delete")
    assert li.status == 409 and "still has" in li.text
    li.post(BASE + "/groups/team-two/remove", user="team.member")
    assert "Nobody is in it" in li.text
    li.get(BASE + "/groups/team-two/delete").post(BASE + "/groups/team-two/delete")
    assert li.status == 200 and "team-two" not in li.text


def test_why_and_who_can_answer(li):
    page = made(li, "why.user")
    conditional = json.dumps({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:why-bucket/*",
         "Condition": {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}},
        {"Effect": "Deny", "Action": "oss:DeleteObject", "Resource": "*"}]})
    policy(li, "why-policy", conditional)
    li.get(page).post(page + "/attach", policy="Custom/why-policy")
    ask = BASE + "/why?who=user/why.user&resource=why-bucket/a&action="
    li.get(ask + "oss:GetObject&ip=10.1.2.3")
    assert "A statement allows it" in li.text and "why-policy" in li.text and "10.0.0.0/8" in li.text
    li.get(ask + "oss:GetObject&ip=192.0.2.1")
    assert "No statement allows it" in li.text and "did not hold" in li.text and "192.0.2.1" in li.text
    li.get(ask + "oss:DeleteObject&mfa=on")
    assert "A statement denies it" in li.text and "checked" in li.source
    li.get(BASE + "/why?who=root&action=oss:DeleteObject&resource=why-bucket/a")
    assert "Root owns the account" in li.text
    for query in ["who=x&action=oss:GetObject&resource=b/k", "who=root&action=oss:*&resource=b/k",
                  "who=root&action=oss:GetObject&resource=b/k&ip=nowhere", "who=root&action=oss:GetObject&resource=acs:x",
                  "who=user/nobody.at.all&action=oss:GetObject&resource=b/k"]:
        assert li.get(f"{BASE}/why?{query}").status == 400 and ids(li, "failure"), query
    li.get(BASE + "/who-can?action=oss:GetObject&resource=why-bucket/a")
    assert "user/why.user" in li.text and "10.0.0.0/8" in li.text and "owner of the account" in li.text
    assert "No operator of the provider can" in li.text
    li.get(BASE + "/who-can?action=oss:GetObject&resource=why-bucket/a&lang=zh")
    assert "策略 why-policy 的语句 1" in li.text and "账号所有者" in li.text
    li.get(BASE + "?lang=en")
    assert li.get(BASE + "/who-can?action=nonsense&resource=x").status == 400


def test_operators_by_grant_stand_first(server, li):
    from test_consent import OBJECT, ask, read
    grant = ask(read(Browser(server).login_operator(server), OBJECT), OBJECT)
    li.get("/console/consent").post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
    li.get(f"{BASE}/who-can?action=oss:GetObject&resource={OBJECT['bucket']}/{OBJECT['key']}")
    first = re.search(r"<tbody><tr>(.*?)</tr>", li.source, re.S).group(1)
    assert "operator emp-" in first and grant in first and "before" in first, first


def test_settings_are_stored_and_nonsense_is_refused():
    with Server() as own:
        li = Browser(own).login_tenant(own)
        page = BASE + "/settings"
        li.get(page).post(page + "/alias", alias="acme-of-hangzhou")
        assert li.status == 200 and 'value="acme-of-hangzhou"' in li.source
        li.post(page + "/alias", alias="-no-")
        assert li.status == 400 and 'value="-no-"' in li.source
        li.post(page + "/alias", alias="")
        assert li.status == 200 and 'value="acme-of-hangzhou"' not in li.source
        rules = {"length_min": "12", "digit": "on", "different_min": "3", "age_max_days": "90", "reuse_prevention": "3",
                 "attempts_max": "4"}
        li.post(page + "/passwords", **{**rules, "length_min": "7"})
        assert li.status == 400 and "must be 8 to 32" in li.text and 'value="7"' in li.source
        li.post(page + "/passwords", **rules)
        assert li.status == 200 and 'value="12"' in li.source
        user = made(li, "ruled.user")
        li.post(user + "/login", password="nodigitsinhere", password_again="nodigitsinhere")
        assert li.status == 400 and "must hold a digit" in li.text
        li.post(user + "/login", password="digits in 2026", password_again="digits in 2026")
        assert li.status == 200, li.text
        wish = {"mfa_for_login": "independent", "login_networks": "127.0.0.0/8;::1", "session_hours": "8",
                "change_password": "on"}
        li.get(page).post(page + "/preference", **{**wish, "login_networks": "everywhere"})
        assert li.status == 400 and 'value="everywhere"' in li.source
        li.post(page + "/preference", **{**wish, "login_networks": "192.0.2.0/24"})
        assert li.status == 400 and "you could not sign in again" in li.text
        li.post(page + "/preference", **wish)
        assert li.status == 200 and 'value="127.0.0.0/8;::1"' in li.source and 'value="8"' in li.source

        # A user manages his own keys when the preference says so, and only then; never another's.
        ruled = Browser(own)
        ruled.send("POST", "/login/tenant", {"tenant": "acme", "user": "ruled.user", "password": "digits in 2026"})
        ruled.get(BASE)
        assert ids(ruled, "own-keys") and ruled.post(user + "/keys").status == 403
        li.get(page).post(page + "/preference", **wish, manage_access_keys="on")
        ruled.get(user)
        assert ruled.status == 200 and "No AccessKey" in ruled.text and ruled.post(user + "/keys").status == 200
        key = re.search(r'id="key-id">([^<]+)', ruled.source).group(1)
        ruled.get(user).post(f"{user}/keys/{key}/switch", to="off")
        assert ruled.status == 200 and "Off" in ruled.text
        assert ruled.post(f"{BASE}/users/li/keys").status == 403 and ruled.get(BASE + "/users/li").status == 403


def test_a_factor_that_was_shown_just_now_is_enough():
    """Who has none is not asked for one; who has one is not asked again within five minutes."""
    with Server() as own:
        li = Browser(own).login_tenant(own)
        page = made(li, "goes.soon")
        li.post(page + "/delete")
        assert li.status == 200, "no factor is bound: none is asked for"
        page = made(li, "goes.too")
        li.get("/security").post("/signin/totp/begin")
        key = re.search(r'id="totp-key">([^<]+)', li.source).group(1)
        at = int(time.time()) // 30
        li.post("/signin/totp", first=totp(key, at - 1), second=totp(key, at))
        assert ids(li, "recovery-codes"), li.text
        li.get(page + "/delete")
        assert not ids(li, "fresh-mfa")
        li.post(page + "/delete")
        assert li.status == 200 and "goes.too" not in li.text


def test_a_factor_is_asked_for_again_when_one_is_bound():
    """A session from before the factor was bound has not shown it: deleting waits until it does."""
    with Server() as own:
        old, new = Browser(own).login_tenant(own), Browser(own).login_tenant(own)
        page = made(old, "stays.put")
        old.get(page).post(page + "/keys")
        key = re.search(r'id="key-id">([^<]+)', old.source).group(1)
        old.get(page).post(f"{page}/keys/{key}/delete")
        new.get("/security").post("/signin/totp/begin")
        seed = re.search(r'id="totp-key">([^<]+)', new.source).group(1)
        at = int(time.time()) // 30
        new.post("/signin/totp", first=totp(seed, at - 1), second=totp(seed, at))
        codes = re.findall(r"<li><code>([^<]+)", new.source)
        assert len(codes) == 10, new.text

        for path, form in [("/users/stays.put/delete", {}), ("/account/keys", {}),
                           ("/users/stays.put/login", {"password": "correct horse 1", "password_again": "correct horse 1"})]:
            old.get(page).post(BASE + path, **form)
            assert old.status == 403 and ids(old, "fresh-mfa") and "/security" in old.source, (path, old.text)
        old.get(page + "/delete")
        assert ids(old, "fresh-mfa") and not re.search(r"<button[^>]*stop", old.source), "the page says it before"
        assert ids(old.get(BASE + "/account"), "fresh-mfa")
        old.get("/security").post("/signin/factor", recovery=codes[0])
        assert old.status == 200, old.text
        old.get(page + "/delete")
        assert not ids(old, "fresh-mfa")
        old.post(page + "/delete")
        assert old.status == 200 and old.get(page).status == 404


def totp(base32, counter):
    text = base32.replace(" ", "")
    seed = base64.b32decode(text + "=" * (-len(text) % 8))
    mac = hmac.new(seed, struct.pack(">Q", counter), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1_000_000:06}"
