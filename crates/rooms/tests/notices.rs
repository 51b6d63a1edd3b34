//! Notices on each engine: who is told of what, that nothing of it is in them, and that none is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use bailee_rooms::closure::CloseAccount;
use bailee_rooms::consent::{Code, Scope, SetStandingRight, Terms};
use bailee_rooms::notices::{
    ADDRESSES_MAX, GetNotifications, Kind, Mail, MailAddress, Notifications, SetNotifications, Target, Wanted,
};
use bailee_rooms::outside::{Answer, Outside, Post};
use bailee_rooms::rekey::RotateTenantKey;
use bailee_rooms::tickets::{AttachToTicket, OpenTicket, ReplyTicket};
use bailee_rooms::trail::ActFilter;
use bailee_rooms::vault::NewPaper;
use bailee_rooms::{Failure, MailConfig};
use bailee_testkit::{Engine, TestHouse, TestTenant, bucket, engines, key, runtime};
use bailee_types::TenantId;
use bytes::Bytes;
use parking_lot::Mutex;

const OBJECT: (&str, &str) = ("acme-invoices", "1.pdf");

/// Takes mails and posts, unless it is told to fail.
#[derive(Default)]
struct World {
    mails: Mutex<Vec<Mail>>,
    posts: Mutex<Vec<Post>>,
    fails: Mutex<bool>,
    /// What happens while a mail is being taken.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[async_trait]
impl Outside for World {
    async fn get(&self, _address: &str) -> Result<Vec<u8>, String> {
        Err("no".into())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        Err("no".into())
    }

    async fn submit(&self, post: Post) -> Result<Answer, String> {
        let status = if *self.fails.lock() { 503 } else { 204 };
        self.posts.lock().push(post);
        Ok(Answer { status, body: Vec::new() })
    }

    async fn mail(&self, mail: Mail) -> Result<(), String> {
        if *self.fails.lock() {
            return Err("421 later\r\nplease".into());
        }
        let meanwhile = self.meanwhile.lock().take();
        if let Some(meanwhile) = meanwhile {
            std::thread::spawn(meanwhile).join().unwrap();
        }
        self.mails.lock().push(mail);
        Ok(())
    }
}

impl World {
    /// Who was told what since it was last asked.
    fn told(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self.mails.lock().drain(..).map(|m| (m.to.to_string(), m.subject)).collect();
        all.sort();
        all
    }
}

fn on_each<F: AsyncFn(TestHouse, Arc<World>)>(test: F) {
    for engine in engines() {
        let world = Arc::new(World::default());
        let team = Some(MailAddress::parse("team@kestrel.example").unwrap());
        let t = TestHouse::mailing(engine, Arc::clone(&world) as _, MailConfig { sends: true, team });
        runtime().block_on(test(t, world));
    }
}

fn mail(address: &str, kinds: &[Kind]) -> Wanted {
    Wanted { target: Target::Mail(MailAddress::parse(address).unwrap()), kinds: kinds.to_vec() }
}

async fn set(t: &TestHouse, of: &TestTenant, targets: Vec<Wanted>) -> Result<Option<String>, Failure> {
    let set = SetNotifications { tenant: of.id.clone(), targets };
    Ok(t.house.perform(of.root.clone(), set).await?.map(|s| s.expose().to_owned()))
}

async fn get(t: &TestHouse, of: &TestTenant) -> Notifications {
    t.house.perform(of.root.clone(), GetNotifications { tenant: of.id.clone() }).await.unwrap()
}

#[test]
fn each_side_is_told_of_the_others_and_of_nothing_in_it() {
    on_each(async |t, world| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let lin = t.operator("op-lin", "support", "CN").await;
        let wanted = vec![
            mail("ops@acme.example", &[Kind::Ticket, Kind::Consent]),
            mail("boss@acme.example", &[Kind::Consent]),
        ];
        assert_eq!(set(&t, &acme, wanted).await.unwrap(), None);
        set(&t, &globex, vec![mail("ops@globex.example", &Kind::ALL)]).await.unwrap();
        let text = Some("the left pump".to_owned());
        let open = OpenTicket { text, ..OpenTicket::titled(acme.id.clone(), "Pumps stand still") };
        let ticket = t.house.perform(acme.root.clone(), open).await.unwrap();
        // Opening with a first message is one notice.
        assert_eq!(t.house.say_notices().await.unwrap(), 1);
        assert!(world.mails.lock()[0].text.contains("/desk/tickets/T-1\n"));
        assert_eq!(
            world.told(),
            [("team@kestrel.example".into(), "Ticket T-1 has something new / 工单 T-1 有新内容".into())]
        );
        // Twice said before anybody was told: once told.
        for text in ["which one?", "hello?"] {
            let (tenant, ticket) = (acme.id.clone(), ticket.clone());
            t.house.perform(lin.clone(), ReplyTicket { tenant, ticket, text: text.into() }).await.unwrap();
        }
        t.house.say_notices().await.unwrap();
        for m in world.mails.lock().iter() {
            assert!(!format!("{m:?}{}", m.text).contains("Pumps") && !m.text.contains("which"), "{}", m.text);
            assert!(m.text.contains("/console/tickets/T-1\n") && m.text.contains("请登录"), "{}", m.text);
        }
        assert_eq!(world.told().iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), ["ops@acme.example"]);
        let paper = NewPaper::parse("a.pdf", Bytes::from_static(b"%PDF-1.7\n")).unwrap();
        let attach =
            AttachToTicket { tenant: acme.id.clone(), ticket: ticket.clone(), documents: vec![paper] };
        t.house.perform(lin.clone(), attach).await.unwrap();
        acme.make_bucket(&t, OBJECT.0).await;
        acme.put(&t, OBJECT.0, OBJECT.1, "48,000").await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 9)).await.unwrap();
        t.house.say_notices().await.unwrap();
        let told = world.told();
        let about: Vec<_> =
            told.iter().map(|(to, what)| (to.as_str(), what.contains(grant.as_str()))).collect();
        assert_eq!(
            about,
            [("boss@acme.example", true), ("ops@acme.example", true), ("ops@acme.example", false)]
        );
        // Nothing of what failed is told.
        let empty = ReplyTicket { tenant: acme.id.clone(), ticket: ticket.clone(), text: " ".into() };
        assert!(t.house.perform(lin.clone(), empty).await.is_err());
        assert_eq!((t.house.say_notices().await.unwrap(), world.told().len()), (0, 0));
        // The log says how many, and who asked; no address.
        let acts = t.house.acts(&acme.id, &ActFilter::default(), None, 100).await.unwrap().acts;
        assert!(acts.iter().any(|a| a.event_name == "SetNotifications"));
        assert!(!format!("{acts:?}").contains("@acme.example"));
    });
}

#[test]
fn a_notice_is_tried_again_until_it_is_said_or_three_days_old() {
    on_each(async |t, world| {
        let acme = t.tenant("acme").await;
        let hook =
            Wanted { target: Target::Webhook("https://chat.example/hook".into()), kinds: vec![Kind::Ticket] };
        let secret = set(&t, &acme, vec![mail("ops@acme.example", &[Kind::Ticket]), hook.clone()])
            .await
            .unwrap()
            .unwrap();
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let say = async |text: &str| {
            let (tenant, ticket) = (acme.id.clone(), ticket.clone());
            t.house.perform(lin.clone(), ReplyTicket { tenant, ticket, text: text.into() }).await.unwrap();
        };
        t.house.say_notices().await.unwrap();
        world.told();
        *world.fails.lock() = true;
        say("one").await;
        assert_eq!(t.house.say_notices().await.unwrap(), 0);
        assert_eq!(t.house.say_notices().await.unwrap(), 0);
        assert_eq!(world.posts.lock().len(), 1, "it rests after a failure");
        let failed = get(&t, &acme).await;
        let why: Vec<_> = failed.targets.iter().map(|h| h.failed.as_ref().unwrap().1.as_str()).collect();
        assert_eq!(why, ["421 laterplease", "the webhook answered with status 503"]);
        t.clock.advance_ms(5_000);
        *world.fails.lock() = false;
        assert_eq!(t.house.say_notices().await.unwrap(), 2);
        assert_eq!((t.house.say_notices().await.unwrap(), world.told().len()), (0, 1));
        let posts = std::mem::take(&mut *world.posts.lock());
        let header = |p: &Post, name: &str| p.headers.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        assert_eq!(
            header(&posts[0], "bailee-delivery"),
            header(&posts[1], "bailee-delivery"),
            "a repetition is known"
        );
        let last = posts.last().unwrap();
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signed = [header(last, "bailee-timestamp").as_bytes(), b".", &last.body].concat();
        let wanted = hex::encode(ring::hmac::sign(&mac, &signed));
        assert_eq!(header(last, "bailee-signature"), format!("v1={wanted}"));
        assert!(!last.trusted, "an address of a tenant");
        let body: serde_json::Value = serde_json::from_slice(&last.body).unwrap();
        assert_eq!(
            (body["kind"].as_str(), body["reference"].as_str()),
            (Some("ticket"), Some(ticket.as_str()))
        );
        assert!(get(&t, &acme).await.targets.iter().all(|h| h.failed.is_none()));
        // The same webhook keeps its secret, another has its own; what was to be said to one that is gone is said to nobody.
        assert_eq!(set(&t, &acme, vec![hook.clone()]).await.unwrap(), None);
        *world.fails.lock() = true;
        say("two").await;
        t.house.say_notices().await.unwrap();
        let other = Wanted {
            target: Target::Webhook("https://chat.example/other".into()),
            kinds: vec![Kind::Ticket],
        };
        assert_ne!(set(&t, &acme, vec![other]).await.unwrap().unwrap(), secret);
        world.posts.lock().clear();
        t.clock.advance_ms(3_600_000);
        t.house.say_notices().await.unwrap();
        assert!(world.posts.lock().is_empty());
        // Given up.
        say("three").await;
        for _ in 0..4 {
            t.clock.advance_ms(86_400_000);
            t.house.say_notices().await.unwrap();
        }
        *world.fails.lock() = false;
        t.clock.advance_ms(86_400_000);
        assert_eq!(t.house.say_notices().await.unwrap(), 0);
        assert!(get(&t, &acme).await.targets[0].failed.is_some());
    });
}

#[test]
fn what_happens_while_a_notice_is_said_is_said_once_more() {
    on_each(async |t, world| {
        let acme = t.tenant("acme").await;
        set(&t, &acme, vec![mail("ops@acme.example", &[Kind::Ticket])]).await.unwrap();
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        t.house.say_notices().await.unwrap();
        world.told();
        let reply = move |text: &str| ReplyTicket {
            tenant: acme.id.clone(),
            ticket: ticket.clone(),
            text: text.into(),
        };
        t.house.perform(lin.clone(), reply("one")).await.unwrap();
        let (house, who, more) = (Arc::clone(&t.house), lin.clone(), reply("two"));
        *world.meanwhile.lock() = Some(Box::new(move || {
            runtime().block_on(async { house.perform(who, more).await.unwrap() });
        }));
        assert_eq!(t.house.say_notices().await.unwrap(), 1);
        assert_eq!(t.house.say_notices().await.unwrap(), 1);
        assert_eq!(t.house.say_notices().await.unwrap(), 0);
        let ids: Vec<_> = world.mails.lock().iter().map(|m| m.id.clone()).collect();
        assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
        // Two processes: one of them says it.
        world.told();
        t.house.perform(lin.clone(), reply("three")).await.unwrap();
        let second = t.second();
        let (a, b) = tokio::join!(t.house.say_notices(), second.house.say_notices());
        assert_eq!((a.unwrap() + b.unwrap(), world.told().len()), (1, 1));
    });
}

#[test]
fn addresses_are_limited_lie_sealed_and_go_with_the_account() {
    on_each(async |t, _world| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let many = |n: usize| {
            (0..n).map(|i| mail(&format!("a{i}@acme.example"), &[Kind::Alert])).collect::<Vec<_>>()
        };
        assert!(matches!(set(&t, &acme, many(ADDRESSES_MAX + 1)).await, Err(Failure::Invalid { .. })));
        let twice = vec![mail("a@acme.example", &Kind::ALL), mail("a@ACME.example", &[Kind::Alert])];
        assert!(matches!(set(&t, &acme, twice).await, Err(Failure::Invalid { .. })));
        assert!(matches!(
            set(&t, &acme, vec![mail("a@acme.example", &[])]).await,
            Err(Failure::Invalid { .. })
        ));
        for bad in ["ftp://x.example", "https://u@x.example/", "https://x.example/\r\nA: b", "https://", "x"]
        {
            let hook = Wanted { target: Target::Webhook(bad.into()), kinds: Kind::ALL.to_vec() };
            assert!(matches!(set(&t, &acme, vec![hook]).await, Err(Failure::Invalid { .. })), "{bad:?}");
        }
        let hooks = ["https://a.example", "https://b.example"]
            .map(|a| Wanted { target: Target::Webhook(a.into()), kinds: Kind::ALL.to_vec() });
        assert!(matches!(set(&t, &acme, hooks.to_vec()).await, Err(Failure::Invalid { .. })));
        set(&t, &acme, many(ADDRESSES_MAX)).await.unwrap();
        assert_eq!(get(&t, &acme).await.targets.len(), ADDRESSES_MAX);
        assert!(get(&t, &globex).await.targets.is_empty());
        // Another tenant's, and an operator's hands.
        let theirs = SetNotifications { tenant: acme.id.clone(), targets: Vec::new() };
        assert!(matches!(
            t.house.perform(globex.root.clone(), theirs.clone()).await,
            Err(Failure::Refused(_))
        ));
        let lin = t.operator("op-lin", "support", "CN").await;
        assert!(matches!(t.house.perform(lin.clone(), theirs).await, Err(Failure::Refused(_))));
        let look = GetNotifications { tenant: acme.id.clone() };
        assert!(matches!(t.house.perform(lin, look).await, Err(Failure::Refused(_))));
        if t.engine == Engine::Sqlite {
            for file in std::fs::read_dir(t.folder()).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
                assert!(!bytes.windows(13).any(|w| w == b"@acme.example"));
            }
        }
        // Under a new version of the tenant's key.
        let before = t.change("UPDATE notice_target SET failed_at_ms = NULL");
        let rotate = RotateTenantKey { tenant: acme.id.clone() };
        t.house.perform(t.house.system_caller("bailee keys"), rotate).await.unwrap();
        t.clock.advance_ms(60_000);
        t.house.rewrap_due().await.unwrap();
        assert_eq!((get(&t, &acme).await.targets.len() as u64, before), (10, 10));
        assert_eq!(end_account(&t, &acme.id, &acme).await, 0);
    });
}

/// Ends an account; answers how many rows of notices it leaves.
async fn end_account(t: &TestHouse, id: &TenantId, acme: &TestTenant) -> u64 {
    let close = CloseAccount { tenant: id.clone(), days: 0 };
    t.house.perform(acme.root.clone(), close).await.unwrap();
    t.clock.advance_ms(1_000);
    t.house.close_due_accounts().await.unwrap();
    t.change(&format!("UPDATE notice_target SET ticket = 1 WHERE tenant_id = '{id}'"))
}

#[test]
fn a_grant_by_a_standing_right_is_told_in_place_of_a_request() {
    on_each(async |t, world| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, OBJECT.0).await;
        let (lin, ticket) = (t.operator("op-lin", "support", "CN").await, acme.ticket(&t).await);
        let terms = Terms {
            scope: Scope::object(bucket(OBJECT.0), key(OBJECT.1)),
            operators: Vec::new(),
            codes: vec![Code::CustomerInitiatedSupport],
            minutes: 30,
            uses_max: 3,
            day_uses_max: 6,
            until: t.house.now().plus_ms(86_400_000),
        };
        let op = SetStandingRight { tenant: acme.id.clone(), terms, why: String::new() };
        let (right, _) = t.house.perform(acme.root.clone(), op).await.unwrap();
        set(&t, &acme, vec![mail("ops@acme.example", &[Kind::Consent])]).await.unwrap();
        for _ in 0..2 {
            acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        }
        let waits = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        t.house.say_notices().await.unwrap();
        assert!(world.mails.lock().iter().any(|m| m.text.contains("/console/consent#standing\n")));
        let told = world.told().into_iter().filter(|(to, _)| to == "ops@acme.example");
        let told: Vec<_> = told.map(|(_, subject)| subject).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().any(|s| s.starts_with(&format!("An operator got a grant by standing right {right}")))
        );
        assert!(told.iter().any(|s| s.starts_with(&format!("Request {waits} waits"))), "{told:?}");
    });
}
