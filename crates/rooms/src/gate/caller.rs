//! Who calls, proven.

use std::sync::Arc;

use bailee_policy::{PolicySet, Subject};
use bailee_types::{
    AccessKeyId, Arn, ChangeId, GrantId, HandlingId, OperatorId, TenantAlias, TenantId, TicketId, Timestamp,
    UserId, UserName,
};

use crate::Failure;
use crate::identity::{FRESH_MFA_MS, RoleSession, Stage};

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
    /// Whether it came over TLS (`acs:SecureTransport`).
    pub secure: bool,
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
    /// Somebody with a role for a while.
    Session(Arc<RoleSession>),
    /// Somebody whom a tenant's identity provider vouches for; good for taking on a role and nothing else.
    Federated {
        /// The tenant whose provider it is.
        tenant: TenantId,
        /// `acs:ram::<tenant>:oidc-provider/<name>` or `…:saml-provider/<name>`.
        provider: String,
        /// Whom it vouches for.
        subject: String,
    },
    /// Nobody that we know: the request is not signed. Good for what a bucket's owner made public.
    Anonymous,
    /// Provider staff.
    Operator {
        /// Who.
        id: OperatorId,
        /// What he may be, of [`crate::identity::OPERATOR_ROLES`].
        roles: Arc<[String]>,
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
    stage: Stage,
    mfa_at: Option<Timestamp>,
    off_network: bool,
    /// Events of this tenant are written into its own bucket, as it asked.
    delivers_to: Option<TenantId>,
    /// This tenant's account is being closed, as its root asked.
    closes: Option<TenantId>,
    /// Objects of this tenant are copied as rules of their buckets say.
    replicates: Option<TenantId>,
    /// The provider works on this change of its own: then no key of content opens.
    change: Option<ChangeId>,
    /// He acts under a broken glass, for this incident: then no key of content opens.
    glass: Option<Arc<(HandlingId, String)>>,
    /// The signature came in an address that anybody may hold.
    by_link: bool,
    /// An operator acts with the temporary keys of a grant, and within it alone.
    bound: Option<Arc<Bound>>,
}

/// What an operator's temporary keys are bound to.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) key: AccessKeyId,
    pub(crate) tenant: TenantId,
    pub(crate) grant: GrantId,
    pub(crate) ticket: TicketId,
    /// Whether they open content.
    pub(crate) content: bool,
}

#[derive(Clone)]
pub(crate) struct Nonce {
    pub(crate) access_key_id: String,
    pub(crate) nonce: String,
    pub(crate) expires_at: Timestamp,
}

impl Caller {
    pub(crate) fn new(principal: Principal, origin: Origin) -> Self {
        Self {
            principal,
            origin,
            access_key: None,
            nonce: None,
            stage: Stage::Full,
            mfa_at: None,
            off_network: false,
            delivers_to: None,
            closes: None,
            replicates: None,
            change: None,
            glass: None,
            by_link: false,
            bound: None,
        }
    }

    /// The worker that writes a tenant's events into the bucket that the tenant named. Its keys seal and do not open.
    pub(crate) fn delivery(tenant: &TenantId) -> Self {
        let principal = Principal::System { worker: "trail delivery" };
        Self { delivers_to: Some(tenant.clone()), ..Self::new(principal, Origin::default()) }
    }

    /// The worker that ends an account, as its root asked.
    pub(crate) fn closing(tenant: &TenantId) -> Self {
        let principal = Principal::System { worker: "account closure" };
        Self { closes: Some(tenant.clone()), ..Self::new(principal, Origin::default()) }
    }

    /// The worker that copies objects as a tenant's rules say.
    pub(crate) fn replicating(tenant: &TenantId) -> Self {
        let principal = Principal::System { worker: "replication" };
        Self { replicates: Some(tenant.clone()), ..Self::new(principal, Origin::default()) }
    }

    pub(crate) fn replicates(&self) -> Option<&TenantId> {
        self.replicates.as_ref()
    }

    /// The same person or worker at a change of the provider's own: what he does is recorded as stability work under its id, and
    /// opens no content.
    #[must_use]
    pub fn under_change(mut self, change: Option<ChangeId>) -> Self {
        self.change = change;
        self
    }

    pub(crate) fn change(&self) -> Option<&ChangeId> {
        self.change.as_ref()
    }

    pub(crate) fn under_glass(mut self, id: HandlingId, incident: String) -> Self {
        self.glass = Some(Arc::new((id, incident)));
        self
    }

    /// Under which broken glass he acts, and for which incident.
    pub(crate) fn glass(&self) -> Option<(&HandlingId, &str)> {
        self.glass.as_ref().map(|g| (&g.0, g.1.as_str()))
    }

    /// Marks a caller whose signature came in an address (a presigned one).
    #[must_use]
    pub fn by_link(mut self, is: bool) -> Self {
        self.by_link = is;
        self
    }

    pub(super) fn is_by_link(&self) -> bool {
        self.by_link
    }

    pub(crate) fn closes(&self) -> Option<&TenantId> {
        self.closes.as_ref()
    }

    /// Somebody who sent a request without a signature.
    pub fn anonymous(origin: Origin) -> Self {
        Self::new(Principal::Anonymous, origin)
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self.principal, Principal::Anonymous)
    }

    pub(super) fn delivers_to(&self) -> Option<&TenantId> {
        self.delivers_to.as_ref()
    }

    pub(crate) fn at_stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    pub(crate) fn with_mfa(mut self, at: Option<Timestamp>) -> Self {
        self.mfa_at = at;
        self
    }

    /// Marks a caller whose key may not be used from where he is: the gate refuses whatever he asks.
    pub(crate) fn off_network(mut self) -> Self {
        self.off_network = true;
        self
    }

    pub(crate) fn is_off_network(&self) -> bool {
        self.off_network
    }

    pub(crate) fn with_key(mut self, key: AccessKeyId) -> Self {
        self.access_key = Some(key);
        self
    }

    pub(crate) fn bound_to(mut self, bound: Bound) -> Self {
        self.bound = Some(Arc::new(bound));
        self
    }

    pub(crate) fn bound(&self) -> Option<&Arc<Bound>> {
        self.bound.as_ref()
    }

    /// Tenant and ticket of the grant whose temporary keys signed, if an operator acts with such.
    pub fn grant_keys(&self) -> Option<(&TenantId, &TicketId)> {
        self.bound.as_ref().map(|b| (&b.tenant, &b.ticket))
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
            Principal::Root { tenant, .. }
            | Principal::User { tenant, .. }
            | Principal::Federated { tenant, .. } => Some(tenant),
            Principal::Session(s) => Some(&s.tenant),
            Principal::Anonymous | Principal::Operator { .. } | Principal::System { .. } => None,
        }
    }

    /// The name that people use: `root`, the user's name, the operator's id, the worker's name.
    pub fn name(&self) -> &str {
        match &self.principal {
            Principal::Root { .. } => "root",
            Principal::User { name, .. } => name.as_str(),
            Principal::Session(s) => s.session.as_str(),
            Principal::Federated { subject, .. } => subject,
            Principal::Anonymous => "anonymous",
            Principal::Operator { id, .. } => id.as_str(),
            Principal::System { worker } => worker,
        }
    }

    /// The tenant's alias, for a tenant's caller.
    pub fn alias(&self) -> Option<&TenantAlias> {
        match &self.principal {
            Principal::Root { alias, .. } | Principal::User { alias, .. } => Some(alias),
            Principal::Session(s) => Some(&s.alias),
            _ => None,
        }
    }

    /// The caller's ARN (contract §5); operators and workers have none.
    pub fn arn(&self) -> Option<String> {
        match &self.principal {
            Principal::Root { tenant, .. } => Some(format!("acs:ram::{tenant}:root")),
            Principal::User { tenant, name, .. } => Some(Arn::user(tenant, name).to_string()),
            Principal::Session(s) => Some(s.arn()),
            Principal::Federated { provider, .. } => Some(provider.clone()),
            Principal::Anonymous | Principal::Operator { .. } | Principal::System { .. } => None,
        }
    }

    /// How far the caller's sign-in has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a second factor was shown in this session (`acs:MFAPresent`).
    pub fn mfa_present(&self) -> bool {
        match &self.principal {
            Principal::Session(s) => s.mfa,
            _ => self.mfa_at.is_some(),
        }
    }

    /// Refuses unless a second factor was shown within the last five minutes.
    ///
    /// # Errors
    /// `FreshMfa`.
    pub fn need_fresh_mfa(&self, now: Timestamp) -> Result<(), Failure> {
        match self.mfa_at {
            Some(at) if now < at.plus_ms(FRESH_MFA_MS) => Ok(()),
            _ => Err(Failure::FreshMfa),
        }
    }

    /// Who asks, in the words of the policy language; operators and workers are not asked by it.
    pub(crate) fn subject(&self) -> Subject<'_> {
        match &self.principal {
            Principal::Root { tenant, .. } => Subject::Root { account: tenant.as_str() },
            Principal::User { tenant, id, name, .. } => {
                Subject::User { account: tenant.as_str(), id: id.as_str(), name: name.as_str() }
            }
            Principal::Session(s) => Subject::Role {
                account: s.tenant.as_str(),
                role_id: s.role_id.as_str(),
                role: s.role.as_str(),
                session: s.session.as_str(),
            },
            Principal::Federated { provider, .. } => Subject::Federated { provider_arn: provider },
            Principal::Anonymous | Principal::Operator { .. } | Principal::System { .. } => {
                Subject::Anonymous
            }
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

    /// Where an operator works.
    pub(crate) fn place(&self) -> Option<&str> {
        match &self.principal {
            Principal::Operator { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(crate) fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}

/// What each operator role may try. Everything that touches a tenant needs a ticket or a grant on top.
pub(crate) fn role_allows(roles: &[String], action: &str) -> bool {
    let is = |role: &str| roles.iter().any(|r| r == role);
    match action {
        // One's own sign-in.
        "bailee:SignIn"
        | "bailee:ShowSecondFactor"
        | "bailee:BindSecondFactor"
        | "bailee:RemoveSecondFactor"
        | "bailee:RenewRecoveryCodes"
        | "bailee:ChangePassword"
        | "bailee:ListSessions"
        | "bailee:EndSession"
        | "bailee:RememberDevice"
        | "bailee:ListDevices"
        | "bailee:ForgetDevice" => true,
        "bailee:ListTickets" | "bailee:GetTicket" | "bailee:ReadRequests" => {
            !is("portal-editor") || roles.len() > 1
        }
        "bailee:ReplyTicket" | "bailee:SolveTicket" | "bailee:AssignTicket" | "bailee:AttachToTicket" => {
            is("support") || is("stability")
        }
        "bailee:GetTicketAttachment" => is("support"),
        "bailee:RequestConsent"
        | "bailee:WithdrawRequest"
        | "bailee:RequestTransfer"
        | "oss:GetObject"
        | "ecs:StartSession"
        | "rds:StartSession"
        | "cs:StartSession"
        | "emr:StartSession"
        | "bailee:ReturnSession"
        | "bailee:TakeKeys"
        | "oss:GetObjectMeta"
        | "oss:GetObjectTagging"
        | "oss:GetBucketLocation"
        | "oss:ListObjectVersions"
        | "oss:BeyondGrant" => is("support"),
        "bailee:ConfirmRequest" => is("approver"),
        "bailee:CommentRequest" => is("support") || is("approver"),
        "bailee:ResolveEmployee"
        | "bailee:NoteResolveEmployee"
        | "bailee:FileTakedown"
        | "bailee:LiftTakedown" => is("compliance"),
        "bailee:ConfirmTakedown" | "bailee:DeclineTakedown" | "bailee:GetAllFigures" => {
            is("compliance") || is("approver")
        }
        "bailee:AnnounceChange"
        | "bailee:SetTenantQuota"
        | "bailee:ScrubVault"
        | "bailee:RewrapTenant"
        | "bailee:SuspendWorker"
        | "bailee:ResumeWorker" => is("stability"),
        // Under a broken glass alone.
        "bailee:AskGlass" | "oss:GetBucketInfo" | "bailee:GetTenantUsage" => is("stability"),
        "bailee:BreakGlass" | "bailee:EndGlass" => is("stability") || is("approver"),
        "oss:ListBuckets" | "oss:ListObjects" => is("support") || is("stability"),
        _ => false,
    }
}

/// What somebody may do whose sign-in is not finished: finish it.
pub(crate) fn stage_allows(stage: Stage, action: &str) -> bool {
    match stage {
        Stage::Full => true,
        Stage::Mfa => matches!(action, "bailee:SignIn" | "bailee:ShowSecondFactor"),
        Stage::Enrol => matches!(action, "bailee:SignIn" | "bailee:BindSecondFactor"),
        Stage::Password => matches!(action, "bailee:SignIn" | "bailee:ChangePassword"),
    }
}
