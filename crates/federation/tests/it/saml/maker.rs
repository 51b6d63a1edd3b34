//! An identity provider of our own. Its documents are written in canonical form by hand, so that the digest is taken
//! of this text and not of what our canonicalization makes of it.

use std::collections::BTreeMap;

use bailee_federation::saml::{Assertion, Expect, IdpMetadata, SamlError, verify_response};
use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::keys::Key;

pub(crate) const NOW: &str = "2027-01-15T08:00:00Z";
pub(crate) const IDP: &str = "https://idp.example/metadata";
pub(crate) const SP: &str = "https://trust.example/saml";
pub(crate) const ACS: &str = "https://trust.example/saml/acs";
pub(crate) const NS: &str = "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
const NS_P: &str = "xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"";
pub(crate) const NS_DS: &str = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";

/// How a signature is written.
#[derive(Clone)]
pub(crate) struct Style {
    pub(crate) method: String,
    pub(crate) alg: &'static str,
    pub(crate) digest: (&'static str, &'static digest::Algorithm),
    pub(crate) c14n: &'static str,
    pub(crate) transforms: Vec<&'static str>,
    pub(crate) uri: Option<String>,
    pub(crate) references: usize,
    /// Changes `SignedInfo` before it is signed.
    pub(crate) change: fn(String) -> String,
}

pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

impl Default for Style {
    fn default() -> Self {
        Self {
            method: format!("{MORE}rsa-sha256"),
            alg: "RS256",
            digest: ("http://www.w3.org/2001/04/xmlenc#sha256", &digest::SHA256),
            c14n: EXCLUSIVE,
            transforms: vec![ENVELOPED, EXCLUSIVE],
            uri: None,
            references: 1,
            change: |inside| inside,
        }
    }
}

impl Style {
    pub(crate) fn method(name: &str, alg: &'static str) -> Self {
        Self { method: format!("{MORE}{name}"), alg, ..Self::default() }
    }
}

/// The `ds:Signature` over `canonical`, the element with this id and without a signature.
pub(crate) fn signature(key: &Key, id: &str, canonical: &str, style: &Style) -> String {
    let value = STANDARD.encode(digest::digest(style.digest.1, canonical.as_bytes()));
    let transforms: String =
        style.transforms.iter().map(|t| format!("<ds:Transform Algorithm=\"{t}\"></ds:Transform>")).collect();
    let uri = style.uri.clone().unwrap_or_else(|| format!("#{id}"));
    let reference = format!(
        "<ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>",
        style.digest.0
    )
    .repeat(style.references);
    let inside = format!(
        "<ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{reference}</ds:SignedInfo>",
        style.c14n, style.method
    );
    let inside = (style.change)(inside);
    let signed = key.sign(style.alg, format!("<ds:SignedInfo {NS_DS}>{inside}").as_bytes());
    // The key that it brings along is the attacker's: nobody may look at it.
    let foreign = STANDARD.encode(include_bytes!("../keys/other.crt"));
    format!(
        "<ds:Signature {NS_DS}><ds:SignedInfo>{inside}<ds:SignatureValue>{}</ds:SignatureValue>\
         <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{foreign}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
        STANDARD.encode(signed)
    )
}

/// Parts of an assertion that a test changes.
#[derive(Clone)]
pub(crate) struct Parts(BTreeMap<&'static str, String>);

impl Default for Parts {
    fn default() -> Self {
        let all = [
            ("id", "_assertion"),
            ("version", "2.0"),
            ("issuer", IDP),
            ("name", "lin@acme.example"),
            ("recipient", ACS),
            ("answers", " InResponseTo=\"_request\""),
            ("method", "bearer"),
            ("confirmed-until", "2027-01-15T08:05:00Z"),
            ("begin", "2027-01-15T07:59:00Z"),
            ("end", "2027-01-15T08:10:00Z"),
            ("audience", SP),
            ("condition", ""),
            ("session-end", "2027-01-15T20:00:00Z"),
            ("response-id", "_response"),
            ("response-answers", " InResponseTo=\"_request\""),
            ("destination", ACS),
            ("status", "urn:oasis:names:tc:SAML:2.0:status:Success"),
        ];
        Self(all.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }
}

impl Parts {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        assert!(self.0.insert(name, value.to_owned()).is_some(), "{name}");
        self
    }

    fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// The assertion in canonical form; `signature` stands behind the issuer, as the schema wants it.
    pub(crate) fn assertion(&self, signature: &str) -> String {
        let g = |name| self.get(name);
        format!(
            "<saml:Assertion {NS} ID=\"{}\" IssueInstant=\"2027-01-15T07:59:59Z\" Version=\"{}\"><saml:Issuer>{}</saml:Issuer>\
             {signature}<saml:Subject><saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">{}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:{}\"><saml:SubjectConfirmationData{} \
             NotOnOrAfter=\"{}\" Recipient=\"{}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{}\" NotOnOrAfter=\"{}\"><saml:AudienceRestriction><saml:Audience>{}</saml:Audience>\
             </saml:AudienceRestriction>{}</saml:Conditions><saml:AuthnStatement AuthnInstant=\"2027-01-15T07:59:58Z\" \
             SessionIndex=\"_s1\" SessionNotOnOrAfter=\"{}\"><saml:AuthnContext><saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>\
             <saml:AttributeStatement><saml:Attribute Name=\"groups\"><saml:AttributeValue>ops</saml:AttributeValue>\
             <saml:AttributeValue>r &amp; d</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>",
            g("id"),
            g("version"),
            g("issuer"),
            g("name"),
            g("method"),
            g("answers"),
            g("confirmed-until"),
            g("recipient"),
            g("begin"),
            g("end"),
            g("audience"),
            g("condition"),
            g("session-end"),
        )
    }

    pub(crate) fn signed_assertion(&self, key: &Key, style: &Style) -> String {
        self.assertion(&signature(key, self.get("id"), &self.assertion(""), style))
    }

    /// A response in canonical form around `inside`.
    pub(crate) fn response(&self, signature: &str, inside: &str) -> String {
        let g = |name| self.get(name);
        format!(
            "<samlp:Response {NS_P} Destination=\"{}\" ID=\"{}\"{} IssueInstant=\"2027-01-15T07:59:59Z\" Version=\"2.0\">\
             <saml:Issuer {NS}>{}</saml:Issuer>{signature}<samlp:Status><samlp:StatusCode Value=\"{}\"></samlp:StatusCode>\
             </samlp:Status>{inside}</samlp:Response>",
            g("destination"),
            g("response-id"),
            g("response-answers"),
            g("issuer"),
            g("status")
        )
    }

    /// A response whose assertion is signed.
    pub(crate) fn signed(&self, key: &Key, style: &Style) -> String {
        self.response("", &self.signed_assertion(key, style))
    }

    /// A response that is signed as a whole, around `inside`.
    pub(crate) fn signed_around(&self, key: &Key, inside: &str) -> String {
        let canonical = self.response("", inside);
        self.response(&signature(key, self.get("response-id"), &canonical, &Style::default()), inside)
    }
}

pub(crate) fn metadata_xml(certificates: &[&[u8]]) -> String {
    let keys: String = certificates
        .iter()
        .map(|c| {
            format!(
                "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo {NS_DS}><ds:X509Data><ds:X509Certificate>\n{}\n\
                 </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                STANDARD.encode(c)
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         entityID=\"{IDP}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example/sso\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

/// Metadata with the keys `issuer`, P-256 and P-384.
pub(crate) fn metadata() -> IdpMetadata {
    let all: [&[u8]; 3] = [
        include_bytes!("../keys/issuer.crt"),
        include_bytes!("../keys/p256.crt"),
        include_bytes!("../keys/p384.crt"),
    ];
    IdpMetadata::parse(metadata_xml(&all).as_bytes()).unwrap()
}

pub(crate) fn expect() -> Expect<'static> {
    let now = Timestamp::parse_iso(NOW).unwrap();
    Expect { audience: SP, recipient: ACS, now, leeway_ms: 60_000, in_response_to: Some("_request") }
}

pub(crate) fn verify(xml: &str) -> Result<Assertion, SamlError> {
    verify_response(xml.as_bytes(), &metadata(), &expect())
}
