//! Logs of every source, in any pieces: nothing panics, no byte is lost, and where the pieces are cut changes nothing. The
//! first byte says which source, the second where it is cut.
#![no_main]

use bailee_collect::frame::{Framer, Position, Unit};
use bailee_collect::{Manner, Mapping, Reading, Source, Verdict, event_id, read};
use bailee_types::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

static MAPPINGS: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    let of = |s: Source| {
        let yaml = format!(
            "version: 1\nsource: {}\nactors: [{{actor: 'a*', operator: op-lin}}, {{actor: '*', automatic: true}}]\n\
             tenants: [{{resource: '*', tenant: acme}}]\n\
             rules: [{{name: r, type: ALIYUN_INITIATED_SERVICE, description: '{{resource}}'}}]\n",
            s.word()
        );
        Mapping::parse(&yaml).expect("a mapping")
    };
    Source::ALL.into_iter().map(of).collect()
});

fn units(source: Source, parts: &[&[u8]]) -> Vec<Unit> {
    let mut framer = Framer::at(source, &Position::default());
    let mut found = Vec::new();
    for part in parts {
        framer.push(part);
        found.extend(std::iter::from_fn(|| framer.next(false)));
        // Dies and begins again where it said.
        let position = framer.position();
        assert!(position.offset <= framer.pushed());
    }
    found.extend(std::iter::from_fn(|| framer.next(true)));
    found
}

fuzz_target!(|bytes: &[u8]| {
    let [which, cut, log @ ..] = bytes else { return };
    if *which == b'm' {
        if let Ok(text) = std::str::from_utf8(log) {
            let _ = Mapping::parse(text);
        }
        return;
    }
    let index = usize::from(*which) % Source::ALL.len();
    let source = Source::ALL[index];
    let at = usize::from(*cut) * log.len() / 256;
    let found = units(source, &[log]);
    assert_eq!(units(source, &[&log[..at], &log[at..]]), found);
    assert!(found.iter().map(|u| u.bytes.len()).sum::<usize>() <= log.len());
    assert!(found.windows(2).all(|w| source == Source::Auditd || w[0].start < w[1].start));
    for unit in found {
        if let Ok(Reading::Act(act)) = read(source, &unit.bytes, &Manner::default(), NOW) {
            let id = event_id(source, &act.identity, "1:0:0", &unit.bytes);
            if let Verdict::Event(event) = MAPPINGS[index].decide(&act, id, "0".repeat(64), NOW) {
                // What a mapping makes is what a server takes.
                assert_eq!(event.check(), Ok(()));
            }
        }
    }
});
