"""Signing in as people do it, by the pages: second factors, recovery codes, passwords, sessions, and who is kept out."""

import concurrent.futures
import re
import secrets
import time
import urllib.parse

import pytest

import house as h
from kit import IMS, Browser, Server, rpc, totp, totp_step

PASSWORD = "correct Horse 7 battery"
INSIDE = ["/console", "/console/trail", "/console/consent", "/console/data", "/console/tickets", "/security",
          "/desk", "/desk/tickets/T-1"]


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def new_user(server, policy="AdministratorAccess", password=PASSWORD, **profile):
    """A user of acme with a console password."""
    name = "u-" + secrets.token_hex(4)
    rpc(server, "CreateUser", ok=True, UserName=name)
    rpc(server, "CreateLoginProfile", ok=True, UserName=name, Password=password, **profile)
    if policy:
        rpc(server, "AttachPolicyToUser", ok=True, UserName=name, PolicyName=policy, PolicyType="System")
    return name


def signed_in(server, name, password=PASSWORD):
    return Browser(server).sign_in("acme", name, password)


def is_inside(browser):
    return browser.get("/console").path == "/console" and browser.status == 200


def wait_as_told(browser):
    """Waits as long as the page says."""
    time.sleep(int(re.search(r"Try again in (\d+) s", browser.text).group(1)) + 0.1)


def with_app(server, **more):
    """A user with an app bound: (name, key, the last step that was used, recovery codes, the browser)."""
    name = new_user(server, **more)
    browser = signed_in(server, name)
    browser.get("/security")
    key, step, codes = browser.bind_app()
    return name, key, step, codes, browser


# The second factor


def test_an_app_is_bound_and_then_asked_for(server):
    name, key, step, codes, browser = with_app(server)
    assert is_inside(browser)
    assert "bound since" in browser.get("/security").text
    assert not any(code in browser.source for code in codes), "recovery codes are shown once"
    again = signed_in(server, name)
    assert again.path == "/signin" and "Second factor" in again.text
    again.post("/signin/factor", code=totp(key, step + 1))
    assert again.path == "/console" and again.status == 200
    third = signed_in(server, name)
    third.post("/signin/factor", code=totp(key, step + 1))
    assert third.status == 403 and "wrong or was used" in third.text
    assert third.get("/console").path == "/signin"
    # The code that bound the app is used as well.
    third.post("/signin/factor", code=totp(key, step))
    assert third.status == 403
    third.post("/signin/factor", recovery=codes[0].lower())
    assert third.path == "/console"
    fourth = signed_in(server, name)
    fourth.post("/signin/factor", recovery=codes[0])
    assert fourth.status == 403
    fourth.post("/signin/factor", recovery=codes[1])
    assert fourth.path == "/console"
    assert "not used: 8" in fourth.get("/security").text


def test_the_page_with_the_codes_belongs_to_the_new_session(server):
    """Its forms carry the token of the session that goes on, not of the one that ended."""
    *_, browser = with_app(server)
    browser.post("/logout")
    assert browser.status == 200 and browser.path == "/"
    assert browser.get("/console").path == "/login"


def test_two_codes_must_follow_each_other(server):
    browser = signed_in(server, new_user(server))
    browser.get("/security").post("/signin/totp/begin")
    key, step = re.search(r'id="totp-key">([A-Z2-7]+)<', browser.source).group(1), totp_step()
    for first, second in [(step, step), (step, step - 1), (step - 5, step - 4), (step + 5, step + 6)]:
        browser.get("/security").post("/signin/totp", first=totp(key, first), second=totp(key, second))
        assert browser.status == 403, (first, second)
    assert "No authenticator app" in browser.get("/security").text
    browser.post("/signin/totp", first=totp(key, step - 1), second=totp(key, step))
    assert browser.status == 200
    # What waited in the session is used up, and a second app needs the first taken away.
    browser.get("/security").post("/signin/totp", first=totp(key, step), second=totp(key, step + 1))
    assert browser.status == 409


def test_wrong_codes_slow_down_and_never_lock(server):
    name, key, step, codes, _ = with_app(server)
    browser = signed_in(server, name)
    seen = []
    while 429 not in seen and len(seen) < 12:
        browser.get("/signin").post("/signin/factor", code="000000")
        seen.append(browser.status)
    assert seen[:6] == [403] * 6 and seen[-1] == 429, seen
    assert "Try again in" in browser.text
    # A new session does not help, the right code waits as well.
    other = signed_in(server, name)
    other.post("/signin/factor", recovery=codes[0])
    assert other.status == 429
    wait_as_told(other)
    other.get("/signin").post("/signin/factor", code=totp(key, step + 1))
    assert other.path == "/console", other.text


def test_guesses_at_the_same_time_are_counted_each(server):
    name, *_ = with_app(server)
    browser = signed_in(server, name)

    def guess(n):
        one = Browser(server)
        one.cookies, one.data = dict(browser.cookies), browser.data
        return one.post("/signin/factor", code=f"{n:06}").status

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        seen = list(pool.map(guess, range(64)))
    assert set(seen) <= {403, 429}
    assert seen.count(403) <= 10, "what comes at once is not tried at once"


def test_a_code_that_comes_twice_at_once_works_once(server):
    name, _, _, codes, _ = with_app(server)
    browsers = [signed_in(server, name) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda b: b.post("/signin/factor", recovery=codes[0]), browsers))
    assert [b.path for b in done].count("/console") == 1


def test_an_unfinished_sign_in_reaches_nothing(server):
    name, key, step, *_ = with_app(server)
    browser = signed_in(server, name)
    for path in INSIDE:
        assert browser.get(path).path == "/signin", path
    for path in ["/console/tickets", "/console/trail/export", "/console/data/acme-invoices/read", "/security/recovery",
                 "/security/totp/remove"]:
        browser.get("/signin")
        browser.post(path, key="readme.txt", title="x", reason="x")
        assert browser.path == "/signin", path
    # Neither a new password nor another factor gets around the one that is due.
    for path, form in [("/signin/password", {"old": PASSWORD, "new": "another Horse 8", "again": "another Horse 8"}),
                       ("/signin/totp/begin", {}), ("/signin/passkey/bind/begin", {})]:
        browser.get("/signin")
        browser.post(path, **form)
        assert browser.status in (400, 403), (path, browser.status)
        assert browser.get("/console").path == "/signin"
    # A cookie is no key for the RPC interface.
    browser.send("POST", "/?Action=GetUser&Version=2015-05-01", {"UserName": name})
    assert browser.status >= 400 and "UserId" not in browser.source
    browser.get("/signin").post("/signin/factor", code=totp(key, step + 1))
    assert is_inside(browser)


def test_the_token_changes_when_the_session_learns_more(server):
    name, key, step, codes, bound = with_app(server)
    half = signed_in(server, name)
    before = dict(half.cookies)
    half.post("/signin/factor", code=totp(key, step + 1))
    assert half.cookies["bailee-session"] != before["bailee-session"]
    old = Browser(server)
    old.cookies = before
    assert old.get("/console").path == "/login" and old.get("/signin").path == "/login"
    for browser in (bound, half):
        before = dict(browser.cookies)
        browser.get("/security")
        if browser is half:
            assert browser.path == "/login", "the first one's new password ended this session"
            continue
        browser.post("/signin/password", old=PASSWORD, new="another Horse 8 x", again="another Horse 8 x")
        assert browser.path == "/security" and browser.cookies != before
        old.cookies = before
        assert old.get("/console").path == "/login"
    assert is_inside(bound)


def test_taking_the_app_away_takes_the_recovery_codes_with_it(server):
    name, key, step, codes, browser = with_app(server)
    browser.get("/security").post("/security/totp/remove")
    assert browser.status == 200 and "No authenticator app" in browser.text
    assert "not used: 0" in browser.text
    again = signed_in(server, name)
    assert again.path == "/console", "without a factor none is asked for"


def test_new_recovery_codes_end_the_old_ones(server):
    name, _, _, old, browser = with_app(server)
    browser.get("/security").post("/security/recovery")
    new = re.findall(r"<code>([^<]+)</code>", browser.source)
    assert len(new) == 10 and not set(new) & set(old)
    again = signed_in(server, name)
    again.post("/signin/factor", recovery=old[0])
    assert again.status == 403
    again.post("/signin/factor", recovery=new[0])
    assert is_inside(again)


def test_operators_bind_an_app_and_sign_in_with_it(server):
    browser = Browser(server).login_operator(server, "op-mei")
    browser.get("/security")
    key, step, codes = browser.bind_app()
    assert browser.get("/desk").status == 200 and browser.path == "/desk"
    again = Browser(server)
    form = {"operator": "op-mei", "password": server.operator("op-mei")["password"]}
    again.send("POST", "/login/operator", form)
    assert again.path == "/signin"
    for path in ("/desk", "/desk/tickets/T-1", "/security"):
        assert again.get(path).path == "/signin"
    again.get("/signin").post("/signin/factor", code=totp(key, step + 1))
    assert again.path == "/desk" and again.status == 200
    # A tenant's pages are not there for him.
    assert again.get("/console").status == 404


# What an administrator asks for


def test_a_password_that_must_be_changed(server):
    name = new_user(server, PasswordResetRequired=True)
    browser = signed_in(server, name)
    assert browser.path == "/signin" and "Choose a new password" in browser.text
    for path in INSIDE:
        assert browser.get(path).path == "/signin"
    new = "a new Horse 9 staple"
    for form, status, text in [
        ({"old": PASSWORD, "new": new, "again": new + "x"}, 400, "differ"),
        ({"old": "wrong", "new": new, "again": new}, 403, "present password is wrong"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, 400, "characters"),
        ({"old": PASSWORD, "new": PASSWORD, "again": PASSWORD}, 400, "differ"),
    ]:
        browser.get("/signin").post("/signin/password", **form)
        assert browser.status == status and text in browser.text, browser.text
    browser.get("/signin").post("/signin/password", old=PASSWORD, new=new, again=new)
    assert browser.path == "/console", browser.text
    assert signed_in(server, name).status == 403
    assert signed_in(server, name, new).path == "/console"


def test_a_second_factor_that_must_be_bound(server):
    name = new_user(server, MFABindRequired=True)
    browser = signed_in(server, name)
    assert browser.path == "/signin" and "Bind a second factor" in browser.text
    for path in INSIDE:
        assert browser.get(path).path == "/signin"
    # There is nothing to show yet.
    browser.get("/signin").post("/signin/factor", recovery="abcd-efgh-ijkl-mnop")
    assert browser.status == 403 and browser.get("/console").path == "/signin"
    key, step, _ = browser.get("/signin").bind_app()
    assert is_inside(browser)
    again = signed_in(server, name)
    again.post("/signin/factor", code=totp(key, step + 1))
    assert is_inside(again)
    # Taken away again, it is asked for again.
    again.get("/security").post("/security/totp/remove")
    assert "Bind a second factor" in signed_in(server, name).text


def test_both_one_after_the_other(server):
    name = new_user(server, MFABindRequired=True, PasswordResetRequired=True)
    browser = signed_in(server, name)
    key, step, _ = browser.bind_app()
    assert "Choose a new password" in browser.get("/console").text
    # Whoever comes back has to show the factor before he may choose.
    again = signed_in(server, name)
    assert "Second factor" in again.text
    again.post("/signin/factor", code=totp(key, step + 1))
    assert "Choose a new password" in again.text and again.path == "/signin"
    again.post("/signin/password", old=PASSWORD, new="a new Horse 9 staple", again="a new Horse 9 staple")
    assert is_inside(again)
    assert browser.get("/console").path == "/login", "a new password ends the other sessions"


def test_the_whole_account_needs_a_second_factor(server):
    name = new_user(server)
    rpc(server, "SetSecurityPreference", IMS, ok=True, MFAOperationForLogin="mandatory")
    try:
        assert "Bind a second factor" in signed_in(server, name).text
    finally:
        rpc(server, "SetSecurityPreference", IMS, ok=True, MFAOperationForLogin="independent")
    assert signed_in(server, name).path == "/console"


def test_the_password_policy_counts_at_the_console(server):
    name = new_user(server)
    rules = {"MinimumPasswordLength": "10", "RequireSymbols": "true", "RequireNumbers": "true",
             "PasswordReusePrevention": "2", "RequireUppercaseCharacters": "true"}
    rpc(server, "SetPasswordPolicy", ok=True, **rules)
    try:
        browser = signed_in(server, name)
        now = PASSWORD

        def change(new):
            browser.get("/security")
            return browser.post("/signin/password", old=now, new=new, again=new)

        for weak, what in [("Short 1!", "characters"), ("NoSymbolHere11", "symbol"), ("No digit here!", "digit"),
                           ("no upper here 1!", "upper-case")]:
            assert change(weak).status == 400 and what in browser.text, browser.text
        for n in (1, 2):
            assert change(f"Strong enough {n}!").path == "/security", browser.text
            now = f"Strong enough {n}!"
        assert change("Strong enough 1!").status == 400 and "last 2 passwords" in browser.text
        assert change("Strong enough 3!").path == "/security"
        now = "Strong enough 3!"
        status, answer = rpc(server, "UpdateLoginProfile", UserName=name, Password="Strong enough 2!")
        assert (status, answer["Code"]) == (400, "InvalidParameter.Password.TooWeak"), answer
    finally:
        rpc(server, "SetPasswordPolicy", ok=True, MinimumPasswordLength="8", PasswordReusePrevention="0")


def test_wrong_passwords_slow_down_as_the_account_says(server):
    name, free = new_user(server), []
    for most in (2, 5):
        rpc(server, "SetPasswordPolicy", ok=True, MaxLoginAttemps=str(most))
        victim, seen = (name if most == 2 else new_user(server)), []
        while 429 not in seen and len(seen) < 12:
            seen.append(signed_in(server, victim, "wrong").status)
        free.append(seen.count(403))
        # Somebody who is not there is told apart by nothing.
        nobody, seen = "n-" + secrets.token_hex(4), []
        while 429 not in seen and len(seen) < 12:
            seen.append(signed_in(server, nobody, "wrong").status)
        assert seen.count(403) == free[-1]
    assert free == [3, 6], free
    while signed_in(server, victim, "wrong").status != 429:
        pass
    assert signed_in(server, victim).status == 429, "the right password waits, too"
    by_id = Browser(server).sign_in(server.tenant("acme")["id"], victim, "wrong")
    assert by_id.status == 429, "the account's other names are the same account"
    wait_as_told(by_id)
    assert signed_in(server, victim).path == "/console"
    assert signed_in(server, new_user(server)).path == "/console", "nobody else waits"


def test_who_goes_away_while_he_waits_takes_no_place_with_him(server):
    """Checking a password takes a place of few; a connection that breaks off gives it back."""
    import socket
    host, port = server.console.removeprefix("http://").split(":")
    for burst in range(2):
        gone = []
        for n in range(30):
            body = f"tenant=acme&user=gone-{burst}-{n}&password=x"
            gone.append(socket.create_connection((host, int(port))))
            gone[-1].sendall((f"POST /login/tenant HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
                              f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}").encode())
        time.sleep(0.05)
        for s in gone:
            s.close()
        time.sleep(1)
    assert signed_in(server, new_user(server)).path == "/console"


def test_networks_that_users_sign_in_from(server):
    name = new_user(server)
    rpc(server, "SetSecurityPreference", ok=True, LoginNetworkMasks="10.0.0.0/8;192.168.0.1")
    try:
        browser = signed_in(server, name)
        assert browser.status == 403 and "from your network" in browser.text
        assert signed_in(server, name, "wrong").text.count("password is wrong") == 1, "said to its holder only"
        root = server.tenant("acme")["root"]
        assert signed_in(server, "root", root["password"]).path == "/console", "root is not locked out"
        rpc(server, "SetSecurityPreference", ok=True, LoginNetworkMasks="10.0.0.0/8;127.0.0.0/24")
        assert signed_in(server, name).path == "/console"
    finally:
        rpc(server, "SetSecurityPreference", ok=True, LoginNetworkMasks="")
    assert signed_in(server, name).path == "/console"


def test_sessions_end_with_what_they_stand_on(server):
    for action, form in [("UpdateLoginProfile", {"Password": "another Horse 8 x"}), ("DeleteLoginProfile", {}),
                         ("DeleteUser", {})]:
        name = new_user(server, policy=None)
        browser = signed_in(server, name)
        assert browser.path == "/console"
        if action == "DeleteUser":
            rpc(server, "DeleteLoginProfile", ok=True, UserName=name)
            assert browser.get("/console").path == "/login"
        rpc(server, action, ok=True, UserName=name, **form)
        assert browser.get("/console").path == "/login", action
        assert signed_in(server, name).status == 403
    name = new_user(server, policy=None)
    browser = signed_in(server, name)
    rpc(server, "UpdateLoginProfile", IMS, ok=True, UserPrincipalName=f"{name}@acme.onaliyun.com", Status="Inactive")
    assert browser.get("/console").path == "/login"
    assert "may not sign in" in signed_in(server, name).text


# Sessions and forms


def test_own_sessions_are_listed_and_ended(server):
    name = new_user(server)
    here, there, stranger = signed_in(server, name), signed_in(server, name), signed_in(server, new_user(server))
    ids = re.findall(r"/security/sessions/([0-9a-f]+)/end", here.get("/security").source)
    assert len(ids) == 2
    own = re.search(r'this one.*?/security/sessions/([0-9a-f]+)/end', here.source, re.S).group(1)
    other = next(i for i in ids if i != own)
    assert stranger.get("/security").post(f"/security/sessions/{other}/end").status == 404
    assert there.get("/console").path == "/console"
    here.get("/security").post(f"/security/sessions/{other}/end")
    assert here.path == "/security" and here.source.count("/security/sessions/") == 1
    assert there.get("/console").path == "/login"
    here.post(f"/security/sessions/{own}/end")
    assert here.path == "/login"


def test_signing_in_anew_leaves_the_old_session(server):
    name = new_user(server)
    browser = signed_in(server, name)
    old = Browser(server)
    old.cookies = dict(browser.cookies)
    assert is_inside(old)
    browser.sign_in("acme", name, PASSWORD)
    assert is_inside(browser) and old.get("/console").path == "/login"


def test_the_cookie_is_closed_to_scripts_and_other_sites(server):
    answer = Browser(server)
    import house as h
    form = f"tenant=acme&user=li&password={server.tenant('acme')['user']['password']}"
    status, headers, _ = h.request("POST", server.console + "/login/tenant", form, {
        "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"})
    cookie = headers["set-cookie"]
    assert status == 303 and "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert len(re.search(r"bailee-session=([0-9a-f]+)", cookie).group(1)) == 64
    answer.cookies = {"bailee-session": "0" * 64}
    assert answer.get("/console").path == "/login"


@pytest.mark.parametrize("path", ["/signin/totp/begin", "/signin/password", "/security/recovery", "/signin/factor",
                                  "/signin/passkey/bind/begin", "/logout", "/console/tickets"])
def test_a_form_without_our_token_or_from_elsewhere_is_refused(server, path):
    browser = signed_in(server, new_user(server))
    token = browser.get("/security").token()
    other = signed_in(server, new_user(server)).get("/security").token()
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": other}, {"csrf": token[:-1]}):
        assert browser.send("POST", path, form).status == 403, form
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}):
        assert browser.send("POST", path, {"csrf": token}, headers).status == 403, headers
    assert is_inside(browser), "and nobody was signed out"


def test_nobody_is_signed_in_from_another_site(server):
    user = server.tenant("acme")["user"]
    for path, form in [("/login/tenant", {"tenant": "acme", "user": user["name"], "password": user["password"]}),
                       ("/login/operator", {"operator": "op-lin", "password": server.operator("op-lin")["password"]})]:
        browser = Browser(server)
        assert browser.send("POST", path, form, {"Sec-Fetch-Site": "cross-site"}).status == 403
        assert not browser.cookies


# What policies see


def test_policies_that_ask_for_the_second_factor(server):
    document = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": ["bailee:*", "ram:GetUser", "oss:*"],
                "Resource": "*", "Condition": {"Bool": {"acs:MFAPresent": "true"}}}]}
    policy = "mfa-" + secrets.token_hex(3)
    rpc(server, "CreatePolicy", ok=True, PolicyName=policy, PolicyDocument=document)
    name = new_user(server, policy=None)
    rpc(server, "AttachPolicyToUser", ok=True, UserName=name, PolicyName=policy, PolicyType="Custom")
    browser = signed_in(server, name)
    assert browser.get("/security").status == 200, "one's own sign-in is open"
    for path in ("/console/data", "/console/data/acme-invoices"):
        assert browser.get(path).status == 403, path
    assert browser.get("/security").post("/console/trail/export").status == 403
    key, step, _ = browser.get("/security").bind_app()
    for path in ("/console/data", "/console/data/acme-invoices"):
        assert browser.get(path).status == 200, (path, browser.text)
    assert browser.get("/security").post("/console/trail/export").status == 200
    again = signed_in(server, name)
    again.post("/signin/factor", code=totp(key, step + 1))
    assert again.get("/console/data").status == 200
    # A key of the same user has no second factor.
    made = rpc(server, "CreateAccessKey", ok=True, UserName=name)["AccessKey"]
    pair = (made["AccessKeyId"], made["AccessKeySecret"])
    status, answer = rpc(server, "GetUser", key=pair, UserName=name)
    assert (status, answer["Code"]) == (403, "NoPermission"), answer
    # And a policy that refuses whoever has none.
    deny = {"Version": "1", "Statement": [{"Effect": "Deny", "Action": "ram:GetUser", "Resource": "*",
            "Condition": {"Bool": {"acs:MFAPresent": "false"}}},
            {"Effect": "Allow", "Action": "ram:GetUser", "Resource": "*"}]}
    rpc(server, "CreatePolicy", ok=True, PolicyName=policy + "-deny", PolicyDocument=deny)
    rpc(server, "AttachPolicyToUser", ok=True, UserName=name, PolicyName=policy + "-deny", PolicyType="Custom")
    status, answer = rpc(server, "GetUser", key=pair, UserName=name)
    assert (status, answer["Code"], answer["AccessDeniedDetail"]["NoPermissionType"]) == (403, "NoPermission", "ExplicitDeny")


# Known devices


def test_strangers_who_guess_do_not_keep_a_known_device_out(server):
    name = new_user(server)
    own = signed_in(server, name)
    assert own.path == "/console"
    device = own.cookies["bailee-device"]
    assert "bailee-device" not in signed_in(server, name, "wrong").cookies

    def hammer():
        while signed_in(server, name, "wrong").status != 429:
            pass

    def on(cookie, password=PASSWORD):
        browser = Browser(server)
        browser.cookies = {"bailee-device": cookie} if cookie else {}
        return browser.sign_in("acme", name, password)

    hammer()
    assert on(None).status == 429
    other = signed_in(server, new_user(server)).cookies["bailee-device"]
    assert other != device and on(other).status == 429, "another one's device"
    for bad in (device[:-1] + ("0" if device[-1] != "0" else "1"), "0" * 64, "x", device.upper()[:63], "." * 100):
        assert on(bad).status == 429, bad
    hammer()
    known = on(device)
    assert known.path == "/console" and known.status == 200
    assert known.cookies["bailee-device"] == device, "it is the same device"
    assert on(None).status == 429
    # Guesses through it wait, and do not make anybody else wait longer than they do.
    seen = []
    while 429 not in seen and len(seen) < 12:
        seen.append(on(device, "wrong").status)
    assert seen[-1] == 429 and seen.count(403) == 6, seen


def test_devices_are_seen_and_forgotten(server):
    name = new_user(server)
    here, there = signed_in(server, name), signed_in(server, name)
    ids = re.findall(r"/security/devices/([0-9a-f]+)/forget", here.get("/security").source)
    assert len(ids) == 2
    stranger = signed_in(server, new_user(server))
    assert stranger.get("/security").post(f"/security/devices/{ids[0]}/forget").status == 404
    for i in ids:
        here.get("/security").post(f"/security/devices/{i}/forget")
    assert here.get("/security").source.count("/security/devices/") == 0 and 'id="devices-none"' in here.source
    # A new password forgets them all, but for the one that it was chosen on.
    again = Browser(server)
    again.cookies = {"bailee-device": there.cookies["bailee-device"]}
    again.sign_in("acme", name, PASSWORD)
    first = again.cookies["bailee-device"]
    assert first != there.cookies["bailee-device"], "it was forgotten, so it is a new one"
    again.get("/security").post("/signin/password", old=PASSWORD, new="another Horse 8 x", again="another Horse 8 x")
    assert again.path == "/security" and again.source.count("/security/devices/") == 1
    assert again.cookies["bailee-device"].split(".")[0] != first.split(".")[0]


def test_the_cookie_of_a_device_is_closed_to_scripts(server):
    body = {"tenant": "acme", "user": new_user(server), "password": PASSWORD}
    status, headers, _ = h.request("POST", server.console + "/login/tenant", urllib.parse.urlencode(body),
                                   {"content-type": "application/x-www-form-urlencoded"})
    assert status == 303
    cookie = next(v for k, v in headers.items() if k.lower() == "set-cookie" and v.startswith("bailee-device="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and f"Max-Age={90 * 86400}" in cookie


def test_a_second_factor_is_not_asked_for_on_a_device_that_it_was_saved_on(server):
    name, key, step, codes, _ = with_app(server)
    browser = signed_in(server, name)
    assert 'name="save"' not in browser.source, "the account does not allow it"
    browser.post("/signin/factor", recovery=codes[0], save="yes")
    assert browser.path == "/console"

    def again():
        one = Browser(server)
        one.cookies = {"bailee-device": browser.cookies["bailee-device"]}
        return one.sign_in("acme", name, PASSWORD)

    assert again().path == "/signin", "a box that was not there"
    rpc(server, "SetSecurityPreference", IMS, ok=True, EnableSaveMFATicket="true")
    try:
        browser = signed_in(server, name)
        assert 'name="save"' in browser.source
        browser.post("/signin/factor", code=totp(key, step + 1), save="yes")
        assert browser.path == "/console"
        spared = again()
        assert spared.path == "/console"
        spared.get("/security")
        assert 'id="remove-totp"' not in spared.source, "what asks for a fresh factor asks"
        spared.post("/security/totp/remove")
        assert spared.status == 403
        assert signed_in(server, name).path == "/signin", "on that device only"
        device = re.search(r"/security/devices/([0-9a-f]+)/forget", spared.get("/security").source).group(1)
        spared.post(f"/security/devices/{device}/forget")
        assert again().path == "/signin"
    finally:
        rpc(server, "SetSecurityPreference", IMS, ok=True, EnableSaveMFATicket="false")
