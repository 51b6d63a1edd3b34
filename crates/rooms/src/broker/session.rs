//! A session: opened by an operator under a grant, shown with name and secret at a broker, ended with the grant.

use std::sync::Arc;

use bailee_types::{
    Arn, GrantId, OperatorId, Pseudonym, SecretText, TargetName, TenantId, TicketId, Timestamp, random_text,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::rows;
use crate::consent::{Limits, Scope, parameters, session_action, target_arn};
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing};

/// Sessions of one page.
pub const SESSIONS_PAGE_MAX: u32 = 200;
/// Sessions of one operator that are open at the same time.
const OPEN_MAX: i64 = 16;
const LOWER: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
const MIXED: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";

/// A session as both sides see it.
#[derive(Clone, Debug)]
pub struct Session {
    /// `s-` and 16 characters.
    pub id: String,
    /// Whose system.
    pub tenant: TenantId,
    /// Under which grant.
    pub grant: GrantId,
    /// On which ticket.
    pub ticket: TicketId,
    /// Who; for the provider's own pages only.
    pub operator: OperatorId,
    /// Who, as the tenant sees him.
    pub pseudonym: Pseudonym,
    /// With what.
    pub target: TargetName,
    /// What it may do there.
    pub limits: Limits,
    /// The record that opened it.
    pub intent: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The first instant at which its grant allows nothing any more.
    pub until: Timestamp,
    /// When and why it ended.
    pub ended: Option<Ended>,
    /// Frames and bytes of its recording, as far as its parts are closed.
    pub recorded: (u64, u64),
    /// Parts of its recording.
    pub parts: u64,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// A session that was just opened. The secret is shown once.
#[derive(Debug)]
pub struct Opened {
    /// Its name.
    pub id: String,
    /// What the client shows.
    pub secret: SecretText,
    /// Until when at most.
    pub until: Timestamp,
    /// What it may do.
    pub limits: Limits,
}

/// Opens a session with a system, under a live grant of the ticket that names it.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Whose system.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// With what.
    pub target: TargetName,
    /// `host`, `database`, `cluster` or `service`.
    pub family: String,
}

/// The tenant ends a session, or a set of keys, now.
#[derive(Clone, Debug)]
pub struct CutSession {
    /// Whose.
    pub tenant: TenantId,
    /// Which: its name, or the id of keys.
    pub session: String,
}

/// The operator is done, or the house ends what is over.
#[derive(Clone, Debug)]
pub struct ReturnSession {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub session: String,
    /// Why, in words; of the house only.
    pub why: Option<String>,
}

/// Sessions with a tenant's systems, newest first. The tenant's own look; an operator sees his own on his desk.
#[derive(Clone, Debug)]
pub struct ListSessions {
    /// Whose.
    pub tenant: TenantId,
    /// Only this one.
    pub session: Option<String>,
    /// Only those opened before.
    pub before: Option<Timestamp>,
    /// At most so many, up to [`SESSIONS_PAGE_MAX`].
    pub sessions_max: u32,
}

/// How a secret is remembered.
pub(super) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

pub(super) fn own(
    tenant: &TenantId,
    action: &'static str,
    session: &str,
    class: Class,
    detail: Value,
) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &format!("session/{session}")),
        resource_type: "ACS::Bailee::Session",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for OpenSession {
    type Output = Opened;

    fn asks(&self) -> Asked {
        let family = match self.family.as_str() {
            family @ ("host" | "database" | "cluster") => family,
            _ => "service",
        };
        Asked {
            tenant: self.tenant.clone(),
            action: session_action(family),
            resource: target_arn(&self.tenant, family, &self.target),
            resource_type: match family {
                "host" => "ACS::ECS::Instance",
                "database" => "ACS::RDS::DBInstance",
                "cluster" => "ACS::ACK::Cluster",
                _ => "ACS::EMR::Cluster",
            },
            class: Class::Management { write: true },
            touches: Touches::Content,
            ticket: Some(self.ticket.clone()),
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Opened, Failure> {
        let (Principal::Operator { id, .. }, Some(grant), Some(record)) =
            (intent.caller().principal(), intent.grant(), intent.record())
        else {
            return Err(Failure::Conflict("sessions are opened by operators, under a grant".into()));
        };
        let Scope::Target { target, limits } = grant.scope.clone() else {
            return Err(Failure::Bug("a grant for objects covered a session".into()));
        };
        if target != self.target {
            return Err(Failure::Bug("a grant covered another target".into()));
        }
        let opened = Opened {
            id: format!("s-{}", random_text(LOWER, 16)),
            secret: SecretText::new(random_text(MIXED, 40)),
            until: grant.until,
            limits,
        };
        let row = rows::NewSession {
            id: opened.id.clone(),
            grant: grant.grant.clone(),
            ticket: self.ticket,
            operator: id.clone(),
            pseudonym: house.pseudonym(&self.tenant, id),
            target: self.target,
            limits: opened.limits.text(),
            secret_hash: hash(opened.secret.expose()),
            intent: record,
            opened_at: house.now(),
            until: opened.until,
        };
        let tenant = self.tenant;
        house
            .db
            .write(move |tx| {
                if rows::open_of(tx, &row.operator)? >= OPEN_MAX {
                    return Err(Failure::Conflict(format!(
                        "you have {OPEN_MAX} open sessions: end one on your desk first"
                    )));
                }
                let mut tx = tx.tenant(&tenant);
                super::target::fits(&mut tx, &row.target, &opened.limits)?;
                let asked_at = crate::consent::asked_at(&mut tx, &row.grant)?;
                if rows::moved_since(&mut tx, &row.target, asked_at)? {
                    return Err(Failure::Conflict(format!(
                        "`{}` was moved after this was asked for: ask the tenant again",
                        row.target
                    )));
                }
                rows::insert_session(&mut tx, &row)?;
                Ok(opened)
            })
            .await
    }

    fn outcome_detail(opened: &Opened) -> Map<String, Value> {
        parameters(json!({ "session": opened.id, "limits": opened.limits }))
    }
}

/// Ends a session's row, or that of keys.
async fn end(
    house: &Arc<House>,
    tenant: TenantId,
    session: String,
    operator: Option<OperatorId>,
    why: String,
) -> Result<(), Failure> {
    let now = house.now();
    house
        .db
        .write(move |tx| {
            let mut tx = tx.tenant(&tenant);
            let keys = rows::keys(&mut tx, &session)?.map(|k| (k.operator, k.ended));
            let is_keys = keys.is_some();
            let (_, ended) = match keys {
                None => rows::session(&mut tx, &session)?.map(|s| (s.operator, s.ended)),
                keys => keys,
            }
            .filter(|(by, _)| operator.as_ref().is_none_or(|o| o == by))
            .ok_or_else(|| Failure::not_found(Thing::BrokerSession, &session))?;
            if let Some(ended) = ended {
                return Err(Failure::Conflict(format!("session `{session}` has ended: {}", ended.why)));
            }
            match is_keys {
                true => rows::end_keys(&mut tx, &session, now, &why)?,
                false => rows::end_session(&mut tx, &session, now, &why)?,
            }
            Ok::<_, Failure>(())
        })
        .await
}

impl Operation for CutSession {
    type Output = ();

    fn asks(&self) -> Asked {
        own(&self.tenant, "bailee:CutSession", &self.session, Class::Management { write: true }, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant cuts a session".into()));
        }
        end(house, self.tenant, self.session, None, "the tenant cut it".into()).await
    }
}

impl Operation for ReturnSession {
    type Output = ();

    fn asks(&self) -> Asked {
        let class = Class::Management { write: true };
        own(&self.tenant, "bailee:ReturnSession", &self.session, class, json!({ "why": self.why }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        match intent.caller().principal() {
            Principal::Operator { id, .. } => {
                let (id, why) = (id.clone(), "the operator ended it".to_owned());
                end(house, self.tenant, self.session, Some(id), why).await
            }
            Principal::System { .. } => {
                let why = self.why.unwrap_or_else(|| "the house ended it".into());
                end(house, self.tenant, self.session, None, why).await
            }
            _ => Err(Failure::Conflict("a tenant cuts a session (CutSession)".into())),
        }
    }
}

impl Operation for ListSessions {
    type Output = Vec<Session>;
    const MAY_STOP_ANYWHERE: bool = true;

    fn asks(&self) -> Asked {
        let session = self.session.as_deref().unwrap_or("*");
        own(&self.tenant, "bailee:ListBrokerSessions", session, Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<Session>, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("a tenant's sessions are for its own people".into()));
        }
        let most = self.sessions_max.clamp(1, SESSIONS_PAGE_MAX);
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                match &self.session {
                    Some(id) => {
                        let found = rows::session(&mut tx, id)?;
                        Ok(vec![found.ok_or_else(|| Failure::not_found(Thing::BrokerSession, id))?])
                    }
                    None => rows::sessions(&mut tx, self.before, most).map_err(Failure::from),
                }
            })
            .await
    }
}

impl House {
    /// A tenant's sessions that have not ended: uses of its grants, for whoever may list those.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_sessions(&self, tenant: &TenantId) -> Result<Vec<Session>, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| rows::open_sessions_of(&mut tx.tenant(&tenant)).map_err(Failure::from)).await
    }

    /// An operator's own sessions, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operator_sessions(
        &self,
        operator: &OperatorId,
        sessions_max: u32,
    ) -> Result<Vec<Session>, Failure> {
        let operator = operator.clone();
        self.db
            .read(move |tx| rows::sessions_of_operator(tx, &operator, sessions_max).map_err(Failure::from))
            .await
    }
}
