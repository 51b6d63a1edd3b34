"""Single sign-on at a real OIDC provider (oidc-provider-mock), in Chromium and by hand."""

import base64
import datetime
import hashlib
import http.client
import re
import ssl
import subprocess
import threading
import urllib.parse
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
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

    def __init__(self, tls=None):
        user = lambda sub, **claims: oidc_provider_mock.User(sub=sub, claims=claims)  # noqa: E731
        app = oidc_provider_mock.app(require_nonce=True, user_claims=[
            user("1001", preferred_username="li", email="li@acme.example", email_verified=True),
            user("1002", preferred_username="nobody"), user("1003", preferred_username="op-lin"),
            user("1004", email="li@acme.example", email_verified=False), user("1005", preferred_username="root"),
            user("1006", preferred_username="li@acme.example"), user("1007", preferred_username=7), user("1008"),
            user("1009", preferred_username="li@evil.example", email="li@evil.example", email_verified=True),
        ])
        self.seen = []

        @app.before_request
        def keep():
            self.seen.append((request.path, {**request.args, **request.form}, request.headers.get("Authorization")))
            if request.path.endswith("/token") and self.token_answer:
                status, body = self.token_answer
                return body, status, {"content-type": "application/json"}

        self.token_answer = None
        self.http = werkzeug.serving.make_server("localhost", 0, app, threaded=True, ssl_context=tls)
        self.url = f"{'https' if tls else 'http'}://localhost:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def provider():
    one = Provider()
    yield one
    one.http.shutdown()


def set_up(server, provider, tenant="acme", claim="preferred_username", more=("--domain", "acme.example")):
    """Says where acme's people (or the operators) sign on, beside the running server. This provider knows no public
    clients."""
    secret = server.data.parent / "client-secret"
    secret.write_text("s3cret:with a colon\n")
    command = ["operator", "single-sign-on"] if tenant is None else ["tenant", "single-sign-on", "--tenant", tenant]
    h.bailee(*command, "--data", str(server.data), "--issuer", provider.url, "--client-id", "bailee", "--claim", claim,
             "--client-secret-file", str(secret), *more)


def begin(server, tenant="acme"):
    """A browser without script that has begun: (browser, the issuer's page)."""
    browser = Browser(server)
    browser.get("/login/sso" + (f"?tenant={tenant}" if tenant else ""))
    assert browser.status == 200, browser.text
    import html
    return browser, html.unescape(re.search(r'id="sso-go"[^>]*href="([^"]+)"', browser.source).group(1))


def consent(url, sub, trust=None):
    """What the person does at the issuer: the address that he is sent back to."""
    parts = urllib.parse.urlsplit(url)
    if trust:
        connection = http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context(cafile=str(trust)))
    else:
        connection = http.client.HTTPConnection(parts.netloc)
    connection.request("POST", f"{parts.path}?{parts.query}", urllib.parse.urlencode({"sub": sub}),
                       {"content-type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    assert answer.status in (302, 303), answer.status
    return answer.headers["location"]


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


def test_somebody_of_another_domain_is_somebody_else(server, provider):
    """His address is really his; the issuer says so. It is not li's."""
    for claim in ("email", "preferred_username"):
        set_up(server, provider, "acme", claim)
        browser = sign_on(server, "1009")
        assert browser.status == 403 and "bailee-session" not in browser.cookies, browser.text
    # Without a word on domains, none but the account's own.
    set_up(server, provider, "acme", "email", more=())
    assert sign_on(server, "1001").status == 403
    done = h.bailee("tenant", "single-sign-on", "--tenant", "acme", "--data", str(server.data), "--issuer", provider.url,
                    "--client-id", "bailee", "--domain", "Acme Example", code=1)
    assert "domain" in done.stderr


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
    set_up(server, provider, None, more=())
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


def test_who_must_have_a_second_factor_binds_one(server, provider):
    set_up(server, provider)
    name = "must-bind"
    rpc(server, "CreateUser", ok=True, UserName=name)
    h.request("PUT", provider.url + "/users/2002", '{"preferred_username": "must-bind", "amr": ["pwd", "mfa"]}',
              {"content-type": "application/json"})
    assert sign_on(server, "2002").path == "/console"
    rpc(server, "SetSecurityPreference", IMS, ok=True, MFAOperationForLogin="mandatory")
    try:
        browser = sign_on(server, "2002")
        assert browser.path == "/signin" and "Bind a second factor" in browser.text
        assert browser.get("/console").path == "/signin"
        browser.bind_app()
        assert browser.get("/console").path == "/console"
        browser = sign_on(server, "2002")
        assert browser.path == "/signin" and "Second factor" in browser.text
        # The provider takes the issuer's word from now on.
        set_up(server, provider, more=["--trust-amr", "--domain", "acme.example"])
        browser = sign_on(server, "2002")
        assert browser.path == "/console", browser.text
        assert 'id="remove-totp"' in browser.get("/security").source, "it counts as shown just now"
        assert sign_on(server, "1001").path == "/signin", "it says nothing of the others"
    finally:
        rpc(server, "SetSecurityPreference", IMS, ok=True, MFAOperationForLogin="independent")


@pytest.mark.parametrize("answer, status, said", [
    ((400, '{"error": "invalid_grant"}'), 403, "refused the sign-on"), ((401, "no"), 403, "refused the sign-on"),
    ((200, '{"error": "invalid_grant"}'), 403, "refused the sign-on"), ((200, "<html>"), 502, "does not answer"),
    ((500, '{"error": "x"}'), 502, "does not answer"), ((503, ""), 502, "does not answer"),
])
def test_an_issuer_that_gives_nothing_for_the_code(server, provider, answer, status, said):
    set_up(server, provider)
    browser, url = begin(server)
    back = consent(url, "1001")
    provider.token_answer = answer
    try:
        come_back(browser, back)
    finally:
        provider.token_answer = None
    assert browser.status == status and said in browser.text, (browser.status, browser.text)
    assert "bailee-session" not in browser.cookies


def test_an_issuer_that_is_not_there(server):
    class Gone:
        url = "http://localhost:1"

    set_up(server, Gone)
    browser = Browser(server).get("/login/sso?tenant=acme")
    assert browser.status == 502 and "does not answer" in browser.text


def test_a_person_signs_out(server, provider):
    set_up(server, provider)
    browser = sign_on(server, "1001")
    assert browser.path == "/console"
    before = dict(browser.cookies)
    browser.post("/logout")
    old = Browser(server)
    old.cookies = before
    assert browser.get("/console").path == "/login" and old.get("/console").path == "/login"


def authority(folder, name):
    """A private CA and a certificate of it for localhost: (the CA's file, the server's TLS context)."""
    def made(subject, key, issuer, issuer_key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        named = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])  # noqa: E731
        builder = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=7)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = made(name, root_key, name, root_key, (x509.BasicConstraints(ca=True, path_length=None), True))
    leaf = made("localhost", key, name, root_key, (x509.BasicConstraints(ca=False, path_length=None), True),
                (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False))
    pem = serialization.Encoding.PEM
    file, chain = folder / f"{name}.pem", folder / f"{name}-server.pem"
    file.write_bytes(root.public_bytes(pem))
    chain.write_bytes(leaf.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    return file, tls


def test_an_issuer_of_a_private_authority(seed, tmp_path):
    ours, tls = authority(tmp_path, "ours")
    other, _ = authority(tmp_path, "other")
    provider = Provider(tls)
    try:
        for roots, works in ((None, False), (other, False), (ours, True)):
            data = h.copy_of(seed, tmp_path / f"data-{roots.stem if roots else 'none'}")
            house = h.House(data, {"BAILEE_ISSUER_ROOTS": str(roots)} if roots else None)
            try:
                set_up(house, provider)
                browser = Browser(house).get("/login/sso?tenant=acme")
                assert browser.status == (200 if works else 502), (roots, browser.text)
                if works:
                    browser, url = begin(house)
                    assert come_back(browser, consent(url, "1001", ours)).path == "/console"
                house.assert_well()
            finally:
                house.stop()
    finally:
        provider.http.shutdown()


def test_a_file_of_roots_that_is_none(seed, tmp_path):
    data = h.copy_of(seed, tmp_path / "data")
    bad = tmp_path / "bad.pem"
    bad.write_text("hello")
    for file, why in ((bad, "no certificate"), (tmp_path / "missing.pem", "No such file")):
        for command in ("serve", "dev"):
            done = subprocess.run([h.BIN, command, "--data", str(data), "--listen", "127.0.0.1:0", "--object-listen",
                                   "127.0.0.1:0", "--issuer-roots", str(file)], capture_output=True, text=True, timeout=60)
            assert done.returncode != 0 and why in done.stderr and str(file) in done.stderr, done.stderr
            assert "panicked" not in done.stderr
