//! Destruction that can be shown: the owner destroys what lies under a name or a prefix, all versions and uploads of it, and gets
//! a certificate that names each with the fingerprint of the wrapped key that is gone.
//!
//! INVARIANT: a certificate and what it certifies are one commit; the digest of its list stands in the outcome of the act.
//! What is retained stays and is counted.

use std::io::{Read, Write};
use std::sync::Arc;

use bailee_proof::destruction::{Certificate, Item, fingerprint};
use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use super::bucket::known;
use super::list::successor;
use super::retain::Guard;
use super::{Upload, Which, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House, Thing};

/// Versions, markers and uploads of one act.
pub const DESTROY_MAX: usize = 1_000;
/// Versions looked at in one read, and reads of one act: what is retained is passed over, but not without end.
const LOOK: u32 = 500;
/// Bytes of a prefix: no key has more.
const PREFIX_MAX: usize = 1_023;
const LOOKS_MAX: u32 = 200;

/// Destroys all versions, delete markers and uploads under way of the keys that it names, at most [`DESTROY_MAX`] in one act.
#[derive(Clone, Debug)]
pub struct DestroyObjects {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Keys that begin so; empty: all.
    pub prefix: String,
    /// Only the key that is the prefix.
    pub exact: bool,
}

/// What was destroyed.
#[derive(Clone, Debug)]
pub struct Destruction {
    /// The index of the act's intent in the tenant's log; also the certificate's number.
    pub record: u64,
    /// When.
    pub at: Timestamp,
    /// The bucket.
    pub bucket: BucketName,
    /// Versions and uploads.
    pub items: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// What an act destroyed, and what it left.
#[derive(Clone, Debug)]
pub struct Destroyed {
    /// What was destroyed.
    pub done: Destruction,
    /// Delete markers that went, too.
    pub markers: u64,
    /// Versions that are retained and stay.
    pub retained: u64,
    /// Whether more lies there than one act destroys.
    pub more: bool,
    /// SHA-256 of the certificate's list, hex.
    pub list_sha256: String,
    /// The certificate.
    pub certificate: String,
}

/// What is to be destroyed.
#[derive(Default)]
struct Plan {
    versions: Vec<(ObjectKey, ObjectVersionId)>,
    uploads: Vec<Upload>,
    retained: u64,
    more: bool,
}

/// What one commit did.
#[derive(Default)]
struct Work {
    items: Vec<Item>,
    markers: u64,
    retained: u64,
    more: bool,
}

impl Operation for DestroyObjects {
    type Output = Destroyed;

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:DestroyObjects");
        asked.class = Class::Management { write: true };
        asked.parameters = parameters(json!({
            "bucket": self.bucket.as_str(), "exact": self.exact,
            "prefix": self.prefix.chars().take(PREFIX_MAX).collect::<String>(),
        }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Destroyed, Failure> {
        if self.prefix.len() > PREFIX_MAX {
            return Err(Failure::invalid("prefix", format!("must have at most {PREFIX_MAX} bytes")));
        }
        if self.exact {
            ObjectKey::parse(&self.prefix).map_err(|e| Failure::invalid("key", e.to_string()))?;
        }
        let closes = intent.caller().closes() == Some(&self.tenant);
        if intent.caller().tenant() != Some(&self.tenant) && !closes {
            return Err(Failure::Conflict("only the tenant destroys its objects".into()));
        }
        let record = intent.record().ok_or_else(|| Failure::Bug("a destruction without a record".into()))?;
        let (opener, log) = (house.tenant_key(&self.tenant).await?, house.log_keys(&self.tenant).await?);
        let plan = self.plan(house, &opener).await?;
        if !closes {
            self.may_delete(house, intent, &plan).await?;
        }
        let at = house.now();
        let certificate = Certificate {
            tenant: self.tenant.to_string(),
            log: log.origin.clone(),
            record,
            at_ms: at.ms(),
            items: Vec::new(),
        };
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = known(&mut tx, &self.bucket)?;
                let work = self.destroy(&mut tx, &there.guard(&opener, at), plan)?;
                let certificate = Certificate { items: work.items, ..certificate };
                let done = Destruction {
                    record,
                    at,
                    bucket: self.bucket.clone(),
                    items: certificate.items.len() as u64,
                    bytes: certificate.bytes(),
                };
                let text = certificate.encode();
                if done.items > 0 {
                    let sealed = seal(&opener, record, &text)?;
                    rows::insert_destruction(&mut tx, &done, &sealed)?;
                }
                Ok(Destroyed {
                    done,
                    markers: work.markers,
                    retained: work.retained,
                    more: work.more,
                    list_sha256: certificate.digest().to_string(),
                    certificate: text,
                })
            })
            .await
    }

    fn outcome_detail(done: &Destroyed) -> Map<String, Value> {
        parameters(json!({
            "items": done.done.items,
            "bytes": done.done.bytes,
            "markers": done.markers,
            "retained": done.retained,
            "listSha256": done.list_sha256,
        }))
    }
}

fn purpose(record: u64) -> String {
    format!("certificate of destruction {record}")
}

fn seal(key: &TenantKey, record: u64, text: &str) -> Result<Vec<u8>, Failure> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    let zipped = zipped.write_all(text.as_bytes()).and_then(|()| zipped.finish());
    Ok(key.seal_trail(&purpose(record), &zipped.map_err(|e| Failure::Bug(e.to_string()))?))
}

impl DestroyObjects {
    /// Behind the last name that it means.
    fn end(&self) -> Option<String> {
        // No key holds this character, and it is the smallest.
        if self.exact { Some(format!("{}\u{1}", self.prefix)) } else { successor(&self.prefix) }
    }

    /// What there is to destroy now, at most [`DESTROY_MAX`].
    async fn plan(&self, house: &Arc<House>, opener: &Arc<TenantKey>) -> Result<Plan, Failure> {
        let (this, opener, now) = (self.clone(), Arc::clone(opener), house.now());
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&this.tenant);
                let there = known(&mut tx, &this.bucket)?;
                this.look(&mut tx, &there.guard(&opener, now))
            })
            .await
    }

    fn look(&self, tx: &mut TenantTx<'_, '_>, guard: &Guard) -> Result<Plan, Failure> {
        let end = self.end();
        let mut plan = Plan::default();
        let mut place = (self.prefix.clone(), i64::MIN);
        for _ in 0..LOOKS_MAX {
            let batch = rows::versions(tx, &self.bucket, &place, end.as_deref(), LOOK)?;
            let Some(last) = batch.last() else {
                let (range, nothing) = ((self.prefix.as_str(), end.as_deref()), Default::default());
                let left = DESTROY_MAX - plan.versions.len();
                let uploads = rows::uploads(tx, &self.bucket, range, &nothing, left as u32 + 1)?;
                plan.more = uploads.len() > left;
                plan.uploads = uploads.into_iter().take(left).map(|(upload, _)| upload).collect();
                return Ok(plan);
            };
            place = (last.key.to_string(), last.place);
            for found in batch {
                let row = &found.row;
                if !found.marker && guard.holds(&row.version, row.modified_at, &row.sealed_meta)?.is_some() {
                    plan.retained += 1;
                } else if plan.versions.len() == DESTROY_MAX {
                    plan.more = true;
                    return Ok(plan);
                } else {
                    plan.versions.push((found.key, found.row.version));
                }
            }
        }
        plan.more = true;
        Ok(plan)
    }

    /// The right to destroy is not a way around a policy that protects some objects: each key is asked for.
    async fn may_delete(&self, house: &Arc<House>, intent: &Intent, plan: &Plan) -> Result<(), Failure> {
        let mut keys: Vec<&ObjectKey> = plan.versions.iter().map(|(key, _)| key).collect();
        keys.dedup();
        for (key, action) in keys
            .into_iter()
            .flat_map(|key| ["oss:DeleteObject", "oss:DeleteObjectVersion"].map(|action| (key, action)))
            .chain(plan.uploads.iter().map(|upload| (&upload.key, "oss:AbortMultipartUpload")))
        {
            let object = Arn::object(&self.tenant, &self.bucket, key);
            house.ask_further(intent, action, (object, "ACS::OSS::Object")).await?;
        }
        Ok(())
    }

    /// Destroys what was planned and is still there.
    fn destroy(&self, tx: &mut TenantTx<'_, '_>, guard: &Guard, plan: Plan) -> Result<Work, Failure> {
        let mut work = Work { retained: plan.retained, more: plan.more, ..Work::default() };
        for (key, version) in plan.versions {
            let which = Which::Stored(version.clone());
            let row = rows::object(tx, &self.bucket, &key, Some(&which), false)?;
            let gone = match rows::delete_version(tx, &self.bucket, &key, &which, guard) {
                Err(Failure::Retained(_)) => {
                    work.retained += 1;
                    continue;
                }
                done => done?,
            };
            match (gone, row) {
                (Some(true), _) => work.markers += 1,
                (Some(false), Some(row)) => {
                    let of = (row.size, row.modified_at);
                    work.items.push(self.item(&key, &row.wrapped_key, version.as_str(), of));
                }
                (Some(false), None) => return Err(Failure::Bug("a version went without a row".into())),
                (None, _) => {}
            }
        }
        for Upload { key, id, begun_at, .. } in plan.uploads {
            let Some(row) = rows::upload(tx, &self.bucket, &key, &id)? else { continue };
            rows::drop_parts_of_upload(tx, &self.bucket, &id, guard.now)?;
            rows::delete_upload(tx, &self.bucket, &key, &id)?;
            work.items.push(self.item(&key, &row.wrapped_key, row.version.as_str(), (0, begun_at)));
        }
        Ok(work)
    }

    fn item(
        &self,
        key: &ObjectKey,
        wrapped_key: &[u8],
        version: &str,
        (size, written): (u64, Timestamp),
    ) -> Item {
        Item {
            fingerprint: fingerprint(wrapped_key),
            size,
            written_ms: written.ms(),
            version: version.to_owned(),
            bucket: self.bucket.to_string(),
            key: key.to_string(),
        }
    }
}

/// Certificates of a tenant, the newest first.
#[derive(Clone, Debug)]
pub struct ListDestructions {
    /// The tenant.
    pub tenant: TenantId,
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// At most so many.
    pub rows_max: u32,
}

/// One certificate.
#[derive(Clone, Debug)]
pub struct GetDestruction {
    /// The tenant.
    pub tenant: TenantId,
    /// Its number.
    pub record: u64,
}

fn asked(tenant: &TenantId, action: &'static str) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::all_buckets(tenant),
        resource_type: "ACS::OSS::Bucket",
        class: Class::Data,
        touches: Touches::Metadata,
        ticket: None,
        parameters: Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for ListDestructions {
    type Output = Vec<Destruction>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "oss:ListDestructions")
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Destruction>, Failure> {
        house
            .db
            .read(move |tx| {
                rows::destructions(&mut tx.tenant(&self.tenant), self.before, self.rows_max.min(1_000))
                    .map_err(Failure::from)
            })
            .await
    }
}

impl Operation for GetDestruction {
    type Output = String;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "oss:GetDestruction");
        asked.parameters = parameters(json!({ "record": self.record }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant reads its certificates".into()));
        }
        certificate(house, &self.tenant, self.record).await
    }
}

/// Certificates of one commit.
const RESEAL: i64 = 20;

/// Seals certificates anew, where they lie under an older version of the tenant's key.
pub(super) async fn reseal(
    house: &House,
    tenant: &TenantId,
    key: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let (mut all, mut after) = (Resealed::default(), -1);
    loop {
        let (of, key) = (tenant.clone(), Arc::clone(key));
        let (done, last) = house
            .db
            .write(move |tx| {
                let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
                let batch = rows::sealed_destructions(&mut tx, after, RESEAL)?;
                for (record, sealed) in &batch {
                    if let Some(new) = key.reseal_trail(&purpose(*record as u64), sealed)? {
                        done.note(rows::reseal_destruction(&mut tx, *record, (sealed, &new))?);
                    }
                }
                Ok::<_, Failure>((done, batch.last().map(|(record, _)| *record)))
            })
            .await?;
        all.add(done);
        match last {
            Some(record) => after = record,
            None => return Ok(all),
        }
    }
}

/// A certificate, whoever may read it.
pub(crate) async fn certificate(house: &House, tenant: &TenantId, record: u64) -> Result<String, Failure> {
    let key = house.tenant_key(tenant).await?;
    let tenant = tenant.clone();
    let sealed = house
        .db
        .read(move |tx| rows::destruction(&mut tx.tenant(&tenant), record).map_err(Failure::from))
        .await?
        .ok_or_else(|| Failure::not_found(Thing::Destruction, record))?;
    let zipped = key.open_trail(&purpose(record), &sealed)?;
    let mut text = String::new();
    GzDecoder::new(zipped.expose())
        .take(bailee_proof::destruction::BYTES_MAX as u64)
        .read_to_string(&mut text)
        .map_err(|e| Failure::Damaged(format!("certificate {record} cannot be read: {e}")))?;
    Ok(text)
}
