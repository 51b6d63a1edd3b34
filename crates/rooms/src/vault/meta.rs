//! Changing what is sealed beside an object's content: no byte of content moves.

use bailee_types::TenantId;

use super::get::{find, open_meta};
use super::retain::VersionOf;
use super::{Bucket, ObjectMeta, bucket, rows};
use crate::gate::Intent;
use crate::{Failure, House};

/// How often a change is tried against writers.
const TRIES: u32 = 8;

/// Refuses an operator: what is sealed with an object tells of content.
pub(super) fn not_for_operators(intent: &Intent, tenant: &TenantId) -> Result<(), Failure> {
    match intent.is_tenants(tenant) {
        true => Ok(()),
        false => Err(Failure::Conflict(
            "what is sealed with an object is the tenant's to read and change; an operator reads it with the object"
                .into(),
        )),
    }
}

impl House {
    /// Changes a version's metadata; begins anew when they were changed meanwhile. `holds` is asked of the bucket in the
    /// transaction of the change.
    pub(super) async fn change_meta(
        &self,
        intent: &Intent,
        of: VersionOf,
        holds: impl Fn(&Bucket) -> Result<(), Failure> + Clone + Send + 'static,
        change: impl Fn(&mut ObjectMeta) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let VersionOf { tenant, bucket, key, which } = of;
        not_for_operators(intent, &tenant)?;
        for _ in 0..TRIES {
            let row = find(self, &tenant, &bucket, &key, which.as_ref()).await?;
            let opener = self.tenant_key_version(&tenant, row.key_version).await?;
            let mut meta = open_meta(&opener, &bucket, &row.version, &row.sealed_meta)?;
            change(&mut meta)?;
            let plain = serde_json::to_vec(&meta).map_err(|e| Failure::Bug(e.to_string()))?;
            let sealed = opener.seal_metadata(&bucket, &row.version, &plain);
            let (t, b, holds) = (tenant.clone(), bucket.clone(), holds.clone());
            let done = self
                .db
                .write(move |tx| {
                    let mut tx = tx.tenant(&t);
                    holds(&bucket::known(&mut tx, &b)?)?;
                    rows::replace_meta(&mut tx, &row, &sealed).map_err(Failure::from)
                })
                .await?;
            if done {
                return Ok(());
            }
        }
        Err(Failure::Unavailable("the object is written all the time; try again".into()))
    }
}
