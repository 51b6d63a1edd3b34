"""Notices: by mail to a server that is not ours (aiosmtpd), and by a signed webhook; settings on page and command line."""

import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import subprocess
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from kit import BIN, Browser, Server, run, wait_until


class OnAnyPort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Sink:
    """A mail server that keeps what it is sent; `no` answers are given first."""

    def __init__(self, no=(), **kw):
        self.mails, self.no, self.tried = [], list(no), 0
        self.controller = OnAnyPort(self, hostname="127.0.0.1", port=0, **kw)
        self.controller.start()
        self.port = self.controller.port

    async def handle_DATA(self, server, session, envelope):
        self.tried += 1
        if self.no:
            return self.no.pop(0)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"

    def to(self, address):
        return [m for _, rcpt, m in self.mails if rcpt == [address]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.controller.stop()


def mailing(server, port, more='tls = "none"', team="team@kestrel.example"):
    """Restarts a server with a mail server."""
    with open(f"{server.data}/bailee.toml", "a") as toml:
        toml.write(f'\n[mail]\nserver = "127.0.0.1"\nport = {port}\nfrom = "trust@kestrel.example"\nteam = "{team}"\n{more}\n')
    server.stop()
    server.start()


def ticket(browser, title="Pumps stand still"):
    browser.get("/console/tickets")
    browser.post("/console/tickets", title=title, message="the left one")
    assert browser.status == 200, browser.text
    return re.search(r'href="/console/tickets/(T-\d+)">', browser.source).group(1)


def settle(browser, addresses, **more):
    browser.get("/console/notifications")
    return browser.post("/console/notifications", addresses=addresses, **more)


def test_each_side_gets_mail_that_says_where_to_look_and_nothing_else():
    with Sink(no=["451 try again"]) as sink, Server() as s:
        mailing(s, sink.port)
        li, lin = Browser(s).login_tenant(s), Browser(s).login_operator(s)
        settle(li, "ops@acme.example ticket\r\n\r\nboss@acme.example consent alert\r\n")
        assert li.status == 200 and 'id="saved"' in li.source and "ops@acme.example ticket" in li.source, li.text
        mine = ticket(li)
        # The first try was refused; it comes all the same, once.
        wait_until(lambda: sink.to("team@kestrel.example"), 30)
        lin.get(f"/desk/tickets/{mine}")
        lin.post(f"/desk/tickets/{mine}/reply", message="which of the secret pumps?")
        wait_until(lambda: sink.to("ops@acme.example"), 30)
        lin.get("/desk/tickets/T-1/data/acme-invoices")
        lin.get("/desk/tickets/T-1")
        lin.post("/desk/tickets/T-1/ask", bucket="acme-invoices", key="invoices/2026-11/1.pdf", minutes="30", uses="1", reason="a secret reason")
        wait_until(lambda: sink.to("boss@acme.example"), 30)
        [mail] = sink.to("ops@acme.example")
        assert mail["From"] == "trust@kestrel.example" and mail["To"] == "ops@acme.example" and mail["Auto-Submitted"] == "auto-generated"
        assert mail["Subject"] == f"Ticket {mine} has something new / 工单 {mine} 有新内容"
        text = mail.get_content()
        assert f"/console/tickets/{mine}" in text and "请登录查看" in text and mail["Message-ID"] and mail["Date"].datetime
        assert re.search(r"Request \S+ waits for you / 请求", sink.to("boss@acme.example")[0]["Subject"])
        assert f"/desk/tickets/{mine}" in sink.to("team@kestrel.example")[0].get_content()
        for _, rcpt, mail in sink.mails:
            whole = mail.as_string() + mail.get_content()
            assert len(rcpt) == 1 and mail["To"] == rcpt[0]
            assert not any(word in whole for word in ("Pumps", "secret", "left one", "op-lin", "invoices")), whole
        acts = run(BIN, "trail", "acts", "--data", s.data, "--tenant", "acme", "--limit", "200", "--output", "json").stdout
        assert "SetNotifications" in acts or "SetNotifications" in li.get("/console/trail?family=own").text
        assert "@acme.example" not in acts
        # Another tenant's settings are its own.
        wang = Browser(s).login_tenant(s, "globex").get("/console/notifications")
        assert wang.status == 200 and "acme" not in wang.source


def test_what_is_no_address_is_refused_and_changes_nothing():
    with Server() as s:
        li = Browser(s).login_tenant(s)
        assert 'id="no-mail"' in settle(li, "ops@acme.example").source
        for wrong in ("a@b.cn%0D%0ABcc: x@y.cn", "a@b.cn\rBcc:x@y.cn", "ops@acme", "A <a@b.cn>", "a@b.cn,c@d.cn", "a@b.cn nothing",
                      "泵@b.cn", "a\0@b.cn", "\n".join(f"a{n}@b.cn" for n in range(11)), "a@b.cn\na@B.cn", "x" * 300 + "@b.cn"):
            assert settle(li, wrong).status == 400, wrong
        for hook in ("ftp://x.example", "https://u:p@x.example", "javascript:alert(1)", "https://x.example/\r\nA: b"):
            assert settle(li, "", webhook=hook, ticket="yes").status == 400, hook
        assert settle(li, "", webhook="https://x.example").status == 400, "a webhook that hears of nothing"
        assert "ops@acme.example ticket consent alert digest" in li.get("/console/notifications").source
        assert li.send("POST", "/console/notifications", {"addresses": "x@y.cn"}).status == 403
        lin = Browser(s).login_operator(s)
        assert lin.get("/console/notifications").status == 404
        # On the command line.
        out = lambda *more, **kw: run(BIN, "notify", *more, "--data", s.data, "--output", "json", **kw)
        shown = json.loads(out("show", "--tenant", "acme").stdout)
        assert shown["targets"] == [{"channel": "mail", "address": "ops@acme.example", "kinds": ["ticket", "consent", "alert", "digest"], "failed": None}]
        assert not shown["sendsMail"]
        secret = json.loads(out("set", "--tenant", "acme", "--mail", "a@acme.example=ticket", "--mail", "b@acme.example", "--webhook",
                                "https://chat.example/hook?key=1=alert").stdout)["secret"]
        assert secret.startswith("whsec-")
        assert [(t["address"], t["kinds"]) for t in json.loads(out("show", "--tenant", "acme").stdout)["targets"]] == [
            ("a@acme.example", ["ticket"]), ("b@acme.example", ["ticket", "consent", "alert", "digest"]), ("https://chat.example/hook?key=1", ["alert"])]
        assert secret not in li.get("/console/notifications").source
        assert "ops@example.com" in out("set", "--tenant", "acme", "--mail", "a\r\nb@c.cn", ok=2).stderr
        out("test", "a@acme.example", ok=1)


def test_mail_settings_are_read_strictly():
    with Server() as s:
        toml = f"{s.data}/bailee.toml"
        before = open(toml).read() if os.path.exists(toml) else ""
        base = 'server = "mail.kestrel.example"\nfrom = "trust@kestrel.example"\n'
        for wrong, why in [(base, "tls"), (base + 'tls = "none"', "this machine"), (base + 'tls = "maybe"', "tls"), (base + 'tls = "starttls"\nuser = "x"', "password_file"),
                           ('server = "x.example"\ntls = "implicit"\nfrom = "a@b.cn\\r\\nBcc: c@d.cn"', "from"), (base + 'tls = "implicit"\nteam = "nobody"', "team"),
                           (base + 'tls = "implicit"\nunknown = 1', "unknown"), (base + 'tls = "implicit"\nroots = "/nowhere"', "roots")]:
            with open(toml, "w") as f:
                f.write(f"{before}\n[mail]\n{wrong}\n")
            done = subprocess.run([BIN, "notify", "show", "--tenant", "acme", "--data", s.data], capture_output=True, text=True)
            assert done.returncode == 1 and why in done.stderr, (wrong, done.stderr)
        with open(toml, "w") as f:
            f.write(before)


def test_mail_over_tls_with_a_password(tmp_path):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=mail",
        "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{tmp_path}/key", "-out", f"{tmp_path}/cert")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{tmp_path}/cert", f"{tmp_path}/key")
    with open(os.open(f"{tmp_path}/password", os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("correct horse\n")
    known = lambda server, session, envelope, mechanism, auth: AuthResult(success=(auth.login, auth.password) == (b"bailee", b"correct horse"))
    more = f'user = "bailee"\npassword_file = "{tmp_path}/password"\n'
    with Server() as s, Sink(tls_context=context, require_starttls=True, auth_required=True, authenticator=known) as sink:
        test = lambda ok=0: run(BIN, "notify", "test", "a@acme.example", "--data", s.data, ok=ok)
        toml = f"{s.data}/bailee.toml"
        before = open(toml).read() if os.path.exists(toml) else ""

        def write(text):
            with open(toml, "w") as f:
                f.write(f'{before}\n[mail]\nserver = "127.0.0.1"\nport = {sink.port}\nfrom = "trust@kestrel.example"\n{text}\n')

        write(f'tls = "starttls"\nroots = "{tmp_path}/cert"\n{more}')
        test()
        assert len(sink.to("a@acme.example")) == 1
        # A certificate that nobody vouches for, or a wrong password: nothing is sent.
        write(f'tls = "starttls"\n{more}')
        assert "correct horse" not in test(ok=1).stderr
        with open(f"{tmp_path}/password", "w") as f:
            f.write("wrong\n")
        write(f'tls = "starttls"\nroots = "{tmp_path}/cert"\n{more}')
        assert "wrong" not in test(ok=1).stderr.replace("wrong password", "")
        assert len(sink.mails) == 1
        with open(toml, "w") as f:
            f.write(before)


def test_a_webhook_gets_signed_notices_and_none_is_lost_when_the_server_is_killed():
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((dict(self.headers.items()), body))
            self.send_response(500 if len(got) == 1 else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    try:
        with Server() as s:
            li, lin = Browser(s).login_tenant(s), Browser(s).login_operator(s)
            settle(li, "", webhook=f"http://127.0.0.1:{hook.server_port}/hook", ticket="yes")
            secret = re.search(r"whsec-\w+", li.source).group(0)
            assert "whsec" not in settle(li, "", webhook=f"http://127.0.0.1:{hook.server_port}/hook", ticket="yes", alert="yes").source
            lin.get("/desk/tickets/T-1")
            lin.post("/desk/tickets/T-1/reply", message="which pump?")
            wait_until(lambda: len(got) >= 1, 30)
            s.kill()
            s.start()
            about = lambda: [json.loads(b) for _, b in got[1:] if json.loads(b)["kind"] == "ticket"]
            # The killed server may have had the notice: it is said again when its lease is over.
            wait_until(about, 60)
            for headers, body in got:
                mac = hmac.new(secret.encode(), headers["bailee-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
                assert headers["bailee-signature"] == "v1=" + mac
            told = about()[0]
            assert told["reference"] == "T-1" and told["link"].endswith("/console/tickets/T-1") and told["tenant"] == s.tenant("acme")["id"], told
            assert set(told) == {"id", "kind", "tenant", "reference", "link", "at"}
            first = json.loads(got[0][1])
            assert first["kind"] != "ticket" or first["id"] == told["id"], "a repetition is known by its id"
    finally:
        hook.shutdown()
