//! Records, events and whole bundles as the verifier reads them: nothing panics, nothing unsigned is believed.
#![no_main]

use bailee_proof::bundle::{Places, Scope};
use bailee_proof::event;
use bailee_proof::record::Entry;
use bailee_verify::{Expect, audit, verify};
use libfuzzer_sys::fuzz_target;

const FIRST_LINE: &[u8] = b"bailee-bundle/v2\n";

/// A bundle that was exported for real, without its first line.
const GOOD: &[u8] = include_bytes!("../../seeds/record/bundle-body");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    if let Ok(view) = event::scan(bytes) {
        let _ = view.envelope();
    }
    if let Ok(places) = Places::parse(bytes) {
        assert_eq!(places.encode(), bytes);
    }
    if let Some((text, scope)) = std::str::from_utf8(bytes).ok().and_then(|t| Some((t, Scope::parse(t)?))) {
        assert_eq!(scope.to_string(), text);
    }
    let expect = Expect { threads: 1, ..Expect::default() };
    // Of all that a mutation of the good one can give, only the good one verifies; the fuzzer finds its first line too.
    let is_good = |bytes: &[u8]| bytes.strip_prefix(FIRST_LINE) == Some(GOOD);
    assert_eq!(verify(bytes, &expect).is_ok(), is_good(bytes));
    let framed = [FIRST_LINE, bytes].concat();
    assert_eq!(verify(framed.as_slice(), &expect).is_ok(), is_good(&framed));
    let report = audit(framed.as_slice(), &expect).map(|a| (a.markdown(), a.pdf()));
    assert!(report.is_ok_and(|(text, pdf)| !text.is_empty() && pdf.starts_with(b"%PDF-")));
});
