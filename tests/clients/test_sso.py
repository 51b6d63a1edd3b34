"""Single sign-on at a real OIDC provider (oidc-provider-mock), in Chromium and by hand."""

import base64
import hashlib
import re
import threading
import urllib.parse
import warnings

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import house as h
from kit import IMS, Browser, Server, rpc
from test_browser import Chromium, is_gone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import oidc_provider_mock
    import werkzeug.serving
    from flask import request


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


class Provider:
    """The provider on a port of this machine; it keeps the requests that came in."""

    def __init__(self):
        user = lambda sub, **claims: oidc_provider_mock.User(sub=sub, claims=claims)  # noqa: E731
        app = oidc_provider_mock.app(require_nonce=True, user_claims=[
            user("1001", preferred_username="li", email="li@acme.example", email_verified=True),
            user("1002", preferred_username="nobody"), user("1003", preferred_username="op-lin"),
            user("1004", email="li@acme.example", email_verified=False), user("1005", preferred_username="root"),
            user("1006", preferred_username="li@acme.example"), user("1007", preferred_username=7), user("1008"),
        ])
        self.seen = []

        @app.before_request
        def keep():
            self.seen.append((request.path, {**request.args, **request.form}, request.headers.get("Authorization")))

        self.http = werkzeug.serving.make_server("localhost", 0, app, threaded=True)
        self.url = f"http://localhost:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def provider():
    one = Provider()
    yield one
    one.http.shutdown()


def set_up(server, provider, tenant="acme", claim="preferred_username"):
    """Says where acme's people (or the operators) sign on, beside the running server. This provider knows no public
    clients."""
    secret = server.data.parent / "client-secret"
    secret.write_text("s3cret:with a colon\n")
    command = ["operator", "single-sign-on"] if tenant is None else ["tenant", "single-sign-on", "--tenant", tenant]
    h.bailee(*command, "--data", str(server.data), "--issuer", provider.url, "--client-id", "bailee", "--claim", claim,
             "--client-secret-file", str(secret))


def begin(server, tenant="acme"):
    """A browser without script that has begun: (browser, the issuer's page)."""
    browser = Browser(server)
    browser.get("/login/sso" + (f"?tenant={tenant}" if tenant else ""))
    assert browser.status == 200, browser.text
    import html
    return browser, html.unescape(re.search(r'id="sso-go"[^>]*href="([^"]+)"', browser.source).group(1))


def consent(url, sub):
    """What the person does at the issuer: the address that he is sent back to."""
    status, headers, _ = h.request("POST", url, urllib.parse.urlencode({"sub": sub}),
                                   {"content-type": "application/x-www-form-urlencoded"})
    assert status in (302, 303), status
    return headers["location"]


def come_back(browser, address):
    parts = urllib.parse.urlsplit(address)
    return browser.send("GET", parts.path + "?" + parts.query, headers={"Sec-Fetch-Site": "cross-site"})


def sign_on(server, sub, tenant="acme"):
    browser, url = begin(server, tenant)
    return come_back(browser, consent(url, sub))


def test_a_person_signs_on_in_a_browser(server, provider, tmp_path):
    set_up(server, provider)
    browser = Chromium(server, tmp_path)
    try:
        browser.go("/login").fill(sso_tenant="acme")
        browser.press("#login-sso")
        assert provider.url in browser.text
        browser.well()

        def follow(click):
            before = browser.find("html")
            click()
            WebDriverWait(browser.driver, 20).until(lambda d: is_gone(before))

        follow(lambda: browser.find("#sso-go").click())
        browser.driver.get_log("browser")
        assert browser.driver.current_url.startswith(provider.url)
        follow(lambda: browser.driver.find_element(By.CSS_SELECTOR, "button[name=sub][value='1001']").click())
        assert browser.driver.current_url == server.console + "/console", browser.text
        assert "li" in browser.text
        assert browser.driver.get_cookie("bailee-sign-on") is None, "what was kept meanwhile is gone"
    finally:
        browser.quit()


def test_the_request_is_bound_to_this_browser_and_this_code(server, provider):
    set_up(server, provider)
    provider.seen.clear()
    browser, url = begin(server)
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256" and asked["nonce"]
    assert asked["redirect_uri"] == server.console + "/login/sso/callback" and "openid" in asked["scope"].split()
    back = consent(url, "1001")
    come_back(browser, back)
    assert browser.path == "/console"
    redeemed = next(form for path, form, _ in provider.seen if path.endswith("/token"))
    digest = hashlib.sha256(redeemed["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert "client_secret" not in redeemed
    # The same answer again, in the same browser and in another one.
    kept = dict(browser.cookies)
    browser.cookies.pop("bailee-session")
    assert come_back(browser, back).status == 403
    stranger = Browser(server)
    assert come_back(stranger, back).status == 403 and "bailee-session" not in stranger.cookies
    assert kept["bailee-sign-on"] == ""


def test_an_answer_belongs_to_the_browser_that_began(server, provider):
    set_up(server, provider)
    mallory, url = begin(server)
    hers = consent(url, "1001")
    victim, _ = begin(server)
    come_back(victim, hers)
    assert victim.status == 403 and "another browser" in victim.text and "bailee-session" not in victim.cookies
    nobody = Browser(server)
    assert come_back(nobody, hers).status == 403
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(hers).query)["code"][0]
    for query in ("", "?code=x", "?state=x", f"?code={code}", f"?code={code}&state=", "?error=access_denied&state=x",
                  f"?code={code}&state=x&state=y", "?code=%FF&state=%00"):
        other, _ = begin(server)
        assert other.send("GET", "/login/sso/callback" + query).status in (400, 403), query
        assert "bailee-session" not in other.cookies
    right = mallory.cookies["bailee-sign-on"]
    bent = right[:40] + ("B" if right[40] == "A" else "A") + right[41:]
    for kept in ("", "x", "A" * 4000, bent):
        other = Browser(server)
        other.cookies = {"bailee-sign-on": kept}
        assert come_back(other, hers).status == 403
    # A right state with a code of another sign-on: PKCE and nonce are of this one.
    victim, url = begin(server)
    own = urllib.parse.parse_qs(urllib.parse.urlsplit(consent(url, "1001")).query)
    other = Browser(server)
    other.cookies = dict(victim.cookies)
    answer = other.send("GET", "/login/sso/callback?" + urllib.parse.urlencode({"code": code, "state": own["state"][0]}))
    assert answer.status == 403 and "bailee-session" not in answer.cookies, answer.text


def test_people_who_are_not_known_here(server, provider):
    set_up(server, provider)
    for sub in ("1002", "1005", "1007", "1008", "1003"):
        browser = sign_on(server, sub)
        assert browser.status == 403 and "no user here has your name" in browser.text, (sub, browser.text)
        assert "bailee-session" not in browser.cookies
    assert sign_on(server, "1006").path == "/console", "a domain behind the name is cut off"
    browser = Browser(server)
    assert browser.get("/login/sso?tenant=globex").status == 403
    assert browser.get("/login/sso?tenant=not-there").status == 403
    assert "not set up" in browser.text


def test_an_address_counts_when_the_issuer_checked_it(server, provider):
    set_up(server, provider, "acme", "email")
    assert sign_on(server, "1001").path == "/console"
    browser = sign_on(server, "1004")
    assert browser.status == 403 and "bailee-session" not in browser.cookies


def test_a_secret_is_sent_where_it_belongs(server, provider):
    set_up(server, provider)
    provider.seen.clear()
    assert sign_on(server, "1001").path == "/console"
    _, form, authorization = next(seen for seen in provider.seen if seen[0].endswith("/token"))
    sent = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    assert urllib.parse.unquote_plus(sent.split(":", 1)[1]) == "s3cret:with a colon" and "client_secret" not in form
    for file in server.data.rglob("*"):
        if file.is_file():
            assert b"s3cret:with" not in file.read_bytes(), file


def test_a_factor_that_is_bound_here_is_asked_for(server, provider):
    set_up(server, provider)
    name, root = "sso-user", server.key("acme")
    rpc(server, "CreateUser", key=root, ok=True, UserName=name)
    rpc(server, "CreateLoginProfile", key=root, ok=True, UserName=name, Password="correct Horse 7")
    h.request("PUT", provider.url + "/users/2001", '{"preferred_username": "sso-user"}',
              {"content-type": "application/json"})
    assert sign_on(server, "2001").path == "/console"
    browser = Browser(server).sign_in("acme", name, "correct Horse 7")
    browser.get("/security").bind_app()
    browser = sign_on(server, "2001")
    assert browser.path == "/signin" and "Second factor" in browser.text
    assert browser.get("/console").path == "/signin"


def test_networks_count_for_single_sign_on(server, provider):
    set_up(server, provider)
    rpc(server, "SetSecurityPreference", IMS, ok=True, LoginNetworkMasks="10.0.0.0/8")
    try:
        browser = sign_on(server, "1001")
        assert browser.status == 403 and "network" in browser.text
    finally:
        rpc(server, "SetSecurityPreference", IMS, ok=True, LoginNetworkMasks="")
    assert sign_on(server, "1001").path == "/console"


def test_operators_sign_on_at_the_providers_issuer(server, provider):
    assert Browser(server).get("/login/sso").status == 403
    set_up(server, provider, None)
    browser = sign_on(server, "1003", None)
    assert browser.path == "/desk" and browser.status == 200
    assert browser.get("/console").status == 404
    for sub in ("1001", "1002", "1008"):
        browser = sign_on(server, sub, None)
        assert browser.status == 403 and "bailee-session" not in browser.cookies, sub
    h.bailee("operator", "disable", "op-lin", "--data", str(server.data))
    assert sign_on(server, "1003", None).status == 403


def test_switched_off_it_is_off(server, provider):
    set_up(server, provider)
    browser, url = begin(server)
    back = consent(url, "1001")
    h.bailee("tenant", "single-sign-on", "--tenant", "acme", "--data", str(server.data))
    assert come_back(browser, back).status == 403
    assert Browser(server).get("/login/sso?tenant=acme").status == 403
