//! Object requests: nothing panics, nobody signs without the secret, chunks never give more than was sent.
#![no_main]

use bailee_types::{BucketName, SecretText, Timestamp};
use bailee_wire::object::auth::{self, Terms};
use bailee_wire::object::{
    BatchDelete, Dialect, Encryption, Form, Head, Hosts, LifecycleRules, LockSettings, ObjectRequest,
    PartList, TagSet, VersioningSettings, cors_rules, logging_target, public_access_block, quota_bytes,
    read_legal_hold, read_retention, replication_rules, restore_days, worm_days,
};
use libfuzzer_sys::fuzz_target;

/// Lines of `name=value` as the fields of a form: what becomes of it is a request for the same bucket and key, or nothing.
fn form(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let fields =
        text.lines().filter_map(|l| l.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let (Ok(form), Ok(bucket)) = (Form::read(fields, "../a/b"), BucketName::parse("bucket")) else { return };
    let _ = form.check(&bucket, Timestamp::from_secs(1_800_000_000));
    if let Ok(Some(signed)) = form.signature() {
        let terms = Terms { now: Timestamp::from_secs(1_800_000_000), regions: &[], keys: None };
        assert!(signed.verify(&SecretText::new("a secret that no input knows".to_owned()), &terms).is_err());
    }
    let Ok(parts) = form.put_head(&bucket) else { return };
    if let Ok(head) = Head::read(&parts, form.dialect(), &Hosts::default())
        && let Ok(put) = ObjectRequest::of_form(&head)
    {
        assert_eq!((&put.bucket, &put.key), (&bucket, form.key()));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((parts, body)) = bailee_fuzz::request(bytes) else { return };
    let _ = BatchDelete::parse(body);
    let _ = PartList::parse(body);
    for dialect in [Dialect::S3, Dialect::Oss] {
        let _ = (LockSettings::parse(body, dialect), Encryption::parse(body, dialect));
        let _ = public_access_block(body, dialect);
    }
    let _ =
        (read_retention(body), read_legal_hold(body), worm_days(body), restore_days(body), quota_bytes(body));
    let _ = (LifecycleRules::parse(body), cors_rules(body), logging_target(body), replication_rules(body));
    form(body);
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
