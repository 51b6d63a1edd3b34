//! Closing an account: its owner asks, may call it back while it waits, and then everything of it is destroyed, with a report.
//!
//! INVARIANT: nobody can sign in, and no key signs, before anything is destroyed: nothing new comes behind.
//! INVARIANT: what is retained outlives the account: the account stays closed to everybody, and is ended when it may be.
//! INVARIANT: the account's log stays, and tells of all of it; each destruction has its certificate.

mod rows;

use std::sync::Arc;
use std::time::Duration;

use bailee_proof::hash::sha256;
use bailee_store::TenantTx;
use bailee_types::{Arn, SecretText, TenantId, Timestamp, random_text};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Principal, Touches};
use crate::keys::{Resealed, TenantKey};
use crate::vault::{DeleteBucket, DestroyObjects, DestroyPapers, ListBuckets};
use crate::{Failure, House, Thing, identity, keys, notices, trail};

/// Days that a closure waits at most.
pub const WAIT_DAYS_MAX: u32 = 90;
const DAY_MS: i64 = 86_400_000;
/// How often it is looked what is due.
const ROUND: Duration = Duration::from_secs(30);
const PURPOSE: &str = "report of an account's closure";

/// How far a closure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosureState {
    /// It waits, and can be called back.
    Waiting,
    /// What may be destroyed is; something is retained.
    Ending,
    /// Nothing is left but the log.
    Closed,
}

impl ClosureState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ending => "ending",
            Self::Closed => "closed",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Ending, Self::Closed].into_iter().find(|s| s.word() == word)
    }
}

/// A closure.
#[derive(Clone, Debug)]
pub struct Closure {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it begins, or is tried again.
    pub due_at: Timestamp,
    /// How far it is.
    pub state: ClosureState,
    sealed_report: Option<Vec<u8>>,
}

fn asked(tenant: &TenantId, action: &'static str, write: bool) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "account"),
        resource_type: "ACS::Bailee::Account",
        class: Class::Management { write },
        touches: Touches::Metadata,
        ticket: None,
        parameters: Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// Only the owner closes an account, and calls it back.
fn only_root(intent: &Intent, tenant: &TenantId) -> Result<(), Failure> {
    match intent.caller().principal() {
        Principal::Root { tenant: own, .. } if own == tenant => Ok(()),
        _ => Err(Failure::Conflict("only the account's root closes it, or calls that back".into())),
    }
}

/// Asks for everything to be destroyed.
#[derive(Clone, Debug)]
pub struct CloseAccount {
    /// The tenant.
    pub tenant: TenantId,
    /// Days until it begins, 0 to [`WAIT_DAYS_MAX`].
    pub days: u32,
}

impl Operation for CloseAccount {
    /// The receipt: shown once, and good for reading the report when nobody can sign in any more.
    type Output = (SecretText, Timestamp);

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "bailee:CloseAccount", true);
        asked.parameters = parameters(json!({ "days": self.days }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        only_root(intent, &self.tenant)?;
        house.need_fresh_if_bound(intent.caller()).await?;
        if self.days > WAIT_DAYS_MAX {
            return Err(Failure::invalid("days", format!("must be 0 to {WAIT_DAYS_MAX}")));
        }
        let now = house.now();
        let closure = Closure {
            asked_at: now,
            due_at: now.plus_ms(i64::from(self.days) * DAY_MS),
            state: ClosureState::Waiting,
            sealed_report: None,
        };
        let receipt = random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 40);
        let (hash, due_at) = (receipt_hash(&receipt), closure.due_at);
        house
            .db
            .write(move |tx| {
                if rows::insert(&mut tx.tenant(&self.tenant), &closure, &hash)? {
                    return Ok(());
                }
                Err(Failure::Conflict("the account is being closed already".into()))
            })
            .await?;
        Ok((SecretText::new(receipt), due_at))
    }

    fn outcome_detail((_, due_at): &Self::Output) -> Map<String, Value> {
        parameters(json!({ "dueAt": due_at.iso() }))
    }
}

fn receipt_hash(receipt: &str) -> [u8; 32] {
    sha256(&[b"bailee/closure-receipt/v1", receipt.as_bytes()]).0
}

/// Calls a closure back while it waits.
#[derive(Clone, Debug)]
pub struct CancelClosure {
    /// The tenant.
    pub tenant: TenantId,
}

impl Operation for CancelClosure {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:CancelClosure", true)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        only_root(intent, &self.tenant)?;
        house
            .db
            .write(move |tx| match rows::call_back(&mut tx.tenant(&self.tenant))? {
                true => Ok(()),
                false => Err(Failure::Conflict("no closure waits that could be called back".into())),
            })
            .await
    }
}

/// How far the closure of an account is; none when nobody asked for one.
#[derive(Clone, Debug)]
pub struct GetClosure {
    /// The tenant.
    pub tenant: TenantId,
}

impl Operation for GetClosure {
    /// The closure, and its report as far as it goes.
    type Output = Option<(Closure, Option<Value>)>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetClosure", false)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Self::Output, Failure> {
        let tenant = self.tenant.clone();
        let found =
            house.db.read(move |tx| rows::one(&mut tx.tenant(&tenant)).map_err(Failure::from)).await?;
        let Some(closure) = found else { return Ok(None) };
        let report = house.report_of(&self.tenant, &closure).await?;
        Ok(Some((closure, report)))
    }
}

/// Destroys what an account has: the worker's act.
struct EraseAccount {
    tenant: TenantId,
}

impl Operation for EraseAccount {
    type Output = Value;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:EraseAccount", true)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Value, Failure> {
        let tenant = &self.tenant;
        if intent.caller().closes() != Some(tenant) {
            return Err(Failure::Bug("an account is erased by its closure only".into()));
        }
        let before = {
            let tenant = tenant.clone();
            house.db.read(move |tx| rows::one(&mut tx.tenant(&tenant)).map_err(Failure::from)).await?
        };
        let before = before.ok_or_else(|| Failure::Conflict("the closure was called back".into()))?;
        // What an earlier round did stays in the report.
        let mut report = house.report_of(tenant, &before).await?.unwrap_or_else(|| {
            json!({ "account": tenant.as_str(), "askedAt": before.asked_at.iso(), "buckets": [], "keys": [], "secrets": [] })
        });
        // First nobody comes in any more; a closure that was called back in this moment is not begun.
        let of = tenant.clone();
        let (due, people) = (before.due_at, identity::erase_people);
        let now = house.now();
        let gone = house
            .db
            .write(move |tx| {
                let mut own = tx.tenant(&of);
                if rows::one(&mut own)?.is_none() {
                    return Err(Failure::Conflict("the closure was called back".into()));
                }
                rows::set(&mut own, ClosureState::Ending, due, None)?;
                crate::broker::end_all(&mut own, now)?;
                trail::forget_targets(&mut own)?;
                notices::forget(&mut own)?;
                people(tx, &of).map_err(Failure::from)
            })
            .await?;
        house.forget_people(tenant);
        // Other servers believe for a moment what they read of keys and roles.
        if !gone.is_empty() {
            let moment = u64::try_from(identity::FRESH_MS).unwrap_or(0) + 1_000;
            tokio::time::sleep(Duration::from_millis(moment)).await;
        }
        add(&mut report, "people", gone);
        let retained = destroy_objects(house, intent, tenant, &mut report).await?;
        let papers = DestroyPapers { tenant: tenant.clone() };
        let (count, bytes) = house.perform(intent.caller().clone(), papers).await?;
        add(&mut report, "documents", vec![("count", count), ("bytes", bytes)]);
        if retained == 0 {
            // A key under which something retained lies is needed until that ends.
            for secret in keys::secret::destroy_all(house, tenant).await? {
                push(&mut report, "secrets", json!(secret));
            }
            for key in keys::cmk::destroy_all(house, tenant).await? {
                push(&mut report, "keys", json!(key));
            }
        }
        let now = house.now();
        let log = house.head(tenant).await?;
        if let Some(told) = report.as_object_mut() {
            told.insert("retainedVersions".into(), retained.into());
            told.insert("state".into(), if retained == 0 { "closed" } else { "ending" }.into());
            told.insert("at".into(), now.iso().into());
            told.insert(
                "log".into(),
                json!({ "origin": log.origin, "key": log.vkey, "records": log.records }),
            );
        }
        let text = report.to_string();
        let sealed = house.tenant_key(tenant).await?.seal_trail(PURPOSE, text.as_bytes());
        let (state, due_at) = match retained {
            0 => (ClosureState::Closed, now),
            _ => (ClosureState::Ending, now.plus_ms(DAY_MS)),
        };
        let of = tenant.clone();
        house
            .db
            .write(move |tx| {
                rows::set(&mut tx.tenant(&of), state, due_at, Some(&sealed)).map_err(Failure::from)
            })
            .await?;
        house.db.forget_deleted().await?;
        Ok(
            json!({ "state": state.word(), "retained": retained, "reportSha256": sha256(&[text.as_bytes()]).to_string() }),
        )
    }

    fn outcome_detail(told: &Value) -> Map<String, Value> {
        parameters(told.clone())
    }
}

/// Seals the report of a closure anew, where it lies under an older version of the tenant's key.
pub(crate) fn reseal(tx: &mut TenantTx<'_, '_>, key: &TenantKey) -> Result<Resealed, Failure> {
    let mut done = Resealed::default();
    if let Some(sealed) = rows::one(tx)?.and_then(|c| c.sealed_report)
        && let Some(after) = key.reseal_trail(PURPOSE, &sealed)?
    {
        done.note(rows::reseal(tx, (&sealed, &after))?);
    }
    Ok(done)
}

fn push(report: &mut Value, list: &str, item: Value) {
    if let Some(list) = report.get_mut(list).and_then(Value::as_array_mut) {
        list.push(item);
    }
}

/// Adds counts to what an earlier round counted.
fn add(report: &mut Value, name: &str, more: Vec<(&'static str, u64)>) {
    let Some(report) = report.as_object_mut() else { return };
    let Some(told) = report.entry(name).or_insert_with(|| json!({})).as_object_mut() else { return };
    for (what, count) in more {
        let before = told.get(what).and_then(Value::as_u64).unwrap_or(0);
        told.insert(what.to_owned(), (before + count).into());
    }
}

/// Destroys all objects, each act with its certificate, and the buckets that are empty then. Answers how many versions stay.
async fn destroy_objects(
    house: &Arc<House>,
    intent: &Intent,
    tenant: &TenantId,
    report: &mut Value,
) -> Result<u64, Failure> {
    let caller = || intent.caller().clone();
    let buckets = house.perform(caller(), ListBuckets { tenant: tenant.clone(), ticket: None }).await?;
    let mut stay = 0;
    for bucket in buckets {
        let mut retained;
        loop {
            let op = DestroyObjects {
                tenant: tenant.clone(),
                bucket: bucket.name.clone(),
                prefix: String::new(),
                exact: false,
            };
            let done = house.perform(caller(), op).await?;
            retained = done.retained;
            if done.done.items > 0 {
                push(
                    report,
                    "buckets",
                    json!({ "bucket": bucket.name.as_str(), "certificate": done.done.record,
                            "items": done.done.items, "bytes": done.done.bytes, "listSha256": done.list_sha256 }),
                );
            }
            if !done.more || (done.done.items == 0 && done.markers == 0) {
                break;
            }
        }
        stay += retained;
        if retained == 0 {
            house.perform(caller(), DeleteBucket { tenant: tenant.clone(), bucket: bucket.name }).await?;
        }
    }
    Ok(stay)
}

/// Ends what is due until `stop`.
pub(crate) async fn close_accounts(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.close_due_accounts().await {
            tracing::warn!("closures cannot be read: {e}");
        }
    }
}

impl House {
    /// Ends the accounts whose closure is due; answers how many acts there were. One account's trouble is not another's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn close_due_accounts(self: &Arc<Self>) -> Result<u64, Failure> {
        let now = self.now();
        let due = self.db.read(move |tx| rows::due(tx, now).map_err(Failure::from)).await?;
        let mut done = 0;
        for tenant in due {
            match self.perform(Caller::closing(&tenant), EraseAccount { tenant: tenant.clone() }).await {
                Ok(_) => done += 1,
                Err(e) => tracing::warn!(tenant.id = %tenant, "an account could not be ended: {e}"),
            }
        }
        Ok(done)
    }

    async fn report_text(&self, tenant: &TenantId, closure: &Closure) -> Result<Option<String>, Failure> {
        let Some(sealed) = &closure.sealed_report else { return Ok(None) };
        let text = self.tenant_key(tenant).await?.open_trail(PURPOSE, sealed)?;
        String::from_utf8(text.expose().to_vec())
            .map(Some)
            .map_err(|_| Failure::Damaged("the report of a closure is no text".into()))
    }

    async fn report_of(&self, tenant: &TenantId, closure: &Closure) -> Result<Option<Value>, Failure> {
        let Some(text) = self.report_text(tenant, closure).await? else { return Ok(None) };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Failure::Damaged(format!("the report of a closure: {e}")))
    }

    /// The report's exact text, whose SHA-256 stands in the log, for who has the receipt.
    ///
    /// # Errors
    /// When there is no such receipt, or no report yet.
    pub async fn closure_report_text(&self, receipt: &str) -> Result<String, Failure> {
        let (tenant, closure) = self.by_receipt(receipt).await?;
        let text = self.report_text(&tenant, &closure).await?;
        text.ok_or_else(|| Failure::not_found(Thing::Tenant, "of this receipt"))
    }

    async fn by_receipt(&self, receipt: &str) -> Result<(TenantId, Closure), Failure> {
        let hash = receipt_hash(receipt);
        self.db
            .read(move |tx| rows::by_receipt(tx, &hash).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Tenant, "of this receipt"))
    }

    /// The report of a closure, for who has its receipt.
    ///
    /// # Errors
    /// When there is no such receipt.
    pub async fn closure_report(&self, receipt: &str) -> Result<(Closure, Option<Value>), Failure> {
        let (tenant, closure) = self.by_receipt(receipt).await?;
        let report = self.report_of(&tenant, &closure).await?;
        Ok((closure, report))
    }

    /// A certificate of destruction of a closed account, for who has its receipt.
    ///
    /// # Errors
    /// When there is no such receipt or certificate.
    pub async fn closure_certificate(&self, receipt: &str, record: u64) -> Result<String, Failure> {
        let (tenant, _) = self.by_receipt(receipt).await?;
        crate::vault::certificate(self, &tenant, record).await
    }
}
