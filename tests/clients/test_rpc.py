"""RPC by its own clients: the alibabacloud-* SDKs (V3, V1, SM3) and the legacy aliyun-python-sdk-*."""

import json

import pytest
from alibabacloud_ims20190815.client import Client as Ims
from alibabacloud_ims20190815 import models as ims
from alibabacloud_ram20150501 import models as ram
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdkram.request.v20150501.GetUserRequest import GetUserRequest
from aliyunsdksts.request.v20150401.GetCallerIdentityRequest import GetCallerIdentityRequest
from conftest import s3_client

import botocore.exceptions
import house as h

SIGNATURES = {"V3": None, "V1": "v2", "SM3": "ACS3-HMAC-SM3"}


def config(house, alias="acme", key=None, algorithm=None):
    key_id, secret = key or house.key(alias)
    made = Config(
        access_key_id=key_id,
        access_key_secret=secret,
        endpoint=house.console.removeprefix("http://"),
        protocol="http",
        region_id=h.REGION,
    )
    if algorithm:
        made.signature_algorithm = algorithm
    return made


def legacy(house, request, alias="acme", secret=None):
    key_id, own = house.key(alias)
    request.set_endpoint(house.console.removeprefix("http://"))
    request.set_protocol_type("http")
    client = AcsClient(key_id, secret or own, h.REGION, auto_retry=False)
    return json.loads(client.do_action_with_exception(request))


def refused(attempt):
    with pytest.raises(ClientException) as error:
        attempt()
    return error.value


@pytest.mark.parametrize("algorithm", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_the_caller_learns_who_he_is(shared, algorithm):
    me = Sts(config(shared, algorithm=algorithm)).get_caller_identity().body
    account = shared.tenant("acme")["id"]
    assert (me.account_id, me.identity_type, me.arn) == (account, "Account", f"acs:ram::{account}:root")
    assert me.request_id


def test_the_legacy_sdk_learns_the_same(shared):
    me = legacy(shared, GetCallerIdentityRequest())
    assert me["AccountId"] == shared.tenant("acme")["id"]
    with pytest.raises(ServerException) as error:
        request = GetUserRequest()
        request.set_UserName("nobody")
        legacy(shared, request)
    assert (error.value.http_status, error.value.error_code) == (404, "EntityNotExist.User")
    with pytest.raises(ServerException) as error:
        legacy(shared, GetCallerIdentityRequest(), secret="wrong" * 6)
    # The legacy SDK compares our string to sign with its own before it blames the secret.
    assert (error.value.http_status, error.value.error_code) == (400, "InvalidAccessKeySecret")


@pytest.mark.parametrize("algorithm", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_users_are_made_found_and_named_once(shared, algorithm):
    client = Ram(config(shared, algorithm=algorithm))
    name = f"user.{algorithm or 'v3'}".lower()
    made = client.create_user(ram.CreateUserRequest(user_name=name, display_name="王 一", comments="a&b=c %2F"))
    assert made.body.user.display_name == "王 一" and made.body.user.comments == "a&b=c %2F"
    found = client.get_user(ram.GetUserRequest(user_name=name)).body.user
    assert (found.user_id, found.user_name) == (made.body.user.user_id, name)
    error = refused(lambda: client.create_user(ram.CreateUserRequest(user_name=name)))
    assert (error.status_code, error.code) == (409, "EntityAlreadyExists.User")
    error = refused(lambda: client.get_user(ram.GetUserRequest(user_name="not-there")))
    assert (error.status_code, error.code) == (404, "EntityNotExist.User")
    error = refused(lambda: client.create_user(ram.CreateUserRequest(user_name="no spaces")))
    assert error.status_code == 400 and error.code.startswith("InvalidParameter.UserName")
    error = refused(lambda: client.create_user(ram.CreateUserRequest()))
    assert (error.status_code, error.code) == (400, "MissingParameter")


def test_users_are_listed_in_pages(house):
    client = Ram(config(house))
    names = [f"u{n:02}" for n in range(9)]
    for name in names:
        client.create_user(ram.CreateUserRequest(user_name=name))
    found, marker, pages = [], None, 0
    while True:
        page = client.list_users(ram.ListUsersRequest(max_items=4, marker=marker)).body
        found += [u.user_name for u in page.users.user]
        pages += 1
        marker = page.marker
        if not page.is_truncated:
            break
    assert sorted(found) == sorted([*names, "li"]) and len(found) == len(set(found)) and pages == 3


def test_another_tenants_users_are_not_there(shared):
    """`wang` is globex's; acme gets the very answer that it gets for nobody."""
    client = Ram(config(shared))
    answers = []
    for name in ("wang", "none"):
        error = refused(lambda: client.get_user(ram.GetUserRequest(user_name=name)))
        text = error.message.replace(error.request_id or error.data.get("RequestId", ""), "")
        answers.append((error.status_code, error.code, text.replace(name, "NAME")))
    assert answers[0] == answers[1]


def test_a_users_key_does_what_its_policies_allow_and_no_more(house):
    root = Ram(config(house))
    root.create_user(ram.CreateUserRequest(user_name="reader"))
    key = root.create_access_key(ram.CreateAccessKeyRequest(user_name="reader")).body.access_key
    pair = (key.access_key_id, key.access_key_secret)
    account, bucket = house.tenant("acme")["id"], house.bucket("acme")

    me = Sts(config(house, key=pair)).get_caller_identity().body
    assert (me.identity_type, me.arn) == ("RAMUser", f"acs:ram::{account}:user/reader")
    error = refused(lambda: Ram(config(house, key=pair)).create_user(ram.CreateUserRequest(user_name="x")))
    assert (error.status_code, error.code) == (403, "NoPermission")
    detail = error.access_denied_detail
    assert detail["AuthAction"] == "ram:CreateUser" and detail["AuthPrincipalType"] == "SubUser"
    assert detail["AuthPrincipalOwnerId"] == account and detail["NoPermissionType"] == "ImplicitDeny"

    s3 = s3_client(house, key=pair)
    with pytest.raises(botocore.exceptions.ClientError) as denied:
        s3.get_object(Bucket=bucket, Key="readme.txt")
    assert denied.value.response["Error"]["Code"] == "AccessDenied"

    document = {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["oss:GetObject"],
                "Resource": [f"acs:oss:*:{account}:{bucket}/invoices/*"],
            },
            {"Effect": "Deny", "Action": "oss:*", "Resource": f"acs:oss:*:{account}:{bucket}/invoices/2026-11/2.pdf"},
        ],
    }
    root.create_policy(ram.CreatePolicyRequest(policy_name="invoices", policy_document=json.dumps(document)))
    root.attach_policy_to_user(
        ram.AttachPolicyToUserRequest(policy_type="Custom", policy_name="invoices", user_name="reader")
    )
    assert s3.get_object(Bucket=bucket, Key="invoices/2026-11/1.pdf")["Body"].read().startswith(b"Invoice 2026-11-1")
    for attempt in (
        lambda: s3.get_object(Bucket=bucket, Key="invoices/2026-11/2.pdf"),
        lambda: s3.get_object(Bucket=bucket, Key="readme.txt"),
        lambda: s3.put_object(Bucket=bucket, Key="invoices/new", Body=b"x"),
        lambda: s3.delete_object(Bucket=bucket, Key="invoices/2026-11/1.pdf"),
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="invoices/"),
        lambda: s3.list_buckets(),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as denied:
            attempt()
        assert denied.value.response["Error"]["Code"] == "AccessDenied"
        assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"Version":"2","Statement":[]}',
        '{"Version":"1","Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}',
        '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Surprise":1}]}',
        '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",'
        '"Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}]}',
        "[" * 5000,
    ],
)
def test_a_policy_that_is_not_understood_whole_is_refused(shared, document):
    error = refused(
        lambda: Ram(config(shared)).create_policy(
            ram.CreatePolicyRequest(policy_name="never", policy_document=document)
        )
    )
    assert error.status_code == 400
    assert error.code in ("MalformedPolicyDocument", "MissingParameter") or error.code.startswith("InvalidParameter")


def test_what_is_not_offered_is_not_found(shared):
    error = refused(lambda: Ram(config(shared)).list_roles(ram.ListRolesRequest()))
    assert (error.status_code, error.code) == (404, "InvalidAction.NotFound")
    error = refused(lambda: Ims(config(shared)).list_users(ims.ListUsersRequest()))
    assert (error.status_code, error.code) == (404, "InvalidAction.NotFound")
    request = CommonRequest(domain=shared.console.removeprefix("http://"), version="2015-05-01", action_name="Nonsense")
    with pytest.raises(ServerException) as error:
        legacy(shared, request)
    assert (error.value.http_status, error.value.error_code) == (404, "InvalidAction.NotFound")


def test_an_inactive_or_foreign_secret_opens_nothing(shared):
    error = refused(lambda: Sts(config(shared, key=("LTAI5tNobodyHasThisKey00", "x" * 30))).get_caller_identity())
    assert (error.status_code, error.code) == (404, "InvalidAccessKeyId.NotFound")
    mixed = (shared.key("acme")[0], shared.key("globex")[1])
    error = refused(lambda: Sts(config(shared, key=mixed)).get_caller_identity())
    assert (error.status_code, error.code) == (400, "SignatureDoesNotMatch")
    assert shared.key("acme")[1] not in str(error)
