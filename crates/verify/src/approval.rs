//! Signed approvals, replayed from the records alone: whose passkey signed which text, what the tenant's policy demanded
//! at that moment, and whether what was opened is what was signed.
//!
//! Acts run side by side: an act takes effect somewhere between its record and its outcome. Where two overlap, whichever
//! order accuses nobody is taken.
//! INVARIANT: a signature counts for the text that stands beside it, once, by a key of the person who approved.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bailee_proof::approval::ApprovalStatement;
use bailee_proof::event::{Ended, EventView};
use bailee_proof::grant::{Covers, GrantStatement};
use bailee_proof::note::VerifierKey;
use bailee_proof::passkey::{Assertion, challenge, fingerprint};
use serde::Deserialize;
use serde_json::Value;

use crate::consent::{covers, is_within, object};
use crate::report::{Passkey, Promise, Verdict};
use crate::{Expect, places};

/// Acts of the tenant whose records are read in their order.
pub(crate) fn matters(name: &str) -> bool {
    crate::consent::is_decision(name)
        || crate::glass::is_step(name)
        || matches!(name, "SetConsentPolicy" | "BindSecondFactor" | "RemoveSecondFactor" | "DeleteUser")
}

/// What is known of passkeys, policies and approvals so far.
#[derive(Default)]
pub(crate) struct Signatures {
    tenant: String,
    /// Fingerprints that the checker knows to be his approvers'; empty: he named none.
    known: BTreeSet<String>,
    approvers: Vec<VerifierKey>,
    /// Each approval must be signed, whatever the policy of the log says.
    demanded: bool,
    /// By credential id.
    keys: HashMap<String, Key>,
    policies: Vec<Set>,
    /// Acts without outcome, or whose outcome nobody knows: who, on what.
    running: BTreeMap<u64, (Person, String)>,
    /// Approvals that open nothing by themselves, by grant.
    parts: HashMap<String, Vec<Yes>>,
    /// Grants that were opened while the record of one who counts had not come yet.
    early: HashMap<String, (Opened, Vec<String>)>,
    nonces: HashSet<String>,
    used: BTreeMap<String, Passkey>,
    approvals: u64,
    by_passkey: u64,
    by_key: u64,
    /// What can be said neither way, the first of it.
    unclear: (u64, String),
}

struct Key {
    owner: String,
    public_key: String,
    /// The record of its registration; none: the log does not show it.
    bound: Option<u64>,
    /// The outcome of its removal.
    removed: Option<u64>,
}

/// A policy that was set, or is being set.
struct Set {
    intent: u64,
    outcome: Option<u64>,
    /// Whether it was set; else nobody knows.
    sure: bool,
    signed: bool,
    approvals: u64,
}

/// Who acts, as a management event has him.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Person {
    id: String,
    name: String,
}

/// An approval of the tenant that was done.
pub(crate) struct Approval<'a> {
    pub(crate) intent: u64,
    pub(crate) intent_ms: u64,
    pub(crate) outcome: u64,
    pub(crate) time_ms: u64,
    pub(crate) consent: &'a Value,
    /// What was asked for, where a record says it.
    pub(crate) asked: Option<&'a Covers>,
    /// Whether all records up to here are open.
    pub(crate) whole: bool,
}

/// One person's yes.
struct Yes {
    person: Person,
    said: Option<Said>,
}

/// What a signed text allows.
struct Said {
    covers: Covers,
    reads: u64,
    minutes: Option<u64>,
    until_ms: Option<u64>,
}

/// What an approval opened.
struct Opened {
    covers: Covers,
    uses_max: u64,
    until_ms: u64,
    time_ms: u64,
    must_be_signed: bool,
}

/// What a browser says (WebAuthn Level 3 §5.8.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Value,
}

impl Signatures {
    pub(crate) fn new(tenant: &str, expect: &Expect) -> Self {
        Self {
            tenant: tenant.to_owned(),
            known: expect.passkeys.iter().cloned().collect(),
            approvers: expect.approvers.clone(),
            demanded: expect.signed,
            ..Self::default()
        }
    }

    /// A record of the tenant's own act.
    pub(crate) fn management(&mut self, index: u64, name: &str, event: &EventView<'_>) -> Result<(), String> {
        match name {
            "ApproveConsent" | "BindSecondFactor" | "RemoveSecondFactor" | "DeleteUser" => {
                let told = object(event.management)?;
                let text = |at: &str| told.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
                let id = match text("/userIdentity/type").as_str() {
                    "root-account" => "root".to_owned(),
                    _ => text("/userIdentity/principalId"),
                };
                let person = Person { id, name: text("/userIdentity/userName") };
                self.running.insert(index, (person, crate::consent::text(event.resource)?.into_owned()));
            }
            "SetConsentPolicy" => {
                let told = object(event.management)?;
                let wanted = told.get("requestParameters").unwrap_or(&Value::Null);
                let signed = wanted.get("signed").and_then(Value::as_bool).unwrap_or(false);
                let approvals = wanted.get("approvals").and_then(Value::as_u64).unwrap_or(1);
                self.policies.push(Set { intent: index, outcome: None, sure: false, signed, approvals });
            }
            _ => {}
        }
        Ok(())
    }

    /// An outcome. Who acted, if this ends an act of one of the tenant's people.
    pub(crate) fn outcome(
        &mut self,
        (intent, outcome): (u64, u64),
        ended: Ended,
        event: &EventView<'_>,
    ) -> Result<Option<Person>, String> {
        if let Some(at) = self.policies.iter().position(|p| p.intent == intent && p.outcome.is_none()) {
            match (ended, self.policies.get_mut(at)) {
                // Of one that nobody knows of, both are thought of.
                (Ended::Done | Ended::Unknown, Some(set)) => {
                    (set.outcome, set.sure) = (Some(outcome), ended == Ended::Done);
                }
                _ => drop(self.policies.remove(at)),
            }
        }
        if ended == Ended::Unknown {
            return Ok(None);
        }
        let Some((person, _)) = self.running.remove(&intent).filter(|_| ended == Ended::Done) else {
            return Ok(None);
        };
        let detail = object(event.detail)?;
        let passkey = detail.get("passkey").unwrap_or(&Value::Null);
        let get = |name: &str| passkey.get(name).and_then(Value::as_str);
        match (get("act"), get("credentialId"), get("publicKey")) {
            (Some("bind"), Some(id), Some(public_key)) => {
                if self.keys.get(id).is_some_and(|k| k.removed.is_none()) {
                    return Err(format!("it binds a passkey that was there already ({id})"));
                }
                let (owner, bound) = (person.id.clone(), Some(intent));
                let key = Key { owner, public_key: public_key.to_owned(), bound, removed: None };
                self.keys.insert(id.to_owned(), key);
            }
            (Some("remove"), ..) => {
                let several = passkey.get("credentialIds").and_then(Value::as_array).into_iter().flatten();
                for id in get("credentialId").into_iter().chain(several.filter_map(Value::as_str)) {
                    if let Some(key) = self.keys.get_mut(id) {
                        key.removed.get_or_insert(outcome);
                    }
                }
            }
            _ => {}
        }
        Ok(Some(person))
    }

    /// An approval, or one person's part of it.
    pub(crate) fn approval(&mut self, person: Person, a: &Approval<'_>) -> Result<(), String> {
        let text = |name: &str| a.consent.get(name).and_then(Value::as_str).unwrap_or_default();
        let (grant, opens) = (text("grant").to_owned(), text("act") == "approve");
        let no = |why: String| Err(format!("the approval of {grant} by {} {why}", person.name));
        self.approvals += 1;
        let said = match self.said(&person, a) {
            Ok(said) => said,
            Err(why) => return no(why),
        };
        let (must_be_signed, persons_min) = self.policy((a.intent, a.outcome));
        if said.is_none() && must_be_signed {
            let why = "is not signed, and the consent policy takes signed ones only";
            if a.whole || self.demanded {
                return no(why.to_owned());
            }
            self.unclear(format!("the approval of {grant} {why}, as far as the records here say"));
        }
        let covers = covers(a.consent);
        let yes = Yes { person: person.clone(), said };
        if !opens {
            if let (Some(said), Some(covers)) = (&yes.said, &covers)
                && !(is_within(covers, &said.covers) && is_within(&said.covers, covers))
            {
                return no("is recorded with another scope than the one that is signed".into());
            }
            return match self.early.get_mut(&grant) {
                Some((opened, waits)) => {
                    waits.retain(|name| *name != person.name);
                    opened.is_what(&yes).or_else(no)
                }
                None => {
                    self.parts.entry(grant).or_default().push(yes);
                    Ok(())
                }
            };
        }
        let number = |name: &str| a.consent.get(name).and_then(Value::as_u64);
        let Some(covers) = covers else { return no("does not say what it opens".into()) };
        let (uses_max, until_ms) =
            (number("usesMax").unwrap_or(u64::MAX), number("untilMs").unwrap_or(u64::MAX));
        let opened = Opened { covers, uses_max, until_ms, time_ms: a.time_ms, must_be_signed };
        if let Err(why) = opened.is_what(&yes) {
            return no(why);
        }
        let mut persons: Vec<String> = vec![person.id.clone()];
        let mut waits = Vec::new();
        let parts = self.parts.remove(&grant).unwrap_or_default();
        let consent = format!(":consent/{grant}");
        let named = a.consent.get("approvedBy").and_then(Value::as_array).into_iter().flatten();
        for name in named.filter_map(Value::as_str).filter(|n| *n != person.name) {
            match parts.iter().rev().find(|y| y.person.name == name) {
                Some(part) => {
                    if let Err(why) = opened.is_what(part) {
                        return no(format!("{why} (by {name})"));
                    }
                    persons.push(part.person.id.clone());
                }
                None if self.runs(name, &consent) => waits.push(name.to_owned()),
                None if a.whole => return no(format!("counts {name}, and no record shows that he approved")),
                None => {
                    self.unclear(format!("the approval of {grant} counts {name}, whose record is not here"))
                }
            }
        }
        persons.sort_unstable();
        persons.dedup();
        if a.whole && ((persons.len() + waits.len()) as u64) < persons_min {
            let n = persons.len();
            return no(format!("opens it with {n} persons, and the consent policy wants {persons_min}"));
        }
        if !waits.is_empty() {
            self.early.insert(grant, (opened, waits));
        }
        Ok(())
    }

    /// What holds for an approval between two records: whether it must be signed, how many persons must approve. Of policies
    /// that were set while it ran, the one that asks for less.
    pub(crate) fn policy(&self, (from, to): (u64, u64)) -> (bool, u64) {
        let ended = |set: &Set| set.outcome.filter(|outcome| *outcome < from);
        let sure = self.policies.iter().filter(|p| p.sure && ended(p).is_some());
        let newest = sure.map(|p| p.intent).max();
        // What ended before the newest began was replaced by it.
        let may_hold = |p: &&Set| p.intent < to && ended(p).is_none_or(|at| Some(at) > newest);
        let never_set = newest.is_none().then_some((false, 1));
        let all = self.policies.iter().filter(may_hold).map(|p| (p.signed, p.approvals)).chain(never_set);
        let least = all.reduce(|one, other| (one.0 && other.0, one.1.min(other.1)));
        let (signed, approvals) = least.unwrap_or((false, 1));
        (signed || self.demanded, approvals)
    }

    /// What is signed of an approval; none when it is not signed.
    fn said(&mut self, person: &Person, a: &Approval<'_>) -> Result<Option<Said>, String> {
        let Some(signature) = a.consent.get("signature") else { return Ok(None) };
        let get =
            |of: &'_ Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let statement = get(signature, "statement");
        let about = |grant: &str, tenant: &str, operator: &str, action: &str| {
            let is = grant == get(a.consent, "grant")
                && tenant == self.tenant
                && operator == get(a.consent, "operator")
                && action == get(a.consent, "action");
            if is { Ok(()) } else { Err("is signed over the statement of another one".to_owned()) }
        };
        if get(signature, "with") == "key" {
            let known: Vec<&VerifierKey> = self.approvers.iter().collect();
            let note = statement.as_bytes();
            let read = match known.is_empty() {
                true => GrantStatement::read_unverified(note),
                false => GrantStatement::open(note, &known).map(|(said, _)| said),
            };
            let said = read.map_err(|e| format!("has a statement that does not hold: {e}"))?;
            about(&said.grant, &said.tenant, &said.operator, &said.action)?;
            // Where the tenant named no approver's key, nobody checked it.
            let checked =
                a.consent.get("signedBy").and_then(Value::as_array).is_some_and(|by| !by.is_empty());
            if !checked {
                return Ok(None);
            }
            self.by_key += 1;
            let (reads, until_ms) = (u64::from(said.reads), Some(said.until_ms));
            return Ok(Some(Said { covers: said.covers, reads, minutes: None, until_ms }));
        }
        let said = ApprovalStatement::parse(&statement)
            .map_err(|e| format!("has a statement that cannot be read: {e}"))?;
        about(&said.grant, &said.tenant, &said.operator, &said.action)?;
        if said.approver != person.name {
            return Err(format!("is signed for {}", said.approver));
        }
        if places::iso(a.intent_ms / 1000) >= said.lapses {
            return Err(format!("comes after its statement had lapsed ({})", said.lapses));
        }
        let is_all = a.asked.is_none_or(|asked| is_within(asked, &said.covers));
        if said.narrowed == is_all && a.asked.is_some() {
            return Err("is signed over a text that says wrongly whether it was narrowed".into());
        }
        let origin = self.passkey(person, a, (&statement, signature))?;
        if !self.nonces.insert(said.nonce) {
            return Err("is signed over a text that was used before".into());
        }
        self.by_passkey += 1;
        let public_key = get(signature, "publicKey");
        let fingerprint = fingerprint(&public_key).map_err(|e| e.to_string())?;
        let bound = self.keys.get(&get(signature, "credentialId")).and_then(|k| k.bound);
        let used = self.used.entry(fingerprint.clone()).or_insert_with(|| Passkey {
            fingerprint,
            by: BTreeSet::new(),
            origins: BTreeSet::new(),
            approvals: 0,
            bound,
            first: a.intent,
        });
        used.by.insert(person.name.clone());
        used.origins.insert(origin);
        used.approvals += 1;
        let (reads, minutes) = (u64::from(said.reads), Some(u64::from(said.minutes)));
        Ok(Some(Said { covers: said.covers, reads, minutes, until_ms: None }))
    }

    /// Checks a passkey's signature over a text, and that it was this person's passkey then. Where it was made.
    fn passkey(
        &mut self,
        person: &Person,
        a: &Approval<'_>,
        (statement, signature): (&str, &Value),
    ) -> Result<String, String> {
        let get = |name: &str| signature.get(name).and_then(Value::as_str).unwrap_or_default();
        let (id, public_key) = (get("credentialId"), get("publicKey"));
        let assertion = Assertion {
            public_key,
            authenticator_data: get("authenticatorData"),
            client_data: get("clientDataJSON"),
            signature: get("signature"),
        };
        let signed = assertion.open().map_err(|e| format!("is not signed as it says: {e}"))?;
        let client: ClientData = serde_json::from_slice(&signed.client_data)
            .map_err(|e| format!("has a `clientDataJSON` that cannot be read: {e}"))?;
        if client.r#type != "webauthn.get" || client.cross_origin || !client.top_origin.is_null() {
            return Err("is signed by what is no answer of a page of the console".into());
        }
        if client.challenge != challenge(statement) {
            return Err("is signed over another text than the one that stands beside it".into());
        }
        let host = client.origin.split_once("://").map_or("", |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let mut domains = std::iter::successors(Some(host), |d| d.split_once('.').map(|(_, parent)| parent));
        if !domains.any(|domain| signed.is_for(domain)) {
            return Err(format!("is signed on `{}`, and for another domain", client.origin));
        }
        let print = fingerprint(public_key).map_err(|e| e.to_string())?;
        if !self.known.is_empty() && !self.known.contains(&print) {
            return Err(format!("is signed by a passkey that you did not name: {print}"));
        }
        let key = self.keys.entry(id.to_owned()).or_insert_with(|| Key {
            owner: person.id.clone(),
            public_key: public_key.to_owned(),
            bound: None,
            removed: None,
        });
        if key.owner != person.id {
            return Err("is signed with another person's passkey".into());
        }
        if key.public_key != public_key {
            return Err("names another public key than the passkey was bound with".into());
        }
        if key.removed.is_some_and(|removed| removed < a.intent) {
            return Err("is signed with a passkey that had been removed".into());
        }
        Ok(client.origin)
    }

    /// Whether an act of this person on this may still end well, or did and nobody knows.
    fn runs(&self, name: &str, on: &str) -> bool {
        self.running.values().any(|(person, resource)| person.name == name && resource.ends_with(on))
    }

    fn unclear(&mut self, what: String) {
        if self.unclear.0 == 0 {
            self.unclear.1 = what;
        }
        self.unclear.0 += 1;
    }

    /// What is shown of signatures, at the end.
    pub(crate) fn promise(mut self) -> (Promise, Vec<Passkey>) {
        for (grant, (_, waits)) in std::mem::take(&mut self.early) {
            if let Some(name) = waits.first() {
                self.unclear(format!(
                    "the approval of {grant} counts {name}, and how his own ended is not known"
                ));
            }
        }
        let hidden = self.used.values().filter(|p| p.bound.is_none()).count();
        let unsigned = self.approvals - self.by_passkey - self.by_key;
        let told = format!(
            "approvals: {}, signed with a passkey: {}, with an approver's own key: {}",
            self.approvals, self.by_passkey, self.by_key
        );
        let (verdict, why) = if self.unclear.0 > 0 {
            (Verdict::Doubt, format!("{} ({} such)", self.unclear.1, self.unclear.0))
        } else if self.known.is_empty() && hidden > 0 {
            (Verdict::Doubt, format!("{hidden} passkeys whose registration the log does not show"))
        } else if unsigned > 0 || self.approvals == 0 {
            (Verdict::NotShown, format!("not signed: {unsigned}"))
        } else if self.by_passkey > 0 && self.known.is_empty() {
            (Verdict::NotShown, "name your approvers' passkeys with --passkey".into())
        } else if self.by_key > 0 && self.approvers.is_empty() {
            (Verdict::NotShown, "name your approvers' keys with --approver".into())
        } else {
            (Verdict::Holds, "each over the text that it opened, by a key that you named".into())
        };
        let promise = Promise { name: "signed", verdict, detail: format!("{told}; {why}") };
        (promise, self.used.into_values().collect())
    }
}

impl Opened {
    /// Whether what was opened is no more than what one person said yes to.
    fn is_what(&self, yes: &Yes) -> Result<(), String> {
        let Some(said) = &yes.said else {
            return match self.must_be_signed {
                true => Err("counts a person who did not sign".into()),
                false => Ok(()),
            };
        };
        let latest = said.minutes.map(|m| self.time_ms.saturating_add(m.saturating_mul(60_000)));
        let fits = is_within(&self.covers, &said.covers)
            && self.uses_max <= said.reads
            && [latest, said.until_ms].into_iter().flatten().all(|until| self.until_ms <= until);
        if fits { Ok(()) } else { Err("opens more than was signed".into()) }
    }
}
