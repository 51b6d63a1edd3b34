//! The life of a request, as a pure function: where it stands at a moment, and what a step makes of it.
//!
//! The room asks [`Life::next`] before it writes a row, and the tests walk the same function.
//! INVARIANT: what ended stays ended; nothing opens by silence; what is approved is the least of all approvals, and never
//! more than what was asked for.

use std::fmt;

use bailee_types::Timestamp;

use super::Scope;
use super::standing::Stand;

/// Where a request or grant stands at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for another of the provider's people.
    Confirming,
    /// Waits for the tenant.
    Pending,
    /// Live: the operator may act.
    Live,
    /// The provider's second pair of eyes said no.
    Declined,
    /// Denied by the tenant.
    Denied,
    /// Taken back by the operator.
    Withdrawn,
    /// Not answered in time.
    Lapsed,
    /// Its time is over.
    Expired,
    /// Taken back by the tenant.
    Revoked,
    /// Given back by the operator.
    Returned,
    /// All reads are used.
    Exhausted,
    /// Its ticket was closed.
    TicketClosed,
    /// Its operator was disabled.
    OperatorDisabled,
}

impl State {
    /// In one word, or two with a hyphen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirming => "confirming",
            Self::Pending => "pending",
            Self::Live => "live",
            Self::Declined => "declined",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Returned => "returned",
            Self::Exhausted => "exhausted",
            Self::TicketClosed => "ticket-closed",
            Self::OperatorDisabled => "operator-disabled",
        }
    }

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Confirming,
        Self::Pending,
        Self::Live,
        Self::Declined,
        Self::Denied,
        Self::Withdrawn,
        Self::Lapsed,
        Self::Expired,
        Self::Revoked,
        Self::Returned,
        Self::Exhausted,
        Self::TicketClosed,
        Self::OperatorDisabled,
    ];

    /// Reads [`State::word`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Whether it waits or lives.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Confirming | Self::Pending | Self::Live)
    }
}

/// How the time before an approval ended without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Declined,
    Denied,
    Withdrawn,
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approval {
    /// `root`, a user's id; empty: a session of a role.
    pub(crate) person: String,
    /// From the moment at which enough have approved.
    pub(crate) minutes: u32,
    /// Where he signed a statement: not after this.
    pub(crate) until: Option<Timestamp>,
    pub(crate) uses_max: u32,
    pub(crate) scope: Scope,
}

/// What was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) until: Timestamp,
    pub(crate) uses_max: u32,
    pub(crate) scope: Scope,
}

/// Everything that decides where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) scope: Scope,
    pub(crate) minutes: u32,
    pub(crate) uses_max: u32,
    pub(crate) lapses_at: Timestamp,
    /// Another of the provider's people must confirm it, and has not yet.
    pub(crate) unconfirmed: bool,
    pub(crate) over: Option<Over>,
    /// Approvals that count, while they are too few.
    pub(crate) approvals: Vec<Approval>,
    pub(crate) given: Option<Given>,
    /// Taken back by the tenant (`Revoked`) or given back (`Returned`).
    pub(crate) taken_back: Option<State>,
    pub(crate) uses: u32,
    pub(crate) ticket_open: bool,
    pub(crate) operator_active: bool,
}

/// What happens to it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The provider's second pair of eyes.
    Confirm(bool),
    /// One approval more; so many are needed.
    Approve(Approval, u32),
    Deny,
    /// A standing right of the tenant's is held against it.
    Stand(Box<Stand>),
    /// The operator takes a request back, or gives a grant back.
    Withdraw,
    Revoke,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the gate counts intents; the walks of the tests count here")
    )]
    Use,
}

/// Why a step is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It stands elsewhere.
    At(State),
    /// This person approved it already.
    Twice,
    /// What this approval covers and what the others cover have nothing in common.
    Apart,
    /// It is more than what was asked for.
    Wider,
    /// It does not lie wholly inside the standing right.
    Outside,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(state) => write!(f, "is {state:?} now"),
            Self::Twice => f.write_str("has your approval already and waits for another person's"),
            Self::Apart => {
                f.write_str("was approved by another person for something else: nothing would be left")
            }
            Self::Wider => f.write_str("asks for less than that"),
            Self::Outside => f.write_str("does not lie inside the standing right"),
        }
    }
}

impl Life {
    /// Where it stands at `now`.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match self.over {
            Some(Over::Declined) => return State::Declined,
            Some(Over::Denied) => return State::Denied,
            Some(Over::Withdrawn) => return State::Withdrawn,
            None => {}
        }
        let Some(given) = &self.given else {
            return match (self.ticket_open, self.operator_active) {
                (false, _) => State::TicketClosed,
                (_, false) => State::OperatorDisabled,
                _ if now >= self.lapses_at => State::Lapsed,
                _ if self.unconfirmed => State::Confirming,
                _ => State::Pending,
            };
        };
        if let Some(state) = self.taken_back {
            state
        } else if now >= given.until {
            State::Expired
        } else if self.uses >= given.uses_max {
            State::Exhausted
        } else if !self.ticket_open {
            State::TicketClosed
        } else if !self.operator_active {
            State::OperatorDisabled
        } else {
            State::Live
        }
    }

    /// What a step at `now` makes of it.
    pub(crate) fn next(mut self, step: Step, now: Timestamp) -> Result<Self, Stop> {
        let state = self.state(now);
        match (step, state) {
            (Step::Confirm(true), State::Confirming) => self.unconfirmed = false,
            (Step::Confirm(false), State::Confirming) => self.over = Some(Over::Declined),
            (Step::Approve(approval, needed), State::Pending) => self.approve(approval, needed, now)?,
            // Once persons have begun to decide, they do.
            (Step::Stand(stand), State::Pending) if self.approvals.is_empty() => {
                self.given = Some(stand.gives(&self, now).ok_or(Stop::Outside)?);
            }
            // The tenant need not wait for the provider to say no.
            (Step::Deny, State::Confirming | State::Pending) => self.over = Some(Over::Denied),
            (Step::Withdraw, State::Confirming | State::Pending) => self.over = Some(Over::Withdrawn),
            (Step::Withdraw, State::Live) => self.taken_back = Some(State::Returned),
            (
                Step::Revoke,
                State::Live | State::Exhausted | State::TicketClosed | State::OperatorDisabled,
            ) if self.given.is_some() => self.taken_back = Some(State::Revoked),
            (Step::Use, State::Live) => self.uses = self.uses.saturating_add(1),
            (_, state) => return Err(Stop::At(state)),
        }
        Ok(self)
    }

    fn approve(&mut self, approval: Approval, needed: u32, now: Timestamp) -> Result<(), Stop> {
        if !approval.person.is_empty() && self.approvals.iter().any(|a| a.person == approval.person) {
            return Err(Stop::Twice);
        }
        if !approval.scope.is_within(&self.scope)
            || !(1..=self.minutes).contains(&approval.minutes)
            || !(1..=self.uses_max).contains(&approval.uses_max)
        {
            return Err(Stop::Wider);
        }
        self.approvals.push(approval);
        let mut scope = self.scope.clone();
        let (mut minutes, mut uses_max, mut until) = (self.minutes, self.uses_max, None);
        for a in &self.approvals {
            scope = scope.meet(&a.scope).ok_or(Stop::Apart)?;
            (minutes, uses_max) = (minutes.min(a.minutes), uses_max.min(a.uses_max));
            until = [until, a.until].into_iter().flatten().min();
        }
        if self.approvals.len() >= needed.max(1) as usize {
            let latest = now.plus_ms(i64::from(minutes) * 60_000);
            self.given = Some(Given { until: until.map_or(latest, |u| u.min(latest)), uses_max, scope });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
