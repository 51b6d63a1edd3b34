//! Signature wrapping: the signed element is kept somewhere, and another one stands where it was. The eight
//! permutations are those of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, 2012), XSW1 to XSW8.

use bailee_federation::saml::{Assertion, SamlError};
use proptest::prelude::*;

use super::maker::{NS, NS_DS, Parts, Style, verify};
use crate::keys::Key;

const CLOSING: &str = "</ds:Signature>";

fn evil() -> Parts {
    Parts::default()
        .with("name", "root@acme.example")
        .with("id", "_evil")
        .with("response-id", "_evil_response")
}

/// The signature of a document that has one.
fn signature_of(xml: &str) -> &str {
    let from = xml.find("<ds:Signature ").unwrap();
    &xml[from..xml.find(CLOSING).unwrap() + CLOSING.len()]
}

/// `xml` with `inside` as the last child of its signature.
fn into_signature(xml: &str, inside: &str) -> String {
    xml.replacen(CLOSING, &format!("{inside}{CLOSING}"), 1)
}

/// Never the attacker's name; a document that still verifies says what was signed.
fn refused(name: &str, xml: &str) -> SamlError {
    roxmltree::Document::parse(xml).unwrap();
    verify(xml).map(|a: Assertion| a.subject).expect_err(name)
}

#[test]
fn xsw1_and_xsw2_a_signed_response_is_kept_in_or_before_its_signature() {
    let key = Key::rsa();
    let good = Parts::default().signed_around(&key, &Parts::default().assertion(""));
    let signature = signature_of(&good);
    let original = good.replacen(signature, "", 1);
    for same_id in [false, true] {
        let evil = if same_id { evil().with("response-id", "_response") } else { evil() };
        let xsw1 = evil.response(&into_signature(signature, &original), &evil.assertion(""));
        let xsw2 = evil.response(&format!("{original}{signature}"), &evil.assertion(""));
        for (name, xml) in [("XSW1", xsw1), ("XSW2", xsw2)] {
            let wanted = if same_id {
                SamlError::DuplicateId { id: "_response".into() }
            } else {
                SamlError::Assertions { count: 2 }
            };
            assert_eq!(refused(name, &xml), wanted, "{name}");
        }
    }
    // The same with an assertion that the wrapper has no second one of.
    let empty = evil().response(&into_signature(signature, &original), "");
    assert_eq!(refused("XSW1", &empty), SamlError::Misplaced);
}

#[test]
fn xsw3_to_xsw8_a_signed_assertion_is_kept_beside_around_or_below() {
    let key = Key::rsa();
    let good = Parts::default().signed_assertion(&key, &Style::default());
    let signature = signature_of(&good);
    let original = good.replacen(signature, "", 1);
    let evil = evil();
    let around = |inside: &str| Parts::default().response("", inside);
    let forged = evil.assertion("");
    let with_child =
        |inside: &str| forged.replacen("</saml:Assertion>", &format!("{inside}</saml:Assertion>"), 1);
    let extensions = format!("<samlp:Extensions>{forged}</samlp:Extensions>{good}");
    let all = [
        ("XSW3", around(&format!("{forged}{good}"))),
        ("XSW3 after", around(&format!("{good}{forged}"))),
        ("XSW4", around(&with_child(&good))),
        ("XSW5", around(&format!("{}{original}", evil.assertion(signature)))),
        ("XSW6", around(&evil.assertion(&into_signature(signature, &original)))),
        ("XSW7", around(&extensions)),
        (
            "XSW8",
            around(
                &evil.assertion(&into_signature(signature, &format!("<ds:Object>{original}</ds:Object>"))),
            ),
        ),
    ];
    for (name, xml) in all {
        assert_eq!(refused(name, &xml), SamlError::Assertions { count: 2 }, "{name}");
        let same_id = xml.replace("\"_evil\"", "\"_assertion\"");
        assert_eq!(refused(name, &same_id), SamlError::DuplicateId { id: "_assertion".into() }, "{name}");
        // The signed one under another name, which no reader takes for an assertion.
        let hidden = xml.replacen("saml:Assertion xmlns:saml=", "saml:Advice xmlns:saml=", 1);
        assert!(roxmltree::Document::parse(&hidden).is_err() || verify(&hidden).is_err(), "{name}");
    }
}

#[test]
fn two_assertions_are_refused_even_when_both_are_signed() {
    let key = Key::rsa();
    let two = format!(
        "{}{}",
        Parts::default().signed_assertion(&key, &Style::default()),
        evil().signed_assertion(&key, &Style::default())
    );
    assert_eq!(refused("two", &Parts::default().response("", &two)), SamlError::Assertions { count: 2 });
    let whole = Parts::default().signed_around(&key, &two);
    assert_eq!(refused("two", &whole), SamlError::Assertions { count: 2 });
}

#[test]
fn a_signature_elsewhere_or_twice_or_with_an_object_is_refused() {
    let key = Key::rsa();
    let good = Parts::default().signed_assertion(&key, &Style::default());
    let over = signature_of(&good).to_owned();
    let below =
        Parts::default().assertion("").replacen("<saml:Subject>", &format!("<saml:Subject>{over}"), 1);
    let response = |inside: &str| Parts::default().response("", inside);
    assert_eq!(refused("below", &response(&below)), SamlError::SignatureElsewhere);
    let twice = Parts::default().assertion(&format!("{over}{over}"));
    assert!(matches!(refused("twice", &response(&twice)), SamlError::Twice { .. } | SamlError::Digest));
    let with_object = response(&good).replacen(CLOSING, &format!("<ds:Object>x</ds:Object>{CLOSING}"), 1);
    assert!(matches!(refused("object", &with_object), SamlError::SignatureForm { .. }));
    // The assertion's good signature, moved to the response.
    let moved = Parts::default().response(&over, &Parts::default().assertion(""));
    assert_eq!(refused("moved", &moved), SamlError::ReferenceElsewhere);
    // A response signed around one assertion, which was then exchanged.
    let whole = Parts::default().signed_around(&key, &Parts::default().assertion(""));
    let exchanged = whole.replacen(&Parts::default().assertion(""), &evil().assertion(""), 1);
    assert_eq!(refused("exchanged", &exchanged), SamlError::Digest);
    // An evil response around a good signed one.
    let wrapped = evil().response("", &whole);
    assert_eq!(refused("wrapped", &wrapped), SamlError::Misplaced);
}

/// Where elements begin and end in a document.
fn elements(xml: &str) -> Vec<std::ops::Range<usize>> {
    let document = roxmltree::Document::parse(xml).unwrap();
    document.descendants().filter(roxmltree::Node::is_element).map(|n| n.range()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Any element copied or moved to any place, with the name changed somewhere: what verifies says what was signed.
    #[test]
    fn what_is_moved_verifies_only_as_it_was_signed(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), at_end: bool, cut: bool, rename: bool,
        whole: bool
    ) {
        let key = Key::rsa();
        let good = if whole {
            Parts::default().signed_around(&key, &Parts::default().assertion(""))
        } else {
            Parts::default().signed(&key, &Style::default())
        };
        // All prefixes are bound everywhere, so that what is moved can be read there; exclusive C14N does not mind.
        let good = good.replacen("<samlp:Response ", &format!("<samlp:Response {NS} {NS_DS} "), 1);
        let signed = verify(&good).unwrap();
        let all = elements(&good);
        let (from, to) = (all[from.index(all.len())].clone(), all[to.index(all.len())].clone());
        let mut copied = good[from.clone()].to_owned();
        let place = if at_end { to.end } else { to.start };
        let mut changed = good.clone();
        if rename { copied = copied.replace("lin@", "root@").replace("\"_", "\"_x"); }
        changed.insert_str(place, &copied);
        if cut {
            let start = if place <= from.start { from.start + copied.len() } else { from.start };
            if place <= from.start || place >= from.end { changed.replace_range(start..start + from.len(), ""); }
        }
        if let Ok(found) = verify(&changed) {
            prop_assert_eq!(found, signed);
        }
    }

    #[test]
    fn a_changed_byte_never_changes_what_is_said(at in any::<prop::sample::Index>(), to in 32u8..127) {
        let good = Parts::default().signed(&Key::rsa(), &Style::default());
        let signed = verify(&good).unwrap();
        let mut changed = good.into_bytes();
        let at = at.index(changed.len());
        changed[at] = to;
        if let Ok(found) = verify(std::str::from_utf8(&changed).unwrap()) {
            prop_assert_eq!(found, signed);
        }
    }
}
