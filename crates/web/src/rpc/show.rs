//! Things of the identity room in the exact shapes of Ram 2015-05-01 and Ims 2019-08-15.

use bailee_rooms::identity::{
    AccessKey, Credentials, Domains, Group, LoginProfile, Member, MfaDevice, NewAccessKey, NewMfaDevice,
    OidcProvider, PasswordPolicy, PolicyInfo, PolicyVersion, Role, SamlProvider, SecurityPreference, TagRow,
    User, mfa_serial,
};
use bailee_types::{TenantId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Which of the two products is spoken, and what it needs to spell names.
pub(super) struct Dialect {
    pub(super) tenant: TenantId,
    /// Present in Ims.
    pub(super) domains: Option<Domains>,
}

impl Dialect {
    pub(super) fn is_ims(&self) -> bool {
        self.domains.is_some()
    }

    /// `UserName: li`, or `UserPrincipalName: li@1000….onaliyun.com`.
    fn name(&self, out: &mut Map<String, Value>, name: &str) {
        match &self.domains {
            None => out.insert("UserName".into(), name.into()),
            Some(d) => {
                out.insert("UserPrincipalName".into(), format!("{name}@{}", d.default_domain()).into())
            }
        };
    }

    pub(super) fn user(&self, user: &User, tags: &[TagRow]) -> Value {
        let mut out = map(json!({
            "UserId": user.id.as_str(),
            "DisplayName": user.display_name,
            "Comments": user.comments,
            "Email": user.email,
            "MobilePhone": user.mobile_phone,
            "CreateDate": user.created_at.iso(),
            "UpdateDate": user.updated_at.iso(),
        }));
        self.name(&mut out, user.name.as_str());
        if let Some(at) = user.last_login_at {
            out.insert("LastLoginDate".into(), at.iso().into());
        }
        if self.is_ims() {
            out.insert("ProvisionType".into(), "Manual".into());
            out.insert("Tags".into(), tags_of(tags, user.id.as_str()));
        }
        Value::Object(out)
    }

    /// A user in short, with a date under a name.
    pub(super) fn named(
        &self,
        id: &str,
        name: &str,
        display: &str,
        date: Option<(&str, Timestamp)>,
    ) -> Value {
        let mut out = map(json!({ "UserId": id, "DisplayName": display }));
        self.name(&mut out, name);
        if let Some((field, at)) = date {
            out.insert(field.into(), at.iso().into());
        }
        Value::Object(out)
    }

    pub(super) fn member(&self, m: &Member) -> Value {
        let mut shown =
            self.named(m.id.as_str(), m.name.as_str(), &m.display_name, Some(("JoinDate", m.joined_at)));
        if let Some(out) = shown.as_object_mut()
            && !self.is_ims()
        {
            out.remove("UserId");
        }
        shown
    }

    pub(super) fn group(&self, g: &Group) -> Value {
        let mut out = map(json!({
            "GroupId": g.id.as_str(),
            "GroupName": g.name.as_str(),
            "Comments": g.comments,
            "CreateDate": g.created_at.iso(),
            "UpdateDate": g.updated_at.iso(),
        }));
        if self.is_ims() {
            out.insert("DisplayName".into(), g.display_name.clone().into());
        }
        Value::Object(out)
    }

    pub(super) fn group_of_user(&self, g: &Group, joined_at: Timestamp) -> Value {
        let mut shown = self.group(g);
        if let Some(out) = shown.as_object_mut() {
            out.remove("CreateDate");
            out.remove("UpdateDate");
            out.insert("JoinDate".into(), joined_at.iso().into());
        }
        shown
    }

    pub(super) fn key(&self, k: &AccessKey) -> Value {
        let mut out = map(json!({
            "AccessKeyId": k.id.as_str(), "Status": k.status(), "CreateDate": k.created_at.iso(),
        }));
        if self.is_ims() {
            out.insert("UpdateDate".into(), k.updated_at.iso().into());
        }
        Value::Object(out)
    }

    pub(super) fn login_profile(&self, p: &LoginProfile) -> Value {
        let mut out = map(json!({
            "PasswordResetRequired": p.must_reset, "MFABindRequired": p.mfa_required,
        }));
        self.name(&mut out, p.user.as_str());
        if self.is_ims() {
            let status = if p.active { "Active" } else { "Inactive" };
            out.insert("Status".into(), status.into());
            out.insert("PasswordStatus".into(), "Normal".into());
            out.insert("UpdateDate".into(), p.updated_at.iso().into());
        } else {
            out.insert("CreateDate".into(), p.created_at.iso().into());
        }
        Value::Object(out)
    }

    pub(super) fn device(&self, device: &MfaDevice, user: Option<&User>) -> Value {
        let mut out = map(json!({
            "SerialNumber": mfa_serial(&self.tenant, &device.name),
            "ActivateDate": device.activated_at.map(Timestamp::iso).unwrap_or_default(),
        }));
        if let Some(u) = user {
            out.insert("User".into(), self.named(u.id.as_str(), u.name.as_str(), &u.display_name, None));
        }
        Value::Object(out)
    }

    pub(super) fn password_policy(&self, p: &PasswordPolicy) -> Value {
        let mut out = map(json!({
            "MinimumPasswordLength": p.length_min,
            "RequireLowercaseCharacters": p.lower,
            "RequireUppercaseCharacters": p.upper,
            "RequireNumbers": p.digit,
            "RequireSymbols": p.symbol,
            "MaxPasswordAge": p.age_max_days,
            "PasswordReusePrevention": p.reuse_prevention,
            "MaxLoginAttemps": p.attempts_max,
        }));
        if self.is_ims() {
            out.insert("HardExpire".into(), p.hard_expiry.into());
            out.insert("MinimumPasswordDifferentCharacter".into(), p.different_min.into());
            out.insert("PasswordNotContainUserName".into(), p.not_name.into());
        } else {
            out.insert("HardExpiry".into(), p.hard_expiry.into());
        }
        json!({ "PasswordPolicy": out })
    }

    pub(super) fn preference(&self, p: &SecurityPreference) -> Value {
        let mut login = map(json!({
            "AllowUserToChangePassword": p.change_password,
            "EnableSaveMFATicket": p.save_mfa_ticket,
            "LoginNetworkMasks": p.login_networks,
            "LoginSessionDuration": p.session_hours,
        }));
        let mut out = map(json!({
            "AccessKeyPreference": { "AllowUserToManageAccessKeys": p.manage_access_keys },
            "MFAPreference": { "AllowUserToManageMFADevices": p.manage_mfa_devices },
        }));
        if self.is_ims() {
            login.insert("AllowUserToLoginWithPasskey".into(), p.passkey_sign_in.into());
            login.insert("MFAOperationForLogin".into(), p.mfa_for_login.clone().into());
        } else {
            let keys = json!({ "AllowUserToManagePublicKeys": p.manage_public_keys });
            out.insert("PublicKeyPreference".into(), keys);
        }
        out.insert("LoginProfilePreference".into(), login.into());
        json!({ "SecurityPreference": out })
    }

    pub(super) fn oidc(&self, p: &OidcProvider) -> Value {
        json!({
            "OIDCProviderName": p.name.as_str(),
            "Arn": p.arn(&self.tenant),
            "IssuerUrl": p.settings.issuer,
            "ClientIds": p.settings.client_ids.join(","),
            "Fingerprints": p.settings.fingerprints.join(","),
            "IssuanceLimitTime": p.settings.issuance_limit_hours,
            "Description": p.description,
            "CreateDate": p.created_at.iso(),
            "UpdateDate": p.updated_at.iso(),
            "GmtCreate": p.created_at.iso(),
            "GmtModified": p.updated_at.iso(),
        })
    }

    pub(super) fn saml(&self, p: &SamlProvider, with_document: bool) -> Value {
        let mut out = map(json!({
            "SAMLProviderName": p.name.as_str(),
            "Arn": p.arn(&self.tenant),
            "Description": p.description,
            "CreateDate": p.created_at.iso(),
            "UpdateDate": p.updated_at.iso(),
        }));
        if with_document {
            out.insert("EncodedSAMLMetadataDocument".into(), STANDARD.encode(&p.metadata).into());
        }
        Value::Object(out)
    }

    pub(super) fn role(&self, r: &Role) -> Value {
        json!({
            "RoleId": r.id.as_str(),
            "RoleName": r.name.as_str(),
            "Arn": r.arn(&self.tenant),
            "Description": r.description,
            "AssumeRolePolicyDocument": r.trust,
            "MaxSessionDuration": r.session_max_s,
            "AllowConsoleLogin": r.allows_console,
            "IsServiceLinkedRole": r.service.is_some(),
            "RolePrincipalName": format!("{}@role.{}.onaliyunservice.com", r.name.as_str().to_lowercase(), self.tenant),
            "CreateDate": r.created_at.iso(),
            "UpdateDate": r.updated_at.iso(),
        })
    }

    pub(super) fn role_in_list(&self, r: &Role, tags: &[TagRow]) -> Value {
        let mut shown = self.role(r);
        if let Some(out) = shown.as_object_mut() {
            for field in ["AssumeRolePolicyDocument", "IsServiceLinkedRole", "RolePrincipalName"] {
                out.remove(field);
            }
            out.insert("Tags".into(), tags_of(tags, r.id.as_str()));
        }
        shown
    }
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn tags_of(tags: &[TagRow], id: &str) -> Value {
    let own: Vec<_> =
        tags.iter().filter(|t| t.id == id).map(|t| json!({ "TagKey": t.key, "TagValue": t.value })).collect();
    json!({ "Tag": own })
}

pub(super) fn new_key(k: &NewAccessKey) -> Value {
    json!({ "AccessKey": {
        "AccessKeyId": k.id.as_str(),
        "AccessKeySecret": k.secret.expose(),
        "Status": "Active",
        "CreateDate": k.created_at.iso(),
    } })
}

pub(super) fn new_device(d: &NewMfaDevice) -> Value {
    json!({ "VirtualMFADevice": {
        "SerialNumber": d.serial,
        "Base32StringSeed": d.base32.expose(),
        "QRCodePNG": STANDARD.encode(&d.qr_png),
    } })
}

pub(super) fn policy(p: &PolicyInfo) -> Value {
    json!({
        "PolicyName": p.name,
        "PolicyType": p.kind.word(),
        "Description": p.description,
        "DefaultVersion": format!("v{}", p.default_version),
        "AttachmentCount": p.attached,
        "CreateDate": p.created_at.iso(),
        "UpdateDate": p.updated_at.iso(),
    })
}

pub(super) fn policy_in_list(p: &PolicyInfo, tags: &[TagRow]) -> Value {
    let mut shown = policy(p);
    if let Some(out) = shown.as_object_mut() {
        out.insert("Tags".into(), tags_of(tags, &p.name));
    }
    shown
}

pub(super) fn attached(p: &PolicyInfo, at: Timestamp) -> Value {
    json!({
        "PolicyName": p.name,
        "PolicyType": p.kind.word(),
        "Description": p.description,
        "DefaultVersion": format!("v{}", p.default_version),
        "AttachDate": at.iso(),
    })
}

pub(super) fn version(v: &PolicyVersion) -> Value {
    json!({
        "VersionId": format!("v{}", v.version),
        "IsDefaultVersion": v.is_default,
        "PolicyDocument": v.document,
        "CreateDate": v.created_at.iso(),
    })
}

pub(super) fn credentials(c: &Credentials) -> Map<String, Value> {
    let mut out = map(json!({
        "AssumedRoleUser": { "Arn": c.arn, "AssumedRoleId": c.assumed_role_id },
        "Credentials": {
            "AccessKeyId": c.access_key_id.as_str(),
            "AccessKeySecret": c.secret.expose(),
            "SecurityToken": c.token.expose(),
            "Expiration": c.expires_at.iso(),
        },
    }));
    if let Some(identity) = &c.source_identity {
        out.insert("SourceIdentity".into(), identity.clone().into());
    }
    out
}

/// A page: `{"IsTruncated": …, "Marker": …, <outer>: {<inner>: […]}}`.
pub(super) fn page(outer: &str, inner: &str, items: Vec<Value>, marker: Option<String>) -> Value {
    let mut out = Map::new();
    out.insert("IsTruncated".into(), marker.is_some().into());
    if let Some(marker) = marker {
        out.insert("Marker".into(), marker.into());
    }
    out.insert(outer.into(), json!({ inner: items }));
    Value::Object(out)
}
