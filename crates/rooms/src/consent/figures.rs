//! Figures: how often operators asked, what came of it, and how much of what was given was used.
//!
//! Requests are counted by the day on which they were asked, as they stand when somebody looks; what is beside them (reads, sessions,
//! takedowns, changes, standing rights) by the day on which it began. Days are UTC.
//! INVARIANT: figures that do not hold everything say so; no look walks more than [`REQUESTS_MAX`] requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, GrantId, OperatorId, TenantId, TicketId, Timestamp};
use serde_json::json;

use super::request::parameters;
use super::{Code, ConsentPolicy, Request, State, look, rows};
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::tickets::Category;
use crate::{Failure, House, broker, gate, handling};

pub(super) const DAY_MS: i64 = 86_400_000;
/// Days of one span.
pub const FIGURE_DAYS_MAX: i64 = 366;
/// Days where nothing is said.
const DAYS: i64 = 30;
/// Requests that one look counts: the newest of the span.
pub(super) const REQUESTS_MAX: u32 = 5_000;
/// Anything else is counted up to this.
const COUNT_MAX: u32 = 100_000;
/// An operator who asked so many tenants stands out.
pub const TENANTS_MANY: usize = 10;
/// Things that stand out, at most.
const OUTLIERS_MAX: usize = 200;

/// Whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant behind it.
    pub until: Timestamp,
}

impl Span {
    /// From a day to a day, both counted, as `2026-11-25`; where nothing is said, the 30 days to today.
    ///
    /// # Errors
    /// When one is no day, or they are more than [`FIGURE_DAYS_MAX`] days.
    pub fn days(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<Self, Failure> {
        let day = |field: &'static str, text: Option<&str>| {
            text.map(str::trim)
                .filter(|d| !d.is_empty())
                .map(|d| Timestamp::parse_iso(&format!("{d}T00:00:00Z")))
                .transpose()
                .map_err(|_| Failure::invalid(field, "must be a day such as 2026-11-25"))
        };
        let today = Timestamp::from_ms(now.ms().div_euclid(DAY_MS) * DAY_MS);
        let last = day("to", to)?.unwrap_or(today);
        let from = day("from", from)?.unwrap_or(last.plus_ms((1 - DAYS) * DAY_MS));
        let until = last.plus_ms(DAY_MS);
        if !(1..=FIGURE_DAYS_MAX).contains(&((until.ms() - from.ms()) / DAY_MS)) {
            let why = format!("must be a day 1 to {FIGURE_DAYS_MAX} days before the end of the last");
            return Err(Failure::invalid("from", why));
        }
        Ok(Self { from, until })
    }

    /// First and last day.
    pub fn named(&self) -> (String, String) {
        let day = |at: Timestamp| at.iso().get(..10).unwrap_or_default().to_owned();
        (day(self.from), day(self.until.plus_ms(-1)))
    }
}

/// Requests, and what came of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// All of them: the sum of the others.
    pub asked: u64,
    /// They became grants.
    pub approved: u64,
    /// The tenant denied them.
    pub denied: u64,
    /// Another of the provider's people declined them.
    pub declined: u64,
    /// Nobody answered before their time was over, their ticket closed or their operator was disabled.
    pub lapsed: u64,
    /// The operator took them back.
    pub withdrawn: u64,
    /// They wait.
    pub waiting: u64,
}

impl Answers {
    fn add(&mut self, r: &Request, state: State) {
        self.asked += 1;
        *match state {
            _ if r.granted(state).is_some() => &mut self.approved,
            State::Confirming | State::Pending => &mut self.waiting,
            State::Declined => &mut self.declined,
            State::Denied => &mut self.denied,
            State::Withdrawn => &mut self.withdrawn,
            _ => &mut self.lapsed,
        } += 1;
    }
}

/// How long tenants took to decide; grants by standing rights are none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// How many.
    pub count: u64,
    /// Milliseconds within which half of them were made.
    pub median_ms: i64,
    /// Milliseconds within which nine of ten were made.
    pub p90_ms: i64,
}

impl Decisions {
    pub(super) fn of(mut taken_ms: Vec<i64>) -> Option<Self> {
        taken_ms.sort_unstable();
        // The nearest rank: a time that was taken, never one between two.
        let rank =
            |tenths: usize| taken_ms.get((taken_ms.len() * tenths).div_ceil(10).checked_sub(1)?).copied();
        Some(Self { count: taken_ms.len() as u64, median_ms: rank(5)?, p90_ms: rank(9)? })
    }
}

/// What was given, and what of it was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// All.
    pub given: u64,
    /// Of these by standing rights.
    pub standing: u64,
    /// Of these live.
    pub live: u64,
    /// How the others ended.
    pub ended: Vec<(State, u64)>,
    /// Grants that ended without one use: nobody needed to ask for them.
    pub unused: u64,
    /// Uses that grants allowed which ended.
    pub uses_allowed: u64,
    /// Uses that were made of these.
    pub uses_made: u64,
}

/// What is counted beside requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Reads of content.
    pub reads: u64,
    /// Sessions with systems.
    pub sessions: u64,
    /// Takedowns that were filed.
    pub takedowns: u64,
    /// Stability work that was planned.
    pub changes: u64,
    /// Standing rights that were set.
    pub rights: u64,
}

impl Beside {
    fn all(self) -> [u64; 5] {
        [self.reads, self.sessions, self.takedowns, self.changes, self.rights]
    }
}

/// What stands out, for the provider's own eyes. It accuses nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlier {
    /// An operator asked [`TENANTS_MANY`] tenants or more.
    ManyTenants {
        /// Who.
        operator: OperatorId,
        /// How many.
        tenants: usize,
    },
    /// An operator asked outside the hours that tenants set.
    OffHours {
        /// Who.
        operator: OperatorId,
        /// How often.
        requests: usize,
    },
    /// The code of a request is not what tickets of this category are about.
    OtherCode {
        /// Who.
        operator: OperatorId,
        /// The request.
        request: GrantId,
        /// The ticket.
        ticket: TicketId,
        /// Why it was asked.
        code: Code,
        /// What the ticket is about.
        category: Category,
    },
}

/// What was counted.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Of which days.
    pub span: Span,
    /// All requests.
    pub all: Answers,
    /// By code, each of them.
    pub by_code: Vec<(Code, Answers)>,
    /// By who asked: his number, for the provider his id. Most first.
    pub by_operator: Vec<(String, Answers)>,
    /// How long decisions took; none where there was none.
    pub decisions: Option<Decisions>,
    /// What was given.
    pub grants: Grants,
    /// What was counted beside; none for the provider.
    pub beside: Option<Beside>,
    /// What stands out; for the provider only.
    pub outliers: Vec<Outlier>,
    /// Whether everything in the span was counted.
    pub complete: bool,
}

/// Figures of a tenant's own.
#[derive(Clone, Debug)]
pub struct GetConsentFigures {
    /// The tenant.
    pub tenant: TenantId,
    /// Of which days.
    pub span: Span,
}

/// Figures over all tenants, for the provider's compliance and approvers. They name no content.
#[derive(Clone, Debug)]
pub struct GetAllFigures {
    /// Of which days.
    pub span: Span,
}

impl Operation for GetConsentFigures {
    type Output = Figures;

    fn asks(&self) -> Asked {
        look::asked(&self.tenant, "bailee:GetConsentFigures", "consent/*".to_owned())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Figures, Failure> {
        let now = house.now();
        house
            .db
            .read(move |tx| {
                let (span, tx) = (self.span, &mut tx.tenant(&self.tenant));
                let found = rows::figures::asked(tx, span, REQUESTS_MAX)?;
                let mut figures = count(&found, span, now, |r| r.pseudonym.to_string());
                let beside = beside(tx, span)?;
                figures.complete &= beside.all().iter().all(|n| *n < u64::from(COUNT_MAX));
                figures.beside = Some(beside);
                Ok(figures)
            })
            .await
    }
}

impl Operation for GetAllFigures {
    type Output = Figures;

    fn asks(&self) -> Asked {
        let (provider, (from, to)) = (TenantId::provider(), self.span.named());
        Asked {
            resource: Arn::own(&provider, "consent-figures"),
            tenant: provider,
            action: "bailee:GetAllFigures",
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "from": from, "to": to })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Figures, Failure> {
        let now = house.now();
        house
            .db
            .read(move |tx| {
                let found = rows::figures::asked_of_all(tx, self.span, REQUESTS_MAX)?;
                let mut policies = BTreeMap::new();
                for tenant in found.iter().map(|r| &r.tenant).collect::<BTreeSet<_>>() {
                    policies.insert(tenant.clone(), rows::policy(&mut tx.tenant(tenant))?.policy);
                }
                let mut figures = count(&found, self.span, now, |r| r.operator.to_string());
                figures.outliers = outliers(&found, &policies);
                Ok(figures)
            })
            .await
    }
}

/// Whether anything happened within a span that a tenant's figures tell of.
pub(crate) fn happened(tx: &mut TenantTx<'_, '_>, span: Span) -> Result<bool, Failure> {
    Ok(rows::figures::stirred(tx, span)? || beside(tx, span)?.all() != [0; 5])
}

fn beside(tx: &mut TenantTx<'_, '_>, span: Span) -> Result<Beside, Failure> {
    let within = (span.from, span.until);
    let (takedowns, changes) = handling::count(tx, within, COUNT_MAX)?;
    Ok(Beside {
        reads: gate::count_reads(tx, within, COUNT_MAX)?,
        sessions: broker::count_sessions(tx, within, COUNT_MAX)?,
        takedowns,
        changes,
        rights: rows::standing::set_within(tx, within, COUNT_MAX)?,
    })
}

fn count(found: &[Request], span: Span, now: Timestamp, who: impl Fn(&Request) -> String) -> Figures {
    let (mut all, mut grants, mut taken_ms) = (Answers::default(), Grants::default(), Vec::new());
    let mut by_code: Vec<_> = Code::ALL.iter().map(|c| (*c, Answers::default())).collect();
    let mut by_operator: BTreeMap<String, Answers> = BTreeMap::new();
    for r in found {
        let state = r.state(now);
        all.add(r, state);
        by_code.iter_mut().filter(|(code, _)| *code == r.code).for_each(|(_, a)| a.add(r, state));
        by_operator.entry(who(r)).or_default().add(r, state);
        taken_ms.extend(r.taken_ms(state));
        if let Some((until, uses_max)) = r.granted(state) {
            grants.given += 1;
            grants.standing += u64::from(r.standing.is_some());
            if state == State::Live {
                grants.live += 1;
                continue;
            }
            // When its time is over, what had ended it before tells more.
            let ended = match state {
                State::Expired if r.uses >= uses_max => State::Exhausted,
                State::Expired if r.ticket_ended_at.is_some_and(|at| at < until) => State::TicketClosed,
                other => other,
            };
            match grants.ended.iter_mut().find(|(s, _)| *s == ended) {
                Some((_, n)) => *n += 1,
                None => grants.ended.push((ended, 1)),
            }
            grants.unused += u64::from(r.uses == 0);
            grants.uses_allowed += u64::from(uses_max);
            grants.uses_made += u64::from(r.uses);
        }
    }
    grants.ended.sort_by_key(|(state, n)| (std::cmp::Reverse(*n), state.word()));
    let mut by_operator: Vec<_> = by_operator.into_iter().collect();
    by_operator.sort_by_key(|(_, a)| std::cmp::Reverse(a.asked));
    Figures {
        span,
        all,
        by_code,
        by_operator,
        decisions: Decisions::of(taken_ms),
        grants,
        beside: None,
        outliers: Vec::new(),
        complete: found.len() < REQUESTS_MAX as usize,
    }
}

impl Request {
    /// What was given, if it was: until when, how often.
    pub(super) fn granted(&self, state: State) -> Option<(Timestamp, u32)> {
        self.approved.filter(|_| !matches!(state, State::Withdrawn | State::Denied))
    }

    /// How long a person of the tenant took to say yes or no.
    pub(super) fn taken_ms(&self, state: State) -> Option<i64> {
        let by_person = self.standing.is_none() && (state == State::Denied || self.granted(state).is_some());
        let (_, at) = self.decided.as_ref().filter(|_| by_person)?;
        // A clock may have gone back.
        Some((at.ms() - self.asked_at.ms()).max(0))
    }
}

/// Whether tickets of this category are about such things.
const fn fits(code: Code, category: Category) -> bool {
    match code {
        Code::CustomerInitiatedSupport => !matches!(category, Category::Compliance | Category::Billing),
        Code::ProviderInitiatedService | Code::ResponseToAlert => {
            matches!(category, Category::Incident | Category::Security | Category::Other)
        }
        Code::ProviderInitiatedReview => {
            matches!(category, Category::Compliance | Category::Security | Category::Other)
        }
        Code::LegalRequest => matches!(category, Category::Compliance | Category::Other),
    }
}

fn outliers(found: &[Request], policies: &BTreeMap<TenantId, ConsentPolicy>) -> Vec<Outlier> {
    let mut of: BTreeMap<&OperatorId, (BTreeSet<&TenantId>, usize)> = BTreeMap::new();
    let mut codes = Vec::new();
    for r in found {
        let (tenants, off_hours) = of.entry(&r.operator).or_default();
        tenants.insert(&r.tenant);
        let hours = policies.get(&r.tenant).and_then(|p| p.hours.as_ref());
        *off_hours += usize::from(hours.is_some_and(|h| h.end(r.asked_at).is_none()));
        if !fits(r.code, r.category) {
            codes.push(Outlier::OtherCode {
                operator: r.operator.clone(),
                request: r.id.clone(),
                ticket: r.ticket.clone(),
                code: r.code,
                category: r.category,
            });
        }
    }
    let mut all = Vec::new();
    for (operator, (tenants, requests)) in of {
        let (operator, tenants) = (operator.clone(), tenants.len());
        if tenants >= TENANTS_MANY {
            all.push(Outlier::ManyTenants { operator: operator.clone(), tenants });
        }
        if requests > 0 {
            all.push(Outlier::OffHours { operator, requests });
        }
    }
    all.extend(codes);
    all.truncate(OUTLIERS_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_times_that_were_taken() {
        assert_eq!(Decisions::of(Vec::new()), None);
        let of = |times: &[i64]| Decisions::of(times.to_vec()).map(|d| (d.median_ms, d.p90_ms));
        assert_eq!(of(&[7]), Some((7, 7)));
        assert_eq!(of(&[3, 1]), Some((1, 3)));
        assert_eq!(of(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), Some((5, 9)));
    }

    #[test]
    fn a_span_is_of_whole_days_and_not_too_many() {
        let now = Timestamp::parse_iso("2026-11-25T12:00:00Z").unwrap();
        let named = |from, to| Span::days(from, to, now).map(|s| s.named());
        let days = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(named(None, Some(" ")).unwrap(), days("2026-10-27", "2026-11-25"));
        assert_eq!(named(Some("2026-02-28"), Some("2026-02-28")).unwrap(), days("2026-02-28", "2026-02-28"));
        assert_eq!(named(None, Some("2026-03-01")).unwrap(), days("2026-01-31", "2026-03-01"));
        for (from, to) in
            [("2026-11-26", "2026-11-25"), ("2025-11-24", "2026-11-25"), ("x", ""), ("", "2026-02-30")]
        {
            assert!(named(Some(from), Some(to)).is_err(), "{from} {to}");
        }
    }
}
