//! Papers: documents that are attached to something else than a bucket, e.g. to a transfer of the register.
//!
//! They are kept as objects are: sealed in segments under a data key of their own, in a blob of the tenant's home region that is
//! synced before the row that names it; name, type and digest sealed under the tenant's key. A paper is known by its SHA-256.
//! Whose paper it is and whether it may be attached, read or removed says the room of the thing: these are its functions.
//!
//! INVARIANT: only the tenant's own people open a paper ([`Intent::release_paper`]), and of those on an open ticket an operator of
//! support where they lie, on record: they were put there for him. There is no consent to ask for any other.

use std::sync::Arc;

use bailee_crypto::envelope::{Context, Sealer, Suite};
use bailee_store::TenantTx;
use bailee_types::{Arn, TenantId, TicketId, Timestamp};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::get::OpenObject;
use super::paper::{Media, NewPaper, PAPER_BYTES_MAX};
use super::put::{Intake, Keep, raw, receive};
use super::{WholeBody, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::house::Counters;
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House, Thing};

/// Papers of one thing.
pub const PAPERS_MAX: usize = 20;
/// Bytes of all papers of an account.
const ACCOUNT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// What papers are attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(super) kind: &'static str,
    pub(super) id: String,
}

impl Holder {
    /// A transfer of the register.
    pub(crate) fn transfer(id: &str) -> Self {
        Self { kind: "transfer", id: id.to_owned() }
    }

    /// A ticket.
    pub(crate) fn ticket(id: &TicketId) -> Self {
        Self { kind: "ticket", id: id.to_string() }
    }

    /// As its ARN ends. No bucket's name has a slash, so no object's key opens a paper and the reverse.
    fn relative(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }
}

/// A paper that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Its name.
    pub name: String,
    /// What it is.
    pub media: Media,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// When it was attached.
    pub attached_at: Timestamp,
    /// By whom.
    pub attached_by: String,
    /// Whether that is an operator.
    pub by_operator: bool,
}

/// What is sealed in the row.
#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    media: Media,
    sha256: String,
    by: String,
    #[serde(default)]
    operator: bool,
}

/// Papers whose blobs are durable and that no row names yet.
pub(crate) struct SealedPapers {
    holder: Holder,
    key: Arc<TenantKey>,
    rows: Vec<rows::PaperRow>,
    digests: Vec<String>,
}

impl SealedPapers {
    /// Names them in rows.
    ///
    /// # Errors
    /// When the thing has one of them already, or there are too many.
    pub(crate) fn keep(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), Failure> {
        let there = papers_of(tx, &self.key, &self.holder)?;
        for (n, digest) in self.digests.iter().enumerate() {
            if there.iter().any(|p| p.sha256 == *digest) || self.digests.iter().take(n).any(|d| d == digest) {
                return Err(Failure::exists(Thing::Document, digest));
            }
        }
        if there.len() + self.rows.len() > PAPERS_MAX {
            return Err(Failure::limit(Thing::Document, "documents", PAPERS_MAX as u64));
        }
        for row in &self.rows {
            rows::insert_paper(tx, &self.holder, row)?;
        }
        match rows::papers_in_all(tx)? {
            (_, used) if used > ACCOUNT_BYTES_MAX => {
                Err(Failure::Quota { of: "documents of the account".into(), max: ACCOUNT_BYTES_MAX, used })
            }
            _ => Ok(()),
        }
    }

    /// Removes what [`Self::keep`] did not keep; what stays the cleaner removes. Where nobody knows whether the rows were
    /// committed, all stays.
    pub(crate) async fn discard(&self, house: &House, why: &Failure) {
        if matches!(why, Failure::Unavailable(_)) {
            return;
        }
        for row in &self.rows {
            if let Err(e) = house.blobs.delete(&row.version).await {
                tracing::warn!("a blob without a row stays for the cleaner: {e}");
            }
        }
    }
}

fn open_meta(key: &TenantKey, holder: &Holder, row: &rows::PaperRow) -> Result<Paper, Failure> {
    let plain = key.open_paper(&holder.relative(), &row.version, &row.sealed_meta)?;
    let meta: Meta = serde_json::from_slice(plain.expose())
        .map_err(|e| Failure::Damaged(format!("what is said of a document cannot be read: {e}")))?;
    let Meta { name, media, sha256, by, operator } = meta;
    let (size, attached_at) = (row.size, row.attached_at);
    Ok(Paper { name, media, sha256, size, attached_at, attached_by: by, by_operator: operator })
}

/// Papers of a thing, in the order in which they came.
fn papers_of(tx: &mut TenantTx<'_, '_>, key: &TenantKey, holder: &Holder) -> Result<Vec<Paper>, Failure> {
    rows::papers(tx, holder)?.iter().map(|row| open_meta(key, holder, row)).collect()
}

impl House {
    /// Seals papers for a thing. [`SealedPapers::keep`] goes into the transaction that needs them.
    pub(crate) async fn seal_papers(
        self: &Arc<Self>,
        intent: &Intent,
        holder: Holder,
        papers: &[NewPaper],
    ) -> Result<SealedPapers, Failure> {
        let tenant = &intent.asked().tenant;
        let key = self.tenant_key(tenant).await?;
        let mut sealed = SealedPapers { holder, key, rows: Vec::new(), digests: Vec::new() };
        for paper in papers {
            match self.seal_paper(intent, &sealed, paper).await {
                Ok(row) => sealed.rows.push(row),
                Err(e) => {
                    sealed.discard(self, &e).await;
                    return Err(e);
                }
            }
            sealed.digests.push(paper.sha256.clone());
        }
        Ok(sealed)
    }

    async fn seal_paper(
        self: &Arc<Self>,
        intent: &Intent,
        of: &SealedPapers,
        paper: &NewPaper,
    ) -> Result<rows::PaperRow, Failure> {
        let tenant = &intent.asked().tenant;
        let place = of.holder.relative();
        let version = self.new_blob_id(&self.home_of(tenant).await?)?;
        let release = intent.release_paper(&place, &version)?;
        let (data_key, key_version, wrapped_key) = self.new_paper_key(&release).await?;
        let context = Context { tenant: tenant.as_str(), bucket: &place, version: raw(&version)? };
        let (sealer, header) = Sealer::new(&data_key, Suite::default(), &context);
        let intake = Intake::new(self, version.clone(), sealer, header.to_vec(), Keep::InBlob);
        let mut body = WholeBody::new(paper.bytes.clone());
        let (sealed, _) =
            receive(intake, &mut body, Some(paper.size()), PAPER_BYTES_MAX as u64, None).await?;
        Counters::add(&self.counters().bytes_sealed, sealed.size);
        let meta = Meta {
            name: paper.name.clone(),
            media: paper.media,
            sha256: paper.sha256.clone(),
            by: intent.caller().name().to_owned(),
            operator: intent.caller().is_operator(),
        };
        let meta = serde_json::to_vec(&meta).map_err(|e| Failure::Bug(e.to_string()))?;
        Ok(rows::PaperRow {
            size: sealed.size,
            key_version,
            wrapped_key,
            sealed_meta: of.key.seal_paper(&place, &version, &meta),
            header: header.to_vec(),
            sealed_crc: sealed.crc,
            attached_at: self.now(),
            version,
        })
    }

    /// Papers of a thing, in the order in which they came.
    pub(crate) async fn papers(&self, tenant: &TenantId, holder: Holder) -> Result<Vec<Paper>, Failure> {
        let key = self.tenant_key(tenant).await?;
        let tenant = tenant.clone();
        self.db.read(move |tx| papers_of(&mut tx.tenant(&tenant), &key, &holder)).await
    }

    /// A paper and its bytes. They are all opened once before this answers: damage is an error that the log tells, and no
    /// download that breaks off.
    pub(crate) async fn read_paper(
        self: &Arc<Self>,
        intent: &Intent,
        holder: Holder,
        digest: &str,
    ) -> Result<(Paper, BoxStream<'static, Result<Bytes, Failure>>), Failure> {
        let tenant = intent.asked().tenant.clone();
        let key = self.tenant_key(&tenant).await?;
        let (of, wanted, t) = (holder.clone(), digest.to_owned(), tenant.clone());
        let found = self.db.read(move |tx| find(&mut tx.tenant(&t), &key, &of, &wanted)).await?;
        let (row, paper) = found.ok_or_else(|| Failure::not_found(Thing::Document, digest))?;
        if let Some(place) = intent.caller().place() {
            let lies = self.jurisdiction_of(&self.region_of_blob(&row.version));
            if place != lies {
                return Err(self.refuse_to_leave(intent, place.to_owned(), lies).await);
            }
        }
        let place = holder.relative();
        let release = intent.release_paper(&place, &row.version)?;
        let data_key = self.open_paper_key(&release, row.key_version, &row.wrapped_key).await?;
        let data_key = Arc::new(data_key);
        let blocks = || {
            let blob = (row.version.clone(), row.size, row.header.clone());
            OpenObject::of_blob(Arc::clone(&data_key), &tenant, place.clone(), blob).blocks(self, 0, row.size)
        };
        let (mut whole, mut all) = (Sha256::new(), blocks());
        while let Some(block) = all.next().await {
            whole.update(&block?);
        }
        if hex::encode(whole.finalize()) != paper.sha256 {
            return Err(Failure::Damaged(format!("document `{digest}` is another one")));
        }
        Ok((paper, blocks()))
    }
}

fn find(
    tx: &mut TenantTx<'_, '_>,
    key: &TenantKey,
    holder: &Holder,
    digest: &str,
) -> Result<Option<(rows::PaperRow, Paper)>, Failure> {
    for row in rows::papers(tx, holder)? {
        let paper = open_meta(key, holder, &row)?;
        if paper.sha256 == digest {
            return Ok(Some((row, paper)));
        }
    }
    Ok(None)
}

/// Papers of one commit.
const RESEAL: i64 = 200;

/// Seals the keys of papers anew, where they lie under an older version of the tenant's key.
pub(super) async fn reseal(
    house: &House,
    tenant: &TenantId,
    key: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let (mut all, mut after) = (Resealed::default(), String::new());
    loop {
        let (of, key, from) = (tenant.clone(), Arc::clone(key), after.clone());
        let (done, last) = house
            .db
            .write(move |tx| {
                let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
                let batch = rows::sealed_papers(&mut tx, &from, RESEAL)?;
                for (holder, row) in &batch {
                    let lies = (row.wrapped_key.as_slice(), row.sealed_meta.as_slice());
                    if let Some((wrapped, sealed)) = key.reseal_paper((holder, &row.version), lies)? {
                        done.note(rows::reseal_paper(&mut tx, row, (&wrapped, &sealed, key.version()))?);
                    }
                }
                Ok::<_, Failure>((done, batch.last().map(|(_, row)| row.version.to_string())))
            })
            .await?;
        all.add(done);
        match last {
            Some(version) => after = version,
            None => return Ok(all),
        }
    }
}

/// Removes a paper: its key goes with the row, its blob with the cleaner.
pub(crate) fn remove_paper(
    tx: &mut TenantTx<'_, '_>,
    key: &TenantKey,
    holder: &Holder,
    digest: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let found = find(tx, key, holder, digest)?;
    let (row, _) = found.ok_or_else(|| Failure::not_found(Thing::Document, digest))?;
    Ok(rows::remove_papers(tx, Some(&row.version), now)?)
}

/// Destroys all papers of an account that is closed.
pub(crate) struct DestroyPapers {
    /// The account.
    pub(crate) tenant: TenantId,
}

impl Operation for DestroyPapers {
    /// How many there were, and their bytes.
    type Output = (u64, u64);

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:DestroyDocuments",
            resource: Arn::own(&self.tenant, "documents"),
            resource_type: "ACS::Bailee::Document",
            class: Class::Management { write: true },
            touches: Touches::Content,
            ticket: None,
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        if intent.caller().closes() != Some(&self.tenant) {
            return Err(Failure::Bug("documents are destroyed all at once by a closure only".into()));
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = rows::papers_in_all(&mut tx)?;
                rows::remove_papers(&mut tx, None, now)?;
                Ok(there)
            })
            .await
    }

    fn outcome_detail((documents, bytes): &Self::Output) -> Map<String, Value> {
        parameters(json!({ "documents": documents, "bytes": bytes }))
    }
}
