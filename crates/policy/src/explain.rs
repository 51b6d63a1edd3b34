//! Why: every statement that was asked, with the outcome of each of its elements.
//!
//! Texts hold the policies' own words: an explanation is for those who may read the policies.

use serde::Serialize;

use crate::condition::Condition;
use crate::context::{Eval, Found, Request, Subject, Value};
use crate::decide::{Phases, decide, decide_assume_role};
use crate::document::{Effect, Policy};
use crate::set::{Compiled, PolicySet};
use crate::verdict::{Phase, Verdict};

/// Nearest misses that are listed, at most.
const NEAREST_MAX: usize = 16;

/// A verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `allow`, `explicitDeny` or `implicitDeny`.
    pub verdict: &'static str,
    /// Which phase decided.
    pub phase: Phase,
    /// What allowed it although no statement does, in plain words: a leave that needs no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave: Option<String>,
    /// Who is answered otherwise, whatever policies say, in plain words: a legal order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_down: Option<String>,
    /// The statement that decided first, then the others that would have decided the same.
    pub deciding: Vec<DecidedBy>,
    /// When nothing allows it: Allow statements of which exactly one element failed, the likeliest to be meant first.
    pub nearest: Vec<NearMiss>,
    /// Every statement of the phases that limit or grant here, also of those behind the deciding one.
    pub statements: Vec<StatementOutcome>,
}

impl Explanation {
    /// A no of a phase of which nothing may be told, or nothing is there to tell.
    pub fn bare_refusal(phase: Phase) -> Self {
        Self {
            verdict: "implicitDeny",
            phase,
            leave: None,
            taken_down: None,
            deciding: Vec::new(),
            nearest: Vec::new(),
            statements: Vec::new(),
        }
    }

    /// The same as an allow, for what needs no policy and is denied by none.
    pub fn with_leave(mut self, words: String) -> Self {
        self.verdict = "allow";
        self.leave = Some(words);
        self.nearest.clear();
        self
    }
}

/// A statement that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedBy {
    /// Where it stands.
    pub phase: Phase,
    /// The policy's name.
    pub policy: String,
    /// The statement's number in it, from 1.
    pub statement: usize,
}

/// An Allow that failed by one element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Where it stands.
    pub phase: Phase,
    /// The policy's name.
    pub policy: String,
    /// The statement's number in it, from 1.
    pub statement: usize,
    /// What failed.
    pub failed: ElementOutcome,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementOutcome {
    /// Where it stands.
    pub phase: Phase,
    /// The policy's name.
    pub policy: String,
    /// The statement's number in it, from 1.
    pub statement: usize,
    /// What it does when it matches.
    pub effect: Effect,
    /// Whether all elements held.
    pub matched: bool,
    /// Its elements.
    pub elements: Vec<ElementOutcome>,
}

/// One element of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ElementOutcome {
    /// Which.
    pub element: Element,
    /// Whether it held.
    pub held: bool,
    /// Of a condition: its operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Of a condition: its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the policy says.
    pub policy: Vec<String>,
    /// What the request says; nothing when a key is missing.
    pub request: Vec<String>,
}

/// An element, the likeliest to be what somebody overlooked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Element {
    /// `Condition`, one for each operator and key.
    Condition,
    /// Not in the document: an identity Allow does not reach another account's resource.
    Account,
    /// `Principal`.
    Principal,
    /// `NotPrincipal`.
    NotPrincipal,
    /// `Resource`.
    Resource,
    /// `NotResource`.
    NotResource,
    /// `Action`.
    Action,
    /// `NotAction`.
    NotAction,
}

/// As [`decide`], with everything that led to the verdict.
pub fn explain(phases: &Phases<'_>, request: &Request<'_>) -> Explanation {
    let subject = request.context.subject;
    let is_root = matches!(subject, Subject::Root { .. });
    let is_own = subject.owns(request.resource);
    let asks = |phase| match phase {
        Phase::Control => !is_root,
        Phase::Identity | Phase::Resource => !(is_root && is_own),
        _ => true,
    };
    let mut statements = outcomes(phases, request, is_own);
    statements.retain(|s| asks(s.phase));
    finish(decide(phases, request), statements)
}

/// As [`decide_assume_role`], with everything that led to the verdict.
pub fn explain_assume_role(trust: &PolicySet, phases: &Phases<'_>, request: &Request<'_>) -> Explanation {
    let mut statements = match request.context.subject {
        Subject::Anonymous | Subject::Service(_) | Subject::Federated { .. } => Vec::new(),
        Subject::Root { .. } | Subject::User { .. } | Subject::Role { .. } => {
            outcomes(&Phases { resource: None, ..*phases }, request, true)
        }
    };
    if matches!(request.context.subject, Subject::Root { .. }) {
        statements.retain(|s| s.phase == Phase::Session);
    }
    of_set(Phase::Trust, trust, request, true, &mut statements);
    finish(decide_assume_role(trust, phases, request), statements)
}

fn outcomes(phases: &Phases<'_>, request: &Request<'_>, reaches: bool) -> Vec<StatementOutcome> {
    let mut out = Vec::new();
    let control = phases.control.into_iter().map(|s| (Phase::Control, s));
    let session = phases.session.into_iter().map(|s| (Phase::Session, s));
    let identity = phases.identity.iter().map(|s| (Phase::Identity, *s));
    let resource = phases.resource.into_iter().map(|s| (Phase::Resource, s));
    for (phase, set) in control.chain(session).chain(identity).chain(resource) {
        of_set(phase, set, request, reaches, &mut out);
    }
    out
}

fn of_set(
    phase: Phase,
    set: &PolicySet,
    request: &Request<'_>,
    reaches: bool,
    out: &mut Vec<StatementOutcome>,
) {
    let Some(eval) = Eval::new(request) else { return };
    for compiled in set.statements() {
        let mut elements = elements(compiled, &eval);
        if phase == Phase::Identity && compiled.statement.effect == Effect::Allow && !reaches {
            elements.push(ElementOutcome {
                element: Element::Account,
                held: false,
                operator: None,
                key: None,
                policy: request.context.subject.account().into_iter().map(str::to_owned).collect(),
                request: vec![request.resource.account().to_owned()],
            });
        }
        out.push(StatementOutcome {
            phase,
            policy: compiled.policy.to_string(),
            statement: compiled.number,
            effect: compiled.statement.effect,
            matched: elements.iter().all(|e| e.held),
            elements,
        });
    }
}

fn elements(compiled: &Compiled, eval: &Eval<'_, '_>) -> Vec<ElementOutcome> {
    let statement = &compiled.statement;
    let request = eval.request;
    let plain = |element, held, policy: Vec<String>, request: String| ElementOutcome {
        element,
        held,
        operator: None,
        key: None,
        policy,
        request: vec![request],
    };
    let actions = &statement.actions;
    let mut out = vec![plain(
        if actions.negated { Element::NotAction } else { Element::Action },
        actions.covers(eval.service, eval.name),
        actions.list.iter().map(|a| a.text.to_string()).collect(),
        request.action.to_owned(),
    )];
    if let Some(resources) = &statement.resources {
        out.push(plain(
            if resources.negated { Element::NotResource } else { Element::Resource },
            resources.covers(eval),
            resources.list.iter().map(|r| r.text.to_string()).collect(),
            request.resource.to_string(),
        ));
    }
    if let Some(principals) = &statement.principals {
        out.push(plain(
            if principals.negated { Element::NotPrincipal } else { Element::Principal },
            principals.cover(&request.context.subject),
            principals.list.iter().map(|p| p.text.to_string()).collect(),
            named(&request.context.subject),
        ));
    }
    out.extend(statement.conditions.iter().map(|c| ElementOutcome {
        element: Element::Condition,
        held: c.holds(eval),
        operator: Some(c.operator.to_string()),
        key: Some(c.key.name.to_string()),
        policy: c.texts(&compiled.source),
        request: match eval.find(&c.key) {
            Found::Missing => Vec::new(),
            Found::One(Value::Time(at)) => vec![at.iso_ms()],
            Found::One(value) => vec![value.text().to_owned()],
            Found::Many(list) => list.iter().map(|v| (*v).to_owned()).collect(),
        },
    }));
    out
}

impl Condition {
    /// The values as they stand in the document, without quotes.
    pub(crate) fn texts(&self, source: &Policy) -> Vec<String> {
        let text =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match serde_json::from_str(source.slice(&self.span)) {
            Ok(serde_json::Value::Array(list)) => list.iter().map(text).collect(),
            Ok(one) => vec![text(&one)],
            Err(_) => Vec::new(),
        }
    }
}

/// The caller in the words of a policy.
fn named(subject: &Subject<'_>) -> String {
    match *subject {
        Subject::Anonymous => "anonymous".to_owned(),
        Subject::Root { account } => format!("acs:ram::{account}:root"),
        Subject::User { account, name, .. } => format!("acs:ram::{account}:user/{name}"),
        Subject::Role { account, role, session, .. } => {
            format!("acs:ram::{account}:assumed-role/{role}/{session}")
        }
        Subject::Service(name) => name.to_owned(),
        Subject::Federated { provider_arn } => provider_arn.to_owned(),
    }
}

fn finish(verdict: Verdict<'_>, statements: Vec<StatementOutcome>) -> Explanation {
    let phase = verdict.phase();
    let together = |a: Phase| {
        a == phase
            || matches!((a, phase), (Phase::Identity, Phase::Resource) | (Phase::Resource, Phase::Identity))
    };
    let (word, effect) = match verdict {
        Verdict::Allow { .. } => ("allow", Effect::Allow),
        Verdict::ExplicitDeny { .. } => ("explicitDeny", Effect::Deny),
        Verdict::ImplicitDeny { .. } => ("implicitDeny", Effect::Allow),
    };
    let matched = statements.iter().filter(|s| s.matched && s.effect == effect && together(s.phase));
    let mut deciding: Vec<DecidedBy> = matched
        .map(|s| DecidedBy { phase: s.phase, policy: s.policy.clone(), statement: s.statement })
        .collect();
    match verdict.by() {
        // The owner is allowed without a policy.
        Some(by) if by.statement > 0 => {
            let is_first =
                |d: &DecidedBy| (d.phase, &*d.policy, d.statement) == (phase, by.policy, by.statement);
            deciding.sort_by_key(|d| !is_first(d));
        }
        _ => deciding.clear(),
    }
    let mut nearest: Vec<NearMiss> = Vec::new();
    if matches!(verdict, Verdict::ImplicitDeny { .. }) {
        nearest.extend(
            statements
                .iter()
                .filter(|s| s.effect == Effect::Allow && together(s.phase))
                .filter_map(near_miss),
        );
        nearest.sort_by_key(|n| n.failed.element);
        nearest.truncate(NEAREST_MAX);
    }
    Explanation { verdict: word, phase, leave: None, taken_down: None, deciding, nearest, statements }
}

fn near_miss(outcome: &StatementOutcome) -> Option<NearMiss> {
    let mut failed = outcome.elements.iter().filter(|e| !e.held);
    let (Some(only), None) = (failed.next(), failed.next()) else { return None };
    Some(NearMiss {
        phase: outcome.phase,
        policy: outcome.policy.clone(),
        statement: outcome.statement,
        failed: only.clone(),
    })
}
