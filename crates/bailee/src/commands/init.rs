//! `bailee init`.

use std::process::ExitCode;

use bailee_rooms::{House, Provider};
use bailee_types::RegionId;
use clap::Args;

use crate::config::{Common, Output};
use crate::output::Stop;

/// Make an empty house for production. Nothing dangerous creates itself: no tenant, no operator, no password.
#[derive(Args)]
pub(crate) struct Init {
    /// The provider's name, e.g. "Kestrel Cloud".
    #[arg(long)]
    name: String,
    /// The host that log origins begin with, e.g. trust.kestrel.example; it stays for ever.
    #[arg(long)]
    host: String,
    /// The region of this house.
    #[arg(long, default_value = "cn-hangzhou")]
    region: String,
    /// The region's jurisdiction, ISO 3166-1 alpha-2.
    #[arg(long, default_value = "CN")]
    jurisdiction: String,
}

pub(crate) fn run(common: &Common, c: Init) -> Result<ExitCode, Stop> {
    let provider = provider(&c.name, &c.host, &c.region, &c.jurisdiction)?;
    House::init(&common.house()?, &provider)?;
    let key = common.house()?.root_key_path();
    match common.output {
        Output::Json => println!("{}", serde_json::json!({ "data": common.data, "root_key": key })),
        Output::Table => println!(
            "Made a house in {}.\nThe root key is {}: copy it to a safe place now; without it nothing can be opened.\n\
             Next: bailee tenant create --alias acme --name 'Acme'; bailee operator create --id op-lin --place CN; bailee serve",
            common.data.display(),
            key.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn provider(name: &str, host: &str, region: &str, jurisdiction: &str) -> Result<Provider, Stop> {
    let host_ok = (1..=200).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b));
    if !host_ok {
        return Err(Stop::unable(format!("`{host}` is not a host name in lower case")));
    }
    if jurisdiction.len() != 2 || !jurisdiction.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Stop::unable(format!("`{jurisdiction}` is not an ISO 3166-1 alpha-2 code such as CN")));
    }
    let name = name.trim();
    if !(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Stop::unable("the name must have 1 to 100 characters on one line"));
    }
    Ok(Provider {
        name: name.to_owned(),
        host: host.to_owned(),
        region: RegionId::parse(region).map_err(|e| Stop::unable(e.to_string()))?,
        jurisdiction: jurisdiction.to_owned(),
    })
}
