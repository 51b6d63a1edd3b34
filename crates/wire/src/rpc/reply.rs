//! Answers in the wire's exact shapes: a field of another JSON type makes the SDK drop the whole body in silence.

use bailee_types::Timestamp;
use serde_json::{Map, Value, json};

/// A RAM user as the wire shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct User<'a> {
    /// `UserId`.
    pub id: &'a str,
    /// `UserName`.
    pub name: &'a str,
    /// `DisplayName`.
    pub display_name: &'a str,
    /// `Comments`.
    pub comments: &'a str,
    /// `Email`.
    pub email: &'a str,
    /// `MobilePhone`.
    pub mobile_phone: &'a str,
    /// `CreateDate`.
    pub created_at: Option<Timestamp>,
    /// `UpdateDate`.
    pub updated_at: Option<Timestamp>,
    /// `LastLoginDate`.
    pub last_login_at: Option<Timestamp>,
}

/// The caller as Sts shows it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `Account` or `RAMUser`.
    pub identity_type: &'a str,
    /// `AccountId`.
    pub account_id: &'a str,
    /// `PrincipalId`.
    pub principal_id: &'a str,
    /// `UserId`.
    pub user_id: Option<&'a str>,
    /// `Arn`.
    pub arn: &'a str,
}

/// Adds the request id and renders.
fn finish(mut body: Map<String, Value>, request_id: &str) -> Vec<u8> {
    body.insert("RequestId".into(), request_id.into());
    Value::Object(body).to_string().into_bytes()
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// An answer without fields of its own.
pub fn empty(request_id: &str) -> Vec<u8> {
    finish(Map::new(), request_id)
}

/// Sts `GetCallerIdentity`.
pub fn caller_identity(id: &Identity<'_>, request_id: &str) -> Vec<u8> {
    let mut body = object(json!({
        "IdentityType": id.identity_type,
        "AccountId": id.account_id,
        "PrincipalId": id.principal_id,
        "Arn": id.arn,
    }));
    if let Some(user) = id.user_id {
        body.insert("UserId".into(), user.into());
    }
    finish(body, request_id)
}

/// Ram `CreateUser` and `GetUser`.
pub fn user(user: &User<'_>, request_id: &str) -> Vec<u8> {
    finish(object(json!({ "User": user_value(user) })), request_id)
}

/// Ram `ListUsers`.
pub fn users(users: &[User<'_>], marker: Option<&str>, request_id: &str) -> Vec<u8> {
    let list: Vec<_> = users.iter().map(user_value).collect();
    let mut body = object(json!({ "IsTruncated": marker.is_some(), "Users": { "User": list } }));
    if let Some(marker) = marker {
        body.insert("Marker".into(), marker.into());
    }
    finish(body, request_id)
}

/// Ram `CreateAccessKey`: the only answer that holds a secret.
pub fn new_access_key(id: &str, secret: &str, created_at: Timestamp, request_id: &str) -> Vec<u8> {
    let key = json!({
        "AccessKeyId": id, "AccessKeySecret": secret, "Status": "Active", "CreateDate": created_at.iso(),
    });
    finish(object(json!({ "AccessKey": key })), request_id)
}

/// Ram `ListAccessKeys`: id, status, creation of each.
pub fn access_keys(keys: &[(&str, &str, Timestamp)], request_id: &str) -> Vec<u8> {
    let list: Vec<_> = keys
        .iter()
        .map(|(id, status, at)| json!({ "AccessKeyId": id, "Status": status, "CreateDate": at.iso() }))
        .collect();
    finish(object(json!({ "AccessKeys": { "AccessKey": list } })), request_id)
}

/// Ram `CreateLoginProfile`.
pub fn login_profile(user: &str, at: Timestamp, request_id: &str) -> Vec<u8> {
    let profile = json!({ "UserName": user, "CreateDate": at.iso(), "PasswordResetRequired": false, "MFABindRequired": false });
    finish(object(json!({ "LoginProfile": profile })), request_id)
}

/// Ram `CreatePolicy`.
pub fn policy(name: &str, description: &str, at: Timestamp, request_id: &str) -> Vec<u8> {
    let policy = json!({
        "PolicyName": name, "PolicyType": "Custom", "Description": description, "DefaultVersion": "v1",
        "CreateDate": at.iso(),
    });
    finish(object(json!({ "Policy": policy })), request_id)
}

fn user_value(user: &User<'_>) -> Value {
    let mut out = object(json!({
        "UserId": user.id,
        "UserName": user.name,
        "DisplayName": user.display_name,
        "Comments": user.comments,
        "Email": user.email,
        "MobilePhone": user.mobile_phone,
    }));
    for (name, at) in [
        ("CreateDate", user.created_at),
        ("UpdateDate", user.updated_at),
        ("LastLoginDate", user.last_login_at),
    ] {
        if let Some(at) = at {
            out.insert(name.into(), at.iso().into());
        }
    }
    Value::Object(out)
}
