"""The broker before a real API server: kube-apiserver of Debian's source package with etcd, kubectl, its RBAC, its audit log.

`cargo xtask nightly` builds the server once, which takes minutes, and names it in BAILEE_KUBE_APISERVER. No node runs: what
a kubelet answers to logs and exec is written below."""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
import websocket
from kit import BIN, VERIFY, Browser, House, Server, run, wait_until
from test_brokers import consent, free_port, recording, session
from test_collect import Collector, collected

SERVER = os.environ.get("BAILEE_KUBE_APISERVER", "")
ADMIN, BROKER = "admin-" + os.urandom(16).hex(), "broker-" + os.urandom(16).hex()


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def certificate(folder):
    """An authority, and a certificate of this machine under it."""
    ca, key, cert = folder / "ca.pem", folder / "tls.key", folder / "tls.pem"
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", folder / "ca.key",
            "-out", ca, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,digitalSignature")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", folder / "csr")
    openssl("x509", "-req", "-in", folder / "csr", "-CA", ca, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", folder / "san", "-out", cert)
    return ca, key, cert


def serving(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Kubelet(http.server.BaseHTTPRequestHandler):
    """What a kubelet says of logs, and of exec over a WebSocket in `v4.channel.k8s.io`: it answers what it is sent in capitals."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/containerLogs/"):
            text = b"the shop is open\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        assert self.path.startswith("/exec/"), self.path
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                break
            length = head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.rfile.read(2))[0]
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))
            answer = b"\x01" + data[1:].upper()
            self.wfile.write(struct.pack(">BB", 0x82, len(answer)) + answer)
        self.close_connection = True

    do_POST = do_GET


class Relay:
    """TLS in, clear out: what a provider's proxy does before the broker."""

    def __init__(self, to, context):
        self.to, self.port = to, free_port()
        self.socket = context.wrap_socket(socket.create_server(("127.0.0.1", self.port)), server_side=True)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                # A client that broke off; the socket itself is closed with the process.
                continue
            host, port = self.to.rsplit(":", 1)
            other = socket.create_connection((host, int(port)))
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [broker, admin], resources: [{group: ""}]}
- {level: None}
"""

OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: blue}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prices, namespace: shop}
data: {bread: "3"}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: shop}
stringData: {password: hunter22}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop}
spec: {nodeName: node-1, containers: [{name: web, image: none}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: broker}
rules: [{apiGroups: [""], resources: [users, groups], verbs: [impersonate]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: broker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: broker}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: broker}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: support, namespace: shop}
rules:
- {apiGroups: [""], resources: [configmaps, pods, pods/log, pods/exec], verbs: [get, list, watch, create]}
"""


class Kube:
    """etcd and an API server, with an administrator, the broker's user, and one node that only the kubelet above stands for."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self.key, self.cert = certificate(folder)
        peer, client, self.port = free_port(), free_port(), free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        self.audit = folder / "audit.log"
        (folder / "tokens").write_text(f'{ADMIN},admin,1,"system:masters"\n{BROKER},broker,2\n')
        (folder / "policy").write_text(POLICY)
        openssl("genrsa", "-out", folder / "sa.key", "2048")
        self.processes = [self.start(
            "etcd", "--data-dir", folder / "etcd", "--listen-client-urls", f"http://127.0.0.1:{client}",
            "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}")]
        self.processes.append(self.start(
            SERVER, "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", "127.0.0.1", "--secure-port", str(self.port),
            "--tls-cert-file", self.cert, "--tls-private-key-file", self.key, "--token-auth-file", folder / "tokens",
            "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://test",
            "--service-account-key-file", folder / "sa.key", "--service-account-signing-key-file", folder / "sa.key",
            "--disable-admission-plugins", "ServiceAccount", "--audit-policy-file", folder / "policy", "--audit-log-path", self.audit,
            "--kubelet-preferred-address-types", "InternalIP"))
        kubelet = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
        kubelet.socket = serving(self.cert, self.key).wrap_socket(kubelet.socket, server_side=True)
        threading.Thread(target=kubelet.serve_forever, daemon=True).start()
        wait_until(lambda: self.admin("get", "--raw", "/readyz").returncode == 0, 60)
        self.apply(OBJECTS)
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}))
        status = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                             "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.server_address[1]}}}}
        run("curl", "-sSf", "--cacert", str(self.ca), "-H", f"Authorization: Bearer {ADMIN}", "-X", "PATCH",
            "-H", "Content-Type: application/merge-patch+json", "-d", json.dumps(status), self.address + "/api/v1/nodes/node-1/status")

    def start(self, *command):
        name = pathlib.Path(command[0]).name
        return subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=open(self.folder / f"{name}.log", "wb"))

    def admin(self, *args, data=""):
        return kubectl(self.address, self.ca, ADMIN, *args, data=data)

    def apply(self, text):
        done = self.admin("apply", "--validate=false", "-f", "-", data=text)
        assert done.returncode == 0, done.stderr

    def bind(self, grant):
        self.apply(json.dumps({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": grant.lower(), "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "support"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"bailee:grant:{grant}"}]}))

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def kubectl(server, ca, token, *args, data="", wait=True):
    command = ["kubectl", "--server", server, "--certificate-authority", str(ca), "--token", token, "--cache-dir", str(ca.parent / "cache"), *args]
    env = {**os.environ, "KUBECONFIG": "/dev/null"}
    if wait:
        return subprocess.run(command, input=data, capture_output=True, text=True, timeout=60, env=env)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.fixture(scope="module")
def kube(tmp_path_factory):
    assert os.path.exists(SERVER), "BAILEE_KUBE_APISERVER names no server: cargo xtask nightly builds one"
    kube = Kube(tmp_path_factory.mktemp("kube"))
    yield kube
    kube.stop()


class Way:
    """A house with the broker, a session with the cluster, and kubectl through it."""

    def __init__(self, kube, house, folder, *rules):
        self.kube, self.house = kube, house
        self.lin, self.li = Browser(house).login_operator(house), Browser(house).login_tenant(house)
        self.li.get("/console/targets")
        self.li.post("/console/targets", family="cluster", name="shop", address=kube.address, ca_pem=kube.ca.read_text(), password=BROKER)
        assert self.li.status == 200 and BROKER not in self.li.source, self.li.text
        limits = json.dumps({"family": "cluster", "rules": list(rules)})
        self.grant = consent(self.lin, self.li, "shop", family="cluster", limits=limits,
                             **{f"part-{i}": "yes" for i in range(len(rules))})
        kube.bind(self.grant)
        self.session, secret = session(self.lin, "shop", "cluster")
        self.token = f"{self.session}.{secret}"
        self.server = f"https://127.0.0.1:{Relay(house.facts['brokers']['kubernetes'], serving(kube.cert, kube.key)).port}"

    def kubectl(self, *args, **more):
        return kubectl(self.server, self.kube.ca, self.token, "--namespace", "shop", *args, **more)


class Brokers(Server):
    def __init__(self, folder):
        self.folder = None
        House.__init__(self, folder / "data", env={"BAILEE_KUBERNETES_LISTEN": "127.0.0.1:0"})


READ = {"verbs": ["get", "list", "watch"], "resources": ["configmaps"], "namespaces": ["shop"], "names": ["settings"]}
PODS = {"verbs": ["get", "create"], "resources": ["pods", "pods/log", "pods/exec"], "namespaces": ["shop"], "names": ["web-1"]}


def test_kubectl_reaches_what_grant_and_cluster_both_allow(kube, tmp_path):
    with Brokers(tmp_path) as s:
        secrets = {"verbs": ["get"], "resources": ["secrets"], "namespaces": ["shop"]}
        way = Way(kube, s, tmp_path, READ, secrets)
        seen = way.kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.colour}")
        assert (seen.returncode, seen.stdout) == (0, "blue"), seen
        # The grant is narrower than the role: another name, a list, another namespace, a change.
        for no in [("get", "configmap", "prices"), ("get", "configmaps"), ("get", "configmap", "settings", "--namespace", "default"),
                   ("delete", "configmap", "settings"), ("get", "nodes"), ("get", "--raw", "/metrics")]:
            done = way.kubectl(*no)
            assert done.returncode != 0 and "prices" not in done.stdout, (no, done)
        # The role is narrower than the grant: the API server itself says no, to the operator and his group.
        no = way.kubectl("get", "secret", "password", "-o", "yaml")
        assert no.returncode != 0 and re.search(r'User "bailee:emp-\w+" cannot get resource "secrets"', no.stderr), no
        # Nobody becomes somebody else.
        no = way.kubectl("get", "secret", "password", "--as", "admin", "--as-group", "system:masters")
        assert no.returncode != 0 and "hunter22" not in no.stdout, no
        # The broker's own token opens nothing by itself.
        assert kubectl(kube.address, kube.ca, BROKER, "--namespace", "shop", "get", "configmap", "settings").returncode != 0
        noted = json.dumps([f["note"] for f in recording(way.li, way.session) if f["side"] == "note"])
        assert "/api/v1/namespaces/shop/configmaps/settings" in noted and "/api/v1/namespaces/shop/configmaps/prices" in noted
        assert BROKER not in noted and BROKER not in s.log_text()


def test_a_watch_is_cut_when_the_tenant_revokes(kube, tmp_path):
    with Brokers(tmp_path) as s:
        way = Way(kube, s, tmp_path, READ)
        watch = way.kubectl("get", "configmap", "settings", "--watch", "-o", "jsonpath={.data.colour}{\"\\n\"}", wait=False)
        assert watch.stdout.readline() == "blue\n", watch.stderr.read()
        kube.admin("--namespace", "shop", "patch", "configmap", "settings", "-p", '{"data":{"colour":"green"}}')
        assert watch.stdout.readline() == "green\n"
        way.li.get("/console/consent")
        began = time.monotonic()
        way.li.post(f"/console/consent/{way.grant}/revoke")
        watch.wait(timeout=10)
        assert time.monotonic() - began < 3
        kube.admin("--namespace", "shop", "patch", "configmap", "settings", "-p", '{"data":{"colour":"blue"}}')
        assert "green" not in watch.stdout.read()
        assert way.kubectl("get", "configmap", "settings").returncode != 0


def test_logs_and_exec_pass_and_are_recorded(kube, tmp_path):
    with Brokers(tmp_path) as s:
        way = Way(kube, s, tmp_path, PODS)
        assert way.kubectl("logs", "web-1").stdout == "the shop is open\n"
        # This kubectl (1.20) knows SPDY only: it is told so, nothing runs.
        no = way.kubectl("exec", "web-1", "--", "true")
        assert no.returncode != 0, no
        client = websocket.create_connection(
            way.server.replace("https", "wss") + "/api/v1/namespaces/shop/pods/web-1/exec?command=sh&stdin=true&stdout=true",
            header=[f"Authorization: Bearer {way.token}"], subprotocols=["v4.channel.k8s.io"],
            sslopt={"ca_certs": str(kube.ca)}, timeout=20)
        client.send_binary(b"\x00whisper")
        assert client.recv() == b"\x01WHISPER"
        way.li.get(f"/console/sessions/{way.session}")
        began = time.monotonic()
        way.li.post(f"/console/sessions/{way.session}/cut")
        with pytest.raises((websocket.WebSocketException, OSError)):
            while client.recv():
                pass
        assert time.monotonic() - began < 3
        frames = recording(way.li, way.session)
        sent = b"".join(bytes.fromhex(f["hex"]) for f in frames if f["side"] != "note")
        assert b"the shop is open" in sent and b"WHISPER" in sent, sent


MAPPING = """
version: 1
source: kubernetes
actors: [{ actor: "bailee:*", broker: true }, { actor: admin, operator: op-lin }]
tenants: [{ resource: "shop/*", tenant: acme }]
rules:
  - { name: reads, when: { action: get, fields: { kind: configmaps } }, event: "K8s-{action}", type: CUSTOMER_INITIATED_SUPPORT }
  - { name: other, ignore: true }
"""


def test_the_audit_log_is_laid_to_the_session_and_a_way_around_is_told(kube, tmp_path):
    with Brokers(tmp_path) as s:
        way = Way(kube, s, tmp_path, READ)
        log = tmp_path / "audit.log"
        began = kube.audit.stat().st_size
        assert way.kubectl("get", "configmap", "settings").returncode == 0

        def lines():
            with open(kube.audit, "rb") as f:
                f.seek(began)
                return [line for line in f.read().splitlines(keepends=True) if b"configmaps/settings" in line]

        wait_until(lambda: any(b"bailee:emp-" in line for line in lines()))
        log.write_bytes(b"".join(lines()))
        collector = Collector(s, tmp_path / "c", "kubernetes", MAPPING, "--file", log)
        assert collector.once()["recorded"] == 1
        assert f"let in by session {way.session}" in way.li.get("/console/trail").text, way.li.text

        def reconcile(code):
            span = ["--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z"]
            return json.loads(s.run("collect", "reconcile", "--tenant", "acme", *span, "--output", "json", code=code).stdout)

        assert reconcile(0)["inSessions"] == 1
        run(VERIFY, s.export())
        # The operator as administrator of the cluster, beside the broker.
        before = len(lines())
        assert kube.admin("--namespace", "shop", "get", "configmap", "settings").returncode == 0
        wait_until(lambda: len(lines()) > before)
        with open(log, "ab") as f:
            f.write(b"".join(lines()[before:]))
        assert collector.once()["recorded"] == 1
        assert len(reconcile(3)["uncovered"]) == 1
        assert len(collected(s)) == 2
