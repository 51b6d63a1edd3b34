//! `bailee why` and `bailee who-can`: what the policies say, and who could.

use std::net::IpAddr;
use std::process::ExitCode;

use bailee_rooms::gate::Explanation;
use bailee_rooms::identity::{self, Whom};
use bailee_types::{Arn, RoleName, UserName};
use clap::Args;

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// A question about one principal.
#[derive(Args)]
pub(crate) struct Why {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// Whom it is about: root, user/NAME or role/NAME.
    #[arg(long = "as", value_name = "WHO")]
    whom: String,
    /// The action, e.g. oss:GetObject.
    #[arg(long)]
    action: String,
    /// The resource: an ARN, or `bucket/key` for an object.
    #[arg(long)]
    resource: String,
    /// From this address.
    #[arg(long)]
    from: Option<IpAddr>,
    /// With a second factor shown.
    #[arg(long)]
    mfa: bool,
    /// A further key for conditions, as KEY=VALUE; may be given more than once.
    #[arg(long = "with", value_name = "KEY=VALUE")]
    with: Vec<String>,
    /// Show every statement, also those that do not matter.
    #[arg(long)]
    all: bool,
}

/// A question about everybody.
#[derive(Args)]
pub(crate) struct WhoCan {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// The action, e.g. oss:GetObject.
    #[arg(long)]
    action: String,
    /// The resource: an ARN, or `bucket/key` for an object.
    #[arg(long)]
    resource: String,
}

pub(crate) fn why(common: &Common, c: Why) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let tenant = house.find_tenant(&c.tenant).await?.id;
        let whom = whom(&c.whom)?;
        let conditions = c
            .with
            .iter()
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) => Ok((key.to_owned(), vec![value.to_owned()])),
                None => Err(Stop::unable(format!("`{pair}` is not KEY=VALUE"))),
            })
            .collect::<Result<_, _>>()?;
        let resource = resource(&tenant, &c.resource)?;
        let why = identity::Why {
            tenant,
            whom,
            action: c.action,
            resource,
            source_ip: c.from,
            mfa: c.mfa,
            conditions,
        };
        let answer = house.perform(house.system_caller("bailee why"), why).await?;
        if json_out {
            println!("{}", serde_json::to_string(&answer).map_err(|e| Stop::unable(e.to_string()))?);
        } else {
            print!("{}", shown(&answer, c.all));
        }
        Ok(if answer.verdict == "allow" { ExitCode::SUCCESS } else { ExitCode::from(2) })
    })
}

pub(crate) fn who_can(common: &Common, c: WhoCan) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let tenant = house.find_tenant(&c.tenant).await?.id;
        let resource = resource(&tenant, &c.resource)?;
        let ask = identity::WhoCan { tenant, action: c.action, resource };
        let all = house.perform(house.system_caller("bailee who-can"), ask).await?;
        if json_out {
            println!("{}", serde_json::to_string(&all).map_err(|e| Stop::unable(e.to_string()))?);
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> = all
            .iter()
            .map(|can| {
                let mut only_if = can.only_if.join("; ");
                if !can.unless.is_empty() {
                    only_if.push_str(&format!(" unless {}", can.unless.join("; or ")));
                }
                vec![can.principal.clone(), can.path.join(" → "), only_if.trim().to_owned()]
            })
            .collect();
        println!("{}", table(&["WHO", "HOW", "ONLY IF"], &rows));
        Ok(ExitCode::SUCCESS)
    })
}

fn whom(text: &str) -> Result<Whom, Stop> {
    let wrong = |e: String| Stop::unable(format!("`{text}` is not root, user/NAME or role/NAME: {e}"));
    match text.split_once('/') {
        None if text == "root" => Ok(Whom::Root),
        Some(("user", name)) => UserName::parse(name).map(Whom::User).map_err(|e| wrong(e.to_string())),
        Some(("role", name)) => RoleName::parse(name).map(Whom::Role).map_err(|e| wrong(e.to_string())),
        _ => Err(wrong("it names neither".into())),
    }
}

fn resource(tenant: &bailee_types::TenantId, text: &str) -> Result<Arn, Stop> {
    let full = if text.starts_with("acs:") { text.to_owned() } else { format!("acs:oss:*:{tenant}:{text}") };
    Arn::parse(&full).map_err(|e| Stop::unable(e.to_string()))
}

fn shown(e: &Explanation, all: bool) -> String {
    let verdict = match e.verdict {
        "allow" => "allowed",
        "explicitDeny" => "denied by a statement",
        _ => "not allowed: no statement allows it",
    };
    let mut out = format!("{verdict}\n");
    if let Some(block) = &e.taken_down {
        out.push_str(&format!("  but: {block}\n"));
    }
    if let Some(leave) = &e.leave {
        out.push_str(&format!("  without a policy: {leave}\n"));
    }
    for d in e.deciding.iter().filter(|d| !d.policy.is_empty()) {
        out.push_str(&format!("  decided by policy {}, statement {}\n", d.policy, d.statement));
    }
    if e.deciding.iter().any(|d| d.policy.is_empty()) {
        out.push_str("  the account's owner needs no policy\n");
    }
    for near in &e.nearest {
        let f = &near.failed;
        let what = match (&f.key, &f.operator) {
            (Some(key), Some(operator)) => format!("condition {operator} on {key}"),
            _ => format!("{:?}", f.element).to_lowercase(),
        };
        let asked = if f.request.is_empty() { "nothing".to_owned() } else { f.request.join(", ") };
        out.push_str(&format!(
            "  nearest: policy {}, statement {} fails by its {what}: it wants {}, the request has {asked}\n",
            near.policy,
            near.statement,
            f.policy.join(" or ")
        ));
    }
    if all {
        for s in &e.statements {
            let failed: Vec<_> =
                s.elements.iter().filter(|x| !x.held).map(|x| format!("{:?}", x.element)).collect();
            let fits =
                if s.matched { "fits".to_owned() } else { format!("does not fit by {}", failed.join(", ")) };
            out.push_str(&format!("  {:?} {} statement {}: {fits}\n", s.effect, s.policy, s.statement));
        }
    }
    out
}
