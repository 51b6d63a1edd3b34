//! Reading the document and its statements.

use std::sync::Arc;

use super::{Effect, Kind, condition, principal};
use crate::action::{ActionPattern, Actions};
use crate::condition::Condition;
use crate::error::{hint, shown};
use crate::json::{Fault, Member, Node, Span, Value};
use crate::principal::Principals;
use crate::resource::{ResourcePattern, Resources};

/// One statement, understood.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) span: Span,
    pub(crate) effect: Effect,
    /// None: everybody who has the policy.
    pub(crate) principals: Option<Principals>,
    pub(crate) actions: Actions,
    /// None in trust policies: the role itself.
    pub(crate) resources: Option<Resources>,
    pub(crate) conditions: Vec<Condition>,
}

/// Characters of a statement's `Sid` (KMS).
const SID_MAX: usize = 128;
const DOCUMENT_MEMBERS: [&str; 2] = ["Version", "Statement"];
const STATEMENT_MEMBERS: [&str; 8] =
    ["Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal"];

pub(super) fn document(kind: Kind, root: &Node<'_>) -> Result<Vec<Arc<Statement>>, Fault> {
    let Value::Object(members) = &root.value else {
        let text = format!(
            "{} stands where a policy was expected: an object with `Version` and `Statement`",
            root.kind()
        );
        return Err(Fault::at(&root.span, text));
    };
    let (mut version, mut statements) = (None, None);
    for member in members {
        match member.name.as_ref() {
            "Version" => version = Some(check_version(&member.value)?),
            "Statement" => statements = Some(read_statements(kind, &member.value)?),
            other => return Err(unknown(member, other, "a policy", &DOCUMENT_MEMBERS)),
        }
    }
    version.ok_or_else(|| Fault::at(&root.opening(), "the policy has no `Version`; it must be \"1\""))?;
    statements.ok_or_else(|| Fault::at(&root.opening(), "the policy has no `Statement`"))
}

fn check_version(node: &Node<'_>) -> Result<(), Fault> {
    match &node.value {
        Value::Text(text) if text == "1" => Ok(()),
        Value::Text(text) => {
            Err(Fault::at(&node.span, format!("`Version` is `{}`; it must be \"1\"", shown(text))))
        }
        _ => Err(Fault::at(&node.span, format!("`Version` is {}; it must be \"1\"", node.kind()))),
    }
}

fn read_statements(kind: Kind, node: &Node<'_>) -> Result<Vec<Arc<Statement>>, Fault> {
    let Value::List(list) = &node.value else {
        return Err(Fault::at(
            &node.span,
            format!("`Statement` is {}; it must be a list of statements", node.kind()),
        ));
    };
    if list.is_empty() {
        return Err(Fault::at(&node.span, "`Statement` is empty; a policy needs at least one statement"));
    }
    list.iter().map(|one| statement(kind, one).map(Arc::new)).collect()
}

fn statement(kind: Kind, node: &Node<'_>) -> Result<Statement, Fault> {
    let Value::Object(members) = &node.value else {
        let text = format!(
            "{} stands where a statement was expected: an object with `Effect` and `Action`",
            node.kind()
        );
        return Err(Fault::at(&node.span, text));
    };
    let (mut effect, mut actions, mut resources, mut principals) = (None, None, None, None);
    let mut conditions = Vec::new();
    for member in members {
        let value = &member.value;
        match member.name.as_ref() {
            "Effect" => effect = Some(read_effect(value)?),
            name @ ("Action" | "NotAction") => {
                only_one(member, actions.is_some(), "Action", "NotAction")?;
                let list = read_list(value, "an action such as `oss:GetObject`", ActionPattern::read)?;
                actions = Some(Actions { negated: name == "NotAction", list });
            }
            name @ ("Resource" | "NotResource") => {
                only_one(member, resources.is_some(), "Resource", "NotResource")?;
                if kind == Kind::Trust {
                    let text = format!("a trust policy has no `{name}`: what it is about is its role");
                    return Err(Fault::at(&member.name_span, text));
                }
                let list =
                    read_list(value, "a resource such as `acs:oss:*:*:bucket/*`", ResourcePattern::read)?;
                resources = Some(Resources { negated: name == "NotResource", list });
            }
            name @ ("Principal" | "NotPrincipal") => {
                only_one(member, principals.is_some(), "Principal", "NotPrincipal")?;
                principals = Some(principal::read(kind, member, name == "NotPrincipal")?);
            }
            "Condition" => conditions = condition::read(value)?,
            // Nothing but a name of the statement, which KMS writes into each.
            "Sid" if kind == Kind::Key => check_sid(value)?,
            other => return Err(unknown(member, other, "a statement", &STATEMENT_MEMBERS)),
        }
    }
    let missing = |what: &str| Fault::at(&node.opening(), format!("the statement has no {what}"));
    if kind.has_principals() && principals.is_none() {
        let what = if kind == Kind::Trust { "`Principal`" } else { "`Principal` or `NotPrincipal`" };
        return Err(missing(what));
    }
    if kind != Kind::Trust && resources.is_none() {
        return Err(missing("`Resource` or `NotResource`"));
    }
    Ok(Statement {
        span: node.span.clone(),
        effect: effect.ok_or_else(|| missing("`Effect`"))?,
        principals,
        actions: actions.ok_or_else(|| missing("`Action` or `NotAction`"))?,
        resources,
        conditions,
    })
}

fn check_sid(node: &Node<'_>) -> Result<(), Fault> {
    match &node.value {
        Value::Text(text) if text.len() <= SID_MAX && text.bytes().all(|b| matches!(b, b' '..=b'~')) => {
            Ok(())
        }
        _ => Err(Fault::at(
            &node.span,
            format!("`Sid` must be a text of at most {SID_MAX} printable characters"),
        )),
    }
}

fn read_effect(node: &Node<'_>) -> Result<Effect, Fault> {
    match &node.value {
        Value::Text(text) if text == "Allow" => Ok(Effect::Allow),
        Value::Text(text) if text == "Deny" => Ok(Effect::Deny),
        Value::Text(text) => {
            let fault =
                Fault::at(&node.span, format!("`Effect` is `{}`; it must be `Allow` or `Deny`", shown(text)));
            Err(fault.helped(hint(text, ["Allow", "Deny"])))
        }
        _ => Err(Fault::at(&node.span, format!("`Effect` is {}; it must be `Allow` or `Deny`", node.kind()))),
    }
}

/// One text or a list of at least one.
pub(super) fn read_list<T>(
    node: &Node<'_>,
    what: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    let one = |node: &Node<'_>, or: &str| match &node.value {
        Value::Text(text) => read(text).map_err(|wrong| Fault::at(&node.span, wrong)),
        _ => Err(Fault::at(&node.span, format!("{} stands where {what}{or} was expected", node.kind()))),
    };
    match &node.value {
        Value::List(list) if list.is_empty() => {
            Err(Fault::at(&node.span, format!("the list is empty; it needs {what}")))
        }
        Value::List(list) => list.iter().map(|node| one(node, "")).collect(),
        _ => Ok(vec![one(node, ", or a list of them,")?]),
    }
}

fn only_one(member: &Member<'_>, there: bool, a: &str, b: &str) -> Result<(), Fault> {
    if there {
        return Err(Fault::at(&member.name_span, format!("a statement has exactly one of `{a}` and `{b}`")));
    }
    Ok(())
}

pub(super) fn unknown(member: &Member<'_>, name: &str, of: &str, known: &[&str]) -> Fault {
    let fault = Fault::at(&member.name_span, format!("`{}` is not a member of {of}", shown(name)));
    fault.helped(hint(name, known.iter().copied()))
}
