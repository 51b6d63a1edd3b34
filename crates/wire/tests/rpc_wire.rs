//! Requests as real SDKs signed them: each is accepted as it is, and refused with anything changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_types::{SecretText, Timestamp};
use bailee_wire::rpc::{RpcError, RpcRequest, Scheme, looks_like_rpc};
use http::request::Parts;
use proptest::prelude::*;

const SECRET: &str = "BaileeFakeSecret0123456789abcd";

#[derive(serde::Deserialize, Clone)]
struct Vector {
    name: String,
    method: String,
    uri: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
}

impl Vector {
    fn parts(&self) -> Parts {
        let mut b = http::Request::builder().method(self.method.as_str()).uri(self.uri.as_str());
        for (name, value) in &self.headers {
            b = b.header(name, value);
        }
        b.body(()).unwrap().into_parts().0
    }

    fn verify(&self) -> Result<Scheme, RpcError> {
        let parts = self.parts();
        assert!(looks_like_rpc(&parts), "{}", self.name);
        let request = RpcRequest::read(&parts, self.body.as_bytes())?;
        let signed = request.signed(now())?;
        signed.verify(&SecretText::new(SECRET.into()))?;
        Ok(signed.scheme())
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("rpc_wire/signed.json")).unwrap()
}

fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|v| v.name == name).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse_iso("2026-01-02T03:10:00Z").unwrap()
}

#[test]
fn each_vector_of_the_contract_is_accepted() {
    let schemes: Vec<_> = vectors().iter().map(|v| (v.name.clone(), v.verify().unwrap())).collect();
    assert_eq!(schemes.len(), 6);
    for wanted in [Scheme::V1, Scheme::V3, Scheme::V3Sm3, Scheme::V4] {
        assert!(schemes.iter().any(|(_, s)| *s == wanted), "{wanted:?}");
    }
}

#[test]
fn another_secret_method_or_argument_is_refused() {
    for v in vectors() {
        let parts = v.parts();
        let request = RpcRequest::read(&parts, v.body.as_bytes()).unwrap();
        let wrong = request.signed(now()).unwrap().verify(&SecretText::new("other".into())).unwrap_err();
        assert_eq!((wrong.status(), wrong.code()), (400, "SignatureDoesNotMatch"), "{}", v.name);
        // The legacy SDK looks behind the first colon.
        assert!(wrong.message().contains("server string to sign is:"), "{}", v.name);
        let mut other = v.clone();
        other.method = if v.method == "POST" { "GET".into() } else { "POST".into() };
        assert!(other.verify().is_err(), "{}", v.name);
        let mut other = v.clone();
        other.uri.push_str("&Extra=1");
        assert!(other.verify().is_err(), "{}", v.name);
        let mut other = v;
        other.body.push('x');
        if other.name.starts_with("acs") {
            assert!(other.verify().is_err(), "{}", other.name);
        }
    }
}

#[test]
fn each_signed_header_counts() {
    for v in vectors().into_iter().filter(|v| v.name.starts_with("acs")) {
        for name in v.headers.keys() {
            // V4 signs host, content-type and x-acs-* only.
            if name == "accept" || name == "user-agent" {
                continue;
            }
            let mut other = v.clone();
            other.headers.get_mut(name).unwrap().push('0');
            assert!(other.verify().is_err(), "{} {name}", v.name);
        }
    }
}

#[test]
fn a_date_outside_fifteen_minutes_is_refused() {
    let v = vector("acs3_form_body");
    let parts = v.parts();
    let request = RpcRequest::read(&parts, v.body.as_bytes()).unwrap();
    for at in ["2026-01-02T03:19:06Z", "2026-01-02T02:49:04Z"] {
        let error = request.signed(Timestamp::parse_iso(at).unwrap()).unwrap_err();
        assert_eq!(error.code(), "InvalidTimeStamp.Expired");
    }
    assert!(request.signed(Timestamp::parse_iso("2026-01-02T03:19:05Z").unwrap()).is_ok());
}

fn read(uri: &str, headers: &[(&str, &str)]) -> Result<(), RpcError> {
    let mut b = http::Request::post(uri);
    for (name, value) in headers {
        b = b.header(*name, *value);
    }
    let parts = b.body(()).unwrap().into_parts().0;
    let request = RpcRequest::read(&parts, b"")?;
    request.signed(now()).map(drop)
}

#[test]
fn what_is_wrong_is_named() {
    let code = |uri: &str, headers: &[(&str, &str)]| read(uri, headers).unwrap_err().code().to_owned();
    assert_eq!(code("/", &[]), "MissingParameter");
    assert_eq!(code("/?Action=GetUser&Version=1999-01-01", &[]), "InvalidVersion");
    assert_eq!(code("/?Action=NoSuch&Version=2015-05-01", &[]), "InvalidAction.NotFound");
    assert_eq!(code("/?Action=GetUser&Version=2015-05-01", &[]), "IncompleteSignature");
    assert_eq!(code("/?Action=GetUser&Action=GetUser&Version=2015-05-01", &[]), "InvalidParameter");
    assert_eq!(
        code("/?Action=GetUser&Version=2015-05-01", &[("x-acs-action", "CreateUser")]),
        "InvalidParameter.Action"
    );
    assert_eq!(code("/?Action=GetUser&Version=2015-05-01&Format=XML", &[]), "InvalidParameter.Format");
    assert_eq!(code("/?Action=GetUser&Version=2015-05-01&BearerToken=x", &[]), "UnsupportedSignatureMethod");
    assert_eq!(code("/?Action=GetUser&Version=2015-05-01&UserName=%FF", &[]), "InvalidParameter");
}

#[test]
fn arguments_are_read_or_named() {
    let uri = "/?Action=CreateUser&Version=2015-05-01&A=True&B=maybe&N=7&Tag.1.Key=k&Tag.1.Value=v&Tag.2.Key=x\
               &L=%5B%22a%22%2C%22b%22%5D&M.1=a&UserName=li%20";
    let parts = http::Request::post(uri).body(()).unwrap().into_parts().0;
    let request = RpcRequest::read(&parts, b"").unwrap();
    assert_eq!(request.flag("A").unwrap(), Some(true));
    assert_eq!(request.flag("Missing").unwrap(), None);
    assert_eq!(request.flag("B").unwrap_err().code(), "InvalidParameter.B");
    assert_eq!(request.number("N", 1..=10).unwrap(), Some(7));
    assert_eq!(request.number("N", 8..=10).unwrap_err().code(), "InvalidParameter.N");
    assert_eq!(request.tags().unwrap(), [("k".into(), "v".into()), ("x".into(), String::new())]);
    assert_eq!(request.list("L").unwrap(), ["a", "b"]);
    assert_eq!(request.list("M").unwrap(), ["a"]);
    assert_eq!(request.list("B").unwrap_err().code(), "InvalidParameter.B");
    let name =
        |max| request.name("UserName", max, bailee_types::UserName::parse).unwrap_err().code().to_owned();
    assert_eq!(name(64), "InvalidParameter.UserName.InvalidChars");
    assert_eq!(name(2), "InvalidParameter.UserName.Length");
    assert_eq!(request.secret("Password").unwrap_err().code(), "MissingParameter");
}

#[test]
fn an_error_is_json_with_code_and_request_id_and_its_debug_holds_no_message() {
    let error = RpcError::new(400, "SignatureDoesNotMatch", "secret text");
    let body: serde_json::Value = serde_json::from_slice(&error.render("R1", "h", true)).unwrap();
    assert_eq!(body["Code"], "SignatureDoesNotMatch");
    assert_eq!(body["RequestId"], "R1");
    assert_eq!(body["HttpStatus"], 400);
    assert!(!format!("{error:?}").contains("secret"));
}

proptest! {
    #[test]
    fn any_query_and_header_is_read_without_a_panic(q in "[ -~]{0,80}", auth in "[ -~]{0,120}", body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let uri: String = format!("/?{q}").chars().filter(|c| c.is_ascii_graphic()).collect();
        if let Ok(request) = http::Request::post(&uri).header("authorization", &auth).header("content-type", "application/x-www-form-urlencoded").body(()) {
            let parts = request.into_parts().0;
            if let Ok(request) = RpcRequest::read(&parts, &body) {
                let _ = (request.signed(now()), request.tags().is_ok(), request.list("Tag").is_ok());
            }
        }
    }

    #[test]
    fn any_changed_character_of_a_signature_is_found(at in any::<prop::sample::Index>()) {
        for v in vectors().into_iter().filter(|v| v.name.starts_with("acs")) {
            let mut other = v.clone();
            let auth = other.headers.get_mut("authorization").unwrap();
            let start = auth.rfind("Signature=").unwrap() + 10;
            let i = start + at.index(auth.len() - start);
            let new = if auth.as_bytes()[i] == b'0' { "1" } else { "0" };
            auth.replace_range(i..=i, new);
            prop_assert!(other.verify().is_err());
        }
    }
}
