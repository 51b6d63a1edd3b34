"""Unmodified RPC SDKs: alibabacloud-* with V3, V1 and SM3, and the legacy one."""

import json

import pytest
from alibabacloud_ram20150501 import models as ram
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

import house as h
from kit import Server
from sdk import is_served, operations
from signing import rpc_v3


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def config(server, keys=None, **kw):
    id, secret = keys or server.keys()
    return Config(access_key_id=id, access_key_secret=secret, endpoint=server.console.removeprefix("http://"),
                  protocol="http", region_id="cn-hangzhou", **kw)


@pytest.mark.parametrize("algorithm", [None, "v2", "ACS3-HMAC-SM3"])
def test_who_am_i(server, algorithm):
    kw = {"signature_algorithm": algorithm} if algorithm else {}
    me = Sts(config(server, **kw)).get_caller_identity().body
    assert me.account_id == server.tenant()["id"] and me.identity_type == "Account"
    assert me.arn == f"acs:ram::{me.account_id}:root" and me.request_id


@pytest.mark.parametrize("algorithm", [None, "v2", "ACS3-HMAC-SM3"])
def test_users_are_made_read_and_listed_in_pages(server, algorithm):
    kw = {"signature_algorithm": algorithm} if algorithm else {}
    c = Ram(config(server, **kw))
    names = [f"u{algorithm or 'v3'}-{i}".lower() for i in range(5)]
    for name in names:
        made = c.create_user(ram.CreateUserRequest(user_name=name, comments="a b+c/*~中", display_name="D")).body.user
        assert made.user_name == name and made.comments == "a b+c/*~中"
    assert c.get_user(ram.GetUserRequest(user_name=names[0])).body.user.display_name == "D"
    seen, marker = [], None
    while True:
        page = c.list_users(ram.ListUsersRequest(max_items=2, marker=marker)).body
        seen += [u.user_name for u in page.users.user]
        marker = page.marker
        if not page.is_truncated:
            break
    assert set(names) <= set(seen) and len(seen) == len(set(seen))
    with pytest.raises(TeaException) as e:
        c.create_user(ram.CreateUserRequest(user_name=names[0]))
    assert e.value.code == "EntityAlreadyExists.User" and e.value.statusCode == 409
    with pytest.raises(TeaException) as e:
        c.get_user(ram.GetUserRequest(user_name="nobody"))
    assert e.value.code == "EntityNotExist.User" and e.value.statusCode == 404
    with pytest.raises(TeaException) as e:
        c.create_user(ram.CreateUserRequest(user_name="bad name"))
    assert e.value.code == "InvalidParameter.UserName.InvalidChars"


def test_a_user_may_do_what_his_policies_say_and_nothing_else(server):
    import boto3
    from botocore.exceptions import ClientError
    c = Ram(config(server))
    c.create_user(ram.CreateUserRequest(user_name="zhao"))
    key = c.create_access_key(ram.CreateAccessKeyRequest(user_name="zhao")).body.access_key
    keys = (key.access_key_id, key.access_key_secret)
    zhao = Ram(config(server, keys))
    with pytest.raises(TeaException) as e:
        zhao.list_users(ram.ListUsersRequest())
    assert e.value.code == "NoPermission" and e.value.statusCode == 403
    detail = e.value.accessDeniedDetail
    assert detail["AuthAction"] == "ram:ListUsers" and detail["NoPermissionType"] == "ImplicitDeny"
    assert detail["AuthPrincipalType"] == "SubUser"
    me = Sts(config(server, keys)).get_caller_identity().body
    assert me.identity_type == "RAMUser" and me.arn.endswith(":user/zhao")
    document = {"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:acme-invoices/invoices/2026-11/*"},
        {"Effect": "Deny", "Action": "oss:*", "Resource": "acs:oss:*:*:acme-invoices/invoices/2026-11/2.pdf"}]}
    bad = {"Version": "1", "Statement": [{**document["Statement"][0], "Condition": {"Bool": {"acs:MFAPresent": "perhaps"}}}]}
    with pytest.raises(TeaException) as e:
        c.create_policy(ram.CreatePolicyRequest(policy_name="bad", policy_document=json.dumps(bad)))
    assert e.value.code == "MalformedPolicyDocument" and "`perhaps`" in e.value.message
    c.create_policy(ram.CreatePolicyRequest(policy_name="readers", policy_document=json.dumps(document)))
    c.attach_policy_to_user(ram.AttachPolicyToUserRequest(policy_name="readers", policy_type="Custom", user_name="zhao"))
    s3 = boto3.client("s3", endpoint_url=server.objects, region_name=server.region, aws_access_key_id=keys[0],
                      aws_secret_access_key=keys[1])
    assert b"48,000.00" in s3.get_object(Bucket="acme-invoices", Key="invoices/2026-11/1.pdf")["Body"].read()
    for key, action in [("invoices/2026-11/2.pdf", "get_object"), ("readme.txt", "get_object"),
                        ("invoices/2026-11/1.pdf", "delete_object")]:
        with pytest.raises(ClientError) as e:
            getattr(s3, action)(Bucket="acme-invoices", Key=key)
        assert e.value.response["Error"]["Code"] == "AccessDenied"


def test_the_legacy_sdk_works(server):
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest
    id, secret = server.keys()

    def call(secret, action, version, **query):
        request = CommonRequest(domain=server.console.removeprefix("http://"), version=version, action_name=action)
        request.set_protocol_type("http")
        for name, value in query.items():
            request.add_query_param(name, value)
        return json.loads(AcsClient(id, secret, "cn-hangzhou").do_action_with_exception(request))

    assert call(secret, "GetCallerIdentity", "2015-04-01")["AccountId"] == server.tenant()["id"]
    assert call(secret, "CreateUser", "2015-05-01", UserName="legacy")["User"]["UserName"] == "legacy"
    with pytest.raises(ServerException) as e:
        call("wrong", "GetCallerIdentity", "2015-04-01")
    assert e.value.error_code in ("SignatureDoesNotMatch", "InvalidAccessKeySecret")
    with pytest.raises(ServerException) as e:
        call(secret, "CreateVpc", "2016-04-28")
    assert e.value.error_code == "InvalidAction.NotFound" and e.value.http_status == 404


def test_an_unknown_key_is_named(server):
    with pytest.raises(TeaException) as e:
        Sts(config(server, ("LTAI5tNoSuchKeyNoSuchKey", "x"))).get_caller_identity()
    assert e.value.code == "InvalidAccessKeyId.NotFound" and e.value.statusCode == 404


def test_every_operation_that_is_not_served_says_so(server):
    host = server.console.removeprefix("http://")
    asked = 0
    for product, version, name, _ in operations():
        if is_served(product, name):
            continue
        path, headers, body = rpc_v3(name, version, server.keys(), host=host)
        status, _, text = h.request("POST", server.console + path, body=body, headers=headers)
        said = json.loads(text)
        assert (status, said["Code"]) == (404, "InvalidAction.NotFound"), (product, name, said)
        assert said["RequestId"] and name in said["Message"], said
        asked += 1
    assert asked == 446 - (69 + 64 + 4 + 16 + 62)
