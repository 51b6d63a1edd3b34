//! `bailee residency …`: legal bases, what tenants registered, documents that they named, what operators ask for.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailee_rooms::residency::{
    AttachDocument, Basis, Documents, ListDocuments, ListTransferRequests, ListTransfers,
};
use bailee_rooms::vault::{NewPaper, PAPER_BYTES_MAX};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::trail::log_owner;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// The name by which these commands stand in the log.
const HERE: &str = "bailee residency";

/// What may leave its jurisdiction. The tenant registers and stops transfers, in the console under "Where it lies".
#[derive(Subcommand)]
pub(crate) enum Residency {
    /// List the legal bases that a transfer can be registered with.
    Bases,
    /// List a tenant's register, with the documents that are kept and those that are only named.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// File a document that the tenant named for a transfer: it must have the SHA-256 that was named.
    Attach {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The transfer's id, e.g. `tr-…`.
        #[arg(long)]
        transfer: String,
        /// The document: PDF, PNG, JPEG, DOCX, XLSX or plain text, at most 20 MiB.
        file: PathBuf,
    },
    /// List what operators asked a tenant for, and the answers.
    Requests {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
}

pub(crate) fn run(common: &Common, command: Residency) -> Result<ExitCode, Stop> {
    match command {
        Residency::Bases => bases(common.output),
        Residency::List { tenant } => {
            let house = common.open()?;
            on_runtime(async {
                let tenant = log_owner(&house, &tenant).await?;
                let caller = || house.system_caller(HERE);
                let op = ListTransfers { tenant: tenant.clone() };
                let mut all = Vec::new();
                for t in house.perform(caller(), op).await? {
                    let op = ListDocuments { tenant: tenant.clone(), id: t.id.clone() };
                    all.push((t, house.perform(caller(), op).await?));
                }
                let now = house.now();
                if common.output == Output::Json {
                    for (t, documents) in &all {
                        println!(
                            "{}",
                            json!({ "id": t.id, "from": t.from, "to": t.to, "resources": t.resources, "basis": t.basis,
                                    "state": t.state(now).word(), "told": t.told, "validFrom": t.valid_from.iso(),
                                    "validUntil": t.valid_until.iso(), "moves": t.moves, "movedBytes": t.moved_bytes,
                                    "documents": told(documents) })
                        );
                    }
                } else if all.is_empty() {
                    println!("no transfer: nothing may leave {}", house.provider().jurisdiction);
                } else {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|(t, documents)| {
                            let (kept, missing) = (documents.kept.len(), documents.missing.len());
                            vec![
                                t.id.clone(),
                                format!("{} -> {}", t.from, t.to),
                                t.basis.clone(),
                                t.state(now).word().to_owned(),
                                t.valid_until.iso(),
                                t.moves.to_string(),
                                t.moved_bytes.to_string(),
                                format!("{kept} kept, {missing} named only"),
                            ]
                        })
                        .collect();
                    print!(
                        "{}",
                        table(
                            &["TRANSFER", "WAY", "BASIS", "STATE", "UNTIL", "ACTS", "BYTES", "DOCUMENTS"],
                            &rows
                        )
                    );
                }
                Ok(())
            })?;
        }
        Residency::Attach { tenant, transfer, file } => {
            let document = document(&file)?;
            let house = common.open()?;
            on_runtime(async {
                let tenant = log_owner(&house, &tenant).await?;
                let (name, sha256) = (document.name().to_owned(), document.sha256().to_owned());
                let op = AttachDocument { tenant, id: transfer, document, named: None };
                house.perform(house.system_caller(HERE), op).await?;
                println!("{sha256}  {name}");
                Ok(())
            })?;
        }
        Residency::Requests { tenant } => {
            let house = common.open()?;
            on_runtime(async {
                let tenant = log_owner(&house, &tenant).await?;
                let op = ListTransferRequests { tenant };
                let all = house.perform(house.system_caller(HERE), op).await?;
                let now = house.now();
                if common.output == Output::Json {
                    for r in &all {
                        let transfer = r.answer.as_ref().and_then(|a| a.transfer.clone());
                        println!(
                            "{}",
                            json!({ "id": r.id, "ticket": r.ticket.as_str(), "operator": r.operator.as_str(),
                                    "from": r.from, "to": r.to, "resources": r.resources, "basis": r.basis,
                                    "reason": r.reason, "days": r.days, "state": r.state(now).word(),
                                    "askedAt": r.asked_at.iso(), "lapsesAt": r.lapses_at.iso(),
                                    "note": r.answer.as_ref().map(|a| &a.note), "transfer": transfer })
                        );
                    }
                    return Ok(());
                }
                let rows: Vec<_> = all
                    .iter()
                    .map(|r| {
                        let state = r.state(now).word().to_owned();
                        let way = format!("{} -> {}", r.from, r.to);
                        vec![r.id.clone(), way, r.ticket.to_string(), r.operator.to_string(), state]
                    })
                    .collect();
                println!("{}", table(&["REQUEST", "WAY", "TICKET", "OPERATOR", "STATE"], &rows));
                Ok(())
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a document, no more of it than may be kept and a byte.
fn document(file: &Path) -> Result<NewPaper, Stop> {
    let unable = |e: std::io::Error| Stop::unable(format!("{}: {e}", file.display()));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unable)?;
    opened.take(PAPER_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unable)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(NewPaper::parse(&name, bytes.into())?)
}

fn told(documents: &Documents) -> serde_json::Value {
    let kept = documents.kept.iter().map(|d| {
        json!({ "name": d.name, "sha256": d.sha256, "kept": true, "type": d.media.mime(), "bytes": d.size,
                "attachedAt": d.attached_at.iso(), "attachedBy": d.attached_by })
    });
    let missing =
        documents.missing.iter().map(|d| json!({ "name": d.name, "sha256": d.sha256, "kept": false }));
    kept.chain(missing).collect()
}

fn bases(output: Output) {
    if output == Output::Json {
        for b in Basis::all() {
            println!(
                "{}",
                json!({ "id": b.id, "law": b.law, "kind": b.kind, "usableUntil": b.usable_until, "exporter": b.exporter,
                        "importer": b.importer, "needs": b.needed().collect::<Vec<_>>(), "en": b.en, "zh": b.zh })
            );
        }
        return;
    }
    let rows: Vec<_> = Basis::all()
        .iter()
        .map(|b| vec![b.id.to_owned(), b.law.to_owned(), b.kind.to_owned(), b.en.to_owned()])
        .collect();
    println!("{}", table(&["BASIS", "LAW", "KIND", "NAME"], &rows));
}
