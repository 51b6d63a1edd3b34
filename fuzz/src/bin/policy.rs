//! Policies: none panics or takes for ever, and the index decides as reading every statement does.
#![no_main]

use std::sync::Arc;

use bailee_policy::{Policy, PolicySet, Request};
use bailee_types::{Arn, BucketName, ObjectKey, TenantId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // What is behind the document is what is asked for.
    let (document, asked) = text.rsplit_once('\n').unwrap_or((text, "oss:GetObject a/b"));
    match Policy::parse(document) {
        Ok(policy) => {
            let set = PolicySet::compile(vec![("p".to_owned(), Arc::new(policy))]);
            let (action, resource) = asked.split_once(' ').unwrap_or((asked, "a/b"));
            let tenant = TenantId::parse("1000000000000001").expect("a tenant id");
            let (bucket, key) = resource.split_once('/').unwrap_or((resource, "k"));
            let (Ok(bucket), Ok(key)) = (BucketName::parse(bucket), ObjectKey::parse(key)) else { return };
            let resource = Arn::object(&tenant, &bucket, &key);
            let request = Request { action, resource: &resource };
            assert_eq!(set.decide(&request), set.decide_plainly(&request));
        }
        // A place, or none at all.
        Err(e) => assert_eq!(e.line() == 0, e.column() == 0, "{e}"),
    }
});
