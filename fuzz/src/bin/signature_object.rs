//! Object requests: nothing panics, nobody signs without the secret, chunks never give more than was sent.
#![no_main]

use bailee_types::{SecretText, Timestamp};
use bailee_wire::object::auth::{self, Terms};
use bailee_wire::object::{BatchDelete, Dialect, Encryption, Head, Hosts, LifecycleRules, LockSettings, ObjectRequest, PartList, TagSet,
    VersioningSettings, quota_bytes, read_legal_hold, read_retention, worm_days};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((parts, body)) = bailee_fuzz::request(bytes) else { return };
    let _ = BatchDelete::parse(body);
    let _ = PartList::parse(body);
    for dialect in [Dialect::S3, Dialect::Oss] {
        let _ = (LockSettings::parse(body, dialect), Encryption::parse(body, dialect));
    }
    let _ = (read_retention(body), read_legal_hold(body), worm_days(body), quota_bytes(body));
    let _ = LifecycleRules::parse(body);
    let _ = TagSet::parse(body);
    let _ = VersioningSettings::parse(body);
    let hosts = Hosts::new(["oss.example".to_owned()]);
    let Ok(head) = Head::read(&parts, Dialect::detect(&parts), &hosts) else { return };
    let _ = ObjectRequest::parse(&head);
    let Ok(auth::Auth::Signed(signed)) = auth::parse(&head) else { return };
    let terms = Terms { now: signed.date().plus_ms(1), regions: &[], keys: None };
    let secret = SecretText::new("a secret that no input knows".to_owned());
    assert!(signed.verify(&head, &secret, &terms).is_err());
    let late = Terms { now: Timestamp::from_secs(4_000_000_000), regions: &[], keys: None };
    assert!(signed.verify(&head, &secret, &late).is_err());
});
