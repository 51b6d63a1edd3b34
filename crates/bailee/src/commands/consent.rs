//! `bailee consent …`. `list`, `show` and `policy` run at the house's machine, on its database, and decide nothing; the others run at
//! the customer's and ask the house's API (`client`).

mod client;

use std::process::ExitCode;

use bailee_rooms::House;
use bailee_rooms::consent::{GetConsent, ListConsents, Request, SetPolicy, ShowConsentPolicy};
use bailee_types::GrantId;
use clap::Subcommand;
use serde_json::{Value, json};

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Requests for consent and grants. At the house's machine: `list`, `show`, `policy`, which decide nothing. At the customer's, with
/// its AccessKey: `inbox`, `approve`, `deny`, `revoke`, `figures`,
/// `standing`.
#[derive(Subcommand)]
pub(crate) enum Consent {
    /// List a tenant's requests and grants, the newest first.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Only what waits, for the tenant or the provider's second pair of eyes, or is live.
        #[arg(long)]
        open: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show one request with its approvals and comments.
    Show {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its id, `G-…`.
        id: String,
    },
    /// Show what a tenant demands: how many persons, who, with a second factor, when, for how long.
    Policy {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// The customer's: what waits for a decision, or one request in full.
    Inbox(client::Inbox),
    /// The customer's: approve a request, or less of it.
    Approve(Box<client::Approve>),
    /// The customer's: deny a request.
    Deny(client::Decide),
    /// The customer's: end a grant now.
    Revoke(client::Decide),
    /// The customer's: how often operators asked, what was answered, and what of it was used.
    Figures(client::Figures),
    /// The customer's: standing rights.
    #[command(subcommand)]
    Standing(client::Standing),
}

pub(crate) fn run(common: &Common, command: Consent) -> Result<ExitCode, Stop> {
    match command {
        Consent::Inbox(c) => client::inbox(common, &c),
        Consent::Approve(c) => client::approve(common, &c),
        Consent::Deny(c) => client::decide(common, &c, "deny"),
        Consent::Revoke(c) => client::decide(common, &c, "revoke"),
        Consent::Figures(c) => client::figures(common, &c),
        Consent::Standing(c) => client::standing(common, &c),
        at_the_machine => look(common, at_the_machine),
    }
}

fn look(common: &Common, command: Consent) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async {
        let (Consent::List { tenant, .. } | Consent::Show { tenant, .. } | Consent::Policy { tenant }) =
            &command
        else {
            return Err(Stop::unable("this runs at the customer's"));
        };
        let tenant = house.find_tenant(tenant).await?.id;
        let caller = house.system_caller("bailee consent");
        match command {
            Consent::List { open, limit, .. } => {
                let mut all = house.perform(caller, ListConsents { tenant, requests_max: limit }).await?;
                let now = house.now();
                all.retain(|r| !open || r.state(now).is_open());
                if json_out {
                    println!(
                        "{}",
                        json!({ "requests": all.iter().map(|r| shown(&house, r)).collect::<Vec<_>>() })
                    );
                } else if all.is_empty() {
                    println!("No request.");
                } else {
                    let rows: Vec<_> = all.iter().map(|r| row(&house, r)).collect();
                    println!(
                        "{}",
                        table(&["REQUEST", "TICKET", "OPERATOR", "STATE", "UNTIL", "USED", "WHAT"], &rows)
                    );
                }
            }
            Consent::Show { id, .. } => {
                let id = GrantId::parse(&id).map_err(|e| Stop::unable(e.to_string()))?;
                let r = house.perform(caller, GetConsent { tenant, id }).await?;
                show(&house, &r, json_out);
            }
            _ => {
                let set = house.perform(caller, ShowConsentPolicy { tenant }).await?;
                policy(&set, json_out);
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(house: &House, r: &Request) -> Vec<String> {
    vec![
        r.id.to_string(),
        r.ticket.to_string(),
        r.operator.to_string(),
        r.state(house.now()).word().to_owned(),
        r.approved.map_or_else(String::new, |(until, _)| until.iso()),
        format!("{}/{}", r.uses, r.approved.map_or(r.uses_max_asked, |(_, uses)| uses)),
        r.scope.to_string(),
    ]
}

fn show(house: &House, r: &Request, json_out: bool) {
    if json_out {
        println!("{}", shown(house, r));
        return;
    }
    println!("{}  {}  {}", r.id, r.scope, r.state(house.now()).word());
    println!(
        "asked by {} ({}, from {}) on {} at {}",
        r.operator,
        r.pseudonym,
        r.place,
        r.ticket,
        r.asked_at.iso()
    );
    println!("{}: {}", [r.code.word(), &r.reference].join(" ").trim_end(), r.reason);
    println!("{} minutes, {} reads; lapses at {}", r.minutes, r.uses_max_asked, r.lapses_at.iso());
    if r.scope != r.scope_asked {
        println!("asked for {}", r.scope_asked);
    }
    if let Some(c) = &r.confirmed {
        println!("{} by {} at {}", if c.yes { "confirmed" } else { "declined" }, c.pseudonym, c.at.iso());
    }
    for (by, at) in &r.approvals {
        println!("approved by {by} at {} ({} needed)", at.iso(), r.approvals_needed);
    }
    if let Some((by, at)) = &r.decided {
        println!("decided by {by} at {}", at.iso());
    }
    for c in &r.comments {
        println!("\n{} {}:", c.at.iso(), c.writer);
        for line in c.text.lines() {
            println!("    {line}");
        }
    }
}

fn shown(house: &House, r: &Request) -> Value {
    let by = |(by, at): &(String, bailee_types::Timestamp)| json!({ "by": by, "at": at.iso() });
    json!({
        "request": r.id.as_str(), "ticket": r.ticket.as_str(), "operator": r.operator.as_str(),
        "pseudonym": r.pseudonym.as_str(), "place": r.place, "state": r.state(house.now()).word(), "action": r.action,
        "scope": r.scope.to_string(), "scopeAsked": r.scope_asked.to_string(), "code": r.code.word(),
        "reference": r.reference, "reason": r.reason, "renews": r.renews.as_ref().map(GrantId::as_str),
        "minutes": r.minutes, "usesMaxAsked": r.uses_max_asked, "asked": r.asked_at.iso(), "lapses": r.lapses_at.iso(),
        "confirmed": r.confirmed.as_ref().map(|c| json!({ "yes": c.yes, "by": c.pseudonym.as_str(), "at": c.at.iso() })),
        "approvals": r.approvals.iter().map(by).collect::<Vec<_>>(), "approvalsNeeded": r.approvals_needed,
        "decided": r.decided.as_ref().map(by),
        "standingRight": r.standing.as_ref().map(bailee_types::StandingId::as_str), "until": r.approved.map(|(until, _)| until.iso()),
        "usesMax": r.approved.map(|(_, uses)| uses), "uses": r.uses, "revoked": r.revoked.as_ref().map(by),
        "comments": r.comments.iter().map(|c| json!({
            "by": c.writer, "provider": c.by_provider, "at": c.at.iso(), "text": c.text,
        })).collect::<Vec<_>>(),
    })
}

fn policy(SetPolicy { policy: p, set }: &SetPolicy, json_out: bool) {
    let names: Vec<_> = p.approvers.iter().map(|a| a.name.as_str()).collect();
    if json_out {
        println!(
            "{}",
            json!({
                "approvals": p.approvals, "approvers": names, "mfa": p.mfa, "signed": p.signed, "hours": p.hours,
                "lapseHours": p.lapse_hours, "minutesMax": p.minutes_max,
                "setBy": set.as_ref().map(|s| &s.0), "setAt": set.as_ref().map(|s| s.1.iso()),
            })
        );
        return;
    }
    match set {
        Some((by, at)) => println!("set by {by} at {}", at.iso()),
        None => println!("never set: what holds without a word of the tenant"),
    }
    println!("persons who must approve: {}", p.approvals);
    println!("who may: {}", if names.is_empty() { "whom RAM lets".into() } else { names.join(", ") });
    println!("second factor within five minutes: {}", if p.mfa { "yes" } else { "who has one" });
    println!("signed approvals only: {}", if p.signed { "yes" } else { "no" });
    if let Some(h) = &p.hours {
        let clock = |m: u32| format!("{:02}:{:02}", m / 60, m % 60);
        let days = h.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let what = if h.uses { "approvals and uses" } else { "approvals" };
        println!(
            "hours of {what}: days {days} (1 is Monday), {} to {}, {} minutes from UTC",
            clock(h.from),
            clock(h.to),
            h.offset
        );
    }
    println!(
        "a request lapses after {} hours; a grant lasts at most {} minutes",
        p.lapse_hours, p.minutes_max
    );
}
