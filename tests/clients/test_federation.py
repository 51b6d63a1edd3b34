"""AssumeRoleWithOIDC and AssumeRoleWithSAML: an issuer and an IdP of our own, and everything that must not get in."""

import base64
import datetime
import http.server
import json
import secrets
import socket
import threading
import time

import jwt
import pytest
import signxml
from alibabacloud_ram20150501 import models as ram
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401 import models as sts
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms
from lxml import etree
from Tea.exceptions import TeaException

import house as h
from kit import IMS, STS, Server, rpc


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


class Issuer:
    """Publishes a discovery document and keys on this machine, counts who asks, and can be slow or long-winded."""

    def __init__(self):
        self.keys, self.fetches, self.mode = {}, {"discovery": 0, "keys": 0}, "well"
        self.new_key("first")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                discovery = self.path == "/.well-known/openid-configuration"
                issuer.fetches["discovery" if discovery else "keys"] += 1
                if issuer.mode == "hang":
                    issuer.released.wait(30)
                    return
                if issuer.mode == "moved":
                    self.send_response(302)
                    self.send_header("Location", issuer.url + "/elsewhere")
                    self.end_headers()
                    return
                body = json.dumps(issuer.document() if discovery else issuer.jwks()).encode()
                if issuer.mode == "long":
                    body = body[:-1] + b" " * 1_000_000 + b"}"
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                if issuer.mode == "drip":
                    for byte in body:
                        if issuer.released.wait(0.3):
                            return
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    return
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.released = threading.Event()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def new_key(self, kid, algorithm="RS256"):
        key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
        self.keys[kid] = (algorithm, key)

    def document(self):
        return {"issuer": self.url, "authorization_endpoint": self.url + "/a", "token_endpoint": self.url + "/t",
                "jwks_uri": self.url + "/keys", "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"], "subject_types_supported": ["public"]}

    def jwks(self):
        out = []
        for kid, (algorithm, key) in self.keys.items():
            jwk = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
            jwk.pop("key_ops", None)
            out.append({**jwk, "kid": kid, "use": "sig", "alg": algorithm})
        return {"keys": out}

    def claims(self, **changes):
        now = int(time.time())
        all = {"iss": self.url, "sub": "lin", "aud": "bailee", "iat": now, "exp": now + 300, **changes}
        return {k: v for k, v in all.items() if v is not None}

    def token(self, kid="first", **changes):
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers={"kid": kid})

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def issuer():
    one = Issuer()
    yield one
    one.close()


def trust(provider, kind="oidc", **conditions):
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Federated": [provider]},
            **({"Condition": {"StringEquals": {k.replace("_", ":"): v for k, v in conditions.items()}}}
               if conditions else {})}]}


def role_for(server, document, alias="acme"):
    """A role with that trust that may read buckets: its ARN."""
    name, key = "r-" + secrets.token_hex(4), server.key(alias)
    made = rpc(server, "CreateRole", key=key, ok=True, RoleName=name, AssumeRolePolicyDocument=document)
    rpc(server, "AttachPolicyToRole", key=key, ok=True, RoleName=name, PolicyName="AliyunOSSReadOnlyAccess",
        PolicyType="System")
    return made["Role"]["Arn"]


def oidc_provider(server, issuer, alias="acme", **more):
    """A provider with that issuer: its ARN."""
    form = {"OIDCProviderName": "p-" + secrets.token_hex(4), "IssuerUrl": issuer.url, "ClientIds": "bailee,other",
            "Fingerprints": "902ef2deeb3c5b13ea4c3d5193629309e231ae55", **more}
    return rpc(server, "CreateOIDCProvider", IMS, server.key(alias), ok=True, **form)["OIDCProvider"]["Arn"]


@pytest.fixture
def ready(server, issuer):
    """A provider and a role that trusts it for `lin` in our name: (provider, role)."""
    provider = oidc_provider(server, issuer)
    return provider, role_for(server, trust(provider, oidc_aud="bailee", oidc_sub="lin"))


def unsigned(server, action, **form):
    """A raw request without any signature."""
    form = {k: v for k, v in form.items() if v is not None}
    import urllib.parse
    headers = {"x-acs-action": action, "x-acs-version": STS, "content-type": "application/x-www-form-urlencoded"}
    status, _, body = h.request("POST", server.console + "/", urllib.parse.urlencode(form), headers)
    return status, json.loads(body)


def with_oidc(server, provider, role, token, session="ci-17", **more):
    return unsigned(server, "AssumeRoleWithOIDC", OIDCProviderArn=provider, RoleArn=role, OIDCToken=token,
                    RoleSessionName=session, **more)


def sdk(server, client, **config):
    return client(Config(endpoint=server.console.removeprefix("http://"), protocol="http", region_id="cn-hangzhou",
                         **config))


# OIDC


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_sdk_takes_on_a_role_with_a_token(server, issuer, algorithm):
    issuer.new_key("own", algorithm)
    provider = oidc_provider(server, issuer)
    role = role_for(server, trust(provider, oidc_aud="bailee", oidc_sub="lin", oidc_iss=issuer.url))
    # The SDK has no key at all: as it is used in a pod.
    answer = sdk(server, Sts).assume_role_with_oidc(sts.AssumeRoleWithOIDCRequest(
        oidcprovider_arn=provider, role_arn=role, oidctoken=issuer.token("own"), role_session_name="ci-17",
        duration_seconds=900)).body
    assert answer.oidctoken_info.subject == "lin" and answer.oidctoken_info.issuer == issuer.url
    assert answer.oidctoken_info.client_ids == "bailee"
    got = answer.credentials
    me = sdk(server, Sts, access_key_id=got.access_key_id, access_key_secret=got.access_key_secret,
             security_token=got.security_token).get_caller_identity().body
    assert me.identity_type == "AssumedRoleUser" and me.arn.endswith("/ci-17"), me
    assert me.account_id == server.tenant("acme")["id"]
    # It may do what the role may and nothing else.
    session = sdk(server, Ram, access_key_id=got.access_key_id, access_key_secret=got.access_key_secret,
                  security_token=got.security_token)
    with pytest.raises(TeaException) as e:
        session.list_users(ram.ListUsersRequest())
    assert e.value.code == "NoPermission"


def test_a_raw_request_without_a_signature(server, issuer, ready):
    status, answer = with_oidc(server, *ready, issuer.token())
    assert status == 200, answer
    assert answer["AssumedRoleUser"]["Arn"].endswith("/ci-17")
    # A nonce is nobody's business here, and a list of audiences is fine when one of them is ours.
    assert with_oidc(server, *ready, issuer.token(nonce="n-0S6"))[0] == 200
    # Nothing else is open without a signature.
    for action in ("AssumeRole", "GetCallerIdentity"):
        status, answer = unsigned(server, action, RoleArn=ready[1], RoleSessionName="x")
        assert status >= 400 and "Credentials" not in answer, answer


def test_keys_are_kept_and_asked_for_once_more_after_a_rotation(server, issuer, ready):
    for _ in range(5):
        assert with_oidc(server, *ready, issuer.token())[0] == 200
    assert issuer.fetches == {"discovery": 1, "keys": 1}
    issuer.new_key("second")
    del issuer.keys["first"]
    assert with_oidc(server, *ready, issuer.token("second"))[0] == 200
    assert issuer.fetches == {"discovery": 2, "keys": 2}
    # Made-up key names do not make us ask on and on.
    key = issuer.keys["second"][1]
    for n in range(5):
        token = jwt.encode(issuer.claims(), key, algorithm="RS256", headers={"kid": f"made-up-{n}"})
        status, answer = with_oidc(server, *ready, token)
        assert (status, answer["Code"]) == (400, "InvalidParameter.OIDCToken"), answer
    assert issuer.fetches == {"discovery": 2, "keys": 2}


def test_many_at_once_make_one_fetch(server, issuer, ready):
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        done = list(pool.map(lambda _: with_oidc(server, *ready, issuer.token())[0], range(24)))
    assert done == [200] * 24 and issuer.fetches == {"discovery": 1, "keys": 1}


def test_tokens_that_prove_nothing(server, issuer, ready):
    now = int(time.time())
    algorithm, key = issuer.keys["first"]
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def by_hand(header, claims, sign=lambda text: b""):
        part = lambda v: base64.urlsafe_b64encode(json.dumps(v).encode()).rstrip(b"=")  # noqa: E731
        text = part(header) + b"." + part(claims)
        return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()

    def hs256(secret):
        import hashlib
        import hmac
        return by_hand({"alg": "HS256", "kid": "first", "typ": "JWT"}, issuer.claims(),
                       lambda text: hmac.new(secret, text, hashlib.sha256).digest())

    stranger = rsa.generate_private_key(65537, 2048)
    good = issuer.token()
    head, body, signature = good.split(".")
    other_body = base64.urlsafe_b64encode(json.dumps(issuer.claims(sub="root")).encode()).rstrip(b"=").decode()
    embedded = {**get_default_algorithms()["RS256"].to_jwk(stranger.public_key(), as_dict=True), "kid": "first"}
    bad = {
        "none": by_hand({"alg": "none", "kid": "first"}, issuer.claims()),
        "None": by_hand({"alg": "None", "kid": "first"}, issuer.claims()),
        "no signature": f"{head}.{body}.",
        "HS256 under the public key": hs256(pem),
        "HS256 under the modulus": hs256(issuer.jwks()["keys"][0]["n"].encode()),
        "another key": jwt.encode(issuer.claims(), stranger, algorithm="RS256", headers={"kid": "first"}),
        "a key that it brings": jwt.encode(issuer.claims(), stranger, algorithm="RS256",
                                           headers={"kid": "first", "jwk": embedded, "jku": issuer.url + "/keys"}),
        "another body": f"{head}.{other_body}.{signature}",
        "wrong aud": issuer.token(aud="somebody"), "no aud": issuer.token(aud=None), "aud list": issuer.token(aud=[]),
        "wrong iss": issuer.token(iss=issuer.url + "/"), "other iss": issuer.token(iss="https://evil.example"),
        "no iss": issuer.token(iss=None), "no sub": issuer.token(sub=None),
        "expired": issuer.token(iat=now - 400, exp=now - 61), "no exp": issuer.token(exp=None),
        "from tomorrow": issuer.token(iat=now + 120, exp=now + 600), "not yet": issuer.token(nbf=now + 120),
        "not a token": "x", "two parts": f"{head}.{body}", "long": "a" * 30_000, "text exp": issuer.token(sub="x" * 300),
        "more after": good + ".x", "spaces": good + " ",
    }
    for name, token in bad.items():
        status, answer = with_oidc(server, *ready, token)
        assert status == 400 and answer["Code"].startswith("InvalidParameter.OIDCToken"), (name, status, answer)
        assert "Credentials" not in answer
    status, answer = with_oidc(server, *ready, "")
    assert (status, answer["Code"]) == (400, "MissingParameter"), answer
    # Within the leeway a clock may differ.
    assert with_oidc(server, *ready, issuer.token(iat=now - 400, exp=now - 45))[0] == 200
    assert with_oidc(server, *ready, issuer.token(iat=now + 40))[0] == 200


def test_a_token_that_was_issued_long_ago(server, issuer):
    now = int(time.time())
    for hours in (1, 3):
        provider = oidc_provider(server, issuer, IssuanceLimitTime=str(hours))
        role = role_for(server, trust(provider))
        assert with_oidc(server, provider, role, issuer.token(iat=now - hours * 3600 + 30))[0] == 200
        status, answer = with_oidc(server, provider, role, issuer.token(iat=now - hours * 3600 - 90))
        assert (status, answer["Code"]) == (400, "InvalidParameter.OIDCToken") and "hours ago" in answer["Message"]


def test_providers_and_roles_that_do_not_belong_together(server, issuer, ready):
    provider, role = ready
    acme, globex = server.tenant("acme")["id"], server.tenant("globex")["id"]
    token = issuer.token()
    theirs = oidc_provider(server, issuer, "globex")
    for arn in (provider + "x", f"acs:ram::{globex}:oidc-provider/{provider.rsplit('/', 1)[1]}",
                f"acs:ram::{acme}:saml-provider/x", "acs:ram::0:oidc-provider/x", "x", f"acs:ram::{acme}:oidc-provider/",
                "acs:ram::*:oidc-provider/*"):
        status, answer = with_oidc(server, arn, role, token)
        assert status in (400, 404) and "OIDCProvider" in answer["Code"], (arn, status, answer)
    # Globex's own provider vouches for nobody at acme, whatever acme's role says of its own.
    status, answer = with_oidc(server, theirs, role, token)
    assert status in (403, 404) and "Credentials" not in answer, answer
    # And a role of acme that names globex's provider does not open either: whoever runs that provider at globex says
    # who anybody is.
    foreign = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
               "Principal": {"Federated": [theirs]}}]}
    status, answer = rpc(server, "CreateRole", RoleName="r-" + secrets.token_hex(4), AssumeRolePolicyDocument=foreign)
    assert status == 200, answer
    status, answer = with_oidc(server, theirs, answer["Role"]["Arn"], token)
    assert (status, answer["Code"]) == (403, "NoPermission"), answer
    # Roles that trust somebody else, another subject, another audience, or nobody.
    root = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [f"acs:ram::{acme}:root"]}}]}
    second = oidc_provider(server, issuer)
    for document in (root, trust(second), trust(provider, oidc_sub="root"), trust(provider, oidc_aud="other"),
                     trust(provider, oidc_iss="https://evil.example")):
        other = role_for(server, document)
        status, answer = with_oidc(server, provider, other, token)
        assert (status, answer["Code"]) == (403, "NoPermission"), (document, status, answer)
    status, answer = with_oidc(server, provider, role, issuer.token(sub="wang"))
    assert (status, answer["Code"]) == (403, "NoPermission")
    status, answer = with_oidc(server, provider, f"acs:ram::{acme}:role/nobody", token)
    assert status in (403, 404) and "Credentials" not in answer, answer
    for field in ("OIDCProviderArn", "RoleArn", "RoleSessionName"):
        form = {"OIDCProviderArn": provider, "RoleArn": role, "OIDCToken": token, "RoleSessionName": "x", field: None}
        status, answer = unsigned(server, "AssumeRoleWithOIDC", **form)
        assert (status, answer["Code"]) == (400, "MissingParameter") and field in answer["Message"], answer


def test_a_provider_that_was_removed_vouches_for_nobody(server, issuer, ready):
    provider, role = ready
    assert with_oidc(server, provider, role, issuer.token())[0] == 200
    rpc(server, "DeleteOIDCProvider", IMS, ok=True, OIDCProviderName=provider.rsplit("/", 1)[1])
    status, answer = with_oidc(server, provider, role, issuer.token())
    assert status in (400, 404) and "OIDCProvider" in answer["Code"]


def test_a_session_policy_narrows(server, issuer, ready):
    nothing = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ram:GetUser", "Resource": "*"}]}
    status, answer = with_oidc(server, *ready, issuer.token(), Policy=json.dumps(nothing), DurationSeconds="900")
    assert status == 200, answer
    got = answer["Credentials"]
    import boto3
    from botocore.exceptions import ClientError
    s3 = boto3.client("s3", endpoint_url=server.objects, region_name="cn-hangzhou", aws_session_token=got["SecurityToken"],
                      aws_access_key_id=got["AccessKeyId"], aws_secret_access_key=got["AccessKeySecret"])
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket=server.tenant("acme")["buckets"][0])
    for seconds in ("899", "43201", "x"):
        status, answer = with_oidc(server, *ready, issuer.token(), DurationSeconds=seconds)
        assert status == 400 and "DurationSeconds" in answer["Code"], answer


@pytest.mark.parametrize("mode", ["hang", "drip", "long", "moved"])
def test_an_issuer_that_is_slow_or_long_winded_hurts_nobody(server, issuer, ready, mode):
    import concurrent.futures
    issuer.mode = mode
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(with_oidc, server, *ready, issuer.token()) for _ in range(8)]
        time.sleep(0.3)
        asked = time.monotonic()
        assert h.get(server.console + "/readyz")[0] == 200 and rpc(server, "GetCallerIdentity", STS)[0] == 200
        assert time.monotonic() - asked < 2, "others are served meanwhile"
        for one in waiting:
            status, answer = one.result()
            assert (status, answer["Code"]) == (503, "ServiceUnavailable"), answer
    assert time.monotonic() - began < 12
    assert issuer.fetches["discovery"] == 1, "eight that wait make one fetch"
    server.assert_well()


def test_a_server_does_not_ask_its_own_machine(tmp_path):
    """`bailee serve` without --allow-local-issuers: not one connection is made."""
    import json as j
    import subprocess
    data = tmp_path / "data"
    h.bailee("init", "--data", str(data), "--name", "Test Cloud", "--host", "trust.test.example")
    made = j.loads(h.bailee("tenant", "create", "--data", str(data), "--output", "json", "--alias", "acme", "--name",
                            "Acme").stdout)
    ports = []
    for _ in range(2):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    with open(tmp_path / "log", "wb") as log:
        serve = subprocess.Popen([h.BIN, "serve", "--data", str(data), "--listen", f"127.0.0.1:{ports[0]}",
                                  "--object-listen", f"127.0.0.1:{ports[1]}"], stderr=log)
    try:
        class Serving:
            console = f"http://127.0.0.1:{ports[0]}"

            def key(self, alias="acme"):
                return made["access_key_id"], made["access_key_secret"]

        one = Serving()
        end = time.monotonic() + 60
        while True:
            try:
                assert h.get(one.console + "/readyz")[0] == 200
                break
            except OSError:
                assert time.monotonic() < end and serve.poll() is None
                time.sleep(0.1)
        trap = socket.create_server(("127.0.0.1", 0))
        trap.settimeout(0.5)
        port = trap.getsockname()[1]
        for host in ("http://127.0.0.1", "https://127.0.0.1", "https://localhost", "https://127.1", "https://2130706433",
                     "https://[::ffff:127.0.0.1]", "https://0.0.0.0"):
            name = "p-" + secrets.token_hex(4)
            status, answer = rpc(one, "CreateOIDCProvider", IMS, OIDCProviderName=name, IssuerUrl=f"{host}:{port}",
                                 ClientIds="bailee", Fingerprints="902ef2deeb3c5b13ea4c3d5193629309e231ae55")
            if status != 200:
                assert "IssuerUrl" in answer["Code"], answer
                continue
            role = f"acs:ram::{made['id']}:role/x"
            token = jwt.encode({"iss": f"{host}:{port}"}, "x" * 32, algorithm="HS256")
            status, answer = with_oidc(one, answer["OIDCProvider"]["Arn"], role, token)
            assert (status, answer["Code"]) == (503, "ServiceUnavailable"), (host, answer)
            with pytest.raises(TimeoutError):
                trap.accept()
        trap.close()
    finally:
        serve.terminate()
        assert serve.wait(60) == 0
    assert "panicked" not in (tmp_path / "log").read_text()


# SAML


NS = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
      "ds": "http://www.w3.org/2000/09/xmldsig#"}
ATTRIBUTE = "https://www.aliyun.com/SAML-Role/Attributes/"


class Idp:
    """Writes responses and signs them with signxml."""

    entity = "https://idp.example/metadata"

    def __init__(self):
        self.key, self.certificate = self.pair()

    @staticmethod
    def pair():
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                       .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
                       .not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
        return key, certificate

    def metadata(self):
        der = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        return f"""<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{self.entity}">
<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">
<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate>
</ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService
Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/></md:IDPSSODescriptor>
</md:EntityDescriptor>"""

    def response(self, role, provider, *, name="lin@acme.example", audience="urn:alibaba:cloudcomputing", late=0,
                 recipient="https://signin.aliyun.com/saml-role/sso", session="lin", duration=None, pair=None, id=None):
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=late)
        at = lambda s: (now + datetime.timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
        id, whole = id or "_a" + secrets.token_hex(8), "_r" + secrets.token_hex(8)
        attribute = lambda n, v: (f'<saml:Attribute Name="{ATTRIBUTE}{n}"><saml:AttributeValue>{v}'  # noqa: E731
                                  "</saml:AttributeValue></saml:Attribute>") if v is not None else ""
        pair = f"{role},{provider}" if pair is None else pair
        said = (attribute("Role", pair or None) + attribute("RoleSessionName", session)
                + attribute("SessionDuration", duration))
        statement = f"<saml:AttributeStatement>{said}</saml:AttributeStatement>" if said else ""
        return etree.fromstring(f"""<samlp:Response xmlns:samlp="{NS['samlp']}" xmlns:saml="{NS['saml']}" ID="{whole}"
 Version="2.0" IssueInstant="{at(0)}" Destination="{recipient}"><saml:Issuer>{self.entity}</saml:Issuer><samlp:Status>
<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="{id}"
 Version="2.0" IssueInstant="{at(0)}"><saml:Issuer>{self.entity}</saml:Issuer><saml:Subject><saml:NameID
 Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{name}</saml:NameID><saml:SubjectConfirmation
 Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{at(300)}"
 Recipient="{recipient}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{at(-60)}"
 NotOnOrAfter="{at(300)}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>
</saml:Conditions><saml:AuthnStatement AuthnInstant="{at(0)}"><saml:AuthnContext><saml:AuthnContextClassRef>
urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
{statement}</saml:Assertion></samlp:Response>""".encode())

    def signed(self, root, key=None, whole=False):
        """The response with its assertion (or itself) signed, as bytes."""
        target = root if whole else root.find("saml:Assertion", NS)
        signer = signxml.XMLSigner(method=signxml.methods.enveloped, signature_algorithm="rsa-sha256",
                                   digest_algorithm="sha256", c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
        place = etree.Element(etree.QName(NS["ds"], "Signature"), Id="placeholder", nsmap={"ds": NS["ds"]})
        target.insert(1, place)
        key, certificate = key or (self.key, self.certificate)
        pem = lambda c: c.public_bytes(serialization.Encoding.PEM)  # noqa: E731
        signed = signer.sign(target, key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            cert=pem(certificate).decode(), reference_uri=target.get("ID"), id_attribute="ID")
        if whole:
            root = signed
        else:
            target.getparent().replace(target, signed)
        return etree.tostring(root)


@pytest.fixture(scope="module")
def saml(server):
    """(IdP, provider, role)."""
    idp = Idp()
    encoded = base64.b64encode(idp.metadata().encode()).decode()
    provider = rpc(server, "CreateSAMLProvider", IMS, ok=True, SAMLProviderName="corp",
                   EncodedSAMLMetadataDocument=encoded)["SAMLProvider"]["Arn"]
    return idp, provider, role_for(server, trust(
        provider, "saml", saml_recipient="https://signin.aliyun.com/saml-role/sso"))


def with_saml(server, provider, role, xml, **more):
    return unsigned(server, "AssumeRoleWithSAML", SAMLProviderArn=provider, RoleArn=role,
                    SAMLAssertion=base64.b64encode(xml).decode(), **more)


def test_the_sdk_takes_on_a_role_with_a_saml_response_once(server, saml):
    idp, provider, role = saml
    for whole in (False, True):
        xml = idp.signed(idp.response(role, provider, duration="1800"), whole=whole)
        answer = sdk(server, Sts).assume_role_with_saml(sts.AssumeRoleWithSAMLRequest(
            samlprovider_arn=provider, role_arn=role, samlassertion=base64.b64encode(xml).decode(),
            duration_seconds=3600)).body
        assert answer.samlassertion_info.subject == "lin@acme.example"
        assert answer.samlassertion_info.recipient == "https://signin.aliyun.com/saml-role/sso"
        got = answer.credentials
        left = datetime.datetime.fromisoformat(got.expiration) - datetime.datetime.now(datetime.timezone.utc)
        assert 1700 < left.total_seconds() <= 1801, "the IdP says how long at most"
        me = sdk(server, Sts, access_key_id=got.access_key_id, access_key_secret=got.access_key_secret,
                 security_token=got.security_token).get_caller_identity().body
        assert me.arn.endswith("/lin")
        status, again = with_saml(server, provider, role, xml)
        assert (status, again["Code"]) == (400, "InvalidParameter.SAMLAssertion") and "used before" in again["Message"]
    # The ARNs may stand the other way round.
    xml = idp.signed(idp.response(role, provider, pair=f"{provider},{role}"))
    assert with_saml(server, provider, role, xml)[0] == 200


def test_many_at_once_with_one_assertion_work_once(server, saml):
    import concurrent.futures
    idp, provider, role = saml
    xml = idp.signed(idp.response(role, provider))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: with_saml(server, provider, role, xml)[0], range(8)))
    assert sorted(done) == [200] + [400] * 7


def test_responses_that_prove_nothing(server, saml):
    idp, provider, role = saml
    of = lambda **kw: idp.response(role, provider, **kw)  # noqa: E731
    acme = server.tenant("acme")["id"]
    good = idp.signed(of())
    bad = {
        "another key": idp.signed(of(), Idp.pair()),
        "unsigned": etree.tostring(of()),
        "expired": idp.signed(of(late=400)),
        "from tomorrow": idp.signed(of(late=-600)),
        "no role": idp.signed(of(pair="")),
        "another role": idp.signed(of(pair=f"acs:ram::{acme}:role/other,{provider}")),
        "another provider": idp.signed(of(pair=f"{role},acs:ram::{acme}:saml-provider/other")),
        "the role alone": idp.signed(of(pair=role)),
        "no session": idp.signed(of(session=None)),
        "a bad session": idp.signed(of(session="a b/c")),
        "another audience": idp.signed(of(audience="urn:evil")),
        "another recipient": idp.signed(of(recipient="https://evil.example/sso")),
        "another name": good.replace(b"lin@acme.example", b"root@acme.exam"),
        "a comment in the name": good.replace(b"lin@acme.example", b"root<!---->@acme.example"),
        "a DTD": b'<!DOCTYPE x [<!ENTITY a "b">]>' + good,
        "no XML": b"x", "nothing": b"<x/>",
    }
    for name, xml in bad.items():
        status, answer = with_saml(server, provider, role, xml)
        assert (status, answer["Code"]) == (400, "InvalidParameter.SAMLAssertion"), (name, status, answer)
    status, answer = unsigned(server, "AssumeRoleWithSAML", SAMLProviderArn=provider, RoleArn=role, SAMLAssertion="%%%")
    assert (status, answer["Code"]) == (400, "InvalidParameter.SAMLAssertion"), answer
    assert with_saml(server, provider, role, good)[0] == 200, "and none of them used it up"


def test_wrapped_signatures(server, saml):
    """XSW: the signed assertion is kept somewhere and another one stands where it was."""
    idp, provider, role = saml

    def wrap(build):
        root = etree.fromstring(idp.signed(idp.response(role, provider)))
        good = root.find("saml:Assertion", NS)
        evil = idp.response(role, provider, name="root@acme.example", id="_evil").find("saml:Assertion", NS)
        build(root, good, evil)
        return etree.tostring(root)

    def without_signature(good):
        copy = etree.fromstring(etree.tostring(good))
        copy.remove(copy.find("ds:Signature", NS))
        return copy

    def xsw3(root, good, evil):
        good.addprevious(evil)

    def xsw3b(root, good, evil):
        good.addnext(evil)

    def xsw4(root, good, evil):
        root.replace(good, evil)
        evil.append(good)

    def xsw5(root, good, evil):
        signature = good.find("ds:Signature", NS)
        root.replace(good, evil)
        evil.insert(1, signature)
        root.append(good)

    def xsw6(root, good, evil):
        original = without_signature(good)
        signature = good.find("ds:Signature", NS)
        root.replace(good, evil)
        evil.insert(1, signature)
        signature.append(original)

    def xsw7(root, good, evil):
        extensions = etree.Element(etree.QName(NS["samlp"], "Extensions"))
        extensions.append(evil)
        good.addprevious(extensions)

    def xsw8(root, good, evil):
        original = without_signature(good)
        signature = good.find("ds:Signature", NS)
        root.replace(good, evil)
        evil.insert(1, signature)
        etree.SubElement(signature, etree.QName(NS["ds"], "Object")).append(original)

    for build in (xsw3, xsw3b, xsw4, xsw5, xsw6, xsw7, xsw8):
        for same_id in (False, True):
            xml = wrap(build)
            if same_id:
                id = etree.fromstring(xml).xpath("//saml:Assertion[.//ds:Signature]/@ID | //saml:Assertion/@ID",
                                                 namespaces=NS)
                real = next(i for i in id if i != "_evil")
                xml = xml.replace(b'"_evil"', f'"{real}"'.encode())
            status, answer = with_saml(server, provider, role, xml)
            assert (status, answer["Code"]) == (400, "InvalidParameter.SAMLAssertion"), (build.__name__, answer)
    # XSW1 and 2: a whole signed response within another one.
    signed = etree.fromstring(idp.signed(idp.response(role, provider), whole=True))
    evil = idp.response(role, provider, name="root@acme.example")
    signature = signed.find("ds:Signature", NS)
    for n in (1, 2):
        outer = etree.fromstring(etree.tostring(evil))
        inner_signature = etree.fromstring(etree.tostring(signature))
        inner = etree.fromstring(etree.tostring(signed))
        inner.remove(inner.find("ds:Signature", NS))
        outer.insert(1, inner_signature)
        if n == 1:
            inner_signature.append(inner)
        else:
            inner_signature.addprevious(inner)
        status, answer = with_saml(server, provider, role, etree.tostring(outer))
        assert (status, answer["Code"]) == (400, "InvalidParameter.SAMLAssertion"), answer


def test_an_idp_vouches_for_its_own_account_and_roles_only(server, saml):
    idp, provider, role = saml
    other = role_for(server, trust(provider.replace("/corp", "/other"), "saml"))
    status, answer = with_saml(server, provider, other, idp.signed(idp.response(other, provider)))
    assert (status, answer["Code"]) == (403, "NoPermission"), answer
    theirs = role_for(server, {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                      "Principal": {"RAM": [f"acs:ram::{server.tenant('globex')['id']}:root"]}}]}, "globex")
    status, answer = with_saml(server, provider, theirs, idp.signed(idp.response(theirs, provider)))
    assert status in (403, 404) and "Credentials" not in answer, answer
    for arn in (provider + "x", provider.replace(server.tenant("acme")["id"], server.tenant("globex")["id"]), "x"):
        status, answer = with_saml(server, arn, role, idp.signed(idp.response(role, arn)))
        assert status in (400, 404) and "SAMLProvider" in answer["Code"], answer
