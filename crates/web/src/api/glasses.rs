//! Broken glass over the API: what was looked at without consent, and a tenant's end, acknowledgement and review of it.

use axum::body::Body;
use bailee_rooms::handling::{Acknowledge, Glass, GlassStep, Hand, ListHandling, Verdict};
use bailee_rooms::{Failure, Thing};
use bailee_types::{HandlingId, TicketId, Timestamp};
use bailee_wire::rpc::RpcError;
use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tickets::word;
use super::{Act, Cx, json_answer};

/// What a review says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    verdict: String,
    #[serde(default)]
    note: String,
}

pub(super) async fn answer(cx: &Cx<'_>, act: Act, pieces: &[&str]) -> Result<Response<Body>, RpcError> {
    let piece = pieces.first().copied().unwrap_or_default();
    let missing =
        || cx.failed(Failure::NotFound { thing: Thing::Glass, name: piece.chars().take(64).collect() });
    let id = HandlingId::parse(piece).map_err(|_| missing());
    match act {
        Act::Glasses => {
            cx.arguments(&["limit"])?;
            let limit = cx.query.get("limit").map(String::as_str);
            let limit =
                word("limit", limit, |w| w.parse().ok().filter(|n| (1..=200).contains(n)))?.unwrap_or(50);
            let found = cx.perform(ListHandling { tenant: cx.tenant.clone(), limit }).await?;
            let now = cx.house.now();
            let all: Vec<_> = found.glasses.iter().map(|g| shown(g, now)).collect();
            Ok(json_answer(200, &json!({ "glasses": all })))
        }
        Act::AcknowledgeGlass => {
            cx.arguments(&[])?;
            let id = id?;
            cx.perform(Acknowledge { tenant: cx.tenant.clone(), id: id.clone() }).await?;
            Ok(json_answer(200, &json!({ "id": id.as_str() })))
        }
        Act::ReviewGlass => {
            let said: Said = cx.object()?;
            let verdict = Verdict::parse(&said.verdict).ok_or_else(|| {
                RpcError::new(400, "InvalidParameter.verdict", "The verdict is accepted or disputed.")
            })?;
            step(cx, id?, GlassStep::Review(verdict), &said.note).await
        }
        _ => step(cx, id?, GlassStep::End, "").await,
    }
}

async fn step(cx: &Cx<'_>, id: HandlingId, step: GlassStep, note: &str) -> Result<Response<Body>, RpcError> {
    cx.arguments(&[])?;
    let done = cx.house.step_glass(cx.caller.clone(), (&cx.tenant, &id), step, note).await;
    let ticket = done.map_err(|e| cx.failed(e))?;
    Ok(json_answer(200, &json!({ "id": id.as_str(), "ticket": ticket.as_ref().map(TicketId::as_str) })))
}

fn hand(h: &Hand) -> Value {
    json!({ "by": h.pseudonym, "at": h.at.iso() })
}

fn shown(g: &Glass, now: Timestamp) -> Value {
    json!({
        "id": g.id.as_str(), "state": g.state(now).word(), "incident": g.incident, "reason": g.reason,
        "minutes": g.minutes, "asked": hand(&g.asked), "broken": g.broken.as_ref().map(hand),
        "until": g.until.map(Timestamp::iso), "acknowledged": g.acknowledged,
        "ended": g.ended.as_ref().map(|(by, at)| json!({ "by": by, "at": at.iso() })),
        "review": g.review.as_ref().map(|r| json!({
            "verdict": r.verdict.word(), "note": r.note, "by": r.by, "at": r.at.iso(),
            "ticket": r.ticket.as_ref().map(TicketId::as_str),
        })),
        "acts": g.acts.iter().map(|a| json!({
            "record": a.record, "name": a.name, "resource": a.resource, "at": a.at.iso(),
        })).collect::<Vec<_>>(),
    })
}
