//! Policies that are asked together, compiled so that a request looks at few statements.
//!
//! The index is two radix trees, one inside the other: first what `service:relative` of the resource begins with, then
//! what `service:Name` of the action begins with. A statement stands under each pair of its resources and actions (as far
//! as they are literal), so one that cannot match is not looked at, however many there are.

use std::sync::Arc;

use bailee_types::Arn;

use crate::action::{ActionPattern, Actions};
use crate::context::Eval;
use crate::document::{Effect, Policy, Statement};
use crate::resource::{ROLE, ResourcePattern, is_role};
use crate::trie::{Prefix, Trie, minimal};
use crate::verdict::Deciding;

/// Pairs of one statement in the index, at most; beyond, its actions are not told apart.
const PAIRS_MAX: usize = 64;

/// The policies of one phase.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    statements: Vec<Compiled>,
    deny: Index,
    allow: Index,
}

#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) policy: Arc<str>,
    pub(crate) number: usize,
    pub(crate) statement: Arc<Statement>,
    pub(crate) source: Arc<Policy>,
}

#[derive(Clone, Debug, Default)]
struct Index(Trie<Trie<Vec<u32>>>);

impl PolicySet {
    /// Compiles policies with their names. A name is what verdicts and explanations show: put the version into it if there
    /// are several.
    pub fn compile(policies: Vec<(String, Arc<Policy>)>) -> Self {
        let mut set = Self::default();
        for (name, source) in policies {
            let policy: Arc<str> = name.into();
            for (i, statement) in source.statements.iter().enumerate() {
                let at = u32::try_from(set.statements.len()).unwrap_or(u32::MAX);
                let index = if statement.effect == Effect::Deny { &mut set.deny } else { &mut set.allow };
                index.add(at, statement);
                set.statements.push(Compiled {
                    policy: Arc::clone(&policy),
                    number: i + 1,
                    statement: Arc::clone(statement),
                    source: Arc::clone(&source),
                });
            }
        }
        set
    }

    /// Whether there is no statement at all.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Every statement, in the order it was given.
    pub(crate) fn statements(&self) -> &[Compiled] {
        &self.statements
    }

    /// The first Deny that matches.
    pub(crate) fn denies(&self, eval: &Eval<'_, '_>) -> Option<Deciding<'_>> {
        self.first(&self.deny, eval)
    }

    /// The first Allow that matches.
    pub(crate) fn allows(&self, eval: &Eval<'_, '_>) -> Option<Deciding<'_>> {
        self.first(&self.allow, eval)
    }

    fn first(&self, index: &Index, eval: &Eval<'_, '_>) -> Option<Deciding<'_>> {
        let mut best: Option<(u32, &Compiled)> = None;
        index.candidates(eval, |list| {
            for at in list {
                if best.is_some_and(|(found, _)| found <= *at) {
                    break;
                }
                if let Some(one) = self.statements.get(*at as usize).filter(|c| c.statement.matches(eval)) {
                    best = Some((*at, one));
                    break;
                }
            }
        });
        best.map(|(_, one)| one.deciding())
    }
}

impl Compiled {
    pub(crate) fn deciding(&self) -> Deciding<'_> {
        Deciding { policy: &self.policy, statement: self.number }
    }
}

impl Statement {
    /// Whether every element holds for the request.
    pub(crate) fn matches(&self, eval: &Eval<'_, '_>) -> bool {
        self.actions.covers(eval.service, eval.name)
            && self.resources.as_ref().is_none_or(|r| r.covers(eval))
            && self.principals.as_ref().is_none_or(|p| p.cover(&eval.request.context.subject))
            && self.conditions.iter().all(|c| c.holds(eval))
    }
}

impl Index {
    fn add(&mut self, at: u32, statement: &Statement) {
        let anything = || vec![Prefix { bytes: Vec::new(), whole: false }];
        let resources = match &statement.resources {
            Some(r) if !r.negated => minimal(r.list.iter().map(resource_prefix).collect()),
            _ => anything(),
        };
        let Actions { negated, list } = &statement.actions;
        let mut actions =
            if *negated { anything() } else { minimal(list.iter().map(action_prefix).collect()) };
        if resources.len() * actions.len() > PAIRS_MAX {
            actions = anything();
        }
        for resource in &resources {
            let inner = self.0.place(resource);
            for action in &actions {
                inner.place(action).push(at);
            }
        }
    }

    /// Calls `each` with lists of statements that may match, each list ascending.
    fn candidates<'s>(&'s self, eval: &Eval<'_, '_>, mut each: impl FnMut(&'s [u32])) {
        let resource: &Arn = eval.request.resource;
        let folds = is_role(resource);
        let relative = resource.relative().bytes().map(|b| if folds { b.to_ascii_lowercase() } else { b });
        let resource = resource.service().bytes().chain(std::iter::once(b':')).chain(relative);
        self.0.walk(resource, |inner| {
            inner.walk(eval.request.action.bytes().map(|b| b.to_ascii_lowercase()), |list| each(list));
        });
    }
}

/// What `service:relative` begins with, or is.
fn resource_prefix(pattern: &ResourcePattern) -> Prefix {
    let Some(service) = pattern.service.literal() else {
        return Prefix { bytes: pattern.service.literal_prefix().into(), whole: false };
    };
    let literal = pattern.relative.literal_prefix();
    let bytes = format!("{service}:{literal}").into_bytes();
    let may_be_role = literal.bytes().zip(ROLE.bytes()).all(|(l, r)| l.eq_ignore_ascii_case(&r));
    if service != "ram" || !may_be_role {
        return Prefix { bytes, whole: pattern.relative.literal().is_some() };
    }
    // A role is looked for in lower case, other resources as they are written; both begin with this.
    let same = literal.bytes().take_while(|b| !b.is_ascii_uppercase()).count();
    if literal.len() >= ROLE.len() {
        // Nothing but a role begins so.
        return Prefix { bytes: bytes.to_ascii_lowercase(), whole: pattern.relative.literal().is_some() };
    }
    Prefix { bytes: bytes.get(..service.len() + 1 + same).unwrap_or_default().into(), whole: false }
}

/// What `service:name` in lower case begins with, or is.
fn action_prefix(pattern: &ActionPattern) -> Prefix {
    let Some(service) = pattern.service.literal() else {
        return Prefix { bytes: pattern.service.literal_prefix().into(), whole: false };
    };
    let bytes = format!("{service}:{}", pattern.name.literal_prefix()).into_bytes();
    Prefix { bytes, whole: pattern.name.literal().is_some() }
}
