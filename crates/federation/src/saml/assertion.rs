//! What an assertion says, and whether it is meant for us, here and now (SAML 2.0 profiles §4.1.4.3).

use bailee_types::Timestamp;
use roxmltree::Node;

use super::signature::Digested;
use super::xml::{self, SAML, at_most_one, children, is, one, text};
use super::{Expect, SamlError, check_wrapper, only_assertion};
use crate::show::shown;

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// The longest name of a person, bytes.
const SUBJECT_BYTES_MAX: usize = 1024;

/// A verified assertion. The caller keeps `id` until `not_on_or_after` plus his leeway and refuses it a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Its id, unique at the issuer.
    pub id: String,
    /// Who says it.
    pub issuer: String,
    /// Of whom (`NameID`).
    pub subject: String,
    /// What kind of name that is (`Format`).
    pub subject_format: Option<String>,
    /// Where it was to be handed in; equal to the expected address.
    pub recipient: String,
    /// From when it counts, where it says so.
    pub not_before: Option<Timestamp>,
    /// When it ends: the earliest end that it names.
    pub not_on_or_after: Timestamp,
    /// When the person signed on at the identity provider, where it says so; for rules on fresh sign-ons.
    pub authenticated_at: Option<Timestamp>,
    /// When a session from it must end, where it says so.
    pub session_not_on_or_after: Option<Timestamp>,
    /// For logout at the identity provider.
    pub session_index: Option<String>,
    /// Names and values in their order.
    pub attributes: Vec<(String, Vec<String>)>,
    /// For whom.
    pub audiences: Vec<String>,
}

/// Reads and checks the assertion in bytes that the signature covers: an assertion, or a response around one.
pub(super) fn read(digested: &Digested, issuer: &str, expect: &Expect<'_>) -> Result<Assertion, SamlError> {
    let document = xml::parse(digested.bytes())?;
    let root = document.root_element();
    if is(&root, SAML, "Assertion") {
        return read_assertion(root, issuer, expect);
    }
    check_wrapper(root, expect)?;
    read_assertion(only_assertion(&document)?, issuer, expect)
}

fn read_assertion(node: Node<'_, '_>, issuer: &str, expect: &Expect<'_>) -> Result<Assertion, SamlError> {
    if node.attribute("Version") != Some("2.0") {
        return Err(SamlError::Version);
    }
    let id = needed(node, "ID")?.to_owned();
    let found = text(one(node, SAML, "Issuer")?, "Issuer")?;
    if found.trim() != issuer {
        return Err(SamlError::Issuer { found: shown(&found) });
    }
    let leeway_ms = expect.leeway_ms.max(0);
    let window = Window { begin: expect.now.plus_ms(leeway_ms), end: expect.now, leeway_ms };
    window.began(time(node, "IssueInstant")?.ok_or(SamlError::Missing { what: "IssueInstant" })?)?;

    let subject = one(node, SAML, "Subject")?;
    let name = one(subject, SAML, "NameID")?;
    let confirmed = confirmation(subject, &window, expect)?;
    let conditions = conditions(one(node, SAML, "Conditions")?, &window, expect.audience)?;
    let statement = statement(node, &window)?;

    let subject = text(name, "NameID")?;
    if subject.trim().is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(SamlError::Form { what: "NameID" });
    }
    let ends = [Some(confirmed), conditions.not_on_or_after];
    Ok(Assertion {
        id,
        issuer: issuer.to_owned(),
        subject,
        subject_format: name.attribute("Format").map(str::to_owned),
        recipient: expect.recipient.to_owned(),
        not_before: conditions.not_before,
        not_on_or_after: ends.into_iter().flatten().min().unwrap_or(confirmed),
        authenticated_at: statement.authenticated_at,
        session_not_on_or_after: statement.not_on_or_after,
        session_index: statement.index,
        attributes: attributes(node)?,
        audiences: conditions.audiences,
    })
}

/// The instants between which "now" may lie.
struct Window {
    begin: Timestamp,
    end: Timestamp,
    leeway_ms: i64,
}

impl Window {
    fn began(&self, at: Timestamp) -> Result<(), SamlError> {
        if at > self.begin { Err(SamlError::NotYet { at }) } else { Ok(()) }
    }

    fn not_ended(&self, at: Timestamp) -> Result<(), SamlError> {
        if at.plus_ms(self.leeway_ms) <= self.end { Err(SamlError::Expired { at }) } else { Ok(()) }
    }
}

/// The end of the first bearer confirmation that is good here and now; the reason of the last when none is.
fn confirmation(subject: Node<'_, '_>, window: &Window, expect: &Expect<'_>) -> Result<Timestamp, SamlError> {
    let mut reason = SamlError::Missing { what: "SubjectConfirmation" };
    for confirmation in children(subject, SAML, "SubjectConfirmation") {
        if confirmation.attribute("Method") != Some(BEARER) {
            continue;
        }
        match confirmation_data(one(confirmation, SAML, "SubjectConfirmationData")?, window, expect) {
            Ok(end) => return Ok(end),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn confirmation_data(
    data: Node<'_, '_>,
    window: &Window,
    expect: &Expect<'_>,
) -> Result<Timestamp, SamlError> {
    let recipient = needed(data, "Recipient")?;
    if recipient != expect.recipient {
        return Err(SamlError::Recipient { found: shown(recipient) });
    }
    if data.attribute("InResponseTo") != expect.in_response_to {
        return Err(SamlError::InResponseTo);
    }
    if let Some(begin) = time(data, "NotBefore")? {
        window.began(begin)?;
    }
    let end = time(data, "NotOnOrAfter")?.ok_or(SamlError::Missing { what: "NotOnOrAfter" })?;
    window.not_ended(end)?;
    Ok(end)
}

struct Conditions {
    not_before: Option<Timestamp>,
    not_on_or_after: Option<Timestamp>,
    audiences: Vec<String>,
}

/// All restrictions must name us; each names several to choose from (core §2.5.1.4).
fn conditions(node: Node<'_, '_>, window: &Window, audience: &str) -> Result<Conditions, SamlError> {
    let (not_before, not_on_or_after) = (time(node, "NotBefore")?, time(node, "NotOnOrAfter")?);
    not_before.map_or(Ok(()), |at| window.began(at))?;
    not_on_or_after.map_or(Ok(()), |at| window.not_ended(at))?;
    let mut audiences = Vec::new();
    for condition in node.children().filter(Node::is_element) {
        if is(&condition, SAML, "AudienceRestriction") {
            let named: Result<Vec<_>, _> =
                children(condition, SAML, "Audience").map(|a| text(a, "Audience")).collect();
            let named: Vec<_> = named?.into_iter().map(|a| a.trim().to_owned()).collect();
            if !named.iter().any(|a| a == audience) {
                return Err(SamlError::Audience);
            }
            audiences.extend(named);
        } else if !is(&condition, SAML, "OneTimeUse") && !is(&condition, SAML, "ProxyRestriction") {
            return Err(SamlError::Condition { condition: shown(condition.tag_name().name()) });
        }
    }
    if audiences.is_empty() {
        return Err(SamlError::Audience);
    }
    Ok(Conditions { not_before, not_on_or_after, audiences })
}

/// When and as which session the person signed on.
#[derive(Default)]
struct Statement {
    authenticated_at: Option<Timestamp>,
    not_on_or_after: Option<Timestamp>,
    index: Option<String>,
}

/// There must be such a statement; of several the earliest times count.
fn statement(node: Node<'_, '_>, window: &Window) -> Result<Statement, SamlError> {
    let earlier = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
    let mut found = None;
    for statement in children(node, SAML, "AuthnStatement") {
        let end = time(statement, "SessionNotOnOrAfter")?;
        end.map_or(Ok(()), |at| window.not_ended(at))?;
        let so_far: Statement = found.unwrap_or_default();
        found = Some(Statement {
            authenticated_at: earlier(so_far.authenticated_at, time(statement, "AuthnInstant")?),
            not_on_or_after: earlier(so_far.not_on_or_after, end),
            index: so_far.index.or_else(|| statement.attribute("SessionIndex").map(str::to_owned)),
        });
    }
    found.ok_or(SamlError::Missing { what: "AuthnStatement" })
}

fn attributes(node: Node<'_, '_>) -> Result<Vec<(String, Vec<String>)>, SamlError> {
    let Some(statement) = at_most_one(node, SAML, "AttributeStatement")? else { return Ok(Vec::new()) };
    if children(statement, SAML, "EncryptedAttribute").next().is_some() {
        return Err(SamlError::Encrypted);
    }
    let one = |attribute: Node<'_, '_>| {
        let values: Result<Vec<_>, _> =
            children(attribute, SAML, "AttributeValue").map(|v| text(v, "AttributeValue")).collect();
        Ok((needed(attribute, "Name")?.to_owned(), values?))
    };
    children(statement, SAML, "Attribute").map(one).collect()
}

fn needed<'a>(node: Node<'a, '_>, what: &'static str) -> Result<&'a str, SamlError> {
    node.attribute(what).filter(|value| !value.is_empty()).ok_or(SamlError::Missing { what })
}

fn time(node: Node<'_, '_>, what: &'static str) -> Result<Option<Timestamp>, SamlError> {
    let Some(value) = node.attribute(what) else { return Ok(None) };
    Timestamp::parse_iso(value).map(Some).map_err(|_| SamlError::Form { what })
}
