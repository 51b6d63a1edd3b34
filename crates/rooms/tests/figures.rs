//! Figures of consent, the weekly digest and the portal's totals, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bailee_proof::note::VerifierKey;
use bailee_proof::totals::Totals;
use bailee_rooms::consent::{
    Answers, Because, Beside, Code, ConfirmRequest, ConsentPolicy, Decision, Figures, GetAllFigures,
    GetConsentFigures, Hours, Outlier, RequestConsent, Scope, SetConsentPolicy, SetStandingRight, Span,
    State, TENANTS_MIN, Terms, WithdrawRequest,
};
use bailee_rooms::gate::Caller;
use bailee_rooms::notices::{GetNotifications, Kind, MailAddress, SetNotifications, Target, Wanted};
use bailee_rooms::tickets::{Category, CloseTicket, OpenTicket};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::{GrantId, TicketId, Timestamp};

const OBJECT: (&str, &str) = ("1.pdf", "2.pdf");
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;

async fn with_objects(t: &TestHouse, alias: &str) -> (TestTenant, TicketId, String) {
    let (tenant, name) = (t.tenant(alias).await, format!("{alias}-files"));
    tenant.make_bucket(t, &name).await;
    for object in [OBJECT.0, OBJECT.1] {
        tenant.put(t, &name, object, "pumps").await;
    }
    let ticket = tenant.ticket(t).await;
    (tenant, ticket, name)
}

async fn figures(t: &TestHouse, of: &TestTenant, span: Span) -> Figures {
    t.house.perform(of.root.clone(), GetConsentFigures { tenant: of.id.clone(), span }).await.unwrap()
}

fn span(t: &TestHouse) -> Span {
    Span::days(None, None, t.house.now()).unwrap()
}

/// Asks, and after so many minutes root approves.
async fn granted(
    t: &TestHouse,
    (tenant, ticket, name): &(TestTenant, TicketId, String),
    who: &Caller,
    minutes: i64,
) -> GrantId {
    let id = tenant.ask(t, who, ticket, (name, OBJECT.0), (30, 2)).await.unwrap();
    t.clock.advance_ms(minutes * MINUTE_MS);
    tenant.decide(t, &id, Decision::Approve { minutes: 30, uses_max: 2 }).await.unwrap();
    id
}

#[test]
fn figures_are_what_was_done() {
    on_each_engine(async |t| {
        let acme = with_objects(&t, "acme").await;
        let globex = with_objects(&t, "globex").await;
        let (lin, mei) =
            (t.operator("op-lin", "support", "CN").await, t.operator("op-mei", "support", "CN").await);
        let nothing = figures(&t, &acme.0, span(&t)).await;
        assert_eq!(
            (nothing.all, nothing.decisions, nothing.beside),
            (Answers::default(), None, Some(Beside::default()))
        );
        assert!(nothing.complete && nothing.by_operator.is_empty() && nothing.by_code.len() == 5);
        // One exhausted, one never used that ends by itself, one denied, one withdrawn, one that lapses; a legal one waits.
        let used = granted(&t, &acme, &lin, 10).await;
        for _ in 0..2 {
            acme.0.read(&t, &lin, &acme.1, (&acme.2, OBJECT.0)).await.unwrap();
        }
        granted(&t, &acme, &mei, 20).await;
        let ask = async || acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.1), (30, 2)).await.unwrap();
        let (denied, withdrawn, _lapses) = (ask().await, ask().await, ask().await);
        t.clock.advance_ms(60 * MINUTE_MS);
        acme.0.decide(&t, &denied, Decision::Deny).await.unwrap();
        let withdraw = WithdrawRequest { tenant: acme.0.id.clone(), id: withdrawn };
        t.house.perform(lin.clone(), withdraw).await.unwrap();
        t.clock.advance_ms(4 * DAY_MS);
        let legal = RequestConsent {
            tenant: acme.0.id.clone(),
            ticket: acme.1.clone(),
            scope: Scope::object(bucket(&acme.2), key(OBJECT.1)),
            minutes: 30,
            uses_max: 2,
            reason: "an order of a court".into(),
            because: Because { code: Code::LegalRequest, reference: "A-17/26".into(), renews: None },
        };
        t.house.perform(lin.clone(), legal).await.unwrap();
        // A standing right opens one at once: no decision of a person, and it is live.
        let terms = Terms {
            scope: Scope::Prefix { bucket: bucket(&acme.2), prefix: "2".into() },
            operators: Vec::new(),
            codes: vec![Code::CustomerInitiatedSupport],
            minutes: 30,
            uses_max: 2,
            day_uses_max: 9,
            until: t.house.now().plus_ms(DAY_MS),
        };
        let set = SetStandingRight { tenant: acme.0.id.clone(), terms, why: String::new() };
        t.house.perform(acme.0.root.clone(), set).await.unwrap();
        ask().await;
        // A ticket that closes ends a grant and what waits, and still has when their time is over.
        let open = OpenTicket::titled(acme.0.id.clone(), "another");
        let other = t.house.perform(acme.0.root.clone(), open).await.unwrap();
        let other = (acme.0.clone(), other, acme.2.clone());
        granted(&t, &other, &mei, 20).await;
        acme.0.ask(&t, &mei, &other.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        let close = CloseTicket { tenant: acme.0.id.clone(), ticket: other.1.clone() };
        t.house.perform(acme.0.root.clone(), close).await.unwrap();
        // Another tenant's are its own.
        granted(&t, &globex, &lin, 1).await;

        let f = figures(&t, &acme.0, span(&t)).await;
        let all =
            Answers { asked: 9, approved: 4, denied: 1, declined: 0, lapsed: 2, withdrawn: 1, waiting: 1 };
        assert_eq!(f.all, all);
        let code = |c| f.by_code.iter().find(|(code, _)| *code == c).unwrap().1;
        assert_eq!(code(Code::LegalRequest), Answers { asked: 1, waiting: 1, ..Answers::default() });
        assert_eq!(code(Code::CustomerInitiatedSupport).asked, 8);
        let asked: Vec<_> = f.by_operator.iter().map(|(who, a)| (who.starts_with("emp-"), a.asked)).collect();
        assert_eq!(asked, [(true, 6), (true, 3)]);
        let decisions = f.decisions.unwrap();
        assert_eq!(
            (decisions.count, decisions.median_ms, decisions.p90_ms),
            (4, 20 * MINUTE_MS, 60 * MINUTE_MS)
        );
        let g = &f.grants;
        assert_eq!((g.given, g.standing, g.live, g.unused), (4, 1, 1, 2));
        assert_eq!(g.ended, [(State::Exhausted, 1), (State::Expired, 1), (State::TicketClosed, 1)]);
        assert_eq!((g.uses_allowed, g.uses_made), (6, 2));
        assert_eq!(f.beside, Some(Beside { reads: 2, rights: 1, ..Beside::default() }));
        t.clock.advance_ms(60 * MINUTE_MS);
        assert_eq!(
            figures(&t, &acme.0, span(&t)).await.grants.ended,
            [(State::Expired, 2), (State::Exhausted, 1), (State::TicketClosed, 1)]
        );
        // Days before have none of it, and only the act of the right's day has the right.
        let before = Span::days(Some("2026-01-01"), Some("2026-11-24"), t.house.now()).unwrap();
        assert_eq!(figures(&t, &acme.0, before).await.all, Answers::default());
        let first = Span::days(Some("2026-11-25"), Some("2026-11-25"), t.house.now()).unwrap();
        let f = figures(&t, &acme.0, first).await;
        assert_eq!((f.all.asked, f.beside.unwrap().reads, f.beside.unwrap().rights), (5, 2, 0));

        // The provider's own: people by their ids, no content; for compliance and approvers only.
        let look = GetAllFigures { span: span(&t) };
        for who in [&lin, &acme.0.root] {
            assert!(t.house.perform(who.clone(), look.clone()).await.is_err());
        }
        let chen = t.operator("op-chen", "compliance", "CN").await;
        let f = t.house.perform(chen, look).await.unwrap();
        let asked: Vec<_> = f.by_operator.iter().map(|(who, a)| (who.as_str(), a.asked)).collect();
        assert_eq!(asked, [("op-lin", 7), ("op-mei", 3)]);
        assert!(f.beside.is_none());
        assert!(matches!(
            f.outliers[..],
            [Outlier::OtherCode { code: Code::LegalRequest, category: Category::Support, .. }]
        ));
        let said = format!("{f:?}");
        assert!(!said.contains("pdf") && !said.contains("acme-files") && !said.contains(used.as_str()));
    });
}

#[test]
fn what_stands_out_is_said() {
    on_each_engine(async |t| {
        let (lin, mei) =
            (t.operator("op-lin", "support", "CN").await, t.operator("op-mei", "support", "CN").await);
        let mut all = Vec::new();
        for n in 0..10 {
            all.push(with_objects(&t, &format!("tenant{n}")).await);
            let (tenant, ticket, name) = &all[n];
            tenant.ask(&t, &lin, ticket, (name, OBJECT.0), (30, 2)).await.unwrap();
        }
        // One sets hours in which it is not asked now; another is asked because of an alert on a ticket about money.
        let (tenant, ticket, name) = &all[0];
        let hours = Hours { days: vec![1, 2, 3, 4, 5], from: 9 * 60, to: 10 * 60, offset: 0, uses: false };
        let policy = ConsentPolicy { hours: Some(hours), ..ConsentPolicy::default() };
        let set = SetConsentPolicy { tenant: tenant.id.clone(), policy, approvers: Vec::new() };
        t.house.perform(tenant.root.clone(), set).await.unwrap();
        tenant.ask(&t, &mei, ticket, (name, OBJECT.1), (30, 2)).await.unwrap();
        let (tenant, _, name) = &all[1];
        let billing =
            OpenTicket { category: Category::Billing, ..OpenTicket::titled(tenant.id.clone(), "the bill") };
        let ticket = t.house.perform(tenant.root.clone(), billing).await.unwrap();
        let wish = RequestConsent {
            tenant: tenant.id.clone(),
            ticket: ticket.clone(),
            scope: Scope::object(bucket(name), key(OBJECT.0)),
            minutes: 30,
            uses_max: 2,
            reason: "an alert of the disk".into(),
            because: Because { code: Code::ResponseToAlert, ..Because::default() },
        };
        let asked = t.house.perform(lin.clone(), wish).await.unwrap();
        let chen = t.operator("op-chen", "approver", "CN").await;
        let f = t.house.perform(chen, GetAllFigures { span: span(&t) }).await.unwrap();
        let id = |name: &str| bailee_types::OperatorId::parse(name).unwrap();
        assert_eq!(
            f.outliers,
            [
                Outlier::ManyTenants { operator: id("op-lin"), tenants: 10 },
                Outlier::OffHours { operator: id("op-lin"), requests: 1 },
                Outlier::OffHours { operator: id("op-mei"), requests: 1 },
                Outlier::OtherCode {
                    operator: id("op-lin"),
                    request: asked.id,
                    ticket,
                    code: Code::ResponseToAlert,
                    category: Category::Billing,
                },
            ]
        );
    });
}

#[test]
fn what_another_of_the_providers_people_declines_is_no_answer_of_the_tenant() {
    on_each_engine(async |first| {
        let t = first.second_with_second_eye();
        let acme = with_objects(&t, "acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let chen = t.operator("op-chen", "approver", "CN").await;
        let id = acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        let no = ConfirmRequest { tenant: acme.0.id.clone(), id, yes: false, comment: "no need".into() };
        t.house.perform(chen, no).await.unwrap();
        let f = figures(&t, &acme.0, span(&t)).await;
        assert_eq!(f.all, Answers { asked: 1, declined: 1, ..Answers::default() });
        assert_eq!(f.decisions, None);
    });
}

async fn listen(t: &TestHouse, of: &TestTenant, kinds: &[Kind]) {
    let target = Target::Mail(MailAddress::parse("ops@acme.example").unwrap());
    let targets = vec![Wanted { target, kinds: kinds.to_vec() }];
    let set = SetNotifications { tenant: of.id.clone(), targets };
    t.house.perform(of.root.clone(), set).await.unwrap();
}

fn at(t: &TestHouse, day: &str) {
    let then = Timestamp::parse_iso(&format!("{day}T00:00:30Z")).unwrap();
    t.clock.advance_ms(then.ms() - t.house.now().ms());
}

/// Notices that wait, and weeks that were looked at.
fn rows(t: &TestHouse) -> (u64, u64) {
    let count = |rows: &str| t.change(&format!("UPDATE {rows}"));
    (count("notice SET again = again WHERE kind = 'digest'"), count("digest SET told = told"))
}

#[test]
fn a_week_is_told_once_however_many_servers_there_are() {
    on_each_engine(async |t| {
        let second = t.second();
        let acme = with_objects(&t, "acme").await;
        let quiet = t.tenant("quiet").await;
        let deaf = with_objects(&t, "deaf").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        listen(&t, &acme.0, &[Kind::Digest]).await;
        listen(&t, &quiet, &[Kind::Digest]).await;
        listen(&t, &deaf.0, &[Kind::Ticket]).await;
        let got = t.house.perform(acme.0.root.clone(), GetNotifications { tenant: acme.0.id.clone() }).await;
        assert_eq!(got.unwrap().targets[0].wanted.kinds, [Kind::Digest]);
        // The week before the house began was quiet for all.
        assert_eq!(t.house.tell_digests().await.unwrap(), 0);
        assert_eq!(rows(&t), (0, 2));
        acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        deaf.0.ask(&t, &lin, &deaf.1, (&deaf.2, OBJECT.0), (30, 2)).await.unwrap();
        at(&t, "2026-11-29");
        assert_eq!(t.house.tell_digests().await.unwrap(), 0, "Sunday: the week has not ended");
        at(&t, "2026-11-30");
        let told = tokio::join!(
            t.house.tell_digests(),
            second.house.tell_digests(),
            t.house.tell_digests(),
            second.house.tell_digests()
        );
        let told: u64 = [told.0, told.1, told.2, told.3].map(Result::unwrap).into_iter().sum();
        assert_eq!((told, rows(&t)), (1, (1, 4)));
        // Said or not, it is not made again.
        assert_eq!(t.change("DELETE FROM notice WHERE kind = 'digest' AND reference = '2026-W48'"), 1);
        assert_eq!(second.house.tell_digests().await.unwrap(), 0);
        assert_eq!(rows(&t).0, 0);
        // A house that stood still tells the weeks it missed: the answer of W49, but not all of ten weeks.
        let late = granted(&t, &acme, &lin, 1).await;
        at(&t, "2026-12-14");
        assert_eq!(t.house.tell_digests().await.unwrap(), 1, "W49; W50 was quiet");
        // An answer is something, too, when the question was asked in the week before.
        let asked = acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        at(&t, "2026-12-21");
        t.house.tell_digests().await.unwrap();
        acme.0.decide(&t, &asked, Decision::Deny).await.unwrap_err();
        let asked = acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        let before = rows(&t).1;
        at(&t, "2027-03-01");
        t.house.tell_digests().await.unwrap();
        assert_eq!(rows(&t).1 - before, 2 * 4, "four weeks of each tenant");
        assert!(asked != late);
        // Who wants it no more is not told.
        listen(&t, &acme.0, &[Kind::Alert]).await;
        acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        at(&t, "2027-03-08");
        assert_eq!(t.house.tell_digests().await.unwrap(), 0);
    });
}

#[test]
fn an_answer_is_told_of_in_its_own_week() {
    on_each_engine(async |t| {
        let acme = with_objects(&t, "acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        at(&t, "2026-11-29");
        let asked = acme.0.ask(&t, &lin, &acme.1, (&acme.2, OBJECT.0), (30, 2)).await.unwrap();
        at(&t, "2026-11-30");
        acme.0.decide(&t, &asked, Decision::Deny).await.unwrap();
        at(&t, "2026-12-07");
        listen(&t, &acme.0, &[Kind::Digest]).await;
        assert_eq!(t.house.tell_digests().await.unwrap(), 1);
        assert_eq!(t.change("DELETE FROM notice WHERE reference = '2026-W49'"), 1);
    });
}

#[test]
fn totals_tell_of_no_single_tenant_and_are_signed_once_a_day() {
    on_each_engine(async |first| {
        let t = first.second_with_totals();
        let lin = t.operator("op-lin", "support", "CN").await;
        let key = VerifierKey::parse(&t.house.provider_head().await.unwrap().vkey).unwrap();
        let read = async |day: Option<&str>| {
            let found = t.house.totals(day).await.unwrap()?;
            assert_eq!(Totals::open(found.note.as_bytes(), &key), Ok(found.totals.clone()));
            Some(found.totals)
        };
        assert_eq!(read(None).await, None, "none was made");
        let mut all = Vec::new();
        for n in 0..TENANTS_MIN {
            let one = with_objects(&t, &format!("tenant{n}")).await;
            granted(&t, &one, &lin, 7).await;
            if n > 0 {
                one.0.read(&t, &lin, &one.1, (&one.2, OBJECT.0)).await.unwrap();
            }
            let no = one.0.ask(&t, &lin, &one.1, (&one.2, OBJECT.1), (30, 2)).await.unwrap();
            all.push((one, no));
        }
        // Answered after midnight: not yet in the totals of this day.
        at(&t, "2026-11-26");
        for (one, no) in &all {
            one.0.decide(&t, no, Decision::Deny).await.unwrap();
        }
        assert!(
            t.house.publish_totals().await.unwrap(),
            "up to Tuesday: other servers may not be past midnight"
        );
        assert_eq!(read(None).await.unwrap().to, "2026-11-24");
        t.clock.advance_ms(5 * MINUTE_MS);
        let second = first.second_with_totals();
        let made = tokio::join!(t.house.publish_totals(), second.house.publish_totals());
        assert!(made.0.unwrap() ^ made.1.unwrap());
        let totals = read(Some("2026-11-25")).await.unwrap();
        assert_eq!((totals.from.as_str(), totals.to.as_str()), ("2026-08-28", "2026-11-25"));
        assert_eq!((totals.requests, totals.approvals), (Some(10), Some(5)));
        assert_eq!(totals.median_minutes, Some(7));
        assert_eq!(totals.refusals, None);
        assert_eq!(totals.content_reads, None, "four tenants are too few");
        // The day after has the answers; the day before is what it was.
        let note = t.house.totals(Some("2026-11-25")).await.unwrap();
        let one = &all[0].0;
        granted(&t, one, &lin, 1).await;
        one.0.read(&t, &lin, &one.1, (&one.2, OBJECT.0)).await.unwrap();
        t.clock.advance_ms(DAY_MS);
        assert!(t.house.publish_totals().await.unwrap());
        let totals = read(None).await.unwrap();
        assert_eq!(totals.requests, Some(10), "eleven, in steps of five");
        assert_eq!((totals.refusals, totals.content_reads), (Some(5), Some(5)));
        assert_eq!(t.house.totals(Some("2026-11-25")).await.unwrap(), note);
        // A provider that does not publish shows nothing, though it was made.
        assert_eq!(first.house.totals(None).await.unwrap(), None);
    });
}
