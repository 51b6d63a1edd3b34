//! The tickets room's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{TenantAlias, TenantId, TicketId, Timestamp};

use super::list::{Assigned, Filter, Stands};
use super::{Category, Priority, Side, State, Step, Targets, Ticket};

/// A ticket's columns. How long its clocks stood is a sum over its entries, up to `now` for the last.
fn select(now: Timestamp) -> String {
    format!(
        "SELECT k.tenant_id, t.alias, k.number, k.title, k.opened_by, k.opened_at_ms, k.closed_at_ms, k.category, \
         k.priority, k.said, k.solved_at_ms, k.assigned, {FIRST_ANSWER}, {} \
         FROM ticket k JOIN tenant t ON t.tenant_id = k.tenant_id ",
        paused(now)
    )
}

const FIRST_ANSWER: &str = "(SELECT min(f.at_ms) FROM ticket_entry f WHERE f.tenant_id = k.tenant_id \
     AND f.number = k.number AND f.kind = 'message' AND f.side = 'provider')";

fn paused(now: Timestamp) -> String {
    format!(
        "CAST(coalesce((SELECT sum(coalesce(n.at_ms, {}) - e.at_ms) FROM ticket_entry e \
         LEFT JOIN ticket_entry n ON n.tenant_id = e.tenant_id AND n.number = e.number AND n.seq = e.seq + 1 \
         WHERE e.tenant_id = k.tenant_id AND e.number = k.number AND e.pauses = 1), 0) AS BIGINT)",
        now.ms()
    )
}

const LIVE: &str = "k.closed_at_ms IS NULL AND k.solved_at_ms IS NULL";

pub(super) fn next_number(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT coalesce(max(number), 0) + 1 FROM ticket", &[])?;
    row.map_or(Ok(1), |r| r.int(0))
}

pub(super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    title: &str,
    (category, priority): (Category, Priority),
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ticket (tenant_id, number, title, opened_by, opened_at_ms, category, priority) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            number.into(),
            title.into(),
            by.into(),
            now.ms().into(),
            category.word().into(),
            priority.word().into(),
        ],
    )
    .map(drop)
}

/// Brings a ticket to a state. Who wrote last is kept while it is solved.
pub(super) fn set_state(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    (state, step): (State, Step),
    now: Timestamp,
) -> Result<(), StoreError> {
    let set = match (state, step) {
        (_, Step::Assign) => return Ok(()),
        (State::Closed, _) => "closed_at_ms = $3",
        (State::Solved, _) => "solved_at_ms = $3",
        (_, Step::Reopen) => "said = 'tenant', solved_at_ms = NULL, reopened = reopened + 1",
        (State::Waiting, _) => "said = 'tenant'",
        (State::Answered, _) => "said = 'provider'",
        (State::Open, _) => return Ok(()),
    };
    let sql = format!("UPDATE ticket SET {set} WHERE tenant_id = $1 AND number = $2");
    let at = [number.into(), now.ms().into()];
    let params = if set.contains("$3") { &at[..] } else { &at[..1] };
    tx.execute(&sql, params).map(drop)
}

pub(super) fn assign(tx: &mut TenantTx<'_, '_>, number: i64, to: &str) -> Result<(), StoreError> {
    let sql = "UPDATE ticket SET assigned = $3 WHERE tenant_id = $1 AND number = $2";
    tx.execute(sql, &[number.into(), to.into()]).map(drop)
}

pub(super) fn is_open(tx: &mut TenantTx<'_, '_>, number: i64) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM ticket k WHERE k.tenant_id = $1 AND k.number = $2 AND {LIVE}");
    Ok(tx.query_opt(&sql, &[number.into()])?.is_some())
}

pub(super) fn own(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    now: Timestamp,
) -> Result<Option<Ticket>, StoreError> {
    let sql = format!("{} WHERE k.tenant_id = $1 AND k.number = $2", select(now));
    tx.query_opt(&sql, &[number.into()])?.as_ref().map(read).transpose()
}

pub(super) fn one(tx: &mut Tx<'_>, number: i64, now: Timestamp) -> Result<Option<Ticket>, StoreError> {
    tx.query_opt(&format!("{} WHERE k.number = $1", select(now)), &[number.into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(super) fn all_open(tx: &mut Tx<'_>, limit: u32, now: Timestamp) -> Result<Vec<Ticket>, StoreError> {
    let sql = format!("{} WHERE {LIVE} ORDER BY k.number LIMIT $1", select(now));
    tx.query(&sql, &[i64::from(limit).into()])?.iter().map(read).collect()
}

/// Tickets of one tenant or of all, the newest first. `found`: those whose messages have the text that is searched for.
pub(super) fn list(
    tx: &mut Tx<'_>,
    tenant: Option<&TenantId>,
    filter: &Filter,
    found: &[i64],
    (before, limit): (Option<i64>, u32),
    (targets, now): (&Targets, Timestamp),
) -> Result<Vec<Ticket>, StoreError> {
    let mut wanted: Vec<String> = Vec::new();
    let mut params: Vec<Value<'_>> = Vec::new();
    macro_rules! is {
        ($column:literal, $value:expr) => {{
            params.push($value.into());
            wanted.push(format!("{} ${}", $column, params.len()));
        }};
    }
    if let Some(tenant) = tenant {
        is!("k.tenant_id =", tenant.as_str());
    }
    if let Some(before) = before {
        is!("k.number <", before);
    }
    if let Some(category) = filter.category {
        is!("k.category =", category.word());
    }
    if let Some(priority) = filter.priority {
        is!("k.priority =", priority.word());
    }
    match &filter.assigned {
        None => {}
        Some(Assigned::Nobody) => wanted.push("k.assigned IS NULL".into()),
        Some(Assigned::Somebody) => wanted.push("k.assigned IS NOT NULL".into()),
        Some(Assigned::To(operator)) => is!("k.assigned =", operator.as_str()),
    }
    wanted.extend(filter.stands.map(|stands| match stands {
        Stands::Live => LIVE.to_owned(),
        Stands::In(State::Open) => format!("{LIVE} AND k.said IS NULL"),
        Stands::In(State::Answered) => format!("{LIVE} AND k.said = 'provider'"),
        Stands::In(State::Waiting) => format!("{LIVE} AND k.said = 'tenant'"),
        Stands::In(State::Solved) => "k.closed_at_ms IS NULL AND k.solved_at_ms IS NOT NULL".to_owned(),
        Stands::In(State::Closed) => "k.closed_at_ms IS NOT NULL".to_owned(),
    }));
    if filter.overdue {
        // Our own numbers, never a caller's.
        let due = |ms: &[i64; 4]| {
            let cases: Vec<_> = Priority::ALL
                .iter()
                .zip(ms)
                .map(|(p, ms)| format!("WHEN '{}' THEN {}", p.word(), ms.saturating_sub(now.ms())))
                .collect();
            format!("k.opened_at_ms + {} + CASE k.priority {} END <= 0", paused(now), cases.join(" "))
        };
        wanted.push(format!(
            "{LIVE} AND (({FIRST_ANSWER} IS NULL AND {}) OR {})",
            due(&targets.first_answer_ms),
            due(&targets.solution_ms)
        ));
    }
    let text = filter.text.as_ref().map(|t| format!("%{}%", escaped(t)));
    if let Some(text) = &text {
        params.push(text.into());
        let in_title = format!("lower(k.title) LIKE lower(${}) ESCAPE '!'", params.len());
        if found.is_empty() {
            wanted.push(in_title);
        } else {
            let numbers: Vec<_> = found.iter().map(i64::to_string).collect();
            wanted.push(format!("({in_title} OR k.number IN ({}))", numbers.join(", ")));
        }
    }
    let wanted = if wanted.is_empty() { String::new() } else { format!("WHERE {}", wanted.join(" AND ")) };
    let sql = format!("{} {wanted} ORDER BY k.number DESC LIMIT {limit}", select(now));
    tx.query(&sql, &params)?.iter().map(read).collect()
}

/// A text that stands for itself in a pattern.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Solved tickets that nobody may reopen any more, of all tenants.
pub(super) fn due_to_close(
    tx: &mut Tx<'_>,
    solved_until: Timestamp,
) -> Result<Vec<(TenantId, TicketId)>, StoreError> {
    tx.query(
        "SELECT tenant_id, number FROM ticket WHERE closed_at_ms IS NULL AND solved_at_ms IS NOT NULL \
         AND solved_at_ms <= $1 ORDER BY solved_at_ms LIMIT 100",
        &[solved_until.ms().into()],
    )?
    .iter()
    .map(|r| Ok((r.parsed(0, TenantId::parse)?, id(r.int(1)?)?)))
    .collect()
}

/// The number and the time of a ticket's last entry; 0 when it has none.
pub(super) fn last_entry(tx: &mut TenantTx<'_, '_>, number: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT coalesce(max(seq), 0), coalesce(max(at_ms), 0) FROM ticket_entry \
               WHERE tenant_id = $1 AND number = $2";
    tx.query_opt(sql, &[number.into()])?.map_or(Ok((0, 0)), |r| Ok((r.int(0)?, r.int(1)?)))
}

/// An entry as its row has it.
pub(super) struct EntryRow {
    pub(super) number: i64,
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) step: Step,
    pub(super) side: Side,
    pub(super) writer: String,
    pub(super) assignee: Option<String>,
    pub(super) pauses: bool,
    pub(super) sealed: Option<Vec<u8>>,
}

pub(super) fn add_entry(tx: &mut TenantTx<'_, '_>, e: &EntryRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ticket_entry (tenant_id, number, seq, at_ms, kind, side, writer, assignee, pauses, sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            e.number.into(),
            e.seq.into(),
            e.at.ms().into(),
            e.step.word().into(),
            e.side.word().into(),
            (&e.writer).into(),
            e.assignee.as_ref().into(),
            e.pauses.into(),
            e.sealed.as_ref().into(),
        ],
    )
    .map(drop)
}

const ENTRY: &str = "SELECT number, seq, at_ms, kind, side, writer, assignee, pauses, sealed FROM ticket_entry \
                     WHERE tenant_id = $1 ";

fn read_entry(r: &Row) -> Result<EntryRow, StoreError> {
    Ok(EntryRow {
        number: r.int(0)?,
        seq: r.int(1)?,
        at: Timestamp::from_ms(r.int(2)?),
        step: r.parsed(3, |w| Step::parse(w).ok_or("a step"))?,
        side: r.parsed(4, |w| Side::parse(w).ok_or("a side"))?,
        writer: r.text(5)?.to_owned(),
        assignee: r.opt_text(6)?.map(str::to_owned),
        pauses: r.int(7)? == 1,
        sealed: r.opt_blob(8)?.map(<[u8]>::to_vec),
    })
}

/// A ticket's entries before one, the newest first.
pub(super) fn entries(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    before: i64,
    limit: u32,
) -> Result<Vec<EntryRow>, StoreError> {
    let sql = format!("{ENTRY} AND number = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4");
    let params = [number.into(), before.into(), i64::from(limit).into()];
    tx.query(&sql, &params)?.iter().map(read_entry).collect()
}

/// Where a walk over messages is: time, ticket, entry.
pub(super) type Place = (i64, i64, i64);

/// A tenant's messages before a place, the newest first.
pub(super) fn newest_messages(
    tx: &mut TenantTx<'_, '_>,
    (at, number, seq): Place,
    limit: i64,
) -> Result<Vec<EntryRow>, StoreError> {
    let sql = format!(
        "{ENTRY} AND kind = 'message' AND (at_ms, number, seq) < ($2, $3, $4) \
         ORDER BY at_ms DESC, number DESC, seq DESC LIMIT $5"
    );
    tx.query(&sql, &[at.into(), number.into(), seq.into(), limit.into()])?.iter().map(read_entry).collect()
}

/// A tenant's messages behind one, by ticket.
pub(super) fn messages_after(
    tx: &mut TenantTx<'_, '_>,
    (number, seq): (i64, i64),
    limit: i64,
) -> Result<Vec<EntryRow>, StoreError> {
    let sql =
        format!("{ENTRY} AND kind = 'message' AND (number, seq) > ($2, $3) ORDER BY number, seq LIMIT $4");
    tx.query(&sql, &[number.into(), seq.into(), limit.into()])?.iter().map(read_entry).collect()
}

/// Gives a message other bytes, if it still has those that were read.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    (number, seq): (i64, i64),
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = "UPDATE ticket_entry SET sealed = $5 \
               WHERE tenant_id = $1 AND number = $2 AND seq = $3 AND sealed = $4";
    Ok(tx.execute(sql, &[number.into(), seq.into(), before.into(), after.into()])? == 1)
}

fn id(number: i64) -> Result<TicketId, StoreError> {
    TicketId::parse(&format!("T-{number}")).map_err(|e| StoreError::Corrupt(e.to_string()))
}

fn read(r: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        tenant: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        id: id(r.int(2)?)?,
        title: r.text(3)?.to_owned(),
        opened_by: r.text(4)?.to_owned(),
        opened_at: Timestamp::from_ms(r.int(5)?),
        closed_at: r.opt_int(6)?.map(Timestamp::from_ms),
        category: r.parsed(7, |w| Category::parse(w).ok_or("a category"))?,
        priority: r.parsed(8, |w| Priority::parse(w).ok_or("a priority"))?,
        said: r
            .opt_text(9)?
            .map(|w| Side::parse(w).ok_or(StoreError::Corrupt("a side".into())))
            .transpose()?,
        solved_at: r.opt_int(10)?.map(Timestamp::from_ms),
        assigned: r.opt_text(11)?.map(str::to_owned),
        first_answer_at: r.opt_int(12)?.map(Timestamp::from_ms),
        paused_ms: r.int(13)?,
    })
}
