//! Refusals: a decided no, recorded as it is made, with a text that says what to do.

use bailee_policy::{Explanation, Phase};
use bailee_store::{StoreError, Tx};
use bailee_types::{HandlingId, Timestamp};

use super::{Asked, Caller, event};
use crate::House;
use crate::consent::NoCoverage;
use crate::trail::{Kind, LogKeys};

/// Why the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The resource belongs to another tenant; callers see "not found".
    NotYours,
    /// No policy allows it.
    ImplicitDeny {
        /// Which kind of policy would have to.
        phase: Phase,
    },
    /// The AccessKey may not be used from the caller's network.
    KeyNetwork,
    /// Nobody signed the request, and what it asks for is not public.
    Unsigned,
    /// The sign-in is not finished.
    SignInUnfinished,
    /// A policy denies it; which.
    ExplicitDeny {
        /// Which kind of policy it is.
        phase: Phase,
        /// The policy's name.
        policy: String,
        /// The statement's number, from 1.
        statement: usize,
    },
    /// The operator's role does not include the act.
    OperatorRole {
        /// The role.
        role: String,
    },
    /// The operator named no open ticket of the tenant.
    NoTicket,
    /// The glass under which the operator acts is not broken by him, or not for this, or is over.
    NoGlass(HandlingId),
    /// No live grant covers the act.
    NoConsent(NoCoverage),
    /// A legal order took it away from the public.
    LegalBlock,
    /// The operator's temporary keys were ended; why.
    KeysEnded(String),
    /// The grant to which the operator's temporary keys are bound does not cover the act.
    OutsideGrant {
        /// The grant, and what it covers, in words.
        covers: String,
    },
    /// Content would leave its jurisdiction.
    Residency {
        /// Where the operator is.
        place: String,
        /// Where the data must stay.
        jurisdiction: String,
    },
}

/// A recorded no. Only the gate makes one.
#[derive(Clone, Debug)]
pub struct Refusal {
    kind: RefusalKind,
    action: &'static str,
    event_name: &'static str,
    resource: String,
    record: Option<u64>,
    ticket: Option<String>,
    explanation: Option<Box<Explanation>>,
}

impl Refusal {
    pub(super) fn recorded(asked: &Asked, kind: RefusalKind, record: Option<u64>) -> Self {
        Self {
            kind,
            action: asked.action,
            event_name: asked.event_name(),
            resource: asked.resource.to_string(),
            record,
            ticket: asked.ticket.as_ref().map(ToString::to_string),
            explanation: None,
        }
    }

    pub(super) fn explained(mut self, explanation: Option<Explanation>) -> Self {
        self.explanation = explanation.map(Box::new);
        self
    }

    /// What the policies said, statement by statement, when they decided. For those only who may read policies.
    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_deref()
    }

    /// Why.
    pub fn kind(&self) -> &RefusalKind {
        &self.kind
    }

    /// The policy action that was refused.
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The resource that was asked for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The index of its record in the log; none when the trail could not be written.
    pub fn record(&self) -> Option<u64> {
        self.record
    }

    /// A short stable code.
    pub fn code(&self) -> &'static str {
        code(&self.kind)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = self.resource.splitn(5, ':').last().unwrap_or_default();
        match &self.kind {
            RefusalKind::NotYours => write!(f, "`{object}` does not exist"),
            RefusalKind::ImplicitDeny { phase: Phase::Trust } => {
                write!(f, "the trust policy of `{object}` does not let you take the role on")
            }
            RefusalKind::ImplicitDeny { phase: Phase::Session } => write!(
                f,
                "the session was narrowed: its policy does not allow `{}` on `{}`",
                self.action, self.resource
            ),
            RefusalKind::ImplicitDeny { .. } => {
                write!(
                    f,
                    "no policy of yours allows `{}` on `{}`; ask your administrator",
                    self.action, self.resource
                )
            }
            RefusalKind::KeyNetwork => write!(
                f,
                "the AccessKey may not be used from your network; call from a network that its policy or the account's \
                 names, or ask your administrator"
            ),
            RefusalKind::Unsigned => {
                write!(f, "the request is not signed, and this is not public: sign it with an AccessKey")
            }
            RefusalKind::SignInUnfinished => {
                write!(
                    f,
                    "the sign-in is not finished; show the second factor or choose a new password first"
                )
            }
            RefusalKind::ExplicitDeny { policy, statement, .. } => write!(
                f,
                "policy `{policy}`, statement {statement}, denies `{}` on `{}`",
                self.action, self.resource
            ),
            RefusalKind::OperatorRole { role } => {
                write!(f, "the role `{role}` does not include `{}`", self.action)
            }
            RefusalKind::NoTicket => {
                write!(f, "`{}` on `{object}` needs an open ticket of the tenant; name one", self.event_name)
            }
            RefusalKind::NoGlass(id) => write!(
                f,
                "`{}` on `{object}` is not let in by glass `{id}`: it must be broken, not over, asked for by you, and allow this",
                self.event_name
            ),
            RefusalKind::NoConsent(why) => {
                let ticket = self.ticket.as_deref().unwrap_or("none");
                write!(
                    f,
                    "reading `{object}` needs the tenant's consent: no live grant covers `{}` for ticket `{ticket}` \
                     ({why}); ask for one on the ticket's page",
                    self.event_name
                )
            }
            RefusalKind::LegalBlock => {
                write!(f, "this is not available to the public here for legal reasons")
            }
            RefusalKind::KeysEnded(why) => {
                write!(
                    f,
                    "the temporary keys have ended ({why}); take new ones at the desk while the grant lives"
                )
            }
            RefusalKind::OutsideGrant { covers } => {
                write!(
                    f,
                    "`{}` on `{object}` is not covered: the keys are bound to {covers}",
                    self.event_name
                )
            }
            RefusalKind::Residency { place, jurisdiction } => write!(
                f,
                "`{object}` must stay in `{jurisdiction}`: opening it from `{place}` needs a transfer approval with a \
                 legal basis (none on file)"
            ),
        }
    }
}

/// Writes the refusal's record.
pub(super) fn append(
    tx: &mut Tx<'_>,
    house: &House,
    log: &LogKeys,
    caller: &Caller,
    asked: &Asked,
    kind: &RefusalKind,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let refusal = Refusal::recorded(asked, kind.clone(), None);
    let region = event::lies_in(tx, caller, asked)?;
    crate::trail::append(tx, log, Kind::Refusal, now, |at| {
        let mut event = event::of_act(house, caller, asked, (None, region.as_ref()), at);
        event.insert("errorCode".into(), code(kind).into());
        event.insert("errorMessage".into(), refusal.to_string().into());
        event
    })
}

fn code(kind: &RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NotYours => "NotFound",
        RefusalKind::ImplicitDeny { .. } | RefusalKind::ExplicitDeny { .. } => "NoPermission",
        RefusalKind::KeyNetwork => "Forbidden.AccessKeyNetwork",
        RefusalKind::Unsigned => "NoPermission.Unsigned",
        RefusalKind::SignInUnfinished => "NoPermission.SignInUnfinished",
        RefusalKind::OperatorRole { .. } => "NoPermission.OperatorRole",
        RefusalKind::NoTicket => "NoTicket",
        RefusalKind::NoGlass(_) => "NoGlass",
        RefusalKind::NoConsent(_) => "NoConsent",
        RefusalKind::LegalBlock => "UnavailableForLegalReasons",
        RefusalKind::KeysEnded(_) => "NoConsent.KeysEnded",
        RefusalKind::OutsideGrant { .. } => "NoConsent.OutsideGrant",
        RefusalKind::Residency { .. } => "NoTransferApproval",
    }
}
