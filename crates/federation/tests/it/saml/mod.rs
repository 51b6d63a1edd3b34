//! SAML responses: each rule kept once and broken once.

mod foreign;
mod maker;
mod wrapping;

use bailee_federation::saml::{
    CertificateError, Expect, IdpMetadata, SamlError, SignOnRequest, XML_BYTES_MAX, decode_response,
    service_metadata, verify_response,
};
use bailee_types::Timestamp;
use ring::digest;

use self::maker::{
    ENVELOPED, EXCLUSIVE, IDP, Parts, Style, expect, metadata, metadata_xml, signature, verify,
};
use crate::keys::Key;

fn signed_with(name: &'static str, value: &str) -> Result<String, SamlError> {
    verify(&Parts::default().with(name, value).signed(&Key::rsa(), &Style::default())).map(|a| a.subject)
}

#[test]
fn a_signed_assertion_is_read() {
    let found = verify(&Parts::default().signed(&Key::rsa(), &Style::default())).unwrap();
    assert_eq!((found.id.as_str(), found.issuer.as_str()), ("_assertion", IDP));
    assert_eq!(found.subject, "lin@acme.example");
    assert_eq!(
        found.subject_format.as_deref(),
        Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")
    );
    assert_eq!(found.not_on_or_after, Timestamp::parse_iso("2027-01-15T08:05:00Z").unwrap(), "the earliest");
    assert_eq!(found.session_not_on_or_after, Timestamp::parse_iso("2027-01-15T20:00:00Z").ok());
    assert_eq!(found.authenticated_at, Timestamp::parse_iso("2027-01-15T07:59:58Z").ok());
    assert_eq!(found.session_index.as_deref(), Some("_s1"));
    assert_eq!(found.attributes, [("groups".to_owned(), vec!["ops".to_owned(), "r & d".to_owned()])]);
    assert_eq!(found.audiences, [maker::SP]);
    let whole = Parts::default().signed_around(&Key::rsa(), &Parts::default().assertion(""));
    assert_eq!(verify(&whole).unwrap(), found, "signed as a whole");
    let both = Parts::default().signed_assertion(&Key::rsa(), &Style::default());
    assert_eq!(verify(&Parts::default().signed_around(&Key::rsa(), &both)).unwrap(), found, "signed twice");
}

#[test]
fn each_algorithm_of_the_list_verifies() {
    let sha384 = ("http://www.w3.org/2001/04/xmldsig-more#sha384", &digest::SHA384);
    let sha512 = ("http://www.w3.org/2001/04/xmlenc#sha512", &digest::SHA512);
    for (key, style) in [
        (Key::rsa(), Style::method("rsa-sha384", "RS384")),
        (Key::rsa(), Style { digest: sha512, ..Style::method("rsa-sha512", "RS512") }),
        (Key::fixed_p256(), Style::method("ecdsa-sha256", "ES256")),
        (Key::fixed_p384(), Style { digest: sha384, ..Style::method("ecdsa-sha384", "ES384") }),
    ] {
        assert_eq!(verify(&Parts::default().signed(&key, &style)).map(|a| a.id), Ok("_assertion".into()));
    }
}

#[test]
fn the_form_value_is_base64_with_line_breaks() {
    use base64::Engine as _;
    let xml = Parts::default().signed(&Key::rsa(), &Style::default());
    let mut value = base64::engine::general_purpose::STANDARD.encode(&xml);
    value.insert_str(76, "\r\n");
    assert_eq!(decode_response(&value).unwrap(), xml.as_bytes());
    assert_eq!(decode_response("%"), Err(SamlError::Base64));
    assert_eq!(decode_response(&"A".repeat(1 << 20)), Err(SamlError::TooLong));
}

#[test]
fn what_is_not_signed_or_not_by_this_key_is_refused() {
    let plain = Parts::default().response("", &Parts::default().assertion(""));
    assert_eq!(verify(&plain), Err(SamlError::Unsigned));
    // Its key stands in `KeyInfo`, and nobody looks there.
    let foreign = Parts::default().signed(&Key::other_rsa(), &Style::default());
    assert_eq!(verify(&foreign), Err(SamlError::Signature));
    let both = Parts::default().signed_assertion(&Key::other_rsa(), &Style::default());
    assert_eq!(verify(&Parts::default().signed_around(&Key::rsa(), &both)), Err(SamlError::Signature));
    let good = Parts::default().signed(&Key::rsa(), &Style::default());
    assert_eq!(verify(&good.replacen("lin@acme", "root@acme", 1)), Err(SamlError::Digest));
    assert_eq!(verify(&good.replacen("#sha256", "#sha512", 1)), Err(SamlError::Signature));
}

#[test]
fn weak_or_foreign_algorithms_are_refused() {
    let with = |style: Style| verify(&Parts::default().signed(&Key::rsa(), &style)).unwrap_err();
    let sha1 = ("http://www.w3.org/2000/09/xmldsig#sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY);
    assert_eq!(with(Style { digest: sha1, ..Style::default() }), SamlError::Sha1);
    let method = "http://www.w3.org/2000/09/xmldsig#rsa-sha1".to_owned();
    assert_eq!(with(Style { method, ..Style::default() }), SamlError::Sha1);
    assert!(matches!(with(Style::method("hmac-sha256", "RS256")), SamlError::Algorithm { .. }));
    assert_eq!(with(Style::method("ecdsa-sha256", "RS256")), SamlError::Signature, "another kind of key");
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    for c14n in [inclusive, "http://www.w3.org/2001/10/xml-exc-c14n#WithComments", ""] {
        let wanted = SamlError::Canonicalization { algorithm: c14n.into() };
        assert_eq!(with(Style { c14n, ..Style::default() }), wanted);
        assert_eq!(with(Style { transforms: vec![ENVELOPED, c14n], ..Style::default() }), wanted);
    }
    let xslt = "http://www.w3.org/TR/1999/REC-xslt-19991116";
    for transforms in [
        vec![],
        vec![EXCLUSIVE],
        vec![ENVELOPED],
        vec![EXCLUSIVE, ENVELOPED],
        vec![xslt, EXCLUSIVE],
        vec![ENVELOPED, EXCLUSIVE, xslt],
    ] {
        let found = with(Style { transforms, ..Style::default() });
        assert!(matches!(found, SamlError::SignatureForm { .. }), "{found}");
    }
}

#[test]
fn parameters_of_algorithms_that_nobody_asked_for_are_refused() {
    let changes: [fn(String) -> String; 5] = [
        |i| {
            i.replacen(
                "></ds:SignatureMethod>",
                "><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
                1,
            )
        },
        |i| i.replace("ds:Transform ", "ds:Other ").replace("</ds:Transform>", "</ds:Other>"),
        |i| i.replacen("></ds:Transform>", "><ds:XPath>x</ds:XPath></ds:Transform>", 1),
        |i| {
            i.replacen(
                "></ds:Transform></ds:Transforms>",
                "><ds:XPath>x</ds:XPath></ds:Transform></ds:Transforms>",
                1,
            )
        },
        |i| i.replacen("></ds:CanonicalizationMethod>", "><ds:X>x</ds:X></ds:CanonicalizationMethod>", 1),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let xml = Parts::default().signed(&Key::rsa(), &Style { change, ..Style::default() });
        assert!(matches!(verify(&xml), Err(SamlError::SignatureForm { .. })), "{n}: {:?}", verify(&xml));
    }
}

#[test]
fn a_signature_over_another_element_is_refused() {
    let with = |style: Style| verify(&Parts::default().signed(&Key::rsa(), &style)).unwrap_err();
    for uri in ["", "#_response", "#", "_assertion", "#xpointer(id('_assertion'))", "https://a.example/"] {
        let style = Style { uri: Some(uri.to_owned()), ..Style::default() };
        assert_eq!(with(style), SamlError::ReferenceElsewhere, "{uri}");
    }
    assert_eq!(with(Style { references: 2, ..Style::default() }), SamlError::Twice { element: "Reference" });
    let none = with(Style { references: 0, ..Style::default() });
    assert_eq!(none, SamlError::Missing { what: "Reference" });
    // A good signature of the subject's name only, in an assertion that nobody signed.
    let name =
        "<saml:NameID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_name\">x</saml:NameID>";
    let over_name = signature(&Key::rsa(), "_name", name, &Style::default());
    let xml = Parts::default().response("", &Parts::default().assertion(&over_name));
    assert_eq!(verify(&xml), Err(SamlError::ReferenceElsewhere));
}

#[test]
fn an_assertion_for_others_is_refused() {
    assert_eq!(signed_with("audience", "https://other.example"), Err(SamlError::Audience));
    let elsewhere = "https://other.example/acs";
    assert_eq!(signed_with("recipient", elsewhere), Err(SamlError::Recipient { found: elsewhere.into() }));
    assert_eq!(signed_with("destination", elsewhere), Err(SamlError::Recipient { found: elsewhere.into() }));
    let none = SamlError::Missing { what: "SubjectConfirmation" };
    assert_eq!(signed_with("method", "holder-of-key"), Err(none));
    let issuer = "https://other.example/metadata";
    assert_eq!(signed_with("issuer", issuer), Err(SamlError::Issuer { found: issuer.into() }));
    assert_eq!(signed_with("version", "1.1"), Err(SamlError::Version));
    let denied = "urn:oasis:names:tc:SAML:2.0:status:Responder";
    assert_eq!(signed_with("status", denied), Err(SamlError::Status { status: "Responder".into() }));
    let restriction = "<saml:AudienceRestriction><saml:Audience>https://b.example</saml:Audience></saml:AudienceRestriction>";
    assert_eq!(signed_with("condition", restriction), Err(SamlError::Audience), "all restrictions count");
    assert!(signed_with("condition", "<saml:OneTimeUse></saml:OneTimeUse>").is_ok());
    let unknown = SamlError::Condition { condition: "Condition".into() };
    assert_eq!(signed_with("condition", "<saml:Condition></saml:Condition>"), Err(unknown));
}

#[test]
fn an_assertion_of_another_time_is_refused() {
    let at = |text: &str| Timestamp::parse_iso(text).unwrap();
    for name in ["confirmed-until", "end", "session-end"] {
        assert!(signed_with(name, "2027-01-15T07:59:01Z").is_ok(), "leeway");
        let ended = "2027-01-15T07:59:00Z";
        assert_eq!(signed_with(name, ended), Err(SamlError::Expired { at: at(ended) }), "{name}");
    }
    assert!(signed_with("begin", "2027-01-15T08:01:00Z").is_ok(), "leeway");
    let later = "2027-01-15T08:01:01Z";
    assert_eq!(signed_with("begin", later), Err(SamlError::NotYet { at: at(later) }));
    assert_eq!(signed_with("begin", "yesterday"), Err(SamlError::Form { what: "NotBefore" }));
}

#[test]
fn an_answer_to_another_sign_on_is_refused() {
    let other = " InResponseTo=\"_other\"";
    assert_eq!(signed_with("answers", other), Err(SamlError::InResponseTo));
    assert_eq!(signed_with("response-answers", other), Err(SamlError::InResponseTo));
    assert_eq!(signed_with("answers", ""), Err(SamlError::InResponseTo));
    let unasked = Parts::default().with("answers", "").with("response-answers", "");
    let unasked = unasked.signed(&Key::rsa(), &Style::default());
    let begun_there = Expect { in_response_to: None, ..expect() };
    assert!(verify_response(unasked.as_bytes(), &metadata(), &begun_there).is_ok());
    let answer = Parts::default().signed(&Key::rsa(), &Style::default());
    let found = verify_response(answer.as_bytes(), &metadata(), &begun_there);
    assert_eq!(found, Err(SamlError::InResponseTo), "a stolen answer is none that nobody asked for");
}

#[test]
fn a_comment_does_not_cut_a_name() {
    // The identity provider signed the long name; the comment was put in later and does not change the digest.
    let long = Parts::default()
        .with("name", "root@acme.example.evil.example")
        .signed(&Key::rsa(), &Style::default());
    let cut = long.replacen("root@acme.example.evil", "root@acme.example<!-- -->.evil", 1);
    assert_ne!(cut, long);
    assert_eq!(verify(&cut).unwrap().subject, "root@acme.example.evil.example");
    // The same inside of what the signature says.
    let digest = long.find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
    let mut smuggled = long.clone();
    smuggled.insert_str(digest, "<!--AAAA-->");
    assert_eq!(verify(&smuggled).unwrap().subject, "root@acme.example.evil.example");
    let mut split = long.clone();
    split.insert_str(digest, "AAAA");
    assert_eq!(verify(&split), Err(SamlError::Signature));
}

#[test]
fn what_does_not_belong_into_saml_is_refused() {
    let good = Parts::default().signed(&Key::rsa(), &Style::default());
    let bomb = format!(
        "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>{}",
        good.replacen("lin@", "&c;@", 1)
    );
    assert_eq!(verify(&bomb), Err(SamlError::DocumentType));
    assert_eq!(verify(&format!("<!DOCTYPE samlp:Response>{good}")), Err(SamlError::DocumentType));
    assert!(matches!(verify(&good.replacen("lin@", "&c;@", 1)), Err(SamlError::Xml { .. })));
    assert_eq!(
        verify(&good.replacen("<saml:Subject>", "<?x y?><saml:Subject>", 1)),
        Err(SamlError::ProcessingInstruction)
    );
    assert_eq!(
        verify(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{good}\n")).map(|a| a.id),
        Ok("_assertion".into())
    );
    assert_eq!(verify(&format!("{good}{}", " ".repeat(XML_BYTES_MAX))), Err(SamlError::TooLong));
    let deep = good.replacen(
        "<saml:Subject>",
        &format!("{}{}<saml:Subject>", "<a>".repeat(40), "</a>".repeat(40)),
        1,
    );
    assert_eq!(verify(&deep), Err(SamlError::TooDeep));
    let many = good.replacen("<saml:Subject>", &format!("{}<saml:Subject>", "<a/>".repeat(20_000)), 1);
    assert_eq!(verify(&many), Err(SamlError::TooManyNodes));
    let wide: String = (0..5000).map(|n| format!(" a{n}=\"\"")).collect();
    assert_eq!(
        verify(&good.replacen("<saml:Subject>", &format!("<a{wide}/><saml:Subject>"), 1)),
        Err(SamlError::TooManyNodes)
    );
    let bound: String = (0..70).map(|n| format!(" xmlns:n{n}=\"u:{n}\"")).collect();
    let bound = good.replacen("<saml:Subject>", &format!("<a{bound}/><saml:Subject>"), 1);
    assert_eq!(verify(&bound), Err(SamlError::TooManyNodes));
    let twice = good.replacen("<saml:Subject>", "<saml:Subject Id=\"_assertion\">", 1);
    assert_eq!(verify(&twice), Err(SamlError::DuplicateId { id: "_assertion".into() }));
    assert_eq!(verify("<a/>"), Err(SamlError::NotResponse));
    assert_eq!(verify_response(b"\xff", &metadata(), &expect()), Err(SamlError::NotUtf8));
    let sealed = "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>";
    assert_eq!(verify(&Parts::default().response("", sealed)), Err(SamlError::Encrypted));
    assert_eq!(verify(&Parts::default().response("", "")), Err(SamlError::Assertions { count: 0 }));
}

#[test]
fn a_request_leads_to_the_identity_provider_and_has_an_id_of_its_own() {
    use base64::Engine as _;
    let now = expect().now;
    let made =
        SignOnRequest::new(&metadata(), "https://trust.example/?a&b", maker::ACS, Some("x/1"), now).unwrap();
    let query = made.url.strip_prefix("https://idp.example/sso?SAMLRequest=").unwrap();
    let (request, state) = query.split_once("&RelayState=").unwrap();
    assert_eq!(state, "x%2F1");
    let packed = request.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    // RFC 1951 §3.2.4: a stored block.
    let len = u16::from_le_bytes([packed[1], packed[2]]);
    assert_eq!(
        (packed[0], usize::from(len), packed[3], packed[4]),
        (1, packed.len() - 5, !packed[1], !packed[2])
    );
    let xml = std::str::from_utf8(&packed[5..]).unwrap();
    let document = roxmltree::Document::parse(xml).unwrap();
    let root = document.root_element();
    assert_eq!((root.attribute("ID"), root.attribute("Version")), (Some(made.id.as_str()), Some("2.0")));
    assert_eq!(root.attribute("IssueInstant"), Some("2027-01-15T08:00:00Z"));
    assert_eq!(root.first_element_child().and_then(|i| i.text()), Some("https://trust.example/?a&b"));
    let again = SignOnRequest::new(&metadata(), maker::SP, maker::ACS, None, now).unwrap();
    assert_ne!(again.id, made.id);
    assert!(!again.url.contains("RelayState"));
    let long = SignOnRequest::new(&metadata(), maker::SP, maker::ACS, Some(&"x".repeat(81)), now);
    assert_eq!(long, Err(SamlError::Form { what: "RelayState" }));
    let wants = metadata_xml(&[include_bytes!("../keys/issuer.crt")]).replacen(
        "<md:IDPSSODescriptor",
        "<md:IDPSSODescriptor WantAuthnRequestsSigned=\"true\"",
        1,
    );
    let wants = IdpMetadata::parse(wants.as_bytes()).unwrap();
    assert_eq!(SignOnRequest::new(&wants, maker::SP, maker::ACS, None, now), Err(SamlError::SignedRequests));
    let about_us = service_metadata("https://trust.example/?a&b", maker::ACS);
    let document = roxmltree::Document::parse(&about_us).unwrap();
    assert_eq!(document.root_element().attribute("entityID"), Some("https://trust.example/?a&b"));
}

#[test]
fn metadata_gives_name_address_and_keys_that_are_strong() {
    let found = metadata();
    assert_eq!(
        (found.entity_id.as_str(), found.sso_redirect.as_deref()),
        (IDP, Some("https://idp.example/sso"))
    );
    let weak = metadata_xml(&[include_bytes!("../keys/weak.crt")]);
    let text = IdpMetadata::parse(weak.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        text,
        "the metadata has no signing certificate that can be used: the RSA key has 1024 bits, at least 2048 are needed"
    );
    let nothing = SamlError::Certificate { reason: CertificateError::NotX509 };
    assert_eq!(IdpMetadata::parse(metadata_xml(&[b"x"]).as_bytes()).unwrap_err(), nothing);
    assert_eq!(IdpMetadata::parse(metadata_xml(&[]).as_bytes()).unwrap_err(), nothing);
    let good = metadata_xml(&[include_bytes!("../keys/issuer.crt")]);
    let for_encryption = good.replacen("use=\"signing\"", "use=\"encryption\"", 1);
    assert_eq!(IdpMetadata::parse(for_encryption.as_bytes()).unwrap_err(), nothing);
    let until = good.replacen(" entityID=", " validUntil=\"2027-01-15T08:00:00Z\" entityID=", 1);
    let until = IdpMetadata::parse(until.as_bytes()).unwrap();
    let response = Parts::default().signed(&Key::rsa(), &Style::default());
    let at = |ms| {
        let now = expect().now.plus_ms(ms);
        verify_response(response.as_bytes(), &until, &Expect { now, ..expect() }).map(|a| a.id)
    };
    assert_eq!(at(-1), Ok("_assertion".into()));
    assert_eq!(at(0), Err(SamlError::MetadataExpired { at: expect().now }));
    let open = good.replacen("https://idp.example/sso", "http://idp.example/sso", 1);
    assert!(matches!(IdpMetadata::parse(open.as_bytes()), Err(SamlError::Address { .. })));
    let service = good.replace("IDPSSODescriptor", "SPSSODescriptor");
    assert_eq!(IdpMetadata::parse(service.as_bytes()).unwrap_err(), SamlError::NotMetadata);
    assert_eq!(IdpMetadata::parse(b"<!DOCTYPE a><a/>").unwrap_err(), SamlError::DocumentType);
}
