//! SAML responses and metadata: nothing panics, and what verifies says what was signed, wherever it was moved to. The
//! seeds that begin with `<` are signed by the test keys of `crates/federation`; they all say the same.
#![no_main]

use std::sync::LazyLock;

use bailee_federation::saml::{Assertion, Expect, IdpMetadata, verify_response};
use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

const ACS: &str = "https://trust.example/saml/acs";
const SP: &str = "https://trust.example/saml";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../crates/federation/tests/it/keys/p256.pk8");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &SystemRandom::new()).expect("a key")
});

static IDP: LazyLock<IdpMetadata> = LazyLock::new(|| {
    let keys: [&[u8]; 2] = [
        include_bytes!("../../../crates/federation/tests/it/keys/issuer.crt"),
        include_bytes!("../../../crates/federation/tests/it/keys/p256.crt"),
    ];
    let keys: String = keys
        .iter()
        .map(|key| {
            let key = STANDARD.encode(key);
            format!("<KeyDescriptor><KeyInfo xmlns='{DS}'><X509Data><X509Certificate>{key}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>")
        })
        .collect();
    let text = format!(
        "<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='https://idp.example/metadata'>\
         <IDPSSODescriptor>{keys}<SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' \
         Location='https://idp.example/'/></IDPSSODescriptor></EntityDescriptor>"
    );
    IdpMetadata::parse(text.as_bytes()).expect("metadata")
});

/// What all signed seeds say.
static SIGNED: LazyLock<Assertion> = LazyLock::new(|| {
    // The seed of the other kind must get as far as it can, or its mutants are for nothing.
    let content = include_str!("../../seeds/saml/content").strip_prefix("content\n").expect("its first line");
    assert!(verify(signed(content).as_bytes()).is_some());
    verify(include_bytes!("../../seeds/saml/signxml_assertion")).expect("a seed that verifies")
});

fn verify(xml: &[u8]) -> Option<Assertion> {
    let now = Timestamp::parse_iso("2027-01-15T08:00:00Z").expect("a time");
    let expect =
        Expect { audience: SP, recipient: ACS, now, leeway_ms: 60_000, in_response_to: Some("_request") };
    verify_response(xml, &IDP, &expect).ok()
}

/// A response around an assertion of this content, signed as if it were in canonical form already.
fn signed(content: &str) -> String {
    let open = format!(
        "<a:Assertion xmlns:a=\"{SAML}\" ID=\"_a\" IssueInstant=\"2027-01-15T07:59:59Z\" Version=\"2.0\">"
    );
    let canonical = format!("{open}{content}</a:Assertion>");
    let value = STANDARD.encode(digest(&SHA256, canonical.as_bytes()));
    let inside = format!(
        "<d:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></d:CanonicalizationMethod>\
         <d:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"></d:SignatureMethod>\
         <d:Reference URI=\"#_a\"><d:Transforms><d:Transform Algorithm=\"{DS}enveloped-signature\"></d:Transform>\
         <d:Transform Algorithm=\"{EXCLUSIVE}\"></d:Transform></d:Transforms>\
         <d:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></d:DigestMethod>\
         <d:DigestValue>{value}</d:DigestValue></d:Reference></d:SignedInfo>"
    );
    let made = KEY
        .sign(&SystemRandom::new(), format!("<d:SignedInfo xmlns:d=\"{DS}\">{inside}").as_bytes())
        .expect("a signature");
    let value = STANDARD.encode(made.as_ref());
    format!(
        "<p:Response xmlns:p=\"urn:oasis:names:tc:SAML:2.0:protocol\" Version=\"2.0\" InResponseTo=\"_request\"><p:Status>\
         <p:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></p:Status>{open}<d:Signature xmlns:d=\"{DS}\">\
         <d:SignedInfo>{inside}<d:SignatureValue>{value}</d:SignatureValue></d:Signature>{content}</a:Assertion></p:Response>"
    )
}

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&SIGNED);
    if let Some(rest) = bytes.strip_prefix(b"metadata\n") {
        if let Ok(found) = IdpMetadata::parse(rest) {
            assert!(!found.entity_id.is_empty());
        }
    } else if let Some(rest) = bytes.strip_prefix(b"content\n") {
        let Ok(content) = std::str::from_utf8(rest) else { return };
        if let Some(found) = verify(signed(content).as_bytes()) {
            assert_eq!((found.id.as_str(), found.recipient.as_str()), ("_a", ACS));
            assert!(found.audiences.iter().any(|a| a == SP) && !found.subject.is_empty());
        }
    } else if let Some(found) = verify(bytes) {
        assert_eq!(found, *SIGNED);
    }
});
