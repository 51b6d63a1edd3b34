//! Errors as the SDKs parse them: JSON with `Code` and `Message` (contract §4).
//!
//! INVARIANT: `Debug` shows the code only: a message may echo a string-to-sign, which holds parameters.

use serde_json::{Map, Value, json};

/// A refusal on the wire.
#[derive(Clone)]
pub struct RpcError {
    status: u16,
    code: String,
    message: String,
    denied: Option<Denied>,
    retry_after_ms: Option<u64>,
}

/// The detail of a 403 (contract §4).
#[derive(Clone, Debug)]
pub struct Denied {
    /// `ram:CreateUser`.
    pub action: String,
    /// `SubUser` or `AssumedRoleUser`.
    pub principal_type: &'static str,
    /// The tenant's id.
    pub owner_id: String,
    /// The principal's id.
    pub display_name: String,
    /// Whether a statement denies it, rather than none allowing it.
    pub explicit: bool,
    /// `AccountLevelIdentityBasedPolicy`, `SessionPolicy`, `AssumeRolePolicy` or `ControlPolicy`.
    pub policy_type: &'static str,
    /// The whole reason, sealed: it quotes policies, and not everybody who is refused may read them.
    pub diagnostic: Option<String>,
}

impl RpcError {
    /// A refusal with a status, the wire's code and a text for the caller.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), denied: None, retry_after_ms: None }
    }

    /// 400 `MissingParameter`.
    pub fn missing(name: &str) -> Self {
        Self::new(400, "MissingParameter", format!("The parameter {name} is mandatory for this action."))
    }

    /// 400 `InvalidParameter.<field>.<kind>` or `InvalidParameter.<field>`.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(400, format!("InvalidParameter.{field}"), message)
    }

    /// 403 `NoPermission` with its detail.
    #[must_use]
    pub fn denied(message: impl Into<String>, detail: Denied) -> Self {
        Self { denied: Some(detail), ..Self::new(403, "NoPermission", message) }
    }

    /// The client should wait this long before it tries again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// The same under a product's own code.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The wire's code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Value of the header `x-acs-retry-after`, milliseconds.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// The JSON body. `kms` says that the product is Kms, whose errors have one member more.
    pub fn render(&self, request_id: &str, host_id: &str, kms: bool) -> Vec<u8> {
        let mut body = Map::new();
        body.insert("RequestId".into(), request_id.into());
        body.insert("HostId".into(), host_id.into());
        body.insert("Code".into(), self.code.clone().into());
        body.insert("Message".into(), self.message.clone().into());
        body.insert("Recommend".into(), "".into());
        if kms {
            body.insert("HttpStatus".into(), self.status.into());
        }
        if let Some(d) = &self.denied {
            body.insert(
                "AccessDeniedDetail".into(),
                json!({
                    "AuthAction": d.action,
                    "AuthPrincipalType": d.principal_type,
                    "AuthPrincipalOwnerId": d.owner_id,
                    "AuthPrincipalDisplayName": d.display_name,
                    "NoPermissionType": if d.explicit { "ExplicitDeny" } else { "ImplicitDeny" },
                    "PolicyType": d.policy_type,
                }),
            );
            if let (Some(sealed), Some(detail)) =
                (&d.diagnostic, body.get_mut("AccessDeniedDetail").and_then(Value::as_object_mut))
            {
                detail.insert("EncodedDiagnosticMessage".into(), sealed.clone().into());
            }
        }
        Value::Object(body).to_string().into_bytes()
    }
}

impl std::fmt::Debug for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RpcError({} {})", self.status, self.code)
    }
}
