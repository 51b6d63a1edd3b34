//! Records, events and whole bundles as the verifier reads them: nothing panics, nothing unsigned is believed.
#![no_main]

use bailee_proof::event;
use bailee_proof::record::Entry;
use bailee_verify::{Expect, verify};
use libfuzzer_sys::fuzz_target;

const FIRST_LINE: &[u8] = b"bailee-bundle/v1\n";

/// A bundle that was exported for real, without its first line.
const GOOD: &[u8] = include_bytes!("../../seeds/record/bundle-body");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    if let Ok(view) = event::scan(bytes) {
        let _ = view.envelope();
    }
    let expect = Expect { key: None, tenant: None, head: None };
    // Of all that a mutation of the good one can give, only the good one verifies; the fuzzer finds its first line too.
    let is_good = |bytes: &[u8]| bytes.strip_prefix(FIRST_LINE) == Some(GOOD);
    assert_eq!(verify(bytes, &expect).is_ok(), is_good(bytes));
    let framed = [FIRST_LINE, bytes].concat();
    assert_eq!(verify(framed.as_slice(), &expect).is_ok(), is_good(&framed));
});
