"""Ims 2019-08-15 by its own SDK: the acts of Ram under the names that the newer console uses, reports, providers."""

import base64
import csv
import io
import json
import pathlib
import re

import pytest

import sdk
from kit import wait_until
from sdk import Sdk, make_user, refused, totp, two_codes


@pytest.fixture(scope="module")
def ims(shared):
    return Sdk("Ims", shared, shared.key("acme"))


@pytest.fixture(scope="module")
def ram(shared):
    return Sdk("Ram", shared, shared.key("acme"))


@pytest.fixture(scope="module")
def account(shared):
    return shared.tenant("acme")["id"]


@pytest.fixture(scope="module")
def upn(account):
    return lambda name: f"{name}@{account}.onaliyun.com"


def names(shown, outer, inner, field):
    return [one[field] for one in shown[outer].get(inner, [])]


def test_users_have_principal_names_and_tags(shared, ims, ram, account, upn):
    made = ims("CreateUser", UserPrincipalName=upn("lina"), DisplayName="李", Comments="a+b c", Email="li@example.com",
               MobilePhone="86-1", Tag=[{"Key": "team", "Value": "ci"}])["User"]
    assert (made["UserPrincipalName"], made["DisplayName"], made["ProvisionType"]) == (upn("lina"), "李", "Manual")
    assert made["Tags"]["Tag"] == [{"TagKey": "team", "TagValue": "ci"}]
    assert ram("GetUser", UserName="lina")["User"]["UserId"] == made["UserId"]
    key = ims("CreateAccessKey", UserPrincipalName=upn("lina"))["AccessKey"]
    for way in ({"UserPrincipalName": upn("lina")}, {"UserId": made["UserId"]}, {"UserAccessKeyId": key["AccessKeyId"]}):
        got = ims("GetUser", **way)["User"]
        assert (got["UserPrincipalName"], got["UserName"], got["UserId"]) == (upn("lina"), "lina", made["UserId"])
    ims("DeleteAccessKey", UserPrincipalName=upn("lina"), UserAccessKeyId=key["AccessKeyId"])
    changed = ims("UpdateUser", UserPrincipalName=upn("lina"), NewUserPrincipalName=upn("lina2"), NewDisplayName="L",
                  NewComments="c", NewEmail="e@example.com", NewMobilePhone="86-2")["User"]
    assert (changed["UserPrincipalName"], changed["DisplayName"], changed["Email"]) == (upn("lina2"), "L", "e@example.com")
    for n in range(3):
        ims("CreateUser", UserPrincipalName=upn(f"page-{n}"), DisplayName=f"P{n}")
    page = ims("ListUsers", MaxItems=2)
    assert page["IsTruncated"] and len(page["Users"]["User"]) == 2
    rest = ims("ListUsers", Marker=page["Marker"], MaxItems=1000)
    assert upn("page-2") in names(rest, "Users", "User", "UserPrincipalName") and not rest["IsTruncated"]
    assert names(ims("ListUsers", Tag=[{"Key": "team", "Value": "ci"}]), "Users", "User", "UserPrincipalName") == [upn("lina2")]
    for act, outer, inner in (("ListUsers", "Users", "User"), ("ListUserBasicInfos", "UserBasicInfos", "UserBasicInfo")):
        def listed(**ask):
            return names(ims(act, MaxItems=1000, **ask), outer, inner, "UserPrincipalName")
        assert listed(Tag=[{"Key": "team", "Value": "ci"}]) == listed(Tag=[{"Key": "team", "Value": ""}]) == [upn("lina2")]
        assert listed(Tag=[{"Key": "team", "Value": "x"}]) == []
        assert listed(Tag=[{"Key": "team", "Value": "ci"}, {"Key": "other", "Value": ""}]) == []
        # Nobody can be frozen here.
        assert listed() == listed(Status="active") == listed(Status="active,freeze") and upn("page-0") in listed()
        assert listed(Status="freeze") == []
        for bad in ({"Status": "asleep"}, {"Status": "active", "Tag": [{"Key": "team", "Value": "ci"}]}):
            with refused("InvalidParameter.Status"):
                listed(**bad)
    basic = ims("ListUserBasicInfos", MaxItems=1000)["UserBasicInfos"]["UserBasicInfo"]
    assert {"UserPrincipalName": upn("page-0"), "DisplayName": "P0", "Status": "active",
            "UserId": next(b["UserId"] for b in basic if b["DisplayName"] == "P0")} in basic
    for bad, code in [("lina", "Format"), (f"li@{shared.tenant('globex')['id']}.onaliyun.com", "Format"), ("li@example.com", "Format"),
                      (upn("a b"), "InvalidChars"), (upn("x" * 65), "Length")]:
        with refused(f"InvalidParameter.UserPrincipalName.{code}"):
            ims("CreateUser", UserPrincipalName=bad, DisplayName="x")
    with refused("EntityAlreadyExists.User"):
        ims("CreateUser", UserPrincipalName=upn("lina2"), DisplayName="x")
    with refused("EntityNotExist.User"):
        ims("GetUser", UserPrincipalName=upn("lina"))
    with refused("EntityNotExist.User"):
        ims("GetUser", UserId="299999999999999999")
    with refused("MissingParameter"):
        ims("GetUser")
    ims("DeleteUser", UserId=changed["UserId"])
    with refused("EntityNotExist.User"):
        ims("DeleteUser", UserPrincipalName=upn("lina2"))


def test_groups(ims, upn):
    made = ims("CreateGroup", GroupName="g", DisplayName="G", Comments="c")["Group"]
    assert (made["DisplayName"], made["Comments"]) == ("G", "c") and made["GroupId"] and made["UpdateDate"]
    changed = ims("UpdateGroup", GroupName="g", NewGroupName="g2", NewDisplayName="G2", NewComments="c2")["Group"]
    assert (changed["GroupName"], changed["DisplayName"], changed["Comments"]) == ("g2", "G2", "c2")
    assert ims("GetGroup", GroupName="g2")["Group"]["GroupId"] == made["GroupId"]
    for n in range(2):
        ims("CreateUser", UserPrincipalName=upn(f"in-{n}"), DisplayName=f"I{n}")
        ims("AddUserToGroup", UserPrincipalName=upn(f"in-{n}"), GroupName="g2")
    page = ims("ListUsersForGroup", GroupName="g2", MaxItems=1)
    rest = ims("ListUsersForGroup", GroupName="g2", MaxItems=1, Marker=page["Marker"])
    both = page["Users"]["User"] + rest["Users"]["User"]
    assert [u["UserPrincipalName"] for u in both] == [upn("in-0"), upn("in-1")] and not rest["IsTruncated"]
    assert all(u["UserId"] and u["JoinDate"] for u in both)
    (of,) = ims("ListGroupsForUser", UserPrincipalName=upn("in-0"))["Groups"]["Group"]
    assert (of["GroupName"], of["DisplayName"], of["GroupId"]) == ("g2", "G2", made["GroupId"]) and of["JoinDate"]
    assert "g2" in names(ims("ListGroups", MaxItems=1000), "Groups", "Group", "GroupName")
    with refused("EntityAlreadyExists.User.Group"):
        ims("AddUserToGroup", UserPrincipalName=upn("in-0"), GroupName="g2")
    with refused("DeleteConflict.Group.User"):
        ims("DeleteGroup", GroupName="g2")
    for n in range(2):
        ims("RemoveUserFromGroup", UserPrincipalName=upn(f"in-{n}"), GroupName="g2")
    with refused("EntityNotExist.User.Group"):
        ims("RemoveUserFromGroup", UserPrincipalName=upn("in-0"), GroupName="g2")
    ims("DeleteGroup", GroupName="g2")
    with refused("EntityNotExist.Group"):
        ims("GetGroup", GroupName="g2")


def test_access_keys(shared, ims, ram, upn):
    make_user(ram, "keyed")
    (first,) = ims("ListAccessKeys", UserPrincipalName=upn("keyed"))["AccessKeys"]["AccessKey"]
    assert first["Status"] == "Active" and first["CreateDate"] and first["UpdateDate"]
    second = ims("CreateAccessKey", UserPrincipalName=upn("keyed"))["AccessKey"]
    own = Sdk("Sts", shared, (second["AccessKeyId"], second["AccessKeySecret"]))
    assert own("GetCallerIdentity")["IdentityType"] == "RAMUser"
    used = lambda: ims("GetAccessKeyLastUsed", UserPrincipalName=upn("keyed"),  # noqa: E731
                       UserAccessKeyId=second["AccessKeyId"])["AccessKeyLastUsed"]
    wait_until(lambda: used().get("ServiceName") == "Sts" and used()["LastUsedDate"])
    with refused("LimitExceeded.User.AccessKey"):
        ims("CreateAccessKey", UserPrincipalName=upn("keyed"))
    ims("UpdateAccessKey", UserPrincipalName=upn("keyed"), UserAccessKeyId=second["AccessKeyId"], Status="Inactive")
    with refused("InvalidAccessKeyId.Inactive", 400):
        own("GetCallerIdentity")
    ims("DeleteAccessKey", UserPrincipalName=upn("keyed"), UserAccessKeyId=second["AccessKeyId"])
    with refused("EntityNotExist.User.AccessKey"):
        ims("DeleteAccessKey", UserPrincipalName=upn("keyed"), UserAccessKeyId=second["AccessKeyId"])
    assert shared.key("acme")[0] in names(ims("ListAccessKeys"), "AccessKeys", "AccessKey", "AccessKeyId")


def test_console_passwords(shared, ims, ram, upn):
    old, new = "correct-Horse-9-battery", "staple-Tango-7-kestrel"
    own = Sdk("Ims", shared, make_user(ram, "walker"))
    made = ims("CreateLoginProfile", UserPrincipalName=upn("walker"), Password=old, PasswordResetRequired=True,
               MFABindRequired=False, Status="Active")["LoginProfile"]
    assert (made["UserPrincipalName"], made["PasswordResetRequired"], made["Status"]) == (upn("walker"), True, "Active")
    assert made["UpdateDate"] and made["PasswordStatus"]
    with refused("EntityAlreadyExists.User.LoginProfile"):
        ims("CreateLoginProfile", UserPrincipalName=upn("walker"), Password=old)
    changed = ims("UpdateLoginProfile", UserPrincipalName=upn("walker"), Status="Inactive", PasswordResetRequired=False)
    assert changed["LoginProfile"]["Status"] == "Inactive" and changed["LoginProfile"]["PasswordResetRequired"] is False
    assert ims("GetLoginProfile", UserPrincipalName=upn("walker"))["LoginProfile"]["Status"] == "Inactive"
    ims("UpdateLoginProfile", UserPrincipalName=upn("walker"), Status="Active")
    own("ChangePassword", OldPassword=old, NewPassword=new)
    with refused("InvalidParameter.OldPassword"):
        own("ChangePassword", OldPassword=old, NewPassword=new)
    with refused("InvalidParameter.Password.TooWeak"):
        ims("UpdateLoginProfile", UserPrincipalName=upn("walker"), Password="short")
    ims("DeleteLoginProfile", UserPrincipalName=upn("walker"))
    with refused("EntityNotExist.User.LoginProfile"):
        ims("GetLoginProfile", UserPrincipalName=upn("walker"))


def test_virtual_mfa_devices(ims, account, upn):
    for name in ("m1", "m2"):
        ims("CreateUser", UserPrincipalName=upn(name), DisplayName=name)
    assert ims("GetUserMFAInfo", UserPrincipalName=upn("m1")) == {"IsMFAEnable": False}
    for name in ("m1", "m2"):
        made = ims("CreateVirtualMFADevice", VirtualMFADeviceName=name)["VirtualMFADevice"]
        assert base64.b64decode(made["QRCodePNG"]).startswith(b"\x89PNG")
        serial, seed = made["SerialNumber"], made["Base32StringSeed"]
        first, second = two_codes(seed)
        with refused("CheckAuthenticationCodeFail"):
            ims("BindMFADevice", UserPrincipalName=upn(name), SerialNumber=serial, AuthenticationCode1=first,
                AuthenticationCode2=totp(seed, steps=7))
        ims("BindMFADevice", UserPrincipalName=upn(name), SerialNumber=serial, AuthenticationCode1=first, AuthenticationCode2=second)
        info = ims("GetUserMFAInfo", UserPrincipalName=upn(name))
        assert info == {"IsMFAEnable": True, "MFADevice": {"SerialNumber": serial, "Type": "VMFA"}}
    page = ims("ListVirtualMFADevices", MaxItems=1)
    rest = ims("ListVirtualMFADevices", MaxItems=100, Marker=page["Marker"])
    every = page["VirtualMFADevices"]["VirtualMFADevice"] + rest["VirtualMFADevices"]["VirtualMFADevice"]
    assert page["IsTruncated"] and not rest["IsTruncated"] and len({d["SerialNumber"] for d in every}) == len(every)
    (mine,) = [d for d in every if d["SerialNumber"].endswith("mfa/m1")]
    assert mine["User"]["UserPrincipalName"] == upn("m1") and mine["ActivateDate"]
    with refused("DeleteConflict.User.MFADevice"):
        ims("DeleteUser", UserPrincipalName=upn("m1"))
    assert ims("UnbindMFADevice", UserPrincipalName=upn("m1"))["MFADevice"]["SerialNumber"].endswith("mfa/m1")
    ims("DeleteVirtualMFADevice", SerialNumber=f"acs:ram::{account}:mfa/m1")
    ims("DisableVirtualMFA", UserPrincipalName=upn("m2"))
    with refused("EntityNotExist.VirtualMFADevice"):  # gone with the user's binding
        ims("DeleteVirtualMFADevice", SerialNumber=f"acs:ram::{account}:mfa/m2")
    with refused("EntityNotExist.User.MFADevice"):
        ims("DisableVirtualMFA", UserPrincipalName=upn("m2"))
    assert ims("GetAccountMFAInfo")["IsMFAEnable"] in (True, False)


def test_password_policy_and_preference(ims):
    wanted = {"MinimumPasswordLength": 12, "RequireLowercaseCharacters": True, "RequireUppercaseCharacters": True,
              "RequireNumbers": True, "RequireSymbols": False, "HardExpire": True, "MaxPasswordAge": 90,
              "PasswordReusePrevention": 3, "MaxLoginAttemps": 7, "MinimumPasswordDifferentCharacter": 4,
              "PasswordNotContainUserName": True}
    assert ims("SetPasswordPolicy", **wanted)["PasswordPolicy"] == wanted
    assert ims("GetPasswordPolicy")["PasswordPolicy"] == wanted
    assert ims("SetPasswordPolicy")["PasswordPolicy"]["MinimumPasswordLength"] == 8
    before = ims("GetSecurityPreference")["SecurityPreference"]
    said = ims("SetSecurityPreference", AllowUserToLoginWithPasskey=False, MFAOperationForLogin="mandatory",
               AllowUserToManageMFADevices=False, LoginSessionDuration=2)["SecurityPreference"]
    assert said["LoginProfilePreference"]["AllowUserToLoginWithPasskey"] is False
    assert said["LoginProfilePreference"]["MFAOperationForLogin"] == "mandatory"
    assert said["MFAPreference"]["AllowUserToManageMFADevices"] is False
    with refused("InvalidParameter.MFAOperationForLogin"):
        ims("SetSecurityPreference", MFAOperationForLogin="perhaps")
    ims("SetSecurityPreference", AllowUserToLoginWithPasskey=True, MFAOperationForLogin="independent",
        AllowUserToManageMFADevices=True, LoginSessionDuration=6)
    assert ims("GetSecurityPreference")["SecurityPreference"] == before


def test_tags_of_users(ims, upn):
    ids = {}
    for n in range(2):
        ids[n] = ims("CreateUser", UserPrincipalName=upn(f"tag-{n}"), DisplayName="t")["User"]["UserId"]
    ims("TagResources", ResourceType="user", ResourcePrincipalName=[upn("tag-0")], Tag=[{"Key": "env", "Value": "p"}])
    ims("TagResources", ResourceType="user", ResourceId=[ids[0], ids[1]], Tag=[{"Key": "own", "Value": "李"}])
    shown = ims("ListTagResources", ResourceType="user", ResourceId=[ids[0], ids[1]])
    rows = {(r["ResourceId"], r["TagKey"], r["TagValue"], r["ResourceType"]) for r in shown["TagResources"]["TagResource"]}
    assert rows == {(ids[0], "env", "p", "user"), (ids[0], "own", "李", "user"), (ids[1], "own", "李", "user")}
    ims("UntagResources", ResourceType="user", ResourcePrincipalName=[upn("tag-0")], TagKey=["env"])
    ims("UntagResources", ResourceType="user", ResourceId=[ids[1]], All=True)
    left = ims("ListTagResources", ResourceType="user", ResourceId=[ids[0], ids[1]])["TagResources"]["TagResource"]
    assert [(r["ResourceId"], r["TagKey"]) for r in left] == [(ids[0], "own")]
    with refused("InvalidParameter.ResourceType"):
        ims("TagResources", ResourceType="role", ResourceId=["x"], Tag=[{"Key": "a", "Value": "b"}])
    with refused("EntityNotExist.User"):
        ims("TagResources", ResourceType="user", ResourcePrincipalName=[upn("nobody")], Tag=[{"Key": "a", "Value": "b"}])


def test_reports(shared, ims, ram, account):
    make_user(ram, "reported")
    said = ims("GetAccountSummary")["SummaryMap"]
    assert said["Users"] == len(ram("ListUsers", MaxItems=1000)["Users"]["User"]) and said["UsersQuota"] == 5000
    assert said["AccessKeysPerUserQuota"] == 2 and said["VersionsPerPolicyQuota"] == 5
    practice = ims("GetAccountSecurityPracticeReport")["AccountSecurityPracticeInfo"]
    assert 0 <= practice["Score"] <= 100
    of_users = practice["AccountSecurityPracticeUserInfo"]
    assert of_users["SubUser"] == said["Users"] and of_users["RootWithAccessKey"] == 1 and of_users["BindMfa"] in (True, False)
    assert ims("GenerateCredentialReport")["State"] == "COMPLETE"
    report = ims("GetCredentialReport")
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(report["Content"]).decode())))
    mine = next(r for r in rows if r["user"].split("@")[0] == "reported")
    assert (mine["password_exist"], mine["access_key_1_exist"], mine["access_key_2_exist"]) == ("FALSE", "TRUE", "FALSE")
    assert report["GeneratedTime"] and len(rows) == said["Users"] + 1


def test_the_default_domain(shared, ims, ram, account):
    own = f"{account}.onaliyun.com"
    assert ims("GetDefaultDomain")["DefaultDomainName"] == own
    for wrong in ("example.com", "globex.onaliyun.com", "onaliyun.com", ".onaliyun.com"):
        with refused("InvalidParameter.DefaultDomainName.Format"):
            ims("SetDefaultDomain", DefaultDomainName=wrong)
    ram("SetAccountAlias", AccountAlias="ims-alias")
    assert ims("SetDefaultDomain", DefaultDomainName="ims-alias.onaliyun.com")["DefaultDomainName"] == "ims-alias.onaliyun.com"
    made = ims("CreateUser", UserPrincipalName="aliased@ims-alias.onaliyun.com", DisplayName="x")["User"]
    assert made["UserPrincipalName"] == "aliased@ims-alias.onaliyun.com"
    assert ims("GetUser", UserPrincipalName=f"aliased@{own}")["User"]["UserId"] == made["UserId"]
    # An alias that was given up may be another's tomorrow.
    ram("ClearAccountAlias")
    assert ims("GetDefaultDomain")["DefaultDomainName"] == own
    with refused("InvalidParameter.UserPrincipalName.Format"):
        ims("GetUser", UserPrincipalName="aliased@ims-alias.onaliyun.com")


def test_oidc_providers(ims, account):
    print_1, print_2 = "902ef2deeb3c5b13ea4c3d5193629309e231ae55", "A" * 40
    made = ims("CreateOIDCProvider", OIDCProviderName="ci", IssuerUrl="https://ci.example.com", ClientIds="one,two",
               Fingerprints=print_1, IssuanceLimitTime=6, Description="d")["OIDCProvider"]
    assert made["Arn"] == f"acs:ram::{account}:oidc-provider/ci" and made["ClientIds"] == "one,two"
    assert (made["IssuerUrl"], made["IssuanceLimitTime"], made["Fingerprints"]) == ("https://ci.example.com", 6, print_1)
    with refused("EntityAlreadyExists.OIDCProvider"):
        ims("CreateOIDCProvider", OIDCProviderName="ci", IssuerUrl="https://ci.example.com", ClientIds="one")
    for wrong in ("http://ci.example.com", "https://ci.example.com?x", "ci"):
        with refused("InvalidParameter.IssuerUrl.Format"):
            ims("CreateOIDCProvider", OIDCProviderName="bad", IssuerUrl=wrong, ClientIds="one")
    with refused("InvalidParameter.IssuanceLimitTime"):
        ims("CreateOIDCProvider", OIDCProviderName="bad", IssuerUrl="https://ci.example.com", ClientIds="one", IssuanceLimitTime=169)
    named = {"OIDCProviderName": "ci"}
    assert ims("AddClientIdToOIDCProvider", ClientId="three", **named)["OIDCProvider"]["ClientIds"] == "one,two,three"
    assert ims("RemoveClientIdFromOIDCProvider", ClientId="one", **named)["OIDCProvider"]["ClientIds"] == "two,three"
    assert print_2 in ims("AddFingerprintToOIDCProvider", Fingerprint=print_2, **named)["OIDCProvider"]["Fingerprints"]
    assert ims("RemoveFingerprintFromOIDCProvider", Fingerprint=print_1, **named)["OIDCProvider"]["Fingerprints"] == print_2
    with refused("InvalidParameter.Fingerprints.Format"):
        ims("AddFingerprintToOIDCProvider", Fingerprint="zz", **named)
    changed = ims("UpdateOIDCProvider", ClientIds="four", NewDescription="nd", IssuanceLimitTime=12, **named)["OIDCProvider"]
    assert (changed["ClientIds"], changed["Description"], changed["IssuanceLimitTime"]) == ("four", "nd", 12)
    assert ims("GetOIDCProvider", **named)["OIDCProvider"] == changed
    ims("CreateOIDCProvider", OIDCProviderName="ci2", IssuerUrl="https://ci2.example.com", ClientIds="one")
    page = ims("ListOIDCProviders", MaxItems=1)
    rest = ims("ListOIDCProviders", MaxItems=1, Marker=page["Marker"])
    assert [*names(page, "OIDCProviders", "OIDCProvider", "OIDCProviderName"),
            *names(rest, "OIDCProviders", "OIDCProvider", "OIDCProviderName")] == ["ci", "ci2"] and not rest["IsTruncated"]
    for name in ("ci", "ci2"):
        ims("DeleteOIDCProvider", OIDCProviderName=name)
    for act in ("GetOIDCProvider", "DeleteOIDCProvider"):
        with refused("EntityNotExist.OIDCProvider"):
            ims(act, **named)


def metadata(address="https://idp.example/sso"):
    der = (pathlib.Path(__file__).parents[2] / "crates/federation/tests/it/keys/issuer.crt").read_bytes()
    key = base64.b64encode(der).decode()
    return (
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example">'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">'
        f'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{key}</ds:X509Certificate>'
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService "
        f'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{address}"/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def test_saml_providers(ims, account):
    coded = lambda text: base64.b64encode(text.encode()).decode()  # noqa: E731
    made = ims("CreateSAMLProvider", SAMLProviderName="idp", EncodedSAMLMetadataDocument=coded(metadata()), Description="d")
    assert made["SAMLProvider"]["Arn"] == f"acs:ram::{account}:saml-provider/idp" and made["SAMLProvider"]["CreateDate"]
    got = ims("GetSAMLProvider", SAMLProviderName="idp")["SAMLProvider"]
    assert base64.b64decode(got["EncodedSAMLMetadataDocument"]).decode() == metadata() and got["Description"] == "d"
    with refused("EntityAlreadyExists.SAMLProvider"):
        ims("CreateSAMLProvider", SAMLProviderName="idp", EncodedSAMLMetadataDocument=coded(metadata()))
    for wrong in ("<x/>", metadata("http://idp.example/sso"), "not xml", '<!DOCTYPE x [<!ENTITY e "e">]>' + metadata()):
        with refused("InvalidParameter.MetadataDocument.Format"):
            ims("CreateSAMLProvider", SAMLProviderName="bad", EncodedSAMLMetadataDocument=coded(wrong))
    with refused("InvalidParameter.EncodedSAMLMetadataDocument"):
        ims("CreateSAMLProvider", SAMLProviderName="bad", EncodedSAMLMetadataDocument="%%%")
    changed = ims("UpdateSAMLProvider", SAMLProviderName="idp", NewDescription="nd",
                  NewEncodedSAMLMetadataDocument=coded(metadata("https://idp.example/other")))["SAMLProvider"]
    assert changed["Description"] == "nd" and changed["UpdateDate"]
    assert names(ims("ListSAMLProviders", MaxItems=10), "SAMLProviders", "SAMLProvider", "SAMLProviderName") == ["idp"]
    ims("DeleteSAMLProvider", SAMLProviderName="idp")
    with refused("EntityNotExist.SAMLProvider"):
        ims("GetSAMLProvider", SAMLProviderName="idp")


def test_ims_asks_the_same_policies_as_ram(shared, ims, ram, upn):
    keys = make_user(ram, "narrow", own={"narrow": sdk.policy(action="ram:GetUser", resource="acs:ram:*:*:user/narrow")})
    own = Sdk("Ims", shared, keys)
    assert own("GetUser", UserPrincipalName=upn("narrow"))["User"]["UserName"] == "narrow"
    ims("CreateUser", UserPrincipalName=upn("other"), DisplayName="x")
    with refused("NoPermission") as said:
        own("GetUser", UserPrincipalName=upn("other"))
    assert said.detail["AuthAction"] == "ram:GetUser"
    with refused("NoPermission"):
        own("ListUsers")
    # Ids cannot be tried out: who may not read any user does not hear whose they are.
    some_id = ims("GetUser", UserPrincipalName=upn("other"))["User"]["UserId"]
    for way in ({"UserId": some_id}, {"UserId": "299999999999999999"}, {"UserAccessKeyId": "LTAI5tNoSuchKeyNoSuchKey"},
                {"UserAccessKeyId": shared.key("globex")[0]}):
        with refused("NoPermission"):
            own("GetUser", **way)
    for act, more in [("GetUser", {}), ("DeleteUser", {}), ("UpdateUser", {"NewDisplayName": "x"})]:
        said = set()
        for one in (some_id, "299999999999999999"):
            with refused("NoPermission") as no:
                own(act, UserId=one, **more)
            detail = {k: len(v) if k == "EncodedDiagnosticMessage" else v for k, v in no.detail.items()}
            said.add((re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}", "", no.message), json.dumps(detail, sort_keys=True)))
        assert len(said) == 1, said


def test_keys_are_bound_to_networks(shared, ims, ram, upn):
    key = make_user(ram, "bound", "AdministratorAccess")
    which = {"UserPrincipalName": upn("bound"), "UserAccessKeyId": key[0]}
    off = '{"Version":1,"Status":"Inactive","Statements":[]}'
    assert ims("GetAccessKeyPolicy", **which) == {"AccessKeyId": key[0], "AccessKeyPolicy": off}
    assert ims("GetAccessKeyPolicyForAccount") == {"AccessKeyPolicy": off}
    on = off.replace("Inactive", "Active").replace("[]", '[{"Type":"ClassicWhiteList","IPList":["203.0.113.7"]}]')
    assert ims("SetAccessKeyPolicy", AccessKeyPolicy=on, **which)["AccessKeyPolicy"] == on
    with refused("Forbidden.AccessKeyNetwork", 403):
        Sdk("Ims", shared, key)("ListUsers")
    here = on.replace("203.0.113.7", "127.0.0.1")
    assert ims("SetAccessKeyPolicy", AccessKeyPolicy=here, **which)["AccessKeyPolicy"] == here
    assert Sdk("Ims", shared, key)("ListUsers")
    assert ims("SetAccessKeyPolicyForAccount", AccessKeyPolicy=off) == {"AccessKeyPolicy": off}
    with refused("InvalidParameter.AccessKeyPolicy.Format"):
        ims("SetAccessKeyPolicyForAccount", AccessKeyPolicy="{}")


def test_what_is_not_served_says_so(ims):
    for act in ("GetUserSsoSettings", "SetUserSsoSettings"):
        with refused("InvalidAction.NotFound", 404):
            ims(act)


def test_nothing_was_left_out(request):
    """The last of this file: what the tests before did not reach."""
    if len({i.nodeid for i in request.session.items if i.fspath == request.node.fspath}) < 14:
        pytest.skip("only some tests of this file run")
    every = {name for product, _, name, _ in sdk.operations() if product == "Ims"}
    assert len(every) == 66 and every - sdk.CALLED["Ims"] == sdk.UNSERVED_IMS
