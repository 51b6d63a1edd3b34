"""Role sessions by the clients that use them: Sts, Ram, oss2, oss-v2, boto3."""

import datetime
import json
import re

import alibabacloud_oss_v2 as oss
import boto3
import botocore.config
import oss2
import pytest
from botocore.exceptions import ClientError

import house as h
from kit import Browser
from sdk import Sdk, make_user, policy, refused, trusting


@pytest.fixture(scope="module")
def root(shared):
    return Sdk("Ram", shared, shared.key("acme"))


@pytest.fixture(scope="module")
def account(shared):
    return shared.tenant("acme")["id"]


@pytest.fixture(scope="module")
def taker(shared, root):
    """A user who may take on whatever trusts him."""
    return Sdk("Sts", shared, make_user(root, "taker", "AliyunSTSAssumeRoleAccess"))


def make_role(root, account, name, *system, trust=None, **more):
    """A role of the account, for everybody in it; its ARN."""
    made = root("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust or trusting(f"acs:ram::{account}:root"), **more)
    for one in system:
        root("AttachPolicyToRole", RoleName=name, PolicyType="System", PolicyName=one)
    return made["Role"]["Arn"]


def keys_of(answer):
    c = answer["Credentials"]
    return c["AccessKeyId"], c["AccessKeySecret"], c["SecurityToken"]


def take(sts, arn, **more):
    return keys_of(sts("AssumeRole", RoleArn=arn, RoleSessionName="s1", **more))


def seconds_left(answer):
    end = datetime.datetime.strptime(answer["Credentials"]["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
    return (end - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)).total_seconds()


def test_a_user_takes_on_a_role_and_is_it(shared, root, account, taker):
    arn = make_role(root, account, "Reader", "AliyunRAMReadOnlyAccess")
    role_id = root("GetRole", RoleName="Reader")["Role"]["RoleId"]
    got = taker("AssumeRole", RoleArn=arn, RoleSessionName="s.1@x_y-z")
    assert got["AssumedRoleUser"] == {
        "Arn": f"acs:ram::{account}:assumed-role/reader/s.1@x_y-z", "AssumedRoleId": f"{role_id}:s.1@x_y-z"}
    keys = keys_of(got)
    assert keys[0].startswith("STS.") and 3590 <= seconds_left(got) <= 3601
    for algorithm in (None, "v2", "ACS3-HMAC-SM3"):
        config = {"signature_algorithm": algorithm} if algorithm else {}
        me = Sdk("Sts", shared, keys, **config)("GetCallerIdentity")
        assert me["IdentityType"] == "AssumedRoleUser" and me["AccountId"] == account and me["RoleId"] == role_id
        assert me["PrincipalId"] == f"{role_id}:s.1@x_y-z" and me["Arn"] == got["AssumedRoleUser"]["Arn"]
        assert Sdk("Ram", shared, keys, **config)("ListUsers")["Users"]["User"]
    with refused("NoPermission") as said:
        Sdk("Ram", shared, keys)("CreateUser", UserName="never")
    assert said.detail["AuthPrincipalType"] == "AssumedRoleUser" and said.detail["AuthAction"] == "ram:CreateUser"
    # A session has no password and no keys of its own, and however mighty makes none for root.
    mighty = Sdk("Ram", shared, take(taker, make_role(root, account, "Mighty", "AdministratorAccess")))
    with refused("NoPermission"):
        mighty("ChangePassword", OldPassword="x", NewPassword="y")
    for act, more in [("CreateAccessKey", {}), ("ListAccessKeys", {}),
                      ("UpdateAccessKey", {"UserAccessKeyId": shared.key("acme")[0], "Status": "Inactive"}),
                      ("DeleteAccessKey", {"UserAccessKeyId": shared.key("acme")[0]})]:
        with refused("MissingParameter"):
            mighty(act, **more)
    # What the role may is looked up, not written in the token.
    root("DetachPolicyFromRole", RoleName="Reader", PolicyType="System", PolicyName="AliyunRAMReadOnlyAccess")
    with refused("NoPermission"):
        Sdk("Ram", shared, keys)("ListUsers")


def test_a_user_and_root_by_their_own_keys(shared, root, account, taker):
    me = taker("GetCallerIdentity")
    user_id = root("GetUser", UserName="taker")["User"]["UserId"]
    assert (me["IdentityType"], me["UserId"], me["PrincipalId"]) == ("RAMUser", user_id, user_id)
    assert me["Arn"] == f"acs:ram::{account}:user/taker"
    me = Sdk("Sts", shared, shared.key("acme"))("GetCallerIdentity")
    assert (me["IdentityType"], me["AccountId"], me["Arn"]) == ("Account", account, f"acs:ram::{account}:root")


def oss2_bucket(shared, keys, version):
    return oss2.Bucket(oss2.StsAuth(*keys, auth_version=version), shared.objects, shared.bucket("acme"), region=h.REGION)


def s3_of(shared, keys):
    return boto3.client(
        "s3", endpoint_url=shared.objects, region_name=h.REGION, aws_access_key_id=keys[0], aws_secret_access_key=keys[1],
        aws_session_token=keys[2], config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4",
                                                                 retries={"max_attempts": 1}))


def oss_v2_of(shared, keys, version):
    config = oss.config.load_default()
    config.endpoint, config.region, config.signature_version = shared.objects, h.REGION, version
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(*keys)
    return oss.Client(config)


def test_the_sessions_keys_open_the_object_store(shared, root, account, taker):
    key, bucket = "invoices/2026-11/1.pdf", shared.bucket("acme")
    keys = take(taker, make_role(root, account, "oss-reader", "AliyunOSSReadOnlyAccess"))
    wanted = s3_of(shared, keys).get_object(Bucket=bucket, Key=key)["Body"].read()
    assert b"48,000.00" in wanted
    url = s3_of(shared, keys).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    assert h.get(url) == (200, wanted)
    with pytest.raises(ClientError) as e:
        s3_of(shared, keys).put_object(Bucket=bucket, Key="no", Body=b"")
    assert e.value.response["Error"]["Code"] == "AccessDenied"
    for version in (oss2.AUTH_VERSION_1, oss2.AUTH_VERSION_4):
        mine = oss2_bucket(shared, keys, version)
        assert mine.get_object(key).read() == wanted
        assert h.get(mine.sign_url("GET", key, 600, slash_safe=True)) == (200, wanted)
        with pytest.raises(oss2.exceptions.AccessDenied):
            mine.put_object("no", b"")
    for version in ("v1", "v4"):
        got = oss_v2_of(shared, keys, version).get_object(oss.GetObjectRequest(bucket=bucket, key=key))
        assert got.body.content == wanted


@pytest.mark.parametrize("spoilt", ["none", "garbage", "foreign", "flipped"])
def test_a_session_key_without_its_own_token_opens_nothing(shared, root, account, taker, spoilt):
    name = f"spoilt-{spoilt}"
    arn = make_role(root, account, name, "ReadOnlyAccess")
    key_id, secret, token = take(taker, arn)
    other = take(taker, arn)[2]
    flipped = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    wrong = {"none": None, "garbage": "CAISgarbage+/==", "foreign": other, "flipped": flipped}[spoilt]
    code = {"none": "MissingSecurityToken", "garbage": "InvalidSecurityToken.Malformed",
            "foreign": "InvalidSecurityToken.MismatchWithAccessKey", "flipped": "InvalidSecurityToken.Malformed"}[spoilt]
    for algorithm in (None, "v2"):
        config = {"signature_algorithm": algorithm} if algorithm else {}
        with refused(code, 400):
            Sdk("Ram", shared, (key_id, secret, wrong), **config)("ListUsers")
    for act in (lambda: s3_of(shared, (key_id, secret, wrong)).list_objects_v2(Bucket=shared.bucket("acme")),
                lambda: oss2_bucket(shared, (key_id, secret, wrong or ""), oss2.AUTH_VERSION_1).get_object("readme.txt"),
                lambda: oss2_bucket(shared, (key_id, secret, wrong or ""), oss2.AUTH_VERSION_4).get_object("readme.txt")):
        with pytest.raises((ClientError, oss2.exceptions.ServerError)) as e:
            act()
        status = e.value.status if isinstance(e.value, oss2.exceptions.ServerError) else \
            e.value.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status in (400, 403), e.value
    # The token without its key's secret is worth nothing either.
    with refused("SignatureDoesNotMatch", 400):
        Sdk("Ram", shared, (key_id, secret[::-1], token))("ListUsers")


def test_a_key_that_is_no_sessions_takes_no_token(shared, root, account, taker):
    token = take(taker, make_role(root, account, "tokened", "ReadOnlyAccess"))[2]
    for caller in (shared.key("acme"), make_user(root, "tokenless", "ReadOnlyAccess")):
        with refused("InvalidSecurityToken.MismatchWithAccessKey", 400):
            Sdk("Ram", shared, (*caller, token))("ListUsers")


def test_a_session_policy_narrows_and_never_widens(shared, root, account, taker):
    arn = make_role(root, account, "narrow", "AdministratorAccess")
    keys = take(taker, arn, Policy=policy(action="ram:GetUser"))
    own = Sdk("Ram", shared, keys)
    assert own("GetUser", UserName="taker")["User"]
    with refused("NoPermission") as said:
        own("ListUsers")
    assert said.detail["PolicyType"] == "SessionPolicy" and said.detail["NoPermissionType"] == "ImplicitDeny"
    denied = json.loads(policy())
    denied["Statement"] += json.loads(policy("Deny", "ram:List*"))["Statement"]
    with refused("NoPermission") as said:
        Sdk("Ram", shared, take(taker, arn, Policy=json.dumps(denied)))("ListUsers")
    assert said.detail["PolicyType"] == "SessionPolicy" and said.detail["NoPermissionType"] == "ExplicitDeny"
    empty = make_role(root, account, "empty")
    with refused("NoPermission"):
        Sdk("Ram", shared, take(taker, empty, Policy=policy()))("ListUsers")
    # The object store asks it too.
    with pytest.raises(oss2.exceptions.AccessDenied):
        oss2_bucket(shared, keys, oss2.AUTH_VERSION_4).get_object("readme.txt")
    for bad in ("{", trusting("*"), policy(effect="Perhaps"), policy(resource=["acs:oss:*:*:" + "x" * 2048])):
        with refused("InvalidParameter.PolicyGrammar"):
            take(taker, arn, Policy=bad)


def test_both_sides_must_agree(shared, root, account, taker):
    make_user(root, "friend")
    trusts_one = make_role(root, account, "for-friend", trust=trusting(f"acs:ram::{account}:user/friend"))
    with refused("NoPermission") as said:
        take(taker, trusts_one)
    assert said.detail["PolicyType"] == "AssumeRolePolicy" and said.detail["AuthAction"] == "sts:AssumeRole"
    told = root("DecodeDiagnosticMessage", EncodedDiagnosticMessage=said.detail["EncodedDiagnosticMessage"])
    told = told["DecodedDiagnosticMessage"]
    assert told["NoPermissionPolicyType"] == "AssumeRolePolicy" and not told["MatchedPolicies"], told
    trusts_all = make_role(root, account, "for-all", "ReadOnlyAccess")
    friend = Sdk("Sts", shared, make_user(root, "friend-2"))
    with refused("NoPermission") as said:
        take(friend, trusts_all)
    assert said.detail["PolicyType"] == "AccountLevelIdentityBasedPolicy"
    denied = Sdk("Sts", shared, make_user(root, "friend-3", "AliyunSTSAssumeRoleAccess",
                                          own={"not-for-all": policy("Deny", "sts:AssumeRole", f"acs:ram::{account}:role/for-all")}))
    with refused("NoPermission") as said:
        take(denied, trusts_all)
    assert said.detail["NoPermissionType"] == "ExplicitDeny"
    assert take(denied, make_role(root, account, "for-all-2"))
    with refused("EntityNotExist.Role"):
        take(taker, f"acs:ram::{account}:role/nothing")


def test_conditions_see_who_the_session_is(shared, root, account, taker):
    arn = make_role(root, account, "Conditioned")
    root("CreatePolicy", PolicyName="conditioned", PolicyDocument=policy(
        action="ram:ListUsers", StringEquals={"acs:PrincipalARN": arn}))
    root("CreatePolicy", PolicyName="conditioned-not", PolicyDocument=policy(
        action="ram:ListGroups", StringNotEquals={"acs:PrincipalARN": arn}))
    for one in ("conditioned", "conditioned-not"):
        root("AttachPolicyToRole", RoleName="Conditioned", PolicyType="Custom", PolicyName=one)
    own = Sdk("Ram", shared, take(taker, arn))
    assert own("ListUsers")["Users"]["User"]
    with refused("NoPermission"):
        own("ListGroups")


def test_root_takes_on_no_role(shared, root, account):
    arn = make_role(root, account, "not-for-root", "ReadOnlyAccess")
    with refused("NoPermission") as said:
        take(Sdk("Sts", shared, shared.key("acme")), arn)
    assert said.detail["EncodedDiagnosticMessage"]


def test_the_external_id_must_be_the_agreed_one(root, account, taker):
    trust = trusting(f"acs:ram::{account}:root", StringEquals={"sts:ExternalId": "agreed-42"})
    arn = make_role(root, account, "external", trust=trust)
    assert take(taker, arn, ExternalId="agreed-42")
    for wrong in ({}, {"ExternalId": "agreed-43"}, {"ExternalId": "AGREED-42"}):
        with refused("NoPermission") as said:
            take(taker, arn, **wrong)
        assert said.detail["PolicyType"] == "AssumeRolePolicy"
        assert "agreed-42" not in said.message + json.dumps(said.detail)


def test_how_long_a_session_may_last(root, account, taker):
    short = make_role(root, account, "short")
    long = make_role(root, account, "long", MaxSessionDuration=43200)
    for arn, wrong in [(short, 0), (short, 899), (short, 3601), (long, 43201)]:
        with refused("InvalidParameter.DurationSeconds"):
            take(taker, arn, DurationSeconds=wrong)
    for arn, right in [(short, 900), (short, 3600), (long, 43200)]:
        got = taker("AssumeRole", RoleArn=arn, RoleSessionName="s1", DurationSeconds=right)
        assert right - 10 <= seconds_left(got) <= right + 1
    assert seconds_left(taker("AssumeRole", RoleArn=long, RoleSessionName="s1")) <= 3601


def test_wrong_arguments_are_named(account, taker):
    arn = f"acs:ram::{account}:role/x"
    for wrong in ("x", "acs:ram::1:role/x", f"acs:oss::{account}:role/x", f"acs:ram::{account}:user/x", f"acs:ram::{account}:role/"):
        with refused("InvalidParameter.RoleArn"):
            taker("AssumeRole", RoleArn=wrong, RoleSessionName="s1")
    for wrong in ("s", "s" * 65, "a b", "a/b"):
        with refused("InvalidParameter.RoleSessionName"):
            taker("AssumeRole", RoleArn=arn, RoleSessionName=wrong)
    with refused("MissingParameter"):
        taker("AssumeRole", RoleArn=arn)


def test_a_session_goes_on_to_another_role_for_an_hour_at_most(shared, root, account, taker):
    one = make_role(root, account, "chain-one", "AliyunSTSAssumeRoleAccess", MaxSessionDuration=43200)
    only_one = trusting(f"acs:ram::{account}:role/chain-one")
    two = make_role(root, account, "chain-two", "AliyunRAMReadOnlyAccess", trust=only_one, MaxSessionDuration=43200)
    with refused("NoPermission"):
        take(taker, two)
    first = taker("AssumeRole", RoleArn=one, RoleSessionName="s1", SourceIdentity="li", DurationSeconds=43200)
    assert first["SourceIdentity"] == "li"
    through = Sdk("Sts", shared, keys_of(first))
    second = through("AssumeRole", RoleArn=two, RoleSessionName="s2")
    assert second["SourceIdentity"] == "li" and seconds_left(second) <= 3601
    assert Sdk("Ram", shared, keys_of(second))("ListUsers")["Users"]["User"]
    with refused("InvalidParameter.DurationSeconds"):
        through("AssumeRole", RoleArn=two, RoleSessionName="s2", DurationSeconds=3601)
    with pytest.raises(Exception) as e:
        through("AssumeRole", RoleArn=two, RoleSessionName="s2", SourceIdentity="wang")
    assert e.value.code.startswith("InvalidParameter.SourceIdentity")
    assert through("AssumeRole", RoleArn=two, RoleSessionName="s2", SourceIdentity="li")
    # The trust policy may ask for who it is.
    who = make_role(root, account, "chain-who", trust=trusting(f"acs:ram::{account}:root",
                                                               StringEquals={"sts:SourceIdentity": "li"}))
    assert through("AssumeRole", RoleArn=who, RoleSessionName="s3"), "what was inherited counts"
    with refused("NoPermission"):
        taker("AssumeRole", RoleArn=who, RoleSessionName="s3")
    document = json.loads(trusting(f"acs:ram::{account}:root"))
    document["Statement"].append({**document["Statement"][0], "Effect": "Deny",
                                  "Condition": {"StringEquals": {"sts:SourceIdentity": "li"}}})
    others = make_role(root, account, "chain-others", trust=json.dumps(document))
    assert taker("AssumeRole", RoleArn=others, RoleSessionName="s4")
    with refused("NoPermission"):
        through("AssumeRole", RoleArn=others, RoleSessionName="s4")
    # A session that was narrowed goes nowhere that its policy does not name.
    narrow = Sdk("Sts", shared, take(taker, one, Policy=policy(action="ram:*")))
    with refused("NoPermission"):
        narrow("AssumeRole", RoleArn=two, RoleSessionName="s2")


def test_a_session_ends_with_its_role(shared, root, account, taker):
    arn = make_role(root, account, "mortal")
    root("AttachPolicyToRole", RoleName="mortal", PolicyType="System", PolicyName="ReadOnlyAccess")
    keys = take(taker, arn)
    own = Sdk("Ram", shared, keys)
    assert own("ListUsers")["Users"]["User"]
    root("DetachPolicyFromRole", RoleName="mortal", PolicyType="System", PolicyName="ReadOnlyAccess")
    root("DeleteRole", RoleName="mortal")
    with refused("InvalidSecurityToken.Expired", 400):
        own("ListUsers")
    with refused("InvalidSecurityToken.Expired", 400):
        Sdk("Sts", shared, keys)("GetCallerIdentity")
    with pytest.raises(ClientError):
        s3_of(shared, keys).list_objects_v2(Bucket=shared.bucket("acme"))
    # A new role of the old name does not bring them back.
    make_role(root, account, "mortal", "ReadOnlyAccess")
    with refused("InvalidSecurityToken.Expired", 400):
        own("ListUsers")


def test_a_session_outlives_a_restart(house):
    account = house.tenant("acme")["id"]
    root = Sdk("Ram", house, house.key("acme"))
    taker = Sdk("Sts", house, make_user(root, "taker", "AliyunSTSAssumeRoleAccess"))
    keys = take(taker, make_role(root, account, "durable", "ReadOnlyAccess"))
    house.kill()
    house.start()
    assert Sdk("Ram", house, keys)("ListUsers")["Users"]["User"]


def test_another_accounts_role_is_taken_on_if_it_trusts_and_else_is_not_known(shared, account, taker):
    globex = Sdk("Ram", shared, shared.key("globex"))
    theirs = shared.tenant("globex")["id"]
    open_to_acme = make_role(globex, theirs, "partner", "AliyunRAMReadOnlyAccess", trust=trusting(f"acs:ram::{account}:root"))
    make_role(globex, theirs, "internal", "AdministratorAccess")
    globex("CreateUser", UserName="only-globex")
    keys = take(taker, open_to_acme)
    me = Sdk("Sts", shared, keys)("GetCallerIdentity")
    assert me["AccountId"] == theirs and me["Arn"] == f"acs:ram::{theirs}:assumed-role/partner/s1"
    shown = [u["UserName"] for u in Sdk("Ram", shared, keys)("ListUsers")["Users"]["User"]]
    assert "only-globex" in shown and "taker" not in shown
    # Both accounts have it in their logs: who asked in the one, who came in the other.
    theirs_log = shared.export("globex", "globex-sts.bundle")
    ours_log = shared.export("acme", "acme-sts.bundle")
    for log in (theirs_log, ours_log):
        h.verify(log)
    assert b"RoleAssumed" in theirs_log.read_bytes() and b"assumed-role/partner/s1" in theirs_log.read_bytes()
    assert f"acs:ram::{account}:user/taker".encode() in theirs_log.read_bytes()
    assert b"AssumeRole" in ours_log.read_bytes() and f"{theirs}:role/partner".encode() in ours_log.read_bytes()
    for log in (theirs_log, ours_log):
        assert not [k for k in keys[1:] if k.encode() in log.read_bytes()], "a secret in a log"
    said = {}
    for role in ("internal", "nothing1", "INTERNAL"):
        with refused("NoPermission") as no:
            take(taker, f"acs:ram::{theirs}:role/{role}")
        assert no.detail["EncodedDiagnosticMessage"]
        detail = {k: v for k, v in no.detail.items() if k != "EncodedDiagnosticMessage"}
        text = re.sub(r"request id: .*|[0-9A-F]{8}-[0-9A-F-]{27}", "", no.message).replace(role, "ROLE")
        said[role] = (text, json.dumps(detail).replace(role, "ROLE"), " ".join(sorted(no.detail)))
    assert len(set(said.values())) == 1, said
    with refused("NoPermission") as no:
        take(taker, "acs:ram::1999999999999999:role/internal")
    assert no.detail["PolicyType"] == "AssumeRolePolicy"
    # His own policies are asked too: trust of another account alone gives nothing.
    poor = Sdk("Sts", shared, make_user(Sdk("Ram", shared, shared.key("acme")), "poor"))
    with refused("NoPermission"):
        take(poor, open_to_acme)


def test_who_comes_back_under_an_old_name_gets_no_old_session_and_no_old_trust(shared, root, account):
    password = "correct-Horse-9-battery"
    keys = make_user(root, "lazarus", "AliyunSTSAssumeRoleAccess")
    root("CreateLoginProfile", UserName="lazarus", Password=password)
    browser = Browser(shared)
    browser.send("POST", "/login/tenant", {"tenant": "acme", "user": "lazarus", "password": password})
    assert browser.status == 200 and browser.cookies
    inside = browser.get("/security").source
    assert "lazarus" in inside
    root("DeleteAccessKey", UserName="lazarus", UserAccessKeyId=keys[0])
    root("DetachPolicyFromUser", UserName="lazarus", PolicyType="System", PolicyName="AliyunSTSAssumeRoleAccess")
    root("DeleteUser", UserName="lazarus")
    assert "lazarus" not in browser.get("/security").source
    make_user(root, "lazarus")
    root("CreateLoginProfile", UserName="lazarus", Password=password)
    assert "lazarus" not in browser.get("/security").source, "the cookie of the old user"
