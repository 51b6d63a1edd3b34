//! A new key for a tenant's log: the old one signs that it passes on to the new one, in a record of the log itself.

use std::sync::Arc;

use bailee_proof::note::{Signer, VerifierKey};
use bailee_proof::record::Kind;
use bailee_proof::rotation::{KeyChain, Rotation};
use bailee_store::TenantTx;
use bailee_types::{TenantId, random_bytes};
use serde_json::{Map, json};

use super::super::look::trail_asked;
use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Changes the key of a tenant's log. Answers the new verification key.
#[derive(Clone, Debug)]
pub struct RotateLogKey {
    /// Whose log.
    pub tenant: TenantId,
}

/// The keys of a log over time, out of its rows.
pub(in crate::trail) fn key_chain(
    tx: &mut TenantTx<'_, '_>,
    first: &VerifierKey,
) -> Result<KeyChain, Failure> {
    let damaged = |e: &dyn std::fmt::Display| Failure::Damaged(format!("a change of key: {e}"));
    let mut chain = KeyChain::new(first.clone());
    for note in rows::key_changes(tx)? {
        let rotation = Rotation::open(note.as_bytes()).map_err(|e| damaged(&e))?;
        chain.rotate(rotation).map_err(|e| damaged(&e))?;
    }
    Ok(chain)
}

impl Operation for RotateLogKey {
    type Output = String;

    fn asks(&self) -> Asked {
        trail_asked(&self.tenant, "bailee:RotateLogKey", Class::Management { write: true }, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<String, Failure> {
        let log = house.log_keys(&self.tenant).await?;
        let key = house.tenant_key(&self.tenant).await?;
        let now = house.now();
        let vkey = house
            .db
            .write(move |tx| {
                log.expect_current(tx)?;
                let index = super::super::rows::head(&mut tx.tenant(&log.tenant))?.size;
                let seed = random_bytes::<32>();
                let new = Signer::from_seed(&log.origin, &seed).map_err(|e| Failure::Bug(e.to_string()))?;
                let note =
                    Rotation::sign(index, &log.signer, &new).map_err(|e| Failure::Bug(e.to_string()))?;
                let (event, vkey) = (note.clone(), new.verifier().to_string());
                super::super::append(tx, &log, Kind::Log, now, |_| {
                    parameters(json!({ "eventName": "RotateLogKey", "rotation": event }))
                })?;
                let mut tx = tx.tenant(&log.tenant);
                let change = rows::key_changes(&mut tx)?.len() as u64 + 1;
                rows::insert_key_change(&mut tx, change, index, &note)?;
                rows::set_key(&mut tx, &vkey, &key.seal_trail("signing seed", &seed))?;
                Ok::<_, Failure>(vkey)
            })
            .await?;
        house.forget_log_keys(&self.tenant);
        house.trail.changed.notify_one();
        Ok(vkey)
    }

    fn outcome_detail(vkey: &String) -> Map<String, serde_json::Value> {
        parameters(json!({ "key": vkey }))
    }
}
