//! Every source on recorded logs. `postgres.*` and `sshd.log` were written by PostgreSQL 15 with pgaudit 1.7 and OpenSSH 9.2;
//! `auditd.log` is in the kernel's form and reads the same in `ausearch`; Kubernetes, Hadoop, OSS and S3 are written after
//! their documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::frame::{Framer, Position, Unit};
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_639_000);

fn units(source: Source, bytes: &[u8]) -> Vec<Unit> {
    let mut framer = Framer::at(source, &Position::default());
    framer.push(bytes);
    std::iter::from_fn(|| framer.next(true)).collect()
}

fn acts(source: Source, bytes: &[u8]) -> Vec<Result<Reading, Unreadable>> {
    units(source, bytes).iter().map(|u| read(source, &u.bytes, &Manner::default(), NOW)).collect()
}

/// Actor, action, resource, address, outcome, code.
fn told(reading: &Result<Reading, Unreadable>) -> String {
    match reading {
        Ok(Reading::Act(a)) => {
            [&a.actor, &a.action, &a.resource, &a.address, a.outcome.word(), &a.code].join(" | ")
        }
        Ok(Reading::Preliminary(why)) => format!("preliminary: {why}"),
        Err(why) => format!("unreadable: {why}"),
    }
}

fn act(reading: &Result<Reading, Unreadable>) -> &Observed {
    match reading {
        Ok(Reading::Act(act)) => act,
        other => panic!("no act: {other:?}"),
    }
}

#[test]
fn pgaudit_tells_who_read_what_and_keeps_the_statement_to_itself() {
    let all = acts(Source::Postgres, include_bytes!("../samples/postgres.csv"));
    assert_eq!(all.iter().filter(|r| r.is_err()).count(), 0);
    assert_eq!(all.len(), 33, "a statement with an end of line is one record");
    let of_lin: Vec<_> = all.iter().map(told).filter(|t| t.starts_with("lin |")).collect();
    assert_eq!(
        of_lin,
        [
            "lin | connect | acme | 127.0.0.1 | done | ",
            "lin | READ SELECT | acme/public.invoices | 127.0.0.1 | done | ",
            "lin | READ SELECT | acme/public.invoices | 127.0.0.1 | done | ",
            "lin | connect | acme | 127.0.0.1 | done | ",
            "lin | error | acme | 127.0.0.1 | refused | 42501",
        ]
    );
    assert!(all.iter().map(told).any(|t| t == "nobody | connect | acme | 127.0.0.1 | refused | 28000"));
    let select = all.iter().find(|r| told(r).contains("READ SELECT")).unwrap();
    let select = act(select);
    assert_eq!(select.at.unwrap().iso_ms(), "2026-11-25T20:29:46.748Z");
    assert_eq!(select.fields["application"], "psql");
    assert_eq!(
        select.fields["statementDigest"],
        hex::encode(digest(b"select id\nfrom invoices where note like '%\"x, y%'"))
    );
    assert!(!format!("{select:?}").contains("note like"), "a statement holds what the tenant keeps");
}

#[test]
fn jsonlog_tells_the_same_as_csvlog() {
    let csv = acts(Source::Postgres, include_bytes!("../samples/postgres.csv"));
    let json = acts(Source::Postgres, include_bytes!("../samples/postgres.json"));
    assert!(json.len() > 15);
    // The two logs begin and end a line apart: what one has of a session and line, the other has.
    let mut same = 0;
    for reading in &json {
        let found = csv.iter().find(|r| act(r).identity == act(reading).identity);
        if let Some(found) = found {
            assert_eq!(told(found), told(reading));
            assert_eq!(act(found).at, act(reading).at);
            same += 1;
        }
    }
    assert!(same > 15, "{same}");
}

#[test]
fn what_a_statement_says_is_no_record_of_its_own() {
    let line =
        "2026-11-25 20:29:46.748 UTC,\"lin\",\"acme\",1,\"127.0.0.1:1\",s,3,\"SELECT\",t,3/1,0,LOG,00000,";
    // Twice doubled: once by pgaudit, once by csvlog.
    let forged = format!("{line}\"x\"\n").replace("lin", "victim").replace('"', "\"\"\"\"");
    let mut log = format!(
        "{line}\"AUDIT: SESSION,1,1,READ,SELECT,,,\"\"select '\n{forged}'\"\",<none>\",,,,,,,,,\"psql\"\n"
    );
    assert_eq!(units(Source::Postgres, log.as_bytes()).len(), 1);
    // Nor when it is too long to be read.
    log = log.replace("select '", &format!("select '{}", "x".repeat(2 * frame::UNIT_BYTES_MAX)));
    let found = units(Source::Postgres, log.as_bytes());
    assert!(found.len() > 1 && found.iter().all(|u| u.torn == Some("too long")), "{}", found.len());
    let total: usize = found.iter().map(|u| u.bytes.len()).sum();
    assert!(total + 3 > log.len() && total < log.len() + 1, "nothing of it is lost");
}

#[test]
fn a_record_that_a_crash_tore_does_not_swallow_the_log() {
    let good = include_str!("../samples/postgres.csv");
    let torn = format!("2026-11-25 20:29:40.000 UTC,\"lin\",\"acme\",1,\"x\n{good}");
    let found = units(Source::Postgres, torn.as_bytes());
    assert_eq!(found.first().unwrap().torn, Some("torn: its quotes do not close"));
    assert_eq!(found.get(1..).unwrap(), {
        let shift = (torn.len() - good.len()) as u64;
        let mut whole = units(Source::Postgres, good.as_bytes());
        whole.iter_mut().for_each(|u| u.start += shift);
        whole
    });
}

#[test]
fn sshd_tells_sign_ins_and_sessions() {
    let all: Vec<_> = acts(Source::Sshd, include_bytes!("../samples/sshd.log"));
    let kept: Vec<_> = all.iter().map(told).filter(|t| !t.contains("server message")).collect();
    assert_eq!(
        kept,
        [
            "root | login | login | 127.0.0.1 | done | ",
            "root | session | session | 127.0.0.1 | done | ",
            "root | logout | login | 127.0.0.1 | done | ",
            "root | login | login | 127.0.0.1 | refused | publickey",
        ]
    );
    let login = all.iter().find(|r| told(r).contains("login | login")).unwrap();
    assert!(act(login).at.is_none() && act(login).fields["key"].starts_with("ED25519 SHA256:"));
}

#[test]
fn a_line_names_the_session_of_a_broker() {
    let session = |source, line: &str| act(&acts(source, line.as_bytes())[0]).session.clone();
    let sshd = |key: &str| {
        session(
            Source::Sshd,
            &format!("Accepted publickey for deploy from 10.0.0.9 port 41642 ssh2: {key}\n"),
        )
    };
    let ca = "(serial 7) CA ED25519 SHA256:y";
    let certificate = |id: &str| format!("ED25519-CERT SHA256:x ID {id} {ca}");
    assert_eq!(sshd(&certificate("grant:G-abcdefghijkm session:s-0123456789abcdef")), "s-0123456789abcdef");
    // Another's certificate, a name that is none, a key without a certificate.
    for none in [
        certificate("lin@example"),
        certificate("session:s-0123"),
        certificate("session:s-0123456789ABCDEF"),
        "ED25519 SHA256:session:s-0123456789abcdef".into(),
    ] {
        assert_eq!(sshd(&none), "-", "{none}");
    }
    let postgres = |role: &str| {
        let line = json!({ "timestamp": "2026-11-25 20:29:46.123 UTC", "user": role, "dbname": "shop", "session_id": "1.2",
            "line_num": 1, "error_severity": "LOG", "message": "connection authorized: user=x" });
        session(Source::Postgres, &format!("{line}\n"))
    };
    assert_eq!(postgres("bailee_0123456789abcdef_abcdefghijklmnop"), "s-0123456789abcdef");
    for none in ["bailee_0123456789abcdef", "bailee", "bailee_x_y", "lin", "0123456789abcdef_a"] {
        assert_eq!(postgres(none), "-", "{none}");
    }
    let kubernetes = |impersonated: &str| {
        let user = json!({ "username": "bailee:emp-7", "groups": ["bailee:grant:G-1", "bailee:session:s-0123456789abcdef"] });
        let line = json!({ "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "stage": "ResponseComplete", "verb": "get",
            "requestURI": "/api", "user": user, impersonated: user, "requestReceivedTimestamp": "2026-11-25T20:29:46.123456Z" });
        session(Source::Kubernetes, &format!("{line}\n"))
    };
    assert_eq!(kubernetes("impersonatedUser"), "s-0123456789abcdef");
    assert_eq!(kubernetes("other"), "-", "a user's own groups say nothing");
}

#[test]
fn syslog_heads_give_time_and_host() {
    let message = "Accepted publickey for lin from 10.0.0.9 port 41642 ssh2: ED25519 SHA256:x";
    for head in [
        "Nov 25 20:29:46 web-1 sshd[27]: ",
        "<38>Nov 25 20:29:46 web-1 sshd[27]: ",
        "2026-11-25T20:29:46.000000+00:00 web-1 sshd[27]: ",
        "2026-11-25T22:29:46+02:00 web-1 sshd-session[27]: ",
        "<38>1 2026-11-25T20:29:46Z web-1 sshd 27 - - ",
    ] {
        let all = acts(Source::Sshd, format!("{head}{message}\n").as_bytes());
        assert_eq!(told(&all[0]), "lin | login | web-1/login | 10.0.0.9 | done | ", "{head}");
        assert_eq!(act(&all[0]).at.unwrap().iso(), "2026-11-25T20:29:46Z", "{head}");
    }
    // A name from the network says nothing about where he came from, nor begins a head.
    let evil = "Failed password for invalid user a from 1.1.1.1 port 1 ssh2 sshd[1]: Accepted x from 10.0.0.9 port 7 ssh2\n";
    assert_eq!(
        acts(Source::Sshd, evil.as_bytes()).iter().map(told).collect::<Vec<_>>(),
        ["unreadable: no time that can be read"]
    );
    let evil = "Nov 25 20:29:46 h sshd[1]: Failed none for invalid user root from 1.1.1.1 from 10.0.0.9 port 7 ssh2\n";
    let all = acts(Source::Sshd, evil.as_bytes());
    assert_eq!(told(&all[0]), "root from 1.1.1.1 | login | h/login | 10.0.0.9 | refused | none");
    // December's lines, read in January.
    let january = Timestamp::parse_iso("2027-01-01T00:10:00Z").unwrap();
    let line = format!("Dec 31 23:59:00 h sshd[1]: {message}");
    let old = read(Source::Sshd, line.as_bytes(), &Manner::default(), january).unwrap();
    assert_eq!(act(&Ok(old)).at.unwrap().iso(), "2026-12-31T23:59:00Z");
}

#[test]
fn auditd_joins_the_lines_of_an_event() {
    let all = acts(Source::Auditd, include_bytes!("../samples/auditd.log"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "1000 | openat | /srv/acme/invoices.db |  | refused | -13",
            "1000 | USER_LOGIN | /usr/sbin/sshd | 10.0.0.9 | done | ",
            "1000 | execve | /usr/bin/tar |  | done | ",
            "unset | unlinkat | /srv/acme/old log.1 |  | done | ",
        ]
    );
    let exec = act(&all[2]);
    assert_eq!(exec.fields["types"], "SYSCALL,EXECVE,CWD,PATH,PROCTITLE");
    assert_eq!(exec.at.unwrap().iso_ms(), "2025-11-25T19:46:42.100Z");
    assert!(!format!("{exec:?}").contains("czf"), "arguments go nowhere");
    // What auditd interpreted counts before numbers.
    let enriched = "node=web-1 type=SYSCALL msg=audit(1764100000.243:1): arch=c000003e syscall=999 success=yes exit=0 auid=1000 exe=\"/bin/a\"\u{1d}ARCH=x86_64 SYSCALL=fancy AUID=\"lin\" UID=\"root\"\n";
    let all = acts(Source::Auditd, enriched.as_bytes());
    assert_eq!(told(&all[0]), "lin | fancy | /bin/a |  | done | ");
    assert_eq!(act(&all[0]).fields["node"], "web-1");
}

#[test]
fn kubernetes_tells_an_act_once_and_who_was_impersonated() {
    let all = acts(Source::Kubernetes, include_bytes!("../samples/kubernetes.json"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "preliminary: the request arrived; its answer follows",
            "bailee:op:lin | create exec | acme/pods/web-1/exec | 10.1.2.3 | done | ",
            "bailee:op:lin | create exec | acme/pods/web-1/exec | 10.1.2.3 | done | ",
            "lin | get | acme/secrets/db | 10.1.2.3 | refused | Forbidden",
            "system:anonymous | get | uri:/healthz | 127.0.0.1 | done | ",
        ]
    );
    // Start and end of the exec are one event, though their lines differ.
    assert_eq!(act(&all[1]).identity, act(&all[2]).identity);
    let id = |r| event_id(Source::Kubernetes, &act(r).identity, "", b"a");
    assert_eq!(id(&all[1]), id(&all[2]));
    assert_ne!(id(&all[1]), id(&all[3]));
    // A client chooses the audit id: with that of another request it still is another event.
    let copied = include_str!("../samples/kubernetes.json").replace("000000000002", "000000000001");
    let again = acts(Source::Kubernetes, copied.as_bytes());
    assert_ne!(id(&again[1]), id(&again[3]));
}

#[test]
fn hadoop_reads_paths_from_the_end() {
    let all = acts(Source::Hdfs, include_bytes!("../samples/hdfs.log"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "lin | open | /tenants/acme/2026/part 1 | 10.1.2.3 | done | ",
            "hive | delete | /tenants/acme/a\tdst=x\tperm=y | 10.1.2.4 | refused | AccessControlException",
            "lin | rename | /tenants/acme/two\nlines | 10.1.2.3 | done | ",
        ]
    );
    assert_eq!(act(&all[1]).fields["callerContext"], "job_1");
    let all = acts(Source::Yarn, include_bytes!("../samples/yarn.log"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "lin | Kill Application Request | acme/application_1795600000000_0001 | 10.1.2.3 | done | ",
            "mallory | Kill Application Request | application_1795600000000_0001 | 10.1.2.9 | refused | FAILURE",
        ]
    );
    let two = "2026-11-25 20:22:15,123 INFO FSNamesystem.audit: allowed=true\tugi=lin\tip=/1\tcmd=open\tsrc=/a\n2026-11-25 20:22:15,124 INFO FSNamesystem.audit: allowed=true\tugi=victim\tip=/1\tcmd=open\tsrc=/b\tdst=null\tperm=null\tproto=rpc\n";
    assert!(told(&acts(Source::Hdfs, two.as_bytes())[0]).starts_with("unreadable: two records in one"));
}

#[test]
fn access_logs_tell_the_object_and_a_forged_agent_moves_nothing() {
    let all = acts(Source::Oss, include_bytes!("../samples/oss.log"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "200011112222 | GetObject | acme-invoices/invoices/2026 q1.pdf | 10.1.2.3 | done | ",
            " | GetObject | acme-invoices/x | 10.1.2.3 | refused | AccessDenied",
            "unreadable: another number of fields than expected: see `fields` of the mapping",
        ]
    );
    assert_eq!(act(&all[0]).at.unwrap().iso(), "2026-11-25T12:29:46Z");
    let all = acts(Source::S3, include_bytes!("../samples/s3.log"));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            "arn:aws:iam::123456789012:user/lin | REST.GET.OBJECT | acme-invoices/invoices/2026 q1.pdf | 192.0.2.3 | done | ",
            " | REST.GET.OBJECT | acme-invoices/x | 192.0.2.4 | refused | AccessDenied",
        ]
    );
}

const MAPPING: &str = r#"
version: 1
source: postgres
actors:
  - { actor: lin, operator: op-lin }
  - { actor: "svc-*", automatic: true }
  - { actor: ["app-acme", postgres], own: true }
tenants:
  - { resource: ["acme", "acme/*"], tenant: acme }
rules:
  - name: server
    when: { actor: "", action: ["server message", "connection received"] }
    ignore: true
  - name: reads
    when: { action: "READ *", fields: { class: READ } }
    event: SelectRows
    type: CUSTOMER_INITIATED_SUPPORT
    level: WARNING
    description: "{command} on {object}, {nothing"
    detail: { statement: "{statementDigest}" }
  - name: the rest
    type: ALIYUN_INITIATED_SERVICE
"#;

#[test]
fn a_mapping_says_whose_act_it_is_or_that_it_does_not_know() {
    let wrong = Mapping::parse(MAPPING).unwrap_err().to_string();
    assert!(wrong.contains("rule `reads`") && wrong.contains("brace"), "{wrong}");
    let mapping = Mapping::parse(&MAPPING.replace(", {nothing", "")).unwrap();
    let all = acts(Source::Postgres, include_bytes!("../samples/postgres.csv"));
    let decide = |r| mapping.decide(act(r), "0".repeat(64), "1".repeat(64), NOW);
    let verdicts: Vec<_> = all.iter().map(decide).collect();
    let event = verdicts.iter().find_map(|v| match v {
        Verdict::Event(e) if e.rule == "reads" => Some(e),
        _ => None,
    });
    let event = event.unwrap();
    assert_eq!(
        (event.tenant.as_str(), event.operator.as_deref(), event.name.as_str(), event.product.as_str()),
        ("acme", Some("op-lin"), "SelectRows", "RDS")
    );
    assert_eq!((event.level.as_str(), event.description.as_str()), ("WARNING", "SELECT on public.invoices"));
    assert_eq!(event.detail["statement"].len(), 64);
    let count = |wanted: &str| {
        verdicts
            .iter()
            .filter(|v| matches!(v, Verdict::Unmapped(w) | Verdict::Ignored(w) if w == wanted))
            .count()
    };
    assert!(count("server") > 5 && count("the tenant's own") > 5, "{verdicts:?}");
    assert_eq!(count("rule `the rest`: nobody of `actors` fits"), 2, "`nobody` is nobody's");
}

#[test]
fn what_is_misspelt_in_a_mapping_is_an_error_with_its_place() {
    let good = MAPPING.replace(", {nothing", "");
    for (from, to, said) in [
        ("level: WARNING", "levle: WARNING", "levle"),
        ("level: WARNING", "level: LOUD", "LOUD"),
        ("class: READ", "clas: READ", "no field `clas`"),
        ("type: ALIYUN_INITIATED_SERVICE", "event: X", "needs a `type`"),
        ("automatic: true", "automatic: true, operator: op-x", "exactly one"),
        ("source: postgres", "source: oracle", "oracle"),
        ("version: 1", "version: 2", "version 2"),
        ("{command}", "{actor}", "who the operator is"),
        ("name: the rest", "name: reads", "a name of its own"),
        ("version: 1", "version: 1\nversion: 1", "version"),
    ] {
        let wrong = Mapping::parse(&good.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(wrong.contains(said), "{to}: {wrong}");
    }
    let wrong =
        Mapping::parse(&good.replacen("level: WARNING", "levle: WARNING", 1)).unwrap_err().to_string();
    assert!(wrong.contains("line 18") || wrong.contains("18:"), "{wrong}");
}

#[test]
fn patterns_with_many_stars_end_soon() {
    let pattern = "*a".repeat(500);
    assert!(!glob::fits(&pattern, &"b".repeat(10_000)));
    for (pattern, text, fits) in [
        ("", "", true),
        ("*", "", true),
        ("?", "", false),
        ("a*b*c", "aXbXbc", true),
        ("a*b", "aXbX", false),
        ("日?", "日本", true),
        ("*.pdf", "a.pdf.pdf", true),
        ("A", "a", false),
    ] {
        assert_eq!(glob::fits(pattern, text), fits, "{pattern} {text}");
    }
}

fn whole(source: Source) -> &'static [u8] {
    match source {
        Source::Kubernetes => include_bytes!("../samples/kubernetes.json"),
        Source::Postgres => include_bytes!("../samples/postgres.csv"),
        Source::Auditd => include_bytes!("../samples/auditd.log"),
        Source::Sshd => include_bytes!("../samples/sshd.log"),
        Source::Hdfs => include_bytes!("../samples/hdfs.log"),
        Source::Yarn => include_bytes!("../samples/yarn.log"),
        Source::Oss => include_bytes!("../samples/oss.log"),
        Source::S3 => include_bytes!("../samples/s3.log"),
    }
}

proptest! {
    /// However the bytes arrive, and wherever the reader dies and begins again: the same units, each once.
    #[test]
    fn units_do_not_depend_on_how_bytes_arrive(cuts in prop::collection::vec((1usize..400, any::<bool>()), 1..60)) {
        for source in Source::ALL {
            let bytes = whole(source);
            let once = units(source, bytes);
            let (mut framer, mut found) = (Framer::at(source, &Position::default()), Vec::new());
            let mut at = 0;
            let mut parts = cuts.iter().cycle();
            while at < bytes.len() {
                let (length, dies) = *parts.next().unwrap();
                let end = (at + length).min(bytes.len());
                framer.push(&bytes[at..end]);
                at = end;
                // One unit at most before it dies: others wait in the buffer.
                found.extend(framer.next(false));
                if dies {
                    let position = framer.position();
                    at = usize::try_from(position.offset).unwrap();
                    framer = Framer::at(source, &position);
                    prop_assume!(length > 1 || at > 0);
                    if end == bytes.len() { break; }
                    framer.push(&bytes[at..end]);
                    at = end;
                }
            }
            framer.push(&bytes[usize::try_from(framer.pushed()).unwrap()..]);
            found.extend(std::iter::from_fn(|| framer.next(true)));
            let text = |units: &[Unit]| units.iter().map(|u| (u.start, u.bytes.clone())).collect::<Vec<_>>();
            prop_assert_eq!(text(&found), text(&once), "{:?}", source);
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(noise in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..2000, n in 0usize..40) {
        for source in Source::ALL {
            let mut bytes = whole(source).to_vec();
            let at = at % bytes.len();
            let end = (at + n).min(bytes.len());
            bytes.splice(at..end, noise.iter().copied());
            let found = units(source, &bytes);
            let kept: usize = found.iter().map(|u| u.bytes.len()).sum();
            prop_assert!(kept <= bytes.len());
            for unit in found {
                let _ = read(source, &unit.bytes, &Manner::default(), NOW);
            }
        }
    }
}
