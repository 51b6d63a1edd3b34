//! Responses that other implementations wrote and signed (`tests/oracles/make_saml.py`): pysaml2, signxml, libxmlsec1.

use bailee_federation::saml::{Expect, SamlError, verify_response};
use bailee_types::Timestamp;

use super::maker::{expect, metadata};

const ALL: [(&str, &str); 7] = [
    ("signxml, the assertion", include_str!("../fixtures/signxml_assertion.xml")),
    ("signxml, the response", include_str!("../fixtures/signxml_response.xml")),
    ("libxmlsec1, prefixes that are kept", include_str!("../fixtures/xmlsec_prefixes.xml")),
    ("signxml, both", include_str!("../fixtures/signxml_both.xml")),
    ("signxml, ECDSA", include_str!("../fixtures/signxml_ecdsa.xml")),
    ("libxmlsec1, the assertion", include_str!("../fixtures/xmlsec_assertion.xml")),
    ("libxmlsec1, the response", include_str!("../fixtures/xmlsec_response.xml")),
];

#[test]
fn what_others_sign_verifies() {
    for (name, xml) in ALL {
        let found = verify_response(xml.as_bytes(), &metadata(), &expect()).expect(name);
        assert_eq!((found.id.as_str(), found.subject.as_str()), ("_assertion", "lin@acme.example"), "{name}");
        assert_eq!(found.attributes, [("displayName".to_owned(), vec!["Lin Müller <r & d>".to_owned()])]);
        assert_eq!(found.session_not_on_or_after, None);
    }
}

#[test]
fn what_others_sign_and_somebody_changes_does_not_verify() {
    for (name, xml) in ALL {
        let changed = xml.replacen("lin@acme", "root@acme", 1);
        let found = verify_response(changed.as_bytes(), &metadata(), &expect()).expect_err(name);
        assert_eq!(found, SamlError::Digest, "{name}");
        let later = Expect { now: Timestamp::parse_iso("2027-01-16T00:00:00Z").unwrap(), ..expect() };
        let found = verify_response(xml.as_bytes(), &metadata(), &later).expect_err(name);
        assert!(matches!(found, SamlError::Expired { .. }), "{name}");
    }
}
