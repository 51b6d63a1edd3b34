//! Takedowns: filed by one operator, confirmed by another, lifted, acknowledged by the tenant.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, HandlingId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::{BLOCKS_MAX, Change, Covers, DAY_MS, Glass, Order, State, Takedown, line, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::vault::is_public;
use crate::{Failure, House, Thing, notices};

/// The same whether there is such a thing or not: what is not public, nobody learns of here.
const NOT_PUBLIC: &str = "nothing by this name is public now: what is private is not taken down. A prefix counts when the \
                          bucket's own rules open it; what single objects' ACLs open is filed object by object";

/// An operator asks for public data to be kept from the public. It does nothing yet.
#[derive(Clone, Debug)]
pub struct FileTakedown {
    /// Whose data.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// What of it.
    pub covers: Covers,
    /// On whose order.
    pub order: Order,
    /// Why, 5 to 1,000 characters; the tenant reads it.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// What an operator says to a takedown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Another person than filed it: do it.
    Confirm,
    /// Another person than filed it: do not.
    Decline,
    /// It ends now. One person is enough: it gives back what the tenant itself had set.
    Lift,
}

impl Answer {
    const fn word(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Decline => "decline",
            Self::Lift => "lift",
        }
    }
}

/// An answer to a takedown as it is on file; [`House::answer_takedown`] makes it.
struct Answered {
    takedown: Takedown,
    answer: Answer,
    note: String,
}

/// Somebody of the tenant has seen what was done.
#[derive(Clone, Debug)]
pub struct Acknowledge {
    /// The tenant.
    pub tenant: TenantId,
    /// The takedown, or the glass.
    pub id: HandlingId,
}

/// What the provider did to a tenant's things, the newest first.
#[derive(Clone, Debug)]
pub struct ListHandling {
    /// The tenant.
    pub tenant: TenantId,
    /// At most so many of each.
    pub limit: u32,
}

/// Glasses, takedowns and changes.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Emergencies.
    pub glasses: Vec<Glass>,
    /// Legal handling.
    pub takedowns: Vec<Takedown>,
    /// Stability work.
    pub changes: Vec<Change>,
}

/// What records say of a takedown.
fn told(
    (bucket, covers): (&BucketName, &Covers),
    order: &Order,
    reason: &str,
    until: Option<Timestamp>,
) -> Map<String, Value> {
    let short =
        |text: &str, max| text.trim().chars().filter(|c| !c.is_control()).take(max).collect::<String>();
    let (kind, name) = covers.columns();
    let mut told = parameters(json!({
        "legalReference": short(&order.reference(), 220), "bucket": bucket.as_str(), "reason": short(reason, 1_000),
        "presigned": order.presigned, "until": until.map(|u| u.iso()),
    }));
    if kind != "bucket" {
        told.insert(kind.into(), name.into());
    }
    told
}

fn asked(
    tenant: &TenantId,
    action: &'static str,
    (bucket, covers): (&BucketName, &Covers),
    told: Map<String, Value>,
) -> Asked {
    let (resource, resource_type) = match covers {
        Covers::Object(key) => (Arn::object(tenant, bucket, key), "ACS::OSS::Object"),
        _ => (Arn::bucket(tenant, bucket), "ACS::OSS::Bucket"),
    };
    Asked {
        tenant: tenant.clone(),
        action,
        resource,
        resource_type,
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: told,
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// Whether a text is a day as calendars have it.
fn is_day(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse_iso(&format!("{text}T00:00:00Z")).is_ok()
}

/// A step and the notice of it.
fn step(tx: &mut TenantTx<'_, '_>, takedown: &Takedown, new: &rows::NewStep<'_>) -> Result<(), Failure> {
    rows::add_step(tx, &takedown.id, new)?;
    rows::postpone_from(tx, &takedown.id, Some(new.at.plus_ms(DAY_MS)))?;
    notices::emit_to_all(tx, &takedown.id, new.at)?;
    Ok(())
}

impl Operation for FileTakedown {
    type Output = HandlingId;

    fn asks(&self) -> Asked {
        let what = (&self.bucket, &self.covers);
        let told = told(what, &self.order, &self.reason, self.until);
        asked(&self.tenant, "bailee:FileTakedown", what, told)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<HandlingId, Failure> {
        let operator = operator(intent.caller())?;
        let order = Order {
            authority: line("authority", &self.order.authority, (2, 100))?,
            document: line("document", &self.order.document, (1, 100))?,
            dated: line("dated", &self.order.dated, (10, 10))?,
            presigned: self.order.presigned,
        };
        let now = house.now();
        if !is_day(&order.dated) {
            return Err(Failure::invalid("dated", "must be a day, e.g. 2026-11-25"));
        }
        if self.until.is_some_and(|until| until <= now) {
            return Err(Failure::invalid("until", "must lie ahead"));
        }
        let takedown = Takedown {
            id: HandlingId::random(),
            order,
            reason: line("reason", &self.reason, (5, 1_000))?,
            filed_at: now,
            acknowledged: false,
            steps: Vec::new(),
            stored: "filed",
            tenant: self.tenant,
            bucket: self.bucket,
            covers: self.covers,
            until: self.until,
        };
        let looked = house.look_if_public(&takedown.tenant, &takedown.bucket, &takedown.covers).await?;
        let writer = house.pseudonym(&takedown.tenant, &operator);
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&takedown.tenant);
                let what = (&takedown.bucket, &takedown.covers);
                if !is_public(&mut tx, &takedown.tenant, what, &looked, now)? {
                    return Err(Failure::Conflict(NOT_PUBLIC.into()));
                }
                rows::insert(&mut tx, &takedown)?;
                let new = rows::NewStep {
                    act: "file",
                    operator: Some(&operator),
                    writer: writer.as_str(),
                    note: "",
                    at: now,
                };
                step(&mut tx, &takedown, &new)?;
                Ok(takedown.id)
            })
            .await
    }

    fn outcome_detail(id: &HandlingId) -> Map<String, Value> {
        parameters(json!({ "handling": { "id": id.as_str(), "act": "file" } }))
    }
}

fn operator(caller: &Caller) -> Result<bailee_types::OperatorId, Failure> {
    caller.operator().cloned().ok_or_else(|| {
        Failure::Conflict("takedowns are the provider's people's: sign in as an operator".into())
    })
}

impl Operation for Answered {
    type Output = (HandlingId, Answer);

    fn asks(&self) -> Asked {
        let k = &self.takedown;
        let action = match self.answer {
            Answer::Confirm => "bailee:ConfirmTakedown",
            Answer::Decline => "bailee:DeclineTakedown",
            Answer::Lift => "bailee:LiftTakedown",
        };
        let mut told = told((&k.bucket, &k.covers), &k.order, &k.reason, k.until);
        told.insert("handling".into(), k.id.as_str().into());
        told.insert("note".into(), self.note.chars().take(1_000).collect::<String>().into());
        for step in k.steps.iter().filter(|s| s.operator.is_some()) {
            // `filedBy`, `confirmedBy`: the tenant's log names everybody who had a hand in it.
            let by = if step.act == "file" { "filedBy" } else { "confirmedBy" };
            told.insert(by.into(), step.writer.as_str().into());
        }
        asked(&k.tenant, action, (&k.bucket, &k.covers), told)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let operator = operator(intent.caller())?;
        house.need_fresh_if_bound(intent.caller()).await?;
        let note = match self.answer {
            Answer::Confirm => line("note", &self.note, (0, 1_000))?,
            _ => line("note", &self.note, (5, 1_000))?,
        };
        let (answer, Takedown { id, tenant, bucket, covers, .. }) = (self.answer, self.takedown);
        let looked = house.look_if_public(&tenant, &bucket, &covers).await?;
        let (writer, name) = (house.pseudonym(&tenant, &operator), bucket.clone());
        let inner = Arc::clone(house);
        let done = house
            .db
            .write(move |tx| {
                let now = inner.now();
                let mut tx = tx.tenant(&tenant);
                let there =
                    rows::one(&mut tx, &id)?.ok_or_else(|| Failure::not_found(Thing::Handling, &id))?;
                let state = match (answer, there.state(now)) {
                    (Answer::Confirm | Answer::Decline, State::Filed) => {
                        if there.filer()?.operator.as_ref() == Some(&operator) {
                            return Err(Failure::Conflict(
                                "who filed it does not confirm: another person must".into(),
                            ));
                        }
                        if answer == Answer::Decline { "declined" } else { "in_force" }
                    }
                    (Answer::Lift, State::InForce) => "lifted",
                    (_, state) => {
                        return Err(Failure::Conflict(format!("takedown `{id}` is {}", state.word())));
                    }
                };
                if answer == Answer::Confirm {
                    if there.until.is_some_and(|until| until <= now) {
                        return Err(Failure::Conflict("its end has passed: file it anew".into()));
                    }
                    if !is_public(&mut tx, &tenant, (&bucket, &covers), &looked, now)? {
                        return Err(Failure::Conflict(NOT_PUBLIC.into()));
                    }
                    if rows::in_force(&mut tx, &bucket)? >= BLOCKS_MAX {
                        return Err(Failure::Conflict(format!(
                            "{BLOCKS_MAX} takedowns of this bucket are in force: take the bucket down"
                        )));
                    }
                }
                rows::set_state(&mut tx, &id, state)?;
                let (act, by) = (answer.word(), Some(&operator));
                let new = rows::NewStep { act, operator: by, writer: writer.as_str(), note: &note, at: now };
                step(&mut tx, &there, &new)?;
                Ok((id, answer))
            })
            .await;
        // Also when it failed: an answer that was lost on the way may have been stored.
        house.forget_access(&name);
        done
    }

    fn outcome_detail((id, answer): &Self::Output) -> Map<String, Value> {
        parameters(json!({ "handling": { "id": id.as_str(), "act": answer.word() } }))
    }
}

impl House {
    /// An operator confirms, declines or lifts a takedown: his act names the order and everybody who had a hand in it.
    ///
    /// # Errors
    /// When there is no such takedown, he may not, or it is not in the state for it.
    pub async fn answer_takedown(
        self: &Arc<Self>,
        caller: Caller,
        (tenant, id): (&TenantId, &HandlingId),
        answer: Answer,
        note: &str,
    ) -> Result<(), Failure> {
        let takedown = self.takedown(tenant, id).await?;
        self.perform(caller, Answered { takedown, answer, note: note.to_owned() }).await.map(drop)
    }
}

fn own(tenant: &TenantId, action: &'static str, relative: &str, class: Class) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, relative),
        resource_type: "ACS::Bailee::Handling",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters: Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for Acknowledge {
    type Output = ();

    fn asks(&self) -> Asked {
        let class = Class::Management { write: true };
        own(&self.tenant, "bailee:AcknowledgeHandling", &format!("handling/{}", self.id), class)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant's own people acknowledge".into()));
        }
        let (writer, now) = (intent.caller().name().to_owned(), house.now());
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::glass::postpone_from(&mut tx, &self.id, None)? {
                    return Ok(());
                }
                let there = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Handling, &self.id))?;
                if !there.acknowledged {
                    let (act, operator, note) = ("acknowledge", None, "");
                    let new = rows::NewStep { act, operator, writer: &writer, note, at: now };
                    rows::add_step(&mut tx, &self.id, &new)?;
                    rows::postpone_from(&mut tx, &self.id, None)?;
                }
                Ok(())
            })
            .await
    }
}

impl Operation for ListHandling {
    type Output = Listed;

    fn asks(&self) -> Asked {
        own(&self.tenant, "bailee:ListHandling", "handling/*", Class::Data)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Listed, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let takedowns = rows::all(&mut tx, self.limit)?;
                let glasses = rows::glass::all(&mut tx, self.limit)?;
                Ok(Listed { glasses, takedowns, changes: rows::changes(&mut tx, self.limit)? })
            })
            .await
    }
}
