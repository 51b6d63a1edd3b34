//! `bailee notify …`: whom a tenant wants told that something waits for it.

use std::process::ExitCode;

use bailee_rooms::notices::{GetNotifications, Heard, Kind, MailAddress, SetNotifications, Target, Wanted};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Notices by mail and webhook: who gets them, and whether mail works.
#[derive(Subcommand)]
pub(crate) enum Notify {
    /// Show whom a tenant wants told.
    Show {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// Say whom a tenant wants told, in place of what was said before. Prints the secret of a new webhook once.
    Set {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// `ops@example.com`, or `ops@example.com=ticket,consent,alert,digest` for some kinds only; several times for several.
        #[arg(long, value_name = "ADDRESS[=KINDS]", value_parser = mail)]
        mail: Vec<Wanted>,
        /// `https://…`, or `https://…=KINDS`.
        #[arg(long, value_name = "URL[=KINDS]", value_parser = webhook)]
        webhook: Option<Wanted>,
    },
    /// Send one mail to an address, and say what came of it.
    Test {
        /// The address.
        address: String,
    },
}

fn kinds(words: &str) -> Result<Vec<Kind>, String> {
    words
        .split(',')
        .map(|w| Kind::parse(w).ok_or_else(|| format!("`{w}` is none of ticket, consent, alert, digest")))
        .collect()
}

fn mail(text: &str) -> Result<Wanted, String> {
    // An address may have a `=` before its `@`.
    let at = text.find('@').unwrap_or(0);
    let (address, kinds) = match text.get(at..).and_then(|rest| rest.find('=')) {
        None => (text, Kind::ALL.to_vec()),
        Some(n) => {
            (text.get(..at + n).unwrap_or_default(), kinds(text.get(at + n + 1..).unwrap_or_default())?)
        }
    };
    let address = MailAddress::parse(address).map_err(|e| e.to_string())?;
    Ok(Wanted { target: Target::Mail(address), kinds })
}

fn webhook(text: &str) -> Result<Wanted, String> {
    // An address may have a `=` of its own: only words of ours behind the last one are kinds.
    let (address, kinds) = match text.rsplit_once('=').map(|(a, words)| (a, kinds(words))) {
        Some((address, Ok(kinds))) => (address, kinds),
        _ => (text, Kind::ALL.to_vec()),
    };
    Ok(Wanted { target: Target::Webhook(address.to_owned()), kinds })
}

pub(crate) fn run(common: &Common, command: Notify) -> Result<ExitCode, Stop> {
    let house = common.open_reaching(false)?;
    let as_json = common.output == Output::Json;
    on_runtime(async {
        match command {
            Notify::Show { tenant } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let get = GetNotifications { tenant };
                let found = house.perform(house.system_caller("bailee notify show"), get).await?;
                let word = |h: &Heard| h.wanted.kinds.iter().map(|k| k.word()).collect::<Vec<_>>().join(",");
                let parts = |h: &Heard| match &h.wanted.target {
                    Target::Mail(a) => ("mail", a.to_string()),
                    Target::Webhook(a) => ("webhook", a.clone()),
                };
                let failed = |h: &Heard| h.failed.as_ref().map(|(at, why)| format!("{} {why}", at.iso()));
                if as_json {
                    let all = found.targets.iter().map(|h| {
                        let (channel, address) = parts(h);
                        let kinds: Vec<_> = h.wanted.kinds.iter().map(|k| k.word()).collect();
                        json!({ "channel": channel, "address": address, "kinds": kinds, "failed": failed(h) })
                    });
                    println!(
                        "{}",
                        json!({ "targets": all.collect::<Vec<_>>(), "sendsMail": found.sends_mail })
                    );
                } else {
                    let rows: Vec<_> = found
                        .targets
                        .iter()
                        .map(|h| {
                            let (channel, address) = parts(h);
                            vec![channel.into(), address, word(h), failed(h).unwrap_or_default()]
                        })
                        .collect();
                    println!("{}", table(&["CHANNEL", "ADDRESS", "KINDS", "LAST FAILURE"], &rows));
                    if !found.sends_mail {
                        println!("\nThis house sends no mail: see [mail] in bailee.toml.");
                    }
                }
            }
            Notify::Set { tenant, mail, webhook } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let set = SetNotifications { tenant, targets: mail.into_iter().chain(webhook).collect() };
                let secret = house.perform(house.system_caller("bailee notify set"), set).await?;
                match (secret, as_json) {
                    (secret, true) => {
                        println!("{}", json!({ "secret": secret.as_ref().map(|s| s.expose()) }))
                    }
                    (Some(secret), false) => {
                        println!("The webhook's secret, shown once: {}", secret.expose());
                    }
                    (None, false) => println!("Set."),
                }
            }
            Notify::Test { address } => {
                let to = MailAddress::parse(&address)?;
                house.try_mail(to).await.map_err(Stop::unable)?;
                println!("The mail server took it.");
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
