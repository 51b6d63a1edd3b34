//! Who may use which key: the rules, and what somebody of the provider has to show.

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::event;
use bailee_proof::grant::{Covers, GrantStatement};
use bailee_proof::offline::OfflineProof;
use bailee_proof::record::{Entry, Kind, NONCE_BYTES, commitment};
use bailee_proof::tree::verify_inclusion;
use bailee_types::Timestamp;
use bailee_wire::xks::{Evidence, RequestMetadata};
use serde_json::Value;

use crate::config::{Config, Needs, Rule};
use crate::journal::Shown;

/// An intent is younger than this when it is acted on.
const INTENT_AGE_MS: u64 = 10 * 60 * 1000;
/// How far the provider's clock may be ahead.
const AHEAD_MS: u64 = 60 * 1000;

/// What a request wants.
pub(crate) struct Wanted<'a> {
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
    pub(crate) metadata: &'a RequestMetadata,
    /// To what the bytes are bound: JSON, as Bailee writes it.
    pub(crate) bound: &'a Value,
}

/// A yes: by which rule, and what was shown.
pub(crate) struct Allowed {
    pub(crate) rule: usize,
    pub(crate) shown: Option<(Shown, u32)>,
}

/// Whether a text is what a pattern says: `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

fn is_for(rule: &Rule, wanted: &Wanted<'_>) -> bool {
    let any = |patterns: &[String], text: &str| patterns.iter().any(|p| fits(p, text));
    any(&rule.principals, &wanted.metadata.aws_principal_arn)
        && any(&rule.keys, wanted.key)
        && rule.operations.iter().any(|o| o == wanted.operation)
        && (rule.kms_operations.is_empty() || any(&rule.kms_operations, &wanted.metadata.kms_operation))
}

/// The first rule that fits decides.
///
/// # Errors
/// Why not, for the journal.
pub(crate) fn judge(config: &Config, wanted: &Wanted<'_>, now: Timestamp) -> Result<Allowed, String> {
    let found = config.rules.iter().enumerate().find(|(_, rule)| is_for(rule, wanted));
    let (at, rule) = found.ok_or("no rule allows it")?;
    let number = at + 1;
    if rule.needs == Needs::Nothing {
        // An evidence that nobody asks for is a sign that a rule is wider than it was meant.
        return if wanted.metadata.bailee.is_some() {
            Err(format!("rule {number} is not for people of the provider, who show a grant"))
        } else {
            Ok(Allowed { rule: number, shown: None })
        };
    }
    let evidence = wanted
        .metadata
        .bailee
        .as_ref()
        .ok_or_else(|| format!("rule {number} needs a grant, none was shown"))?;
    if !rule.reasons.is_empty() && !rule.reasons.contains(&evidence.reason) {
        return Err(format!("rule {number} is not for the reason `{}`", short(&evidence.reason)));
    }
    let shown = check(config, wanted, evidence, now)?;
    Ok(Allowed { rule: number, shown: Some(shown) })
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Checks a grant and an intent against each other, against the keys of approvers and logs, and against what is to be opened.
fn check(
    config: &Config,
    wanted: &Wanted<'_>,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<(Shown, u32), String> {
    let approvers: Vec<_> = config.approvers.iter().collect();
    let (grant, approved_by) =
        GrantStatement::open(evidence.grant.as_bytes(), &approvers).map_err(|e| format!("the grant: {e}"))?;
    if approved_by.len() < config.approvals {
        return Err(format!("{} approvers signed the grant, {} must", approved_by.len(), config.approvals));
    }
    if Some(&grant.tenant) != config.tenant.as_ref() {
        return Err("the grant is another tenant's".to_owned());
    }
    let now_ms = u64::try_from(now.ms()).unwrap_or(0);
    if now_ms >= grant.until_ms {
        return Err("the grant has expired".to_owned());
    }
    let (event, proof, checkpoint) = recorded(config, evidence)?;
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = event.get("timeMs").and_then(Value::as_u64).unwrap_or(0);
    if time > now_ms.saturating_add(AHEAD_MS) || time.saturating_add(INTENT_AGE_MS) < now_ms {
        return Err("the intent was not recorded within the last ten minutes".to_owned());
    }
    if time >= grant.until_ms {
        return Err("the intent was recorded after the grant's end".to_owned());
    }
    let employee = event.pointer("/platform/EmployeeID").and_then(Value::as_str).unwrap_or_default();
    let place = event.pointer("/platform/EventLocation").and_then(Value::as_str).unwrap_or_default();
    // The object itself is in the intent; the grant says which ones it covers.
    let resource = text("resource");
    let object = resource.strip_prefix(&format!("acs:oss:*:{}:", grant.tenant)).unwrap_or_default();
    if object.is_empty() || !grant.covers.covers(object) || matches!(grant.covers, Covers::Target { .. }) {
        return Err(format!(
            "the intent's object is `{}`, the grant's {} `{}`",
            short(resource),
            grant.covers.word(),
            short(grant.covers.name())
        ));
    }
    let name = grant.action.rsplit(':').next().unwrap_or_default();
    for (what, in_intent, in_grant) in [
        ("tenant", text("tenant"), grant.tenant.as_str()),
        ("grant", text("grant"), &grant.grant),
        ("operator", employee, &grant.operator),
        ("place", place, &grant.place),
        ("action", text("eventName"), name),
    ] {
        if in_intent != in_grant {
            return Err(format!(
                "the intent's {what} is `{}`, the grant's `{}`",
                short(in_intent),
                short(in_grant)
            ));
        }
    }
    if !wanted.metadata.aws_principal_arn.ends_with(&format!(":operator/{}", grant.operator)) {
        return Err("another operator asks than the grant is for".to_owned());
    }
    if text("requestId") != wanted.metadata.kms_request_id {
        return Err("the intent is of another request".to_owned());
    }
    // What is opened is that object, and nothing else that lies under the same key.
    let bound = wanted.bound.pointer("/context/acs:oss:object").and_then(Value::as_str).unwrap_or_default();
    let owner = wanted.bound.get("tenant").and_then(Value::as_str).unwrap_or_default();
    if bound != resource || owner != grant.tenant {
        return Err("what is to be opened does not belong to the object of the grant".to_owned());
    }
    let shown = Shown {
        reason: short(&evidence.reason),
        grant: grant.grant,
        approved_by,
        operator: grant.operator,
        object: object.to_owned(),
        log: checkpoint.origin,
        index: proof.index,
        continues: event.get("continues").is_some(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        checkpoint: proof.checkpoint,
    };
    Ok((shown, grant.reads))
}

/// The event of the intent, whose place in a log of ours is proven.
fn recorded(config: &Config, evidence: &Evidence) -> Result<(Value, OfflineProof, Checkpoint), String> {
    let wrong = |e: &dyn std::fmt::Display| format!("the intent: {e}");
    let proof = OfflineProof::parse(evidence.intent.as_bytes()).map_err(|e| wrong(&e))?;
    let opened = proof.extra.as_deref().unwrap_or_default();
    let (nonce, bytes) =
        opened.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| wrong(&"it shows no record"))?;
    let envelope = event::scan(bytes).and_then(|view| view.envelope()).map_err(|e| wrong(&e))?;
    if envelope.kind != Kind::Intent {
        return Err(wrong(&format!("the record is of the kind `{}`", envelope.kind)));
    }
    if envelope.index != proof.index {
        return Err(wrong(&"the record and its proof name different places"));
    }
    let entry = Entry {
        kind: envelope.kind,
        index: envelope.index,
        time_ms: envelope.time_ms,
        commitment: commitment(nonce, bytes),
    };
    let checkpoint = config
        .logs
        .iter()
        .find_map(|key| Checkpoint::open(proof.checkpoint.as_bytes(), key).ok())
        .ok_or_else(|| wrong(&"the checkpoint is not signed by a log of `logs`"))?;
    verify_inclusion(proof.index, checkpoint.size, &entry.leaf_hash(), &proof.siblings, &checkpoint.root)
        .map_err(|e| wrong(&e))?;
    let event = serde_json::from_slice(bytes).map_err(|e| wrong(&e))?;
    Ok((event, proof, checkpoint))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bailee_proof::note::Signer;
    use bailee_proof::tree::Frontier;

    pub(crate) const TENANT: &str = "1000000000000001";
    pub(crate) const NOW: i64 = 1_767_323_045_000;

    pub(crate) fn approver() -> Signer {
        Signer::from_seed("alice@acme", &[7; 32]).unwrap()
    }

    pub(crate) fn log() -> Signer {
        Signer::from_seed("trust.example/trail/abc", &[9; 32]).unwrap()
    }

    pub(crate) fn config() -> Config {
        let (log, approver) = (log().verifier().to_string(), approver().verifier().to_string());
        Config::parse(&crate::first_config("127.0.0.1:0", "/acme", TENANT, Some(&log), Some(&approver)))
            .unwrap()
    }

    pub(crate) fn grant() -> GrantStatement {
        GrantStatement {
            grant: "g-1".into(),
            tenant: TENANT.into(),
            operator: "e-4711".into(),
            place: "SG".into(),
            action: "oss:GetObject".into(),
            covers: Covers::Object("invoices/a.pdf".into()),
            reason: "T-1".into(),
            until_ms: NOW as u64 + 60_000,
            reads: 1,
        }
    }

    pub(crate) fn intent_event() -> Value {
        serde_json::json!({ "record": "intent", "index": 1, "timeMs": NOW as u64 - 500, "tenant": TENANT,
            "eventName": "GetObject", "resource": format!("acs:oss:*:{TENANT}:invoices/a.pdf"), "requestId": "r-1",
            "grant": "g-1", "platform": { "EmployeeID": "e-4711", "EventLocation": "SG" } })
    }

    /// A log of two records, the second of which is `event`.
    pub(crate) fn proof_of(event: &Value, signer: &Signer) -> String {
        let text = serde_json::to_vec(event).unwrap();
        let nonce = [3; NONCE_BYTES];
        let entry = Entry {
            kind: event["record"].as_str().and_then(Kind::from_word).unwrap_or(Kind::Log),
            index: 1,
            time_ms: event["timeMs"].as_u64().unwrap(),
            commitment: commitment(&nonce, &text),
        };
        let first = bailee_proof::hash::leaf_hash(b"first");
        let mut frontier = Frontier::new();
        frontier.append(first).unwrap();
        frontier.append(entry.leaf_hash()).unwrap();
        let checkpoint =
            Checkpoint { origin: signer.verifier().name().to_owned(), size: 2, root: frontier.root() };
        OfflineProof {
            extra: Some([&nonce[..], &text].concat()),
            index: 1,
            siblings: vec![first],
            checkpoint: checkpoint.sign(signer).unwrap(),
        }
        .to_string()
    }

    pub(crate) fn evidence() -> Evidence {
        Evidence {
            reason: "CUSTOMER_INITIATED_SUPPORT".into(),
            grant: grant().sign(&approver()).unwrap(),
            intent: proof_of(&intent_event(), &log()),
        }
    }

    pub(crate) fn metadata(evidence: Option<Evidence>) -> RequestMetadata {
        RequestMetadata {
            aws_principal_arn: "acs:bailee::provider:operator/e-4711".into(),
            kms_key_arn: Some("acs:kms:r:1:key/k".into()),
            kms_operation: "Decrypt".into(),
            kms_request_id: "r-1".into(),
            bailee: evidence,
            ..RequestMetadata::default()
        }
    }

    pub(crate) fn bound() -> Value {
        serde_json::json!({ "tenant": TENANT, "key": "k", "context":
            { "acs:oss:object": format!("acs:oss:*:{TENANT}:invoices/a.pdf"), "acs:oss:version": "v" } })
    }

    fn asks(metadata: &RequestMetadata, bound: &Value, now: i64) -> Result<Allowed, String> {
        let wanted = Wanted { operation: "Decrypt", key: "k1", metadata, bound };
        judge(&config(), &wanted, Timestamp::from_ms(now))
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, yes) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axcxb", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*:user/li", "x:user/lin", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, text), yes, "{pattern} {text}");
        }
    }

    #[test]
    fn an_operator_shows_a_grant_and_an_intent_that_fit_each_other_and_the_object() {
        let good = asks(&metadata(Some(evidence())), &bound(), NOW).unwrap();
        let (shown, reads) = good.shown.unwrap();
        assert_eq!((shown.index, shown.size, reads), (1, 2, 1));
        assert_eq!(
            (shown.approved_by, shown.object.as_str()),
            (vec!["alice@acme".to_owned()], "invoices/a.pdf")
        );
        assert!(asks(&metadata(None), &bound(), NOW).err().unwrap().contains("none was shown"));
        let mut user = metadata(None);
        user.aws_principal_arn = format!("acs:ram::{TENANT}:user/li");
        assert!(asks(&user, &bound(), NOW).is_ok());
        user.aws_principal_arn = "acs:ram::1000000000000002:user/li".into();
        assert!(asks(&user, &bound(), NOW).err().unwrap().contains("no rule"));
    }

    #[test]
    fn whatever_does_not_fit_is_a_no() {
        let stranger = Signer::from_seed("alice@acme", &[8; 32]).unwrap();
        let other_log = Signer::from_seed("trust.example/trail/abc", &[8; 32]).unwrap();
        type Change = (&'static str, Box<dyn Fn(&mut GrantStatement, &mut Value)>);
        let changes: Vec<Change> = vec![
            ("another tenant's", Box::new(|g, _| g.tenant = "1000000000000002".into())),
            ("expired", Box::new(|g, _| g.until_ms = NOW as u64)),
            (
                "after the grant's end",
                Box::new(|g, e| {
                    g.until_ms = NOW as u64 + 1;
                    e["timeMs"] = (NOW as u64 + 10).into();
                }),
            ),
            ("ten minutes", Box::new(|_, e| e["timeMs"] = (NOW as u64 - 601_000).into())),
            ("ten minutes", Box::new(|_, e| e["timeMs"] = (NOW as u64 + 61_000).into())),
            ("intent's grant", Box::new(|_, e| e["grant"] = "g-2".into())),
            ("intent's operator", Box::new(|_, e| e["platform"]["EmployeeID"] = "e-1".into())),
            ("intent's place", Box::new(|g, _| g.place = "CN".into())),
            ("intent's action", Box::new(|_, e| e["eventName"] = "PutObject".into())),
            ("intent's object", Box::new(|g, _| g.covers = Covers::Object("invoices/b.pdf".into()))),
            (
                "does not belong",
                Box::new(|g, e| {
                    g.covers = Covers::Object("invoices/b.pdf".into());
                    e["resource"] = format!("acs:oss:*:{TENANT}:invoices/b.pdf").into();
                }),
            ),
            (
                "another operator",
                Box::new(|g, e| {
                    g.operator = "e-1".into();
                    e["platform"]["EmployeeID"] = "e-1".into();
                }),
            ),
            ("another request", Box::new(|_, e| e["requestId"] = "r-2".into())),
            ("kind `management`", Box::new(|_, e| e["record"] = "management".into())),
            ("different places", Box::new(|_, e| e["index"] = 0.into())),
        ];
        for (why, change) in changes {
            let (mut grant, mut event) = (grant(), intent_event());
            change(&mut grant, &mut event);
            let evidence = Evidence {
                grant: grant.sign(&approver()).unwrap(),
                intent: proof_of(&event, &log()),
                ..evidence()
            };
            let said = asks(&metadata(Some(evidence)), &bound(), NOW).err().unwrap();
            assert!(said.contains(why), "{why}: {said}");
        }
        for (why, evidence) in [
            ("not signed by a known key", Evidence { grant: grant().sign(&stranger).unwrap(), ..evidence() }),
            ("not signed by a log", Evidence { intent: proof_of(&intent_event(), &other_log), ..evidence() }),
            (
                "the intent",
                Evidence { intent: evidence().intent.replace("index 1", "index 0"), ..evidence() },
            ),
            (
                "shows no record",
                Evidence {
                    intent: evidence()
                        .intent
                        .lines()
                        .filter(|l| !l.starts_with("extra"))
                        .map(|l| format!("{l}\n"))
                        .collect(),
                    ..evidence()
                },
            ),
            ("the grant", Evidence { grant: String::new(), ..evidence() }),
            ("the intent", Evidence { intent: String::new(), ..evidence() }),
        ] {
            let said = asks(&metadata(Some(evidence)), &bound(), NOW).err().unwrap();
            assert!(said.contains(why), "{why}: {said}");
        }
        // What lies under the same key but is no object of Bailee's, or bound to nothing that can be read.
        for bound in [Value::Null, serde_json::json!({ "tenant": TENANT, "context": {} })] {
            assert!(
                asks(&metadata(Some(evidence())), &bound, NOW).err().unwrap().contains("does not belong")
            );
        }
    }
}
