//! Walks of the life of a request against a telling of its history. What may be is read off the history in the words of the
//! rules (facts/identity.md §3, C1–C10), not off the states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bailee_types::{BucketName, ObjectKey, Pseudonym};
use proptest::prelude::*;

use super::super::Code;
use super::super::standing::Terms;
use super::*;

const WALKS: u32 = 100_000;
const PERSONS: [&str; 3] = ["root", "2001", "2002"];
const MINUTE_MS: i64 = 60_000;

/// What somebody tries.
#[derive(Clone, Copy, Debug)]
enum Try {
    Confirm(bool),
    Approve {
        person: usize,
        minutes: u32,
        uses: u32,
        scope: usize,
    },
    Deny,
    Withdraw,
    Revoke,
    Use,
    CloseTicket,
    DisableOperator,
    /// The person is removed: his approval does not count any more.
    Remove(usize),
    Pass(i64),
    /// The tenant sets a standing right in place of the one before: on what, minutes and uses of a grant, uses that are left of
    /// the day's, minutes that it holds, and whether it names this operator and this code.
    SetRight {
        scope: usize,
        minutes: u32,
        uses: u32,
        left: u32,
        holds: i64,
        named: bool,
        code: bool,
    },
    /// It is ended, with what came of it.
    EndRight,
    /// The request is held against it.
    Stand,
}

fn scopes() -> [Scope; 6] {
    let bucket = BucketName::parse("invoices").unwrap();
    let prefix = |p: &str| Scope::Prefix { bucket: bucket.clone(), prefix: p.into() };
    let object = |k: &str| Scope::object(bucket.clone(), ObjectKey::parse(k).unwrap());
    let other = Scope::Prefix { bucket: BucketName::parse("other").unwrap(), prefix: "2026/".into() };
    [prefix("2026/"), prefix("2026/1"), object("2026/11.pdf"), object("2026/2.pdf"), prefix(""), other]
}

fn try_it() -> impl Strategy<Value = Try> {
    prop_oneof![
        1 => any::<bool>().prop_map(Try::Confirm),
        2 => Just(Try::Confirm(true)),
        6 => (0..3usize, 1..8u32, 1..5u32, 0..6usize)
            .prop_map(|(person, minutes, uses, scope)| Try::Approve { person, minutes, uses, scope }),
        4 => (0..3usize).prop_map(|person| Try::Approve { person, minutes: 5, uses: 3, scope: 0 }),
        1 => Just(Try::Deny),
        1 => Just(Try::Withdraw),
        1 => Just(Try::Revoke),
        5 => Just(Try::Use),
        1 => Just(Try::CloseTicket),
        1 => Just(Try::DisableOperator),
        1 => (0..3usize).prop_map(Try::Remove),
        3 => (-10..20i64).prop_map(|m| Try::Pass(m * MINUTE_MS / 4)),
        2 => (0..4usize, 4..7u32, 2..5u32, 2..6u32, 3..12i64, 0..8u32)
            .prop_map(|(scope, minutes, uses, left, holds, named)| {
                let scope = [0, 0, 1, 5][scope];
                Try::SetRight { scope, minutes, uses, left, holds, named: named != 0, code: named != 1 }
            }),
        1 => Just(Try::EndRight),
        3 => Just(Try::Stand),
    ]
}

/// What was done, and when by the newest time that anybody had seen.
struct History {
    needed: u32,
    second_eye: bool,
    done: Vec<(i64, Try)>,
}

impl History {
    fn has(&self, of: impl Fn(&Try) -> bool) -> bool {
        self.done.iter().any(|(_, t)| of(t))
    }

    /// Approvals that count at the place `before` of the history.
    fn approvals(&self, before: usize) -> Vec<(i64, Try)> {
        let removed = |person: usize, since: usize| {
            self.done[since..before].iter().any(|(_, t)| matches!(t, Try::Remove(p) if *p == person))
        };
        let all = self.done[..before].iter().enumerate();
        all.filter(|(i, (_, t))| matches!(t, Try::Approve { person, .. } if !removed(*person, *i)))
            .map(|(_, done)| *done)
            .collect()
    }

    /// Whether a standing right lets a request for the first scope, five minutes and three uses be a grant at `now`.
    fn may_stand(&self, now: i64) -> bool {
        let set = self.done.iter().rposition(|(_, t)| matches!(t, Try::SetRight { .. }));
        let ended = self.done.iter().rposition(|(_, t)| matches!(t, Try::EndRight));
        let Some(set) = set.filter(|s| ended.is_none_or(|e| e < *s)) else { return false };
        let (
            at,
            Try::SetRight { scope: 0, minutes: 5.., uses: 3.., left: 3.., holds, named: true, code: true },
        ) = self.done[set]
        else {
            return false;
        };
        let waits = self.given().is_none() && self.is_open() && now < 30 * MINUTE_MS;
        waits && self.approvals(self.done.len()).is_empty() && now + 5 * MINUTE_MS <= at + holds * MINUTE_MS
    }

    /// When a standing right made it a grant.
    fn stood(&self) -> Option<usize> {
        self.done.iter().position(|(_, t)| matches!(t, Try::Stand))
    }

    /// What the tenant gave: until when, how often, on what; none while too few have approved.
    fn given(&self) -> Option<(i64, u32, Vec<Scope>)> {
        if let Some(stood) = self.stood() {
            return Some((self.done[stood].0 + 5 * MINUTE_MS, 3, vec![scopes()[0].clone()]));
        }
        let enough = (0..self.done.len()).find(|i| {
            matches!(self.done[*i].1, Try::Approve { .. })
                && self.approvals(i + 1).len() >= self.needed as usize
        })?;
        let all = self.approvals(enough + 1);
        let of = |f: fn(&Try) -> u32| all.iter().map(|(_, t)| f(t)).min().unwrap();
        let minutes = of(|t| if let Try::Approve { minutes, .. } = t { *minutes } else { u32::MAX });
        let uses = of(|t| if let Try::Approve { uses, .. } = t { *uses } else { u32::MAX });
        let on = all.iter().map(|(_, t)| match t {
            Try::Approve { scope, .. } => scopes()[*scope].clone(),
            _ => unreachable!(),
        });
        Some((self.done[enough].0 + i64::from(minutes) * MINUTE_MS, uses, on.collect()))
    }

    fn uses(&self) -> u32 {
        u32::try_from(self.done.iter().filter(|(_, t)| matches!(t, Try::Use)).count()).unwrap()
    }

    /// Whether the operator may act at `now`, in the words of the rules.
    fn may_act(&self, now: i64) -> bool {
        let Some((until, uses, _)) = self.given() else { return false };
        now < until && self.uses() < uses && self.is_open()
    }

    /// Whether nobody said no, and whoever must confirm did.
    fn is_open(&self) -> bool {
        let ended = self.has(|t| {
            matches!(t, Try::Confirm(false) | Try::Deny | Try::Withdraw | Try::Revoke | Try::CloseTicket)
                || matches!(t, Try::DisableOperator)
        });
        // What came of a right ends with it.
        let with_right =
            self.stood().is_some_and(|s| self.done[s..].iter().any(|(_, t)| matches!(t, Try::EndRight)));
        !ended && !with_right && (!self.second_eye || self.has(|t| matches!(t, Try::Confirm(true))))
    }
}

fn walk(second_eye: bool, needed: u32, tries: &[Try]) {
    let mut life = Life {
        scope: scopes()[0].clone(),
        minutes: 5,
        uses_max: 3,
        lapses_at: Timestamp::from_ms(30 * MINUTE_MS),
        unconfirmed: second_eye,
        over: None,
        approvals: Vec::new(),
        given: None,
        taken_back: None,
        uses: 0,
        ticket_open: true,
        operator_active: true,
    };
    let mut right: Option<Stand> = None;
    let mut history = History { needed, second_eye, done: Vec::new() };
    let (mut clock, mut seen, mut was_over) = (0i64, 0i64, false);
    for t in tries {
        let step = match *t {
            Try::Pass(ms) => {
                clock += ms;
                seen = seen.max(clock);
                None
            }
            Try::Confirm(yes) => Some(Step::Confirm(yes)),
            Try::Deny => Some(Step::Deny),
            Try::Withdraw => Some(Step::Withdraw),
            Try::Revoke => Some(Step::Revoke),
            Try::Use => Some(Step::Use),
            Try::CloseTicket => {
                life.ticket_open = false;
                history.done.push((seen, *t));
                None
            }
            Try::DisableOperator => {
                life.operator_active = false;
                history.done.push((seen, *t));
                None
            }
            Try::SetRight { scope, minutes, uses, left, holds, named, code } => {
                let operator = Pseudonym::parse("emp-aaaaaaaaaaaaaaaa").unwrap();
                let other = Pseudonym::parse("emp-bbbbbbbbbbbbbbbb").unwrap();
                right = Some(Stand {
                    terms: Terms {
                        scope: scopes()[scope].clone(),
                        operators: vec![if named { operator.clone() } else { other }],
                        codes: vec![if code { Code::ResponseToAlert } else { Code::default() }],
                        minutes,
                        uses_max: uses,
                        day_uses_max: 10,
                        until: Timestamp::from_ms(seen + holds * MINUTE_MS),
                    },
                    operator,
                    code: Code::ResponseToAlert,
                    day_uses: 10 - left,
                    ended: false,
                });
                history.done.push((seen, *t));
                None
            }
            Try::EndRight => {
                // The room ends, with a right, what it opened.
                let came_of_it = history.stood().is_some();
                history.done.push((seen, *t));
                right.as_mut().into_iter().for_each(|r| r.ended = true);
                if came_of_it && life.taken_back.is_none() {
                    life.taken_back = Some(State::Revoked);
                }
                None
            }
            Try::Stand => right.clone().map(|stand| Step::Stand(Box::new(stand))),
            Try::Remove(person) => {
                // The room reads who still counts before each decision; what is given stays given.
                life.approvals.retain(|a| a.person != PERSONS[person]);
                history.done.push((seen, *t));
                None
            }
            Try::Approve { person, minutes, uses, scope } => {
                let (person, scope) = (PERSONS[person].to_owned(), scopes()[scope].clone());
                let approval = Approval { person, minutes, until: None, uses_max: uses, scope };
                Some(Step::Approve(approval, needed))
            }
        };
        // The room judges by the newest time in the log (`Request::moment`).
        let now = Timestamp::from_ms(seen);
        let before = life.clone();
        if let Some(step) = step {
            let stands = history.may_stand(seen);
            match life.clone().next(step, now) {
                Ok(next) => {
                    assert!(!matches!(t, Try::Stand) || stands, "a right opened it: {:?}", history.done);
                    if matches!(t, Try::Approve { .. }) {
                        // C6, C7: no yes after a no, nor after the end of the time to answer, nor a second time.
                        assert!(
                            seen < life.lapses_at.ms() && history.given().is_none(),
                            "{:?}",
                            history.done
                        );
                        assert!(history.is_open(), "{:?}", history.done);
                    }
                    life = next;
                    history.done.push((seen, *t));
                }
                Err(stop) => {
                    assert!(!matches!(t, Try::Stand) || !stands, "{stop:?}: {:?}", history.done);
                    let yes = matches!(t, Try::Use) && history.may_act(seen);
                    assert!(!yes, "a use that a grant covers was stopped: {stop:?}\n{:?}", history.done);
                }
            }
        }
        let state = life.state(now);
        assert_eq!(state == State::Live, history.may_act(seen), "{state:?} after {t:?}\n{:?}", history.done);
        // C4: never wider than what was asked, nor than any approval; never edited afterwards.
        if let Some(given) = &life.given {
            let (until, uses, on) = history.given().expect("given without approvals");
            assert_eq!((given.until.ms(), given.uses_max), (until, uses));
            assert!(given.scope.is_within(&life.scope) && on.iter().all(|s| given.scope.is_within(s)));
            assert!(before.given.is_none() || before.given == life.given, "a grant was edited");
            assert!(life.uses <= given.uses_max);
        }
        // C5: so many different persons.
        let mut persons: Vec<&str> = life.approvals.iter().map(|a| a.person.as_str()).collect();
        persons.sort_unstable();
        persons.dedup();
        assert_eq!(persons.len(), life.approvals.len(), "one person counts twice");
        let by_right = matches!(t, Try::Stand);
        assert!(
            before.given.is_some() || life.given.is_none() || persons.len() >= needed as usize || by_right
        );
        // C6, C7, C8: what has ended stays ended, and silence opens nothing.
        let over = !matches!(state, State::Confirming | State::Pending | State::Live);
        assert!(over || !was_over, "{state:?} after an end\n{:?}", history.done);
        was_over = over;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: WALKS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_opens_what_its_history_does_not(
        second_eye in prop_oneof![3 => Just(false), 1 => Just(true)],
        needed in 1..4u32,
        tries in proptest::collection::vec(try_it(), 1..24),
    ) {
        walk(second_eye, needed, &tries);
    }
}

fn key() -> impl Strategy<Value = String> {
    "[ab/]{0,4}".prop_map(|k| k.trim_start_matches('/').replace("//", "/"))
}

fn scope() -> impl Strategy<Value = Scope> {
    let bucket = prop_oneof![Just("invoices"), Just("other")].prop_map(|b| BucketName::parse(b).unwrap());
    (bucket, key(), any::<bool>()).prop_map(|(bucket, name, exact)| match ObjectKey::parse(&name) {
        Ok(key) if exact => Scope::object(bucket, key),
        _ => Scope::Prefix { bucket, prefix: name },
    })
}

proptest! {
    #[test]
    fn two_scopes_meet_in_what_both_cover(a in scope(), b in scope(), k in key(), other in any::<bool>()) {
        let bucket = BucketName::parse(if other { "other" } else { "invoices" }).unwrap();
        let meet = a.meet(&b);
        if let Ok(key) = ObjectKey::parse(&k) {
            let both = a.covers_object(&bucket, &key) && b.covers_object(&bucket, &key);
            prop_assert_eq!(meet.as_ref().is_some_and(|m| m.covers_object(&bucket, &key)), both);
        }
        if let Some(m) = meet {
            prop_assert!(m.is_within(&a) && m.is_within(&b));
            prop_assert_eq!(Some(m), b.meet(&a));
        }
    }
}

#[test]
fn the_limits_of_a_session_only_lose() {
    use super::super::Limits;
    let host = |s, e, d, u| Limits::Host { shell: s, exec: e, download: d, upload: u };
    let base = |roles: &[&str], read_only| Limits::Database {
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        read_only,
    };
    let on =
        |name: &str, limits| Scope::Target { target: bailee_types::TargetName::parse(name).unwrap(), limits };
    let asked = on("web", host(true, true, false, false));
    assert!(on("web", host(false, true, false, false)).is_within(&asked));
    for wider in [
        on("web", host(true, true, true, false)),
        on("db", host(true, true, false, false)),
        on("web", base(&["ro"], true)),
    ] {
        assert!(!wider.is_within(&asked), "{wider:?}");
    }
    assert_eq!(
        on("web", host(true, false, false, false)).meet(&on("web", host(false, true, false, false))),
        None
    );
    let asked = on("db", base(&["ro", "rw"], false));
    assert!(
        on("db", base(&["ro"], true)).is_within(&asked) && on("db", base(&["rw"], false)).is_within(&asked)
    );
    assert!(!on("db", base(&["admin"], true)).is_within(&asked));
    assert!(!on("db", base(&["ro"], false)).is_within(&on("db", base(&["ro"], true))));
}
