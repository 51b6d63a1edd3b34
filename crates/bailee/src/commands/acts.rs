//! Which acts `bailee trail` shows, and how.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bailee_rooms::House;
use bailee_rooms::trail::{Act, ActFilter, Family, TailActs, TailItem};
use bailee_types::{TenantId, Timestamp};
use clap::Args;
use serde_json::{Value, json};

use crate::output::Stop;

/// How often the end of the log is looked at.
const LOOK: Duration = Duration::from_millis(500);
const RECORDS_MAX: u64 = 500;

/// Which acts.
#[derive(Args)]
pub(crate) struct Which {
    /// Also the tenant's own management events.
    #[arg(long)]
    all: bool,
    /// Only the tenant's own management events.
    #[arg(long, conflicts_with = "all")]
    own: bool,
    /// Only acts with this text in name, resource, operator, ticket, grant or reason.
    #[arg(long)]
    text: Option<String>,
    /// Only this result: open, done, refused, failed, unknown.
    #[arg(long, value_parser = ["open", "done", "refused", "failed", "unknown"])]
    result: Option<String>,
    /// Only this EventType.
    #[arg(long = "type", value_name = "TYPE", value_parser = ["CUSTOMER_INITIATED_SUPPORT", "ALIYUN_INITIATED_SERVICE", "ALIYUN_INITIATED_PENALTY"])]
    event_type: Option<String>,
    /// Only this product, e.g. OSS.
    #[arg(long)]
    product: Option<String>,
    /// Only this event name, e.g. GetObject.
    #[arg(long)]
    event: Option<String>,
    /// Only this operator, by the number in the tenant's events.
    #[arg(long, value_name = "EMP-…")]
    operator: Option<String>,
    /// Only this user of the tenant.
    #[arg(long)]
    user: Option<String>,
    /// Only what this AccessKey signed.
    #[arg(long)]
    access_key: Option<String>,
    /// Only this resource: its name, or its path as in the ARN.
    #[arg(long)]
    resource: Option<String>,
    /// Only this type of resource, e.g. ACS::OSS::Object.
    #[arg(long)]
    resource_type: Option<String>,
    /// Only acts for this ticket.
    #[arg(long)]
    ticket: Option<String>,
    /// Only acts under this grant.
    #[arg(long)]
    grant: Option<String>,
    /// Only acts at or after, e.g. 2026-11-25T08:00:00Z or 2026-11-25.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only acts before.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Which {
    pub(crate) fn filter(&self) -> Result<ActFilter, Stop> {
        Ok(ActFilter {
            family: match (self.all, self.own) {
                (true, _) => None,
                (_, true) => Some(Family::Own),
                _ => Some(Family::Platform),
            },
            from: self.since.as_deref().map(time).transpose()?,
            until: self.until.as_deref().map(time).transpose()?,
            text: self.text.clone(),
            result: self.result.clone(),
            event_type: self.event_type.clone(),
            product: self.product.clone(),
            event_name: self.event.clone(),
            operator: self.operator.clone(),
            user: self.user.clone(),
            access_key: self.access_key.clone(),
            resource_name: self.resource.clone(),
            resource_type: self.resource_type.clone(),
            ticket: self.ticket.clone(),
            grant: self.grant.clone(),
            ..ActFilter::default()
        })
    }
}

pub(super) fn time(text: &str) -> Result<Timestamp, Stop> {
    Timestamp::parse_iso(text).or_else(|_| Timestamp::parse_iso(&format!("{text}T00:00:00Z"))).map_err(|_| {
        Stop::unable(format!("`{text}` is not a time such as 2026-11-25T08:00:00Z or 2026-11-25"))
    })
}

/// The columns of an act.
pub(crate) const HEAD: [&str; 9] =
    ["RECORD", "TIME", "EVENT", "RESOURCE", "WHO", "PLACE", "TICKET", "GRANT", "RESULT"];

pub(crate) fn cells(a: &Act) -> Vec<String> {
    vec![
        a.record.to_string(),
        a.at.iso(),
        match a.collected_from() {
            Some(source) => format!("{} (from {source})", a.event_name),
            None => a.event_name.clone(),
        },
        a.resource.splitn(5, ':').last().unwrap_or_default().to_owned(),
        a.who.clone(),
        a.place.clone(),
        a.ticket.clone(),
        a.grant.clone(),
        match (&a.damaged, &a.erased) {
            (Some(_), _) => "DAMAGED".to_owned(),
            (None, Some(_)) => "ERASED".to_owned(),
            (None, None) => a.result().to_owned(),
        },
    ]
}

pub(crate) fn shown(a: &Act) -> Value {
    json!({
        "record": a.record, "time": a.at.iso_ms(), "event": a.event_name, "resource": a.resource,
        "resource_type": a.resource_type, "product": a.product, "type": a.event_type, "level": a.level,
        "who": a.who, "place": a.place, "reason": a.reason, "ticket": a.ticket, "grant": a.grant,
        "result": a.result(), "error": a.error_message, "damaged": a.damaged,
        "erased": a.erased.as_ref().map(|e| json!({
            "record": e.record, "at": e.at.iso(), "by": e.by, "reason": e.reason, "legal_basis": e.legal_basis,
        })),
        "collected": a.collected_from(),
    })
}

/// Prints acts and outcomes in the order of the log.
pub(crate) async fn tail(
    house: &Arc<House>,
    tenant: &TenantId,
    filter: &ActFilter,
    from: Option<u64>,
    follow: bool,
    json_out: bool,
) -> Result<(), Stop> {
    let mut from = from;
    loop {
        let look =
            TailActs { tenant: tenant.clone(), filter: filter.clone(), from, records_max: RECORDS_MAX };
        let page = house.perform(house.system_caller("bailee trail tail"), look).await?;
        let mut out = std::io::stdout().lock();
        for item in &page.items {
            let line = if json_out { json_line(item) } else { text_line(item) };
            // A reader that went away has seen enough.
            if writeln!(out, "{line}").is_err() {
                return Ok(());
            }
        }
        if out.flush().is_err() {
            return Ok(());
        }
        drop(out);
        from = Some(page.next);
        if page.next < page.records {
            continue;
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn json_line(item: &TailItem) -> String {
    match item {
        TailItem::Began(act) => shown(act),
        TailItem::Ended { record, intent, result, at } => {
            json!({ "record": record, "time": at.iso_ms(), "ends": intent, "result": result })
        }
    }
    .to_string()
}

fn text_line(item: &TailItem) -> String {
    match item {
        TailItem::Began(act) => cells(act).join("  "),
        TailItem::Ended { record, intent, result, at } => {
            format!("{record}  {}  record {intent} ended: {result}", at.iso())
        }
    }
}
