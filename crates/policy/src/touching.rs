//! Who can: the statements about an action on a resource, with the rest left open in plain words.

use bailee_types::Arn;
use serde::Serialize;

use crate::condition::{Condition, Order, Qualifier, Test};
use crate::document::{Effect, Policy};

/// A statement that may decide about an action on a resource, for some callers and circumstances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Touch {
    /// The statement's number, from 1.
    pub statement: usize,
    /// What it does when it matches.
    pub effect: Effect,
    /// What must also hold, in plain words; nothing when the statement matches always.
    pub residual: Vec<String>,
}

impl Policy {
    /// The statements whose action and resource fit, with the rest left open: principals, conditions, variables.
    ///
    /// ```
    /// use bailee_policy::Policy;
    /// let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:home/*",
    ///     "Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}]}"#;
    /// let resource = bailee_types::Arn::parse("acs:oss:*:1000000000000001:home/x").unwrap();
    /// let touches = Policy::parse(document).unwrap().touching("oss:GetObject", &resource);
    /// assert_eq!(touches[0].residual, ["`acs:SourceIp` is in `10.0.0.0/8`"]);
    /// ```
    pub fn touching(&self, action: &str, resource: &Arn) -> Vec<Touch> {
        let Some((service, name)) = action.split_once(':') else { return Vec::new() };
        let mut out = Vec::new();
        for (i, statement) in self.statements.iter().enumerate() {
            if !statement.actions.covers(service, name) {
                continue;
            }
            let mut residual = Vec::new();
            if let Some(resources) = &statement.resources {
                let (open, surely): (Vec<_>, Vec<_>) =
                    resources.list.iter().filter(|r| r.may_match(resource)).partition(|r| r.has_vars());
                let fits = match resources.negated {
                    false => !surely.is_empty() || !open.is_empty(),
                    true => surely.is_empty(),
                };
                if !fits {
                    continue;
                }
                if surely.is_empty() && !open.is_empty() {
                    let does = if resources.negated { "fits none of" } else { "fits" };
                    residual.push(format!("the resource {does} {}", quoted(open.iter().map(|r| &*r.text))));
                }
            }
            if let Some(principals) = &statement.principals {
                // An Allow that names nobody but the whole account, in a key's policy.
                if principals.list.is_empty() && !principals.negated {
                    continue;
                }
                let is = if principals.negated { "is not" } else { "is" };
                residual
                    .push(format!("the caller {is} {}", quoted(principals.list.iter().map(|p| &*p.text))));
            }
            residual.extend(statement.conditions.iter().map(|c| c.words(self)));
            out.push(Touch { statement: i + 1, effect: statement.effect, residual });
        }
        out
    }
}

impl Condition {
    /// The condition in plain words.
    pub(crate) fn words(&self, source: &Policy) -> String {
        let key = &self.key.name;
        let values = self.texts(source);
        let whose = match self.operator.qualifier {
            None => String::new(),
            Some(Qualifier::Any) => "some value of ".to_owned(),
            Some(Qualifier::All) => "every value of ".to_owned(),
        };
        let not = if self.operator.negated { " not" } else { "" };
        let is = match self.operator.test {
            Test::Null => {
                let flags: Vec<&str> = values
                    .iter()
                    .map(|v| if v.eq_ignore_ascii_case("true") { "missing" } else { "there" })
                    .collect();
                return format!("`{key}` is {}", flags.join(" or "));
            }
            Test::Equal | Test::Bool | Test::Number(Order::Equal) => format!("is{not}"),
            Test::EqualFolded => format!("is{not}, in any case,"),
            Test::Like => format!("is{not} like"),
            Test::Ip => format!("is{not} in"),
            Test::Date(Order::Equal) => format!("is{not} exactly"),
            Test::Number(Order::Less) => "is less than".to_owned(),
            Test::Number(Order::LessOrEqual) => "is at most".to_owned(),
            Test::Number(Order::Greater) => "is more than".to_owned(),
            Test::Number(Order::GreaterOrEqual) => "is at least".to_owned(),
            Test::Date(Order::Less) => "is before".to_owned(),
            Test::Date(Order::LessOrEqual) => "is not after".to_owned(),
            Test::Date(Order::Greater) => "is after".to_owned(),
            Test::Date(Order::GreaterOrEqual) => "is not before".to_owned(),
        };
        let missing = if self.operator.if_exists { ", or it is missing" } else { "" };
        format!("{whose}`{key}` {is} {}{missing}", quoted(values.iter().map(String::as_str)))
    }
}

fn quoted<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(|t| format!("`{t}`")).collect::<Vec<_>>().join(" or ")
}
