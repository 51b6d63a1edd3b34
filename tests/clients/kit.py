"""A running `bailee dev` for one test, and small HTTP helpers. Nothing here knows the product's insides."""

import html
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.parse

BIN = os.environ["BAILEE_BIN"]
VERIFY = os.environ["BAILEE_VERIFY_BIN"]


class Server:
    """`bailee dev` on free ports; the first line it prints says where and with which logins."""

    def __init__(self, data=None):
        self.folder = None if data else tempfile.TemporaryDirectory(prefix="bailee-e2e-")
        self.data = data or os.path.join(self.folder.name, "data")
        self.start()

    def start(self):
        self.err = open(self.data.rstrip("/") + ".err", "a+")
        self.process = subprocess.Popen(
            [BIN, "dev", "--data", self.data, "--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE, stderr=self.err, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.err.seek(0)
            raise AssertionError("bailee dev did not start: " + self.err.read()[-2000:])
        self.info = json.loads(line)
        self.console = self.info["console"]
        self.objects = self.info["objects"]
        self.region = self.info["region"]
        return self

    def tenant(self, alias="acme"):
        return next(t for t in self.info["tenants"] if t["alias"] == alias)

    def operator(self, id="op-lin"):
        return next(o for o in self.info["operators"] if o["id"] == id)

    def keys(self, alias="acme"):
        root = self.tenant(alias)["root"]
        return root["access_key_id"], root["access_key_secret"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.err.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.err.seek(0)
        text = self.err.read()
        self.err.close()
        assert "panicked" not in text, text[-3000:]
        assert code == 0, (code, text[-2000:])

    def memory_peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.kill()
        if self.folder:
            self.folder.cleanup()


class Browser:
    """A browser without script: cookies, forms with their hidden fields, redirects."""

    def __init__(self, server):
        self.host = server.console.removeprefix("http://")
        self.cookies = {}

    def send(self, method, path, form=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        all_headers = {"Host": self.host, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        if self.cookies:
            all_headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, all_headers)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0]
        data = answer.read()
        if answer.status in (302, 303, 307):
            return self.send("GET", answer.getheader("Location"))
        self.status, self.headers, self.data = answer.status, answer.headers, data
        return self

    def get(self, path, **kw):
        return self.send("GET", path, **kw)

    @property
    def text(self):
        return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.data.decode("utf-8", "replace"))))

    @property
    def source(self):
        return self.data.decode("utf-8", "replace")

    def token(self):
        return re.search(r'name="csrf" value="([0-9a-f]+)"', self.source).group(1)

    def post(self, path, **form):
        """Sends a form with the token of the page last seen."""
        return self.send("POST", path, {"csrf": self.token(), **form})

    def login_tenant(self, server, alias="acme"):
        t = server.tenant(alias)
        self.send("POST", "/login/tenant", {"tenant": alias, "user": t["user"]["name"], "password": t["user"]["password"]})
        assert self.status == 200, (self.status, self.text)
        return self

    def login_operator(self, server, id="op-lin"):
        self.send("POST", "/login/operator", {"operator": id, "password": server.operator(id)["password"]})
        assert self.status == 200, (self.status, self.text)
        return self


def run(*command, ok=0, **kw):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **kw)
    assert done.returncode == ok, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


def wait_until(check, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")
