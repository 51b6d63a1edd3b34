//! What is said on a request before the tenant decides: the provider's second pair of eyes, and comments of both sides.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, GrantId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::policy::consent_arn;
use super::request::parameters;
use super::{COMMENTS_MAX, StandingOpened, Step, rows, standing};
use crate::gate::{Asked, Caller, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing, notices};

/// A comment.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Whether the provider wrote it.
    pub by_provider: bool,
    /// A user's name, or an operator's pseudonym.
    pub writer: String,
    /// When.
    pub at: Timestamp,
    /// What, at most 1,000 characters.
    pub text: String,
}

/// Another of the provider's people says whether the tenant may be asked.
#[derive(Clone, Debug)]
pub struct ConfirmRequest {
    /// Whose data.
    pub tenant: TenantId,
    /// The request.
    pub id: GrantId,
    /// Whether it goes on to the tenant.
    pub yes: bool,
    /// A comment that the tenant reads; needed for a no.
    pub comment: String,
}

/// Either side writes on a request.
#[derive(Clone, Debug)]
pub struct CommentRequest {
    /// Whose data.
    pub tenant: TenantId,
    /// The request.
    pub id: GrantId,
    /// What, 1 to 1,000 characters.
    pub text: String,
}

/// A comment as it is kept; none when nothing was written.
pub(super) fn written(text: &str) -> Result<Option<String>, Failure> {
    let text = text.trim().replace("\r\n", "\n");
    if text.chars().count() > 1_000 || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Failure::invalid("comment", "must have at most 1000 characters"));
    }
    Ok(Some(text).filter(|t| !t.is_empty()))
}

/// Keeps what somebody wrote.
pub(super) fn keep(
    tx: &mut TenantTx<'_, '_>,
    id: &GrantId,
    by: (&'static str, &str),
    text: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    if rows::comment(tx, id, by, text, now)? {
        return Ok(());
    }
    Err(Failure::Conflict(format!("request `{id}` has {COMMENTS_MAX} comments of yours, and no more fit")))
}

/// The side somebody writes for, and the name that the tenant sees.
fn side(house: &House, tenant: &TenantId, caller: &Caller) -> (&'static str, String) {
    match caller.operator() {
        Some(id) => ("provider", house.pseudonym(tenant, id).to_string()),
        None => ("tenant", caller.name().to_owned()),
    }
}

impl Operation for ConfirmRequest {
    /// The request, the answer, and the grant where a standing right of the tenant's opened it.
    type Output = (GrantId, bool, Option<StandingOpened>);

    fn asks(&self) -> Asked {
        let comment = self.comment.chars().take(1_000).collect::<String>();
        asked(
            &self.tenant,
            "bailee:ConfirmRequest",
            &self.id,
            json!({ "grant": self.id.as_str(), "confirmed": self.yes, "comment": comment }),
        )
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let Some(operator) = intent.caller().operator().cloned() else {
            return Err(Failure::Conflict("only another of the provider's people confirms a request".into()));
        };
        let text = written(&self.comment)?;
        if text.is_none() && !self.yes {
            return Err(Failure::invalid("comment", "must say why it is declined: who asked reads it"));
        }
        let (inner, record) = (Arc::clone(house), intent.record());
        house
            .db
            .write(move |tx| {
                let now = inner.now();
                let mut tx = tx.tenant(&self.tenant);
                let request = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                if request.operator == operator {
                    return Err(Failure::Conflict("who asked does not confirm: another person must".into()));
                }
                let moment = request.moment(now, crate::trail::last_time(&mut tx)?);
                request.step(Step::Confirm(self.yes), moment)?;
                let pseudonym = inner.pseudonym(&self.tenant, &operator);
                rows::confirm(&mut tx, &self.id, (&operator, &pseudonym), self.yes, now)?;
                let mut opened = None;
                if self.yes {
                    opened = standing::open(&mut tx, (&self.tenant, &self.id), record, now)?;
                    if opened.is_none() {
                        notices::emit(&mut tx, notices::Kind::Consent, self.id.as_str(), now)?;
                    }
                }
                if let Some(text) = text {
                    keep(&mut tx, &self.id, ("provider", pseudonym.as_str()), &text, now)?;
                }
                Ok((self.id, self.yes, opened))
            })
            .await
    }

    fn outcome_detail((id, yes, opened): &Self::Output) -> Map<String, Value> {
        let act = if *yes { "confirm" } else { "decline" };
        let opened = opened.as_ref().map(StandingOpened::told);
        parameters(json!({ "consent": { "grant": id.as_str(), "act": act, "opened": opened } }))
    }
}

impl Operation for CommentRequest {
    type Output = ();

    fn asks(&self) -> Asked {
        let text = self.text.chars().take(1_000).collect::<String>();
        asked(
            &self.tenant,
            "bailee:CommentRequest",
            &self.id,
            json!({ "grant": self.id.as_str(), "comment": text }),
        )
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let caller = intent.caller();
        if !caller.is_operator() && caller.tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict(
                "only the tenant and the provider's people write on a request".into(),
            ));
        }
        let text = written(&self.text)?.ok_or_else(|| Failure::invalid("comment", "must say something"))?;
        let ((side, writer), now) = (side(house, &self.tenant, caller), house.now());
        // Of the provider's people who asked, and who may confirm.
        let reader = match caller.principal() {
            Principal::Operator { id, roles, .. } if !roles.iter().any(|r| r == "approver") => {
                Some(id.clone())
            }
            _ => None,
        };
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                rows::one(&mut tx, &self.id)?
                    .filter(|r| reader.as_ref().is_none_or(|id| r.operator == *id))
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                keep(&mut tx, &self.id, (side, &writer), &text, now)
            })
            .await
    }
}

fn asked(tenant: &TenantId, action: &'static str, id: &GrantId, detail: Value) -> Asked {
    let resource: Arn = consent_arn(tenant, id);
    Asked {
        tenant: tenant.clone(),
        action,
        resource,
        resource_type: "ACS::Bailee::Consent",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}
