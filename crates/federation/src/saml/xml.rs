//! XML as far as SAML needs it: `roxmltree` reads, with limits and without document types.
//!
//! Refused: more than [`XML_BYTES_MAX`] bytes, document types (so no entities of their own), processing instructions,
//! depth over 32, counts that no SAML document has, and two elements with one id.

use std::collections::BTreeSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::SamlError;

/// The longest document, bytes.
pub const XML_BYTES_MAX: usize = 256 * 1024;
const NODES_MAX: u32 = 20_000;
const DEPTH_MAX: usize = 32;
/// Each attribute has an equals sign. The reader compares each attribute of an element with each other one.
const EQUALS_SIGNS_MAX: usize = 4096;
/// Namespaces that are bound at one element; each element asks for its own among them.
const NAMESPACES_MAX: usize = 64;

pub(super) const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(super) const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(super) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>, SamlError> {
    if bytes.len() > XML_BYTES_MAX {
        return Err(SamlError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| SamlError::NotUtf8)?;
    // The reader would let an empty document type pass.
    if text.contains("<!DOCTYPE") {
        return Err(SamlError::DocumentType);
    }
    if bytes.iter().filter(|b| **b == b'=').count() > EQUALS_SIGNS_MAX {
        return Err(SamlError::TooManyNodes);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, entity_resolver: None };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => SamlError::DocumentType,
        roxmltree::Error::NodesLimitReached => SamlError::TooManyNodes,
        other => SamlError::Xml { row: other.pos().row, column: other.pos().col },
    })?;
    check_nodes(&document)?;
    Ok(document)
}

fn check_nodes(document: &Document<'_>) -> Result<(), SamlError> {
    let mut ids = BTreeSet::new();
    for node in document.descendants() {
        if node.is_pi() {
            return Err(SamlError::ProcessingInstruction);
        }
        if node.ancestors().take(DEPTH_MAX + 2).count() > DEPTH_MAX + 1 {
            return Err(SamlError::TooDeep);
        }
        if node.is_element() && node.namespaces().take(NAMESPACES_MAX + 1).count() > NAMESPACES_MAX {
            return Err(SamlError::TooManyNodes);
        }
        for attribute in node.attributes() {
            // Any spelling that some reader somewhere takes for an id.
            if attribute.name().eq_ignore_ascii_case("id") && !ids.insert(attribute.value()) {
                return Err(SamlError::DuplicateId { id: crate::show::shown(attribute.value()) });
            }
        }
    }
    Ok(())
}

/// Whether `node` is the element `name` of `namespace`.
pub(super) fn is(node: &Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace)
}

/// The child elements of this name.
pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| is(child, namespace, name))
}

/// The child element of this name where there is exactly one, None where there is none.
pub(super) fn at_most_one<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Option<Node<'a, 'i>>, SamlError> {
    let mut found = children(node, namespace, name);
    let first = found.next();
    if found.next().is_some() { Err(SamlError::Twice { element: name }) } else { Ok(first) }
}

/// The only child element of this name.
pub(super) fn one<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Node<'a, 'i>, SamlError> {
    at_most_one(node, namespace, name)?.ok_or(SamlError::Missing { what: name })
}

/// All text of an element that has only text. Comments do not cut it: what stands behind one belongs to it.
pub(super) fn text(node: Node<'_, '_>, element: &'static str) -> Result<String, SamlError> {
    if node.children().any(|child| child.is_element()) {
        return Err(SamlError::Form { what: element });
    }
    Ok(node.children().filter(Node::is_text).filter_map(|child| child.text()).collect())
}

/// Base64 with the line breaks that XML allows.
pub(super) fn base64(node: Node<'_, '_>, element: &'static str) -> Result<Vec<u8>, SamlError> {
    use base64::Engine as _;
    let mut characters = text(node, element)?;
    characters.retain(|c| !c.is_ascii_whitespace());
    base64::engine::general_purpose::STANDARD
        .decode(characters)
        .map_err(|_| SamlError::Form { what: element })
}
