//! Failures of the rooms as codes that clients test for (contract §4).

use bailee_rooms::gate::{Caller, Phase, Principal, RefusalKind};
use bailee_rooms::identity::AuthError;
use bailee_rooms::{Failure, House, Thing};
use bailee_wire::rpc::{Denied, RpcError};

pub(crate) fn of_auth(error: AuthError<RpcError>) -> RpcError {
    match error {
        AuthError::UnknownKey => {
            RpcError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        }
        AuthError::Inactive => {
            RpcError::new(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        }
        AuthError::Signature(error) => error,
        AuthError::TokenMissing => RpcError::new(
            400,
            "MissingSecurityToken",
            "The AccessKey is a session's; send its security token with the request.",
        ),
        AuthError::TokenMalformed => {
            RpcError::new(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        }
        AuthError::TokenMismatch => RpcError::new(
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Specified SecurityToken mismatches the AccessKey.",
        ),
        AuthError::TokenExpired => RpcError::new(
            400,
            "InvalidSecurityToken.Expired",
            "Specified SecurityToken is expired or revoked.",
        ),
        AuthError::Failed(failure) => of_room(failure),
    }
}

/// With the caller, for the detail of a refusal.
pub(crate) fn of(failure: Failure, house: &House, caller: &Caller) -> RpcError {
    let Failure::Refused(refusal) = &failure else { return of_room(failure) };
    let text = sentence(&failure.to_string());
    let (explicit, phase) = match refusal.kind() {
        RefusalKind::NotYours => return RpcError::new(404, "EntityNotExist", text),
        RefusalKind::KeyNetwork => return RpcError::new(403, "Forbidden.AccessKeyNetwork", text),
        RefusalKind::ExplicitDeny { phase, .. } => (true, *phase),
        RefusalKind::ImplicitDeny { phase } => (false, *phase),
        _ => return RpcError::new(403, "NoPermission", text),
    };
    let (principal_type, display_name) = match caller.principal() {
        Principal::User { id, .. } => ("SubUser", id.to_string()),
        Principal::Session(s) => ("AssumedRoleUser", format!("{}:{}", s.role, s.session)),
        _ => ("Account", caller.name().to_owned()),
    };
    let detail = Denied {
        action: refusal.action().to_owned(),
        principal_type,
        owner_id: caller.tenant().map(ToString::to_string).unwrap_or_default(),
        display_name,
        explicit,
        policy_type: policy_type(phase),
        diagnostic: house.sealed_diagnostic(caller, refusal),
    };
    RpcError::denied(text, detail)
}

/// A phase in the wire's words (contract §4).
pub(super) fn policy_type(phase: Phase) -> &'static str {
    match phase {
        Phase::Control => "ControlPolicy",
        Phase::Session => "SessionPolicy",
        Phase::Trust => "AssumeRolePolicy",
        Phase::Root | Phase::Identity | Phase::Resource => "AccountLevelIdentityBasedPolicy",
    }
}

/// A failure without a caller.
pub(super) fn of_room(failure: Failure) -> RpcError {
    let text = sentence(&failure.to_string());
    match failure {
        Failure::NotFound { thing, .. } => {
            RpcError::new(404, format!("EntityNotExist.{}", entity(thing)), text)
        }
        Failure::DeleteMarker { .. } => {
            RpcError::new(404, format!("EntityNotExist.{}", entity(Thing::Object)), text)
        }
        Failure::Exists { thing, .. } => {
            RpcError::new(409, format!("EntityAlreadyExists.{}", entity(thing)), text)
        }
        Failure::Limit { thing, .. } => RpcError::new(409, format!("LimitExceeded.{}", entity(thing)), text),
        Failure::InUse { thing, by, .. } => {
            RpcError::new(409, format!("DeleteConflict.{}", in_the_way(thing, by)), text)
        }
        Failure::Invalid { field: "PolicyDocument", .. } => {
            RpcError::new(400, "MalformedPolicyDocument", text)
        }
        Failure::Invalid { field: "Password", .. } => RpcError::invalid("Password.TooWeak", text),
        Failure::Invalid { field, .. } if EXACT.contains(&field) || field.contains('.') => {
            RpcError::invalid(field, text)
        }
        Failure::Invalid { field, .. } => RpcError::invalid(&format!("{field}.Length"), text),
        Failure::Conflict(_)
        | Failure::BucketState(_)
        | Failure::Retained(_)
        | Failure::PublicBlocked(_)
        | Failure::ObjectState(_)
        | Failure::Quota { .. }
        | Failure::Append(_)
        | Failure::Precondition(_) => RpcError::new(409, "OperationConflict", text),
        Failure::WrongCode => RpcError::new(403, "CheckAuthenticationCodeFail", text),
        Failure::Replayed => {
            RpcError::new(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        }
        Failure::Key(_) => RpcError::new(409, "Rejected", text),
        Failure::Throttled(seconds) => {
            RpcError::new(400, "Throttling", text).retry_after_ms(seconds.saturating_mul(1000))
        }
        Failure::Unavailable(_) => RpcError::new(503, "ServiceUnavailable", text),
        Failure::Refused(_) | Failure::SignIn(_) | Failure::FreshMfa => {
            RpcError::new(403, "NoPermission", text)
        }
        Failure::Body(_) | Failure::Checksum(_) => RpcError::new(400, "InvalidParameter", text),
        Failure::Damaged(_) | Failure::Bug(_) => {
            tracing::error!("an RPC operation failed: {text}");
            RpcError::new(
                500,
                "InternalError",
                "The request processing has failed due to some unknown error.",
            )
        }
    }
}

/// Fields whose code has no ending.
const EXACT: &[&str] = &[
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "PolicyGrammar",
    "OIDCToken",
    "SAMLAssertion",
    "OldPassword",
    "CustomSuffix",
    "MaxSessionDuration",
    "LoginSessionDuration",
    "LoginNetworkMasks",
    "MFAOperationForLogin",
];

/// What a thing is called in `EntityNotExist.…`, `EntityAlreadyExists.…` and `LimitExceeded.…` (contract §4).
fn entity(thing: Thing) -> &'static str {
    match thing {
        Thing::User => "User",
        Thing::AccessKey => "User.AccessKey",
        Thing::LoginProfile => "User.LoginProfile",
        Thing::Group => "Group",
        Thing::Membership => "User.Group",
        Thing::Role => "Role",
        Thing::Policy => "Policy",
        Thing::PolicyVersion => "Policy.Version",
        Thing::UserPolicy => "User.Policy",
        Thing::GroupPolicy => "Group.Policy",
        Thing::RolePolicy => "Role.Policy",
        Thing::MfaDevice => "VirtualMFADevice",
        Thing::UserMfa => "User.MFADevice",
        Thing::MfaUser => "VirtualMFADevice.User",
        Thing::OidcProvider => "OIDCProvider",
        Thing::SamlProvider => "SAMLProvider",
        Thing::AccountAlias => "AccountAlias",
        Thing::Tag => "Tag",
        Thing::Bucket => "Bucket",
        Thing::Object => "Object",
        Thing::Trail => "Trail",
        Thing::Key => "Key",
        Thing::KeyVersion => "KeyVersion",
        Thing::Alias => "Alias",
        Thing::Secret => "Secret",
        Thing::SecretVersion => "SecretVersion",
        Thing::KeyStore => "KeyStore",
        Thing::Region => "Region",
        Thing::Ticket => "Ticket",
        Thing::Document => "Document",
        Thing::Grant => "Consent",
        Thing::StandingRight => "StandingRight",
        _ => "Entity",
    }
}

/// `DeleteConflict.<thing>.<what is in the way>` (contract §4).
fn in_the_way(thing: Thing, by: Thing) -> String {
    let by = match by {
        Thing::AccessKey => "AccessKey",
        Thing::MfaDevice => "MFADevice",
        Thing::PolicyVersion if thing == Thing::PolicyVersion => "Default",
        Thing::PolicyVersion => "Version",
        other => entity(other),
    };
    format!("{}.{by}", entity(thing))
}

pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).chain(['.']).collect())
}
