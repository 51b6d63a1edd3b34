//! `bailee ticket …`: tickets between tenants and provider, at the machine.

use std::process::ExitCode;

use bailee_rooms::House;
use bailee_rooms::tickets::{
    Assigned, Category, Clock, Entry, Filter, GetTicket, ListTickets, Page, Priority, Stands, State,
    TICKETS_MAX, Ticket as One,
};
use bailee_types::{OperatorId, TicketId};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Tickets between tenants and provider: list and read them.
#[derive(Subcommand)]
pub(crate) enum Ticket {
    /// List tickets, the newest first.
    List(List),
    /// Show a ticket with its thread. The look is recorded, and the tenant sees it.
    Show {
        /// Its id, `T-1042`.
        id: String,
        /// Only entries before this one (for earlier ones).
        #[arg(long, value_name = "ENTRY")]
        before: Option<i64>,
    },
}

/// Which tickets.
#[derive(Args)]
pub(crate) struct List {
    /// Only this tenant's: its alias or id.
    #[arg(long)]
    tenant: Option<String>,
    /// `live` (neither solved nor closed), `open`, `answered`, `waiting`, `solved`, `closed`.
    #[arg(long, value_parser = stands)]
    state: Option<Stands>,
    /// `customer_initiated_support`, `incident`, `security`, `compliance`, `billing`, `other`.
    #[arg(long, value_parser = |w: &str| Category::parse(w).ok_or("there is no such category"))]
    category: Option<Category>,
    /// `low`, `normal`, `high`, `urgent`.
    #[arg(long, value_parser = |w: &str| Priority::parse(w).ok_or("there is no such priority"))]
    priority: Option<Priority>,
    /// An operator's id, `nobody` or `somebody`.
    #[arg(long, value_parser = assigned)]
    assigned: Option<Assigned>,
    /// Only with a clock that is past its time.
    #[arg(long)]
    overdue: bool,
    /// With this text in the title.
    #[arg(long)]
    text: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(TICKETS_MAX)))]
    limit: u32,
    /// Only tickets before this number (for the next page).
    #[arg(long)]
    before: Option<i64>,
}

fn stands(word: &str) -> Result<Stands, &'static str> {
    match word {
        "live" => Ok(Stands::Live),
        other => State::parse(other).map(Stands::In).ok_or("there is no such state"),
    }
}

fn assigned(word: &str) -> Result<Assigned, String> {
    match word {
        "nobody" => Ok(Assigned::Nobody),
        "somebody" => Ok(Assigned::Somebody),
        id => OperatorId::parse(id).map(Assigned::To).map_err(|e| e.to_string()),
    }
}

pub(crate) fn run(common: &Common, command: Ticket) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async {
        match command {
            Ticket::List(args) => list(&house, args, json_out).await,
            Ticket::Show { id, before } => show(&house, &id, before, json_out).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(house: &std::sync::Arc<House>, args: List, json_out: bool) -> Result<(), Stop> {
    let filter = Filter {
        stands: args.state,
        category: args.category,
        priority: args.priority,
        assigned: args.assigned,
        overdue: args.overdue,
        text: args.text,
        in_messages: false,
    };
    let page: Page = match args.tenant {
        None => house.desk_tickets(filter, args.before, args.limit).await?,
        Some(name) => {
            let tenant = house.find_tenant(&name).await?.id;
            let list = ListTickets { tenant, filter, before: args.before, tickets_max: args.limit };
            house.perform(house.system_caller("bailee ticket list"), list).await?
        }
    };
    if json_out {
        let tickets: Vec<_> = page.tickets.iter().map(|k| shown(house, k)).collect();
        println!("{}", json!({ "tickets": tickets, "next": page.next }));
    } else if page.tickets.is_empty() {
        println!("No ticket.");
    } else {
        let rows: Vec<_> = page.tickets.iter().map(|k| row(house, k)).collect();
        println!(
            "{}",
            table(&["TICKET", "TENANT", "STATE", "PRIORITY", "CATEGORY", "ASSIGNED", "DUE", "TITLE"], &rows)
        );
        if let Some(next) = page.next {
            println!("\nThere are more: --before {next}");
        }
    }
    Ok(())
}

async fn show(
    house: &std::sync::Arc<House>,
    id: &str,
    before: Option<i64>,
    json_out: bool,
) -> Result<(), Stop> {
    let id = TicketId::parse(id).map_err(|e| Stop::unable(e.to_string()))?;
    let tenant = house.ticket(&id).await?.tenant;
    let get = GetTicket { tenant, ticket: id, before, recorded: true };
    let thread = house.perform(house.system_caller("bailee ticket show"), get).await?;
    if json_out {
        let mut out = shown(house, &thread.ticket);
        if let Some(out) = out.as_object_mut() {
            out.insert("entries".into(), thread.entries.iter().map(entry).collect());
            out.insert("more".into(), thread.more.into());
            let documents = thread.attachments.iter().map(|d| {
                json!({ "document": d.name, "mime": d.media.mime(), "bytes": d.size, "sha256": d.sha256,
                        "attached": d.attached_at.iso(), "attachedBy": d.attached_by })
            });
            out.insert("documents".into(), documents.collect());
        }
        println!("{out}");
        return Ok(());
    }
    let k = &thread.ticket;
    println!("{}  {}\n{}, {}, {}", k.id, k.title, k.state().word(), k.priority.word(), k.category.word());
    println!("of {}, opened {} by {}", k.alias, k.opened_at.iso(), k.opened_by);
    println!("assigned to {}; due {}", k.assigned.as_deref().unwrap_or("nobody"), due(house, k));
    for d in &thread.attachments {
        println!("document `{}`, {} bytes, SHA-256 {}, by {}", d.name, d.size, d.sha256, d.attached_by);
    }
    for e in &thread.entries {
        let to = e.assignee.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
        println!("\n[{}] {} {} {}: {}{to}", e.seq, e.at.iso(), e.side.word(), e.writer, e.step.word());
        for line in e.text.iter().flat_map(|t| t.lines()) {
            println!("    {line}");
        }
    }
    if let (true, Some(first)) = (thread.more, thread.entries.first()) {
        println!("\nThere are earlier ones: --before {}", first.seq);
    }
    Ok(())
}

/// The next of a ticket's times.
fn due(house: &House, k: &One) -> String {
    let clocks = k.clocks(house.ticket_targets(), house.now());
    match clocks.first_answer.or(clocks.solution) {
        None => String::new(),
        Some(_) if clocks.stands => "(waits for the tenant)".into(),
        Some(c) => format!("{}{}", c.due_at.iso(), if c.overdue { " OVERDUE" } else { "" }),
    }
}

fn row(house: &House, k: &One) -> Vec<String> {
    vec![
        k.id.to_string(),
        k.alias.to_string(),
        k.state().word().into(),
        k.priority.word().into(),
        k.category.word().into(),
        k.assigned.clone().unwrap_or_default(),
        due(house, k),
        k.title.clone(),
    ]
}

fn shown(house: &House, k: &One) -> Value {
    let clocks = k.clocks(house.ticket_targets(), house.now());
    let clock = |c: Option<Clock>| c.map(|c| json!({ "due": c.due_at.iso(), "overdue": c.overdue }));
    json!({
        "ticket": k.id.as_str(), "tenant": k.tenant.as_str(), "alias": k.alias.as_str(), "title": k.title,
        "state": k.state().word(), "category": k.category.word(), "priority": k.priority.word(),
        "opened": k.opened_at.iso(), "openedBy": k.opened_by, "assigned": k.assigned,
        "solved": k.solved_at.map(|t| t.iso()), "closed": k.closed_at.map(|t| t.iso()),
        "firstAnswer": clock(clocks.first_answer), "solution": clock(clocks.solution), "clockStands": clocks.stands,
    })
}

fn entry(e: &Entry) -> Value {
    json!({
        "entry": e.seq, "at": e.at.iso(), "step": e.step.word(), "side": e.side.word(), "writer": e.writer,
        "assignee": e.assignee, "text": e.text,
    })
}
