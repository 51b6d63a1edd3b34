"""Where events go: buckets, a webhook that fails first, a syslog server over TLS, and what survives a crash."""

import gzip
import hashlib
import hmac
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading

import house as h
import kit
import oss2
import pytest
from sdk import Sdk


class Hook:
    """A receiver that answers with the statuses it is given, then 200."""

    def __init__(self):
        self.statuses, self.posts = [], []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = hook.statuses.pop(0) if hook.statuses else 200
                hook.posts.append((status, dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"

    def taken(self):
        return [e for status, _, body in self.posts if status == 200 for e in json.loads(body)]


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.server.shutdown()


def add(house, name, address, *more, code=0):
    done = house.run("trail", "sink", "add", "--tenant", "acme", name, address, *more, "--output", "json", code=code)
    return json.loads(done.stdout)["secret"] if code == 0 else done.stderr


def sinks(house):
    return json.loads(house.run("trail", "sink", "list", "--tenant", "acme", "--output", "json").stdout)


def test_a_webhook_is_signed_and_tried_again_until_it_takes_all(house, hook):
    hook.statuses = [500, 429]
    secret = add(house, "siem", hook.address, "--kind", "webhook")
    for n in range(5):
        kit.rpc(house, "CreateUser", ok=True, UserName=f"user-{n}")
    made = lambda: {e["subject"] for e in hook.taken() if e["data"].get("eventName") == "CreateUser"}
    kit.wait_until(lambda: len(made()) == 5, seconds=60)
    status, headers, body = hook.posts[0]
    assert status == 500 and hook.posts[1][0] == 429 and hook.posts[2][1]["bailee-delivery"] == headers["bailee-delivery"]
    # As docs/delivery.md tells a receiver to check it.
    for _, headers, body in hook.posts:
        mac = hmac.new(secret.encode(), headers["bailee-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(headers["bailee-signature"], "v1=" + mac)
        assert headers["content-type"] == "application/cloudevents-batch+json"
    events = hook.taken()
    assert all(e["specversion"] == "1.0" and e["id"] and e["source"].startswith("https://") for e in events)
    order = [int(e["recordindex"]) for e in events]
    assert order == sorted(order) and len({e["id"] for e in events}) == len(events)
    # It is killed while the receiver is away; afterwards all comes, repeats are known by their ids.
    hook.statuses = [503] * 3
    kit.rpc(house, "CreateUser", ok=True, UserName="user-5")
    kit.wait_until(lambda: sinks(house)[0]["failures"] > 0, seconds=30)
    assert "status 503" in sinks(house)[0]["failed"]["why"] and sinks(house)[0]["waiting"] > 0
    house.kill()
    house.start()
    kit.wait_until(lambda: len(made()) == 6, seconds=60)
    # Once more from the beginning.
    before = len(hook.taken())
    house.run("trail", "sink", "replay", "--tenant", "acme", "siem", "--from", "0")
    kit.wait_until(lambda: len(hook.taken()) - before >= before, seconds=30)
    # The receiver has it a moment before the house has counted it.
    told = lambda: h.get(house.console + "/metrics")[1].decode()
    count = lambda: int(re.search(r'^bailee_delivered_events_total\{kind="webhook"\} (\d+)', told(), re.M).group(1))
    kit.wait_until(lambda: count() > 5, seconds=10)
    metrics = told()
    assert re.search(r"^bailee_delivery_waiting_records \d+", metrics, re.M) and secret not in metrics
    house.run("trail", "sink", "remove", "--tenant", "acme", "siem")
    assert sinks(house) == [] and "no sink" in house.run("trail", "sink", "list", "--tenant", "acme").stdout.lower()
    house.assert_well()


def test_a_syslog_server_gets_rfc_5424_over_tls_that_it_proves(house, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key,
         "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))
    got = []

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as tls:
                    data = b""
                    while chunk := tls.recv(65536):
                        data += chunk
                    while data:
                        length, _, rest = data.partition(b" ")
                        got.append(rest[: int(length)].decode())
                        data = rest[int(length) :]
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    address = f"localhost:{listener.getsockname()[1]}"
    add(house, "untrusted", address, "--kind", "syslog")
    # This machine is not reached by a tenant's word, unless the provider says so.
    assert "no public address" in house.run("trail", "sink", "test", "--tenant", "acme", "untrusted", code=1).stderr
    said = house.run("trail", "sink", "test", "--tenant", "acme", "untrusted", "--local", code=1).stderr
    assert "certificate" in said.lower() or "issuer" in said.lower(), said
    house.run("trail", "sink", "remove", "--tenant", "acme", "untrusted")
    add(house, "siem", address, "--kind", "syslog", "--roots", str(cert), "--format", "ocsf", "--events", "own")
    house.run("trail", "sink", "test", "--tenant", "acme", "siem", "--local")
    kit.rpc(house, "CreateUser", ok=True, UserName="zhou-syslog")
    kit.wait_until(lambda: any("zhou-syslog" in m for m in got), seconds=30)
    message = next(m for m in got if "zhou-syslog" in m)
    head, _, event = message.partition("\ufeff")
    assert re.match(r"<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ bailee - \S+ \[bailee@32473 eventId=\"[^\"]+\" tenant=\"\d{16}\" record=\"\d+\"\] $", head), head
    event = json.loads(event)
    assert event["class_uid"] == 6003 and event["metadata"]["uid"] in head and event["actor"]["user"]["name"]
    assert any("Ping" in m for m in got)
    listener.close()


def test_a_bucket_of_the_tenant_gets_lines_under_actiontrails_path(house):
    bucket = house.bucket("acme")
    trail = Sdk("Actiontrail", house, house.key("acme"))
    trail("CreateTrail", Name="audit-1", OssBucketName=bucket, OssKeyPrefix="audit", EventRW="Write")
    trail("StartLogging", Name="audit-1")
    for n in range(4):
        kit.rpc(house, "CreateUser", ok=True, UserName=f"line-{n}")
    store = oss2.Bucket(oss2.AuthV4(*house.key("acme")), house.objects, bucket, region=h.REGION)

    def events():
        out = []
        for found in oss2.ObjectIterator(store, prefix="audit/AliyunLogs/Actiontrail/"):
            assert re.fullmatch(rf"audit/AliyunLogs/Actiontrail/{h.REGION}/\d{{4}}/\d\d/\d\d/Actiontrail_{h.REGION}_\d{{14}}_\d{{16}}_\d{{12}}-\d{{12}}\.gz", found.key), found.key
            out += [json.loads(line) for line in gzip.decompress(store.get_object(found.key).read()).splitlines()]
        return out

    made = lambda: {e["resourceName"] for e in events() if e["eventName"] == "CreateUser"}
    kit.wait_until(lambda: len(made()) == 4, seconds=60)
    ids = [e["eventId"] for e in events()]
    assert len(ids) == len(set(ids)) and all(e["eventRW"] == "Write" for e in events())
    status = trail("GetTrailStatus", Name="audit-1")
    assert status["LatestDeliveryTime"] and not status.get("LatestDeliveryError")
    # The bucket goes away: the status says so, and nothing is lost when it is back.
    for found in list(oss2.ObjectIterator(store)):
        store.delete_object(found.key)
    store.delete_bucket()
    kit.rpc(house, "CreateUser", ok=True, UserName="line-late")
    kit.wait_until(lambda: trail("GetTrailStatus", Name="audit-1").get("LatestDeliveryError"), seconds=60)
    store.create_bucket()
    kit.wait_until(lambda: "line-late" in made(), seconds=90)


def test_the_console_lists_targets_with_their_lag(house, hook):
    li = kit.Browser(house).login_tenant(house)
    li.get("/console/trail/sinks")
    assert li.status == 200 and "No webhook" in li.text and "No trail" in li.text
    form = {"name": "hook", "kind": "webhook", "address": hook.address, "format": "cloudevents", "events": "all", "roots": ""}
    li.post("/console/trail/sinks", **form)
    assert re.search(r"whsec-[a-z0-9]{40}", li.source), li.text
    assert not re.search(r"whsec-", li.get("/console/trail/sinks").source), "shown once"
    li.post("/console/trail/sinks/hook/test")
    assert li.status == 200
    kit.wait_until(lambda: any(e["type"] == "cloud.bailee.trail.ping" for e in hook.taken()), seconds=10)
    hook.statuses = [500]
    li.get("/console/trail/sinks").post("/console/trail/sinks/hook/test")
    assert li.status == 409 and "status 500" in li.text
    for change in ({"address": "javascript:alert(1)"}, {"name": "<i>x"}, {"kind": "pigeon"}, {"address": "https://u:p@x"}):
        li.get("/console/trail/sinks").post("/console/trail/sinks", **(form | change))
        assert li.status == 400 and "<i>x" not in li.source, li.text
    zh = li.get("/console/trail/sinks?lang=zh").text
    assert "投递" in zh and "等待" in zh
    li.get("/console/trail/sinks?lang=en").post("/console/trail/sinks/hook/remove")
    assert "No webhook" in li.text
