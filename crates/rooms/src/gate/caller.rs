//! Who calls, proven.

use std::sync::Arc;

use bailee_policy::PolicySet;
use bailee_types::{AccessKeyId, OperatorId, TenantAlias, TenantId, Timestamp, UserId, UserName};

/// Where a request comes from; for events and limits, never for trust.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The peer's address.
    pub source_ip: String,
    /// The client's name for itself, cut to 256 characters.
    pub user_agent: String,
    /// Our id of the request.
    pub request_id: String,
    /// `ApiCall`, `ConsoleOperation` or `CommandLine`.
    pub channel: &'static str,
}

/// A proven identity.
#[derive(Clone)]
pub enum Principal {
    /// The tenant's root. Policies do not limit it.
    Root {
        /// The tenant.
        tenant: TenantId,
        /// Its alias.
        alias: TenantAlias,
    },
    /// A RAM user.
    User {
        /// The tenant.
        tenant: TenantId,
        /// Its alias.
        alias: TenantAlias,
        /// The user's id.
        id: UserId,
        /// The user's name.
        name: UserName,
        /// What his policies say.
        policies: Arc<PolicySet>,
    },
    /// Provider staff.
    Operator {
        /// Who.
        id: OperatorId,
        /// `support`, `stability` or `compliance`.
        role: String,
        /// Where he works, ISO 3166-1 alpha-2.
        place: String,
    },
    /// A worker of the platform, or an administrator at the machine.
    System {
        /// Which, e.g. `sweeper`.
        worker: &'static str,
    },
}

/// A caller: a proven identity, and where the request came from. Only authentication makes one.
#[derive(Clone)]
pub struct Caller {
    principal: Principal,
    origin: Origin,
    access_key: Option<AccessKeyId>,
    nonce: Option<Nonce>,
}

#[derive(Clone)]
pub(crate) struct Nonce {
    pub(crate) access_key_id: String,
    pub(crate) nonce: String,
    pub(crate) expires_at: Timestamp,
}

impl Caller {
    pub(crate) fn new(principal: Principal, origin: Origin) -> Self {
        Self { principal, origin, access_key: None, nonce: None }
    }

    pub(crate) fn with_key(mut self, key: AccessKeyId) -> Self {
        self.access_key = Some(key);
        self
    }

    pub(crate) fn with_nonce(mut self, nonce: Option<Nonce>) -> Self {
        self.nonce = nonce;
        self
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Where from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The AccessKey that signed, if one did.
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        self.access_key.as_ref()
    }

    /// The caller's own tenant; operators and workers have none.
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.principal {
            Principal::Root { tenant, .. } | Principal::User { tenant, .. } => Some(tenant),
            Principal::Operator { .. } | Principal::System { .. } => None,
        }
    }

    /// The name that people use: `root`, the user's name, the operator's id, the worker's name.
    pub fn name(&self) -> &str {
        match &self.principal {
            Principal::Root { .. } => "root",
            Principal::User { name, .. } => name.as_str(),
            Principal::Operator { id, .. } => id.as_str(),
            Principal::System { worker } => worker,
        }
    }

    pub(crate) fn is_tenant(&self) -> bool {
        self.tenant().is_some()
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.operator().is_some()
    }

    pub(crate) fn operator(&self) -> Option<&OperatorId> {
        match &self.principal {
            Principal::Operator { id, .. } => Some(id),
            _ => None,
        }
    }

    pub(crate) fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}

/// What each operator role may try. Everything that touches a tenant needs a ticket or a grant on top.
pub(crate) fn role_allows(role: &str, action: &str) -> bool {
    match action {
        "bailee:SignIn" | "bailee:ReadTickets" | "bailee:ReadRequests" => true,
        "bailee:RequestConsent" | "bailee:WithdrawRequest" | "oss:GetObject" => role == "support",
        "oss:ListBuckets" | "oss:ListObjects" => role == "support" || role == "stability",
        _ => false,
    }
}
