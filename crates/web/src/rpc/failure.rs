//! Failures of the rooms as codes that clients test for (contract §4).

use bailee_rooms::gate::{Caller, Principal, RefusalKind};
use bailee_rooms::identity::AuthError;
use bailee_rooms::{Failure, Thing};
use bailee_wire::rpc::{Denied, RpcError};

pub(super) fn of_auth(error: AuthError<RpcError>) -> RpcError {
    match error {
        AuthError::UnknownKey => {
            RpcError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        }
        AuthError::Inactive => {
            RpcError::new(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        }
        AuthError::Signature(error) => error,
        AuthError::Failed(failure) => of_failure(failure),
    }
}

/// With the caller, for the detail of a refusal.
pub(super) fn of(failure: Failure, caller: &Caller) -> RpcError {
    let Failure::Refused(refusal) = &failure else { return of_failure(failure) };
    if *refusal.kind() == RefusalKind::NotYours {
        return RpcError::new(404, "EntityNotExist", sentence(&failure.to_string()));
    }
    let (principal_type, display_name) = match caller.principal() {
        Principal::User { id, .. } => ("SubUser", id.to_string()),
        _ => ("Account", caller.name().to_owned()),
    };
    let detail = Denied {
        action: refusal.action().to_owned(),
        principal_type,
        owner_id: caller.tenant().map(ToString::to_string).unwrap_or_default(),
        display_name,
        explicit: matches!(refusal.kind(), RefusalKind::ExplicitDeny { .. }),
    };
    RpcError::denied(sentence(&failure.to_string()), detail)
}

fn of_failure(failure: Failure) -> RpcError {
    let text = sentence(&failure.to_string());
    match failure {
        Failure::NotFound { thing, .. } => {
            RpcError::new(404, format!("EntityNotExist.{}", entity(thing)), text)
        }
        Failure::Exists { thing, .. } => {
            RpcError::new(409, format!("EntityAlreadyExists.{}", entity(thing)), text)
        }
        Failure::Limit { thing, .. } => RpcError::new(409, format!("LimitExceeded.{}", entity(thing)), text),
        Failure::Invalid { field: "PolicyDocument", .. } => {
            RpcError::new(400, "MalformedPolicyDocument", text)
        }
        Failure::Invalid { field: "Password", .. } => RpcError::invalid("Password.TooWeak", text),
        Failure::Invalid { field: "PolicyName", .. } => RpcError::invalid("PolicyName.InvalidChars", text),
        Failure::Invalid { field, .. } => RpcError::invalid(&format!("{field}.Length"), text),
        Failure::Conflict(_) | Failure::Precondition(_) => RpcError::new(409, "OperationConflict", text),
        Failure::Replayed => {
            RpcError::new(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        }
        Failure::Throttled(seconds) => {
            RpcError::new(400, "Throttling", text).retry_after_ms(seconds.saturating_mul(1000))
        }
        Failure::Unavailable(_) => RpcError::new(503, "ServiceUnavailable", text),
        Failure::Refused(_) | Failure::SignIn(_) => RpcError::new(403, "NoPermission", text),
        Failure::Body(_) => RpcError::new(400, "InvalidParameter", text),
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

fn entity(thing: Thing) -> &'static str {
    match thing {
        Thing::User => "User",
        Thing::AccessKey => "User.AccessKey",
        Thing::Policy => "Policy",
        Thing::Bucket => "Bucket",
        Thing::Object => "Object",
        _ => "Entity",
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).chain(['.']).collect())
}
