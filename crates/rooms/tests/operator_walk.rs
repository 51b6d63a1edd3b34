//! No route to content without a live grant: every operation of the house, as an operator, against a tenant with things to lose.
//!
//! **Whoever adds an operation adds it here**; the test of completeness names what is missing. It is one line in the table of its
//! room (`operator_walk/*.rs`), about acme's own things ([`Scene`]), so that its root would succeed:
//! - [`never`]: no role of operators includes it (most). The text is what acme's root gets: `ok`, or a failure's code.
//! - [`refused`]: a role includes it, and the gate or the act says no: the code, and what acme's root gets.
//! - [`opens`]: it shows content. Operators get this code, no key is released; acme's root sees a marker.
//! - [`granted`]: the same for what only operators do: with a grant one of them does.
//! - [`may`]: an operator may do it: what he gets, why he may, what acme's root gets. What it answers holds no marker.
//!
//! What nobody outside of the rooms can make stands in [`INSIDE`], with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "operator_walk/identity.rs"]
mod identity;
#[path = "operator_walk/keys.rs"]
mod keys;
#[path = "operator_walk/others.rs"]
mod others;
#[path = "operator_walk/scene.rs"]
mod scene;
#[path = "operator_walk/trail.rs"]
mod trail;
#[path = "operator_walk/vault.rs"]
mod vault;

use std::any::type_name;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use bailee_rooms::gate::{Caller, Operation};
use bailee_rooms::trail::{ActEnd, ActFilter};
use bailee_rooms::{Failure, MailConfig};
use bailee_testkit::{TestHouse, engines, runtime};
use scene::Scene;

/// What no role of operators includes.
const NO_ROLE: &str = "NoPermission.OperatorRole";

/// Operations that no code outside of the rooms can make, and who performs them.
const INSIDE: &[(&str, &str)] = &[
    ("broker::recording::ClosePart", "the worker of recordings, for the session's tenant"),
    ("closure::EraseAccount", "the worker of closures, thirty days after a tenant's root asked"),
    ("gate::corrupt::Grab", "a unit test's"),
    ("identity::console::BeginSession", "signing in, after the password"),
    ("identity::device::RememberDevice", "signing in, for one's own browser"),
    ("identity::held_key::EndHeldKey", "the rotation of a user's secret"),
    ("identity::held_key::MakeHeldKey", "the rotation of a user's secret"),
    (
        "identity::resolve::NoteResolve",
        "`ResolveEmployee` notes itself in the provider's own log; it stands in the table",
    ),
    ("identity::sts::SessionBegan", "what a role's account is told, with `AssumeRole`"),
    ("keys::cmk::keeper::Destroy", "the worker of keys, when a tenant's wait is over"),
    ("keys::cmk::keeper::EndMaterial", "the worker of keys, when imported material ends"),
    ("keys::cmk::keeper::NoteUses", "the worker that counts uses"),
    ("keys::secret::Destroy", "the worker of secrets, when a tenant's wait is over"),
    ("keys::secret::rotate::RetireVersion", "the worker of secrets"),
    ("residency::region::MoveContent", "writing to a bucket in another jurisdiction notes itself"),
    ("vault::papers::DestroyPapers", "the end of an account"),
    ("vault::repair::RepairObject", "`Repair`, for each object that it mends"),
    ("vault::replicate::Replicate", "the worker of copies, as a tenant's rule says"),
];

/// The one operation by which an operator opens something without a grant: see its row.
const LAID_DOWN: &str = "tickets::attach::ReadAttachment";

type Answered = Pin<Box<dyn Future<Output = Result<String, Failure>> + Send>>;

type Run = Box<dyn Fn(&Scene, Caller) -> Answered>;

/// What a row of the table promises.
enum Kind {
    /// An operator never does it.
    Refused,
    /// The same, and it is about content.
    Content,
    /// The same, and with a grant he does it.
    Granted,
    /// He may.
    May,
}

/// One operation.
struct Row {
    name: String,
    kind: Kind,
    operator: &'static str,
    root: &'static str,
    run: Run,
}

impl Row {
    fn new<O: Operation>(
        (kind, operator, root): (Kind, &'static str, &'static str),
        make: fn(&Scene) -> O,
        show: fn(O::Output) -> String,
    ) -> Self {
        let run = move |s: &Scene, who: Caller| -> Answered {
            let (house, op) = (s.t.house.clone(), make(s));
            Box::pin(async move { house.perform(who, op).await.map(show) })
        };
        Self { name: name_of::<O>(), kind, operator, root, run: Box::new(run) }
    }
}

/// An operation that no role of operators includes.
fn never<O: Operation>(root: &'static str, make: fn(&Scene) -> O) -> Row {
    refused(NO_ROLE, root, make)
}

/// An operation that a role includes, and that is refused here.
fn refused<O: Operation>(operator: &'static str, root: &'static str, make: fn(&Scene) -> O) -> Row {
    Row::new((Kind::Refused, operator, root), make, |_| String::new())
}

/// An operation that shows content.
fn opens<O: Operation>(operator: &'static str, make: fn(&Scene) -> O, show: fn(O::Output) -> String) -> Row {
    Row::new((Kind::Content, operator, "ok"), make, show)
}

/// An operation that opens something for an operator with a grant, and for nobody else.
fn granted<O: Operation>(make: fn(&Scene) -> O, show: fn(O::Output) -> String) -> Row {
    Row::new((Kind::Granted, "NoConsent", "Conflict"), make, show)
}

/// An operation that an operator may do without a grant: what he gets, and why.
fn may<O: Operation>(
    (operator, _why): (&'static str, &'static str),
    root: &'static str,
    make: fn(&Scene) -> O,
    show: fn(O::Output) -> String,
) -> Row {
    Row::new((Kind::May, operator, root), make, show)
}

/// An operation that only a function of the house makes, which is called in its place.
fn by_door(
    name: &str,
    (operator, _why): (&'static str, &'static str),
    root: &'static str,
    run: fn(&Scene, Caller) -> Answered,
) -> Row {
    Row { name: name.to_owned(), kind: Kind::May, operator, root, run: Box::new(run) }
}

/// The path of an operation's type in the rooms; of an act that a generic operation carries, the act's.
fn name_of<O>() -> String {
    let whole = type_name::<O>();
    let inner = whole.rsplit('<').next().unwrap().trim_end_matches('>');
    inner.strip_prefix("bailee_rooms::").unwrap().to_owned()
}

fn table() -> Vec<Row> {
    // Acme's root walks it in this order: what ends things comes last.
    [vault::rows(), keys::rows(), trail::rows(), others::rows(), identity::rows()]
        .into_iter()
        .flatten()
        .collect()
}

fn word(result: &Result<String, Failure>) -> &'static str {
    result.as_ref().map_or_else(Failure::code, |_| "ok")
}

#[test]
fn no_operation_opens_content_for_an_operator_without_a_live_grant() {
    for engine in engines() {
        eprintln!("on {engine:?}");
        let t = TestHouse::mailing(
            engine,
            std::sync::Arc::new(bailee_rooms::outside::NoOutside),
            MailConfig { sends: true, team: None },
        );
        runtime().block_on(async {
            let s = Scene::new(t).await;
            let mut wrong = Vec::new();
            for row in table() {
                wrong.extend(as_operators(&s, &row).await);
            }
            support_read_the_ticket_s_document_on_record(&s).await;
            for row in table() {
                wrong.extend(as_root(&s, &row).await);
            }
            s.grant_all().await;
            for row in table().iter().filter(|row| matches!(row.kind, Kind::Granted)) {
                let result = (row.run)(&s, s.operators[0].1.clone()).await;
                assert!(result.is_ok(), "{} opens for nobody: {result:?}", row.name);
            }
            assert!(wrong.is_empty(), "on {engine:?}:\n{}", wrong.join("\n"));
        });
    }
}

/// What is not as the row says when operators do it: those of the provider that have all roles between them, one whose grants have
/// ended, one who has the keys of a grant for something else, one who was disabled.
async fn as_operators(s: &Scene, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut said = NO_ROLE;
    for (who, caller) in &s.operators {
        let before = releases(s);
        let result = (row.run)(s, caller.clone()).await;
        let released = releases(s) - before;
        if said == NO_ROLE && s.staff.contains(who) {
            said = word(&result);
        }
        let text = result.as_ref().map_or_else(ToString::to_string, Clone::clone);
        if let Some(mark) = s.marker_in(&text) {
            wrong.push(format!("{}: `{who}` sees `{mark}`", row.name));
        }
        match row.kind {
            Kind::May if released == 0 || row.name == LAID_DOWN => {}
            _ if result.is_ok() && !matches!(row.kind, Kind::May) => {
                wrong.push(format!("{}: `{who}` may", row.name))
            }
            _ if released > 0 => wrong.push(format!("{}: {released} keys opened for `{who}`", row.name)),
            _ => {}
        }
    }
    if said != row.operator {
        wrong.push(format!("{}: operators get `{said}`, the table says `{}`", row.name, row.operator));
    }
    wrong
}

/// What is not as the row says when acme's root does it. Without this the walk could go past everything.
async fn as_root(s: &Scene, row: &Row) -> Vec<String> {
    let result = (row.run)(s, s.root.clone()).await;
    let mut wrong = Vec::new();
    if word(&result) != row.root {
        let why = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        wrong.push(format!(
            "{}: root gets `{}`, the table says `{}` {why}",
            row.name,
            word(&result),
            row.root
        ));
    }
    if matches!(row.kind, Kind::Content) && result.is_ok_and(|text| s.marker_in(&text).is_none()) {
        wrong.push(format!("{}: root sees no marker: it opens nothing", row.name));
    }
    wrong
}

/// Data keys released by this house so far.
fn releases(s: &Scene) -> u64 {
    s.t.house.counters().key_releases.load(Ordering::Relaxed)
}

/// Support reads what its tenant laid on an open ticket for it: an intent each time, before the key.
async fn support_read_the_ticket_s_document_on_record(s: &Scene) {
    let filter = ActFilter { event_name: Some("GetTicketAttachment".into()), ..ActFilter::default() };
    let acts = s.t.house.acts(&s.id, &filter, None, 100).await.unwrap().acts;
    let done = acts.iter().filter(
        |a| matches!(&a.end, ActEnd::Ended { result, record, .. } if result == "done" && *record > a.record),
    );
    assert!(done.count() > 0, "the log does not tell of it");
    assert_eq!(acts.iter().filter(|a| a.ticket.is_empty()).count(), 0, "each names its ticket");
}

#[test]
fn every_operation_of_the_rooms_stands_in_the_walk() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = Sources::read(&source);
    let found = all.operations();
    assert!(found.len() > 300, "only {} operations found: the sources are read wrongly", found.len());
    let table: BTreeSet<String> = table().into_iter().map(|row| row.name).collect();
    let inside: BTreeSet<String> = INSIDE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let known: BTreeSet<String> = table.union(&inside).cloned().collect();
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "add them to the table (see the top of this file): {missing:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "there are no such operations any more: {gone:#?}");
    for name in &inside {
        assert!(!all.is_public(name), "`{name}` can be made outside of the rooms: it belongs into the table");
    }
}

/// The sources of the rooms: path of the module, text.
struct Sources(Vec<(String, String)>);

impl Sources {
    fn read(folder: &Path) -> Self {
        let (mut all, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let relative = path.strip_prefix(folder).unwrap().with_extension("");
                    let parts = relative.iter().map(|p| p.to_str().unwrap()).filter(|p| *p != "mod");
                    all.push((parts.collect::<Vec<_>>().join("::"), std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self(all)
    }

    /// All types that are operations: by `impl Operation for`, by a trait whose every type some generic operation carries
    /// (`impl<A: Act> Operation for Of<A>`), by a macro that writes such an `impl`.
    fn operations(&self) -> BTreeSet<String> {
        let mut traits = vec!["Operation".to_owned()];
        for (_, line) in self.impls() {
            if let Some((bound, _)) =
                line.strip_prefix("impl<A: ").and_then(|l| l.split_once("> Operation for "))
            {
                traits.push(bound.to_owned());
            }
        }
        assert!(
            traits.len() > 3,
            "acts of RAM, KMS and ActionTrail are carried by generic operations: {traits:?}"
        );
        let mut found = BTreeSet::new();
        for (module, line) in self.impls() {
            let Some((head, of)) = line.split_once(" for ") else { continue };
            let is_one =
                traits.iter().any(|t| head.ends_with(&format!(" {t}")) || head.ends_with(&format!(":{t}")));
            let carries = head.starts_with("impl<A: ");
            let name: String = of.chars().take_while(|c| c.is_alphanumeric() || "_$".contains(*c)).collect();
            if !is_one || carries {
                continue;
            }
            match name.strip_prefix('$') {
                None => drop(found.insert(format!("{module}::{name}"))),
                Some(_) => found.extend(self.made_by_macro(module, line)),
            }
        }
        found
    }

    fn impls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(module, text)| {
            text.lines().map(str::trim).filter(|l| l.starts_with("impl")).map(move |l| (module.as_str(), l))
        })
    }

    /// The first names in the calls of the macro around this line.
    fn made_by_macro(&self, module: &str, line: &str) -> Vec<String> {
        let (_, text) = self.0.iter().find(|(m, _)| m == module).unwrap();
        let before = text.split(line).next().unwrap();
        let name = before.rsplit("macro_rules! ").next().unwrap().split_whitespace().next().unwrap();
        let calls = text.lines().filter_map(|l| l.strip_prefix(&format!("{name}!(")));
        let made: Vec<_> =
            calls.map(|l| format!("{module}::{}", l.split([',', ')']).next().unwrap())).collect();
        assert!(
            !made.is_empty(),
            "`{name}` in `{module}` makes operations, and where it is called was not found"
        );
        made
    }

    fn is_public(&self, name: &str) -> bool {
        let (module, name) = name.rsplit_once("::").unwrap();
        let (_, text) = self.0.iter().find(|(m, _)| m == module).unwrap();
        ["{", "(", ";"].iter().any(|end| {
            text.contains(&format!("\npub struct {name} {end}"))
                || text.contains(&format!("\npub struct {name}{end}"))
        })
    }
}
