//! Tickets on each engine: states against a small model, what they open, what is told to whom, clocks, search.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_rooms::Failure;
use bailee_rooms::consent::{Decision, NoCoverage};
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::tickets::{
    AssignTicket, Assigned, AttachToTicket, Category, CloseTicket, Entry, Filter, GetTicket, ListTickets,
    MESSAGE_MAX, OpenTicket, PAGE_MAX, Page, Priority, REOPEN_MS, ReadAttachment, RemoveAttachment,
    ReopenTicket, ReplyTicket, SEARCH_MAX, Side, SolveTicket, Stands, State, Step, Targets, Thread,
};
use bailee_rooms::trail::{ActFilter, ListActs};
use bailee_rooms::vault::{NewPaper, PAPERS_MAX};
use bailee_testkit::{Engine, TestHouse, TestTenant, on_each_engine};
use bailee_types::{OperatorId, TicketId};
use bytes::Bytes;
use futures_util::TryStreamExt;

const HOUR_MS: i64 = 3_600_000;
const OBJECT: (&str, &str) = ("acme-invoices", "1.pdf");

struct On<'t> {
    t: &'t TestHouse,
    of: &'t TestTenant,
    ticket: TicketId,
}

impl On<'_> {
    async fn reply(&self, who: &Caller, text: &str) -> Result<State, Failure> {
        let (tenant, ticket) = (self.of.id.clone(), self.ticket.clone());
        self.t.house.perform(who.clone(), ReplyTicket { tenant, ticket, text: text.into() }).await
    }

    async fn step(&self, who: &Caller, step: Step) -> Result<State, Failure> {
        let (tenant, ticket, house) = (self.of.id.clone(), self.ticket.clone(), &self.t.house);
        match step {
            Step::Message => self.reply(who, "a message").await,
            Step::Solve => house.perform(who.clone(), SolveTicket { tenant, ticket }).await,
            Step::Reopen => house.perform(who.clone(), ReopenTicket { tenant, ticket }).await,
            Step::Close => house.perform(who.clone(), CloseTicket { tenant, ticket }).await,
            Step::Assign => {
                let to = OperatorId::parse("op-lin").unwrap();
                house.perform(who.clone(), AssignTicket { tenant, ticket, to }).await?;
                Ok(self.get(who).await?.ticket.state())
            }
        }
    }

    async fn get(&self, who: &Caller) -> Result<Thread, Failure> {
        let (tenant, ticket) = (self.of.id.clone(), self.ticket.clone());
        self.t.house.perform(who.clone(), GetTicket { tenant, ticket, before: None, recorded: false }).await
    }
}

async fn opened<'t>(t: &'t TestHouse, of: &'t TestTenant, text: Option<&str>) -> On<'t> {
    let text = text.map(str::to_owned);
    let open = OpenTicket { text, ..OpenTicket::titled(of.id.clone(), "Invoices open blank") };
    On { t, of, ticket: t.house.perform(of.root.clone(), open).await.unwrap() }
}

async fn list(t: &TestHouse, of: &TestTenant, filter: Filter) -> Page {
    let op = ListTickets { tenant: of.id.clone(), filter, before: None, tickets_max: 200 };
    t.house.perform(of.root.clone(), op).await.unwrap()
}

/// What the documents say about states, once more: none where a step is refused.
fn model(state: State, step: Step, side: Side, late: bool) -> Option<State> {
    let live = matches!(state, State::Open | State::Answered | State::Waiting);
    match step {
        Step::Message if live => Some(if side == Side::Tenant { State::Waiting } else { State::Answered }),
        Step::Solve if live => Some(State::Solved),
        Step::Assign if live && side == Side::Provider => Some(state),
        Step::Reopen if state == State::Solved && side == Side::Tenant && !late => Some(State::Waiting),
        Step::Close if state != State::Closed && side == Side::Tenant => Some(State::Closed),
        _ => None,
    }
}

#[test]
fn states_follow_the_model_for_any_sequence_of_steps() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let mut chance = 36_u64;
        let mut next = |n: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % n
        };
        for round in 0..12 {
            let on = opened(&t, &acme, None).await;
            let (mut state, mut late, mut done) = (State::Open, false, 0);
            for n in 0..12 {
                // Closing ends a round; it comes late and seldom.
                let step = Step::ALL[next(if n < 8 { 4 } else { 5 }) as usize];
                let (side, who) =
                    if next(2) == 0 { (Side::Tenant, &acme.root) } else { (Side::Provider, &lin) };
                if next(6) == 0 {
                    t.clock.advance_ms(REOPEN_MS);
                    late = state == State::Solved;
                }
                let wanted = model(state, step, side, late);
                let found = match on.step(who, step).await {
                    Ok(state) => Some(state),
                    Err(Failure::Conflict(_) | Failure::Refused(_)) => None,
                    Err(e) => panic!("{e}"),
                };
                assert_eq!(found, wanted, "round {round}, step {n}: {state:?} {step:?} {side:?} late {late}");
                if let Some(to) = found {
                    (state, late, done) = (to, late && to == State::Solved, done + 1);
                }
                let seen = on.get(&acme.root).await.unwrap();
                assert_eq!((seen.ticket.state(), seen.entries.len()), (state, done));
            }
        }
    });
}

#[test]
fn a_solved_ticket_opens_nothing_and_reopening_brings_no_grant_back() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, OBJECT.0).await;
        acme.put(&t, OBJECT.0, OBJECT.1, "48,000").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let on = opened(&t, &acme, None).await;
        let grant = acme.ask(&t, &lin, &on.ticket, OBJECT, (30, 9)).await.unwrap();
        let yes = Decision::Approve { minutes: 30, uses_max: 9 };
        acme.decide(&t, &grant, yes).await.unwrap();
        acme.read(&t, &lin, &on.ticket, OBJECT).await.unwrap();
        let no = async || match acme.read(&t, &lin, &on.ticket, OBJECT).await {
            Err(Failure::Refused(r)) => r.kind().clone(),
            other => panic!("{:?}", other.map(|_| ())),
        };
        on.step(&lin, Step::Solve).await.unwrap();
        assert_eq!(no().await, RefusalKind::NoTicket);
        assert!(acme.ask(&t, &lin, &on.ticket, OBJECT, (30, 9)).await.is_err());
        on.step(&acme.root, Step::Reopen).await.unwrap();
        assert_eq!(no().await, RefusalKind::NoConsent(NoCoverage::TicketClosed));
        // A request that waits ends, too; a new one is one.
        let waits = acme.ask(&t, &lin, &on.ticket, OBJECT, (30, 9)).await.unwrap();
        on.step(&acme.root, Step::Solve).await.unwrap();
        on.step(&acme.root, Step::Reopen).await.unwrap();
        assert!(acme.decide(&t, &waits, yes).await.is_err());
        let again = acme.ask(&t, &lin, &on.ticket, OBJECT, (30, 9)).await.unwrap();
        acme.decide(&t, &again, yes).await.unwrap();
        acme.read(&t, &lin, &on.ticket, OBJECT).await.unwrap();
        on.step(&acme.root, Step::Close).await.unwrap();
        assert_eq!(no().await, RefusalKind::NoTicket);
    });
}

#[test]
fn solved_tickets_close_after_fourteen_days() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let on = opened(&t, &acme, None).await;
        on.step(&acme.root, Step::Solve).await.unwrap();
        t.clock.advance_ms(REOPEN_MS - 1);
        assert_eq!(t.house.close_solved_tickets().await.unwrap(), 0);
        t.clock.advance_ms(1);
        assert!(on.step(&acme.root, Step::Reopen).await.is_err());
        assert_eq!(t.house.close_solved_tickets().await.unwrap(), 1);
        assert_eq!(t.house.close_solved_tickets().await.unwrap(), 0);
        let seen = on.get(&acme.root).await.unwrap();
        let last = seen.entries.last().unwrap();
        assert_eq!((seen.ticket.state(), last.side, last.step), (State::Closed, Side::House, Step::Close));
    });
}

#[test]
fn another_tenants_ticket_looks_like_none() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let on = opened(&t, &acme, Some("ours")).await;
        let theirs = On { t: &t, of: &globex, ticket: on.ticket.clone() };
        let none = On { t: &t, of: &globex, ticket: TicketId::parse("T-999").unwrap() };
        for step in [Step::Message, Step::Solve, Step::Reopen, Step::Close] {
            let (a, b) = (theirs.step(&globex.root, step).await, none.step(&globex.root, step).await);
            let said = |r: Result<State, Failure>| r.unwrap_err().to_string().replace("T-999", "T-1");
            assert_eq!(said(a), said(b));
        }
        assert!(matches!(theirs.get(&globex.root).await, Err(Failure::NotFound { .. })));
        assert!(matches!(on.get(&globex.root).await, Err(Failure::Refused(_))));
        assert!(on.step(&globex.root, Step::Message).await.is_err());
        let search = Filter { text: Some("ours".into()), in_messages: true, ..Filter::default() };
        assert!(list(&t, &globex, search.clone()).await.tickets.is_empty());
        assert_eq!(list(&t, &acme, search).await.tickets.len(), 1);
        assert_eq!(on.get(&acme.root).await.unwrap().ticket.state(), State::Open);
    });
}

/// Whether words stand in clear anywhere in the database.
fn stands_in_clear(t: &TestHouse, words: &str) -> bool {
    match t.engine {
        Engine::Sqlite => std::fs::read_dir(t.folder()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            bytes.windows(words.len()).any(|w| w == words.as_bytes())
        }),
        Engine::Postgres => {
            let hex: String = words.bytes().map(|b| format!("{b:02x}")).collect();
            ["ticket", "ticket_entry", "trail_record", "access_intent", "consent_request"].iter().any(
                |table| {
                    let sql = format!(
                        "UPDATE {table} SET tenant_id = tenant_id \
                     WHERE {table}::text LIKE '%{words}%' OR {table}::text LIKE '%{hex}%'"
                    );
                    t.change(&sql) > 0
                },
            )
        }
    }
}

#[test]
fn messages_lie_sealed_and_each_side_sees_the_writers_it_may_know() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let mei = t.operator("op-mei", "stability", "SG").await;
        let on = opened(&t, &acme, Some("our pumps stand still\r\nsince noon")).await;
        on.reply(&lin, "we look at your turbines").await.unwrap();
        on.step(&mei, Step::Assign).await.unwrap();
        assert!(stands_in_clear(&t, "Invoices open blank"), "a title is no secret, and the look works");
        for words in ["pumps stand", "your turbines"] {
            assert!(!stands_in_clear(&t, words), "{words}");
        }

        let writers = |thread: &Thread| -> Vec<String> {
            thread.entries.iter().map(|e: &Entry| e.writer.clone()).collect()
        };
        let pseudonym = |id: &str| t.house.pseudonym(&acme.id, &OperatorId::parse(id).unwrap()).to_string();
        let seen = on.get(&acme.root).await.unwrap();
        assert_eq!(writers(&seen), ["root".to_owned(), pseudonym("op-lin"), pseudonym("op-mei")]);
        assert_eq!(seen.ticket.assigned, Some(pseudonym("op-lin")));
        assert_eq!(seen.entries[2].assignee, Some(pseudonym("op-lin")));
        assert_eq!(seen.entries[0].text.as_deref(), Some("our pumps stand still\nsince noon"));
        let seen = on.get(&lin).await.unwrap();
        assert_eq!(writers(&seen), ["root", "op-lin", "op-mei"]);
        assert_eq!(seen.ticket.assigned.as_deref(), Some("op-lin"));
        // Lists, too; and a tenant does not find out by asking for one after the other.
        assert_eq!(list(&t, &acme, Filter::default()).await.tickets[0].assigned, Some(pseudonym("op-lin")));
        let to = Filter {
            assigned: Some(Assigned::To(OperatorId::parse("op-lin").unwrap())),
            ..Filter::default()
        };
        let asks = ListTickets { tenant: acme.id.clone(), filter: to.clone(), before: None, tickets_max: 9 };
        assert!(t.house.perform(acme.root.clone(), asks).await.is_err());
        assert_eq!(t.house.desk_tickets(to, None, 9).await.unwrap().tickets.len(), 1);

        // The tenant's log names what was done, and nobody by his id.
        let acts =
            ListActs { tenant: acme.id.clone(), filter: ActFilter::default(), before: None, acts_max: 50 };
        let acts = t.house.perform(acme.root.clone(), acts).await.unwrap().acts;
        let told = format!("{acts:?}");
        for wanted in ["OpenTicket", "ReplyTicket", "AssignTicket", "GetTicket"] {
            assert!(told.contains(wanted), "{wanted}");
        }
        assert!(!told.contains("op-lin") && !told.contains("op-mei") && !told.contains("turbines"), "{told}");
        assert_eq!(acts.iter().filter(|a| a.event_name == "GetTicket").count(), 2, "operators' looks only");
    });
}

#[test]
fn a_message_has_an_end_and_no_control_characters() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let on = opened(&t, &acme, None).await;
        let at_most = "泵".repeat(MESSAGE_MAX);
        on.reply(&acme.root, &at_most).await.unwrap();
        assert_eq!(on.get(&acme.root).await.unwrap().entries[0].text.as_deref(), Some(at_most.as_str()));
        for wrong in [format!("{at_most}泵").as_str(), "", "  \r\n ", "a\0b", "a\u{1b}[2J"] {
            assert!(matches!(on.reply(&acme.root, wrong).await, Err(Failure::Invalid { .. })));
        }
        let editor = t.operator("op-web", "portal-editor", "CN").await;
        assert!(on.get(&editor).await.is_err());
        assert!(on.reply(&editor, "hello").await.is_err());
        for n in 0..=PAGE_MAX {
            on.reply(&acme.root, &format!("message {n}")).await.unwrap();
        }
        let newest = on.get(&acme.root).await.unwrap();
        assert!(newest.more && newest.entries.len() == PAGE_MAX as usize);
        let first = newest.entries[0].seq;
        let older = GetTicket {
            tenant: acme.id.clone(),
            ticket: on.ticket.clone(),
            before: Some(first),
            recorded: false,
        };
        let older = t.house.perform(acme.root.clone(), older).await.unwrap();
        assert_eq!((older.more, older.entries.len()), (false, first as usize - 1));
    });
}

#[test]
fn clocks_run_by_priority_and_stand_while_the_tenant_is_asked() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let open = OpenTicket {
            priority: Priority::Urgent,
            category: Category::Incident,
            ..OpenTicket::titled(acme.id.clone(), "All is down")
        };
        let began = t.house.now();
        let ticket = t.house.perform(acme.root.clone(), open).await.unwrap();
        let on = On { t: &t, of: &acme, ticket };
        let other = opened(&t, &acme, None).await;
        let clocks =
            async || on.get(&acme.root).await.unwrap().ticket.clocks(&Targets::default(), t.house.now());
        let overdue = async || {
            let found = list(&t, &acme, Filter { overdue: true, ..Filter::default() }).await.tickets;
            let desk = t.house.desk_tickets(Filter { overdue: true, ..Filter::default() }, None, 9).await;
            assert_eq!(desk.unwrap().tickets.len(), found.len());
            let listed = found.iter().any(|k| k.id == on.ticket);
            let c = clocks().await;
            assert_eq!(listed, [c.first_answer, c.solution].iter().flatten().any(|c| c.overdue));
            listed
        };
        let first = clocks().await;
        assert_eq!(first.first_answer.unwrap().due_at, began.plus_ms(HOUR_MS));
        assert_eq!(first.solution.unwrap().due_at, began.plus_ms(24 * HOUR_MS));
        t.clock.advance_ms(HOUR_MS - 1);
        assert!(!overdue().await);
        t.clock.advance_ms(1);
        assert!(overdue().await);
        on.reply(&lin, "which pump?").await.unwrap();
        assert!(!overdue().await, "answered");
        // Two days in which the tenant says nothing, and an assignment that changes nothing about it.
        t.clock.advance_ms(24 * HOUR_MS);
        on.step(&lin, Step::Assign).await.unwrap();
        t.clock.advance_ms(24 * HOUR_MS);
        let asked = clocks().await;
        assert!(asked.stands && asked.first_answer.is_none());
        assert_eq!(asked.solution.unwrap().due_at, began.plus_ms(72 * HOUR_MS));
        on.reply(&acme.root, "the left one").await.unwrap();
        t.clock.advance_ms(23 * HOUR_MS - 1);
        assert!(!overdue().await);
        t.clock.advance_ms(1);
        assert!(overdue().await);
        on.step(&lin, Step::Solve).await.unwrap();
        assert!(!overdue().await);
        assert!(clocks().await.solution.is_none());
        t.clock.advance_ms(5 * HOUR_MS);
        on.step(&acme.root, Step::Reopen).await.unwrap();
        assert_eq!(clocks().await.solution.unwrap().due_at, began.plus_ms(77 * HOUR_MS));
        assert!(overdue().await);
        on.step(&acme.root, Step::Close).await.unwrap();
        assert!(!overdue().await);
        assert_eq!(other.get(&acme.root).await.unwrap().ticket.state(), State::Open);
    });
}

#[test]
fn lists_are_filtered_paged_and_searched_as_far_as_they_say() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        for n in 0..5 {
            let title = if n == 3 { "100% of_it !fails".to_owned() } else { format!("Ticket number {n}") };
            let (category, priority) =
                if n == 0 { (Category::Billing, Priority::Low) } else { (Category::Other, Priority::High) };
            let text = Some(format!("the Needle {n} in the hay"));
            let open = OpenTicket { category, priority, text, ..OpenTicket::titled(acme.id.clone(), title) };
            t.house.perform(acme.root.clone(), open).await.unwrap();
        }
        let ids = |page: &Page| page.tickets.iter().map(|k| k.id.to_string()).collect::<Vec<_>>();
        let on = |n: u32| On { t: &t, of: &acme, ticket: TicketId::parse(&format!("T-{n}")).unwrap() };
        on(1).reply(&lin, "answer").await.unwrap();
        on(2).reply(&acme.root, "more").await.unwrap();
        on(3).step(&lin, Step::Solve).await.unwrap();
        on(4).step(&lin, Step::Assign).await.unwrap();
        on(5).step(&acme.root, Step::Close).await.unwrap();
        let text =
            |words: &str, in_messages| Filter { text: Some(words.into()), in_messages, ..Filter::default() };
        let stands = |state| Filter { stands: Some(Stands::In(state)), ..Filter::default() };
        let all = Filter::default;
        for (filter, wanted) in [
            (all(), vec!["T-5", "T-4", "T-3", "T-2", "T-1"]),
            (Filter { stands: Some(Stands::Live), ..all() }, vec!["T-4", "T-2", "T-1"]),
            (stands(State::Open), vec!["T-4"]),
            (stands(State::Answered), vec!["T-1"]),
            (stands(State::Waiting), vec!["T-2"]),
            (stands(State::Solved), vec!["T-3"]),
            (stands(State::Closed), vec!["T-5"]),
            (Filter { category: Some(Category::Billing), ..all() }, vec!["T-1"]),
            (Filter { priority: Some(Priority::Low), ..all() }, vec!["T-1"]),
            (Filter { assigned: Some(Assigned::Somebody), ..all() }, vec!["T-4"]),
            (Filter { assigned: Some(Assigned::Nobody), ..all() }, vec!["T-5", "T-3", "T-2", "T-1"]),
            (text("NUMBER 2", false), vec!["T-3"]),
            (text("0% of_it !", false), vec!["T-4"]),
            (text("0_ of", false), vec![]),
            (text("needle 1", false), vec![]),
            (text("needle 1", true), vec!["T-2"]),
            (text("' OR 1=1 --", true), vec![]),
        ] {
            assert_eq!(ids(&list(&t, &acme, filter.clone()).await), wanted, "{filter:?}");
            let op = ListTickets { tenant: acme.id.clone(), filter, before: None, tickets_max: 200 };
            assert_eq!(ids(&t.house.perform(lin.clone(), op).await.unwrap()), wanted);
        }
        assert!(
            t.house.desk_tickets(text("needle", true), None, 9).await.is_err(),
            "not of all tenants at once"
        );
        let page = |before| ListTickets { tenant: acme.id.clone(), filter: all(), before, tickets_max: 2 };
        let (mut before, mut walked) = (None, Vec::new());
        loop {
            let found = t.house.perform(acme.root.clone(), page(before)).await.unwrap();
            walked.extend(ids(&found));
            before = found.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(walked, ["T-5", "T-4", "T-3", "T-2", "T-1"]);
    });
}

#[test]
fn a_search_says_where_it_ended() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let mut written = 0;
        // The oldest message is the one that is searched for.
        let open =
            OpenTicket { text: Some("the needle".into()), ..OpenTicket::titled(acme.id.clone(), "old") };
        t.house.perform(acme.root.clone(), open).await.unwrap();
        t.clock.advance_ms(1_000);
        let search = Filter { text: Some("needle".into()), in_messages: true, ..Filter::default() };
        // Each ticket has room for a part of them; many at once share a commit.
        for _ in 0..4 {
            let on = opened(&t, &acme, None).await;
            for _ in 0..5 {
                let many = (0..250).map(|_| on.reply(&acme.root, "hay"));
                for done in futures_util::future::join_all(many).await {
                    done.unwrap();
                }
                let page = list(&t, &acme, search.clone()).await;
                written += 250;
                let reached = written < SEARCH_MAX;
                assert_eq!((page.tickets.len(), page.search_ended), (usize::from(reached), !reached));
            }
        }
        assert_eq!(written, SEARCH_MAX);
    });
}

fn paper(name: &str, content: impl AsRef<[u8]>) -> NewPaper {
    NewPaper::parse(name, Bytes::from([b"%PDF-1.7\n", content.as_ref()].concat())).unwrap()
}

impl On<'_> {
    async fn attach(&self, who: &Caller, documents: &[NewPaper]) -> Result<(), Failure> {
        let (tenant, ticket) = (self.of.id.clone(), self.ticket.clone());
        let op = AttachToTicket { tenant, ticket, documents: documents.to_vec() };
        self.t.house.perform(who.clone(), op).await
    }

    async fn document(&self, who: &Caller, sha256: &str) -> Result<Vec<u8>, Failure> {
        let (tenant, ticket) = (self.of.id.clone(), self.ticket.clone());
        let op = ReadAttachment { tenant, ticket, sha256: sha256.to_owned() };
        let (_, bytes) = self.t.house.perform(who.clone(), op).await?;
        bytes.try_collect::<Vec<_>>().await.map(|all| all.concat())
    }

    async fn remove(&self, who: &Caller, sha256: &str) -> Result<(), Failure> {
        let (tenant, ticket) = (self.of.id.clone(), self.ticket.clone());
        let op = RemoveAttachment { tenant, ticket, sha256: sha256.to_owned() };
        self.t.house.perform(who.clone(), op).await
    }
}

#[test]
fn support_reads_documents_of_an_open_ticket_where_they_lie_and_each_reading_is_recorded_first() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let lin = t.operator("op-lin", "support", "CN").await;
        let mei = t.operator("op-mei", "support", "SG").await;
        let wei = t.operator("op-wei", "stability", "CN").await;
        let web = t.operator("op-web", "portal-editor", "CN").await;
        let on = opened(&t, &acme, None).await;
        // The first is several segments long.
        let (log, scan) = (paper("pumps.pdf", vec![7; 150_000]), paper("scan.pdf", b"of the valve"));
        on.attach(&acme.root, &[log.clone(), scan.clone()]).await.unwrap();
        let answer = paper("answer.pdf", b"turn it");
        on.attach(&lin, std::slice::from_ref(&answer)).await.unwrap();
        assert!(!stands_in_clear(&t, "scan.pdf"), "names lie sealed");

        let bytes = |p: &NewPaper| p.size() as usize;
        for (who, document) in [(&acme.root, &log), (&acme.root, &answer), (&lin, &log), (&lin, &answer)] {
            assert_eq!(on.document(who, document.sha256()).await.unwrap().len(), bytes(document));
        }
        let seen = on.get(&acme.root).await.unwrap().attachments;
        let by: Vec<_> = seen.iter().map(|d| (d.name.as_str(), d.attached_by.clone())).collect();
        let pseudonym = t.house.pseudonym(&acme.id, &OperatorId::parse("op-lin").unwrap()).to_string();
        assert_eq!(
            by,
            [("pumps.pdf", "root".into()), ("scan.pdf", "root".into()), ("answer.pdf", pseudonym.clone())]
        );
        assert_eq!(on.get(&lin).await.unwrap().attachments[2].attached_by, "op-lin");

        let refused = async |who: &Caller, on: &On<'_>| match on.document(who, scan.sha256()).await {
            Err(Failure::Refused(r)) => r.kind().clone(),
            other => panic!("{:?}", other.map(|_| ())),
        };
        assert!(matches!(refused(&wei, &on).await, RefusalKind::OperatorRole { .. }));
        assert!(matches!(refused(&web, &on).await, RefusalKind::OperatorRole { .. }));
        let (place, jurisdiction) = ("SG".into(), "CN".into());
        assert_eq!(refused(&mei, &on).await, RefusalKind::Residency { place, jurisdiction });
        assert!(on.attach(&web, std::slice::from_ref(&scan)).await.is_err());

        // By another ticket there is no such document, and another tenant has neither.
        let other = opened(&t, &acme, None).await;
        assert!(matches!(other.document(&lin, scan.sha256()).await, Err(Failure::NotFound { .. })));
        assert_eq!(refused(&globex.root, &on).await, RefusalKind::NotYours);
        let theirs = On { t: &t, of: &globex, ticket: on.ticket.clone() };
        assert!(matches!(theirs.document(&globex.root, scan.sha256()).await, Err(Failure::NotFound { .. })));
        assert_eq!(refused(&lin, &theirs).await, RefusalKind::NoTicket);
        assert!(matches!(
            theirs.attach(&globex.root, std::slice::from_ref(&scan)).await,
            Err(Failure::NotFound { .. })
        ));
        for wrong in ["", "x", &scan.sha256().to_uppercase(), &"0".repeat(64), &"9".repeat(9_000)] {
            assert!(matches!(on.document(&lin, wrong).await, Err(Failure::NotFound { .. })));
            assert!(matches!(on.remove(&acme.root, wrong).await, Err(Failure::NotFound { .. })));
        }
        let system = t.house.system_caller("bailee ticket show");
        assert!(matches!(on.document(&system, scan.sha256()).await, Err(Failure::Conflict(_))));
        assert!(on.attach(&system, std::slice::from_ref(&paper("x.pdf", b"x"))).await.is_err());
        assert!(matches!(
            on.attach(&acme.root, std::slice::from_ref(&scan)).await,
            Err(Failure::Exists { .. })
        ));
        assert!(on.remove(&lin, scan.sha256()).await.is_err());

        // Solved or closed it opens for the tenant alone.
        on.step(&acme.root, Step::Solve).await.unwrap();
        assert_eq!(refused(&lin, &on).await, RefusalKind::NoTicket);
        on.document(&acme.root, scan.sha256()).await.unwrap();
        for who in [&acme.root, &lin] {
            assert!(matches!(on.attach(who, &[paper("late.pdf", b"l")]).await, Err(Failure::Conflict(_))));
        }
        on.step(&acme.root, Step::Reopen).await.unwrap();
        on.document(&lin, scan.sha256()).await.unwrap();
        on.step(&acme.root, Step::Close).await.unwrap();
        assert_eq!(refused(&lin, &on).await, RefusalKind::NoTicket);
        on.document(&acme.root, scan.sha256()).await.unwrap();
        on.remove(&acme.root, scan.sha256()).await.unwrap();
        assert!(matches!(on.document(&acme.root, scan.sha256()).await, Err(Failure::NotFound { .. })));

        // The tenant's log has each reading of an operator as an act of his that opened something, with its ticket.
        let all = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap().acts;
        let read: Vec<_> = all
            .iter()
            .filter(|a| a.event_name == "GetTicketAttachment" && a.who == pseudonym && a.result() == "done")
            .collect();
        assert_eq!(read.len(), 3);
        for act in read {
            assert!(act.level == "WARNING" && act.event.contains("\"ticket\":\"T-1\""), "{}", act.event);
            assert!(
                act.event.contains(log.sha256())
                    || act.event.contains(answer.sha256())
                    || act.event.contains(scan.sha256())
            );
        }
        assert!(all.iter().any(|a| a.event_name == "AttachToTicket" && a.event.contains(scan.sha256())));
    });
}

#[test]
fn a_ticket_takes_so_many_documents_and_all_of_them_or_none() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let on = opened(&t, &acme, None).await;
        let some = |from: usize, to: usize| -> Vec<_> {
            (from..to).map(|n| paper(&format!("{n}.pdf"), n.to_string())).collect()
        };
        on.attach(&acme.root, &some(0, PAPERS_MAX - 2)).await.unwrap();
        let limit = on.attach(&lin, &some(100, 103)).await;
        assert!(matches!(limit, Err(Failure::Limit { .. })), "{limit:?}");
        let twice = [paper("a.pdf", b"a"), paper("b.pdf", b"a")];
        assert!(matches!(on.attach(&acme.root, &twice).await, Err(Failure::Exists { .. })));
        assert!(matches!(on.attach(&acme.root, &[]).await, Err(Failure::Invalid { .. })));
        assert_eq!(on.get(&acme.root).await.unwrap().attachments.len(), PAPERS_MAX - 2);
        // Two at once for the last two places: one of them has no room.
        let (one, two) = (some(200, 202), some(300, 302));
        let (a, b) = tokio::join!(on.attach(&acme.root, &one), on.attach(&lin, &two));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert_eq!(on.get(&acme.root).await.unwrap().attachments.len(), PAPERS_MAX);
    });
}
