//! Deciding: all policies of one principal, compiled so that a request looks at few statements.
//!
//! The index holds, for each statement, the literal service and the literal first part of the resource (a bucket, a
//! `user`) where it has them; a request looks up its own pair and the statements that have none.

use std::collections::HashMap;
use std::sync::Arc;

use bailee_types::Arn;

use crate::document::{Effect, Policy, ResourcePattern, Statement};

/// What is asked: may this action touch this resource?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `service:Name`, e.g. `oss:GetObject`; case does not matter.
    pub action: &'a str,
    /// The resource.
    pub resource: &'a Arn,
}

/// The statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The statement's number in it, from 1.
    pub statement: usize,
}

/// The answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed by this statement, and denied by none.
    Allow {
        /// Which.
        by: Deciding,
    },
    /// Denied by this statement.
    ExplicitDeny {
        /// Which.
        by: Deciding,
    },
    /// Nothing allows it.
    ImplicitDeny {
        /// An Allow whose action fits but whose resource does not, if there is one.
        nearest: Option<Deciding>,
    },
}

/// The policies of one principal.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    statements: Vec<Compiled>,
    deny: Index,
    allow: Index,
}

#[derive(Clone, Debug)]
struct Compiled {
    policy: Arc<str>,
    number: usize,
    statement: Statement,
}

#[derive(Clone, Debug, Default)]
struct Index {
    /// Statement numbers by service and first resource part.
    exact: HashMap<String, HashMap<String, Vec<u32>>>,
    /// Statements that name no literal pair.
    rest: Vec<u32>,
}

impl PolicySet {
    /// Compiles policies with their names.
    pub fn compile(policies: Vec<(String, Arc<Policy>)>) -> Self {
        let mut set = Self::default();
        for (name, policy) in policies {
            let name: Arc<str> = name.into();
            for (i, statement) in policy.statements.iter().enumerate() {
                let at = u32::try_from(set.statements.len()).unwrap_or(u32::MAX);
                let index = if statement.effect == Effect::Deny { &mut set.deny } else { &mut set.allow };
                index.add(at, statement);
                set.statements.push(Compiled {
                    policy: Arc::clone(&name),
                    number: i + 1,
                    statement: statement.clone(),
                });
            }
        }
        set
    }

    /// Decides: an explicit Deny first, then an Allow, else no.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let Some((service, name)) = request.action.split_once(':') else {
            return Decision::ImplicitDeny { nearest: None };
        };
        let hit = |index: &Index| {
            index.candidates(request.resource).filter_map(|at| self.statements.get(at as usize)).find(|c| {
                c.statement.actions.covers(service, name) && c.statement.resources.covers(request.resource)
            })
        };
        if let Some(found) = hit(&self.deny) {
            return Decision::ExplicitDeny { by: found.deciding() };
        }
        if let Some(found) = hit(&self.allow) {
            return Decision::Allow { by: found.deciding() };
        }
        Decision::ImplicitDeny { nearest: self.nearest(service, name) }
    }

    /// As [`PolicySet::decide`], the obvious way: every statement in turn. Tests hold the two against each other.
    #[doc(hidden)]
    pub fn decide_plainly(&self, request: &Request<'_>) -> Decision {
        let Some((service, name)) = request.action.split_once(':') else {
            return Decision::ImplicitDeny { nearest: None };
        };
        let mut allowed = None;
        for c in &self.statements {
            let matches =
                c.statement.actions.covers(service, name) && c.statement.resources.covers(request.resource);
            match (matches, c.statement.effect) {
                (true, Effect::Deny) => return Decision::ExplicitDeny { by: c.deciding() },
                (true, Effect::Allow) if allowed.is_none() => allowed = Some(c.deciding()),
                _ => {}
            }
        }
        allowed.map_or_else(
            || Decision::ImplicitDeny { nearest: self.nearest(service, name) },
            |by| Decision::Allow { by },
        )
    }

    fn nearest(&self, service: &str, name: &str) -> Option<Deciding> {
        self.statements
            .iter()
            .take(256)
            .find(|c| c.statement.effect == Effect::Allow && c.statement.actions.covers(service, name))
            .map(Compiled::deciding)
    }
}

impl Compiled {
    fn deciding(&self) -> Deciding {
        Deciding { policy: Arc::clone(&self.policy), statement: self.number }
    }
}

impl Index {
    fn add(&mut self, at: u32, statement: &Statement) {
        let pairs: Option<Vec<(String, String)>> = if statement.resources.negated {
            None
        } else {
            statement.resources.list.iter().map(literal_pair).collect()
        };
        match pairs {
            None => self.rest.push(at),
            Some(pairs) => {
                for (service, first) in pairs {
                    let list = self.exact.entry(service).or_default().entry(first).or_default();
                    if list.last() != Some(&at) {
                        list.push(at);
                    }
                }
            }
        }
    }

    /// Statements that may match, in order of their numbers within each of the two lists.
    fn candidates<'s>(&'s self, resource: &Arn) -> impl Iterator<Item = u32> + use<'s> {
        let exact = self.exact.get(resource.service()).and_then(|m| m.get(first_part(resource.relative())));
        merge(exact.map_or(&[][..], Vec::as_slice), &self.rest)
    }
}

/// Two ascending lists as one, so that the first match is the one with the lowest number.
fn merge<'s>(mut a: &'s [u32], mut b: &'s [u32]) -> impl Iterator<Item = u32> + use<'s> {
    std::iter::from_fn(move || {
        let from_a = match (a.first(), b.first()) {
            (Some(x), Some(y)) => x <= y,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let list = if from_a { &mut a } else { &mut b };
        let (first, rest) = list.split_first()?;
        *list = rest;
        Some(*first)
    })
}

/// Service and first resource part when both are literal.
fn literal_pair(pattern: &ResourcePattern) -> Option<(String, String)> {
    let service = pattern.service.literal()?;
    let prefix = pattern.relative.literal_prefix();
    match prefix.split_once('/') {
        Some((first, _)) => Some((service, first.to_owned())),
        // Without a slash the part is whole only when no wildcard follows.
        None => pattern.relative.literal().map(|whole| (service, whole)),
    }
}

fn first_part(relative: &str) -> &str {
    relative.split_once('/').map_or(relative, |(first, _)| first)
}
