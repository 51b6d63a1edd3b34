"""Who may do what: every operation of the contract, asked by six callers with arguments that are right but name nothing.

What came out is in `golden/matrix.txt`, to be read by people when it changes: `BAILEE_GOLDEN=write` writes it anew. The
file is not trusted alone: the rules that it must follow are asserted as well.
"""

import base64
import json
import os
import pathlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import house as h
from sdk import ANONYMOUS_STS, Sdk, is_served, make_user, operations, policy, trusting
from signing import rpc_v3
from test_ims import metadata

GOLDEN = pathlib.Path(__file__).parent / "golden/matrix.txt"
CALLERS = ["root", "admin", "reader", "nobody", "oss", "session"]
NOT_FOUND = "404 InvalidAction.NotFound"
NO = "403 NoPermission"


def callers(house):
    """Root, four users and a role session."""
    account, root = house.tenant("acme")["id"], Sdk("Ram", house, house.key("acme"))
    keys = {"root": house.key("acme")}
    for name, policies in [("admin", ["AdministratorAccess"]), ("reader", ["ReadOnlyAccess"]), ("nobody", []),
                           ("oss", ["AliyunOSSFullAccess"])]:
        keys[name] = make_user(root, f"caller-{name}", *policies)
    for name in ("session-role", "role-there"):
        root("CreateRole", RoleName=name, AssumeRolePolicyDocument=trusting(f"acs:ram::{account}:root"))
    root("AttachPolicyToRole", RoleName="session-role", PolicyType="System", PolicyName="ReadOnlyAccess")
    taker = Sdk("Sts", house, make_user(root, "caller-taker", "AliyunSTSAssumeRoleAccess"))
    c = taker("AssumeRole", RoleArn=f"acs:ram::{account}:role/session-role", RoleSessionName="matrix")["Credentials"]
    keys["session"] = (c["AccessKeyId"], c["AccessKeySecret"], c["SecurityToken"])
    return keys


NO_KEY = "00000000-0000-4000-8000-000000000000"
# What every caller who is known may ask.
KMS_FOR_ALL = {"OpenKmsService", "DescribeAccountKmsStatus", "DescribeRegions", "GetRandomPassword"}
PUBLIC = rsa.generate_private_key(65537, 2048).public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def kms_arguments(name, new):
    b64 = lambda data: base64.b64encode(data).decode()
    algorithms = {"AsymmetricSign": "ECDSA_SHA_256", "AsymmetricVerify": "ECDSA_SHA_256", "GenerateMac": "HMAC_SM3", "VerifyMac": "HMAC_SM3"}
    given = {
        "KeyId": NO_KEY, "KeyVersionId": NO_KEY, "DestinationKeyId": NO_KEY, "Plaintext": b64(b"x"),
        "CiphertextBlob": b64(b"\1" + bytes.fromhex(NO_KEY.replace("-", "")) * 2 + bytes(45)), "Description": "x",
        "Algorithm": algorithms.get(name, "RSAES_OAEP_SHA_256"), "Digest": b64(bytes(32)), "Value": b64(b"x"), "Message": b64(b"x"),
        "Mac": b64(b"x"), "PublicKeyBlob": b64(PUBLIC), "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "EncryptedKeyMaterial": b64(b"x"), "ImportToken": b64(b"x"), "KeyMaterialExpireUnix": "0", "AliasName": "alias/no-such",
        "PendingWindowInDays": "7", "EnableDeletionProtection": "true", "EnableAutomaticRotation": "false", "Tags": '[{"TagKey":"k","TagValue":"v"}]',
        "TagKeys": '["k"]', "TagKey.1": "k", "ResourceType": "key", "ResourceId.1": NO_KEY, "SecretName": "no-such", "SecretData": "x",
        "VersionStage": "s", "MoveToVersion": "v1", "SecretsList": '[{"SecretName":"no-such"}]',
        "KeyStoreId": "ks-nosuch", "Name": "no-such", "Address": "https://127.0.0.1:1/kms/xks/v1", "CredentialId": "A", "CredentialSecret": "s",
        "Bucket": "no-such-bucket",
    }
    if name in ("SetKeyPolicy", "SetSecretPolicy", "GetKeyPolicy", "GetSecretPolicy"):
        given |= {"PolicyName": "default", "Policy": policy()}
    if name == "CreateKey":
        del given["KeyStoreId"]
    if name == "CreateSecret":
        given["SecretName"] = new
    if "Tag" in name or name.startswith("Untag"):
        del given["SecretName"]
    return given


def arguments(account, product, name, caller):
    """Arguments for everything; an operation takes those that it knows. New things have a name for each caller."""
    new = f"new-{product.lower()}-{caller}"
    given = {
        "UserName": "no-such", "UserPrincipalName": f"no-such@{account}.onaliyun.com", "GroupName": "no-such",
        "RoleName": "no-such", "PolicyName": "no-such", "PolicyType": "Custom", "PolicyDocument": policy(), "VersionId": "v1",
        "UserAccessKeyId": "LTAI5tNoSuchKeyNoSuchKey", "Status": "Active", "SerialNumber": f"acs:ram::{account}:mfa/no-such",
        "AuthenticationCode1": "000000", "AuthenticationCode2": "000001", "Password": "correct-Horse-9-battery",
        "OldPassword": "wrong", "NewPassword": "correct-Horse-9-battery", "ServiceName": "ecs.aliyuncs.com",
        "EncodedDiagnosticMessage": "bm9uZQ==", "AccountAlias": new, "VirtualMFADeviceName": new,
        "AssumeRolePolicyDocument": trusting(f"acs:ram::{account}:root"), "DisplayName": "x",
        "OIDCProviderName": "no-such", "ClientId": "c", "Fingerprint": "a" * 40, "SAMLProviderName": "no-such",
        "DefaultDomainName": f"{account}.onaliyun.com",
        "RoleArn": f"acs:ram::{account}:role/role-there", "RoleSessionName": "s1",
    }
    if product == "Ram":
        given |= {"ResourceType": "role", "ResourceNames": '["no-such"]', "TagKeys": '["k"]'}
    if product == "Ims":
        given |= {"ResourceType": "user", "ResourcePrincipalName.1": given["UserPrincipalName"], "TagKey.1": "k"}
    if product == "Actiontrail":
        given |= {"Name": "no-such-trail", "OssBucketName": "no-such-bucket", "AccessKey": "LTAI5tNoSuchKeyNoSuchKey"}
    if product == "Kms":
        given |= kms_arguments(name, new)
    if name == "TagResources":
        given |= {"Tag.1.Key": "k", "Tag.1.Value": "v"}
    if name in ("SetAccessKeyPolicy", "SetAccessKeyPolicyForAccount"):
        given["AccessKeyPolicy"] = '{"Version":1,"Status":"Inactive","Statements":[]}'
    if name in ("ListUsers", "ListUserBasicInfos") and product == "Ims":
        given["Status"] = "active"  # users' states here, not keys'
    made = {
        "CreateUser": {"UserName": new, "UserPrincipalName": f"{new}@{account}.onaliyun.com"},
        "CreateGroup": {"GroupName": new},
        "CreateRole": {"RoleName": new},
        "CreatePolicy": {"PolicyName": new},
        "CreateServiceLinkedRole": {"CustomSuffix": new},
        "CreateOIDCProvider": {"OIDCProviderName": new, "IssuerUrl": "https://ci.example.com", "ClientIds": "c"},
        "CreateSAMLProvider": {"SAMLProviderName": new,
                               "EncodedSAMLMetadataDocument": base64.b64encode(metadata().encode()).decode()},
    }
    return given | made.get(name, {})


@pytest.fixture(scope="module")
def matrix(shared):
    """{(product, operation): {caller: "status Code"}}"""
    account, host, keys = shared.tenant("acme")["id"], shared.console.removeprefix("http://"), callers(shared)
    out = {}
    for product, version, name, _ in operations():
        row = out.setdefault((product, name), {})
        for caller in CALLERS:
            wire = arguments(account, product, name, caller) if is_served(product, name) else {}
            path, headers, body = rpc_v3(name, version, keys[caller], host=host, query=wire)
            status, _, text = h.request("POST", shared.console + path, body=body, headers=headers)
            said = json.loads(text)
            assert said["RequestId"], (product, name)
            if status != 200:
                assert said["Message"] and said["HostId"], said
            row[caller] = f"{status} {said['Code']}" if status != 200 else "200"
    return out


def test_the_matrix_is_the_one_on_file(matrix):
    lines = ["# Who gets what: status and code. Made by test_matrix.py; `BAILEE_GOLDEN=write` writes it anew."]
    for (product, name), row in sorted(matrix.items()):
        cells = " | ".join(f"{caller} {row[caller]}" for caller in CALLERS)
        if len(set(row.values())) == 1:
            cells = f"everybody {row['root']}"
        lines.append(f"{product}.{name}: {cells}")
    text = "\n".join(lines) + "\n"
    if os.environ.get("BAILEE_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text.splitlines() == GOLDEN.read_text().splitlines()


def served(matrix):
    """What AccessKeys are served; the two operations for callers without one have a test below."""
    return {op: row for op, row in matrix.items() if is_served(*op) and op[1] not in ANONYMOUS_STS}


def no(op):
    """A no in the words of its product."""
    return "403 Forbidden.NoPermission" if op[0] == "Kms" else NO


def same_for_all(op):
    return op[0] == "Kms" and op[1] in KMS_FOR_ALL


def own_password(op):
    return op[1] == "ChangePassword"


def test_all_operations_were_asked(matrix):
    assert len(matrix) == 446 + 4 + 7 and len(served(matrix)) == 69 + 64 + 2 + 20 + 62 + 7


def test_what_is_not_served_is_not_served_to_anybody(matrix):
    for op, row in matrix.items():
        assert (set(row.values()) == {NOT_FOUND}) == (not is_served(*op)), (op, row)


def test_an_access_key_is_nothing_to_the_operations_for_those_who_have_none(matrix):
    for name in ANONYMOUS_STS:
        assert set(matrix["Sts", name].values()) == {"400 MissingParameter"}, name


def test_nothing_fails_on_our_side(matrix):
    bad = {op: row for op, row in matrix.items() if any(v.startswith("5") for v in row.values())}
    assert not bad


def test_who_has_no_policies_may_nothing_but_ask_who_he_is_and_change_his_password(matrix):
    for op, row in served(matrix).items():
        for caller in ("nobody", "oss"):
            if op == ("Sts", "GetCallerIdentity"):
                assert row[caller] == "200"
            elif own_password(op):
                assert row[caller] == "400 InvalidParameter.OldPassword", (op, row)
            elif op[1] in ("GetBucketCustody", "SetBucketCustody") and caller == "oss":
                assert row[caller].startswith("404"), "rights of OSS are asked for, which he has"
            elif not same_for_all(op):
                assert row[caller] == no(op), (op, caller, row)


def test_what_is_the_same_for_all_tells_nothing(matrix):
    for name in KMS_FOR_ALL:
        assert set(matrix["Kms", name].values()) == {"200"}, name


def test_root_and_administrators_are_stopped_by_nothing(matrix):
    for op, row in served(matrix).items():
        assert row["admin"] != no(op), (op, row)
        # Root has no password to change here, and takes on no role: that would only hide who acts.
        assert (row["root"] == no(op)) == (own_password(op) or op == ("Sts", "AssumeRole")), (op, row)
        if not own_password(op) and op != ("Sts", "AssumeRole"):
            assert row["root"] == row["admin"], (op, row)


def test_who_may_only_read_only_reads(matrix):
    for op, row in served(matrix).items():
        # The report is made when it is asked for: to start making it is to read it.
        reads = op[1].startswith(("Get", "List", "Describe", "Lookup")) or op[1] == "GenerateCredentialReport"
        # ReadOnlyAccess reads values of secrets, one by one or several.
        reads = reads or op == ("Kms", "BatchGetSecretValue")
        if same_for_all(op):
            continue
        for caller in ("reader", "session"):
            if own_password(op):
                assert row[caller] == (NO if caller == "session" else "400 InvalidParameter.OldPassword"), (op, row)
            elif reads:
                assert row[caller] == row["admin"], (op, caller, row)
            else:
                assert row[caller] == no(op), (op, caller, row)


def test_what_was_refused_did_not_happen(matrix, shared):
    root = Sdk("Ram", shared, shared.key("acme"))
    users = {u["UserName"] for u in root("ListUsers", MaxItems=1000)["Users"]["User"]}
    made = {u for u in users if u.startswith("new-")}
    assert made == {f"new-{product}-{caller}" for product in ("ram", "ims") for caller in ("root", "admin")}
    roles = {r["RoleName"] for r in root("ListRoles", MaxItems=1000)["Roles"]["Role"] if "new-" in r["RoleName"]}
    assert roles == {f"{before}new-ram-{caller}" for caller in ("root", "admin") for before in ("", "AliyunServiceRoleForECS_")}
