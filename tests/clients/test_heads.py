"""The public head log with the programs that others run: witnesses on their machines, a watch with its own policy."""

import contextlib
import http.server
import json
import re
import subprocess
import threading

import house as h
import kit
import pytest


class Witness:
    """`bailee-verify witness` with keys and state of its own."""

    def __init__(self, folder, name, log):
        self.folder, self.name, self.log = folder / name, name, log
        self.folder.mkdir()
        self.key, self.state = self.folder / "key", self.folder / "state"
        made = kit.run(h.VERIFY, "witness", "keygen", "--key", self.key, "--state", self.state, "--name", f"{name}.example/w").stdout
        self.vkey = re.search(rf"{name}\.example/w\+[0-9a-f]{{8}}\+\S+", made).group(0)
        self.process = None
        self.start("127.0.0.1:0")

    def start(self, listen=None):
        self.process = subprocess.Popen(
            [h.VERIFY, "witness", "--key", self.key, "--state", self.state, "--log", self.log, "--listen", listen or self.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        line = h.first_line(self.process.stdout)
        self.address = re.search(r"127\.0\.0\.1:\d+", line.decode()).group(0)

    def kill(self):
        self.process.kill()
        self.process.wait(h.PATIENCE)


class Liar(http.server.BaseHTTPRequestHandler):
    """A witness that answers with a line which is none of its own."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = "— liar.example/w AAAAAGVT8QA=\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def liar():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


def checkpoint(house):
    status, body = h.get(house.console + "/heads/checkpoint")
    return body.decode() if status == 200 else ""


def watch(house, folder, policy, *more, code=0):
    command = [h.VERIFY, "watch", "--url", house.console + "/heads", "--policy", policy, "--state", folder, "--once", "--json", *more]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=h.PATIENCE)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def witnessed(house, tmp_path):
    """A house with three witnesses, of which one lies, and the policy of a stranger."""
    log = json.loads(house.run("trail", "heads", "--output", "json").stdout)["key"]
    folder = tmp_path / "witnesses"
    folder.mkdir()
    one, two = Witness(folder, "one", log), Witness(folder, "two", log)
    with liar() as third:
        three = Witness(folder, "liar", log)
        three.kill()
        policy = tmp_path / "witnesses.policy"
        policy.write_text(
            f"witness one {one.vkey} http://{one.address}\n"
            f"witness two {two.vkey} http://{two.address}\n"
            f"witness three {three.vkey} http://{third}\n"
            "group both all one two\nquorum both\n"
        )
        house.stop()
        house.env["BAILEE_WITNESS_POLICY"] = str(policy)
        house.start()
        yield house, one, two, policy
    for witness in (one, two):
        witness.kill()


def test_strangers_watch_what_witnesses_cosign(witnessed, tmp_path):
    house, one, two, policy = witnessed
    stranger = tmp_path / "stranger.policy"
    stranger.write_text(house.run("trail", "heads", "--policy", "--witness-policy", str(policy)).stdout)
    kit.wait_until(lambda: "one.example" in checkpoint(house) and "two.example" in checkpoint(house))
    assert "liar.example" not in checkpoint(house), "a line that does not verify is not published"

    # The tenant keeps its receipt outside, and opens its own heads with it.
    receipt = tmp_path / "acme.receipt"
    house.run("trail", "enrolment", "--tenant", "acme", "-o", str(receipt))
    assert receipt.stat().st_mode & 0o077 == 0
    origin = receipt.read_text().splitlines()[1].split()[1].split("+")[0]
    assert house.run("trail", "enrolment", "--tenant", "acme", "-o", str(receipt), code=1).stderr
    own = ["--tenant", origin, "--watch-key-file", receipt, "--tenant-url", f"{house.console}/trail/{origin.rsplit('/')[-1]}"]
    state = tmp_path / "watch"
    first = watch(house, state, stranger, *own)
    assert not first.get("alarms"), first

    # An auditor checks a bundle with the receipt, a policy of his own and the watch: every promise that can hold, holds.
    bundle = house.export()
    known = ["--enrolment", receipt, "--policy", stranger, "--watch-state", state]
    report = json.loads(h.verify(bundle, *known, "--output", "json").stdout)["report"]
    verdicts = {p["name"]: p["verdict"] for p in report["promises"]}
    for name in ("keys", "head log", "same view", "witnesses", "once", "consent", "times"):
        assert verdicts[name] == "holds", report["promises"]
    assert verdicts["never logged"] == "not-shown"
    # Without them the same bundle says what it does not show; with another tenant's receipt it is another log.
    alone = h.verify(bundle).stdout
    assert re.search(r"^head log +not shown", alone, re.M) and re.search(r"^witnesses +not shown", alone, re.M)
    other = tmp_path / "globex.receipt"
    house.run("trail", "enrolment", "--tenant", "globex", "-o", str(other))
    assert "this is another log" in h.verify(bundle, "--enrolment", other, "--policy", stranger, code=3).stderr

    # One witness goes away: heads go on, without a quorum; it comes back on the same state and catches up.
    two.kill()
    house.kill()
    house.start()
    own[-1] = f"{house.console}/trail/{origin.rsplit('/')[-1]}"
    kit.rpc(house, "CreateUser", key=house.key("acme"), ok=True, UserName="zhao")
    two.start()
    size = int(checkpoint(house).splitlines()[1])
    kit.rpc(house, "CreateUser", key=house.key("acme"), ok=True, UserName="qian")
    kit.wait_until(lambda: int(checkpoint(house).splitlines()[1]) > size and "two.example" in checkpoint(house), seconds=90)
    again = watch(house, state, stranger, *own)
    assert not again.get("alarms"), again
    metrics = h.get(house.console + "/metrics")[1].decode()
    figure = lambda name: int(re.search(rf"^bailee_{name} (\d+)", metrics, re.M).group(1))
    assert figure("head_checkpoints_total") and figure("cosignatures_total") and figure("cosigning_failures_total")
    assert figure("behind_witnesses") == 0
    house.assert_well()


def test_a_tenants_own_witness_cosigns_its_log_and_operators_wait_for_it(house, tmp_path):
    head = json.loads(house.run("trail", "head", "--tenant", "acme", "--output", "json").stdout)
    folder = tmp_path / "own"
    folder.mkdir()
    own = Witness(folder, "mine", head["key"])
    policy = tmp_path / "mine.policy"
    policy.write_text(f"witness mine {own.vkey} http://{own.address}\nquorum mine\n")
    house.run("trail", "witnesses", "--tenant", "acme", "--policy", str(policy), "--before-act", "yes")
    log = f"{house.console}/trail/{head['log'].rsplit('/')[-1]}"
    kit.wait_until(lambda: b"mine.example" in h.get(log + "/checkpoint")[1])
    shown = json.loads(house.run("trail", "witnesses", "--tenant", "acme", "--output", "json").stdout)
    assert shown["before_act"] and shown["witnesses"][0]["size"] > 0
    own.kill()
    # A policy without an address, or that cannot be read, is refused with its line.
    policy.write_text("witness mine nonsense\n")
    assert "line 1" in house.run("trail", "witnesses", "--tenant", "acme", "--policy", str(policy), code=1).stderr


def test_the_head_log_is_plain_tiles(house):
    kit.wait_until(lambda: checkpoint(house))
    size = int(checkpoint(house).splitlines()[1])
    status, body = h.get(f"{house.console}/heads/tile/entries/000.p/{size}")
    assert status == 200 and body.count(b"\x00\x41\x01") >= 1
    for path in ("tile/0/000.p/0", "tile/0/001", f"tile/entries/000.p/{size + 200}", "tile/0/0", "nothing", "../checkpoint", "tile/-1/000"):
        assert h.get(f"{house.console}/heads/{path}")[0] == 404, path


def test_the_console_hands_out_the_receipt_and_sets_witnesses(house, tmp_path):
    li = kit.Browser(house).login_tenant(house)
    li.get("/console/trail/proof")
    assert li.status == 200 and "No witness yet" in li.text
    li.post("/console/trail/proof/receipt")
    receipt = li.source
    assert receipt.startswith("bailee-watch/v1\nlog ") and "attachment" in li.headers["Content-Disposition"]
    out = tmp_path / "acme.receipt"
    house.run("trail", "enrolment", "--tenant", "acme", "-o", str(out))
    assert out.read_text() == receipt
    for policy, why in [("witness w nonsense\n", "line 1"), ("<script>", "line 1"), ("x" * 9, "line 1")]:
        li.get("/console/trail/proof").post("/console/trail/proof/witnesses", policy=policy)
        assert li.status == 400 and why in li.text and "<script>" not in li.source, (policy, li.text)
    # One that fits into no record is told so, and a tenant that has none says so in a record that verifies.
    li.get("/console/trail/proof").post("/console/trail/proof/witnesses", policy="# much\n" * 4_000)
    assert li.status == 400 and "at most 16384 bytes" in li.text, (li.status, li.text[:300])
    li.get("/console/trail/proof").post("/console/trail/proof/witnesses", policy="")
    assert li.status == 200
    h.verify(house.export())
    # Nobody waits for witnesses that are not there.
    li.get("/console/trail/proof").post("/console/trail/proof/witnesses", policy="", before_act="yes")
    assert li.status == 400 and "name your own" in li.text
    # An address of the provider's own network is not reached for a tenant where that is forbidden: `dev` allows it.
    folder = tmp_path / "own"
    folder.mkdir()
    log = json.loads(house.run("trail", "head", "--tenant", "acme", "--output", "json").stdout)["key"]
    own = Witness(folder, "mine", log)
    text = f"witness mine {own.vkey} http://{own.address}\nquorum mine\n"
    li.get("/console/trail/proof").post("/console/trail/proof/witnesses", policy=text, before_act="yes")
    assert li.status == 200 and own.vkey in li.text
    kit.wait_until(lambda: "never" not in li.get("/console/trail/proof").text)
    own.kill()
    # A user without rights gets neither; a stranger is asked to sign in.
    assert "sign in" in kit.Browser(house).get("/console/trail/proof").text.lower()
    zh = li.get("/console/trail/proof?lang=zh").text
    assert "登记回执" in zh and "见证方" in zh


def test_a_log_with_a_new_key_starts_again_and_verifies(house):
    h.verify(house.export())
    first = json.loads(house.run("trail", "head", "--tenant", "acme", "--output", "json").stdout)["key"]
    other = json.loads(house.run("trail", "head", "--tenant", "globex", "--output", "json").stdout)["key"]
    house.run("trail", "rotate-key", "--tenant", "acme")
    house.kill()
    house.start()
    kit.rpc(house, "CreateUser", ok=True, UserName="zhou")
    said = h.verify(house.export(), "--key", first).stdout
    assert re.search(r"^keys +holds .*; 1 changes", said, re.M), said
    h.verify(house.export(), "--key", other, code=3)
    assert "every log gives what was signed" in house.run("doctor").stdout
    house.assert_well()
