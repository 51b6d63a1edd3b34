//! The customer's side of `bailee consent …`: it runs at the tenant's and asks the house's JSON API, signed with the tenant's AccessKey.
//!
//! INVARIANT: the secret is read from a file and stands in no argument, output or error.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bailee_types::{Clock, SecretText, SystemClock, random_text};
use bailee_wire::rpc::{RestSigner, RestToSend};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use ureq::http;

use crate::commands::takeout::{first_line, without_address};
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// The server is silent for so long: the command ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Where the house is, and who asks.
#[derive(Args)]
pub(crate) struct Api {
    /// The console's address, e.g. `https://trust.example`.
    #[arg(long, env = "BAILEE_ENDPOINT", value_name = "URL")]
    endpoint: String,
    /// The AccessKey's id.
    #[arg(long, env = "BAILEE_ACCESS_KEY_ID")]
    access_key_id: String,
    /// A file with the AccessKey's secret on its first line; `-`: standard input.
    #[arg(long, value_name = "FILE", env = "BAILEE_ACCESS_KEY_SECRET_FILE")]
    secret_file: String,
    /// A file with the security token of a session's AccessKey.
    #[arg(long, value_name = "FILE", env = "BAILEE_SECURITY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Print the API's own answer.
    #[arg(long)]
    json: bool,
}

/// What something is about.
#[derive(Args)]
#[group(multiple = false)]
struct About {
    /// One object, `bucket/key`.
    #[arg(long, value_name = "BUCKET/KEY")]
    object: Option<String>,
    /// All objects whose name begins so, `bucket/beginning`.
    #[arg(long, value_name = "BUCKET/BEGINNING")]
    prefix: Option<String>,
    /// A system, by its name; with `--limits`.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// An approval.
#[derive(Args)]
pub(crate) struct Approve {
    /// The request, `G-…`.
    id: String,
    /// Minutes from now, at most what was asked for [default: that].
    #[arg(long)]
    minutes: Option<u32>,
    /// Uses, at most what was asked for [default: that].
    #[arg(long)]
    uses: Option<u32>,
    #[command(flatten)]
    only: About,
    /// What may be done at the system, as JSON.
    #[arg(long, value_name = "JSON", requires = "target")]
    limits: Option<String>,
    /// What the other side reads of it.
    #[arg(long, default_value = "")]
    note: String,
    /// A file with the statement that `bailee keyhouse approve` signed: for a bucket whose key lies with you.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "uses", "object", "prefix", "target"])]
    statement: Option<PathBuf>,
    #[command(flatten)]
    api: Api,
}

/// Another decision.
#[derive(Args)]
pub(crate) struct Decide {
    /// The request or grant, `G-…`.
    id: String,
    /// What the other side reads of it.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    api: Api,
}

/// What waits, or one request.
#[derive(Args)]
pub(crate) struct Inbox {
    /// Only this one, in full: what it would allow in words, and what was written on it.
    id: Option<String>,
    /// In this state: `pending`, `live`, `denied`, …; `open`: what waits or lives; `all`.
    #[arg(long, default_value = "pending")]
    state: String,
    /// Only of the operator with this number, `emp-…`.
    #[arg(long, value_name = "NUMBER")]
    operator: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on behind this one.
    #[arg(long, value_name = "ID")]
    cursor: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Figures of a span of days.
#[derive(Args)]
pub(crate) struct Figures {
    /// The first day, `2026-11-01` [default: 30 days to the last].
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day [default: today]. Days are UTC.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Standing rights: what is decided before it is asked.
#[derive(Subcommand)]
pub(crate) enum Standing {
    /// List them, the live ones first.
    List(Api),
    /// Set one. It opens nothing by itself: a request that lies wholly inside it is a grant at once.
    Set(Box<Set>),
    /// End one, and every grant that came of it.
    Revoke {
        /// Its id, `R-…`.
        id: String,
        #[command(flatten)]
        api: Api,
    },
}

/// A right to set.
#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    about: About,
    /// What may be done at the system, as JSON, e.g. `{"family":"host","exec":true}`.
    #[arg(long, value_name = "JSON", requires = "target")]
    limits: Option<String>,
    /// An operator by his number, `emp-…`; may be given again; none: any who holds an open ticket.
    #[arg(long = "operator", value_name = "NUMBER")]
    operators: Vec<String>,
    /// A code of requests; may be given again.
    #[arg(long = "code", value_name = "CODE", default_value = "customer_initiated_support")]
    codes: Vec<String>,
    /// Minutes of one grant, at most.
    #[arg(long, default_value_t = 30)]
    minutes: u32,
    /// Uses of one grant, at most.
    #[arg(long, default_value_t = 3)]
    uses: u32,
    /// Uses of all its grants that begin within 24 hours, at most.
    #[arg(long, default_value_t = 10)]
    uses_a_day: u32,
    /// It ends after so many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=90))]
    days: u32,
    /// Why, for your own people.
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    api: Api,
}

impl About {
    fn told(&self, limits: Option<&str>) -> Result<Option<Value>, Stop> {
        Ok(match (&self.object, &self.prefix, &self.target) {
            (Some(object), ..) => Some(json!({ "object": object })),
            (_, Some(prefix), _) => Some(json!({ "prefix": prefix })),
            (.., Some(target)) => {
                let text =
                    limits.ok_or_else(|| Stop::unable("--target needs --limits: what may be done there"))?;
                let limits: Value = serde_json::from_str(text)
                    .map_err(|e| Stop::unable(format!("--limits is no JSON: {e}")))?;
                Some(json!({ "target": target, "limits": limits }))
            }
            _ => None,
        })
    }
}

impl Api {
    /// Asks, and reads the answer; a no ends the command with what the house says.
    fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Stop> {
        let base = self.endpoint.trim_end_matches('/');
        let host = base.split_once("://").map(|(_, host)| host).filter(|h| !h.is_empty() && !h.contains('/'));
        let host = host.ok_or_else(|| {
            Stop::unable("--endpoint is the console's address, such as https://trust.example")
        })?;
        let signer = RestSigner {
            access_key_id: self.access_key_id.clone(),
            secret: SecretText::new(first_line(&self.secret_file)?),
            token: match &self.token_file {
                Some(path) => Some(SecretText::new(first_line(&path.display().to_string())?)),
                None => None,
            },
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let nonce = random_text(b"abcdefghijklmnopqrstuvwxyz0123456789", 32);
        let signed = signer
            .sign((method, host, path), query, body.as_bytes(), (SystemClock::default().now(), &nonce))
            .map_err(|e| Stop::unable(e.message().to_owned()))?;
        let (status, text) = send(base, method, &signed, body)?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| {
            Stop::unable(format!(
                "the server answered {status} in a form that is none of the API's; is --endpoint its console?"
            ))
        })?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let get = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let text = format!("{} {}: {}", status, get("code"), get("message"));
        Err(Stop { code: if status == 403 { 2 } else { 1 }, text })
    }
}

fn send(base: &str, method: &str, signed: &RestToSend, body: String) -> Result<(u16, String), Stop> {
    let agent = ureq::config::Config::builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(PATIENCE))
        .max_redirects(0)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .user_agent("bailee consent")
        .build()
        .new_agent();
    let mut request = http::Request::builder().method(method).uri(format!("{base}{}", signed.target));
    for (name, value) in &signed.headers {
        request = request.header(*name, value);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(body).map_err(|_| Stop::unable("--endpoint is no address"))?;
    let failed =
        |e: ureq::Error| Stop::unable(format!("the server cannot be reached: {}", without_address(&e)));
    let response = agent.run(request).map_err(failed)?;
    let status = response.status().as_u16();
    let text = response.into_body().into_with_config().limit(ANSWER_MAX).read_to_string().map_err(failed)?;
    Ok((status, text))
}

/// One piece of a path: what is no id is not sent as something else.
fn piece(id: &str) -> Result<&str, Stop> {
    match !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        true => Ok(id),
        false => Err(Stop::unable(format!("`{}` is no id", id.escape_default()))),
    }
}

/// Prints the answer itself, or what `people` makes of it.
fn print(common: &Common, api: &Api, answer: &Value, people: impl FnOnce(&Value)) -> ExitCode {
    match api.json || common.output == Output::Json {
        true => println!("{answer}"),
        false => people(answer),
    }
    ExitCode::SUCCESS
}

/// A member as text; empty when there is none. What comes from elsewhere says nothing to a terminal.
fn text(of: &Value, pointer: &str) -> String {
    let text = match of.pointer(pointer) {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What a scope is about, without what is allowed at a system.
fn scope(of: &Value) -> String {
    let found = [("object", ""), ("prefix", "*"), ("target", "")]
        .iter()
        .find_map(|(name, end)| Some(format!("{}{end}", of.get(*name)?.as_str()?)));
    found.unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

fn rows<'v>(answer: &'v Value, name: &str) -> &'v [Value] {
    answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn inbox(common: &Common, c: &Inbox) -> Result<ExitCode, Stop> {
    if let Some(id) = &c.id {
        let path = format!("/api/v1/consents/{}", piece(id)?);
        let answer = c.api.ask("GET", &path, &[], None)?;
        return Ok(print(common, &c.api, &answer, one));
    }
    let limit = c.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend((c.state != "all").then_some(("state", c.state.as_str())));
    query.extend(c.operator.as_deref().map(|o| ("operator", o)));
    query.extend(c.cursor.as_deref().map(|o| ("cursor", o)));
    let answer = c.api.ask("GET", "/api/v1/consents", &query, None)?;
    Ok(print(common, &c.api, &answer, |answer| {
        let all = rows(answer, "consents");
        if all.is_empty() {
            println!("No request.");
        } else {
            let row = |r: &Value| {
                let minutes = format!("{} min, {}×", text(r, "/minutesAsked"), text(r, "/usesAsked"));
                let what = scope(r.get("scope").unwrap_or(&Value::Null));
                vec![
                    text(r, "/id"),
                    text(r, "/state"),
                    text(r, "/ticket"),
                    text(r, "/operator"),
                    minutes,
                    what,
                    text(r, "/reason"),
                ]
            };
            let rows: Vec<_> = all.iter().map(row).collect();
            println!("{}", table(&["REQUEST", "STATE", "TICKET", "OPERATOR", "ASKED", "WHAT", "WHY"], &rows));
        }
        let next = text(answer, "/nextCursor");
        if !next.is_empty() {
            println!("\nThere are more: --cursor {next}");
        }
    }))
}

pub(crate) fn figures(common: &Common, c: &Figures) -> Result<ExitCode, Stop> {
    let given = [("from", c.from.as_deref()), ("to", c.to.as_deref())];
    let query: Vec<_> = given.iter().filter_map(|(name, day)| Some((*name, (*day)?))).collect();
    let answer = c.api.ask("GET", "/api/v1/consents/figures", &query, None)?;
    Ok(print(common, &c.api, &answer, counted))
}

fn counted(answer: &Value) {
    const ANSWERS: [&str; 7] = ["asked", "approved", "denied", "lapsed", "withdrawn", "declined", "waiting"];
    println!("{} to {} (UTC)\n", text(answer, "/from"), text(answer, "/to"));
    let row = |name: String, of: Option<&Value>| {
        let count = |a: &&str| of.map_or_else(String::new, |of| text(of, &format!("/{a}")));
        std::iter::once(name).chain(ANSWERS.iter().map(count)).collect::<Vec<_>>()
    };
    let mut all = vec![row("all".into(), answer.get("requests"))];
    let codes = answer.get("byCode").and_then(Value::as_object);
    all.extend(codes.into_iter().flatten().map(|(code, of)| row(code.clone(), Some(of))));
    all.extend(rows(answer, "byOperator").iter().map(|o| row(text(o, "/operator"), o.get("requests"))));
    let heads = ["REQUESTS", "ASKED", "APPROVED", "DENIED", "LAPSED", "WITHDRAWN", "DECLINED", "WAITING"];
    println!("{}\n", table(&heads, &all));
    let minutes =
        |of: &str| answer.pointer(&format!("/decisions/{of}")).and_then(Value::as_i64).map(|ms| ms / 60_000);
    if let (Some(median), Some(p90)) = (minutes("medianMs"), minutes("p90Ms")) {
        println!("half of the decisions within {median} minutes, nine of ten within {p90}");
    }
    for (path, said) in [
        ("grants/given", "grants"),
        ("grants/standing", "of these by standing rights"),
        ("grants/live", "of these live"),
        ("grants/unused", "ended without one use"),
        ("grants/usesAllowed", "uses that ended grants allowed"),
        ("grants/usesMade", "uses that were made of these"),
        ("reads", "reads of content"),
        ("sessions", "sessions with systems"),
        ("standingRights", "standing rights set"),
        ("takedowns", "takedowns filed"),
        ("changes", "stability work planned"),
    ] {
        println!("{said}: {}", text(answer, &format!("/{path}")));
    }
    for (state, n) in answer.pointer("/grants/ended").and_then(Value::as_object).into_iter().flatten() {
        println!("grants ended as {state}: {n}");
    }
    if answer.get("complete") == Some(&Value::Bool(false)) {
        println!("\nThe span holds more than is counted at once: choose a shorter one.");
    }
}

fn one(answer: &Value) {
    let of = |name: &str| text(answer, &format!("/consent/{name}"));
    println!("{}  {}  {}", of("id"), of("state"), of("ticket"));
    println!("{}", text(answer, "/preview/en/sentence"));
    for line in answer.pointer("/preview/en/may").and_then(Value::as_array).into_iter().flatten() {
        println!("  - {}", text(line, ""));
    }
    println!("{} {}: {}", of("code"), of("reference"), of("reason"));
    if !of("standingRight").is_empty() {
        println!("opened by standing right {}", of("standingRight"));
    }
    println!(
        "asked {}; lapses {}; until {}; used {}",
        of("askedAt"),
        of("lapsesAt"),
        of("until"),
        of("uses")
    );
    for c in rows(answer, "comments") {
        println!(
            "\n{} {} ({}):\n    {}",
            text(c, "/at"),
            text(c, "/writer"),
            text(c, "/side"),
            text(c, "/text")
        );
    }
    if let Some(statement) = answer.get("statement").and_then(Value::as_str) {
        let statement: String = statement.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        println!("\nTo sign it (`bailee keyhouse approve`):\n{statement}");
    }
}

pub(crate) fn approve(common: &Common, c: &Approve) -> Result<ExitCode, Stop> {
    let mut body = Map::new();
    body.extend(c.minutes.map(|n| ("minutes".to_owned(), n.into())));
    body.extend(c.uses.map(|n| ("uses".to_owned(), n.into())));
    body.extend(c.only.told(c.limits.as_deref())?.map(|scope| ("scope".to_owned(), scope)));
    if let Some(path) = &c.statement {
        let read = std::fs::read_to_string(path);
        let note = read.map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?;
        body.insert("statement".into(), note.into());
    }
    body.insert("note".into(), c.note.as_str().into());
    decided(common, &c.api, (&c.id, "approve"), body)
}

pub(crate) fn decide(common: &Common, c: &Decide, verb: &str) -> Result<ExitCode, Stop> {
    let body = Map::from_iter([("note".to_owned(), c.note.as_str().into())]);
    decided(common, &c.api, (&c.id, verb), body)
}

fn decided(
    common: &Common,
    api: &Api,
    (id, verb): (&str, &str),
    body: Map<String, Value>,
) -> Result<ExitCode, Stop> {
    let path = format!("/api/v1/consents/{}/{verb}", piece(id)?);
    let answer = api.ask("POST", &path, &[], Some(&Value::Object(body)))?;
    Ok(print(common, api, &answer, |a| {
        let mut line = format!("{} is {}", text(a, "/id"), text(a, "/state"));
        if !text(a, "/until").is_empty() {
            line += &format!(" until {}", text(a, "/until"));
        }
        if text(a, "/state") == "pending" {
            let have = a.get("approvedBy").and_then(Value::as_array).map_or(0, Vec::len);
            line += &format!(": {have} of {} persons have approved", text(a, "/approvalsNeeded"));
        }
        println!("{line}");
    }))
}

pub(crate) fn standing(common: &Common, c: &Standing) -> Result<ExitCode, Stop> {
    const PATH: &str = "/api/v1/standing-rights";
    match c {
        Standing::List(api) => {
            let answer = api.ask("GET", PATH, &[], None)?;
            Ok(print(common, api, &answer, |answer| {
                let all = rows(answer, "standingRights");
                if all.is_empty() {
                    println!("No standing right.");
                    return;
                }
                let row = |r: &Value| {
                    let live = if r.get("live") == Some(&Value::Bool(true)) { "live" } else { "over" };
                    let who: Vec<_> = rows(r, "operators").iter().map(|o| text(o, "")).collect();
                    let most = format!("{} min, {}×", text(r, "/minutes"), text(r, "/uses"));
                    let today = format!("{}/{}", text(r, "/usesToday"), text(r, "/usesADay"));
                    let who = if who.is_empty() { "any".to_owned() } else { who.join(" ") };
                    let what = scope(r.get("scope").unwrap_or(&Value::Null));
                    vec![text(r, "/id"), live.to_owned(), text(r, "/until"), most, today, who, what]
                };
                let rows: Vec<_> = all.iter().map(row).collect();
                println!(
                    "{}",
                    table(&["RIGHT", "STATE", "UNTIL", "A GRANT", "A DAY", "OPERATORS", "WHAT"], &rows)
                );
            }))
        }
        Standing::Set(set) => {
            let scope = set.about.told(set.limits.as_deref())?;
            let scope = scope
                .ok_or_else(|| Stop::unable("say on what: --object, --prefix, or --target with --limits"))?;
            // A minute less, so that ninety days are not too many where this clock is ahead of the house's.
            let until = SystemClock::default().now().plus_ms(i64::from(set.days) * 86_400_000 - 60_000);
            let body = json!({
                "scope": scope, "operators": set.operators, "codes": set.codes, "minutes": set.minutes,
                "uses": set.uses, "usesADay": set.uses_a_day, "until": until.iso(), "why": set.why,
            });
            let answer = set.api.ask("POST", PATH, &[], Some(&body))?;
            Ok(print(common, &set.api, &answer, |a| {
                println!("{} is set until {}", text(a, "/id"), until.iso())
            }))
        }
        Standing::Revoke { id, api } => {
            let answer = api.ask("DELETE", &format!("{PATH}/{}", piece(id)?), &[], None)?;
            Ok(print(common, api, &answer, |a| {
                println!("{} has ended, and {} grants with it", text(a, "/id"), rows(a, "endedGrants").len());
            }))
        }
    }
}
