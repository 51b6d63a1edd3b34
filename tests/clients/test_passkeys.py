"""Passkeys in a real headless Chromium, with an authenticator that its developer protocol plays."""

import json
import re

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from house import VERIFY
from kit import BIN, IMS, Browser, Server, rpc, run
from test_browser import Chromium, is_gone
from test_consent import OBJECT, ask, read


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


class WithKey(Chromium):
    """Chromium at localhost (a secure context) with one authenticator plugged in."""

    def __init__(self, server, folder):
        super().__init__(server, folder)
        self.base = server.console.replace("127.0.0.1", "localhost")
        self.driver.execute_cdp_cmd("WebAuthn.enable", {})
        self.plug()

    def plug(self):
        self.key = self.driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True}})["authenticatorId"]

    def set(self, **what):
        """`isUserVerified=False`, or the override bits `isBogusSignature`, `isBadUV`, `isBadUP`."""
        verified = what.pop("isUserVerified", None)
        if verified is not None:
            self.driver.execute_cdp_cmd("WebAuthn.setUserVerified", {
                "authenticatorId": self.key, "isUserVerified": verified})
        self.driver.execute_cdp_cmd("WebAuthn.setResponseOverrideBits", {"authenticatorId": self.key, **what})

    def credentials(self):
        return self.driver.execute_cdp_cmd("WebAuthn.getCredentials", {"authenticatorId": self.key})["credentials"]

    def press_quietly(self, form):
        """Presses a button that leads to no other page: what the page says."""
        before = self.find("html")
        self.find(f"{form} button").click()

        def said(_):
            try:
                return is_gone(before) or "".join(e.text for e in self.there(f"{form} [data-said]"))
            except StaleElementReferenceException:
                return True

        return WebDriverWait(self.driver, 20).until(said)

    def sign_in(self, server, alias="acme"):
        user = server.tenant(alias)["user"]
        self.go("/login").fill(tenant=alias, user=user["name"], tenant_password=user["password"])
        return self.press("#login-tenant")

    def sign_in_operator(self, server, name):
        self.go("/login").fill(operator=name, operator_password=server.operator(name)["password"])
        return self.press("#login-operator")

    def sign_out(self):
        self.go("/security")
        return self.press("form[action='/logout']")

    @property
    def path(self):
        return re.sub(r"^https?://[^/]+", "", self.driver.current_url).split("?")[0]


@pytest.fixture
def browser(server, tmp_path):
    one = WithKey(server, tmp_path)
    yield one
    one.quit()


def bind(browser, label="laptop"):
    browser.go("/security").fill(label=label)
    browser.press("#bind-passkey")
    return browser


def test_a_passkey_is_bound_shown_and_removed(server, browser):
    browser.sign_in(server)
    bind(browser)
    codes = [e.text for e in browser.there("#recovery-codes code")]
    assert len(codes) == 10, browser.text
    browser.find("#codes-kept").click()
    assert "laptop" in browser.go("/security").find("#passkeys").text
    assert len(browser.credentials()) == 1
    browser.sign_out()
    browser.sign_in(server)
    assert browser.path == "/signin" and browser.there("#show-passkey")
    browser.go("/console")
    assert browser.path == "/signin"
    cookie = browser.driver.get_cookie("bailee-session")["value"]
    browser.press("#show-passkey")
    assert browser.path == "/console", browser.text
    assert browser.driver.get_cookie("bailee-session")["value"] != cookie
    # A second one brings no new codes; the same device cannot be bound twice.
    browser.go("/security")
    said = browser.press_quietly("#bind-passkey")
    assert said and len(browser.credentials()) == 1
    for left in (0,):
        browser.go("/security").press("#passkeys form[action$='/remove']")
        assert len(browser.there("#passkeys tbody tr")) == left
    assert browser.there("#passkeys-none") and "not used: 0" in browser.text
    browser.sign_out()
    browser.sign_in(server)
    assert browser.path == "/console", "without a factor none is asked for"


def test_signatures_and_answers_that_are_forged(server, browser):
    browser.sign_in(server, "globex")
    bind(browser)
    browser.sign_out()
    browser.sign_in(server, "globex")
    for what in ({"isBogusSignature": True}, {"isBadUP": True}):
        browser.go("/signin")
        browser.set(**what)
        browser.press_quietly("#show-passkey")
        assert browser.go("/console").path == "/signin", what
    browser.set()
    # An answer that was sent once is worth nothing a second time: the challenge is gone.
    browser.go("/signin")
    browser.driver.execute_script("""
        const form = document.querySelector('#show-passkey');
        form.submit = () => { window.kept = form.querySelector('input[name=response]').value; };
        form.requestSubmit();""")
    answer = WebDriverWait(browser.driver, 20).until(lambda d: d.execute_script("return window.kept"))
    send = """const form = document.querySelector('#show-passkey'); form.querySelector('input[name=response]').value =
        arguments[0]; HTMLFormElement.prototype.submit.call(form);"""
    before = browser.find("html")
    browser.driver.execute_script(send, answer)
    WebDriverWait(browser.driver, 20).until(lambda d: is_gone(before))
    assert browser.path == "/console"
    browser.sign_out()
    browser.sign_in(server, "globex")
    before = browser.find("html")
    browser.driver.execute_script(send, answer)
    WebDriverWait(browser.driver, 20).until(lambda d: is_gone(before))
    assert browser.go("/console").path == "/signin"
    browser.press("#show-passkey")
    assert browser.path == "/console"


def test_an_operator_must_be_verified(server, browser):
    browser.sign_in_operator(server, "op-mei")
    browser.set(isUserVerified=False)
    browser.go("/security").press_quietly("#bind-passkey")
    assert browser.go("/security").there("#passkeys-none"), "what could never be shown is not bound"
    # The authenticator leaves the bit out, though the person was asked for.
    browser.set(isUserVerified=True, isBadUV=True)
    browser.go("/security").press_quietly("#bind-passkey")
    assert browser.go("/security").there("#passkeys-none")
    browser.set(isUserVerified=True)
    bind(browser, "desk key")
    assert browser.there("#recovery-codes")
    browser.sign_out()
    browser.sign_in_operator(server, "op-mei")
    assert browser.path == "/signin"
    browser.set(isUserVerified=False)
    browser.press_quietly("#show-passkey")
    assert browser.go("/desk").path == "/signin"
    browser.set(isUserVerified=True, isBadUV=True)
    browser.press_quietly("#show-passkey")
    assert browser.go("/desk").path == "/signin"
    browser.set(isUserVerified=True)
    browser.press("#show-passkey")
    assert browser.path == "/desk"


def test_a_passkey_of_another_address_is_not_offered(server, browser):
    """At 127.0.0.1 the page says so in place of a passkey that would be bound to another name."""
    browser.sign_in_operator(server, "op-lin")
    browser.base = server.console
    browser.sign_in_operator(server, "op-lin")
    browser.go("/security")
    said = browser.press_quietly("#bind-passkey")
    assert said and browser.go("/security").there("#passkeys-none")
    assert not browser.credentials()
    assert not [e for e in browser.driver.find_elements(By.CSS_SELECTOR, "[onclick], [style]")]


def enter(browser):
    """Presses "Sign in with a passkey" on the sign-in page: where it leads."""
    browser.go("/login").press_quietly("#enter-passkey")
    return browser.path


def test_a_passkey_alone_signs_in(server, browser):
    browser.sign_in(server)
    bind(browser)
    browser.sign_out()
    assert enter(browser) == "/console", browser.text
    assert server.tenant("acme")["user"]["name"] in browser.text
    # It was shown just now: what asks for a fresh factor is open.
    assert browser.go("/security").there("#passkeys form[action$='/remove']")
    assert browser.driver.get_cookie("bailee-passkey") is None
    browser.sign_out()
    # Who has the device and cannot unlock it is nobody, and so are bad answers.
    for what in ({"isUserVerified": False}, {"isUserVerified": True, "isBadUV": True}, {"isBogusSignature": True},
                 {"isBadUP": True}):
        browser.set(**{"isUserVerified": True, **what})
        assert enter(browser) == "/login" or browser.path == "/login/passkey", what
        assert browser.go("/console").path == "/login", what
    browser.set(isUserVerified=True)
    # An account that does not allow it.
    rpc(server, "SetSecurityPreference", IMS, ok=True, AllowUserToLoginWithPasskey="false")
    try:
        assert enter(browser) == "/login/passkey" and "signs nobody in here" in browser.text
        assert browser.go("/console").path == "/login"
    finally:
        rpc(server, "SetSecurityPreference", IMS, ok=True, AllowUserToLoginWithPasskey="true")
    assert enter(browser) == "/console"
    browser.go("/security").press("#passkeys form[action$='/remove']")
    browser.sign_out()
    assert enter(browser) != "/console"
    assert "signs nobody in here" in browser.text, "the device has it still, the account has not"


def test_an_answer_of_a_passkey_alone_works_once_and_in_its_browser(server, browser):
    browser.sign_in(server)
    bind(browser)
    browser.sign_out()
    browser.go("/login")
    browser.driver.execute_script("""
        const form = document.querySelector('#enter-passkey');
        form.submit = () => { window.kept = form.querySelector('input[name=response]').value; };
        form.requestSubmit();""")
    answer = WebDriverWait(browser.driver, 20).until(lambda d: d.execute_script("return window.kept"))
    kept = browser.driver.get_cookie("bailee-passkey")
    assert kept["httpOnly"] and kept["sameSite"] == "Strict"
    stranger = Browser(server)
    assert stranger.send("POST", "/login/passkey", {"response": answer}).status == 403
    # Begun in another browser: another challenge.
    begun = stranger.send("POST", "/login/passkey/begin", {})
    assert json.loads(begun.data)["allowCredentials"] == [], "nobody is named"
    assert stranger.send("POST", "/login/passkey", {"response": answer}).status == 403
    assert "bailee-session" not in stranger.cookies
    for bad in ("", "{}", "[]", "x" * 70_000, '{"type":"public-key","id":"AA","rawId":"AA","response":{}}'):
        stranger.send("POST", "/login/passkey/begin", {})
        assert stranger.send("POST", "/login/passkey", {"response": bad}).status in (400, 403, 413), bad[:20]
    # From another site.
    here = Browser(server)
    here.cookies = {"bailee-passkey": kept["value"]}
    assert here.send("POST", "/login/passkey", {"response": answer}, {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert "bailee-session" not in here.cookies
    here.send("POST", "/login/passkey", {"response": answer})
    assert here.path == "/console" and here.status == 200
    again = Browser(server)
    again.cookies = {"bailee-passkey": kept["value"]}
    assert again.send("POST", "/login/passkey", {"response": answer}).status == 403
    assert "bailee-session" not in again.cookies


def test_an_operators_passkey_is_no_password(server, browser):
    browser.sign_in_operator(server, "op-lin")
    bind(browser, "desk key")
    browser.sign_out()
    assert enter(browser) not in ("/desk", "/console")
    assert "signs nobody in here" in browser.text


def test_an_approval_is_signed_over_the_text_on_the_page_and_verified_offline(browser, tmp_path):
    with Server() as s:
        browser.base = s.console.replace("127.0.0.1", "localhost")
        browser.sign_in(s)
        bind(browser)
        [fingerprint] = [e.text for e in browser.go("/security").there("#passkeys .fingerprint")]
        browser.go("/console/consent/policy").find("#signed").click()
        browser.press("#policy-form")
        assert browser.find("#signed").is_selected() and "Set by li" in browser.text
        told = json.loads(run(BIN, "consent", "policy", "--data", s.data, "--tenant", "acme", "--output", "json").stdout)
        assert told["signed"] is True
        lin = Browser(s).login_operator(s)
        read(lin, OBJECT)
        grant = ask(lin, OBJECT)

        # Without a signature it is refused, with a way to go on.
        browser.go(f"/console/consent/{grant}").press(f"#approve-{grant}")
        assert "takes signed approvals only" in browser.text and "Sign with a passkey" in browser.text, browser.text

        def sign_page():
            browser.go(f"/console/consent/{grant}").fill(**{f"minutes-{grant}": "10"})
            before = browser.find("html")
            browser.find(f"#by-passkey-{grant}").click()
            WebDriverWait(browser.driver, 20).until(lambda d: is_gone(before))
            return browser.find("#statement").text

        text = sign_page()
        for line in (f"grant {grant}", 'approver "li"', "minutes 10", "reads 3", "narrowed no",
                     f'object "{OBJECT["bucket"]}/{OBJECT["key"]}"'):
            assert line in text.splitlines(), text
        # The page cannot show other words than it asks the passkey to sign, nor send others than were signed.
        browser.driver.execute_script("""
            const words = document.querySelector('#statement');
            words.textContent = words.textContent.replace('minutes 10', 'minutes 30');""")
        assert "not the one that the server made" in browser.press_quietly("#sign-passkey")
        sign_page()
        browser.set(isBogusSignature=True)
        browser.press_quietly("#sign-passkey")
        assert "signature does not verify" in browser.text, browser.text
        browser.set(isBadUV=True)
        sign_page()
        browser.press_quietly("#sign-passkey")
        assert read(lin, OBJECT).status == 403
        browser.set()
        sign_page()
        browser.press("#sign-passkey")
        assert browser.path == "/console/consent", browser.text
        assert read(lin, OBJECT).status == 200

        # Nobody but the file is asked.
        bundle = s.export("acme", "signed.bundle")
        report = json.loads(run(VERIFY, bundle, "--output", "json").stdout)["report"]
        [used] = report["passkeys"]
        assert used["fingerprint"] == fingerprint and used["by"] == ["li"] and used["approvals"] == 1, used
        assert used["origins"] == [browser.base] and used["bound"] is not None
        promise = lambda report: next(p for p in report["promises"] if p["name"] == "signed")
        assert promise(report)["verdict"] == "not-shown" and "--passkey" in promise(report)["detail"]
        known = run(VERIFY, bundle, "--output", "json", "--signed", "--passkey", fingerprint)
        assert promise(json.loads(known.stdout)["report"])["verdict"] == "holds", known.stdout
        assert fingerprint in run(VERIFY, bundle).stdout
        other = run(VERIFY, bundle, "--passkey", "SHA256:" + "A" * 43, ok=3)
        assert "a passkey that you did not name" in other.stderr and fingerprint in other.stderr, other.stderr
        bad = run(VERIFY, bundle, "--passkey", "laptop", ok=1)
        assert "no fingerprint" in bad.stderr, bad.stderr
