//! Reading `Condition`.

use bailee_types::Timestamp;

use crate::condition::{Condition, Decimal, GLOBAL_KEYS, Key, Network, Operator, Test, Wanted, truth};
use crate::error::{hint, shown};
use crate::json::{Fault, Member, Node, Value};
use crate::pattern::{Pattern, Stars, is_key};

pub(super) fn read(node: &Node<'_>) -> Result<Vec<Condition>, Fault> {
    let mut conditions = Vec::new();
    for block in members(node, "`Condition`", "operators")? {
        let operator = Operator::parse(&block.name)
            .map_err(|(text, help)| Fault::at(&block.name_span, text).helped(help))?;
        let mut keys: Vec<&Member<'_>> = Vec::new();
        for entry in members(&block.value, &format!("`{operator}`"), "keys")? {
            if keys.iter().any(|k| k.name.eq_ignore_ascii_case(&entry.name)) {
                let text =
                    format!("the key `{}` stands there twice; its case does not matter", shown(&entry.name));
                return Err(Fault::at(&entry.name_span, text));
            }
            keys.push(entry);
            conditions.push(condition(operator, entry)?);
        }
    }
    Ok(conditions)
}

fn members<'n, 'd>(node: &'n Node<'d>, what: &str, of: &str) -> Result<&'n [Member<'d>], Fault> {
    match &node.value {
        Value::Object(members) if members.is_empty() => {
            Err(Fault::at(&node.span, format!("{what} is empty; leave it away or name {of}")))
        }
        Value::Object(members) => Ok(members),
        _ => Err(Fault::at(&node.span, format!("{what} is {}; it must be an object of {of}", node.kind()))),
    }
}

fn condition(operator: Operator, entry: &Member<'_>) -> Result<Condition, Fault> {
    if !is_key(&entry.name) {
        let text = format!("the key `{}` has not the form `service:Name`", shown(&entry.name));
        let help = hint(&format!("acs:{}", entry.name), GLOBAL_KEYS.iter().copied());
        return Err(Fault::at(&entry.name_span, text).helped(help));
    }
    let node = &entry.value;
    let wanted = match operator.test {
        Test::Equal | Test::EqualFolded => Wanted::Texts(list(node, |n| text(n, Stars::Plain))?),
        Test::Like => Wanted::Texts(list(node, |n| text(n, Stars::Wild))?),
        Test::Number(_) => Wanted::Numbers(list(node, number)?),
        Test::Date(_) => Wanted::Dates(list(node, date)?),
        Test::Bool | Test::Null => Wanted::Flags(list(node, flag)?),
        Test::Ip => Wanted::Networks(list(node, network)?),
    };
    Ok(Condition { operator, key: Key::of(&entry.name), wanted, span: node.span.clone() })
}

fn list<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Result<T, Fault>) -> Result<Box<[T]>, Fault> {
    match &node.value {
        Value::List(list) if list.is_empty() => {
            Err(Fault::at(&node.span, "the list is empty; it needs a value"))
        }
        Value::List(list) => list.iter().map(read).collect(),
        _ => Ok(Box::new([read(node)?])),
    }
}

fn text(node: &Node<'_>, stars: Stars) -> Result<Pattern, Fault> {
    let text = match &node.value {
        Value::Text(text) => text.as_ref(),
        Value::Number(digits) => digits,
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        _ => return Err(wrong(node, "a text")),
    };
    Pattern::parse(text, stars).map_err(|text| Fault::at(&node.span, text))
}

fn number(node: &Node<'_>) -> Result<Decimal<Box<str>>, Fault> {
    let text = match &node.value {
        Value::Number(digits) => digits,
        Value::Text(text) => text.as_ref(),
        _ => return Err(wrong(node, "a number")),
    };
    Decimal::parse(text).map(|d| d.to_owned()).ok_or_else(|| {
        let text = format!("`{}` is not a number such as `10` or `-2.5` (without exponent)", shown(text));
        Fault::at(&node.span, text)
    })
}

fn date(node: &Node<'_>) -> Result<Timestamp, Fault> {
    let Value::Text(text) = &node.value else {
        return Err(wrong(node, "a time such as `2026-01-02T03:04:05Z`"));
    };
    Timestamp::parse_iso_offset(text).map_err(|_| {
        let text = format!("`{}` is not a time such as `2026-01-02T03:04:05Z` or `…+08:00`", shown(text));
        Fault::at(&node.span, text)
    })
}

fn flag(node: &Node<'_>) -> Result<bool, Fault> {
    match &node.value {
        Value::Bool(flag) => Ok(*flag),
        Value::Text(text) => truth(text)
            .ok_or_else(|| Fault::at(&node.span, format!("`{}` is neither `true` nor `false`", shown(text)))),
        _ => Err(wrong(node, "`true` or `false`")),
    }
}

fn network(node: &Node<'_>) -> Result<Network, Fault> {
    let Value::Text(text) = &node.value else {
        return Err(wrong(node, "an address or a range such as `10.0.0.0/8`"));
    };
    Network::parse(text).ok_or_else(|| {
        Fault::at(
            &node.span,
            format!("`{}` is neither an address nor a range such as `10.0.0.0/8`", shown(text)),
        )
    })
}

fn wrong(node: &Node<'_>, expected: &str) -> Fault {
    Fault::at(&node.span, format!("{} stands where {expected} was expected", node.kind()))
}
