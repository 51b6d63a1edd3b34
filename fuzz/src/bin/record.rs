//! Records, events and whole bundles as the verifier reads them: nothing panics, nothing unsigned is believed.
#![no_main]

use bailee_proof::event;
use bailee_proof::record::Entry;
use bailee_verify::{Expect, verify};
use libfuzzer_sys::fuzz_target;

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
    assert!(verify(bytes, &expect).is_err());
    let mut framed = b"bailee-bundle/v1\n".to_vec();
    framed.extend_from_slice(bytes);
    // Of all that a mutation of the good one can give, only the good one verifies.
    assert_eq!(verify(framed.as_slice(), &expect).is_ok(), bytes == GOOD);
});
