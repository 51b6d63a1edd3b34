//! Exclusive XML Canonicalization 1.0 without comments (W3C, 18 July 2002) of one element and all below it.
//!
//! Of Canonical XML only what a document without document type can hold: elements, attributes, namespaces, text.
//! The tests compare with libxml2's (`lxml`) and with signatures of `signxml` and `pysaml2`.

use std::collections::BTreeSet;

use roxmltree::{Node, NodeId};

/// The canonical bytes of `node` without the element `except`. `inclusive` are prefixes that are kept also where
/// nothing uses them; `#default` is the namespace without prefix.
pub(super) fn canonical(node: Node<'_, '_>, except: Option<NodeId>, inclusive: &[&str]) -> Vec<u8> {
    let mut writer = Writer { out: String::new(), except, inclusive };
    writer.element(node, &mut Vec::new());
    writer.out.into_bytes()
}

struct Writer<'w> {
    out: String,
    except: Option<NodeId>,
    inclusive: &'w [&'w str],
}

/// Prefixes and their namespaces as the output has them so far, innermost last; no prefix is empty.
type Rendered<'a> = Vec<(&'a str, &'a str)>;

impl Writer<'_> {
    /// The depth was bounded when the document was read.
    fn element<'a>(&mut self, node: Node<'a, '_>, rendered: &mut Rendered<'a>) {
        let rendered_before = rendered.len();
        let name = qualified(node);
        self.out.push('<');
        self.out.push_str(name);
        for (prefix, uri) in self.namespaces(node, rendered) {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            self.attribute_text(uri);
            self.out.push('"');
            rendered.push((prefix, uri));
        }
        let mut attributes: Vec<_> = node.attributes().collect();
        attributes.sort_by_key(|a| (a.namespace().unwrap_or_default(), a.name()));
        for attribute in attributes {
            self.out.push(' ');
            self.out.push_str(slice(node, attribute.range_qname()));
            self.out.push_str("=\"");
            self.attribute_text(attribute.value());
            self.out.push('"');
        }
        self.out.push('>');
        for child in node.children() {
            if child.is_element() && Some(child.id()) != self.except {
                self.element(child, rendered);
            } else if child.is_text() {
                self.text(child.text().unwrap_or_default());
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        rendered.truncate(rendered_before);
    }

    /// The declarations that this element must carry, in their order.
    fn namespaces<'a>(&self, node: Node<'a, '_>, rendered: &Rendered<'a>) -> Vec<(&'a str, &'a str)> {
        let used = [prefix(qualified(node))].into_iter().chain(
            // An attribute without prefix is in no namespace.
            node.attributes().map(|a| prefix(slice(node, a.range_qname()))).filter(|p| !p.is_empty()),
        );
        let mut wanted: BTreeSet<&'a str> = used.collect();
        for namespace in node.namespaces() {
            let name = namespace.name().unwrap_or_default();
            if self.inclusive.contains(&if name.is_empty() { "#default" } else { name }) {
                wanted.insert(name);
            }
        }
        // `xml` needs no declaration and never gets one.
        wanted.remove("xml");
        let in_scope = |prefix: &str| {
            node.lookup_namespace_uri(Some(prefix).filter(|p| !p.is_empty())).unwrap_or_default()
        };
        let above = |prefix: &str| {
            rendered.iter().rev().find(|(name, _)| *name == prefix).map_or("", |(_, uri)| *uri)
        };
        wanted.into_iter().map(|p| (p, in_scope(p))).filter(|(p, uri)| above(p) != *uri).collect()
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#xD;"),
                other => self.out.push(other),
            }
        }
    }

    fn attribute_text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#x9;"),
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                other => self.out.push(other),
            }
        }
    }
}

/// `prefix:name` of an element as the document has it.
fn qualified<'a>(node: Node<'a, '_>) -> &'a str {
    let from_name = slice(node, node.range().start + 1..node.range().end);
    let end = from_name.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
    from_name.get(..end.unwrap_or(from_name.len())).unwrap_or_default()
}

fn slice<'a>(node: Node<'a, '_>, range: std::ops::Range<usize>) -> &'a str {
    node.document().input_text().get(range).unwrap_or_default()
}

fn prefix(qualified: &str) -> &str {
    qualified.split_once(':').map_or("", |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roxmltree::Document;

    fn of(xml: &str, name: &str, inclusive: &[&str]) -> String {
        let document = Document::parse(xml).unwrap();
        let node = document.descendants().find(|n| n.tag_name().name() == name).unwrap();
        String::from_utf8(canonical(node, None, inclusive)).unwrap()
    }

    /// The specification's own example, §2.2.
    #[test]
    fn the_example_of_the_specification() {
        let xml = "<n0:pdu xmlns:n0='http://a.example' xmlns:n1=\"http://b.example\" xmlns:n2='http://c.example'>\
                   <n1:elem2 xmlns:n1='http://b.example' xml:lang='en'><n3:stuff xmlns:n3='ftp://example.org'/></n1:elem2></n0:pdu>";
        assert_eq!(
            of(xml, "elem2", &[]),
            "<n1:elem2 xmlns:n1=\"http://b.example\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
        );
        assert_eq!(
            of(xml, "elem2", &["n2", "n0"]),
            "<n1:elem2 xmlns:n0=\"http://a.example\" xmlns:n1=\"http://b.example\" xmlns:n2=\"http://c.example\" xml:lang=\"en\">\
             <n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
        );
    }

    #[test]
    fn attributes_are_sorted_by_namespace_and_name_and_all_is_escaped() {
        let xml = "<a z='1' b:y=\"2\" a='\t&#10;&quot;&lt;>&amp;' xmlns:b='u:2' c:x='3' xmlns:c='u:1'>&gt;&#13;\r\n<![CDATA[<&]]><!-- gone --></a>";
        assert_eq!(
            of(xml, "a", &[]),
            "<a xmlns:b=\"u:2\" xmlns:c=\"u:1\" a=\" &#xA;&quot;&lt;>&amp;\" z=\"1\" c:x=\"3\" b:y=\"2\">&gt;&#xD;\n&lt;&amp;</a>"
        );
    }

    #[test]
    fn the_default_namespace_is_taken_back_where_it_was_given() {
        let xml = "<a xmlns='u:1'><b xmlns=''><c xmlns='u:1'/></b></a>";
        assert_eq!(of(xml, "a", &[]), "<a xmlns=\"u:1\"><b xmlns=\"\"><c xmlns=\"u:1\"></c></b></a>");
        assert_eq!(of(xml, "b", &[]), "<b><c xmlns=\"u:1\"></c></b>");
        let siblings = "<a xmlns:x='u:x'><x:b/><x:c x:d='1'/></a>";
        assert_eq!(
            of(siblings, "a", &[]),
            "<a><x:b xmlns:x=\"u:x\"></x:b><x:c xmlns:x=\"u:x\" x:d=\"1\"></x:c></a>"
        );
    }

    /// 120 random documents, as libxml2 makes them canonical (`tests/oracles/make_saml.py`).
    #[test]
    fn random_documents_are_as_libxml2_makes_them() {
        let pairs: Vec<(String, usize, Vec<String>, String)> =
            serde_json::from_str(include_str!("../../tests/it/fixtures/c14n.json")).unwrap();
        assert_eq!(pairs.len(), 120);
        for (xml, at, prefixes, wanted) in pairs {
            let document = Document::parse(&xml).unwrap();
            let node = document.descendants().filter(Node::is_element).nth(at).unwrap();
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let found = String::from_utf8(canonical(node, None, &prefixes)).unwrap();
            assert_eq!(found, wanted, "element {at} with {prefixes:?} of {xml}");
        }
    }
}
