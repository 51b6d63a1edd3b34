"""A running `bailee` for one test: started, asked, stopped, killed.

`BAILEE_BIN` and `BAILEE_VERIFY_BIN` name the programs; `cargo xtask e2e` sets them.
"""

import http.client
import json
import os
import pathlib
import select
import selectors
import shutil
import signal
import subprocess
import time
import urllib.parse

BIN = os.environ.get("BAILEE_BIN", "")
VERIFY = os.environ.get("BAILEE_VERIFY_BIN", "")
ARTIFACTS = pathlib.Path(os.environ.get("BAILEE_ARTIFACTS", "ci-artifacts"))
REGION = "cn-hangzhou"
# Long enough for a loaded machine; nothing waits for it when things go well.
PATIENCE = 60


class House:
    """`bailee dev --json` on a data folder and free ports."""

    def __init__(self, data, env=None):
        self.data = pathlib.Path(data)
        self.log = self.data.parent / (self.data.name + ".log")
        self.env = env or {}
        self.process = None
        self.start()

    def start(self):
        command = [BIN, "dev", "--data", str(self.data), "--json"]
        command += ["--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.env},
                cwd=self.data.parent,
            )
        line = first_line(self.process.stdout)
        if not line:
            self.process.kill()
            raise AssertionError(f"bailee did not start:\n{self.log_text()[-4000:]}")
        self.facts = json.loads(line)
        self.console = self.facts["console"]
        self.objects = self.facts["objects"]
        return self

    def tenant(self, alias):
        return next(t for t in self.facts["tenants"] if t["alias"] == alias)

    def operator(self, name):
        return next(o for o in self.facts["operators"] if o["id"] == name)

    def key(self, alias):
        """The AccessKey pair of a tenant's root."""
        root = self.tenant(alias)["root"]
        return root["access_key_id"], root["access_key_secret"]

    def bucket(self, alias):
        return self.tenant(alias)["buckets"][0]

    def kill(self):
        """`kill -9`: no time to say goodbye."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self):
        """SIGTERM, as a service manager stops it."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        assert code == 0, f"SIGTERM ended it with {code}:\n{self.log_text()[-4000:]}"

    def is_running(self):
        return self.process.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace")

    def assert_well(self):
        """It still serves, and nothing in it panicked."""
        log = self.log_text()
        assert "panicked" not in log, log[-4000:]
        assert self.is_running(), f"the server is gone:\n{log[-4000:]}"
        assert get(self.console + "/readyz") == (200, b"ready\n")
        assert get(self.objects + "/")[0] == 403

    def peak_mib(self):
        """The process's largest resident size so far, from the kernel."""
        return self.memory("VmHWM")

    def memory(self, field):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"the kernel does not say {field}")

    def run(self, *args, code=0):
        """A `bailee` command on this data folder."""
        return bailee(*args, "--data", str(self.data), code=code)

    def export(self, alias="acme", name="acme.bundle"):
        """The tenant's bundle."""
        out = self.data.parent / name
        out.unlink(missing_ok=True)
        self.run("trail", "export", "--tenant", alias, "-o", str(out))
        return out


def bailee(*args, code=0, env=None, cwd=None):
    """Runs a command to its end; the code must be the one that is expected."""
    done = subprocess.run(
        [BIN, *args], capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **(env or {})}, cwd=cwd
    )
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "panicked" not in done.stderr, done.stderr
    return done


def verify(bundle, *args, code=0):
    """`bailee-verify` on a bundle, in an empty environment: it needs nothing of ours."""
    done = subprocess.run([VERIFY, str(bundle), *args], capture_output=True, text=True, timeout=PATIENCE, env={})
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "panicked" not in done.stderr, done.stderr
    return done


def run_audit(bundle, folder):
    """What `bailee-verify audit` found, with or without exceptions."""
    path = folder / "audit.json"
    done = subprocess.run([VERIFY, "audit", str(bundle), "--json", str(path)], capture_output=True, text=True, timeout=PATIENCE, env={})
    assert done.returncode in (0, 3), done.stderr
    return json.loads(path.read_text())


def first_line(pipe):
    """The first line of a pipe, or nothing when it ends or takes too long."""
    wait = selectors.DefaultSelector()
    wait.register(pipe, selectors.EVENT_READ)
    end = time.monotonic() + PATIENCE
    found = b""
    while b"\n" not in found:
        if not wait.select(end - time.monotonic()):
            return b""
        piece = os.read(pipe.fileno(), 65536)
        if not piece:
            return b""
        found += piece
    return found.split(b"\n")[0]


def copy_of(seed, into):
    """A house that was seeded before, under a new path."""
    shutil.copytree(seed, into)
    return into


def request(method, url, body=None, headers=None, timeout=PATIENCE):
    """One plain HTTP request on a connection of its own: (status, headers, body)."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get(url):
    status, _, body = request("GET", url)
    return status, body
