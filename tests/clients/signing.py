"""Signatures in their shortest form, written from the public documents and not from our code, so that a test can
sign what no SDK would send."""

import base64
import datetime
import hashlib
import hmac
import urllib.parse
import uuid

REGION = "cn-hangzhou"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def sigv4(method, path, key, *, host, query=(), headers=None, body=b"", when=None, payload=None, secret=None):
    """Headers of an AWS SigV4 request. `path` is sent as it is given (already percent-encoded)."""
    access_key_id, own_secret = key
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    payload = payload or hashlib.sha256(body).hexdigest()
    signed = {"host": host, "x-amz-date": stamp, "x-amz-content-sha256": payload}
    signed.update({k.lower(): v for k, v in (headers or {}).items()})
    names = ";".join(sorted(signed))
    lines = "".join(f"{k}:{signed[k]}\n" for k in sorted(signed))
    wanted = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted(query))
    canonical = "\n".join([method, path, wanted, lines, names, payload])
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing = _hmac(_hmac(_hmac(_hmac(b"AWS4" + (secret or own_secret).encode(), day), REGION), "s3"), "aws4_request")
    signature = _hmac(signing, text).hex()
    out = {k: v for k, v in signed.items() if k != "host"}
    out["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return out


def sigv4_chunks(method, path, key, *, host, chunks, headers=None, when=None):
    """A request whose body goes in signed chunks: (headers, [bytes of each chunk, the empty last one included])."""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    length = sum(len(c) for c in chunks)
    extra = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(length), **(headers or {})}
    out = sigv4(
        method, path, key, host=host, headers=extra, when=when, payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    )
    scope = f"{day}/{REGION}/s3/aws4_request"
    secret = key[1]
    signing = _hmac(_hmac(_hmac(_hmac(b"AWS4" + secret.encode(), day), REGION), "s3"), "aws4_request")
    last = out["authorization"].rsplit("=", 1)[1]
    empty = hashlib.sha256(b"").hexdigest()
    wire = []
    for chunk in [*chunks, b""]:
        text = "\n".join(
            ["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, last, empty, hashlib.sha256(chunk).hexdigest()]
        )
        last = _hmac(signing, text).hex()
        wire.append(f"{len(chunk):x};chunk-signature={last}\r\n".encode() + chunk + b"\r\n")
    return out, wire


def oss_v1(method, resource, key, *, headers=None, when=None, secret=None):
    """Headers of an OSS V1 request; `resource` is `/bucket/key` with signed sub-resources."""
    access_key_id, own_secret = key
    when = when or datetime.datetime.now(datetime.timezone.utc)
    headers = {k.lower(): v for k, v in (headers or {}).items()}
    date = when.strftime("%a, %d %b %Y %H:%M:%S GMT")
    own = "".join(f"{k}:{headers[k]}\n" for k in sorted(headers) if k.startswith("x-oss-"))
    text = "\n".join([method, headers.get("content-md5", ""), headers.get("content-type", ""), date, own + resource])
    mac = hmac.new((secret or own_secret).encode(), text.encode(), hashlib.sha1).digest()
    return {**headers, "date": date, "authorization": f"OSS {access_key_id}:{base64.b64encode(mac).decode()}"}


def rpc_v3(action, version, key, *, host, query=None, body=b"", form=None, when=None, nonce=None, secret=None):
    """(path with query, headers, body) of a POST signed with ACS3-HMAC-SHA256; a session's key has its token third."""
    access_key_id, own_secret, *token = key
    when = when or datetime.datetime.now(datetime.timezone.utc)
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
    }
    if token:
        headers.update({"x-acs-accesskey-id": access_key_id, "x-acs-security-token": token[0]})
    if form is not None:
        body = urllib.parse.urlencode(form).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    headers["x-acs-content-sha256"] = hashlib.sha256(body).hexdigest()
    names = ";".join(sorted(headers))
    lines = "".join(f"{k}:{headers[k]}\n" for k in sorted(headers))
    wanted = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted((query or {}).items()))
    canonical = "\n".join(["POST", "/", wanted, lines, names, headers["x-acs-content-sha256"]])
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _hmac((secret or own_secret).encode(), text).hex()
    out = {k: v for k, v in headers.items() if k != "host"}
    out["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={access_key_id},SignedHeaders={names},Signature={signature}"
    )
    return "/" + ("?" + wanted if wanted else ""), out, body


def rest_v3(method, path, key, *, host, query=None, body=b"", when=None, nonce=None, secret=None, leave=(), **more):
    """(path with query, headers) of a request in REST's style signed with ACS3-HMAC-SHA256; `leave` is not signed."""
    access_key_id, own_secret, *token = key
    when = when or datetime.datetime.now(datetime.timezone.utc)
    headers = {
        "host": host,
        "x-acs-date": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **{k.replace("_", "-"): v for k, v in more.items()},
    }
    if token:
        headers["x-acs-security-token"] = token[0]
    signed = sorted(k for k in headers if k not in leave)
    wanted = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted((query or {}).items()))
    lines = "".join(f"{k}:{headers[k]}\n" for k in signed)
    canonical = "\n".join([method, path, wanted, lines, ";".join(signed), headers["x-acs-content-sha256"]])
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _hmac((secret or own_secret).encode(), text).hex()
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential={access_key_id},SignedHeaders={';'.join(signed)},Signature={signature}"
    del headers["host"]
    return path + ("?" + wanted if wanted else ""), headers
