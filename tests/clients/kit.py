"""A house of its own for one test, a browser without script, and how to wait. Nothing here knows the insides."""

import html
import http.client
import re
import subprocess
import tempfile
import time
import urllib.parse

from house import BIN, VERIFY, House, REGION  # noqa: F401


class Server(House):
    """`bailee dev` on free ports and a folder of its own, stopped and removed behind `with`."""

    region = REGION

    def __init__(self, data=None):
        self.folder = None if data else tempfile.TemporaryDirectory(prefix="bailee-e2e-")
        super().__init__(data or self.folder.name + "/data")

    @property
    def info(self):
        return self.facts

    def tenant(self, alias="acme"):
        return super().tenant(alias)

    def operator(self, name="op-lin"):
        return super().operator(name)

    def keys(self, alias="acme"):
        return self.key(alias)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if self.is_running():
            if kind is None:
                self.assert_well()
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
