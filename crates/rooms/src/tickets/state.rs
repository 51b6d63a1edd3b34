//! What a ticket is: its words, which step leads where, and its clocks. No SQL, no wall clock.

use bailee_types::Timestamp;

use super::Ticket;
use crate::Failure;

/// How long (ms) a solved ticket may be reopened; then it closes.
pub const REOPEN_MS: i64 = 14 * DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An enum whose variants are words in rows, forms and JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word of it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word says.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.word() == word)
            }
        }
    };
}

words! {
    /// What a ticket is about.
    Category {
        /// The tenant asks for help.
        Support = "customer_initiated_support",
        /// Something does not work.
        Incident = "incident",
        /// Something is not safe.
        Security = "security",
        /// What a law or a standard asks.
        Compliance = "compliance",
        /// Money.
        Billing = "billing",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// How urgent it is, as the tenant says.
    Priority {
        /// It can wait.
        Low = "low",
        /// As usual.
        Normal = "normal",
        /// It hinders work.
        High = "high",
        /// Work stands still.
        Urgent = "urgent",
    }
}

words! {
    /// Where a ticket stands.
    State {
        /// Nobody wrote since it was opened.
        Open = "open",
        /// The provider wrote last: it waits for the tenant.
        Answered = "answered",
        /// The tenant wrote last: it waits for the provider.
        Waiting = "waiting",
        /// Either side says it is done; the tenant may reopen it for 14 days.
        Solved = "solved",
        /// Final.
        Closed = "closed",
    }
}

words! {
    /// Who did something on a ticket.
    Side {
        /// The tenant's people.
        Tenant = "tenant",
        /// An operator.
        Provider = "provider",
        /// A worker of the house.
        House = "house",
    }
}

words! {
    /// What can be done with a ticket.
    Step {
        /// Write a message.
        Message = "message",
        /// Give it to an operator.
        Assign = "assign",
        /// Say that it is done.
        Solve = "solve",
        /// Say that it is not.
        Reopen = "reopen",
        /// End it.
        Close = "close",
    }
}

impl State {
    /// Whether it opens anything: an operator may look only then, and grants live only then.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Solved | Self::Closed)
    }

    /// Where a step leads; `solved_at`: when it was solved, if it is.
    pub(super) fn after(
        self,
        (side, step): (Side, Step),
        solved_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let late = solved_at.is_some_and(|at| now >= at.plus_ms(REOPEN_MS));
        match (self, step, side) {
            (Self::Closed, ..) => Err(Failure::Conflict("the ticket is closed: open a new one".into())),
            (Self::Solved, Step::Reopen, Side::Tenant) if late => Err(Failure::Conflict(
                "the ticket was solved more than 14 days ago and closes: open a new one".into(),
            )),
            (Self::Solved, Step::Reopen, Side::Tenant) => Ok(Self::Waiting),
            (_, Step::Reopen, Side::Tenant) => Err(Failure::Conflict("the ticket is not solved".into())),
            (_, Step::Reopen, _) => Err(Failure::Conflict("only the tenant reopens its tickets".into())),
            (_, Step::Close, Side::Tenant) => Ok(Self::Closed),
            (Self::Solved, Step::Close, Side::House) if late => Ok(Self::Closed),
            (_, Step::Close, _) => Err(Failure::Conflict("only the tenant closes its tickets".into())),
            (Self::Solved, ..) => {
                Err(Failure::Conflict("the ticket is solved: the tenant can reopen it".into()))
            }
            (_, _, Side::House) => {
                Err(Failure::Conflict("only a tenant and an operator work on a ticket".into()))
            }
            (_, Step::Message, Side::Tenant) => Ok(Self::Waiting),
            (_, Step::Message, Side::Provider) => Ok(Self::Answered),
            (_, Step::Solve, _) => Ok(Self::Solved),
            (state, Step::Assign, Side::Provider) => Ok(state),
            (_, Step::Assign, Side::Tenant) => {
                Err(Failure::Conflict("only operators assign a ticket".into()))
            }
        }
    }
}

/// When tickets are to be answered and solved, by priority from low to urgent, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The first answer.
    pub first_answer_ms: [i64; 4],
    /// The solution.
    pub solution_ms: [i64; 4],
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            first_answer_ms: [72 * HOUR_MS, 24 * HOUR_MS, 4 * HOUR_MS, HOUR_MS],
            solution_ms: [14 * DAY_MS, 7 * DAY_MS, 3 * DAY_MS, DAY_MS],
        }
    }
}

/// One of a ticket's two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// When it is due. While the clock stands this moves on with the time.
    pub due_at: Timestamp,
    /// Whether it runs and is past its time.
    pub overdue: bool,
}

/// Both clocks of a ticket; one that is done, or of a ticket that opens nothing any more, does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The first answer of the provider.
    pub first_answer: Option<Clock>,
    /// The solution.
    pub solution: Option<Clock>,
    /// Whether they stand still, because it waits for the tenant.
    pub stands: bool,
}

impl Ticket {
    /// Its clocks at `now`; `paused_ms` was read at the same time.
    pub fn clocks(&self, targets: &Targets, now: Timestamp) -> Clocks {
        let place = self.priority as usize;
        let clock = |ms: &[i64; 4]| {
            let due_at = self.opened_at.plus_ms(ms.get(place).copied().unwrap_or_default() + self.paused_ms);
            Clock { due_at, overdue: now >= due_at }
        };
        let live = self.state().is_live();
        Clocks {
            first_answer: (live && self.first_answer_at.is_none()).then(|| clock(&targets.first_answer_ms)),
            solution: live.then(|| clock(&targets.solution_ms)),
            stands: self.state() == State::Answered,
        }
    }
}
