//! XML signatures (W3C XML Signature 1.1), the narrow profile of SAML 2.0 core §5.4.
//!
//! One enveloped signature that covers its parent and nothing else: one Reference to the parent's id, the transforms
//! enveloped-signature and exclusive C14N, SHA-2, a key from the metadata. `KeyInfo` is not read at all.
//! INVARIANT: [`Digested`] is made here only, and holds the very bytes whose digest the signature covers. What the
//! signature itself says (`SignedInfo`) is also read from the canonical bytes that were signed.

use ring::digest;
use roxmltree::Node;
use subtle::ConstantTimeEq as _;

use super::SamlError;
use super::c14n::canonical;
use super::xml::{self, DSIG, is, one};
use crate::jwt::Algorithm;
use crate::key::{EcdsaForm, PublicKey};
use crate::show::shown;

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const PREFIXES_MAX: usize = 16;

/// Canonical bytes of an element, covered by a signature of the identity provider.
pub(super) struct Digested(Vec<u8>);

impl Digested {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Checks that `signature`, a child of `parent`, is made by one of `keys` over `parent`.
pub(super) fn verify(
    parent: Node<'_, '_>,
    signature: Node<'_, '_>,
    keys: &[PublicKey],
) -> Result<Digested, SamlError> {
    let known =
        |n: &Node<'_, '_>| ["SignedInfo", "SignatureValue", "KeyInfo"].iter().any(|name| is(n, DSIG, name));
    if signature.children().filter(Node::is_element).any(|child| !known(&child)) {
        return Err(SamlError::SignatureForm {
            what: "it has other children than SignedInfo, SignatureValue and KeyInfo",
        });
    }
    let outside = one(signature, DSIG, "SignedInfo")?;
    let prefixes = canonicalization(outside)?;
    let signed = canonical(outside, None, &as_strs(&prefixes));

    let info = SignedInfo::read(&signed)?;
    let value = xml::base64(one(signature, DSIG, "SignatureValue")?, "SignatureValue")?;
    if !keys.iter().any(|key| key.verifies(info.algorithm, EcdsaForm::Fixed, &signed, &value)) {
        return Err(SamlError::Signature);
    }
    let id = parent.attribute("ID").unwrap_or_default();
    if id.is_empty() || info.uri.strip_prefix('#') != Some(id) {
        return Err(SamlError::ReferenceElsewhere);
    }
    let bytes = canonical(parent, Some(signature.id()), &as_strs(&info.prefixes));
    let found = digest::digest(info.digest, &bytes);
    if !bool::from(found.as_ref().ct_eq(&info.digest_value)) {
        return Err(SamlError::Digest);
    }
    Ok(Digested(bytes))
}

struct SignedInfo {
    algorithm: Algorithm,
    uri: String,
    prefixes: Vec<String>,
    digest: &'static digest::Algorithm,
    digest_value: Vec<u8>,
}

impl SignedInfo {
    /// From the canonical bytes over which the signature is made.
    fn read(signed: &[u8]) -> Result<Self, SamlError> {
        let document = xml::parse(signed)?;
        let info = document.root_element();
        canonicalization(info)?;
        let method = one(info, DSIG, "SignatureMethod")?;
        if method.children().any(|c| c.is_element()) {
            return Err(SamlError::SignatureForm { what: "its method has parameters" });
        }
        let algorithm = signature_algorithm(method.attribute("Algorithm").unwrap_or_default())?;
        let reference = one(info, DSIG, "Reference")?;
        let digest = digest_algorithm(
            one(reference, DSIG, "DigestMethod")?.attribute("Algorithm").unwrap_or_default(),
        )?;
        Ok(Self {
            algorithm,
            uri: reference.attribute("URI").unwrap_or_default().to_owned(),
            prefixes: transforms(one(reference, DSIG, "Transforms")?)?,
            digest,
            digest_value: xml::base64(one(reference, DSIG, "DigestValue")?, "DigestValue")?,
        })
    }
}

/// The prefixes that the canonicalization of `SignedInfo` keeps.
fn canonicalization(info: Node<'_, '_>) -> Result<Vec<String>, SamlError> {
    let method = one(info, DSIG, "CanonicalizationMethod")?;
    exclusive(method)
}

/// The prefixes that the canonicalization of the signed element keeps.
fn transforms(list: Node<'_, '_>) -> Result<Vec<String>, SamlError> {
    let wrong =
        SamlError::SignatureForm { what: "its transforms are not enveloped-signature and exclusive C14N" };
    let all: Vec<_> = list.children().filter(Node::is_element).collect();
    let [enveloped, c14n] = all.as_slice() else { return Err(wrong) };
    if !is(enveloped, DSIG, "Transform") || !is(c14n, DSIG, "Transform") {
        return Err(wrong);
    }
    if enveloped.attribute("Algorithm") != Some(ENVELOPED) || enveloped.children().any(|c| c.is_element()) {
        return Err(wrong);
    }
    exclusive(*c14n)
}

/// `InclusiveNamespaces` of a method that must be exclusive C14N without comments.
fn exclusive(method: Node<'_, '_>) -> Result<Vec<String>, SamlError> {
    let algorithm = method.attribute("Algorithm").unwrap_or_default();
    if algorithm != EXCLUSIVE {
        return Err(SamlError::Canonicalization { algorithm: shown(algorithm) });
    }
    let wrong = SamlError::SignatureForm { what: "its canonicalization has parameters that are not known" };
    let parameters: Vec<_> = method.children().filter(Node::is_element).collect();
    let list = match parameters.as_slice() {
        [] => return Ok(Vec::new()),
        [list] if is(list, EXCLUSIVE, "InclusiveNamespaces") => {
            list.attribute("PrefixList").unwrap_or_default()
        }
        _ => return Err(wrong),
    };
    let prefixes: Vec<_> = list.split_ascii_whitespace().map(str::to_owned).collect();
    if prefixes.len() > PREFIXES_MAX { Err(wrong) } else { Ok(prefixes) }
}

fn signature_algorithm(name: &str) -> Result<Algorithm, SamlError> {
    match name {
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Ok(Algorithm::Rs256),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Ok(Algorithm::Rs384),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Ok(Algorithm::Rs512),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Ok(Algorithm::Es256),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => Ok(Algorithm::Es384),
        other if other.ends_with("sha1") => Err(SamlError::Sha1),
        other => Err(SamlError::Algorithm { algorithm: shown(other) }),
    }
}

fn digest_algorithm(name: &str) -> Result<&'static digest::Algorithm, SamlError> {
    match name {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&digest::SHA512),
        other if other.ends_with("sha1") => Err(SamlError::Sha1),
        other => Err(SamlError::Algorithm { algorithm: shown(other) }),
    }
}

fn as_strs(prefixes: &[String]) -> Vec<&str> {
    prefixes.iter().map(String::as_str).collect()
}
