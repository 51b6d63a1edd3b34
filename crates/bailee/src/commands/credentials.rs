//! `bailee role`, `bailee report`, `bailee key`: what an administrator looks after between two audits.

use std::process::ExitCode;

use bailee_rooms::identity::{
    Act, GetCredentialReport, GetSecurityPractice, KeyFinding, ListKeyFindings, RevokeRoleSessions,
    for_spreadsheets,
};
use bailee_types::RoleName;
use clap::{Args, Subcommand};
use serde_json::json;

use super::on_runtime;
use super::tenant::print;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Roles.
#[derive(Subcommand)]
pub(crate) enum Role {
    /// End every session of a role that runs now; who is still trusted may take it on anew.
    RevokeSessions {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The role's name.
        role: String,
    },
}

/// Reports.
#[derive(Subcommand)]
pub(crate) enum Report {
    /// One line for each user and for root: password, keys, second factor. Without --csv, the findings only.
    Credentials {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Print the report as CSV.
        #[arg(long)]
        csv: bool,
    },
}

/// AccessKeys.
#[derive(Subcommand)]
pub(crate) enum Key {
    /// List AccessKeys with their age and last use, the oldest first.
    List(List),
}

/// Which keys.
#[derive(Args)]
pub(crate) struct List {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// Only keys of at least this age, in days, e.g. 90d.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    older_than: Option<i64>,
}

fn days(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    match number.parse() {
        Ok(days @ 0..=36_500) if number.bytes().all(|b| b.is_ascii_digit()) => Ok(days),
        _ => Err("must be 0 to 36500 days, e.g. 90d".into()),
    }
}

pub(crate) fn role(common: &Common, c: Role) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let Role::RevokeSessions { tenant, role } = c;
        let tenant = house.find_tenant(&tenant).await?.id;
        let name = RoleName::parse(&role).map_err(|e| Stop::unable(e.to_string()))?;
        let revoke = RevokeRoleSessions { name };
        let at = house.perform(house.system_caller("bailee role"), revoke.of(&tenant)).await?;
        print(json_out, &json!({ "role": role, "sessions_void_before": at.iso() }), "Revoked:");
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn report(common: &Common, c: Report) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let Report::Credentials { tenant, csv } = c;
        let tenant = house.find_tenant(&tenant).await?.id;
        let admin = || house.system_caller("bailee report");
        if csv && json_out {
            return Err(Stop::unable("choose one of --csv and --output json"));
        }
        if csv || json_out {
            let report = house.perform(admin(), GetCredentialReport.of(&tenant)).await?;
            if json_out {
                println!("{}", json!(lines(&report)));
            } else {
                print!("{}", for_spreadsheets(&report));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let p = house.perform(admin(), GetSecurityPractice.of(&tenant)).await?;
        let shown = json!({
            "score": p.score, "root_has_mfa": p.root_has_mfa, "root_keys": p.root_keys, "users": p.users,
            "users_without_mfa": p.users_without_mfa, "old_keys": p.old_keys, "unused_keys": p.unused_keys,
            "sha1_keys": p.sha1_keys,
        });
        print(false, &shown, "Findings (the whole report: --csv):");
        Ok(ExitCode::SUCCESS)
    })
}

/// The report's lines as objects.
fn lines(csv: &str) -> Vec<serde_json::Value> {
    let mut all = csv.lines().map(|l| l.split(','));
    let Some(head) = all.next() else { return Vec::new() };
    all.map(|cells| {
        head.clone()
            .zip(cells)
            .map(|(name, cell)| (name.to_owned(), json!(cell)))
            .collect::<serde_json::Map<_, _>>()
    })
    .map(serde_json::Value::Object)
    .collect()
}

pub(crate) fn key(common: &Common, c: Key) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let Key::List(c) = c;
        let tenant = house.find_tenant(&c.tenant).await?.id;
        let list = ListKeyFindings { days_min: c.older_than.unwrap_or(0) };
        let found = house.perform(house.system_caller("bailee key"), list.of(&tenant)).await?;
        if json_out {
            println!("{}", json!(found.iter().map(as_json).collect::<Vec<_>>()));
        } else if found.is_empty() {
            println!("No AccessKey of that age.");
        } else {
            let rows: Vec<_> = found.iter().map(row).collect();
            println!("{}", table(&["ACCESSKEY", "OWNER", "STATE", "AGE", "LAST USED", "FINDING"], &rows));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn findings(f: &KeyFinding) -> Vec<&'static str> {
    [(f.is_old, "rotate"), (f.is_unused, "unused")]
        .into_iter()
        .filter_map(|(is, word)| is.then_some(word))
        .collect()
}

fn owner(f: &KeyFinding) -> &str {
    f.user.as_ref().map_or("root", |u| u.as_str())
}

fn row(f: &KeyFinding) -> Vec<String> {
    vec![
        f.key.id.to_string(),
        owner(f).to_owned(),
        f.key.status().to_owned(),
        format!("{}d", f.age_days),
        f.key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.iso()),
        findings(f).join(", "),
    ]
}

fn as_json(f: &KeyFinding) -> serde_json::Value {
    json!({
        "access_key_id": f.key.id.as_str(), "owner": owner(f), "status": f.key.status(), "age_days": f.age_days,
        "created": f.key.created_at.iso(), "last_used": f.key.last_used_at.map(|at| at.iso()),
        "last_service": f.key.last_service, "findings": findings(f),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_read_in_days() {
        assert_eq!((days("90d"), days("0")), (Ok(90), Ok(0)));
        for bad in ["", "d", "-1d", "+1", "90h", "99999999999999999999", "1.5d"] {
            assert!(days(bad).is_err(), "{bad}");
        }
    }
}
