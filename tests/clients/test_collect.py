"""`bailee collect`: logs that real programs wrote, in the trail of the tenant whom they touch, once.

PostgreSQL with pgaudit and OpenSSH run here. The kernel's audit does not run in a container: that log is in its form and is
read by `ausearch` as well. Kubernetes' and OSS' lines are written after their documentation.
"""

import collections
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

import house as h
from kit import Browser, wait_until
from test_postgres import Cluster, newest_programs
from test_trail import OBJECT, consented_read

SAMPLES = pathlib.Path(__file__).parents[2] / "crates/collect/samples"


class Collector:
    """A collector of one log, with a credential and a state folder of its own."""

    def __init__(self, house, folder, source, mapping, *where, name="c-1", sources=None):
        self.house, self.folder, self.source, self.where = house, folder, source, where
        folder.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.map, self.token = folder / "map.yaml", folder / "token"
        self.map.write_text(mapping)
        made = house.run("collector", "add", name, "--sources", sources or source, "--output", "json")
        self.token.write_text(json.loads(made.stdout)["token"] + "\n")

    def command(self, *more):
        return ["collect", self.source, "--map", str(self.map), *map(str, self.where), "--server", self.house.console,
                "--token-file", str(self.token), "--state", str(self.state), *more]

    def once(self, code=0):
        done = h.bailee(*self.command("--output", "json"), code=code)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def start(self, *more):
        self.said = open(self.folder / "said", "ab")
        self.process = subprocess.Popen([h.BIN, *self.command(*more)], stdout=self.said, stderr=self.said)
        return self.process

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.said.close()

    def unmapped(self):
        path = self.state / "unmapped.log"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(self.state.stat().st_mode) == 0o700
        return [json.loads(line) for line in path.read_text().splitlines()]


def collected(house, alias="acme"):
    """All collected acts of a tenant, oldest first."""
    found, before = [], []
    while True:
        page = json.loads(house.run("trail", "acts", "--tenant", alias, "--limit", "1000", "--output", "json", *before).stdout)
        found += [a for a in page["acts"] if a["event"].startswith("collected:")]
        if page["next_before"] is None:
            return found[::-1]
        before = ["--before", str(page["next_before"])]


class Audited(Cluster):
    """PostgreSQL that logs as csvlog what pgaudit sees."""

    def start(self):
        with open(self.folder / "data/postgresql.auto.conf", "a") as conf:
            conf.write("shared_preload_libraries = 'pgaudit'\nlogging_collector = on\nlog_destination = 'csvlog'\n"
                       f"log_directory = '{self.folder}'\nlog_filename = 'pg.log'\npgaudit.log = 'read, write, role'\n"
                       "pgaudit.log_relation = on\nlog_connections = on\nlog_timezone = 'UTC'\n")
        super().start()

    def sql(self, user, *statements, database="acme", code=0):
        command = [self.bin / "psql", "-qAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", database]
        for statement in statements:
            command += ["-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done.stdout


POSTGRES = """
version: 1
source: postgres
actors:
  - { actor: lin, operator: op-lin }
  - { actor: bailee, automatic: true }
tenants:
  - { resource: [acme, acme/*], tenant: acme }
rules:
  - name: the server about itself
    when: { actor: "", action: ["server message", "connection received"] }
    ignore: true
  - name: rows read
    when: { action: "READ *" }
    event: SelectRows
    type: CUSTOMER_INITIATED_SUPPORT
    level: WARNING
    description: "{command} on {object}"
    detail: { statement: "{statementDigest}" }
  - name: privileges
    when: { action: "ROLE *", resource: "acme*" }
    event: ChangePrivileges
    type: ALIYUN_INITIATED_SERVICE
  - name: refused
    when: { outcome: refused }
    type: ALIYUN_INITIATED_SERVICE
  - name: connections
    when: { action: [connect, "WRITE *", "ROLE *"] }
    ignore: true
"""
SECRET = "a row that only acme may know"


def test_postgresql_with_pgaudit(house, tmp_path_factory):
    library = newest_programs().parent / "lib/pgaudit.so"
    assert library.exists(), f"{library} is not there: `cargo xtask test` installs it as root"
    folder = tmp_path_factory.mktemp("pg")
    cluster = Audited(folder / "cluster")
    try:
        cluster.sql("bailee", "create database acme", "create role lin login", database="postgres")
        cluster.sql("bailee", "create extension pgaudit", "create table invoices (id int, note text)",
                    f"insert into invoices values (1, '{SECRET}')", "grant select on invoices to lin")
        rows = cluster.sql("lin", f"select id\nfrom invoices\nwhere note = '{SECRET}' or note = '\"x\", y'")
        assert rows == "1\n"
        cluster.sql("lin", "delete from invoices", code=1)
        log = cluster.folder / "pg.csv"
        wait_until(lambda: b"permission denied" in log.read_bytes())
        collector = Collector(house, folder / "c", "postgres", POSTGRES, "--file", log)
        checked = h.bailee("collect", "check", "--map", str(collector.map), "--file", str(log)).stdout
        assert "SelectRows on acme/public.invoices of acme by op-lin, CUSTOMER_INITIATED_SUPPORT, done (rows read)" in checked
        said = collector.once()
        # lin's select, his refused delete, the grant: what pgaudit, the server and pgaudit told of.
        assert said["recorded"] == 3 and said["refused"] == 0 and said["ignored"] > 5, said
        assert collector.unmapped() == []
        acts = collected(house)
        by_name = {a["event"]: a for a in acts}
        assert set(by_name) == {"collected:SelectRows", "collected:ChangePrivileges", "collected:error"}
        read = by_name["collected:SelectRows"]
        assert (read["result"], read["place"], read["reason"]) == ("done", "CN", "SELECT on public.invoices")
        assert read["resource"].endswith(":acme/public.invoices") and re.fullmatch("emp-[a-z2-7]{16}", read["who"])
        refused = by_name["collected:error"]
        assert refused["result"] == "refused" and "42501" in refused["error"] and refused["who"] == read["who"]
        assert by_name["collected:ChangePrivileges"]["who"] == "", "automatic operations have no employee"

        # Again: nothing is new. A lost state: the server knows what it has.
        assert collector.once()["read"] == 0
        shutil.rmtree(collector.state)
        again = collector.once()
        assert (again["recorded"], again["duplicates"]) == (0, 3), again
        assert collected(house) == acts

        # The tenant sees it among other acts, with its source, and the line's digest is that of the log.
        li = Browser(house).login_tenant(house)
        assert "collected from postgres" in li.get("/console/trail").text
        li.get(f"/console/trail/{read['record']}")
        digest = re.search(r'"line":\s*"([0-9a-f]{64})"', li.text).group(1)
        text = log.read_bytes()
        start = text.index(b'AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.invoices,""select id')
        line = text[text.rindex(b"\n2", 0, start) + 1 : text.index(b"client backend", start)]
        line += text[start:].split(b"client backend", 1)[1].split(b"\n")[0].join([b"client backend", b""])
        assert hashlib.sha256(line).hexdigest() == digest
        # Neither what was asked nor what the log calls the operator reaches the tenant.
        bundle = house.export()
        h.verify(bundle)
        data = bundle.read_bytes()
        assert SECRET.encode() not in data and b'"lin"' not in data and digest.encode() in data
        assert SECRET not in house.log_text()
    finally:
        cluster.stop()


AUDITD = """
version: 1
source: auditd
actors:
  - { actor: "1000", operator: op-lin }
  - { actor: unset, automatic: true }
tenants:
  - { resource: "/srv/acme/*", tenant: acme }
  - { resource: /usr/sbin/sshd, tenant: acme }
rules:
  - name: sign-ins
    when: { action: USER_LOGIN }
    event: SignIn
    type: ALIYUN_INITIATED_SERVICE
  - name: files
    type: ALIYUN_INITIATED_SERVICE
    detail: { program: "{exe}" }
"""


def test_auditd_reads_as_ausearch_does(house, tmp_path):
    log = SAMPLES / "auditd.log"
    ausearch = shutil.which("ausearch") or "/usr/sbin/ausearch"
    assert os.path.exists(ausearch), "ausearch (package auditd) is not there: `cargo xtask test` installs it as root"
    told = subprocess.run([ausearch, "-if", str(log), "--format", "csv"], capture_output=True, text=True, timeout=60).stdout
    theirs = [line.split(",") for line in told.splitlines()[1:]]
    collector = Collector(house, tmp_path / "c", "auditd", AUDITD, "--file", log)
    said = collector.once()
    assert said["read"] == len(theirs) == 4, (said, told)
    assert (said["recorded"], said["unmapped"]) == (3, 1)
    # Theirs and ours name the same objects and results.
    ours = [(a["resource"].split(":")[-1], a["result"]) for a in collected(house)]
    assert ours == [("/srv/acme/invoices.db", "refused"), ("/usr/sbin/sshd", "done"), ("/srv/acme/old log.1", "done")]
    for (resource, result), words in zip(ours[:1] + ours[2:], [theirs[0], theirs[3]]):
        assert resource in words and ("success" if result == "done" else "failed") in words, (resource, words)
    kept, = collector.unmapped()
    assert kept["reason"] == "rule `files`: nobody of `tenants` fits" and "tar" in kept["raw"]
    assert kept["sha256"] == hashlib.sha256(kept["raw"].encode()).hexdigest()


SSHD = """
version: 1
source: sshd
actors:
  - { actor: "%s", operator: op-lin }
tenants:
  - { resource: [login, session], tenant: acme }
rules:
  - name: server
    when: { action: "server message" }
    ignore: true
  - name: sign-ins
    event: "SSH-{action}"
    type: CUSTOMER_INITIATED_SUPPORT
    level: WARNING
    detail: { key: "{key}" }
"""


def test_openssh_sign_ins(house, tmp_path):
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    assert os.path.exists(sshd), "sshd (package openssh-server) is not there: `cargo xtask test` installs it as root"
    me = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o755)
    for name in ("host", "mine", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    if os.geteuid() == 0:
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)  # where sshd puts itself after the sign-in
    log = folder / "log"
    options = {"ListenAddress": "127.0.0.1", "AuthorizedKeysFile": folder / "mine.pub", "PidFile": "none", "UsePAM": "no",
               "StrictModes": "no", "PermitRootLogin": "yes", "LogLevel": "VERBOSE"}
    command = [sshd, "-D", "-f", "/dev/null", "-p", str(port), "-h", folder / "host", "-E", log]
    server = subprocess.Popen(command + [w for k, v in options.items() for w in ("-o", f"{k}={v}")])

    def sign_in(key):
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                 "-o", "IdentitiesOnly=yes", "-F", "/dev/null"]
        return subprocess.run(["ssh", *known, "-p", str(port), "-i", folder / key, f"{me}@127.0.0.1", "true"],
                              capture_output=True, timeout=60).returncode

    try:
        wait_until(lambda: log.exists() and "Server listening" in log.read_text())
        assert sign_in("mine") == 0 and sign_in("other") == 255
        wait_until(lambda: "Failed publickey" in log.read_text() and "Disconnected from user" in log.read_text())
    finally:
        server.terminate()
        server.wait(30)
    collector = Collector(house, tmp_path / "c", "sshd", SSHD % me, "--file", log)
    said = collector.once()
    assert said["recorded"] == 4 and said["unmapped"] == 0, (said, log.read_text())
    told = [(a["event"], a["result"]) for a in collected(house)]
    assert told == [("collected:SSH-login", "done"), ("collected:SSH-session", "done"), ("collected:SSH-logout", "done"),
                    ("collected:SSH-login", "refused")]
    # sshd's own log has no times: the event says whose time it is.
    event = Browser(house).login_tenant(house).get(f"/console/trail/{collected(house)[0]['record']}").text
    assert '"timeBy":"collector"' in event.replace(" ", "")
    h.verify(house.export())


def audit_event(n):
    stamp = f"msg=audit(1764{n // 1000:06}.{n % 1000:03}:{n})"
    return (f'type=SYSCALL {stamp}: arch=c000003e syscall=257 success=yes exit=3 items=1 pid=1 auid=1000 uid=0 comm="cat" '
            f'exe="/usr/bin/cat" key="k"\ntype=PATH {stamp}: item=0 name="/srv/acme/f{n}" nametype=NORMAL\n'
            f'type=PROCTITLE {stamp}: proctitle="cat"\n')


def test_killed_rotated_and_without_a_server_each_event_arrives_once(house, tmp_path, chance):
    log = tmp_path / "audit.log"
    log.touch()
    collector = Collector(house, tmp_path / "c", "auditd", AUDITD, "--file", log)
    total, written, done = 900, 0, threading.Event()

    def write():
        nonlocal written
        rotated = 0
        while written < total:
            lines = "".join(audit_event(written + i) for i in range(30))
            with open(log, "a") as f:
                # In pieces, so that the reader meets halves of lines.
                cut = chance.randrange(len(lines))
                f.write(lines[:cut])
                f.flush()
                time.sleep(0.02)
                f.write(lines[cut:])
            written += 30
            if written % 150 == 0:
                rotated += 1
                for n in range(rotated, 1, -1):
                    if os.path.exists(f"{log}.{n - 1}"):
                        os.rename(f"{log}.{n - 1}", f"{log}.{n}")
                os.rename(log, f"{log}.1")
                log.touch()
            time.sleep(chance.uniform(0, 0.2))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    kills = 0
    while not done.is_set():
        collector.start("--follow")
        time.sleep(chance.uniform(0.1, 0.9))
        collector.kill()
        kills += 1
    writer.join()
    assert kills >= 3
    house.kill()
    # Nobody listens: what is read waits on disk.
    with open(log, "a") as f:
        f.write(audit_event(total))
    assert "it is kept, and sent when you run this again" in collector.once(code=1)
    assert "Bearer" not in (collector.folder / "said").read_text() and "bct." not in (collector.folder / "said").read_text()
    house.start()
    collector.start("--follow")
    wait_until(lambda: len(collected(house)) >= total + 1, seconds=60)
    # What it had to wait for: the state is saved, and nothing waits.
    wait_until(lambda: json.loads((collector.state / "state.json").read_text())["pending"] is None)
    collector.kill()
    counts = collections.Counter(a["resource"].split(":")[-1] for a in collected(house))
    assert counts == {f"/srv/acme/f{n}": 1 for n in range(total + 1)}, counts.most_common(3)
    assert collector.unmapped() == []
    state = collector.once()
    assert (state["recorded"], state["duplicates"]) == (0, 0), state
    h.verify(house.export())


KUBERNETES = """
version: 1
source: kubernetes
actors:
  - { actor: "bailee:op:lin", operator: op-lin }
  - { actor: lin, operator: op-who }
tenants:
  - { resource: "acme/*", tenant: acme }
  - { resource: "other/*", tenant: nobody }
rules:
  - name: probes
    when: { resource: "uri:/healthz" }
    ignore: true
  - name: exec
    when: { fields: { subresource: exec } }
    event: ExecInPod
    type: CUSTOMER_INITIATED_SUPPORT
    level: WARNING
    description: "as {groups}"
  - name: the rest
    type: ALIYUN_INITIATED_SERVICE
"""


def test_kubernetes_webhook(house, tmp_path):
    token = tmp_path / "hook"
    token.write_text("s3cret\n")
    collector = Collector(house, tmp_path / "c", "kubernetes", KUBERNETES, "--listen", "127.0.0.1:0",
                          "--listen-token-file", token)
    events = [json.loads(line) for line in (SAMPLES / "kubernetes.json").read_text().splitlines()]
    strange = dict(events[3], auditID="x", objectRef={"resource": "pods", "namespace": "other", "name": "p"},
                   user={"username": "bailee:op:lin"})

    def listening():
        said = (collector.folder / "said").read_text()
        return re.findall(r"webhook  (http://\S+)", said)

    def post(body, bearer="s3cret"):
        return h.request("POST", listening()[-1] + "/", body, {"authorization": f"Bearer {bearer}"})[0]

    collector.start()
    wait_until(listening)
    body = json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [*events, strange]}, indent=1)
    assert post(body, "wrong") == 401 and post("{") == 400 and post("{}") == 400
    # What was taken is kept: it dies at once, and the API server sends the list again, too.
    assert post(body) == 200
    collector.kill()
    collector.start()
    wait_until(lambda: len(listening()) == 2)
    assert post(body) == 200
    wait_until(lambda: collected(house) and len(collector.unmapped()) == 4)
    act, = collected(house)
    assert act["event"] == "collected:ExecInPod" and act["resource"].endswith(":acme/pods/web-1/exec")
    assert act["reason"] == "as bailee:grant:g1,system:authenticated" and act["result"] == "done"
    # The server knows neither that operator nor that tenant: the lines are kept here, and counted there.
    reasons = collections.Counter(u["reason"] for u in collector.unmapped())
    assert reasons == {"there is no such operator": 2, "there is no such tenant": 2}, reasons
    listed, = json.loads(house.run("collector", "list", "--output", "json").stdout)
    assert (listed["events"], listed["unmapped"]) == (1, 4), listed
    # The provider's own log says what was lost, in a record that verifies.
    assert "finding" in h.verify(house.export("provider", "provider.bundle")).stdout
    collector.kill()


def test_credentials_open_nothing_else(house, tmp_path):
    log = tmp_path / "a.log"
    log.write_text(audit_event(1))
    collector = Collector(house, tmp_path / "c", "auditd", AUDITD, "--file", log, name="web-1", sources="postgres,sshd")
    assert "`auditd` may not be handed in by collector `web-1`" in collector.once(code=1)
    url = house.console + "/collect/v1/events"
    token = collector.token.read_text().strip()
    pending = json.loads((collector.state / "state.json").read_text())["pending"]["batch"]

    def post(body, bearer=token, method="POST"):
        status, headers, data = h.request(method, url, body, {"authorization": f"Bearer {bearer}"})
        return status, json.loads(data)["message"]

    assert post(json.dumps(pending))[0] == 400
    for wrong in ["", "x", token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace("web-1", "web-2")]:
        assert post("{}", wrong)[0] == 401, wrong
    assert post("{}")[0] == 400 and post("")[0] == 400 and post(b"\xff" * 100)[0] == 400
    assert post(json.dumps({**pending, "more": 1}))[0] == 400
    assert post("x" * (1024 * 1024 + 1))[0] in (400, 413)
    assert post("", method="GET")[0] == 405
    assert h.request("POST", house.console + "/collect/v1/other", "", {})[0] == 404
    # A single event whose words are not those of the contract: refused alone.
    batch = {**pending, "source": "sshd", "id": "0" * 32}
    good = pending["events"][0]
    batch["events"] = [good, {**good, "id": "1" * 64, "type": "FUN"}, {**good, "id": "2" * 64, "name": "a b"},
                       {**good, "id": "3" * 64, "tenant": "provider"}, {**good, "id": "4" * 64, "time": "yesterday"}, good]
    status, _, data = h.request("POST", url, json.dumps(batch), {"authorization": f"Bearer {token}"})
    verdicts = json.loads(data)["verdicts"]
    assert status == 200 and verdicts[0] == "recorded" and verdicts[5] == "duplicate", verdicts
    assert all("refused" in v for v in verdicts[1:5]), verdicts
    # The same batch again: the answer of then.
    assert json.loads(h.request("POST", url, json.dumps(batch), {"authorization": f"Bearer {token}"})[2])["verdicts"] == verdicts
    house.run("collector", "disable", "web-1")
    assert post(json.dumps(batch))[0] == 401
    assert "the server refuses" in collector.once(code=2)
    house.run("collector", "enable", "web-1")
    assert post("{}")[0] == 400
    # Nothing of the credential is anywhere but in its file.
    secret = token.split(".")[-1].encode()
    for path in [house.log, *house.data.glob("bailee.sqlite*")]:
        assert secret not in path.read_bytes(), path
    assert len(collected(house)) == 1
    h.bailee("collect", "auditd", "--map", str(collector.map), "--file", str(log), "--server", "http://trust.example",
             "--token-file", str(collector.token), "--state", str(tmp_path / "s2"), code=1)


OSS = """
version: 1
source: oss
actors:
  - { actor: "200011112222", operator: op-lin }
tenants:
  - { resource: "acme-*", tenant: acme }
rules:
  - name: objects
    event: "{action}"
    type: CUSTOMER_INITIATED_SUPPORT
    level: WARNING
"""


def test_a_read_that_the_gate_never_logged_is_found(house, tmp_path):
    consented_read(house)

    def line(key, request, at, status="200"):
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
        return (f'10.1.2.3 - - [{when}] "GET /{key} HTTP/1.1" {status} 5 1 "-" "x" "acme-invoices.oss" "{request}" "true" '
                f'"200011112222" "GetObject" "acme-invoices" "{key}" 5 1 "-" 5 "1" - "-" "Standard" "-" "-" "LTAI"\n')

    now = time.time()
    log = tmp_path / "oss.log"
    log.write_text(line(OBJECT["key"], "A1", now))
    collector = Collector(house, tmp_path / "c", "oss", OSS, "--file", log)
    assert collector.once()["recorded"] == 1
    span = ["--from", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 3600)),
            "--to", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 3600))]
    ask = ["collect", "reconcile", "--tenant", "acme", *span, "--output", "json"]
    found = json.loads(house.run(*ask).stdout)
    assert (found["seen"], found["recorded"], found["neverLogged"], found["notSeen"]) == (1, 1, [], []), found
    # Behind the gate's back: another object, and the same one long before anybody consented. A refused one opened nothing.
    with open(log, "a") as f:
        f.write(line("invoices/secret.pdf", "A2", now) + line(OBJECT["key"], "A3", now - 1800) + line("no", "A4", now, "403"))
    assert collector.once()["recorded"] == 3
    found = json.loads(house.run(*ask, code=3).stdout)
    assert [u["object"].split(":")[-1] for u in found["neverLogged"]] == ["acme-invoices/invoices/secret.pdf",
                                                                          "acme-invoices/" + OBJECT["key"]], found
    assert "NEVER LOGGED" in house.run(*ask[:-2], code=3).stdout
    h.verify(house.export())


def test_a_log_that_is_cut_is_a_gap(house, tmp_path):
    log = tmp_path / "audit.log"
    log.write_text("".join(audit_event(n) for n in range(5)))
    collector = Collector(house, tmp_path / "c", "auditd", AUDITD, "--file", log)
    assert collector.once()["recorded"] == 5
    # Cut and begun anew, as `copytruncate` does: what is new comes, and what may be missing is said.
    log.write_text(audit_event(7))
    done = h.bailee(*collector.command("--output", "json"))
    assert json.loads(done.stdout)["recorded"] == 1 and "is missing" in done.stderr, done
    # Gone, and another one in its place.
    log.unlink()
    (tmp_path / "keep").write_text("so that the inode is not used again")
    log.write_text("".join(audit_event(n) for n in (8, 9)) + "no line of auditd\n" + audit_event(10)[:60])
    done = h.bailee(*collector.command("--output", "json"))
    said = json.loads(done.stdout)
    assert said["recorded"] == 2 and said["unmapped"] == 1 and "is gone" in done.stderr, done
    assert said["unfinishedBytes"] == 60, "half a line waits"
    with open(log, "a") as f:
        f.write(audit_event(10)[60:])
    assert collector.once()["recorded"] == 1
    assert [u["raw"] for u in collector.unmapped()] == ["no line of auditd"]
    names = [a["resource"].split("/")[-1] for a in collected(house)]
    assert names == ["f0", "f1", "f2", "f3", "f4", "f7", "f8", "f9", "f10"]
