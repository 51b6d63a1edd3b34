//! The offline bundle: everything that `bailee-verify` needs, in one file.

use std::sync::Arc;

use bailee_proof::bundle::{BodyDigest, Manifest, WriteError, Writer};
use bailee_types::{Arn, ObjectVersionId, TenantId};
use serde_json::{Map, Value, json};

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

const BATCH: u64 = 1_000;

/// Writes a tenant's whole trail up to the newest head into a bundle file.
pub struct ExportTrail {
    /// Whose trail.
    pub tenant: TenantId,
    /// Where to write; made anew, removed again when the export fails.
    pub path: std::path::PathBuf,
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Records in the bundle: all that the head covers.
    pub records: u64,
    /// The log's origin.
    pub origin: String,
    /// The log's verification key.
    pub vkey: String,
    /// Bytes written.
    pub bytes: u64,
}

impl Operation for ExportTrail {
    type Output = Exported;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:ExportTrail",
            resource: Arn::own(&self.tenant, "trail"),
            resource_type: "ACS::Bailee::Trail",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Exported, Failure> {
        let log = house.log_keys(&self.tenant).await?;
        let head = house.head(&self.tenant).await?;

        // First pass: the digest that the manifest signs. Second pass: the same bytes into the file. Records
        // never change, so both passes see the same; memory stays constant.
        let mut digest = BodyDigest::new(head.note.as_bytes(), head.size).map_err(of_write)?;
        self.each(house, &log, head.size, |entry, nonce, event| digest.record(entry, nonce, event)).await?;
        let manifest = Manifest {
            origin: head.origin.clone(),
            tenant: self.tenant.to_string(),
            exported: house.now().iso(),
            records: head.size,
            body: digest.finish().map_err(of_write)?,
            key: log.signer.verifier().clone(),
        };
        let note = manifest.sign(&log.signer).map_err(|e| Failure::Bug(e.to_string()))?;

        let io = |e: std::io::Error| Failure::Unavailable(format!("cannot write the bundle: {e}"));
        // A random name beside the target: two exports at once must not write into one file.
        let partial = self.path.with_extension(format!("{}.partial", ObjectVersionId::random()));
        let written = async {
            let file = std::io::BufWriter::with_capacity(
                256 * 1024,
                std::fs::File::create_new(&partial).map_err(io)?,
            );
            let mut writer = Writer::new(file, note.as_bytes(), head.note.as_bytes()).map_err(of_write)?;
            self.each(house, &log, head.size, |entry, nonce, event| writer.record(entry, nonce, event))
                .await?;
            let file = writer.finish().map_err(of_write)?.into_inner().map_err(|e| io(e.into_error()))?;
            file.sync_all().map_err(io)?;
            let bytes = file.metadata().map_err(io)?.len();
            std::fs::rename(&partial, &self.path).map_err(io)?;
            Ok::<_, Failure>(bytes)
        }
        .await;
        match written {
            Ok(bytes) => Ok(Exported { records: head.size, origin: head.origin, vkey: head.vkey, bytes }),
            Err(e) => {
                // A half-written bundle must not be taken for one.
                let _ = std::fs::remove_file(&partial);
                Err(e)
            }
        }
    }

    fn outcome_detail(done: &Exported) -> Map<String, Value> {
        parameters(json!({ "records": done.records }))
    }
}

impl ExportTrail {
    /// Opens the records in order and hands each to `f`.
    async fn each(
        &self,
        house: &Arc<House>,
        log: &super::LogKeys,
        size: u64,
        mut f: impl FnMut(&[u8; 50], &[u8; 32], &[u8]) -> Result<(), WriteError> + Send,
    ) -> Result<(), Failure> {
        let mut next = 0;
        while next < size {
            let (tenant, from, count) = (self.tenant.clone(), next, BATCH.min(size - next));
            let records = house
                .db
                .read(move |tx| rows::records(&mut tx.tenant(&tenant), from, count).map_err(Failure::from))
                .await?;
            if records.len() as u64 != count {
                return Err(Failure::Damaged(format!("records after {from} are missing")));
            }
            for (index, entry, sealed) in &records {
                if *index != next {
                    return Err(Failure::Damaged(format!("record {next} is missing")));
                }
                let (nonce, event) = log.open(*index, sealed)?;
                f(entry, &nonce, &event).map_err(of_write)?;
                next += 1;
            }
        }
        Ok(())
    }
}

fn of_write(e: WriteError) -> Failure {
    match e {
        WriteError::Io(e) => Failure::Unavailable(format!("cannot write the bundle: {e}")),
        other => Failure::Damaged(other.to_string()),
    }
}
