"""Keys that never leave their tenant: `bailee keyhouse` asked by curl as AWS's own test client asks a proxy, and by a house
whose buckets lie in a tenant's custody."""

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid

import boto3
import house as h
import pytest
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_util.models import RuntimeOptions
from conftest import s3_client
from kit import Browser, wait_until
from sdk import Sdk, make_user, policy, refused
from test_s3 import code
from test_versions import get, put, refused as refused_by

OBJECT = {"bucket": "acme-sealed", "key": "plan/a b.txt"}


class Keyhouse:
    """A folder with a running service."""

    def __init__(self, folder, *init, tls=None, prefix="/acme"):
        self.folder, self.tls, self.prefix = folder, tls, prefix
        made = json.loads(self.run("init", "--listen", "127.0.0.1:0", "--prefix", prefix, *init, "--output", "json"))
        self.credential, self.secret = made["credentialId"], made["secret"]
        self.start()

    def run(self, *args, code=0, **kw):
        done = subprocess.run([h.BIN, "keyhouse", "--dir", str(self.folder), *args], capture_output=True, text=True, timeout=60, **kw)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def start(self):
        self.log = open(self.folder.parent / (self.folder.name + ".log"), "ab")
        tls = ["--tls-cert", self.tls[0], "--tls-key", self.tls[1]] if self.tls else []
        command = [h.BIN, "keyhouse", "--dir", str(self.folder), "serve", *tls]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = h.first_line(self.process.stdout)
        assert line, open(self.log.name).read()
        self.address = line.decode().split()[1] if isinstance(line, bytes) else line.split()[1]
        # The next start listens at the same place.
        port = re.search(r":(\d+)/", self.address).group(1)
        config = self.folder / "keyhouse.toml"
        config.write_text(config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        assert "panicked" not in open(self.log.name).read()

    def journal(self):
        done = subprocess.run([h.BIN, "keyhouse", "--dir", str(self.folder), "journal"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def edit(self, old, new):
        config = self.folder / "keyhouse.toml"
        text = config.read_text()
        assert old in text, text
        config.write_text(text.replace(old, new))

    def curl(self, path, body, credential=None, secret=None, prefix=None, args=()):
        """As AWS's test client asks (aws-kms-xksproxy-test-client): curl signs. Status and body."""
        url = re.sub(r"/kms/xks/v1$", "", self.address)
        url = url[: len(url) - len(self.prefix)] + (self.prefix if prefix is None else prefix) + "/kms/xks/v1/" + path
        user = f"{credential or self.credential}:{secret or self.secret}"
        command = ["curl", url, "--silent", "-H", "Content-Type:application/json", "--aws-sigv4", "aws:amz:us-east-2:kms-xks-proxy"]
        command += ["--user", user, "--data-binary", "@-", "-w", "\n%{http_code}", *args]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        done = subprocess.run(command, input=data, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        text, status = done.stdout.rsplit(b"\n", 1)
        return int(status), json.loads(text)


def metadata(operation, **more):
    return {
        "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
        "kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:/key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "kmsOperation": operation,
        "kmsRequestId": str(uuid.uuid4()),
        "kmsViaService": "ebs",
        **more,
    }


def encrypt(plain=b"plaintext\n", aad=None, **more):
    body = {"requestMetadata": metadata("Encrypt"), "encryptionAlgorithm": "AES_GCM", **more}
    if plain is not None:
        body["plaintext"] = base64.b64encode(plain).decode()
    if aad is not None:
        body["additionalAuthenticatedData"] = base64.b64encode(aad).decode()
    return body


def decrypt(answer, aad=None, **more):
    parts = {k: v for k, v in answer.items() if k != "ciphertextDataIntegrityValue"}
    body = {"requestMetadata": metadata("Decrypt"), "encryptionAlgorithm": "AES_GCM", **parts, **more}
    if aad is not None:
        body["additionalAuthenticatedData"] = base64.b64encode(aad).decode()
    return body


@pytest.fixture
def keyhouse(tmp_path):
    k = Keyhouse(tmp_path / "keyhouse", "--tenant", "1" * 16, "--key", "foo", prefix="/example/uri/path/prefix")
    k.edit(f"acs:ram::{'1' * 16}:*", "arn:aws:iam::123456789012:user/*")
    yield k
    k.stop()


def name(answer):
    return answer[1].get("errorName")


def test_it_answers_as_the_public_test_client_asks(keyhouse):
    """The calls and expectations of aws-kms-xksproxy-test-client 1.1.0, `test-xks-proxy -a`."""
    for usage, key in [("ENCRYPT", "encrypt_only_key"), ("DECRYPT", "decrypt_only_key"), ("NONE", "impotent_key")]:
        keyhouse.run("key", "add", key, "--usage", usage)
    wrong = dict(credential="Invalid" + keyhouse.credential), dict(secret="Invalid" + keyhouse.secret)
    health = {"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": str(uuid.uuid4())}}
    status, told = keyhouse.curl("health", health)
    assert status == 200 and told["ekmFleetDetails"][0]["healthStatus"] == "ACTIVE" and told["xksProxyFleetSize"] > 0
    assert {"xksProxyVendor", "xksProxyModel", "ekmVendor"} <= told.keys()
    for path, body, operation in [("health", health, None), ("keys/foo/metadata", {"requestMetadata": metadata("DescribeKey")}, 1), ("keys/foo/encrypt", encrypt(), 1)]:
        for other in wrong:
            assert (keyhouse.curl(path, body, **other)[0], name(keyhouse.curl(path, body, **other))) == (401, "AuthenticationFailedException")
        bad = keyhouse.curl(path, body, prefix=keyhouse.prefix + "/invalid")
        assert (bad[0], name(bad)) == (404, "InvalidUriPathException")
        if operation is None or "metadata" in path:
            assert name(keyhouse.curl(path, {})) == "ValidationException"
            assert name(keyhouse.curl(path, {"requestMetadata": {}})) == "ValidationException"
    for operation in ["DescribeKey", "CreateKey"]:
        status, told = keyhouse.curl("keys/foo/metadata", {"requestMetadata": metadata(operation)})
        assert (status, told) == (200, {"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"})
    for path, body in [("metadata", {"requestMetadata": metadata("DescribeKey")}), ("encrypt", encrypt())]:
        missing = keyhouse.curl(f"keys/non_existing_key/{path}", body)
        assert (missing[0], name(missing)) == (404, "KeyNotFoundException")
    assert name(keyhouse.curl("keys/foo/encrypt", encrypt(None))) == "ValidationException"

    aad, other = b"project=nile,department=marketing", b"project=blue,department=finance"
    sealed = keyhouse.curl("keys/foo/encrypt", encrypt(aad=aad))[1]
    for bad in [None, other]:
        no = keyhouse.curl("keys/foo/decrypt", decrypt(sealed, bad))
        assert (no[0], name(no)) == (400, "InvalidCiphertextException")
    big = os.urandom(4096), os.urandom(8192)
    for plain, bound in [(b"Hello World!", None), (b"Hello World!", aad), big]:
        for digest in [{}, {"ciphertextDataIntegrityValueAlgorithm": "SHA_256"}]:
            status, sealed = keyhouse.curl("keys/foo/encrypt", encrypt(plain, bound, **digest))
            assert status == 200, sealed
            part = {k: base64.b64decode(v) for k, v in sealed.items()}
            assert len(part["ciphertext"]) == len(plain) and len(part["initializationVector"]) == 12 and len(part["authenticationTag"]) == 16
            if digest:
                whole = (bound or b"") + part["ciphertextMetadata"] + part["initializationVector"] + part["ciphertext"] + part["authenticationTag"]
                assert part["ciphertextDataIntegrityValue"] == hashlib.sha256(whole).digest()
            status, told = keyhouse.curl("keys/foo/decrypt", decrypt(sealed, bound))
            assert (status, base64.b64decode(told["plaintext"])) == (200, plain)

    status, sealed = keyhouse.curl("keys/encrypt_only_key/encrypt", encrypt(aad=aad))
    assert status == 200 and name(keyhouse.curl("keys/encrypt_only_key/decrypt", decrypt(sealed, aad))) == "InvalidKeyUsageException"
    for key in ["decrypt_only_key", "impotent_key"]:
        assert name(keyhouse.curl(f"keys/{key}/encrypt", encrypt())) == "InvalidKeyUsageException"
    assert name(keyhouse.curl("keys/impotent_key/decrypt", decrypt(sealed, aad))) == "InvalidKeyUsageException"
    # Metadata that is moved into the additional data (the specification's note to Encrypt).
    bare = keyhouse.curl("keys/foo/encrypt", encrypt())[1]
    moved = {**bare, "additionalAuthenticatedData": bare["ciphertextMetadata"]}
    del moved["ciphertextMetadata"]
    assert name(keyhouse.curl("keys/foo/decrypt", decrypt(moved))) == "InvalidCiphertextException"
    lines = keyhouse.journal()
    assert lines and all(line["decision"] == "allowed" for line in lines)
    assert base64.b64encode(b"Hello World!").decode() not in json.dumps(lines)


def test_hostile_requests_get_a_name_and_hold_nothing(keyhouse):
    cases = [
        (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b'{"requestMetadata":' * 10, 400), (b"0" * 600_000, 413),
        (json.dumps(encrypt(os.urandom(4301))).encode(), 501), (json.dumps(encrypt(aad=os.urandom(8193))).encode(), 501),
        (json.dumps({**encrypt(), "requestMetadata": metadata("E" * 3000)}).encode(), 400),
    ]
    for body, wanted in cases:
        status, told = keyhouse.curl("keys/foo/encrypt", body)
        assert status == wanted and told["errorName"].endswith("Exception") and len(told["errorMessage"]) < 512, (body[:20], status, told)
    assert keyhouse.curl("keys/foo/encrypt", encrypt(), args=["-X", "GET"])[0] == 405
    # A clock that is wrong, a body that was changed on the way, a header too many.
    done = keyhouse.curl("keys/foo/encrypt", encrypt(), args=["-H", "X-Amz-Date: 20200101T000000Z"])
    assert done[0] == 401
    # A no from the rules is a no with its reason, and stands in the journal.
    stranger = encrypt()
    stranger["requestMetadata"]["awsPrincipalArn"] = "arn:aws:iam::999:user/Mallory\nx"
    status, told = keyhouse.curl("keys/foo/encrypt", stranger)
    assert (status, told["errorName"]) == (403, "AccessDeniedException")
    assert keyhouse.journal()[-1]["decision"] == "refused"
    # An evidence where no rule asks for one is refused: a rule is wider than it was meant.
    shown = encrypt()
    shown["requestMetadata"]["bailee"] = {"reason": "CUSTOMER_INITIATED_SUPPORT"}
    assert keyhouse.curl("keys/foo/encrypt", shown)[0] == 403


def test_its_journal_outlives_kill_and_shows_every_change(keyhouse):
    def hammer():
        while not stop.is_set():
            try:
                if keyhouse.curl("keys/foo/encrypt", encrypt())[0] == 200:
                    answered.append(1)
            except (AssertionError, ValueError):
                return

    for _ in range(2):
        answered, stop = [], threading.Event()
        before = len(keyhouse.journal())
        threads = [threading.Thread(target=hammer) for _ in range(4)]
        [t.start() for t in threads]
        wait_until(lambda: len(answered) > 20)
        keyhouse.kill()
        stop.set()
        [t.join() for t in threads]
        assert "another process" in "" or keyhouse.run("journal", "--check") is not None
        lines = [l for l in keyhouse.journal() if l["operation"] == "Encrypt"]
        assert len(lines) >= before and len(lines) - before >= len(answered), "an answer that stands nowhere"
        keyhouse.start()
        assert keyhouse.curl("keys/foo/encrypt", encrypt())[0] == 200
    # Two do not write one journal.
    said = subprocess.run([h.BIN, "keyhouse", "--dir", str(keyhouse.folder), "serve"], capture_output=True, text=True, timeout=60)
    assert said.returncode == 1 and "another process writes it" in said.stderr, said.stderr
    keyhouse.kill()
    journal = keyhouse.folder / "journal.jsonl"
    whole = journal.read_text()
    lines = whole.splitlines(keepends=True)
    for bad in ["".join(lines[:1] + lines[2:]), whole.replace("Alice", "Malice", 1), "".join(lines[1:])]:
        journal.write_text(bad)
        keyhouse.run("journal", "--check", code=3)
        assert "changed, moved or removed" in keyhouse.run("serve", code=3)
    journal.write_text(whole)
    keyhouse.start()


def test_under_a_passphrase_it_starts_with_it_only(keyhouse, tmp_path):
    sealed = keyhouse.curl("keys/foo/encrypt", encrypt())[1]
    keyhouse.stop()
    word = tmp_path / "word"
    word.write_text("correct horse battery\n")
    word.chmod(0o600)
    keyhouse.run("protect", "passphrase", "--new-passphrase-file", str(word))
    assert "passphrase" in keyhouse.run("serve", code=1)
    env = {**os.environ, "BAILEE_ROOT_PASSPHRASE_FILE": str(word)}
    os.environ["BAILEE_ROOT_PASSPHRASE_FILE"] = str(word)
    try:
        keyhouse.start()
    finally:
        del os.environ["BAILEE_ROOT_PASSPHRASE_FILE"]
    assert keyhouse.curl("keys/foo/decrypt", decrypt(sealed))[0] == 200
    for what in [["key", "rotate", "foo"], ["key", "disable", "foo"]]:
        keyhouse.run(*what, env=env)
    assert name(keyhouse.curl("keys/foo/decrypt", decrypt(sealed))) == "InvalidStateException"
    keyhouse.run("key", "enable", "foo", env=env)
    assert keyhouse.curl("keys/foo/decrypt", decrypt(sealed))[0] == 200, "the old version"
    assert base64.b64decode(keyhouse.curl("keys/foo/encrypt", encrypt())[1]["ciphertextMetadata"]) == b"\0\0\0\2"
    second = json.loads(keyhouse.run("credential", "add", "--output", "json", env=env))
    assert keyhouse.curl("keys/foo/encrypt", encrypt(), second["credentialId"], second["secret"])[0] == 200
    keyhouse.run("credential", "remove", keyhouse.credential, env=env)
    assert keyhouse.curl("keys/foo/encrypt", encrypt())[0] == 401
    assert keyhouse.curl("keys/foo/encrypt", encrypt(), second["credentialId"], second["secret"])[0] == 200


# In a house.


def own(house, action, keys=None, **query):
    """One of our own operations, by the SDK's generic client."""
    key_id, secret = keys or house.key("acme")
    config = Config(access_key_id=key_id, access_key_secret=secret, endpoint=house.console.removeprefix("http://"), protocol="http", region_id=h.REGION)
    params = Params(action=action, version="2016-01-20", protocol="HTTP", method="POST", auth_type="AK", style="RPC", pathname="/", req_body_type="formData", body_type="json")
    return Client(config).call_api(params, OpenApiRequest(body={k: str(v) for k, v in query.items()}), RuntimeOptions())["body"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return str(cert), str(key)


class Custody:
    """A house, a tenant's keyhouse behind TLS, and a bucket in the tenant's custody."""

    def __init__(self, house, folder, certificate, lease=0):
        self.house, self.folder = house, folder
        self.kms = Sdk("Kms", house, house.key("acme"))
        self.s3 = s3_client(house)
        self.tenant = house.tenant("acme")["id"]
        self.approver = folder / "alice.key"
        vkey = h.bailee("keyhouse", "approver", "--name", "alice@acme", "--out", str(self.approver)).stdout.strip()
        head = json.loads(house.run("trail", "head", "--tenant", "acme", "--output", "json").stdout)
        self.keyhouse = Keyhouse(folder / "keyhouse", "--tenant", self.tenant, "--log", head["key"], "--approver", vkey, tls=certificate)
        self.settings = dict(
            Name="home", Address=self.keyhouse.address.replace("127.0.0.1", "localhost"), CredentialId=self.keyhouse.credential,
            Roots=open(certificate[0]).read(), LeaseSeconds=lease, Approvers=vkey,
        )
        made = own(house, "CreateKeyStore", CredentialSecret=self.keyhouse.secret, **self.settings)["KeyStore"]
        self.store = made["KeyStoreId"]
        assert "Secret" not in json.dumps(made)
        self.cmk = own(house, "CreateKey", Origin="EXTERNAL_KEY_STORE", KeyStoreId=self.store, ExternalKeyId="k1")["KeyMetadata"]["KeyId"]
        self.s3.create_bucket(Bucket="acme-sealed")
        own(house, "SetBucketCustody", Bucket="acme-sealed", KeyId=self.cmk)

    def sign(self, page, grant, *args):
        """The statement as the console shows it, signed at the approver's."""
        block = re.search(rf'id="sign-{grant}".*?<pre class="statement">(.*?)</pre>', page, re.S).group(1)
        statement = re.sub(r"&quot;", '"', block).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
        command = [h.BIN, "keyhouse", "approve", "--key", str(self.approver), "--yes", *args]
        done = subprocess.run(command, input=statement, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "may do oss:GetObject on object acme-sealed/plan/a b.txt" in done.stderr
        return done.stdout


@pytest.fixture
def custody(house, tmp_path, certificate):
    c = Custody(house, tmp_path, certificate)
    yield c
    if c.keyhouse.process.poll() is None:
        c.keyhouse.stop()


def last(custody, operation):
    return [line for line in custody.keyhouse.journal() if line["operation"] == operation][-1]


def test_a_bucket_in_custody_is_readable_only_while_its_tenants_service_says_yes(custody, chance):
    s3, keyhouse, cmk = custody.s3, custody.keyhouse, custody.cmk
    told = custody.kms("DescribeKey", KeyId=cmk)["KeyMetadata"]
    assert told["Origin"] == "EXTERNAL_KEY_STORE"
    body = chance.randbytes(3 * 1024 * 1024)
    done = s3.put_object(Bucket="acme-sealed", Key="o", Body=body)
    assert (done["ServerSideEncryption"], done["SSEKMSKeyId"]) == ("aws:kms", cmk)
    line = last(custody, "Encrypt")
    root = f"acs:ram::{custody.tenant}:root"
    assert (line["decision"], line["principal"], line["via"]) == ("allowed", root, "oss")
    assert line["bound"]["context"]["acs:oss:object"] == f"acs:oss:*:{custody.tenant}:acme-sealed/o"
    assert get(s3, "acme-sealed", "o") == body and last(custody, "Decrypt")["principal"] == root
    # Several parts, a copy, a range.
    up = s3.create_multipart_upload(Bucket="acme-sealed", Key="parts")["UploadId"]
    etag = s3.upload_part(Bucket="acme-sealed", Key="parts", UploadId=up, PartNumber=1, Body=body)["ETag"]
    s3.complete_multipart_upload(Bucket="acme-sealed", Key="parts", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    s3.copy_object(Bucket="acme-sealed", Key="copy", CopySource={"Bucket": "acme-sealed", "Key": "parts"})
    assert get(s3, "acme-sealed", "copy", Range="bytes=7-9") == body[7:10]
    # Nothing else gets in.
    for other in [dict(SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32), dict(ServerSideEncryption="aws:kms", SSEKMSKeyId=custody.kms("CreateKey")["KeyMetadata"]["KeyId"])]:
        assert code(refused_by(lambda: s3.put_object(Bucket="acme-sealed", Key="x", Body=b"x", **other)))[1] == 400

    keyhouse.run("key", "disable", "k1")
    assert code(refused_by(lambda: get(s3, "acme-sealed", "o")))[0] == "KMS.KMSInvalidStateException"
    keyhouse.run("key", "enable", "k1")
    assert get(s3, "acme-sealed", "o") == body
    keyhouse.edit(f"acs:ram::{custody.tenant}:*", f"acs:ram::{custody.tenant}:user/*")
    assert code(refused_by(lambda: get(s3, "acme-sealed", "o"))) == ("AccessDenied", 403)
    keyhouse.edit(f"acs:ram::{custody.tenant}:user/*", f"acs:ram::{custody.tenant}:*")
    keyhouse.stop()
    assert code(refused_by(lambda: get(s3, "acme-sealed", "o"))) == ("ServiceUnavailable", 503)
    assert code(refused_by(lambda: put(s3, "acme-sealed", b"x", "p"))) == ("ServiceUnavailable", 503)
    assert s3.head_object(Bucket="acme-sealed", Key="o")["ContentLength"] == len(body)
    keyhouse.start()
    assert get(s3, "acme-sealed", "o") == body
    custody.house.assert_well()
    assert keyhouse.secret not in custody.house.log_text()


def test_an_operator_shows_the_tenants_service_a_signed_grant_and_his_recorded_intent(custody):
    house, keyhouse = custody.house, custody.keyhouse
    plan = b"the plan" * 3 * 1024 * 1024  # three windows, each recorded and asked for
    custody.s3.put_object(Bucket="acme-sealed", Key=OBJECT["key"], Body=plan)
    custody.s3.put_object(Bucket="acme-sealed", Key="other", Body=b"not this")
    lin, li = Browser(house).login_operator(house), Browser(house).login_tenant(house)

    def read(what=OBJECT):
        lin.get("/desk/tickets/T-1/data/acme-sealed")
        return lin.post("/desk/tickets/T-1/read", **what)

    def ask():
        assert read().status == 403
        lin.post("/desk/tickets/T-1/ask", minutes="30", uses="3", reason="it does not open", **OBJECT)
        li.get("/console/consent")
        return re.search(r"G-[a-z0-9]{12}", lin.source).group(0)

    grant = ask()
    li.post(f"/console/consent/{grant}/approve", minutes="30", uses="3")
    assert li.status == 400 and "sign the statement" in li.text, li.text
    li.get("/console/consent")
    signed = custody.sign(li.source, grant, "--minutes", "10", "--reads", "2")
    for bad in [signed.replace("reads 2", "reads 3"), signed.replace(grant, "G-000000000000"), signed.split("\n\n")[0] + "\n", "x"]:
        li.get("/console/consent")
        li.post(f"/console/consent/{grant}/approve", statement=bad)
        assert li.status == 400 and "refused" in li.text, (bad, li.text)
    li.get("/console/consent")
    li.post(f"/console/consent/{grant}/approve", statement=signed.replace("\n", "\r\n"))
    assert li.status == 200, li.text

    assert read().status == 200 and lin.data == plan
    windows = [line["shown"] for line in keyhouse.journal() if line["operation"] == "Decrypt" and line["decision"] == "allowed"]
    assert [w["continues"] for w in windows] == [False, True, True] and len({w["index"] for w in windows}) == 3
    line = last(custody, "Decrypt")
    shown = line["shown"]
    assert (line["decision"], shown["grant"], shown["approvedBy"], shown["object"]) == ("allowed", grant, ["alice@acme"], "acme-sealed/plan/a b.txt")
    assert line["principal"].endswith(":operator/" + shown["operator"]) and "op-lin" not in json.dumps(line)
    # The intent that was shown stands at that place in the tenant's bundle, which verifies.
    h.verify(house.export())
    assert read({"bucket": "acme-sealed", "key": "other"}).status == 403
    li.get("/console/data/acme-sealed")
    assert "In your custody" in li.text and custody.cmk in li.source
    # The tenant's service alone says no: the provider's gate would let him.
    keyhouse.edit('operations = ["Decrypt"]\nneeds = "grant"', 'operations = ["Encrypt"]\nneeds = "grant"')
    assert read().status == 403 and b"the plan" not in lin.data
    assert last(custody, "Decrypt")["why"] == "no rule allows it"
    keyhouse.edit('operations = ["Encrypt"]\nneeds = "grant"', 'operations = ["Decrypt"]\nneeds = "grant"')
    # Two reads were granted; the gate counts the one that the service refused, the service does not.
    assert read().status == 403 and "all reads of the grant are used" in lin.text
    li.get("/console/trail")
    assert grant in li.text
    bundle = house.export().read_bytes()
    assert b'"signedBy":["alice@acme"]' in bundle


def test_a_lease_spares_questions_and_ends(house, tmp_path, certificate):
    c = Custody(house, tmp_path, certificate, lease=2)
    try:
        asked = lambda: sum(line["operation"] == "Decrypt" for line in c.keyhouse.journal())
        c.s3.put_object(Bucket="acme-sealed", Key="o", Body=b"x")
        for _ in range(5):
            assert get(c.s3, "acme-sealed", "o") == b"x"
        assert asked() == 1
        # Somebody else asks for himself.
        ram = Sdk("Ram", house, house.key("acme"))
        li = make_user(ram, "lease-li", "AdministratorAccess")
        assert get(s3_client(house, key=li), "acme-sealed", "o") == b"x" and asked() == 2
        time.sleep(2.1)
        assert get(c.s3, "acme-sealed", "o") == b"x" and asked() == 3
        # A change of the store counts at once.
        own(house, "UpdateKeyStore", KeyStoreId=c.store, **{**c.settings, "LeaseSeconds": 3600})
        assert get(c.s3, "acme-sealed", "o") == b"x" and asked() == 4
        c.keyhouse.run("key", "disable", "k1")
        assert get(c.s3, "acme-sealed", "o") == b"x", "the lease still runs"
        own(house, "UpdateKeyStore", KeyStoreId=c.store, **{**c.settings, "LeaseSeconds": 0})
        assert code(refused_by(lambda: get(c.s3, "acme-sealed", "o")))[0] == "KMS.KMSInvalidStateException"
    finally:
        c.keyhouse.stop()


def test_keys_and_secrets_of_kms_may_lie_there_too(custody):
    kms = custody.kms
    blob = kms("Encrypt", KeyId=custody.cmk, Plaintext=base64.b64encode(b"hello").decode(), EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert base64.b64decode(kms("Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"]) == b"hello"
    with refused("InvalidParameter", 400):
        kms("Decrypt", CiphertextBlob=blob)
    assert last(custody, "Decrypt")["bound"]["context"] == {}
    made = kms("GenerateDataKey", KeyId=custody.cmk)
    assert kms("Decrypt", CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    kms("CreateSecret", SecretName="db", VersionId="v1", SecretData="pw", EncryptionKeyId=custody.cmk)
    assert kms("GetSecretValue", SecretName="db")["SecretData"] == "pw"
    with refused("InvalidParameter", 400):
        kms("Encrypt", KeyId=custody.cmk, Plaintext=base64.b64encode(b"x" * 4301).decode())
    with refused("Unsupported.Origin", 400):
        kms("CreateKeyVersion", KeyId=custody.cmk)
    with refused("Unsupported.Origin", 400):
        kms("GetParametersForImport", KeyId=custody.cmk, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    custody.keyhouse.edit('operations = ["Encrypt", "Decrypt", "GetKeyMetadata"]', 'operations = ["Encrypt", "GetKeyMetadata"]')
    with refused("Forbidden.KeyStore", 403):
        kms("Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "b"})


def test_key_stores_are_checked_and_are_their_tenants(custody):
    house = custody.house

    def no(code, action, keys=None, **query):
        with pytest.raises(Exception) as caught:
            own(house, action, keys, **query)
        assert caught.value.code == code, (caught.value.code, caught.value.message)
        return caught.value.message

    new = {**custody.settings, "CredentialSecret": custody.keyhouse.secret, "Name": "second"}
    assert "no key service" in no("InvalidParameter", "CreateKeyStore", **{**new, "Address": "https://127.0.0.1:1/kms/xks/v1"})
    assert "Address" in no("InvalidParameter", "CreateKeyStore", **{**new, "Address": "https://127.0.0.1/other"})
    assert "no key service" in no("InvalidParameter", "CreateKeyStore", **{**new, "Roots": ""})
    assert "credential" in no("Rejected.KeyStore", "CreateKeyStore", **{**new, "CredentialSecret": "wrong"})
    no("InvalidParameter", "CreateKeyStore", **{**new, "Approvers": "alice"})
    no("InvalidParameter", "CreateKeyStore", **{**new, "LeaseSeconds": "3601"})
    assert no("InvalidParameter", "CreateKey", Origin="EXTERNAL_KEY_STORE")
    assert "no such key" in no("Rejected.KeyStore", "CreateKey", Origin="EXTERNAL_KEY_STORE", KeyStoreId=custody.store, ExternalKeyId="nothing")
    assert no("InvalidParameter", "CreateKey", Origin="EXTERNAL_KEY_STORE", KeyStoreId=custody.store, ExternalKeyId="../k1")
    no("InvalidParameter", "CreateKey", Origin="EXTERNAL_KEY_STORE", KeySpec="Aliyun_SM4", KeyStoreId=custody.store, ExternalKeyId="k1")
    with pytest.raises(Exception, match="exist"):
        own(house, "CreateKey", Origin="EXTERNAL_KEY_STORE", KeyStoreId=custody.store, ExternalKeyId="k1")
    with pytest.raises(Exception, match="lie in this key store"):
        own(house, "DeleteKeyStore", KeyStoreId=custody.store)
    assert "ACTIVE" in own(house, "TestKeyStore", KeyStoreId=custody.store)["Health"]
    listed = own(house, "ListKeyStores")
    assert [s["Name"] for s in listed["KeyStores"]["KeyStore"]] == ["home"] and custody.keyhouse.secret not in json.dumps(listed)
    # Another tenant neither sees nor uses it.
    globex = house.key("globex")
    assert own(house, "ListKeyStores", globex)["TotalCount"] == 0
    for action in ["TestKeyStore", "DeleteKeyStore"]:
        with pytest.raises(Exception, match="does not exist|no key store|not exist"):
            own(house, action, globex, KeyStoreId=custody.store)
    # A user without the right.
    li = make_user(Sdk("Ram", house, house.key("acme")), "store-li", own={"store-list": policy(action="kms:List*")})
    assert own(house, "ListKeyStores", li)["TotalCount"] == 1
    no("Forbidden.NoPermission", "TestKeyStore", li, KeyStoreId=custody.store)
    # Custody begins with an empty bucket, and only with a key that lies elsewhere.
    custody.s3.create_bucket(Bucket="acme-full")
    custody.s3.put_object(Bucket="acme-full", Key="o", Body=b"x")
    with pytest.raises(Exception, match="not empty"):
        own(house, "SetBucketCustody", Bucket="acme-full", KeyId=custody.cmk)
    custody.s3.delete_object(Bucket="acme-full", Key="o")
    assert "key store" in no("InvalidParameter", "SetBucketCustody", Bucket="acme-full", KeyId=custody.kms("CreateKey")["KeyMetadata"]["KeyId"])
    assert own(house, "GetBucketCustody", Bucket="acme-full")["Custody"] == "provider"
    own(house, "SetBucketCustody", Bucket="acme-full", KeyId=custody.cmk)
    assert own(house, "GetBucketCustody", Bucket="acme-full")["Custody"] == "tenant"
    own(house, "SetBucketCustody", Bucket="acme-full")
    assert own(house, "GetBucketCustody", Bucket="acme-full")["Custody"] == "provider"


def test_the_console_adds_a_service_and_gives_a_bucket_into_custody(custody):
    house = custody.house
    li = Browser(house).login_tenant(house)
    li.get("/console/keys/stores")
    assert "home" in li.text and "alice@acme" in li.text and custody.keyhouse.secret not in li.source
    form = dict(name="second", address=custody.settings["Address"], credential=custody.keyhouse.credential, lease="60", approvers="", roots=custody.settings["Roots"])
    li.post("/console/keys/stores", secret="wrong", **form)
    assert li.status == 409 and "credential" in li.text, li.text
    li.get("/console/keys/stores")
    li.post("/console/keys/stores", secret=custody.keyhouse.secret, **form)
    assert li.status == 200 and "second" in li.text
    second = own(house, "ListKeyStores")["KeyStores"]["KeyStore"][1]["KeyStoreId"]
    li.post(f"/console/keys/stores/{second}/test")
    assert "ACTIVE" in li.text
    custody.keyhouse.run("key", "add", "k2")
    custody.s3.create_bucket(Bucket="acme-vault")
    li.get("/console/keys/stores")
    li.post("/console/keys/stores/key", store=second, external="k2", bucket="acme-vault")
    assert li.status == 200 and "stays in your own key service" in li.text
    put(custody.s3, "acme-vault", b"x")
    assert last(custody, "Encrypt")["key"] == "k2"
    li.get("/console/keys/stores?lang=zh")
    assert "您自己的密钥服务" in li.text
    li.post(f"/console/keys/stores/{second}/remove")
    assert li.status == 409, li.text
    wang = Browser(house).login_tenant(house, "globex")
    wang.get("/console/keys/stores")
    assert "No key service" in wang.text
    wang.post(f"/console/keys/stores/{second}/test")
    assert wang.status == 404


def test_a_slow_service_holds_up_its_own_tenant_only(custody):
    """The service takes connections and says nothing: its tenant's requests end by themselves, another's are not slower."""
    import socket

    house = custody.house
    put(custody.s3, "acme-sealed", b"x")
    custody.keyhouse.stop()
    port = int(re.search(r":(\d+)/", custody.keyhouse.address).group(1))
    silent = socket.create_server(("127.0.0.1", port), backlog=512)
    codes = []
    reads = [threading.Thread(target=lambda: codes.append(code(refused_by(lambda: get(s3_client(house, retries={"max_attempts": 1}), "acme-sealed"))))) for _ in range(48)]
    begun = time.monotonic()
    [r.start() for r in reads]
    other = s3_client(house, "globex")
    bucket = house.bucket("globex")
    for _ in range(20):
        at = time.monotonic()
        put(other, bucket, b"quick", "quick")
        assert get(other, bucket, "quick") == b"quick"
        assert time.monotonic() - at < 3, "another tenant waits"
    [r.join() for r in reads]
    assert set(codes) == {("ServiceUnavailable", 503)} and time.monotonic() - begun < 40, (codes, time.monotonic() - begun)
    silent.close()
    custody.keyhouse.start()
    assert get(custody.s3, "acme-sealed") == b"x"
