//! What the provider does without a tenant's consent, on each engine: takedowns of public data, and stability work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_rooms::Failure;
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::handling::{
    Acknowledge, Answer, Covers, FileTakedown, ListHandling, Listed, NewChange, Order, State, Work, Worker,
};
use bailee_rooms::identity::{Can, WhoCan, Whom, Why};
use bailee_rooms::notices::{Kind, MailAddress, SetNotifications, Target, Wanted};
use bailee_rooms::rekey::RewrapTenant;
use bailee_rooms::trail::{Act, ActFilter};
use bailee_rooms::vault::{
    AccessAct, Acl, ApplyLifecycle, BucketPolicy, ChangeAccess, GetReplication, GetTenantUsage, ListObjects,
    ObjectAcl, Public, Repair, ReplicationRule, Rule, Scrub, SetLifecycle, SetObjectAcl, SetReplication,
    SetTenantQuota, SetVersioning, VersionOf, Versioning,
};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{Arn, ChangeId, HandlingId, TenantId, Timestamp};

const SITE: &str = "acme-site";
const DAY_MS: i64 = 86_400_000;

struct Scene {
    t: TestHouse,
    acme: TestTenant,
    globex: TestTenant,
    hua: Caller,
    yu: Caller,
}

impl Scene {
    /// A public site with a private object, and who may take it down.
    async fn new(t: TestHouse) -> Self {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, SITE).await;
        for name in ["a", "news/1", "news/2", "kept"] {
            acme.put(&t, SITE, name, name.to_owned()).await;
        }
        let hua = t.operator("op-hua", "compliance", "CN").await;
        let yu = t.operator("op-yu", "approver", "CN").await;
        let s = Self { t, acme, globex, hua, yu };
        s.change(AccessAct::Public(Public { acl: true, policy: true })).await;
        s.change(AccessAct::Acl(Acl::PublicRead)).await;
        s.acl("kept", ObjectAcl::Private).await;
        s
    }

    async fn change(&self, act: AccessAct) {
        let op = ChangeAccess { tenant: self.acme.id.clone(), bucket: bucket(SITE), act };
        self.t.house.perform(self.acme.root.clone(), op).await.unwrap();
    }

    async fn acl(&self, name: &str, acl: ObjectAcl) {
        let of =
            VersionOf { tenant: self.acme.id.clone(), bucket: bucket(SITE), key: key(name), which: None };
        self.t.house.perform(self.acme.root.clone(), SetObjectAcl { of, acl }).await.unwrap();
    }

    fn filed(&self, what: &str) -> FileTakedown {
        FileTakedown {
            tenant: self.acme.id.clone(),
            bucket: bucket(SITE),
            covers: Covers::parse(what).unwrap(),
            order: order(),
            reason: "a court forbids it".into(),
            until: None,
        }
    }

    async fn file(&self, what: &str) -> Result<HandlingId, Failure> {
        self.t.house.perform(self.hua.clone(), self.filed(what)).await
    }

    async fn answer(&self, who: &Caller, id: &HandlingId, answer: Answer) -> Result<(), Failure> {
        self.t.house.answer_takedown(who.clone(), (&self.acme.id, id), answer, "as the order says").await
    }

    async fn take_down(&self, what: &str) -> HandlingId {
        let id = self.file(what).await.unwrap();
        self.answer(&self.yu, &id, Answer::Confirm).await.unwrap();
        id
    }

    /// What happens to who reads: `ok`, or the code of the refusal.
    async fn read(&self, who: &Caller, name: &str) -> &'static str {
        match self.acme.get(&self.t, who, SITE, name).await {
            Ok(_) => "ok",
            Err(e) => e.code(),
        }
    }

    async fn list(&self, who: &Caller) -> &'static str {
        let list = ListObjects {
            tenant: self.acme.id.clone(),
            bucket: bucket(SITE),
            prefix: String::new(),
            delimiter: String::new(),
            after: String::new(),
            entries_max: 10,
            ticket: None,
        };
        self.t.house.perform(who.clone(), list).await.map_or_else(|e| e.code(), |_| "ok")
    }

    async fn seen(&self, of: &TestTenant) -> Listed {
        let list = ListHandling { tenant: of.id.clone(), limit: 100 };
        self.t.house.perform(of.root.clone(), list).await.unwrap()
    }

    async fn acts(&self, name: &str) -> Vec<Act> {
        let filter = ActFilter { event_name: Some(name.into()), ..ActFilter::default() };
        self.t.house.acts(&self.acme.id, &filter, None, 100).await.unwrap().acts
    }

    /// Notices that wait to be said of an act.
    fn notices(&self, reference: &str) -> u64 {
        self.t.change(&format!(
            "UPDATE notice SET lease_by = '' WHERE kind = 'alert' AND reference = '{reference}'"
        ))
    }
}

fn order() -> Order {
    Order {
        authority: "Hangzhou Internet Court".into(),
        document: "(2026) 0192-17".into(),
        dated: "2026-11-20".into(),
        presigned: false,
    }
}

fn nobody() -> Caller {
    Caller::anonymous(origin())
}

#[test]
fn a_takedown_needs_two_and_blocks_the_public_alone() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let id = s.file("a").await.unwrap();
        assert_eq!(s.read(&nobody(), "a").await, "ok", "filed is not done");
        let same = s.answer(&s.hua, &id, Answer::Confirm).await.unwrap_err().to_string();
        assert!(same.contains("another person"), "{same}");
        assert!(s.answer(&s.hua, &id, Answer::Lift).await.is_err(), "what does not hold is not lifted");
        s.answer(&s.yu, &id, Answer::Confirm).await.unwrap();
        assert!(matches!(s.answer(&s.yu, &id, Answer::Confirm).await, Err(Failure::Conflict(_))), "once");

        for who in [nobody(), s.globex.root.clone()] {
            assert_eq!(s.read(&who, "a").await, "UnavailableForLegalReasons");
            assert_eq!(s.read(&who, "news/1").await, "ok", "what it does not name");
            assert_eq!(s.list(&who).await, "ok");
        }
        assert_eq!(s.read(&s.acme.root, "a").await, "ok", "its own people read on");
        assert_eq!(
            s.read(&s.acme.root.clone().by_link(true), "a").await,
            "ok",
            "also by an address they signed"
        );
        // Whom the tenant names is not the public.
        let named = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Principal":["{}"],"Resource":"*"}}]}}"#,
            s.globex.id
        );
        s.change(AccessAct::Policy(Some(BucketPolicy::parse(named).unwrap()))).await;
        assert_eq!(s.read(&s.globex.root, "a").await, "ok");
        assert_eq!(s.read(&nobody(), "a").await, "UnavailableForLegalReasons");
        // A new content under the name is the same name; a private object says what it says without a takedown.
        s.acme.put(&s.t, SITE, "a", "again").await;
        assert_eq!(s.read(&nobody(), "a").await, "UnavailableForLegalReasons");
        s.change(AccessAct::Acl(Acl::Private)).await;
        s.change(AccessAct::Public(Public::default())).await;
        assert_eq!(s.read(&nobody(), "a").await, s.read(&nobody(), "kept").await, "closed by its owner");
        s.change(AccessAct::Public(Public { acl: true, policy: true })).await;
        s.change(AccessAct::Acl(Acl::PublicRead)).await;

        // Another server believes the same.
        let other = Scene {
            t: s.t.second(),
            acme: s.acme.clone(),
            globex: s.globex.clone(),
            hua: s.hua.clone(),
            yu: s.yu.clone(),
        };
        assert_eq!(other.read(&nobody(), "a").await, "UnavailableForLegalReasons");
        s.answer(&s.hua, &id, Answer::Lift).await.unwrap();
        s.t.clock.advance_ms(10_000);
        assert_eq!((s.read(&nobody(), "a").await, other.read(&nobody(), "a").await), ("ok", "ok"));

        let seen = s.seen(&s.acme).await.takedowns;
        assert_eq!(seen.len(), 1);
        let acts: Vec<_> = seen[0].steps.iter().map(|step| step.act.as_str()).collect();
        assert_eq!(acts, ["file", "confirm", "lift"]);
        assert_eq!(seen[0].state(s.t.house.now()), State::Lifted);
        assert!(s.seen(&s.globex).await.takedowns.is_empty());
    });
}

#[test]
fn each_step_is_in_the_tenants_log_with_its_reference_and_both_people() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let id = s.take_down("news/*").await;
        s.answer(&s.hua, &id, Answer::Lift).await.unwrap();
        let of = |name| s.acts(name);
        let number = |operator: &str| {
            s.t.house.pseudonym(&s.acme.id, &bailee_types::OperatorId::parse(operator).unwrap()).to_string()
        };
        for (name, who, others) in [
            ("FileTakedown", "op-hua", &[][..]),
            ("ConfirmTakedown", "op-yu", &["op-hua"]),
            ("LiftTakedown", "op-hua", &["op-yu"]),
        ] {
            let acts = of(name).await;
            assert_eq!(acts.len(), 1, "{name}");
            let act = &acts[0];
            assert_eq!(
                (act.event_type.as_str(), act.level.as_str()),
                ("ALIYUN_INITIATED_PENALTY", "WARNING")
            );
            assert_eq!((act.who.as_str(), act.result()), (number(who).as_str(), "done"));
            for text in ["legal reference Hangzhou Internet Court, (2026) 0192-17, 2026-11-20", "news/"] {
                assert!(act.event.contains(text), "{name}: {}", act.event);
            }
            assert!(others.iter().all(|o| act.event.contains(&number(o))), "{name}: {}", act.event);
            assert!(
                !act.event.contains("op-") && !act.outcome_event.contains("keyReleases"),
                "{}",
                act.event
            );
        }
    });
}

#[test]
fn what_is_not_public_is_not_taken_down() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let refused = async |what: &str| match s.file(what).await {
            Err(Failure::Conflict(text)) => text,
            other => panic!("{what}: {other:?}"),
        };
        // The same of what is private, what is not there, and what is another's.
        let private = refused("kept").await;
        assert_eq!(private, refused("no-such").await);
        let theirs = FileTakedown { tenant: s.globex.id.clone(), ..s.filed("a") };
        let said = s.t.house.perform(s.hua.clone(), theirs).await.unwrap_err();
        assert_eq!(said.to_string(), private);
        let nowhere = FileTakedown { bucket: bucket("no-such-bucket"), ..s.filed("") };
        assert_eq!(s.t.house.perform(s.hua.clone(), nowhere).await.unwrap_err().to_string(), private);

        // Private between filing and confirming.
        let (a, news, all) =
            (s.file("a").await.unwrap(), s.file("news/*").await.unwrap(), s.file("").await.unwrap());
        s.acl("a", ObjectAcl::Private).await;
        assert_eq!(s.answer(&s.yu, &a, Answer::Confirm).await.unwrap_err().to_string(), private);
        s.change(AccessAct::Acl(Acl::Private)).await;
        assert!(s.answer(&s.yu, &news, Answer::Confirm).await.is_err());
        s.change(AccessAct::Public(Public::default())).await;
        assert!(s.answer(&s.yu, &all, Answer::Confirm).await.is_err());
        assert!(s.seen(&s.acme).await.takedowns.iter().all(|k| k.state(s.t.house.now()) == State::Filed));

        // What its own ACL opens is public by itself, and no prefix is.
        s.change(AccessAct::Public(Public { acl: true, policy: false })).await;
        s.acl("news/1", ObjectAcl::PublicRead).await;
        refused("news/*").await;
        s.take_down("news/1").await;
        assert_eq!(s.read(&nobody(), "news/1").await, "UnavailableForLegalReasons");
        assert_eq!(s.read(&s.acme.root, "news/1").await, "ok");
        // A whole bucket may be taken down as long as anything of it may be public.
        s.answer(&s.yu, &all, Answer::Confirm).await.unwrap();
        s.change(AccessAct::Acl(Acl::PublicRead)).await;
        assert_eq!(s.list(&nobody()).await, "UnavailableForLegalReasons");
        assert_eq!((s.list(&s.acme.root).await, s.read(&s.acme.root, "a").await), ("ok", "ok"));
    });
}

#[test]
fn who_may_not_does_not() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let lin = s.t.operator("op-lin", "support", "CN").await;
        let id = s.file("a").await.unwrap();
        for (who, op) in [
            (&s.yu, "an approver"),
            (&lin, "support"),
            (&s.acme.root, "the tenant"),
            (&s.globex.root, "another"),
        ] {
            assert!(s.t.house.perform(who.clone(), s.filed("a")).await.is_err(), "{op} files");
        }
        for who in [&lin, &s.acme.root, &s.globex.root, &nobody()] {
            for answer in [Answer::Confirm, Answer::Decline, Answer::Lift] {
                assert!(s.answer(who, &id, answer).await.is_err(), "{}: {answer:?}", who.name());
            }
        }
        assert!(s.answer(&s.t.house.system_caller("test"), &id, Answer::Confirm).await.is_err(), "a worker");
        let theirs = Acknowledge { tenant: s.acme.id.clone(), id: id.clone() };
        for who in [&s.globex.root, &s.hua, &s.t.house.system_caller("test")] {
            assert!(s.t.house.perform(who.clone(), theirs.clone()).await.is_err());
        }
        for wrong in [
            FileTakedown { reason: "no".into(), ..s.filed("a") },
            FileTakedown { order: Order { dated: "2026-13-01".into(), ..order() }, ..s.filed("a") },
            FileTakedown { order: Order { document: " ".into(), ..order() }, ..s.filed("a") },
            FileTakedown { order: Order { authority: "x\ny".into(), ..order() }, ..s.filed("a") },
            FileTakedown { until: Some(s.t.house.now()), ..s.filed("a") },
        ] {
            assert!(matches!(s.t.house.perform(s.hua.clone(), wrong).await, Err(Failure::Invalid { .. })));
        }
        s.answer(&s.yu, &id, Answer::Decline).await.unwrap();
        assert!(s.answer(&s.yu, &id, Answer::Confirm).await.is_err(), "a no is a no");
        assert_eq!(s.read(&nobody(), "a").await, "ok");
        // What nobody confirms lapses.
        let id = s.file("a").await.unwrap();
        s.t.clock.advance_ms(14 * DAY_MS);
        assert!(s.answer(&s.yu, &id, Answer::Confirm).await.unwrap_err().to_string().contains("lapsed"));
    });
}

#[test]
fn an_end_ends_it_and_an_order_may_name_signed_addresses() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let until = Some(s.t.house.now().plus_ms(DAY_MS));
        let op = FileTakedown { until, order: Order { presigned: true, ..order() }, ..s.filed("a") };
        let id = s.t.house.perform(s.hua.clone(), op).await.unwrap();
        s.answer(&s.yu, &id, Answer::Confirm).await.unwrap();
        let link = s.acme.root.clone().by_link(true);
        assert_eq!(s.read(&link, "a").await, "UnavailableForLegalReasons");
        assert_eq!((s.read(&link, "news/1").await, s.read(&s.acme.root, "a").await), ("ok", "ok"));
        s.t.clock.advance_ms(DAY_MS);
        assert_eq!((s.read(&link, "a").await, s.read(&nobody(), "a").await), ("ok", "ok"));
        assert_eq!(s.seen(&s.acme).await.takedowns[0].state(s.t.house.now()), State::Ended);
    });
}

#[test]
fn of_two_who_answer_at_once_one_decides() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let li = s.t.operator("op-li", "approver", "CN").await;
        for round in 0..10 {
            let id = s.file("a").await.unwrap();
            let (yes, no) =
                tokio::join!(s.answer(&s.yu, &id, Answer::Confirm), s.answer(&li, &id, Answer::Decline));
            assert!(yes.is_ok() != no.is_ok(), "round {round}: {yes:?} {no:?}");
            let blocked = s.read(&nobody(), "a").await != "ok";
            assert_eq!(blocked, yes.is_ok(), "round {round}");
            if yes.is_ok() {
                s.answer(&s.hua, &id, Answer::Lift).await.unwrap();
            }
        }
    });
}

async fn hears(s: &Scene, of: &TestTenant, kinds: Vec<Kind>) {
    let target = Target::Mail(MailAddress::parse("ops@acme.example").unwrap());
    let set = SetNotifications { tenant: of.id.clone(), targets: vec![Wanted { target, kinds }] };
    s.t.house.perform(of.root.clone(), set).await.unwrap();
}

#[test]
fn the_tenant_is_told_at_each_step_and_daily_until_it_says_that_it_knows() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        // Also who wants to hear of tickets alone.
        hears(&s, &s.acme, vec![Kind::Ticket]).await;
        hears(&s, &s.globex, Kind::ALL.to_vec()).await;
        let id = s.file("a").await.unwrap();
        assert_eq!(s.notices(id.as_str()), 1);
        let clear = || s.t.change("DELETE FROM notice");
        clear();
        assert_eq!(s.t.house.remind_tenants().await.unwrap(), 0);
        s.t.clock.advance_ms(DAY_MS);
        let other = s.t.second();
        let (one, two) = tokio::join!(s.t.house.remind_tenants(), other.house.remind_tenants());
        assert_eq!(one.unwrap() + two.unwrap(), 1, "by one server");
        assert_eq!((s.notices(id.as_str()), clear()), (1, 1));

        let to_see = async || s.t.house.to_acknowledge(&s.acme.id).await.unwrap().1;
        assert_eq!(to_see().await, std::slice::from_ref(&id));
        let acknowledge = Acknowledge { tenant: s.acme.id.clone(), id: id.clone() };
        s.t.house.perform(s.acme.root.clone(), acknowledge.clone()).await.unwrap();
        s.t.house.perform(s.acme.root.clone(), acknowledge.clone()).await.unwrap();
        assert!(
            to_see().await.is_empty() && s.t.house.to_acknowledge(&s.globex.id).await.unwrap().1.is_empty()
        );
        s.t.clock.advance_ms(DAY_MS);
        assert_eq!(s.t.house.remind_tenants().await.unwrap(), 0);
        // The next step is news again.
        s.answer(&s.yu, &id, Answer::Confirm).await.unwrap();
        assert_eq!((to_see().await.len(), s.notices(id.as_str())), (1, 1));
        let steps = &s.seen(&s.acme).await.takedowns[0].steps;
        let who: Vec<_> = steps.iter().map(|step| (step.act.as_str(), step.operator.is_some())).collect();
        assert_eq!(who, [("file", true), ("acknowledge", false), ("confirm", true)]);
        assert_eq!(s.acts("AcknowledgeHandling").await.len(), 2);
    });
}

#[test]
fn without_the_notice_nothing_is_done() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        hears(&s, &s.acme, vec![Kind::Alert]).await;
        let id = s.file("a").await.unwrap();
        s.t.change("ALTER TABLE notice RENAME TO notice_gone");
        assert!(s.answer(&s.yu, &id, Answer::Confirm).await.is_err());
        assert!(s.file("news/1").await.is_err());
        assert_eq!(s.read(&nobody(), "a").await, "ok");
        let seen = s.seen(&s.acme).await.takedowns;
        assert_eq!((seen.len(), seen[0].steps.len()), (1, 1));
        assert_eq!(seen[0].state(s.t.house.now()), State::Filed);
        s.t.change("ALTER TABLE notice_gone RENAME TO notice");
        s.answer(&s.yu, &id, Answer::Confirm).await.unwrap();
        assert_eq!(s.read(&nobody(), "a").await, "UnavailableForLegalReasons");
    });
}

fn change(tenant: &TenantId, id: &str, work: Work, planned_at: Timestamp) -> NewChange {
    let id = ChangeId::parse(id).unwrap();
    NewChange { tenant: tenant.clone(), id, work, reason: "disks are replaced".into(), planned_at }
}

#[test]
fn stability_work_is_announced_runs_under_its_change_and_opens_nothing() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        hears(&s, &s.acme, vec![Kind::Alert]).await;
        let (house, acme, now) = (&s.t.house, &s.acme.id, s.t.house.now());
        let bo = s.t.operator("op-bo", "stability", "CN").await;
        let run = async |who: &Caller, id: &str| {
            house.run_change(who.clone(), acme, &ChangeId::parse(id).unwrap()).await
        };
        let new = change(acme, "CHG-1", Work::Quota(Some(1_000_000)), now.plus_ms(60_000));
        for who in [&s.hua, &s.acme.root] {
            assert!(house.announce_change(who.clone(), new.clone()).await.is_err());
        }
        house.announce_change(bo.clone(), new.clone()).await.unwrap();
        assert!(house.announce_change(bo.clone(), new).await.unwrap_err().to_string().contains("already"));
        assert_eq!(s.notices("CHG-1"), 1);
        assert!(run(&bo, "CHG-1").await.unwrap_err().to_string().contains("planned"), "not before its time");
        assert!(matches!(run(&bo, "CHG-2").await, Err(Failure::NotFound { .. })));
        s.t.clock.advance_ms(60_000);
        assert!(matches!(run(&s.hua, "CHG-1").await, Err(Failure::Refused(_))));
        run(&bo, "CHG-1").await.unwrap();
        assert!(run(&bo, "CHG-1").await.unwrap_err().to_string().contains("done"), "once");
        let usage =
            house.perform(s.acme.root.clone(), GetTenantUsage { tenant: acme.clone() }).await.unwrap();
        assert_eq!(usage.0, Some(1_000_000));

        // Without a change, under another's, after its time, or for other work there is no way.
        let quota = || SetTenantQuota { tenant: acme.clone(), bytes_max: None };
        let under = |id: &str| bo.clone().under_change(Some(ChangeId::parse(id).unwrap()));
        house
            .announce_change(bo.clone(), change(acme, "CHG-3", Work::Scrub(bucket(SITE)), now))
            .await
            .unwrap();
        house
            .announce_change(bo.clone(), change(&s.globex.id, "CHG-4", Work::Quota(None), now))
            .await
            .unwrap();
        for who in [bo.clone(), under("CHG-1"), under("CHG-3"), under("CHG-4"), under("CHG-9")] {
            let said = house.perform(who, quota()).await.unwrap_err();
            assert!(matches!(&said, Failure::Refused(r) if *r.kind() == RefusalKind::NoTicket), "{said}");
        }
        let rewrap = RewrapTenant {
            tenant: acme.clone(),
            bucket: None,
            covers: false,
            max: 1,
            progress: Box::new(|_| {}),
        };
        assert!(house.perform(bo.clone(), rewrap).await.is_err());
        let said = run(&bo, "CHG-3").await.unwrap();
        assert!(said.contains("4 objects") && said.contains("0 damaged"), "{said}");
        house.announce_change(bo.clone(), change(acme, "CHG-5", Work::Rewrap(None), now)).await.unwrap();
        run(&bo, "CHG-5").await.unwrap();
        house.announce_change(bo.clone(), change(acme, "CHG-6", Work::Rewrap(None), now)).await.unwrap();
        s.t.clock.advance_ms(8 * DAY_MS);
        assert!(run(&bo, "CHG-6").await.unwrap_err().to_string().contains("over"));

        for (name, id) in [
            ("AnnounceChange", "CHG-1"),
            ("SetTenantQuota", "CHG-1"),
            ("ScrubVault", "CHG-3"),
            ("RewrapTenant", "CHG-5"),
        ] {
            let acts: Vec<_> = s
                .acts(name)
                .await
                .into_iter()
                .filter(|a| a.event.contains(id) && a.result() == "done")
                .collect();
            assert_eq!(acts.len(), 1, "{name}");
            let act = &acts[0];
            assert_eq!(act.event_type, "ALIYUN_INITIATED_SERVICE", "{name}");
            assert!(act.event.contains(&format!("\"EventDescription\":\"change {id}\"")), "{}", act.event);
            assert!(act.event.contains(&format!("\"change\":\"{id}\"")), "{}", act.event);
            assert!(!act.outcome_event.contains("keyReleases") && act.who.starts_with("emp-"), "{name}");
        }
        let seen = s.seen(&s.acme).await.changes;
        let words: Vec<_> = seen.iter().map(|c| (c.new.id.as_str(), c.word(house.now()))).collect();
        assert_eq!(words.len(), 4);
        assert!(words.contains(&("CHG-6", "over")) && words.contains(&("CHG-5", "done")), "{words:?}");
    });
}

#[test]
fn under_a_change_the_key_refuses_whoever_asks() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let id = Some(ChangeId::parse("CHG-1").unwrap());
        // Even the owner, whom every door lets in.
        let said = s.acme.get(&s.t, &s.acme.root.clone().under_change(id.clone()), SITE, "a").await;
        let said = said.err().unwrap().to_string();
        assert!(said.contains("the key refused") && said.contains("CHG-1"), "{said}");
        // An operator with a live grant, as soon as he works under a change.
        let lin = s.t.operator("op-lin", "support", "CN").await;
        let ticket = s.acme.ticket(&s.t).await;
        let grant = s.acme.ask(&s.t, &lin, &ticket, (SITE, "a"), (30, 3)).await.unwrap();
        let yes = bailee_rooms::consent::Decision::Approve { minutes: 30, uses_max: 3 };
        s.acme.decide(&s.t, &grant, yes).await.unwrap();
        assert!(s.acme.read(&s.t, &lin.clone().under_change(id), &ticket, (SITE, "a")).await.is_err());
        s.acme.read(&s.t, &lin, &ticket, (SITE, "a")).await.unwrap();
        // The machine's commands name a change, too, in the log of whose things they are about.
        let admin = s.t.house.system_caller("bailee vault scrub").under_change(ChangeId::parse("CHG-7").ok());
        let scrub = Scrub { tenant: Some(s.acme.id.clone()), bucket: None, progress: Box::new(|_| {}) };
        s.t.house.perform(admin, scrub).await.unwrap();
        let acts = s.acts("ScrubVault").await;
        assert!(acts.len() == 1 && acts[0].event.contains("change CHG-7"), "{acts:?}");
    });
}

#[test]
fn why_and_who_can_name_the_takedown() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let ask = async |who: &TestTenant, name: &str| {
            let resource = Arn::object(&s.acme.id, &bucket(SITE), &key(name));
            let why = Why {
                tenant: who.id.clone(),
                whom: Whom::Root,
                action: "oss:GetObject".into(),
                resource: resource.clone(),
                source_ip: None,
                mfa: false,
                conditions: Vec::new(),
            };
            let can = WhoCan { tenant: who.id.clone(), action: "oss:GetObject".into(), resource };
            let why = s.t.house.perform(who.root.clone(), why).await.unwrap();
            (why, s.t.house.perform(who.root.clone(), can).await.unwrap())
        };
        let everybody =
            |cans: &[Can]| cans.iter().find(|c| c.principal == "everybody").unwrap().only_if.clone();
        let (why, cans) = ask(&s.acme, "news/1").await;
        assert!(why.taken_down.is_none() && everybody(&cans).is_empty(), "{cans:?}");
        let id = s.take_down("news/*").await;
        let (why, cans) = ask(&s.acme, "news/1").await;
        let said = why.taken_down.unwrap();
        assert!(why.verdict == "allow" && said.contains(id.as_str()) && said.contains("451"), "{said}");
        assert!(everybody(&cans).iter().any(|w| w.contains(id.as_str()) && w.contains("451")), "{cans:?}");
        let root = cans.iter().find(|c| c.principal == "root").unwrap();
        assert!(root.unless.is_empty(), "the account's own people read on: {root:?}");
        let (why, cans) = ask(&s.acme, "a").await;
        assert!(why.taken_down.is_none() && everybody(&cans).is_empty(), "it is not about that");
        let (why, cans) = ask(&s.globex, "news/1").await;
        assert!(
            why.taken_down.is_none() && !format!("{cans:?}").contains(id.as_str()),
            "nobody else hears of the order"
        );
        s.answer(&s.hua, &id, Answer::Lift).await.unwrap();
        assert!(ask(&s.acme, "news/1").await.0.taken_down.is_none());

        let mut presigned = s.filed("news/*");
        presigned.order.presigned = true;
        let id = s.t.house.perform(s.hua.clone(), presigned).await.unwrap();
        s.answer(&s.yu, &id, Answer::Confirm).await.unwrap();
        let (why, cans) = ask(&s.acme, "news/1").await;
        assert!(why.taken_down.unwrap().contains("signed"));
        let root = cans.iter().find(|c| c.principal == "root").unwrap();
        assert!(root.unless.iter().any(|w| w.contains(id.as_str())), "{root:?}");
    });
}

/// The files of blobs, the smallest first.
fn blobs(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|sub| std::fs::read_dir(sub.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    all.sort_by_key(|file| file.metadata().unwrap().len());
    all
}

#[test]
fn a_repair_brings_back_what_was_stored_and_nothing_else() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let (house, acme, now) = (&s.t.house, &s.acme.id, s.t.house.now());
        let bodies = [vec![1_u8; 100_000], vec![2; 70_000], vec![3; 2_500_000]];
        for (n, body) in bodies.iter().enumerate() {
            s.acme.put(&s.t, SITE, &format!("large/{n}"), body.clone()).await;
        }
        let store = s.t.folder().join("blobs");
        let copy = tempfile::tempdir().unwrap();
        for n in 0..=255u8 {
            std::fs::create_dir(copy.path().join(format!("{n:02x}"))).unwrap();
        }
        let files = blobs(&store);
        assert_eq!(files.len(), 3);
        let there = |file: &std::path::Path| copy.path().join(file.strip_prefix(&store).unwrap());
        for file in &files {
            std::fs::copy(file, there(file)).unwrap();
        }
        let kept: Vec<_> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
        let flip = |file: &std::path::Path, at: usize| {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[at] ^= 1;
            std::fs::write(file, bytes).unwrap();
        };
        flip(&files[0], 60_000);
        std::fs::remove_file(&files[1]).unwrap();
        std::fs::write(&files[2], &kept[2][..1_000]).unwrap();

        let bo = s.t.operator("op-bo", "stability", "CN").await;
        let id = |id: &str| ChangeId::parse(id).unwrap();
        let from = |folder: &std::path::Path, dry_run: bool| Repair {
            tenant: acme.clone(),
            bucket: bucket(SITE),
            from: folder.into(),
            dry_run,
            progress: Box::new(|_| {}),
        };
        let admin = || house.system_caller("bailee vault repair");
        let repair = async |change: &str, dry_run: bool| {
            house.repair(admin(), &id(change), from(copy.path(), dry_run)).await
        };
        // Without a change, under one for another bucket or other work, before its time: nothing.
        assert!(house.perform(admin(), from(copy.path(), false)).await.is_err());
        for (change_id, work, at) in [
            ("CHG-1", Work::Scrub(bucket(SITE)), now),
            ("CHG-2", Work::Repair(bucket("another")), now),
            ("CHG-3", Work::Repair(bucket(SITE)), now.plus_ms(60_000)),
        ] {
            house.announce_change(bo.clone(), change(acme, change_id, work, at)).await.unwrap();
            assert!(matches!(repair(change_id, false).await, Err(Failure::Conflict(_))), "{change_id}");
        }
        assert!(!files[1].exists());
        s.t.clock.advance_ms(60_000);
        let said = house.run_change(bo.clone(), acme, &id("CHG-3")).await.unwrap_err().to_string();
        assert!(said.contains("bailee vault repair"), "{said}");
        for who in [&bo, &s.acme.root] {
            let who = who.clone().under_change(Some(id("CHG-3")));
            assert!(house.perform(who, from(copy.path(), false)).await.is_err(), "at the machine only");
        }
        let nowhere = house.repair(admin(), &id("CHG-3"), from(s.t.folder(), false)).await;
        assert!(nowhere.unwrap_err().to_string().contains("no folder of blobs"));

        // A source that differs is of no use, wherever it does; on a dry run nothing is written.
        flip(&there(&files[0]), 40);
        flip(&there(&files[2]), 2_000_000);
        let done = repair("CHG-3", true).await.unwrap();
        assert_eq!((done.damaged, done.repaired, done.left.len(), done.objects), (3, 1, 2, 7));
        assert!(!files[1].exists() && s.acts("RepairObject").await.is_empty());
        let done = repair("CHG-3", false).await.unwrap();
        assert_eq!((done.damaged, done.repaired, done.bytes), (3, 1, kept[1].len() as u64));
        assert!(done.left.iter().all(|d| d.what.contains("the source is of no use")), "{:?}", done.left);
        assert_eq!(std::fs::read(&files[2]).unwrap(), &kept[2][..1_000], "left as it was");
        let longer = [&kept[2][..], b"more"].concat();
        std::fs::write(there(&files[2]), longer).unwrap();
        std::fs::remove_file(there(&files[0])).unwrap();
        assert_eq!(repair("CHG-3", false).await.unwrap().repaired, 0, "what failed may be tried again");
        for (file, kept) in files.iter().zip(&kept) {
            std::fs::write(there(file), kept).unwrap();
        }
        let done = repair("CHG-3", false).await.unwrap();
        assert_eq!((done.damaged, done.repaired, done.left.len()), (2, 2, 0));
        assert_eq!(files.iter().map(|f| std::fs::read(f).unwrap()).collect::<Vec<_>>(), kept);
        assert_eq!(blobs(&store).len(), 3, "nothing half-written is left");
        for (n, body) in bodies.iter().enumerate() {
            let read = s.acme.get(&s.t, &s.acme.root, SITE, &format!("large/{n}")).await.unwrap();
            assert_eq!(read.first[..10], body[..10]);
        }
        assert!(repair("CHG-3", false).await.is_err(), "the change is done");

        let acts: Vec<_> =
            s.acts("RepairObject").await.into_iter().filter(|a| a.result() == "done").collect();
        assert_eq!(acts.len(), 3, "each object in the tenant's log");
        for act in &acts {
            assert_eq!(act.event_type, "ALIYUN_INITIATED_SERVICE");
            assert!(act.event.contains("CHG-3") && act.event.contains("large/"), "{}", act.event);
            assert!(!act.outcome_event.contains("keyReleases"));
        }
        let seen = s.seen(&s.acme).await.changes;
        let of = seen.iter().find(|c| c.new.id.as_str() == "CHG-3").unwrap();
        assert!(of.is_done() && of.ended.as_ref().unwrap().2.contains("2 of 2"), "{of:?}");
    });
}

#[test]
fn a_worker_stands_still_under_its_change_and_goes_on_with_its_end() {
    on_each_engine(async |t| {
        let s = Scene::new(t).await;
        let (house, acme) = (&s.t.house, &s.acme.id);
        s.acme.make_bucket(&s.t, "copies").await;
        for name in [SITE, "copies"] {
            let on =
                SetVersioning { tenant: acme.clone(), bucket: bucket(name), versioning: Versioning::Enabled };
            house.perform(s.acme.root.clone(), on).await.unwrap();
        }
        let rule = ReplicationRule { id: "r".into(), prefix: "d/".into(), to: bucket("copies"), on: true };
        let set = SetReplication { tenant: acme.clone(), bucket: bucket(SITE), rules: vec![rule] };
        house.perform(s.acme.root.clone(), set).await.unwrap();
        let rule =
            Rule { id: "l".into(), enabled: true, prefix: "old/".into(), days: Some(1), ..Rule::default() };
        let set = SetLifecycle { tenant: acme.clone(), bucket: bucket(SITE), rules: vec![rule] };
        house.perform(s.acme.root.clone(), set).await.unwrap();
        s.acme.put(&s.t, SITE, "old/1", "x").await;
        s.acme.put(&s.t, SITE, "d/1", "x").await;
        s.t.clock.advance_ms(3 * DAY_MS);

        let bo = s.t.operator("op-bo", "stability", "CN").await;
        let id = |id: &str| ChangeId::parse(id).unwrap();
        let run = async |who: &Caller, change: &str| house.run_change(who.clone(), acme, &id(change)).await;
        let state = async |change: &str| {
            let changes = s.seen(&s.acme).await.changes;
            changes.iter().find(|c| c.new.id.as_str() == change).unwrap().word(house.now())
        };
        let now = house.now();
        for (change_id, work) in [
            ("CHG-1", Work::Suspend(Worker::Replication, None)),
            ("CHG-2", Work::Suspend(Worker::Lifecycle, Some(bucket(SITE)))),
            ("CHG-3", Work::Suspend(Worker::Lifecycle, Some(bucket("copies")))),
        ] {
            house.announce_change(bo.clone(), change(acme, change_id, work, now)).await.unwrap();
            for who in [&s.hua, &s.acme.root] {
                assert!(run(who, change_id).await.is_err(), "an operator's whose it is");
            }
            run(&bo, change_id).await.unwrap();
            assert_eq!(state(change_id).await, "running");
        }
        house.replicate_due().await.unwrap();
        assert_eq!(house.apply_lifecycles().await.unwrap(), 0);
        let apply = || ApplyLifecycle { tenant: acme.clone(), bucket: bucket(SITE) };
        let said = house.perform(house.system_caller("test"), apply()).await.unwrap_err().to_string();
        assert!(said.contains("CHG-2") && said.contains("until"), "by hand neither: {said}");
        assert_eq!(s.read(&s.acme.root, "old/1").await, "ok");
        let copied = async || s.acme.get(&s.t, &s.acme.root, "copies", "d/1").await.is_ok();
        assert!(!copied().await);
        let get = GetReplication { tenant: acme.clone(), bucket: bucket(SITE) };
        let lag = house.perform(s.acme.root.clone(), get).await.unwrap().remove(0).1;
        assert!(lag.waiting == 1 && lag.why.unwrap().contains("CHG-1"), "the tenant sees why");

        // Run again, it goes on.
        run(&bo, "CHG-1").await.unwrap();
        assert_eq!(state("CHG-1").await, "done");
        assert!(run(&bo, "CHG-1").await.is_err(), "once");
        s.t.clock.advance_ms(60_000);
        house.replicate_due().await.unwrap();
        assert!(copied().await);
        // Nobody resumes it: it ends with the change.
        s.t.clock.advance_ms(7 * DAY_MS - 60_001);
        assert_eq!(house.apply_lifecycles().await.unwrap(), 0);
        s.t.clock.advance_ms(1);
        assert_eq!((state("CHG-2").await, house.apply_lifecycles().await.unwrap()), ("over", 1));
        for (name, count) in [("SuspendWorker", 3), ("ResumeWorker", 1)] {
            let acts: Vec<_> = s.acts(name).await.into_iter().filter(|a| a.result() == "done").collect();
            assert_eq!(acts.len(), count, "{name}");
            assert!(
                acts.iter()
                    .all(|a| a.event_type == "ALIYUN_INITIATED_SERVICE" && a.event.contains("suspend-"))
            );
        }
    });
}
