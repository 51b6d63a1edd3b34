//! What a tenant asks of witnesses: its own, over its own log, and whether operators wait for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_proof::policy::Policy;
use bailee_proof::record::Kind;
use bailee_store::{StoreError, TenantTx};
use bailee_types::{TenantId, Timestamp};
use serde_json::{Map, json};

use super::super::look::trail_asked;
use super::{rows, serve};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// An operator's act waits so long for witnesses, then it is not done.
const WAIT: Duration = Duration::from_secs(20);
/// Another process may have collected the line: look at least so often.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a tenant's policy, at most: it must fit into a record.
const POLICY_BYTES_MAX: usize = 16 * 1024;
/// Witnesses of one tenant, at most.
const WITNESSES_MAX: usize = 16;

/// Sets a tenant's own witnesses and whether operators wait.
#[derive(Clone, Debug)]
pub struct SetWitnessing {
    /// Whose log.
    pub tenant: TenantId,
    /// A C2SP tlog-policy: `witness` lines with addresses, groups, a quorum; empty for none of its own.
    pub policy: String,
    /// Whether an operator's act waits until its intent is cosigned.
    pub before_act: bool,
}

/// Shows a tenant's witnesses and what they said last.
#[derive(Clone, Debug)]
pub struct ShowWitnessing {
    /// Whose log.
    pub tenant: TenantId,
}

/// See [`SetWitnessing`].
#[derive(Clone, Debug)]
pub struct Witnessing {
    /// The tenant's policy; empty for none.
    pub policy: String,
    /// Whether operators wait.
    pub before_act: bool,
    /// Its own witnesses and those of the provider, over the head log.
    pub witnesses: Vec<WitnessState>,
}

/// What a witness said last.
#[derive(Clone, Debug)]
pub struct WitnessState {
    /// The name in its policy.
    pub name: String,
    /// The log that it cosigns.
    pub origin: String,
    /// The largest size that it cosigned and when; none for never.
    pub last: Option<(u64, Timestamp)>,
}

impl Operation for SetWitnessing {
    type Output = ();

    fn asks(&self) -> Asked {
        // The policy itself stands in a record of its own, once it is found to be one.
        let said = json!({ "policyBytes": self.policy.len(), "beforeAct": self.before_act });
        trail_asked(
            &self.tenant,
            "bailee:SetTrailWitnesses",
            Class::Management { write: true },
            parameters(said),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let own = check(&self.policy)?;
        let provided = house.witness_policy().is_some_and(|p| p.asks_for_witnesses());
        if self.before_act && !provided && !own.as_ref().is_some_and(Policy::asks_for_witnesses) {
            return Err(Failure::Invalid {
                field: "beforeAct",
                why: "operators can only wait for witnesses when there are some with a quorum: name your own"
                    .into(),
            });
        }
        let log = house.log_keys(&self.tenant).await?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let text =
                    if self.policy.trim().is_empty() { "quorum none\n".to_owned() } else { self.policy.clone() };
                super::super::append(tx, &log, Kind::Log, now, |_| {
                    parameters(json!({ "eventName": "SetTrailWitnesses", "policy": text, "beforeAct": self.before_act }))
                })?;
                rows::set_witnessing(&mut tx.tenant(&self.tenant), self.policy.trim(), self.before_act)
                    .map_err(Failure::from)
            })
            .await?;
        house.trail.changed.notify_one();
        house.trail.heads.signed.notify_one();
        Ok(())
    }
}

fn check(text: &str) -> Result<Option<Policy>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wrong = |why: String| Failure::Invalid { field: "policy", why };
    if text.len() > POLICY_BYTES_MAX {
        return Err(wrong(format!("must have at most {POLICY_BYTES_MAX} bytes")));
    }
    let policy = Policy::parse(text.as_bytes()).map_err(|e| wrong(e.to_string()))?;
    if policy.witnesses().len() > WITNESSES_MAX {
        return Err(wrong(format!("it names more than {WITNESSES_MAX} witnesses")));
    }
    if let Some(nowhere) = policy.witnesses().iter().find(|w| w.url.is_none()) {
        return Err(wrong(format!(
            "witness `{}` has no address: put the prefix of its add-checkpoint after its key",
            nowhere.name
        )));
    }
    Ok(Some(policy))
}

impl Operation for ShowWitnessing {
    type Output = Witnessing;

    fn asks(&self) -> Asked {
        trail_asked(&self.tenant, "bailee:GetTrailWitnesses", Class::Data, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Witnessing, Failure> {
        let log = house.log_keys(&self.tenant).await?;
        let head_log = house.head_log()?.origin.clone();
        let provided = house.witness_policy();
        house
            .db
            .read(move |tx| {
                let (text, before_act) = rows::witnessing(&mut tx.tenant(&log.tenant))?;
                let own = Policy::parse(text.as_bytes()).ok();
                let mut witnesses = Vec::new();
                for (policy, origin) in [(own.as_ref(), &log.origin), (provided.as_deref(), &head_log)] {
                    for witness in policy.map(Policy::witnesses).unwrap_or_default() {
                        let key = witness.key.to_string();
                        let last = rows::last_cosigned(tx, origin, &key)?.map(|(size, at)| {
                            (
                                size,
                                Timestamp::from_ms(
                                    i64::try_from(at.saturating_mul(1000)).unwrap_or(i64::MAX),
                                ),
                            )
                        });
                        witnesses.push(WitnessState {
                            name: witness.name.clone(),
                            origin: origin.clone(),
                            last,
                        });
                    }
                }
                Ok(Witnessing { policy: text, before_act, witnesses })
            })
            .await
    }
}

/// Whether a tenant wants operators to wait; read in the transaction of the intent.
pub(crate) fn waits_for_witnesses(tx: &mut TenantTx<'_, '_>) -> Result<bool, StoreError> {
    rows::witnessing(tx).map(|(_, before_act)| before_act)
}

impl House {
    /// Waits until a record is under a head that the witnesses cosigned.
    ///
    /// # Errors
    /// When it is not in time: then the act must not happen.
    pub(crate) async fn await_witnesses(
        self: &Arc<Self>,
        tenant: &TenantId,
        record: u64,
    ) -> Result<(), Failure> {
        let id = tenant.clone();
        let (text, _) =
            self.db.read(move |tx| rows::witnessing(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        let own = Policy::parse(text.as_bytes()).ok().filter(Policy::asks_for_witnesses);
        let until = Instant::now() + WAIT;
        loop {
            let cosigned = self.trail.heads.cosigned.notified();
            if self.is_witnessed(tenant, record, own.clone()).await? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Failure::Unavailable(
                    "the tenant wants witnesses to cosign the record of this act first, and they did not in time; \
                     nothing was done: try again when the witnesses answer"
                        .into(),
                ));
            }
            self.trail.changed.notify_one();
            let _ = tokio::time::timeout(LOOK, cosigned).await;
        }
    }

    async fn is_witnessed(
        &self,
        tenant: &TenantId,
        record: u64,
        own: Option<Policy>,
    ) -> Result<bool, Failure> {
        let provided = self.witness_policy().filter(|p| p.asks_for_witnesses());
        if own.is_none() && provided.is_none() {
            return Ok(false);
        }
        let log = self.log_keys(tenant).await?;
        let head_log = self.head_log()?.origin.clone();
        self.db
            .read(move |tx| {
                if let Some(policy) = own {
                    let size = serve::newest_quorum(tx, &log.origin, &policy)?;
                    if size.is_none_or(|size| size <= record) {
                        return Ok(false);
                    }
                }
                if let Some(policy) = provided {
                    let Some(size) = serve::newest_quorum(tx, &head_log, &policy)? else { return Ok(false) };
                    return rows::has_head_over(&mut tx.tenant(&log.tenant), record, size)
                        .map_err(Failure::from);
                }
                Ok(true)
            })
            .await
    }
}
