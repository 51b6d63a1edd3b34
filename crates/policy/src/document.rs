//! Documents: `{"Version": "1", "Statement": […]}` read whole or refused (rule P1).

use std::fmt;

use bailee_types::Arn;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{PolicyError, hint, shown};
use crate::matching::Pattern;

/// Characters of a document, at most (contract §5).
pub const DOCUMENT_CHARS_MAX: usize = 6_144;

/// What a statement does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The act is allowed, unless something denies it.
    Allow,
    /// The act is denied, whatever allows it.
    Deny,
}

/// A policy that was understood whole.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    pub(crate) resources: Resources,
}

#[derive(Clone, Debug)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) list: Vec<ActionPattern>,
}

/// `service:Name`, in lower case; both may hold wildcards. `*` alone is everything.
#[derive(Clone, Debug)]
pub(crate) struct ActionPattern {
    pub(crate) service: Pattern,
    pub(crate) name: Pattern,
}

#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) list: Vec<ResourcePattern>,
}

/// The four parts behind `acs:`; an empty region or account means any (rule P2).
#[derive(Clone, Debug)]
pub(crate) struct ResourcePattern {
    pub(crate) service: Pattern,
    pub(crate) region: Option<Pattern>,
    pub(crate) account: Option<Pattern>,
    pub(crate) relative: Pattern,
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// When anything in it is not understood; the error names the place and what was expected.
    ///
    /// ```
    /// let error = bailee_policy::Policy::parse(
    ///     "{\"Version\": \"1\",\n \"Statement\": [{\"Efect\": \"Allow\"}]}",
    /// ).unwrap_err();
    /// assert_eq!(error.to_string(), "line 2, column 23: `Efect` is not a member of a statement; did you mean `Effect`?");
    /// ```
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        let chars = document.chars().count();
        if chars > DOCUMENT_CHARS_MAX {
            return Err(PolicyError::whole(format!(
                "the document has {chars} characters, at most {DOCUMENT_CHARS_MAX} are allowed"
            )));
        }
        Ok(serde_json::from_str::<Document>(document)?.0)
    }
}

impl Actions {
    pub(crate) fn covers(&self, service: &str, name: &str) -> bool {
        self.list.iter().any(|a| a.service.matches_lower(service) && a.name.matches_lower(name))
            != self.negated
    }
}

impl Resources {
    pub(crate) fn covers(&self, arn: &Arn) -> bool {
        self.list.iter().any(|r| r.matches(arn)) != self.negated
    }
}

impl ResourcePattern {
    pub(crate) fn matches(&self, arn: &Arn) -> bool {
        let any = |p: &Option<Pattern>, text: &str| p.as_ref().is_none_or(|p| p.matches(text));
        self.service.matches(arn.service())
            && any(&self.account, arn.account())
            && any(&self.region, arn.region())
            && self.relative.matches(arn.relative())
    }
}

struct Document(Policy);

const DOCUMENT_MEMBERS: &[&str] = &["Version", "Statement"];
const STATEMENT_MEMBERS: &[&str] = &["Effect", "Action", "NotAction", "Resource", "NotResource"];

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy: an object with `Version` and `Statement`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let (mut version, mut statements) = (None::<String>, None::<Vec<Statement>>);
                while let Some(member) = map.next_key::<String>()? {
                    match member.as_str() {
                        "Version" if version.is_none() => version = Some(map.next_value::<Version>()?.0),
                        "Statement" if statements.is_none() => {
                            statements = Some(map.next_value::<Statements>()?.0);
                        }
                        known if DOCUMENT_MEMBERS.contains(&known) => return Err(twice(known)),
                        other => return Err(unknown(other, "a policy", DOCUMENT_MEMBERS)),
                    }
                }
                version.ok_or_else(|| de::Error::custom("the policy has no `Version`; it must be \"1\""))?;
                let statements =
                    statements.ok_or_else(|| de::Error::custom("the policy has no `Statement`"))?;
                Ok(Document(Policy { statements }))
            }
        }
        d.deserialize_map(V)
    }
}

struct Version(String);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        if text == "1" {
            Ok(Self(text))
        } else {
            Err(de::Error::custom(format!("`Version` is `{}`; it must be \"1\"", shown(&text))))
        }
    }
}

struct Statements(Vec<Statement>);

impl<'de> Deserialize<'de> for Statements {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let list = Vec::<Statement>::deserialize(d)?;
        if list.is_empty() {
            return Err(de::Error::custom("`Statement` is empty; a policy needs at least one statement"));
        }
        Ok(Self(list))
    }
}

impl<'de> Deserialize<'de> for Statement {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Statement;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a statement: an object with `Effect`, `Action` and `Resource`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Statement, A::Error> {
                let (mut effect, mut actions, mut resources) = (None, None, None);
                while let Some(member) = map.next_key::<String>()? {
                    match member.as_str() {
                        "Effect" if effect.is_none() => effect = Some(map.next_value::<Effect>()?),
                        name @ ("Action" | "NotAction") if actions.is_none() => {
                            let negated = name == "NotAction";
                            actions =
                                Some(Actions { negated, list: map.next_value::<List<ActionPattern>>()?.0 });
                        }
                        name @ ("Resource" | "NotResource") if resources.is_none() => {
                            let negated = name == "NotResource";
                            resources = Some(Resources {
                                negated,
                                list: map.next_value::<List<ResourcePattern>>()?.0,
                            });
                        }
                        "Condition" => {
                            return Err(de::Error::custom(
                                "`Condition` is not offered yet, so this policy is refused whole: without its condition \
                                 it would allow or deny more than it says",
                            ));
                        }
                        name @ ("Principal" | "NotPrincipal") => {
                            return Err(de::Error::custom(format!(
                                "`{name}` belongs into trust, bucket and key policies, not into a user's policy"
                            )));
                        }
                        "Action" | "NotAction" => return Err(one_of("Action", "NotAction")),
                        "Resource" | "NotResource" => return Err(one_of("Resource", "NotResource")),
                        known if STATEMENT_MEMBERS.contains(&known) => return Err(twice(known)),
                        other => return Err(unknown(other, "a statement", STATEMENT_MEMBERS)),
                    }
                }
                let missing = |what: &str| de::Error::custom(format!("the statement has no {what}"));
                Ok(Statement {
                    effect: effect.ok_or_else(|| missing("`Effect`"))?,
                    actions: actions.ok_or_else(|| missing("`Action` or `NotAction`"))?,
                    resources: resources.ok_or_else(|| missing("`Resource` or `NotResource`"))?,
                })
            }
        }
        d.deserialize_map(V)
    }
}

impl<'de> Deserialize<'de> for Effect {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match String::deserialize(d)?.as_str() {
            "Allow" => Ok(Self::Allow),
            "Deny" => Ok(Self::Deny),
            other => Err(de::Error::custom(format!(
                "`Effect` is `{}`; it must be `Allow` or `Deny`{}",
                shown(other),
                hint(other, &["Allow", "Deny"])
            ))),
        }
    }
}

/// One string or a list of at least one.
struct List<T>(Vec<T>);

impl<'de, T: Element> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T>(std::marker::PhantomData<T>);
        impl<'de, T: Element> Visitor<'de> for V<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a list of them", T::WHAT)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<List<T>, E> {
                T::read(text).map(|t| List(vec![t])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(one) = seq.next_element::<One<T>>()? {
                    list.push(one.0);
                }
                if list.is_empty() {
                    return Err(de::Error::custom(format!("the list is empty; it needs {}", T::WHAT)));
                }
                Ok(List(list))
            }
        }
        d.deserialize_any(V(std::marker::PhantomData))
    }
}

struct One<T>(T);

impl<'de, T: Element> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        T::read(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

trait Element: Sized {
    const WHAT: &'static str;
    fn read(text: &str) -> Result<Self, String>;
}

impl Element for ActionPattern {
    const WHAT: &'static str = "an action such as `oss:GetObject`";

    fn read(text: &str) -> Result<Self, String> {
        if text.contains('$') {
            return Err(format!("the action `{}` holds a `$`; actions have no variables", shown(text)));
        }
        let pattern = |t: &str| Pattern::parse(t).map(Pattern::lower);
        if text == "*" {
            return Ok(Self { service: pattern("*")?, name: pattern("*")? });
        }
        let Some((service, name)) = text.split_once(':').filter(|(s, n)| !s.is_empty() && !n.is_empty())
        else {
            return Err(format!(
                "the action `{}` has no service; write `service:Name`, or `*` for all",
                shown(text)
            ));
        };
        let ok = |t: &str, more: &[u8]| {
            t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*' || b == b'?' || more.contains(&b))
        };
        if !ok(service, b"-") || !ok(name, b"-_.:/") {
            return Err(format!("the action `{}` holds a character that no action has", shown(text)));
        }
        Ok(Self { service: pattern(service)?, name: pattern(name)? })
    }
}

impl Element for ResourcePattern {
    const WHAT: &'static str = "a resource such as `acs:oss:*:*:bucket/*`";

    fn read(text: &str) -> Result<Self, String> {
        let pattern = |t: &str| {
            Pattern::parse(t).map_err(|v| {
                format!("the resource holds `{}`; variables are not offered yet, write `${{$}}` for a dollar sign", shown(&v))
            })
        };
        if text == "*" {
            let any = pattern("*")?;
            return Ok(Self { service: any.clone(), region: None, account: None, relative: any });
        }
        let mut parts = text.splitn(5, ':');
        let (Some("acs"), Some(service), Some(region), Some(account), Some(relative)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(format!(
                "the resource `{}` has not the five parts acs:service:region:account:resource",
                shown(text)
            ));
        };
        if service.is_empty() || relative.is_empty() {
            return Err(format!("the resource `{}` has an empty service or resource part", shown(text)));
        }
        let optional = |t: &str| if t.is_empty() { Ok(None) } else { pattern(t).map(Some) };
        Ok(Self {
            service: pattern(service)?,
            region: optional(region)?.filter(|p| !p.is_any()),
            account: optional(account)?.filter(|p| !p.is_any()),
            relative: pattern(relative)?,
        })
    }
}

fn twice<E: de::Error>(member: &str) -> E {
    E::custom(format!("`{member}` stands there twice"))
}

fn one_of<E: de::Error>(a: &str, b: &str) -> E {
    E::custom(format!("a statement has exactly one of `{a}` and `{b}`"))
}

fn unknown<E: de::Error>(member: &str, of: &str, known: &[&str]) -> E {
    E::custom(format!("`{}` is not a member of {of}{}", shown(member), hint(member, known)))
}
