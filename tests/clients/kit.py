"""A house of its own for one test, a browser without script, and how to wait. Nothing here knows the insides."""

import base64
import hashlib
import hmac
import html
import http.client
import json
import re
import subprocess
import tempfile
import time
import urllib.parse

import house as h
from house import BIN, VERIFY, House, REGION  # noqa: F401
from signing import rpc_v3

RAM, IMS, STS = "2015-05-01", "2019-08-15", "2015-04-01"


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
        self.path = None

    def send(self, method, path, form=None, headers=None, body=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        all_headers = {"Host": self.host, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        if self.cookies:
            all_headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
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
        self.path, self.status, self.headers, self.data = path, answer.status, answer.headers, data
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

    def upload(self, path, *files, **form):
        """Sends a form with files, (name, bytes) each, as a browser does, with the token of the page last seen."""
        edge = "edge" + hashlib.sha256(repr(files).encode()).hexdigest()[:24]
        fields = {"csrf": self.token(), **form}
        parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
        bring = [f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: application/pdf\r\n\r\n'.encode() + data + b"\r\n"
                 for name, data in files]
        body = b"".join([*parts, *bring]) + f"--{edge}--\r\n".encode()
        return self.send("POST", path, headers={"Content-Type": f"multipart/form-data; boundary={edge}"}, body=body)

    def sign_in(self, tenant, user, password):
        """As somebody of a tenant, as far as the password goes."""
        return self.send("POST", "/login/tenant", {"tenant": tenant, "user": user, "password": password})

    def bind_app(self):
        """Binds an authenticator app by the pages: (its key, the step of the last code, recovery codes)."""
        self.post("/signin/totp/begin")
        key = re.search(r'id="totp-key">([A-Z2-7]+)<', self.source).group(1)
        step = totp_step()
        self.post("/signin/totp", first=totp(key, step - 1), second=totp(key, step))
        assert self.status == 200, (self.status, self.text)
        listed = re.search(r'id="recovery-codes".*?</ul>', self.source, re.S).group(0)
        codes = re.findall(r"<code>([^<]+)</code>", listed)
        assert len(codes) == 10
        return key, step, codes

    def login_tenant(self, server, alias="acme"):
        t = server.tenant(alias)
        self.send("POST", "/login/tenant", {"tenant": alias, "user": t["user"]["name"], "password": t["user"]["password"]})
        assert self.status == 200, (self.status, self.text)
        return self

    def login_operator(self, server, id="op-lin"):
        self.send("POST", "/login/operator", {"operator": id, "password": server.operator(id)["password"]})
        assert self.status == 200, (self.status, self.text)
        return self


def totp_step():
    return int(time.time()) // 30


def totp(key, step):
    """RFC 6238, written from the RFC: SHA-1, 30 s, six digits."""
    secret = base64.b32decode(key + "=" * (-len(key) % 8))
    mac = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def rpc(server, action, version=RAM, key=None, ok=None, **form):
    """A signed RPC call, by default by acme's root: (status, answer); with `ok` the answer alone, which must be 200."""
    host = server.console.removeprefix("http://")
    form = {k: v if isinstance(v, str) else json.dumps(v) for k, v in form.items()}
    path, headers, body = rpc_v3(action, version, key or server.key("acme"), host=host, form=form)
    status, _, data = h.request("POST", server.console + path, body, headers)
    answer = json.loads(data)
    assert not ok or status == 200, (action, status, answer)
    return answer if ok else (status, answer)


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
