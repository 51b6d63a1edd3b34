//! What happens to keys by itself: rotation, end of brought material, destruction; and the records of their uses.

use std::sync::Arc;
use std::time::Duration;

use bailee_types::{KeyId, TenantId, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::manage::{CreateVersion, WRITE, find, on_key};
use super::rows::{self, Due, Pending};
use super::{KeyAct, KeyCx};
use crate::gate::Class;
use crate::keys::policy::Guarded;
use crate::{Failure, House};

/// How often it is looked what is due, and uses are written down.
const ROUND: Duration = Duration::from_secs(60);
/// After so many rounds what was written down becomes a record of the tenant's log.
const ROUNDS: u32 = 60;
/// Keys, days and operations in one record of uses.
const NAMED_MAX: usize = 200;
const PENDING_MAX: i64 = 10_000;

const DAY_MS: i64 = 86_400_000;

/// The worker.
pub(crate) async fn keep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut rounds = 0;
    loop {
        // At the start, too: what a process that died left half done is finished at once.
        if let Err(e) = house.keep_keys().await {
            tracing::warn!("keys could not be looked after: {e}");
        }
        let ends = tokio::select! {
            () = tokio::time::sleep(ROUND) => false,
            _ = stop.wait_for(|s| *s) => true,
        };
        rounds += 1;
        let noted = if ends || rounds % ROUNDS == 0 {
            house.note_key_uses().await
        } else {
            house.write_key_uses().await
        };
        if let Err(e) = noted {
            tracing::warn!("uses of keys could not be written down: {e}");
        }
        if ends {
            return;
        }
    }
}

impl House {
    /// Does what is due of keys and secrets: rotates, ends brought material, destroys. Answers how many were changed.
    ///
    /// # Errors
    /// When the database cannot be read. One key's trouble is not another's.
    pub async fn keep_keys(self: &Arc<Self>) -> Result<u64, Failure> {
        let mut done = self.destroy_due_secrets().await?;
        done += self.rotate_due_secrets().await?;
        // A key that is to be destroyed is neither rotated nor emptied.
        for what in [Due::Deletion, Due::Material, Due::Rotation] {
            let now = self.now();
            let due = self.db.read(move |tx| rows::due(tx, what, now).map_err(Failure::from)).await?;
            for (tenant, key) in due {
                let caller = self.system_caller("key keeper");
                let ended = match what {
                    Due::Deletion => {
                        self.perform(caller, Destroy { key: key.clone() }.of(&tenant, self)).await.map(drop)
                    }
                    Due::Material => {
                        self.perform(caller, EndMaterial { key: key.clone() }.of(&tenant, self)).await
                    }
                    Due::Rotation => {
                        let act = CreateVersion { key: key.clone(), by_interval: true };
                        self.perform(caller, act.of(&tenant, self)).await.map(drop)
                    }
                };
                match ended {
                    Ok(()) => done += 1,
                    Err(e) => {
                        tracing::warn!(tenant.id = %tenant, key.id = %key, "a key could not be looked after: {e}")
                    }
                }
            }
        }
        Ok(done)
    }

    /// Writes down how often keys were used since the last time.
    ///
    /// # Errors
    /// When the database cannot be written; what was not written is kept for the next time.
    pub async fn write_key_uses(&self) -> Result<(), Failure> {
        let uses = self.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let (all, day) = (uses.clone(), self.now().ms().div_euclid(DAY_MS));
        let written: Result<(), Failure> = self
            .db
            .write(move |tx| {
                for (tenant, uses) in &all {
                    for (key, operation, times) in uses {
                        rows::add_uses(&mut tx.tenant(tenant), key, (day, operation, *times))?;
                    }
                }
                Ok(())
            })
            .await;
        if written.is_err() {
            for (tenant, uses) in uses {
                for (key, operation, times) in uses {
                    self.count_use(&tenant, &key, operation, times);
                }
            }
        }
        written
    }

    /// The same, and makes records of the tenants' logs of what does not stand there yet.
    ///
    /// # Errors
    /// When a log cannot be written; what is not in it is noted the next time.
    pub async fn note_key_uses(self: &Arc<Self>) -> Result<(), Failure> {
        self.write_key_uses().await?;
        let pending = self.db.read(|tx| rows::pending(tx, PENDING_MAX).map_err(Failure::from)).await?;
        let mut failed = None;
        for of_one in pending.chunk_by(|a, b| a.tenant == b.tenant) {
            for some in of_one.chunks(NAMED_MAX) {
                let Some(first) = some.first() else { continue };
                let act = NoteUses { uses: some.to_vec() }.of(&first.tenant, self);
                if let Err(e) = self.perform(self.system_caller("key keeper"), act).await {
                    failed = Some(e);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Destroys a key whose time has come.
struct Destroy {
    key: KeyId,
}

impl KeyAct for Destroy {
    type Output = Value;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DestroyKey"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Value, Failure> {
        let id = self.key.clone();
        let told = cx
            .write(move |tx, now| {
                let key = find(tx, &self.key)?;
                if key.delete_at.is_none_or(|at| at > now) {
                    return Err(Failure::Conflict("the key was called back meanwhile".into()));
                }
                let versions = rows::versions(tx, &self.key)?;
                rows::destroy(tx, &self.key)?;
                Guarded::Key(self.key).drop_policy(tx)?;
                Ok(json!({
                    "keySpec": key.spec.name(),
                    "versions": versions.iter().map(|v| v.0.as_str()).collect::<Vec<_>>(),
                }))
            })
            .await?;
        cx.house.forget_key(cx.tenant, &id);
        Guarded::Key(id).forget(cx);
        cx.house.db.forget_deleted().await?;
        Ok(told)
    }

    fn outcome(told: &Value) -> Value {
        told.clone()
    }
}

/// Destroys all keys of a tenant whose account is closed, and what is known of its key stores; answers the ids.
pub(crate) async fn destroy_all(house: &Arc<House>, tenant: &TenantId) -> Result<Vec<String>, Failure> {
    let (of, now) = (tenant.clone(), house.now());
    let all =
        house.db.write(move |tx| rows::make_due(&mut tx.tenant(&of), now).map_err(Failure::from)).await?;
    let mut out = Vec::with_capacity(all.len());
    for key in all {
        let id = key.to_string();
        house.perform(house.system_caller("account closure"), Destroy { key }.of(tenant, house)).await?;
        out.push(id);
    }
    let of = tenant.clone();
    house.db.write(move |tx| rows::delete_stores(&mut tx.tenant(&of)).map_err(Failure::from)).await?;
    Ok(out)
}

/// Ends material whose time is over.
struct EndMaterial {
    key: KeyId,
}

impl KeyAct for EndMaterial {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DeleteKeyMaterial"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "why": "the time that was given for the material is over" })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.change(&self.key, |tx, key, now| {
            if key.material_until.is_none_or(|until| until > now) {
                return Err(Failure::Conflict("the material was brought again meanwhile".into()));
            }
            super::import::remove(tx, key)
        })
        .await?;
        cx.house.db.forget_deleted().await.map_err(Failure::from)
    }
}

/// Uses of keys, as a record of the tenant's log.
struct NoteUses {
    uses: Vec<Pending>,
}

impl KeyAct for NoteUses {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:NoteKeyUses"
    }

    fn on(&self) -> String {
        "key/*".into()
    }

    fn detail(&self) -> Value {
        let told = self.uses.iter().map(|p| {
            let day = Timestamp::from_ms(p.day * DAY_MS).iso();
            json!({ "keyId": p.key.as_str(), "day": day.get(..10), "operation": p.operation,
                    "times": p.uses - p.noted })
        });
        json!({ "uses": told.collect::<Vec<_>>() })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.write(move |tx, _| {
            for one in &self.uses {
                if !rows::note(tx, one)? {
                    return Err(Failure::Conflict("another process notes these uses".into()));
                }
            }
            Ok(())
        })
        .await
    }
}
