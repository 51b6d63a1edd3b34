//! `bailee region …`: places for data.

use std::path::PathBuf;
use std::process::ExitCode;

use bailee_rooms::residency::AddRegion;
use bailee_types::RegionId;
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Regions: places for data, each with a jurisdiction and a store of its own.
#[derive(Subcommand)]
pub(crate) enum Region {
    /// List them.
    List,
    /// Add one. Servers that run know it within seconds.
    Add {
        /// Its id, e.g. `eu-central-1`.
        id: String,
        /// Its jurisdiction, ISO 3166-1 alpha-2.
        #[arg(long)]
        jurisdiction: String,
        /// Where its blobs lie, a disk of that place; without it, `regions/<id>` in the data folder.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

pub(crate) fn run(common: &Common, command: Region) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    match command {
        Region::Add { id, jurisdiction, folder } => {
            let id = RegionId::parse(&id).map_err(|e| Stop::unable(e.to_string()))?;
            let op = AddRegion { id, jurisdiction, folder };
            on_runtime(async { Ok(house.perform(house.system_caller("bailee region"), op).await?) })?;
        }
        Region::List => {}
    }
    let all = house.regions();
    if common.output == Output::Json {
        for r in &all {
            println!(
                "{}",
                json!({ "region": r.id.as_str(), "jurisdiction": r.jurisdiction, "folder": r.folder })
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|r| {
            let folder =
                r.folder.as_ref().map_or_else(|| "(beside the database)".into(), |f| f.display().to_string());
            vec![r.id.to_string(), r.jurisdiction.clone(), folder]
        })
        .collect();
    println!("{}", table(&["REGION", "JURISDICTION", "FOLDER"], &rows));
    Ok(ExitCode::SUCCESS)
}
