"""The RPC SDKs, driven by the wire's names: `ram("CreateUser", UserName="li")` builds the SDK's own request, calls its own
method, and answers what the SDK understood of the answer, in the wire's names again.

An SDK swallows an answer of the wrong shape (`body` is None), so every call checks that there is one.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import pathlib
import time

import alibabacloud_actiontrail20200706.client
import alibabacloud_actiontrail20200706.models
import alibabacloud_ims20190815.client
import alibabacloud_ims20190815.models
import alibabacloud_kms20160120.client
import alibabacloud_kms20160120.models
import alibabacloud_ram20150501.client
import alibabacloud_ram20150501.models
import alibabacloud_sts20150401.client
import alibabacloud_sts20150401.models
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

import house as h

_PRODUCTS = {
    "Ram": alibabacloud_ram20150501,
    "Ims": alibabacloud_ims20190815,
    "Sts": alibabacloud_sts20150401,
    "Actiontrail": alibabacloud_actiontrail20200706,
    "Kms": alibabacloud_kms20160120,
}
# What was driven, and what was provoked, by product: the last test of a file looks whether anything is missing.
CALLED = {product: set() for product in _PRODUCTS}
CODES = set()


class Sdk:
    """One SDK client of one caller: (id, secret) or (id, secret, token)."""

    def __init__(self, product, house, keys, **config):
        key_id, secret, *token = keys
        self.product, self.models = product, _PRODUCTS[product].models
        self.client = _PRODUCTS[product].client.Client(
            Config(
                access_key_id=key_id,
                access_key_secret=secret,
                security_token=token[0] if token else None,
                endpoint=house.console.removeprefix("http://"),
                protocol="http",
                region_id=h.REGION,
                **config,
            )
        )
        self.methods = {m.replace("_", ""): m for m in dir(self.client)}

    def __call__(self, action, **wire):
        method = getattr(self.client, self.methods[action.lower()])
        kind = getattr(self.models, f"{action}Request", None)
        if kind is None:
            assert not wire, f"{action} takes nothing"
            answer = method()
        else:
            request = kind().from_map(wire)
            # `from_map` leaves an empty list where a person who writes the request leaves nothing.
            for field, value in vars(request).items():
                if value == []:
                    setattr(request, field, None)
            taken = {k: v for k, v in request.to_map().items() if k in wire or v != []}
            assert taken == wire, f"{action} does not take {wire}"
            answer = method(request)
        assert answer.status_code == 200 and answer.body is not None, f"{action}: the SDK could not read the answer"
        shown = answer.body.to_map()
        assert len(shown.pop("RequestId")) == 36, action
        assert answer.headers["x-acs-request-id"]
        CALLED[self.product].add(action)
        return shown


class Refused:
    """What the SDK raised."""

    def fill(self, error):
        self.code, self.status, self.message = error.code, error.statusCode, error.message
        self.detail = getattr(error, "accessDeniedDetail", None) or {}


@contextlib.contextmanager
def refused(code, status=None):
    """The body must raise the SDK's own exception with this code."""
    said = Refused()
    try:
        yield said
    except TeaException as error:
        said.fill(error)
        assert said.code == code, f"{said.status} {said.code}: {said.message}, not {code}"
        wanted = status or {"EntityNotExist": 404, "EntityAlreadyExists": 409, "DeleteConflict": 409, "LimitExceeded": 409,
                            "InvalidParameter": 400, "MissingParameter": 400, "MalformedPolicyDocument": 400,
                            "NoPermission": 403, "CheckAuthenticationCodeFail": 403, "Rejected": 409,
                            "UnsupportedOperation": 400, "Unsupported": 400, "AliasAlreadyExists": 400}[code.split(".")[0]]
        assert said.status == wanted, f"{said.status} {said.code}, not {wanted}"
        assert said.message.strip(), code
        CODES.add(code)
        return
    raise AssertionError(f"nothing was refused; expected {code}")


def totp(seed, when=None, steps=0):
    """The code of an authenticator app (RFC 6238: SHA-1, 30 s, six digits), so many steps away."""
    counter = int((when or time.time()) // 30) + steps
    key = base64.b32decode(seed + "=" * (-len(seed) % 8))
    mac = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def two_codes(seed):
    """Two codes that follow each other."""
    now = time.time()
    return totp(seed, now), totp(seed, now, 1)


def trusting(*principals, **condition):
    """A trust policy for RAM principals."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": list(principals)}}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "1", "Statement": [statement]})


def policy(effect="Allow", action="*", resource="*", **condition):
    """A policy of one statement."""
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "1", "Statement": [statement]})


def make_user(ram, name, *system, own=()):
    """A user with policies and an AccessKey: (id, secret)."""
    ram("CreateUser", UserName=name)
    for one in system:
        ram("AttachPolicyToUser", UserName=name, PolicyType="System", PolicyName=one)
    for one, document in dict(own).items():
        ram("CreatePolicy", PolicyName=one, PolicyDocument=document)
        ram("AttachPolicyToUser", UserName=name, PolicyType="Custom", PolicyName=one)
    key = ram("CreateAccessKey", UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["AccessKeySecret"]


def operations():
    """Every operation of the contract, out of the product's own table: (product, version, name, method)."""
    table = pathlib.Path(__file__).parents[2] / "crates/wire/src/rpc/operations.txt"
    product, version = "", ""
    for line in table.read_text().splitlines():
        if line.startswith("= "):
            _, product, version, *_ = line.split()
        elif line and not line.startswith("#"):
            name, *method = line.split()
            yield product, version, name, method[0] if method else "POST"


# The whole of Ims but signing in to the console by SAML.
UNSERVED_IMS = {"GetUserSsoSettings", "SetUserSsoSettings"}
# Without an AccessKey: whoever an identity provider vouches for (test_federation.py).
ANONYMOUS_STS = {"AssumeRoleWithOIDC", "AssumeRoleWithSAML"}


# Key stores of tenants, for generic clients.
OWN_KMS = {"CreateKeyStore", "UpdateKeyStore", "TestKeyStore", "ListKeyStores", "DeleteKeyStore", "SetBucketCustody", "GetBucketCustody"}
# Events and trails to buckets; and, not in the public SDK, the platform's events for generic clients.
INNER_ACTIONTRAIL = {"CreateInnerTrail", "DescribeInnerTrails", "DeleteInnerTrail", "LookupInnerEvents"}
SERVED_ACTIONTRAIL = {
    "LookupEvents", "CreateTrail", "UpdateTrail", "DeleteTrail", "DescribeTrails", "GetTrailStatus", "StartLogging",
    "StopLogging", "DescribeRegions", "GetAccessKeyLastUsedInfo", "GetAccessKeyLastUsedEvents", "GetAccessKeyLastUsedIps",
    "GetAccessKeyLastUsedProducts", "GetAccessKeyLastUsedResources", "DescribeUserLogCount", "DescribeUserAlertCount",
}


def is_served(product, name):
    """Whether an operation is built; the others say `InvalidAction.NotFound`."""
    if product == "Actiontrail":
        return name in SERVED_ACTIONTRAIL | INNER_ACTIONTRAIL
    return {"Ram": True, "Ims": name not in UNSERVED_IMS, "Sts": True, "Kms": True}.get(product, False)
