"""What no honest client sends. Every answer is a 4xx in the caller's dialect; nothing is stored by half; the server
goes on serving and nothing in it panics (the fixture looks after each file)."""

import datetime
import json
import re
import socket
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree

import pytest
from signing import oss_v1, rpc_v3, sigv4, sigv4_chunks

import house as h

MINUTE = datetime.timedelta(minutes=1)
STS = ("GetCallerIdentity", "2015-04-01")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Raw:
    """Signed requests with anything in them, by hand."""

    def __init__(self, house, alias="acme"):
        self.house, self.key = house, house.key(alias)
        self.bucket = house.bucket(alias)
        self.host = house.objects.removeprefix("http://")
        self.console_host = house.console.removeprefix("http://")

    def s3(self, method, path, *, query=(), body=b"", headers=None, **sign):
        signed = sigv4(method, path, sign.pop("key", self.key), host=self.host, query=query, headers=headers,
                       body=body, **sign)
        return self.send(method, path, query, body, signed)

    def oss(self, method, path, *, query=(), body=b"", headers=None, resource=None, **sign):
        # A bucket's own resource ends in a slash, also where the path does not.
        path_signed = urllib.parse.unquote(path) + ("/" if path.count("/") == 1 and path != "/" else "")
        signed = oss_v1(method, resource or path_signed, sign.pop("key", self.key), headers=headers, **sign)
        return self.send(method, path, query, body, signed)

    def send(self, method, path, query, body, headers):
        target = path + ("?" + "&".join(f"{k}={urllib.parse.quote(v, safe='')}" for k, v in query) if query else "")
        return h.request(method, self.house.objects + target, body=body, headers=headers)

    def rpc(self, action, version, **sign):
        path, headers, body = rpc_v3(action, version, sign.pop("key", self.key), host=self.console_host, **sign)
        return h.request("POST", self.house.console + path, body=body, headers=headers)

    def exists(self, key):
        path = f"/{self.bucket}/{urllib.parse.quote(key)}"
        return self.s3("HEAD", path)[0] == 200


@pytest.fixture
def raw(shared):
    return Raw(shared)


def xml_error(answer, status, code):
    """The answer is this error, as XML that a client can read."""
    found, headers, body = answer
    root = ElementTree.fromstring(body)
    assert (found, root.findtext("Code")) == (status, code), body
    assert headers["content-type"].startswith("application/xml")
    assert root.findtext("RequestId") and root.findtext("Message")
    return root


def json_error(answer, status, code):
    found, headers, body = answer
    read = json.loads(body)
    assert (found, read["Code"]) == (status, code), body
    assert headers["content-type"].startswith("application/json")
    assert read["RequestId"] and read["Message"] and headers["x-acs-request-id"] == read["RequestId"]
    return read


# Who are you?


def test_objects_without_a_signature_are_closed(raw, shared):
    for method, path in [("GET", "/"), ("GET", f"/{raw.bucket}"), ("GET", f"/{raw.bucket}/readme.txt"),
                         ("PUT", f"/{raw.bucket}/x"), ("DELETE", f"/{raw.bucket}/readme.txt")]:
        xml_error(h.request(method, shared.objects + path, body=b"x" if method == "PUT" else None), 403, "AccessDenied")
    status, headers, body = h.request("HEAD", shared.objects + f"/{raw.bucket}/readme.txt",
                                      headers={"x-oss-meta-a": "oss, please"})
    assert (status, body) == (403, b"") and headers["x-oss-err"] and headers["x-oss-ec"]


def test_a_wrong_secret_is_told_apart_from_an_unknown_key_and_nothing_leaks(raw):
    wrong = "not-the-secret" * 2
    stranger = ("LTAI5tNobodyHasThisKey00", wrong)
    path = f"/{raw.bucket}/readme.txt"
    for send in (raw.s3, raw.oss):
        answer = send("GET", path, secret=wrong)
        xml_error(answer, 403, "SignatureDoesNotMatch")
        assert raw.key[1].encode() not in answer[2]
        xml_error(send("GET", path, key=stranger), 403, "InvalidAccessKeyId")
    json_error(raw.rpc(*STS, secret=wrong), 400, "SignatureDoesNotMatch")
    json_error(raw.rpc(*STS, key=stranger), 404, "InvalidAccessKeyId.NotFound")


@pytest.mark.parametrize("minutes", [-16, 16, -60 * 24 * 366, 60 * 24 * 366])
def test_a_clock_that_is_far_off_is_refused(raw, minutes):
    when = now() + minutes * MINUTE
    path = f"/{raw.bucket}/readme.txt"
    xml_error(raw.s3("GET", path, when=when), 403, "RequestTimeTooSkewed")
    xml_error(raw.oss("GET", path, when=when), 403, "RequestTimeTooSkewed")
    json_error(raw.rpc(*STS, when=when), 400, "InvalidTimeStamp.Expired")


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_a_little_off_is_served(raw, minutes):
    when = now() + minutes * MINUTE
    assert raw.s3("GET", f"/{raw.bucket}/readme.txt", when=when)[0] == 200
    assert raw.oss("GET", f"/{raw.bucket}/readme.txt", when=when)[0] == 200
    assert raw.rpc(*STS, when=when)[0] == 200


def test_a_nonce_is_good_once(raw):
    nonce = uuid.uuid4().hex
    assert raw.rpc(*STS, nonce=nonce)[0] == 200
    json_error(raw.rpc(*STS, nonce=nonce), 400, "SignatureNonceUsed")
    # Another moment, another parameter, the same nonce: still used.
    json_error(raw.rpc(*STS, nonce=nonce, when=now() - MINUTE, query={"A": "b"}), 400, "SignatureNonceUsed")
    # It is the key's own: another tenant may draw the same number.
    assert Raw(raw.house, "globex").rpc(*STS, nonce=nonce)[0] == 200


def test_a_used_nonce_is_remembered_over_a_restart(house):
    raw, nonce = Raw(house), uuid.uuid4().hex
    assert raw.rpc(*STS, nonce=nonce)[0] == 200
    house.kill()
    house.start()
    json_error(Raw(house).rpc(*STS, nonce=nonce), 400, "SignatureNonceUsed")


def test_a_captured_signature_fits_no_other_request(raw, shared):
    path, other = f"/{raw.bucket}/readme.txt", f"/{raw.bucket}/invoices/2026-11/1.pdf"
    signed = sigv4("GET", path, raw.key, host=raw.host)
    assert raw.send("GET", path, (), b"", signed)[0] == 200
    for method, target, query, body, change in [
        ("GET", other, (), b"", {}),
        ("DELETE", path, (), b"", {}),
        ("GET", path, [("response-content-type", "text/html")], b"", {}),
        ("GET", path, (), b"", {"host": "elsewhere.example"}),
    ]:
        answer = raw.send(method, target, query, body, {**signed, **change})
        xml_error(answer, 403, "SignatureDoesNotMatch")
    signed = sigv4("PUT", f"/{raw.bucket}/captured", raw.key, host=raw.host, body=b"good")
    xml_error(raw.send("PUT", f"/{raw.bucket}/captured", (), b"evil", signed), 400, "XAmzContentSHA256Mismatch")
    assert not raw.exists("captured")
    # A header that means something must be signed.
    signed = sigv4("PUT", f"/{raw.bucket}/captured", raw.key, host=raw.host, body=b"good")
    answer = raw.send("PUT", f"/{raw.bucket}/captured", (), b"good", {**signed, "x-amz-meta-a": "b"})
    assert answer[0] in (400, 403) and not raw.exists("captured")


@pytest.mark.parametrize("value", [
    "", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=zz", "AWS a:b", "OSS", "OSS :", "OSS a",
    "OSS a:b:c", "OSS4-HMAC-SHA256 x", "OSS4-HMAC-SHA256 Credential=a/20260101/r/oss/aliyun_v4_request,Signature=",
    "Bearer x", "Basic eDp5", "AWS4-HMAC-SHA256 " + "A=" * 4000, "\u00e9\u00e8",
])
def test_an_authorization_that_is_nonsense_is_refused(raw, shared, value):
    headers = {"authorization": value.encode("latin-1"), "date": "x", "x-amz-date": "x"}
    status, answered, body = h.request("GET", shared.objects + f"/{raw.bucket}/readme.txt", headers=headers)
    assert status in (400, 403), body
    assert ElementTree.fromstring(body).findtext("Code")
    status, answered, body = h.request("POST", shared.console + "/?Action=GetCallerIdentity&Version=2015-04-01",
                                       headers=headers)
    assert 400 <= status < 500 and json.loads(body)["Code"], body


def test_a_presigned_address_ends(raw, shared):
    import boto3
    import botocore.config

    client = boto3.client("s3", endpoint_url=shared.objects, region_name=h.REGION, aws_access_key_id=raw.key[0],
                          aws_secret_access_key=raw.key[1],
                          config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4"))
    params = {"Bucket": raw.bucket, "Key": "readme.txt"}
    address = client.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    assert h.get(address)[0] == 200
    forever = client.generate_presigned_url("get_object", Params=params, ExpiresIn=8 * 24 * 3600)
    assert h.get(forever)[0] in (400, 403)
    stamp = re.search(r"X-Amz-Date=(\w+)", address).group(1)
    assert h.get(address.replace(stamp, "20200101T000000Z"))[0] in (400, 403)
    signed = sigv4("GET", f"/{raw.bucket}/readme.txt", raw.key, host=raw.host)
    assert h.request("GET", address, headers=signed)[0] in (400, 403), "signed in two ways at once"


# Whose is it?


def answers(raw, send, bucket):
    """Every way to touch a bucket, its answers without what must differ."""
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    ways = [
        ("HEAD", f"/{bucket}", (), b""),
        ("GET", f"/{bucket}", (), b""),
        ("GET", f"/{bucket}", [("list-type", "2")], b""),
        ("GET", f"/{bucket}", [("location", "")], b""),
        ("GET", f"/{bucket}", [("bucketInfo", "")], b""),
        ("GET", f"/{bucket}", [("acl", "")], b""),
        ("GET", f"/{bucket}/reports/q3.txt", (), b""),
        ("HEAD", f"/{bucket}/reports/q3.txt", (), b""),
        ("PUT", f"/{bucket}/reports/q3.txt", (), b"mine now"),
        ("DELETE", f"/{bucket}/reports/q3.txt", (), b""),
        ("POST", f"/{bucket}", [("delete", "")], body),
        ("DELETE", f"/{bucket}", (), b""),
    ]
    out = []
    for method, path, query, body in ways:
        sign = {}
        if send == raw.oss and query and query[0][0] in ("location", "bucketInfo", "acl", "delete"):
            sign["resource"] = f"{path}/?{query[0][0]}"
        status, headers, text = send(method, path, query=query, body=body, **sign)
        words = {k.lower(): v for k, v in headers.items()}
        request_id = words.get("x-amz-request-id") or words.get("x-oss-request-id")
        # `connection` says only whether the body had arrived when the answer was made.
        for moving in ("date", "connection", "x-amz-request-id", "x-oss-request-id", "x-oss-err"):
            words.pop(moving, None)
        text = text.decode().replace(request_id, "ID").replace(bucket, "BUCKET")
        out.append((method, query, status, text, words))
    return out


@pytest.mark.parametrize("dialect", ["s3", "oss"])
def test_another_tenants_bucket_answers_like_one_that_is_not_there(raw, shared, dialect):
    theirs = shared.bucket("globex")
    nobodys = theirs[:-1] + "z"
    send = getattr(raw, dialect)
    for theirs_answer, nobodys_answer in zip(answers(raw, send, theirs), answers(raw, send, nobodys), strict=True):
        assert theirs_answer == nobodys_answer
        assert theirs_answer[2] in (400, 404, 501), theirs_answer
    owner = Raw(shared, "globex")
    assert owner.s3("GET", f"/{theirs}/reports/q3.txt")[2].startswith(b"Globex")
    assert theirs.encode() not in raw.s3("GET", "/")[2]


# What is in the name?


@pytest.mark.parametrize("path", [
    "../x", "..%2fx", "%2e%2e/x", "%2e%2e%2fx", "a/../../x", "a/%2e%2e/x", "a/..%5c..%5cx", "./x", "a/./x", "%00",
    "a%00b", "a%0ab", "%c0%ae%c0%ae/x", "%ff%fe", "%", "%zz", "%1", "/etc/passwd", "%2fetc%2fpasswd", "k" * 1024,
    "%5cx", "a" * 20000,
])
@pytest.mark.parametrize("dialect", ["s3", "oss"])
def test_a_key_that_leads_astray_is_refused_and_leaves_nothing(raw, shared, path, dialect):
    before = tree(shared)
    answer = getattr(raw, dialect)("PUT", f"/{raw.bucket}/{path}", body=b"escaped!")
    assert 400 <= answer[0] < 500, answer
    root = ElementTree.fromstring(answer[2])
    assert root.findtext("Code") and root.findtext("RequestId")
    assert tree(shared) == before


def tree(house):
    """Every file around the data folder, but for what the database and the signer keep for themselves."""
    found = {p.relative_to(house.data.parent) for p in house.data.parent.rglob("*") if "sqlite" not in p.name}
    return {p for p in found if "heads" not in p.parts}


@pytest.mark.parametrize("name", ["a", "UPPER", "a_b", "-ab", "ab-", "..", "a" * 64, "a%2fb", "%00ab", "bücket"])
def test_a_bucket_name_that_breaks_the_rule_is_refused(raw, name):
    status, _, body = raw.s3("PUT", "/" + urllib.parse.quote(name, safe="%"))
    assert 400 <= status < 500 and ElementTree.fromstring(body).findtext("Code"), body


# How much, how many?


@pytest.mark.parametrize("value", ["-1", "abc", "1e3", "99999999999999999999", "2147483648", "0x10", "１", " 5", "1.5"])
def test_absurd_page_sizes_are_refused(raw, value):
    for query in ([("max-keys", value)], [("list-type", "2"), ("max-keys", value)]):
        xml_error(raw.s3("GET", f"/{raw.bucket}", query=query), 400, "InvalidArgument")
        xml_error(raw.oss("GET", f"/{raw.bucket}", query=query), 400, "InvalidArgument")
    answer = raw.rpc("ListUsers", "2015-05-01", query={"MaxItems": value})
    assert answer[0] == 400 and json.loads(answer[2])["Code"].startswith("InvalidParameter"), answer[2]


@pytest.mark.parametrize("query", [
    [("list-type", "2"), ("continuation-token", "!!!")], [("list-type", "2"), ("continuation-token", "x" * 5000)],
    [("list-type", "3")], [("marker", "m" * 5000)], [("prefix", "p" * 5000)], [("encoding-type", "base64")],
    [("list-type", "2"), ("fetch-owner", "perhaps")],
])
def test_absurd_list_parameters_are_refused(raw, query):
    status, _, body = raw.s3("GET", f"/{raw.bucket}", query=query)
    assert status == 400 and ElementTree.fromstring(body).findtext("Code") == "InvalidArgument", body


@pytest.mark.parametrize("value", [
    "bytes=", "bytes=-", "bytes=5-1", "bytes=a-b", "bytes=-0", "bytes=99999999999999999999-", "bytes=0-1,3-4", "lines=1-2",
    "bytes=" + "0-0," * 2000,
])
def test_absurd_ranges_give_416_or_the_whole(raw, value):
    status, headers, body = raw.s3("GET", f"/{raw.bucket}/readme.txt", headers={"range": value})
    assert status in (200, 206, 400, 416), body
    if status == 206:
        assert re.fullmatch(r"bytes \d+-\d+/\d+", headers["content-range"]) and len(body) <= 60
    if status == 200:
        assert body.startswith(b"Invoices of Acme")


def test_a_head_of_ten_megabytes_is_cut_off(shared):
    for address in (shared.objects, shared.console):
        status = flood(address, b"GET / HTTP/1.1\r\nHost: x\r\nx-a: " + b"a" * (10 * 1024 * 1024) + b"\r\n\r\n")
        assert status in (400, 431), status
        many = b"".join(b"x-%d: y\r\n" % n for n in range(100_000))
        status = flood(address, b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
        assert status in (400, 431), status
        status = flood(address, b"GET /" + b"a" * (2 * 1024 * 1024) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status in (400, 414, 431), status


def flood(address, bytes_):
    """The status of the answer to bytes that may not all be taken; none when the connection is just closed."""
    return talk(address, bytes_)[0]


def talk(address, bytes_, more=()):
    parts = urllib.parse.urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as wire:
        try:
            wire.sendall(bytes_)
            for piece in more:
                wire.sendall(piece)
            wire.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed on us while we sent: the answer may still lie there
        data = b""
        try:
            while piece := wire.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    first = re.match(rb"HTTP/1\.[01] (\d+)", data)
    return (int(first.group(1)) if first else None), data


# What is in the body?


def blobs(house):
    return {p for p in (house.data / "blobs").rglob("*") if p.is_file()}


def wait_until(found, what):
    """Rubbish goes in the background; it must go soon."""
    import time

    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def head_of(method, path, host, headers):
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_an_upload_that_breaks_off_stores_nothing(raw, shared, chance):
    before = blobs(shared)
    body = chance.randbytes(3 * 1024 * 1024)
    path = f"/{raw.bucket}/cut"
    signed = sigv4("PUT", path, raw.key, host=raw.host, payload="UNSIGNED-PAYLOAD")
    for sent in (0, 1, 100_000, len(body) - 1):
        start = head_of("PUT", path, raw.host, {**signed, "content-length": len(body)})
        status, data = talk(shared.objects, start + body[:sent])
        assert status in (None, 400), data
        assert not raw.exists("cut")
    wait_until(lambda: blobs(shared) == before, "an upload that broke off left bytes behind")


def test_signed_chunks_arrive_whole_or_not_at_all(raw, shared, chance):
    before = blobs(shared)
    pieces = [chance.randbytes(128 * 1024) for _ in range(4)] + [chance.randbytes(777)]
    path = f"/{raw.bucket}/chunks"
    headers, wire = sigv4_chunks("PUT", path, raw.key, host=raw.host, chunks=pieces)
    total = sum(map(len, wire))
    start = head_of("PUT", path, raw.host, {**headers, "content-length": total, "connection": "close"})

    def flip(at):
        bad = list(wire)
        bad[at] = bad[at][:-10] + bytes([bad[at][-10] ^ 1]) + bad[at][-9:]
        return bad

    broken = {
        "cut after a chunk": wire[:2],
        "cut within a chunk": [*wire[:2], wire[2][:1000]],
        "without the last chunk": wire[:-1],
        "one bit of data": flip(2),
        "two swapped": [wire[1], wire[0], *wire[2:]],
        "a signature of another": [wire[0], wire[1].replace(wire[1][:80].split(b"=")[1][:64], b"0" * 64), *wire[2:]],
        "a length that is none": [b"zz" + wire[0][2:], *wire[1:]],
        "a length beyond all": [b"ffffffffffffffffff;chunk-signature=" + b"0" * 64 + b"\r\n", *wire[1:]],
    }
    for name, chunks in broken.items():
        status, data = talk(shared.objects, start, chunks)
        assert status is None or 400 <= status < 500, (name, data)
        assert not raw.exists("chunks"), name
    wait_until(lambda: blobs(shared) == before, "broken uploads left bytes behind")
    status, data = talk(shared.objects, start, wire)
    assert status == 200, data
    assert raw.s3("GET", path)[2] == b"".join(pieces)


@pytest.mark.parametrize("body", [
    b"", b"<", b"<Delete>", b"<Delete/>", b"not xml", b"<Delete><Object><Key></Key></Object></Delete>",
    b"\xff\xfe<\x00D\x00", b"<Delete>" + b"<a>" * 50_000, b"<Delete><Object><Key>" + b"k" * 3000 + b"</Key>",
    b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    b"<Delete>" + b" " * (3 * 1024 * 1024) + b"</Delete>",
], ids=range(13))
def test_garbage_xml_is_refused(raw, body):
    query = [("delete", "")]
    status, _, text = raw.s3("POST", f"/{raw.bucket}", query=query, body=body)
    assert status in (400, 413) and ElementTree.fromstring(text).findtext("Code"), text
    assert b"root:" not in text
    status, _, text = raw.oss("POST", f"/{raw.bucket}", query=query, body=body, resource=f"/{raw.bucket}/?delete")
    assert status in (400, 413) and ElementTree.fromstring(text).findtext("Code"), text
    status, _, text = raw.s3("PUT", "/garbage-bucket", body=body or b"<")
    assert status in (400, 413, 501), text


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xff", b"a=1&a=2", b"Action=Other", b"a" * 900_000])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_garbage_in_an_rpc_body_is_refused_or_ignored(raw, shared, body, kind):
    path, headers, _ = rpc_v3("CreateUser", "2015-05-01", raw.key, host=raw.console_host, body=body)
    status, _, text = h.request("POST", shared.console + path, body=body, headers={**headers, "content-type": kind})
    assert 400 <= status < 500 and json.loads(text)["Code"], text


def test_an_rpc_request_that_is_too_much_is_refused(raw, shared):
    answer = raw.rpc(*STS, body=b"a" * (2 * 1024 * 1024))
    json_error(answer, 413, "RequestEntityTooLarge")
    answer = raw.rpc(*STS, query={f"P{n}": "x" for n in range(1500)})
    assert answer[0] == 400 and json.loads(answer[2])["Code"], answer
    json_error(h.request("POST", shared.console + "/?Action=GetCallerIdentity&Version=2015-04-01"), 400,
               "IncompleteSignature")
    json_error(h.request("POST", shared.console + "/?Action=Nonsense&Version=2015-04-01"), 404, "InvalidAction.NotFound")
    json_error(h.request("POST", shared.console + "/?Action=CreateUser&Version=2099-01-01"), 404, "InvalidVersion")
    json_error(h.request("POST", shared.console + "/?Action=A&Action=B&Version=2015-05-01"), 400, "InvalidParameter")


# Two readings of one request


@pytest.mark.parametrize("name,bytes_", [
    ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    ("a length that is none", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde"),
    ("a negative length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
    ("unknown coding", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("chunked is not last", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("space before colon", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n"),
    ("folded header", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n"),
    ("nul in a header", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n"),
    ("no method", b" / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("no version", b"GET /healthz\r\n\r\n"),
    ("version two", b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n"),
    ("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500),
    ("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("chunk size beyond all", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
    ("chunk without end", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n"),
])
def test_a_request_that_can_be_read_in_two_ways_is_read_in_none(shared, name, bytes_):
    for address in (shared.objects, shared.console):
        status, data = talk(address, bytes_)
        assert status is None or 400 <= status < 500, (name, data)
        assert data.count(b"HTTP/1.1 ") <= 1, "what followed was taken for a second request"


def test_length_and_chunks_together_hide_no_second_request(raw, shared):
    """RFC 9112 §6.3: chunks win, and the connection does not outlive the doubt."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    both = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for address in (shared.objects, shared.console):
        status, data = talk(address, both % (len(hidden) + 5) + hidden)
        assert status is None or 400 <= status < 500, data
        assert b"\r\n\r\nok\n" not in data, "the hidden request was answered"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "OPTIONS", "MOVE", "GET\u00e9"])
def test_other_methods_do_nothing(raw, shared, method):
    for address in (shared.objects, shared.console):
        line = method.encode("latin-1") + f" /{raw.bucket}/readme.txt HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        status, data = talk(address, line)
        assert status is None or 400 <= status < 500 or status == 501, data


@pytest.mark.parametrize("path", [
    "/log/", "/log/x", "/log/../../root.key", "/log/%2e%2e%2f%2e%2e%2froot.key/checkpoint", "/log/x/tile/0/000",
    "/log/x/tile/99/x99/999.p/300", "/assets/../../root.key", "/assets/%2e%2e%2froot.key", "/assets/", "/nowhere",
    "/console/../../etc/passwd", "/%00", "/%ff", "//evil.example/", "/?lang=%0d%0aSet-Cookie:a=b",
    "/?lang=" + "z" * 100_000, "/?theme=%3Cscript%3E",
])
def test_portal_addresses_that_lead_nowhere_say_so(shared, path):
    status, headers, body = h.request("GET", shared.console + path)
    assert status in (200, 303, 307, 400, 404, 405, 414), body[:500]
    assert b"root:" not in body and b"<script>" not in body
    assert "a=b" not in (headers["set-cookie"] or "")

