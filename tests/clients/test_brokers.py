"""Operators at customers' systems: real ssh, scp and psql through the brokers, only by consent, recorded."""

import getpass
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
from kit import BIN, VERIFY, Browser, House, Server, run, wait_until
from test_collect import Collector, collected
from test_postgres import cluster  # noqa: F401

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Brokers(Server):
    """A sample house with both brokers on free ports."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bailee-e2e-")
        listen = {"BAILEE_SSH_LISTEN": "127.0.0.1:0", "BAILEE_POSTGRES_LISTEN": "127.0.0.1:0"}
        House.__init__(self, self.folder.name + "/data", env=listen)

    def port(self, broker):
        return self.facts["brokers"][broker].rsplit(":", 1)[1]


class Host:
    """A real OpenSSH server on a free port that trusts one authority."""

    def __init__(self, folder):
        assert os.path.exists(SSHD), "openssh-server is missing: apt-get install openssh-server"
        self.folder, self.port = pathlib.Path(folder), free_port()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "host"], check=True)
        self.key = (self.folder / "host.pub").read_text().strip()
        self.process = None

    def start(self, authority):
        (self.folder / "ca.pub").write_text(authority + "\n")
        os.makedirs("/run/sshd", exist_ok=True)
        config = f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.folder}/host
TrustedUserCAKeys {self.folder}/ca.pub
AuthorizedKeysFile {self.folder}/keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""
        (self.folder / "config").write_text(config)
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", self.folder / "config"], stderr=open(self.folder / "log", "wb")
        )
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def host():
    with tempfile.TemporaryDirectory(prefix="bailee-host-") as folder:
        host = Host(folder)
        yield host
        host.stop()


def consent(lin, li, target, **wanted):
    """An operator asks for a session with a system, the tenant approves; answers the grant."""
    lin.get("/desk/tickets/T-1/ask-target")
    assert lin.status == 200 and f'id="ask-{target}"' in lin.source, lin.text
    lin.post(
        "/desk/tickets/T-1/ask-target", target=target, minutes="30", uses="5", reason="nginx does not start", **wanted
    )
    assert lin.status == 200, lin.text
    grant = re.search(r"G-[a-z0-9]{12}", lin.source).group(0)
    li.get("/console/consent")
    assert "nginx does not start" in li.text
    li.post(f"/console/consent/{grant}/approve", minutes="30", uses="5")
    assert li.status == 200, li.text
    return grant


def session(lin, target, family):
    lin.get("/desk")
    lin.post("/desk/tickets/T-1/session", target=target, family=family)
    assert lin.status == 200, lin.text
    name = re.search(r'id="session">([^<]+)<', lin.source).group(1)
    secret = re.search(r'id="secret">([^<]+)<', lin.source).group(1)
    return name, secret


def add_host(li, host, name="web-1"):
    li.get("/console/targets")
    li.post(
        "/console/targets",
        family="host",
        name=name,
        address=f"127.0.0.1:{host.port}",
        login=getpass.getuser(),
        host_keys=host.key,
    )
    assert li.status == 200, li.text
    authority = re.search(r"ssh-ed25519 [A-Za-z0-9+/=]+ bailee-" + name, li.source).group(0)
    host.start(authority)


def ssh(s, folder, name, secret, *command, tool="ssh", data=b"", wait=True):
    """Runs OpenSSH's own client; it is given the secret as a person would give it."""
    ask = pathlib.Path(folder) / "ask"
    ask.write_text('#!/bin/sh\nprintf "%s\\n" "$BAILEE_SECRET"\n')
    ask.chmod(0o700)
    env = {
        **os.environ,
        "BAILEE_SECRET": secret,
        "SSH_ASKPASS": str(ask),
        "SSH_ASKPASS_REQUIRE": "force",
        "DISPLAY": "none",
    }
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    options += ["-o", "NumberOfPasswordPrompts=1", "-P" if tool != "ssh" else "-p", s.port("ssh")]
    call = [tool, *options, *([f"{name}@127.0.0.1"] if tool == "ssh" else []), *command]
    if not wait:
        return subprocess.Popen(call, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return subprocess.run(call, env=env, input=data, capture_output=True, timeout=60)


def recording(li, name, form="json"):
    li.get(f"/console/sessions/{name}")
    assert li.status == 200, li.text
    li.post(f"/console/sessions/{name}/recording", form=form)
    assert li.status == 200, li.text
    return [json.loads(line) for line in li.data.decode().splitlines()] if form == "json" else li.source


def bytes_of(frames, side):
    return b"".join(bytes.fromhex(f["hex"]) for f in frames if f["side"] == side)


def test_an_operator_works_on_a_host_only_by_consent_and_all_of_it_is_recorded(host):
    with Brokers() as s, tempfile.TemporaryDirectory() as folder:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        add_host(li, host)
        lin.get("/desk")
        lin.post("/desk/tickets/T-1/session", target="web-1", family="host")
        assert lin.status == 403 and "none was asked for" in lin.text, lin.text
        consent(lin, li, "web-1", family="host", exec="yes", download="yes")
        name, secret = session(lin, "web-1", "host")

        wrong = ssh(s, folder, name, "x" * 40, "id")
        assert wrong.returncode == 255 and b"Permission denied" in wrong.stderr, wrong
        done = ssh(s, folder, name, secret, "cat; echo over >&2; exit 7", data=b"a script\n")
        assert (done.returncode, done.stdout) == (7, b"a script\n"), done
        assert b"over" in done.stderr

        wanted = pathlib.Path(folder) / "wanted"
        wanted.write_bytes(os.urandom(300_000))
        got = ssh(s, folder, name, secret, f"{name}@127.0.0.1:{wanted}", f"{folder}/got", tool="scp")
        assert got.returncode == 0, got
        assert (pathlib.Path(folder) / "got").read_bytes() == wanted.read_bytes()
        put = ssh(s, folder, name, secret, str(wanted), f"{name}@127.0.0.1:{folder}/put", tool="scp")
        assert put.returncode != 0 and not (pathlib.Path(folder) / "put").exists(), "only downloads were granted"
        shell = ssh(s, folder, name, secret, "-tt", data=b"id\nexit\n")
        assert shell.returncode != 0 and b"uid=" not in shell.stdout, "no shell was granted"
        forward = ssh(s, folder, name, secret, "-W", f"127.0.0.1:{host.port}")
        assert b"SSH-2.0" not in forward.stdout

        li.get("/console/sessions")
        assert name in li.text and "op-lin" not in li.source
        frames = recording(li, name)
        assert b"a script\n" in bytes_of(frames, "client")
        assert len(bytes_of(frames, "target")) > len(wanted.read_bytes()), "sftp puts heads between"
        kinds = [f["note"]["kind"] for f in frames if f["side"] == "note"]
        assert {"connect", "login", "exec", "exit", "refused", "sftp"} <= set(kinds), kinds
        li.get("/console/trail")
        for word in ["StartSession", "web-1"]:
            assert word in li.text, (word, li.text)
        # Who trusts neither side replays it: each session lies under a grant that the tenant approved.
        bundle = str(pathlib.Path(folder) / "acme.bundle")
        run(BIN, "trail", "export", "--data", str(s.data), "--tenant", "acme", "-o", bundle)
        run(VERIFY, bundle)


def test_the_tenant_cuts_a_session_and_revoking_ends_it_too(host):
    with Brokers() as s, tempfile.TemporaryDirectory() as folder:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        add_host(li, host)
        grant = consent(lin, li, "web-1", family="host", exec="yes")

        def running():
            name, secret = session(lin, "web-1", "host")
            process = ssh(s, folder, name, secret, "echo on; sleep 60", wait=False)
            assert process.stdout.readline() == b"on\n", process.stderr.read()
            return name, secret, process

        name, secret, process = running()
        li.get("/console/consent")
        assert f'id="cut-{name}"' in li.source, "who is in now stands above the grants"
        li.get(f"/console/sessions/{name}")
        began = time.monotonic()
        li.post(f"/console/sessions/{name}/cut")
        process.wait(timeout=5)
        assert time.monotonic() - began < 3
        assert b"the tenant cut it" in process.stderr.read()
        again = ssh(s, folder, name, secret, "id")
        assert again.returncode == 255, "a session that was cut is over"

        name, secret, process = running()
        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/revoke")
        process.wait(timeout=5)
        assert b"revoked" in process.stderr.read()

        # The end of each recording stands in the log.
        for _ in range(50):
            li.get("/console/trail")
            if li.text.count("CloseRecording") >= 2:
                break
            time.sleep(0.2)
        assert li.text.count("CloseRecording") >= 2, li.text


def test_a_recording_is_read_masked_and_unmasked_only_on_record(host):
    with Brokers() as s, tempfile.TemporaryDirectory() as folder:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        add_host(li, host)
        consent(lin, li, "web-1", family="host", shell="yes")
        name, secret = session(lin, "web-1", "host")
        # A person at a terminal: what is typed comes in pieces, and the host echoes it.
        process = ssh(s, folder, name, secret, "-tt", wait=False)
        greeting = b""
        while not re.search(rb"[#$] (\x1b\S*)?$", greeting):
            some = os.read(process.stdout.fileno(), 4096)
            assert some, (greeting, process.stderr.read())
            greeting += some
        for piece in ["echo --pass", "word=hunt", "er2 PRJ-0", "42\n", "printf 'Pass'; printf 'word: '; read -s it\n"]:
            process.stdin.write(piece.encode())
            process.stdin.flush()
            time.sleep(0.3)
        time.sleep(1)
        out, _ = process.communicate(b"open-sesame\nexit\n", timeout=30)
        assert b"hunter2" in out, out

        li.get("/console/sessions/masks")
        assert li.status == 200 and "Nobody has set it" in li.text
        frames = recording(li, name)
        raw = [bytes_of(frames, side) for side in ["client", "target"]]
        assert all(b"hunter2" not in b and b"--password=*******" in b and b"PRJ-042" in b for b in raw), raw
        assert b"open-sesame" not in raw[0] and b"exit" in raw[0], raw
        for form in ["page", "asciicast"]:
            text = recording(li, name, form)
            assert "hunter2" not in text and "ter2" not in text and "***" in text, form

        li.get(f"/console/sessions/{name}")
        li.post(f"/console/sessions/{name}/recording", form="json", unmasked="1")
        assert li.status == 200, li.text
        bare = [json.loads(line) for line in li.data.decode().splitlines()]
        assert b"hunter2" in bytes_of(bare, "target") and b"open-sesame" in bytes_of(bare, "client")
        assert [len(f.get("hex", "")) for f in frames] == [len(f.get("hex", "")) for f in bare], "lengths stay"
        li.get("/console/trail?family=own")
        assert "ReplayUnmasked" in li.text and "ReadRecording" in li.text, li.text

        li.get("/console/sessions/masks")
        li.post("/console/sessions/masks", cards="1", own="projects = PRJ-([0-9]+")
        assert li.status == 400 and "projects" in li.text and "unclosed group" in li.text, li.text
        li.get("/console/sessions/masks")
        li.post("/console/sessions/masks", cards="1", own="projects = PRJ-([0-9]+)")
        assert li.status == 200, li.text
        assert b"hunter2 PRJ-***" in bytes_of(recording(li, name), "target")
        lin.get(f"/console/sessions/{name}")
        assert lin.status in (403, 404) or "sign in" in lin.text.lower(), (lin.status, lin.text)
        bundle = str(pathlib.Path(folder) / "acme.bundle")
        run(BIN, "trail", "export", "--data", str(s.data), "--tenant", "acme", "-o", bundle)
        run(VERIFY, bundle)


SEEN = """
version: 1
source: sshd
actors: [{ actor: "*", broker: true }]
tenants: [{ resource: "*", tenant: acme }]
rules:
  - { name: server, when: { action: "server message" }, ignore: true }
  - { name: sign-ins, event: "SSH-{action}", type: CUSTOMER_INITIATED_SUPPORT }
"""


def test_what_the_hosts_log_shows_is_laid_to_the_session_and_a_way_around_it_alerts_the_tenant(host, tmp_path):
    with Brokers() as s:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        add_host(li, host)
        consent(lin, li, "web-1", family="host", exec="yes")
        name, secret = session(lin, "web-1", "host")
        assert ssh(s, tmp_path, name, secret, "true").returncode == 0
        log = host.folder / "log"
        wait_until(lambda: "Accepted publickey" in log.read_text())
        collector = Collector(s, tmp_path / "c", "sshd", SEEN, "--file", log)
        collector.start("--follow")
        try:
            wait_until(lambda: collected(s))
            login = collected(s)[0]
            assert f"let in by session {name}" in li.get("/console/trail").text
            assert login["event"] == "collected:SSH-login" and login["who"].startswith("emp-"), login

            def reconcile(code=0):
                span = ["--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z"]
                done = s.run("collect", "reconcile", "--tenant", "acme", *span, "--output", "json", code=code)
                return json.loads(done.stdout)

            found = reconcile()
            assert found["inSessions"] >= 1 and not found["uncovered"] and not found["sessionsNotSeen"], found
            run(VERIFY, s.export())

            # An operator with a key of his own on the host, while he has a session: within ten seconds the tenant knows.
            own, me = host.folder / "own", f"{getpass.getuser()}@127.0.0.1"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own], check=True)
            (host.folder / "keys").write_text((host.folder / "own.pub").read_text())
            options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-F", "/dev/null"]
            around = subprocess.run(["ssh", *options, "-i", own, "-p", str(host.port), me, "true"], capture_output=True, timeout=60)
            assert around.returncode == 0, around.stderr
            alerts = lambda: json.loads(s.run("trail", "alerts", "--tenant", "acme", "--output", "json").stdout)["alerts"]
            wait_until(lambda: "uncovered" in [a["kind"] for a in alerts()], 10)
            assert "nothing let it in: it did not come by a broker" in li.get("/console/trail").text
            assert len(reconcile(code=3)["uncovered"]) == 1
            said = run(VERIFY, s.export()).stdout
            assert "nothing let in: 1" in said, said
        finally:
            collector.kill()


@pytest.fixture
def database(cluster):
    """A role that makes roles, one that may read one table, and the table, in a PostgreSQL of its own."""
    url = cluster.url
    tag = os.urandom(4).hex()
    names = {"db": f"shop_{tag}", "admin": f"admin_{tag}", "reader": f"reader_{tag}"}

    def sql(text, db=None):
        target = re.sub(r"/[^/?]*(\?|$)", rf"/{db}\1", url) if db else url
        done = subprocess.run(["psql", target, "-v", "ON_ERROR_STOP=1", "-qAtc", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    sql(f"CREATE DATABASE {names['db']}")
    sql(
        f"CREATE ROLE {names['admin']} LOGIN PASSWORD 'pw-{tag}' CREATEROLE; CREATE ROLE {names['reader']};"
        f"GRANT {names['reader']} TO {names['admin']} WITH ADMIN OPTION;"
        "CREATE TABLE orders (id int, total int); INSERT INTO orders VALUES (1, 20), (2, 22);"
        f"CREATE TABLE salaries (who text); GRANT SELECT ON orders TO {names['reader']};"
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        names["db"],
    )
    host, port = re.search(r"@([^:/]+):(\d+)", url).groups()
    yield {**names, "password": f"pw-{tag}", "address": f"{host}:{port}", "sql": sql}


def psql(s, name, secret, text):
    call = ["psql", f"host=127.0.0.1 port={s.port('postgres')} user={name} sslmode=disable", "-qAtc", text]
    return subprocess.run(call, env={**os.environ, "PGPASSWORD": secret}, capture_output=True, text=True, timeout=60)


def test_an_operator_reads_a_database_as_far_as_the_grant_goes(database):
    with Brokers() as s:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        li.get("/console/targets")
        li.post(
            "/console/targets",
            family="database",
            name="shop",
            address=database["address"],
            database=database["db"],
            admin=database["admin"],
            password=database["password"],
            roles=database["reader"],
        )
        assert li.status == 200 and database["password"] not in li.source, li.text
        consent(lin, li, "shop", family="database", roles=database["reader"])
        name, secret = session(lin, "shop", "database")
        assert psql(s, name, "x" * 40, "SELECT 1").returncode != 0
        done = psql(s, name, secret, "SELECT sum(total) FROM orders")
        assert (done.returncode, done.stdout.strip()) == (0, "42"), done
        for refused in [
            "SELECT * FROM salaries",
            "INSERT INTO orders VALUES (3, 1)",
            "SET default_transaction_read_only = off; INSERT INTO orders VALUES (3, 1)",
            f"SET ROLE {database['admin']}; SELECT 1",
            "COPY (SELECT 1) TO PROGRAM 'true'",
        ]:
            no = psql(s, name, secret, refused)
            assert no.returncode != 0, (refused, no)
        assert database["sql"]("SELECT count(*) FROM orders", database["db"]).strip() == "2"
        frames = recording(li, name)
        statements = [f["note"] for f in frames if f["side"] == "note"]
        assert any("SELECT sum(total) FROM orders" in json.dumps(n) for n in statements), statements
        assert any("SELECT * FROM salaries" in json.dumps(n) for n in statements)
        li.get(f"/console/sessions/{name}")
        li.post(f"/console/sessions/{name}/cut")
        assert psql(s, name, secret, "SELECT 1").returncode != 0
        for _ in range(50):
            left = database["sql"]("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'bailee\\_%'").strip()
            if left == "0":
                break
            time.sleep(0.1)
        assert left == "0", "the session's roles are gone"


def test_what_is_not_theirs_stays_closed(host):
    with Brokers() as s, tempfile.TemporaryDirectory() as folder:
        lin, li = Browser(s).login_operator(s), Browser(s).login_tenant(s)
        wang = Browser(s).login_tenant(s, "globex")
        add_host(li, host)
        consent(lin, li, "web-1", family="host", exec="yes")
        name, secret = session(lin, "web-1", "host")
        assert ssh(s, folder, name, secret, "echo in").stdout == b"in\n"
        wang.get("/console/sessions")
        assert name not in wang.source
        for path in [f"/console/sessions/{name}", "/console/sessions/s-aaaaaaaaaaaaaaaa"]:
            wang.get(path)
            assert wang.status == 404, (path, wang.text)
        wang.get("/console/targets")
        for what in ["cut", "recording"]:
            wang.post(f"/console/sessions/{name}/{what}")
            assert wang.status == 404, wang.text
        assert ssh(s, folder, name, secret, "echo in").stdout == b"in\n", "it goes on"
        for bad in [
            {"name": "X", "address": "127.0.0.1:22", "login": "a", "host_keys": host.key},
            {"name": "web-2", "address": "127.0.0.1", "login": "a", "host_keys": host.key},
            {"name": "web-2", "address": "127.0.0.1:22", "login": "a,root", "host_keys": host.key},
            {"name": "web-2", "address": "127.0.0.1:22", "login": "a", "host_keys": ""},
        ]:
            li.get("/console/targets")
            li.post("/console/targets", family="host", **bad)
            assert li.status == 400, (bad, li.text)
        text = s.log_text()
        assert secret not in text
