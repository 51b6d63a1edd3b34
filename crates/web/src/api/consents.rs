//! Consent over the API: what operators want, the tenant's decisions, its standing rights; what the console does, for programs.

use axum::body::Body;
use bailee_rooms::consent::{
    Answers, Code, Comment, Decide, Decision, Figures, FindConsents, GetConsent, GetConsentFigures,
    ListStandingRights, Request, RevokeStandingRight, Scope, SetStandingRight, Span, StandingRight, State,
    Terms,
};
use bailee_rooms::gate::Operation;
use bailee_rooms::{Failure, House, Thing};
use bailee_types::{GrantId, Pseudonym, StandingId, Timestamp};
use bailee_wire::rpc::RpcError;
use http::{HeaderValue, Response, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tickets::word;
use super::{Act, Cx, json_answer};

/// Requests of a page, where nothing is said.
const PER_PAGE: u32 = 50;

/// What an approval may say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Approval {
    minutes: Option<u32>,
    uses: Option<u32>,
    scope: Option<Value>,
    note: String,
    statement: Option<String>,
}

/// What another decision may say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Word {
    note: String,
}

/// A standing right to set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewRight {
    scope: Value,
    #[serde(default)]
    operators: Vec<String>,
    codes: Vec<String>,
    minutes: u32,
    uses: u32,
    uses_a_day: u32,
    until: String,
    #[serde(default)]
    why: String,
}

pub(super) async fn answer(cx: &Cx<'_>, act: Act, pieces: &[&str]) -> Result<Response<Body>, RpcError> {
    let piece = pieces.first().copied().unwrap_or_default();
    let missing = |thing| cx.failed(Failure::NotFound { thing, name: piece.chars().take(64).collect() });
    let grant = || GrantId::parse(piece).map_err(|_| missing(Thing::Grant));
    match act {
        Act::Consents => list(cx).await,
        Act::Figures => figures(cx).await,
        Act::Consent => {
            cx.arguments(&[])?;
            let request = cx.perform(GetConsent { tenant: cx.tenant.clone(), id: grant()? }).await?;
            Ok(json_answer(200, &whole(cx.house, &request)))
        }
        Act::Approve => approve(cx, grant()?).await,
        Act::Deny => decide(cx, grant()?, Decision::Deny).await,
        Act::Revoke => decide(cx, grant()?, Decision::Revoke).await,
        Act::Rights => {
            cx.arguments(&[])?;
            let all = cx.perform(ListStandingRights { tenant: cx.tenant.clone() }).await?;
            let now = cx.house.now();
            let all: Vec<_> = all.iter().map(|r| right(r, now)).collect();
            Ok(json_answer(200, &json!({ "standingRights": all })))
        }
        Act::SetRight => set_right(cx).await,
        _ => {
            cx.arguments(&[])?;
            let id = StandingId::parse(piece).map_err(|_| missing(Thing::StandingRight))?;
            let ended = cx.perform(RevokeStandingRight { tenant: cx.tenant.clone(), id }).await?;
            let grants: Vec<_> = ended.grants.iter().map(GrantId::as_str).collect();
            Ok(json_answer(200, &json!({ "id": ended.id.as_str(), "endedGrants": grants })))
        }
    }
}

async fn list(cx: &Cx<'_>) -> Result<Response<Body>, RpcError> {
    cx.arguments(&["state", "operator", "cursor", "limit"])?;
    let given = |name: &str| cx.query.get(name).map(String::as_str);
    let states = |w: &str| match w {
        "open" => Some(vec![State::Confirming, State::Pending, State::Live]),
        other => State::parse(other).map(|s| vec![s]),
    };
    let find = FindConsents {
        tenant: cx.tenant.clone(),
        states: word("state", given("state"), states)?,
        operator: word("operator", given("operator"), |w| Pseudonym::parse(w).ok())?,
        after: word("cursor", given("cursor"), |w| GrantId::parse(w).ok())?,
        requests_max: word("limit", given("limit"), |w| w.parse().ok().filter(|n| (1..=200).contains(n)))?
            .unwrap_or(PER_PAGE),
    };
    let page = cx.perform(find).await?;
    let consents: Vec<_> = page.requests.iter().map(|r| shown(cx.house, r)).collect();
    let next = page.next.as_ref().map(GrantId::as_str);
    Ok(json_answer(200, &json!({ "consents": consents, "nextCursor": next })))
}

async fn figures(cx: &Cx<'_>) -> Result<Response<Body>, RpcError> {
    cx.arguments(&["from", "to"])?;
    let given = |name: &str| cx.query.get(name).map(String::as_str);
    let span = Span::days(given("from"), given("to"), cx.house.now()).map_err(|e| cx.failed(e))?;
    let f = cx.perform(GetConsentFigures { tenant: cx.tenant.clone(), span }).await?;
    Ok(json_answer(200, &counted(&f)))
}

fn counted(f: &Figures) -> Value {
    let answers = |a: &Answers| {
        json!({
            "asked": a.asked, "approved": a.approved, "denied": a.denied, "declined": a.declined, "lapsed": a.lapsed,
            "withdrawn": a.withdrawn, "waiting": a.waiting,
        })
    };
    let (from, to) = f.span.named();
    let (g, b) = (&f.grants, f.beside.unwrap_or_default());
    json!({
        "from": from, "to": to, "complete": f.complete, "requests": answers(&f.all),
        "byCode": f.by_code.iter().map(|(c, a)| (c.word().to_owned(), answers(a))).collect::<serde_json::Map<_, _>>(),
        "byOperator": f.by_operator.iter().map(|(o, a)| json!({ "operator": o, "requests": answers(a) })).collect::<Vec<_>>(),
        "decisions": f.decisions.map(|d| json!({ "count": d.count, "medianMs": d.median_ms, "p90Ms": d.p90_ms })),
        "grants": {
            "given": g.given, "standing": g.standing, "live": g.live, "unused": g.unused, "usesAllowed": g.uses_allowed,
            "usesMade": g.uses_made,
            "ended": g.ended.iter().map(|(s, n)| (s.word().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
        },
        "reads": b.reads, "sessions": b.sessions, "takedowns": b.takedowns, "changes": b.changes, "standingRights": b.rights,
    })
}

async fn approve(cx: &Cx<'_>, id: GrantId) -> Result<Response<Body>, RpcError> {
    cx.arguments(&[])?;
    let said: Approval = cx.object()?;
    let scope = said.scope.as_ref().map(Scope::read_told).transpose().map_err(|e| cx.failed(e))?;
    let (minutes, uses_max) = match (&said.statement, said.minutes, said.uses) {
        (Some(_), None, None) => (1, 1),
        (Some(_), ..) => {
            let why = "A signed statement says until when and how often: leave out minutes and uses.";
            return Err(RpcError::new(400, "InvalidParameter.statement", why));
        }
        (None, Some(minutes), Some(uses)) => (minutes, uses),
        // What is left out is as it was asked for.
        (None, minutes, uses) => {
            let get = GetConsent { tenant: cx.tenant.clone(), id: id.clone() };
            let asked = cx.perform(get).await?;
            (minutes.unwrap_or(asked.minutes), uses.unwrap_or(asked.uses_max_asked))
        }
    };
    let op = Decide {
        scope,
        statement: said.statement,
        note: said.note,
        ..Decide::new(cx.tenant.clone(), id, Decision::Approve { minutes, uses_max })
    };
    let done = decided(cx, op).await?;
    let state = if done.waits() { State::Pending } else { State::Live };
    Ok(json_answer(
        200,
        &json!({
            "id": done.id.as_str(), "state": state.word(), "scope": done.scope.told(),
            "until": done.until.map(Timestamp::iso), "approvedBy": done.approved_by, "approvalsNeeded": done.needed,
        }),
    ))
}

async fn decide(cx: &Cx<'_>, id: GrantId, decision: Decision) -> Result<Response<Body>, RpcError> {
    cx.arguments(&[])?;
    let Word { note } = cx.object()?;
    let done = decided(cx, Decide { note, ..Decide::new(cx.tenant.clone(), id, decision) }).await?;
    let state = if decision == Decision::Deny { State::Denied } else { State::Revoked };
    Ok(json_answer(200, &json!({ "id": done.id.as_str(), "state": state.word() })))
}

/// As [`Cx::perform`], for acts that may need a second factor shown just now. No AccessKey shows one.
async fn decided<O: Operation>(cx: &Cx<'_>, op: O) -> Result<O::Output, RpcError> {
    match cx.house.perform(cx.caller.clone(), op).await {
        Ok(done) => Ok(done),
        Err(Failure::FreshMfa) => {
            let why = "This needs a second factor that was shown within the last five minutes, and a request that is signed \
                       with an AccessKey shows none: decide on the console, under `Who wants to touch my data`, or by somebody \
                       of whom none is demanded.";
            Err(RpcError::new(403, "SecondFactorRequired", why))
        }
        Err(e) => Err(cx.failed(e)),
    }
}

async fn set_right(cx: &Cx<'_>) -> Result<Response<Body>, RpcError> {
    cx.arguments(&[])?;
    let new: NewRight = cx.object()?;
    let wrong = |field: &str, why: String| RpcError::new(400, format!("InvalidParameter.{field}"), why);
    let operators = new.operators.iter().map(|o| {
        Pseudonym::parse(o)
            .map_err(|e| wrong("operators", format!("Operators are named by their numbers: {e}.")))
    });
    let codes = new.codes.iter().map(|c| {
        let codes = Code::ALL.map(Code::word).join(", ");
        Code::parse(c).ok_or_else(|| wrong("codes", format!("The codes are: {codes}.")))
    });
    let set = SetStandingRight {
        tenant: cx.tenant.clone(),
        terms: Terms {
            scope: Scope::read_told(&new.scope).map_err(|e| cx.failed(e))?,
            operators: operators.collect::<Result<_, _>>()?,
            codes: codes.collect::<Result<_, _>>()?,
            minutes: new.minutes,
            uses_max: new.uses,
            day_uses_max: new.uses_a_day,
            until: Timestamp::parse_iso(&new.until)
                .map_err(|_| wrong("until", "It must be a time such as 2026-12-31T00:00:00Z.".into()))?,
        },
        why: new.why,
    };
    let (id, _) = decided(cx, set).await?;
    let mut response = json_answer(201, &json!({ "id": id.as_str() }));
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/standing-rights/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn by((who, at): &(String, Timestamp)) -> Value {
    json!({ "by": who, "at": at.iso() })
}

fn shown(house: &House, r: &Request) -> Value {
    json!({
        "id": r.id.as_str(), "state": r.state(house.now()).word(), "ticket": r.ticket.as_str(),
        "operator": r.pseudonym.as_str(), "place": r.place, "action": r.action, "scope": r.scope.told(),
        "scopeAsked": r.scope_asked.told(), "code": r.code.word(), "reference": r.reference, "reason": r.reason,
        "renews": r.renews.as_ref().map(GrantId::as_str), "minutesAsked": r.minutes, "usesAsked": r.uses_max_asked,
        "askedAt": r.asked_at.iso(), "lapsesAt": r.lapses_at.iso(),
        "approvals": r.approvals.iter().map(by).collect::<Vec<_>>(), "approvalsNeeded": r.approvals_needed,
        "decided": r.decided.as_ref().map(by), "standingRight": r.standing.as_ref().map(StandingId::as_str),
        "until": r.approved.map(|(until, _)| until.iso()), "usesMax": r.approved.map(|(_, uses)| uses), "uses": r.uses,
        "revoked": r.revoked.as_ref().map(by),
    })
}

/// One request with what it would allow in words, what was written on it, and while it waits what an approver may sign.
fn whole(house: &House, r: &Request) -> Value {
    let preview: serde_json::Map<_, _> = crate::pages::preview(r)
        .into_iter()
        .map(|(lang, sentence, may)| (lang.to_owned(), json!({ "sentence": sentence, "may": may })))
        .collect();
    let confirmed =
        r.confirmed.as_ref().map(|c| json!({ "yes": c.yes, "by": c.pseudonym.as_str(), "at": c.at.iso() }));
    let comment = |c: &Comment| json!({ "writer": c.writer, "side": if c.by_provider { "provider" } else { "tenant" }, "at": c.at.iso(), "text": c.text });
    let now = house.now();
    json!({
        "consent": shown(house, r),
        "preview": preview,
        "confirmed": confirmed,
        "comments": r.comments.iter().map(comment).collect::<Vec<_>>(),
        "statement": (r.state(now) == State::Pending).then(|| r.statement(now).to_string()),
    })
}

fn right(r: &StandingRight, now: Timestamp) -> Value {
    let t = &r.terms;
    json!({
        "id": r.id.as_str(), "live": r.is_live(now), "scope": t.scope.told(), "action": t.scope.action(),
        "operators": t.operators.iter().map(Pseudonym::as_str).collect::<Vec<_>>(),
        "codes": t.codes.iter().map(|c| c.word()).collect::<Vec<_>>(), "minutes": t.minutes, "uses": t.uses_max,
        "usesADay": t.day_uses_max, "usesToday": r.day_uses, "until": t.until.iso(), "why": r.why, "set": by(&r.set),
        "ended": r.ended.as_ref().map(by),
    })
}
