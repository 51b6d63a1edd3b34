//! Object requests as real SDKs signed them: each is accepted as it is, and refused with anything changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bailee_types::{SecretText, Timestamp};
use bailee_wire::object::{Dialect, Head, Hosts, ObjectError, auth};
use http::request::Parts;

const SECRET: &str = "BaileeFakeSecret0123456789abcd";

#[derive(serde::Deserialize, Clone)]
struct Vector {
    name: String,
    method: String,
    uri: String,
    headers: BTreeMap<String, String>,
}

impl Vector {
    fn parts(&self) -> Parts {
        let mut b = http::Request::builder().method(self.method.as_str()).uri(self.uri.as_str());
        for (name, value) in &self.headers {
            b = b.header(name, value);
        }
        b.body(()).unwrap().into_parts().0
    }

    fn verify(&self) -> Result<auth::Scheme, ObjectError> {
        let parts = self.parts();
        let head = Head::read(&parts, Dialect::detect(&parts), &Hosts::default())?;
        let auth::Auth::Signed(signed) = auth::parse(&head)? else { panic!("{} is not signed", self.name) };
        let now = Timestamp::parse_basic("20260102T030500Z").unwrap();
        let terms = auth::Terms { now, regions: &[], keys: None };
        signed.verify(&head, &SecretText::new(SECRET.into()), &terms).map(|v| v.scheme)
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("object_wire/signed.json")).unwrap()
}

#[test]
fn each_vector_is_accepted() {
    let mut seen = std::collections::BTreeSet::new();
    for v in vectors() {
        let scheme = v.verify().unwrap_or_else(|e| panic!("{}: {e}", v.name));
        seen.insert(format!("{scheme:?}"));
    }
    for wanted in ["OssV1", "OssV1Presigned", "OssV4", "OssV4Presigned"] {
        assert!(seen.contains(wanted), "{wanted} of {seen:?}");
    }
}

#[test]
fn another_method_or_path_is_refused() {
    for v in vectors() {
        let mut other = v.clone();
        other.method = if v.method == "PUT" { "POST".into() } else { "PUT".into() };
        assert!(other.verify().is_err(), "{} with another method", v.name);
        let mut other = v.clone();
        other.uri = v.uri.replacen("bkt-a", "bkt-b", 1);
        if other.uri != v.uri {
            assert!(other.verify().is_err(), "{} with another bucket", v.name);
        }
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for v in vectors() {
        let mut other = v.clone();
        if let Some(value) = other.headers.get_mut("authorization") {
            let last = value.pop().unwrap();
            let before = value.pop().unwrap();
            value.push(if before == 'A' { 'B' } else { 'A' });
            value.push(last);
        } else {
            other.uri =
                v.uri.replace("Signature=", "Signature=A").replace("x-oss-signature=", "x-oss-signature=0");
        }
        assert!(other.verify().is_err(), "{}", v.name);
    }
}
