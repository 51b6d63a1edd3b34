//! Breaking glass (C9), on each engine: two people, metadata and sealed bytes, an hour at most, told, ended, reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_rooms::Failure;
use bailee_rooms::consent::Decision;
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::handling::{
    Acknowledge, AskGlass, GLASS_ACTS, Glass, GlassState, GlassStep, ListHandling, Verdict,
};
use bailee_rooms::identity::{CreateOperator, SetOperatorState, SignIn};
use bailee_rooms::notices::{Kind, MailAddress, SetNotifications, Target, Wanted};
use bailee_rooms::rekey::RewrapTenant;
use bailee_rooms::tickets::ListTickets;
use bailee_rooms::trail::{Act, ActEnd, ActFilter};
use bailee_rooms::vault::{GetBucket, GetTenantUsage, ListBuckets, ListObjects, Scrub, SetTenantQuota};
use bailee_testkit::{TestHouse, TestTenant, bucket, on_each_engine, origin};
use bailee_types::{HandlingId, OperatorId};

const BUCKET: &str = "acme-invoices";
const MINUTE_MS: i64 = 60_000;
const BREAK: GlassStep = GlassStep::Break;

struct Scene {
    t: TestHouse,
    acme: TestTenant,
    globex: TestTenant,
    bo: Caller,
    yu: Caller,
}

/// An operator who has just shown a second factor.
async fn fresh(t: &TestHouse, id: &str, role: &str) -> Caller {
    let who = OperatorId::parse(id).unwrap();
    let create = CreateOperator { id: who, roles: vec![role.into()], place: "CN".into() };
    let password = t.house.perform(t.house.system_caller("test"), create).await.unwrap();
    let token = t.house.sign_in(SignIn::Operator { id: id.into(), password }, origin()).await.unwrap();
    let now = t.house.now().ms();
    t.change(&format!("UPDATE web_session SET mfa_at_ms = {now} WHERE holder = 'operator/{id}'"));
    t.house.session(token.expose(), origin()).await.unwrap().unwrap().caller
}

impl Scene {
    async fn new(t: TestHouse) -> Self {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "pumps").await;
        let (bo, yu) = (fresh(&t, "op-bo", "stability").await, fresh(&t, "op-yu", "approver").await);
        Self { t, acme, globex, bo, yu }
    }

    async fn ask_as(&self, who: &Caller, of: &TestTenant, minutes: u32) -> Result<HandlingId, Failure> {
        let reason = "the region is down".into();
        let ask = AskGlass { tenant: of.id.clone(), incident: "INC-42".into(), reason, minutes };
        self.t.house.perform(who.clone(), ask).await.map(|(id, _)| id)
    }

    async fn ask(&self, minutes: u32) -> HandlingId {
        self.ask_as(&self.bo, &self.acme, minutes).await.unwrap()
    }

    async fn step(&self, who: &Caller, id: &HandlingId, step: GlassStep) -> Result<(), Failure> {
        self.t.house.step_glass(who.clone(), (&self.acme.id, id), step, "as we see it").await.map(drop)
    }

    async fn broken(&self, minutes: u32) -> HandlingId {
        let id = self.ask(minutes).await;
        self.step(&self.yu, &id, BREAK).await.unwrap();
        id
    }

    async fn glass(&self, id: &HandlingId) -> Glass {
        self.t.house.glass(&self.acme.id, id).await.unwrap()
    }

    async fn state(&self, id: &HandlingId) -> GlassState {
        self.glass(id).await.state(self.t.house.now())
    }

    async fn under(&self, who: &Caller, id: &HandlingId) -> Caller {
        self.t.house.under_glass(who.clone(), (&self.acme.id, id)).await.unwrap()
    }

    fn objects(&self) -> ListObjects {
        ListObjects {
            tenant: self.acme.id.clone(),
            bucket: bucket(BUCKET),
            prefix: String::new(),
            delimiter: String::new(),
            after: String::new(),
            entries_max: 10,
            ticket: None,
        }
    }

    fn scrub(&self) -> Scrub {
        Scrub { tenant: Some(self.acme.id.clone()), bucket: None, progress: Box::new(|_| {}) }
    }

    /// What happens to who looks at names under a glass.
    async fn look(&self, who: &Caller, id: &HandlingId) -> &'static str {
        let caller = self.under(who, id).await;
        self.t.house.perform(caller, self.objects()).await.map_or_else(|e| e.code(), |_| "ok")
    }

    async fn acts(&self, name: &str) -> Vec<Act> {
        let filter = ActFilter { event_name: Some(name.into()), ..ActFilter::default() };
        self.t.house.acts(&self.acme.id, &filter, None, 100).await.unwrap().acts
    }
}

#[test]
fn two_people_break_it_and_the_first_looks_at_what_is_no_content() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let (house, tenant) = (&s.t.house, s.acme.id.clone());
        let id = s.ask(30).await;
        assert_eq!(s.look(&s.bo, &id).await, "NoGlass", "asked for is not broken");
        let said = s.step(&s.bo, &id, BREAK).await.unwrap_err().to_string();
        assert!(said.contains("another person"), "{said}");
        s.step(&s.yu, &id, BREAK).await.unwrap();
        assert!(matches!(s.step(&s.yu, &id, BREAK).await, Err(Failure::Conflict(_))), "once");

        let bo = s.under(&s.bo, &id).await;
        house.perform(bo.clone(), ListBuckets { tenant: tenant.clone(), ticket: None }).await.unwrap();
        house
            .perform(bo.clone(), GetBucket { tenant: tenant.clone(), bucket: bucket(BUCKET) })
            .await
            .unwrap();
        assert_eq!(house.perform(bo.clone(), s.objects()).await.unwrap().entries.len(), 1);
        house.perform(bo.clone(), GetTenantUsage { tenant: tenant.clone() }).await.unwrap();
        assert_eq!(house.perform(bo.clone(), s.scrub()).await.unwrap().objects, 1);
        assert_eq!(s.glass(&id).await.acts.len(), GLASS_ACTS.len());
        // Not without naming it, not by the second, not of another tenant, not for anything else.
        assert!(house.perform(s.bo.clone(), s.objects()).await.is_err());
        assert_eq!(s.look(&s.yu, &id).await, "NoPermission.OperatorRole");
        let other = fresh(&s.t, "op-other", "stability").await;
        assert_eq!(s.look(&other, &id).await, "NoGlass");
        let theirs = ListBuckets { tenant: s.globex.id.clone(), ticket: None };
        assert_eq!(house.perform(bo.clone(), theirs).await.unwrap_err().code(), "NoGlass");
        let quota = SetTenantQuota { tenant: tenant.clone(), bytes_max: None };
        assert_eq!(house.perform(bo.clone(), quota).await.unwrap_err().code(), "NoGlass");
        let rewrap = RewrapTenant { tenant, bucket: None, covers: false, max: 1, progress: Box::new(|_| {}) };
        assert_eq!(house.perform(bo, rewrap).await.unwrap_err().code(), "NoGlass");

        for name in ["AskGlass", "BreakGlass", "ListObjects", "ScrubVault"] {
            let acts: Vec<_> = s.acts(name).await.into_iter().filter(|a| a.result() == "done").collect();
            let act = &acts[0];
            assert_eq!((acts.len(), act.event_type.as_str()), (1, "ALIYUN_INITIATED_SERVICE"), "{name}");
            assert_eq!(act.level, "WARNING", "{name}");
            assert!(act.event.contains("incident INC-42") && act.who.starts_with("emp-"), "{}", act.event);
            assert!(!act.event.contains("op-bo") && !act.outcome_event.contains("keyReleases"), "{name}");
        }
        let listed = &s.acts("ListObjects").await;
        assert!(listed.iter().any(|a| a.event.contains(&format!("\"glass\":\"{id}\""))));
    });
}

#[test]
fn it_opens_no_content_beside_whatever_grant() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let lin = s.t.operator("op-lin", "support", "CN").await;
        let ticket = s.acme.ticket(&s.t).await;
        let grant = s.acme.ask(&s.t, &lin, &ticket, (BUCKET, "a"), (30, 3)).await.unwrap();
        s.acme.decide(&s.t, &grant, Decision::Approve { minutes: 30, uses_max: 3 }).await.unwrap();
        let id = s.broken(30).await;
        let read = s.acme.read(&s.t, &s.under(&lin, &id).await, &ticket, (BUCKET, "a")).await;
        let said = read.err().unwrap();
        assert!(
            matches!(&said, Failure::Refused(r) if *r.kind() == RefusalKind::NoGlass(id.clone())),
            "{said}"
        );
        s.acme.read(&s.t, &lin, &ticket, (BUCKET, "a")).await.unwrap();
        // Even the owner, whom every door lets in: the key refuses whoever is under one.
        let root = s.under(&s.acme.root, &id).await;
        let said = s.acme.get(&s.t, &root, BUCKET, "a").await.err().unwrap().to_string();
        assert!(said.contains("the key refused") && said.contains(id.as_str()), "{said}");
    });
}

#[test]
fn who_may_not_does_not() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let stale = s.t.operator("op-stale", "stability", "CN").await;
        assert!(matches!(s.ask_as(&stale, &s.acme, 30).await, Err(Failure::FreshMfa)), "no second factor");
        let stale = s.t.operator("op-stale-yes", "approver", "CN").await;
        let support = fresh(&s.t, "op-lin", "support").await;
        for who in [&s.yu, &support, &s.acme.root, &s.globex.root, &s.t.house.system_caller("test")] {
            assert!(s.ask_as(who, &s.acme, 30).await.is_err(), "{} asks", who.name());
        }
        for minutes in [0, 61] {
            assert!(matches!(s.ask_as(&s.bo, &s.acme, minutes).await, Err(Failure::Invalid { .. })));
        }
        let id = s.ask(30).await;
        assert!(matches!(s.step(&stale, &id, BREAK).await, Err(Failure::FreshMfa)));
        for who in [&support, &s.acme.root, &s.globex.root, &s.t.house.system_caller("test")] {
            assert!(s.step(who, &id, BREAK).await.is_err(), "{} breaks", who.name());
        }
        for who in [&support, &s.globex.root] {
            assert!(s.step(who, &id, GlassStep::End).await.is_err(), "{} ends", who.name());
        }
        assert!(s.step(&s.acme.root, &id, GlassStep::Review(Verdict::Accepted)).await.is_err(), "not yet");
        // A second factor is shown within five minutes.
        s.t.clock.advance_ms(5 * MINUTE_MS);
        assert!(matches!(s.step(&s.yu, &id, BREAK).await, Err(Failure::FreshMfa)));
        // One at a time, and a few of an operator's.
        assert!(s.ask_as(&fresh(&s.t, "op-bo2", "stability").await, &s.acme, 5).await.is_err());
        let many = fresh(&s.t, "op-many", "stability").await;
        for alias in ["t-one", "t-two", "t-three"] {
            s.ask_as(&many, &s.t.tenant(alias).await, 5).await.unwrap();
        }
        let said = s.ask_as(&many, &s.globex, 5).await.unwrap_err().to_string();
        assert!(said.contains("3 glasses"), "{said}");
        // What nobody breaks lapses.
        s.t.clock.advance_ms(55 * MINUTE_MS);
        assert_eq!(s.state(&id).await, GlassState::Lapsed);
        assert!(s.step(&fresh(&s.t, "op-late", "approver").await, &id, BREAK).await.is_err());
        s.ask_as(&fresh(&s.t, "op-next", "stability").await, &s.acme, 5).await.unwrap();
    });
}

#[test]
fn what_is_over_stays_over() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        // By time; a clock that goes back brings nothing back.
        let id = s.broken(4).await;
        s.t.clock.advance_ms(4 * MINUTE_MS - 1);
        assert_eq!(s.look(&s.bo, &id).await, "ok");
        s.t.clock.advance_ms(1);
        assert_eq!(s.look(&s.bo, &id).await, "NoGlass");
        s.t.clock.advance_ms(-3 * MINUTE_MS);
        assert_eq!((s.look(&s.bo, &id).await, s.state(&id).await), ("NoGlass", GlassState::Expired));
        assert!(s.step(&s.acme.root, &id, GlassStep::End).await.is_err());
        let id = s.ask(4).await;
        let said = s.step(&s.yu, &id, BREAK).await.unwrap_err().to_string();
        assert!(said.contains("mend the clock"), "{said}");
        s.step(&s.bo, &id, GlassStep::End).await.unwrap();
        s.t.clock.advance_ms(3 * MINUTE_MS);
        // By the tenant, by an operator, at the machine.
        let machine = s.t.house.system_caller("test");
        for who in [&s.acme.root, &s.yu, &s.bo, &machine] {
            let id = s.broken(30).await;
            assert_eq!(s.look(&s.bo, &id).await, "ok");
            s.step(who, &id, GlassStep::End).await.unwrap();
            assert_eq!((s.look(&s.bo, &id).await, s.state(&id).await), ("NoGlass", GlassState::Ended));
            assert!(s.step(who, &id, GlassStep::End).await.is_err());
        }
        // With its operators: who comes back does not bring it back.
        for gone in ["op-yu", "op-bo"] {
            let id = s.broken(30).await;
            for active in [false, true] {
                let set = SetOperatorState { id: OperatorId::parse(gone).unwrap(), active };
                s.t.house.perform(machine.clone(), set).await.unwrap();
                assert_eq!((s.look(&s.bo, &id).await, s.state(&id).await), ("NoGlass", GlassState::Void));
            }
        }
        // With the record of one of the two acts.
        let id = s.broken(30).await;
        s.t.change("UPDATE access_intent SET result = 'unknown' WHERE event_name = 'BreakGlass'");
        assert_eq!((s.look(&s.bo, &id).await, s.state(&id).await), ("NoGlass", GlassState::Void));
    });
}

#[test]
fn of_two_at_once_one_breaks_it_and_after_an_end_nothing_is_done() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let li = fresh(&s.t, "op-li", "approver").await;
        for round in 0..10 {
            let id = s.ask(30).await;
            let (one, two) = tokio::join!(s.step(&s.yu, &id, BREAK), s.step(&li, &id, BREAK));
            assert!(one.is_ok() != two.is_ok(), "round {round}: {one:?} {two:?}");
            let bo = s.under(&s.bo, &id).await;
            let end = s.step(&s.acme.root, &id, GlassStep::End);
            let (ended, a, b, c) = tokio::join!(
                end,
                s.t.house.perform(bo.clone(), s.objects()),
                s.t.house.perform(bo.clone(), s.objects()),
                s.t.house.perform(bo.clone(), s.objects()),
            );
            ended.unwrap();
            let done = [a.is_ok(), b.is_ok(), c.is_ok()].iter().filter(|ok| **ok).count();
            let glass = s.glass(&id).await;
            assert_eq!(glass.acts.len(), done, "round {round}");
            let ends = s.acts("EndGlass").await;
            let end = ends.iter().map(|a| match &a.end {
                ActEnd::Ended { record, .. } => *record,
                _ => 0,
            });
            let end = end.max().unwrap();
            assert!(
                glass.acts.iter().all(|a| a.record < end),
                "round {round}: an act after the end's outcome"
            );
            assert_eq!(s.look(&s.bo, &id).await, "NoGlass");
        }
        // Two servers of one house.
        let other = s.t.second();
        let ask = |house: std::sync::Arc<bailee_rooms::House>, who: Caller| {
            let tenant = s.acme.id.clone();
            let (incident, reason) = ("INC-1".into(), "the region is down".into());
            async move { house.perform(who, AskGlass { tenant, incident, reason, minutes: 5 }).await }
        };
        let li = fresh(&s.t, "op-second", "stability").await;
        let (a, b) = tokio::join!(ask(s.t.house.clone(), s.bo.clone()), ask(other.house.clone(), li));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    });
}

#[test]
fn the_tenant_is_told_until_it_says_that_it_knows_and_reviews_it_once() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let target = Target::Mail(MailAddress::parse("ops@acme.example").unwrap());
        let targets = vec![Wanted { target, kinds: vec![Kind::Ticket] }];
        let set = SetNotifications { tenant: s.acme.id.clone(), targets };
        s.t.house.perform(s.acme.root.clone(), set).await.unwrap();
        let notices = |id: &HandlingId| s.t.change(&format!("DELETE FROM notice WHERE reference = '{id}'"));
        let id = s.ask(30).await;
        assert_eq!(notices(&id), 1);
        // Without the notice it is not broken.
        s.t.change("ALTER TABLE notice RENAME TO notice_gone");
        assert!(s.step(&s.yu, &id, BREAK).await.is_err());
        s.t.change("ALTER TABLE notice_gone RENAME TO notice");
        assert_eq!(s.state(&id).await, GlassState::Asked);
        s.step(&s.yu, &id, BREAK).await.unwrap();
        assert_eq!(notices(&id), 1);
        let to_see = async || s.t.house.to_acknowledge(&s.acme.id).await.unwrap().0;
        assert_eq!(to_see().await, std::slice::from_ref(&id));
        for _ in 0..2 {
            s.t.clock.advance_ms(6 * 60 * MINUTE_MS);
            let other = s.t.second();
            let (one, two) = tokio::join!(s.t.house.remind_tenants(), other.house.remind_tenants());
            assert_eq!(one.unwrap() + two.unwrap(), 1, "by one server");
            assert_eq!(notices(&id), 1);
        }
        let theirs = Acknowledge { tenant: s.globex.id.clone(), id: id.clone() };
        assert!(s.t.house.perform(s.globex.root.clone(), theirs).await.is_err());
        let acknowledge = Acknowledge { tenant: s.acme.id.clone(), id: id.clone() };
        assert!(s.t.house.perform(s.bo.clone(), acknowledge.clone()).await.is_err());
        s.t.house.perform(s.acme.root.clone(), acknowledge).await.unwrap();
        s.t.clock.advance_ms(6 * 60 * MINUTE_MS);
        assert_eq!((to_see().await.len(), s.t.house.remind_tenants().await.unwrap()), (0, 0));

        let review = async |note: &str, verdict| {
            let step = GlassStep::Review(verdict);
            s.t.house.step_glass(s.acme.root.clone(), (&s.acme.id, &id), step, note).await
        };
        assert!(matches!(review("", Verdict::Disputed).await, Err(Failure::Invalid { .. })), "say why");
        assert!(s.step(&s.bo, &id, GlassStep::Review(Verdict::Accepted)).await.is_err());
        let ticket = review("nothing was down", Verdict::Disputed).await.unwrap().unwrap();
        assert!(matches!(review("", Verdict::Accepted).await, Err(Failure::Conflict(_))), "once");
        let glass = s.glass(&id).await;
        let said = glass.review.unwrap();
        assert_eq!((said.verdict, said.ticket.as_ref()), (Verdict::Disputed, Some(&ticket)));
        let tickets = ListTickets {
            tenant: s.acme.id.clone(),
            filter: bailee_rooms::tickets::Filter::default(),
            before: None,
            tickets_max: 5,
        };
        let found = s.t.house.perform(s.acme.root.clone(), tickets).await.unwrap();
        assert!(found.tickets.iter().any(|t| t.id == ticket && t.title.contains(id.as_str())));
        let list = ListHandling { tenant: s.globex.id.clone(), limit: 9 };
        assert!(s.t.house.perform(s.globex.root.clone(), list).await.unwrap().glasses.is_empty());
        assert_eq!(s.t.house.all_handling(9).await.unwrap().glasses.len(), 1);
    });
}

/// The newest glass, as the walk tells of it.
struct Told {
    id: HandlingId,
    asker: Caller,
    asked_at: i64,
    broken_at: Option<i64>,
    minutes: i64,
    ended: bool,
    reviewed: bool,
}

impl Told {
    fn is_broken(&self, now: i64) -> bool {
        !self.ended && self.broken_at.is_some_and(|at| now < at + self.minutes * MINUTE_MS)
    }

    fn waits(&self, now: i64) -> bool {
        !self.ended && self.broken_at.is_none() && now < self.asked_at + 60 * MINUTE_MS
    }
}

/// A seeded walk of the whole house against a telling of it: who tried what, and what had to come of it.
#[test]
fn the_house_walks_as_its_history_allows() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        eprintln!("seed {seed:#x}");
        let mut dice = |n: i64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            i64::try_from(seed >> 1).unwrap() % n
        };
        let mut newest: Option<Told> = None;
        for step in 0..250 {
            let now = s.t.house.now().ms();
            match (dice(9), &mut newest) {
                (0, found) => {
                    let (minutes, who) =
                        (1 + dice(60), fresh(&s.t, &format!("op-a{step}"), "stability").await);
                    let asked = s.ask_as(&who, &s.acme, u32::try_from(minutes).unwrap()).await;
                    let free = found.as_ref().is_none_or(|g| !g.is_broken(now) && !g.waits(now));
                    assert_eq!(asked.is_ok(), free, "step {step}: {asked:?}");
                    if let Ok(id) = asked {
                        let (asker, asked_at, broken_at, ended, reviewed) = (who, now, None, false, false);
                        *found = Some(Told { id, asker, asked_at, broken_at, minutes, ended, reviewed });
                    }
                }
                (_, None) => {}
                (1, Some(g)) => {
                    let who = fresh(&s.t, &format!("op-b{step}"), "approver").await;
                    let done = s.step(&who, &g.id, BREAK).await;
                    assert_eq!(done.is_ok(), g.waits(now), "step {step}: {done:?}");
                    if done.is_ok() {
                        g.broken_at = Some(now);
                    }
                }
                (2, Some(g)) => {
                    let who = if dice(2) == 0 { &s.acme.root } else { &s.yu };
                    let done = s.step(who, &g.id, GlassStep::End).await;
                    assert_eq!(done.is_ok(), g.waits(now) || g.is_broken(now), "step {step}: {done:?}");
                    g.ended |= done.is_ok();
                }
                (3, Some(g)) => {
                    let done = s.step(&s.acme.root, &g.id, GlassStep::Review(Verdict::Accepted)).await;
                    let may = g.broken_at.is_some() && !g.is_broken(now) && !g.reviewed;
                    assert_eq!(done.is_ok(), may, "step {step}: {done:?}");
                    g.reviewed |= done.is_ok();
                }
                (4, Some(_)) => s.t.clock.advance_ms(dice(25) * MINUTE_MS),
                (_, Some(g)) => {
                    let looked = s.look(&g.asker, &g.id).await;
                    assert_eq!(looked == "ok", g.is_broken(now), "step {step}: {looked}");
                }
            }
        }
        let done = s.acts("ListObjects").await.iter().filter(|a| a.result() == "done").count();
        assert!(done > 5, "the walk went past everything: {done}");
    });
}
