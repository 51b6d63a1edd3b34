//! Walks of a glass against a telling of its history: what may be is read off the history in the words of C9, not off the states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const WALKS: u32 = 100_000;
const OPERATORS: [&str; 3] = ["op-a", "op-b", "op-c"];

/// What somebody tries. Operators are numbers; 0 asked.
#[derive(Clone, Copy, Debug)]
enum Try {
    Break(usize),
    /// The record of the breaking is there: done, or lost.
    Record(bool),
    End,
    Review,
    Act(usize, usize),
    Disable(usize),
    /// Seconds; they may go back.
    Pass(i64),
}

fn try_it() -> impl Strategy<Value = Try> {
    prop_oneof![
        3 => (0..3usize).prop_map(Try::Break),
        3 => prop_oneof![9 => Just(true), 1 => Just(false)].prop_map(Try::Record),
        1 => Just(Try::End),
        1 => Just(Try::Review),
        8 => (0..3usize, 0..7usize).prop_map(|(who, act)| Try::Act(who, act)),
        1 => (0..3usize).prop_map(Try::Disable),
        3 => (-1_200..2_400i64).prop_map(Try::Pass),
    ]
}

fn who(n: usize) -> OperatorId {
    OperatorId::parse(OPERATORS[n]).unwrap()
}

fn hand(n: usize, at: Timestamp) -> Hand {
    Hand { operator: who(n), pseudonym: String::new(), at, recorded: None, active: true }
}

fn asked_for(minutes: u32) -> Glass {
    Glass {
        tenant: TenantId::provider(),
        id: HandlingId::random(),
        incident: String::new(),
        reason: String::new(),
        minutes,
        asked: Hand { recorded: Some(true), ..hand(0, Timestamp::from_secs(0)) },
        broken: None,
        until: None,
        ended: None,
        review: None,
        acknowledged: true,
        acts: Vec::new(),
        last: Timestamp::from_secs(0),
    }
}

/// What happened.
#[derive(Default)]
struct History {
    broken: Option<(usize, i64)>,
    recorded: Option<bool>,
    ended: bool,
    reviewed: bool,
    gone: [bool; 3],
}

impl History {
    fn waits(&self, now: i64) -> bool {
        self.broken.is_none() && !self.ended && now < 3_600 && !self.gone[0]
    }

    fn is_broken(&self, now: i64, minutes: u32) -> bool {
        self.broken
            .is_some_and(|(by, at)| now < at + i64::from(minutes) * 60 && !self.gone[0] && !self.gone[by])
            && !self.ended
            && self.recorded != Some(false)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: WALKS, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_glass_walks_as_its_history_allows(
        minutes in 1..61u32,
        tries in proptest::collection::vec(try_it(), 1..20),
    ) {
        let (mut clock, mut last) = (0i64, 0i64);
        let mut g = asked_for(minutes);
        let mut h = History::default();
        for one in tries {
            let now = Timestamp::from_secs(clock);
            let moment = clock.max(last);
            g.last = Timestamp::from_secs(last);
            match one {
                Try::Break(n) => {
                    let done = g.stops(GlassStep::Break, Some(&who(n)), now).is_none();
                    prop_assert_eq!(done, n != 0 && h.waits(moment) && last <= clock + 60);
                    if done {
                        (g.broken, g.until) = (Some(hand(n, now)), Some(plus(now, minutes)));
                        g.broken.as_mut().unwrap().active = !h.gone[n];
                        h.broken = Some((n, clock));
                    }
                }
                Try::Record(done) => if let (Some(b), None) = (&mut g.broken, h.recorded) {
                    b.recorded = Some(done);
                    h.recorded = Some(done);
                },
                Try::End => {
                    let done = g.stops(GlassStep::End, None, now).is_none();
                    prop_assert_eq!(done, h.waits(moment) || h.is_broken(moment, minutes));
                    if done {
                        g.ended = Some((String::new(), now));
                        h.ended = true;
                    }
                }
                Try::Review => {
                    let done = g.stops(GlassStep::Review(Verdict::Accepted), None, now).is_none();
                    prop_assert_eq!(done, h.broken.is_some() && !h.is_broken(moment, minutes) && !h.reviewed);
                    if done {
                        let (verdict, at, ticket) = (Verdict::Accepted, now, None);
                        g.review = Some(Review { verdict, note: String::new(), by: String::new(), at, ticket });
                        h.reviewed = true;
                    }
                }
                Try::Act(n, act) => {
                    let all = ["oss:GetObject", "ecs:StartSession"];
                    let action = GLASS_ACTS.get(act).copied().unwrap_or_else(|| all[act - GLASS_ACTS.len()]);
                    let lets = g.lets(&who(n), action, now);
                    let may = n == 0 && act < GLASS_ACTS.len() && h.recorded == Some(true) && h.is_broken(moment, minutes);
                    prop_assert_eq!(lets, may);
                }
                Try::Disable(n) => {
                    h.gone[n] = true;
                    g.asked.active &= n != 0;
                    if let Some(b) = &mut g.broken {
                        b.active &= b.operator != who(n);
                    }
                }
                Try::Pass(seconds) => clock += seconds,
            }
            // Each try, also a refused one, stands in the log.
            if !matches!(one, Try::Pass(_) | Try::Disable(_)) {
                last = last.max(clock);
            }
        }
    }
}

#[test]
fn a_log_that_is_ahead_of_the_clock_lets_nobody_break_a_glass() {
    let mut g = asked_for(10);
    g.last = Timestamp::from_secs(61);
    let by = who(1);
    let said = g.stops(GlassStep::Break, Some(&by), Timestamp::from_secs(0)).unwrap();
    assert!(said.contains("mend the clock"), "{said}");
    assert_eq!(g.stops(GlassStep::Break, Some(&by), Timestamp::from_secs(1)), None);
    let now = Timestamp::from_secs(1);
    g.until = Some(plus(now, 10));
    for (n, lets) in [(0, false), (1, true)] {
        g.broken = Some(Hand { recorded: Some(true), ..hand(n, now) });
        assert_eq!(g.lets(&who(0), GLASS_ACTS[0], now), lets, "two hands of one person are one");
    }
}
