"""Writes what a real browser answers in both ceremonies: Chromium with its virtual authenticators (WebDriver).

    python tests/oracles/make_passkey.py crates/federation/tests/it/fixtures/chromium.json

The Python of `cargo xtask e2e` has what it needs. The options are those of `bailee_federation::passkey`
(`the_options_are_what_browsers_parse` holds both together), with challenges that are fixed here.
"""

import base64
import hashlib
import http.server
import json
import pathlib
import sys
import threading

from selenium import webdriver
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

PORT = 8765

CREATE = """
const done = arguments[arguments.length - 1];
const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(arguments[0]));
navigator.credentials.create({publicKey}).then(c => done(JSON.stringify(c.toJSON())), e => done("error " + e));
"""
GET = """
const done = arguments[arguments.length - 1];
const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(arguments[0]));
navigator.credentials.get({publicKey}).then(c => done(JSON.stringify(c.toJSON())), e => done("error " + e));
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>passkeys</title>")

    def log_message(self, *_):
        pass


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def challenge(name):
    return b64(hashlib.sha256(name.encode()).digest())


def creation(name, algorithms, verification):
    return {
        "rp": {"id": "localhost", "name": "Trust"},
        "user": {"id": b64(b"user-1"), "name": "lin", "displayName": "lin"},
        "challenge": challenge(name),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in algorithms],
        "timeout": 300000,
        "excludeCredentials": [],
        "authenticatorSelection": {
            "residentKey": "preferred", "requireResidentKey": False, "userVerification": verification,
        },
        "attestation": "none",
    }


def request(name, credential, verification):
    allow = [{"type": "public-key", "id": credential["id"], "transports": credential["response"]["transports"]}]
    return {
        "challenge": challenge(name), "timeout": 300000, "rpId": "localhost", "allowCredentials": allow,
        "userVerification": verification,
    }


def ask(driver, script, options):
    answer = driver.execute_async_script(script, json.dumps(options))
    if answer.startswith("error"):
        raise SystemExit(answer)
    return json.loads(answer)


def ceremony(driver, name, algorithms, verified, protocol, transport):
    options = VirtualAuthenticatorOptions(
        protocol=protocol, transport=transport, has_resident_key=verified, has_user_verification=verified,
        is_user_verified=verified, is_user_consenting=True,
    )
    driver.add_virtual_authenticator(options)
    verification = "required" if verified else "preferred"
    made = ask(driver, CREATE, creation(name + " create", algorithms, verification))
    got = ask(driver, GET, request(name + " get", made, verification))
    driver.remove_virtual_authenticator()
    return {
        "name": name, "verified": verified,
        "create": {"challenge": challenge(name + " create"), "answer": made},
        "get": {"challenge": challenge(name + " get"), "answer": got},
    }


def main(out):
    server = http.server.HTTPServer(("127.0.0.1", PORT), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu"]:
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.get(f"http://localhost:{PORT}/")
        ctap2 = VirtualAuthenticatorOptions.Protocol.CTAP2
        u2f = VirtualAuthenticatorOptions.Protocol.U2F
        all_three = [-7, -8, -257]
        made = [
            ceremony(driver, "platform", all_three, True, ctap2, VirtualAuthenticatorOptions.Transport.INTERNAL),
            ceremony(driver, "usb without PIN", all_three, False, ctap2, VirtualAuthenticatorOptions.Transport.USB),
            ceremony(driver, "U2F", all_three, False, u2f, VirtualAuthenticatorOptions.Transport.USB),
        ]
        for name, algorithm in [("EdDSA", -8), ("RS256", -257)]:
            try:
                made.append(ceremony(driver, name, [algorithm], True, ctap2, VirtualAuthenticatorOptions.Transport.INTERNAL))
            except SystemExit as why:
                print(f"{name}: not by this Chromium: {why}", file=sys.stderr)
                driver.remove_virtual_authenticator()
        browser = driver.capabilities["browserVersion"]
    finally:
        driver.quit()
    out.write_text(json.dumps({"browser": browser, "ceremonies": made}, indent=1) + "\n")


main(pathlib.Path(sys.argv[1]))
