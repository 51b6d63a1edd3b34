//! Reading `Principal` and `NotPrincipal`.

use super::Kind;
use super::statement::{read_list, unknown};
use crate::json::{Fault, Member, Value};
use crate::principal::{Principal, Principals, Who};

const MEMBERS: [&str; 3] = ["RAM", "Service", "Federated"];

pub(super) fn read(kind: Kind, member: &Member<'_>, negated: bool) -> Result<Principals, Fault> {
    if !kind.has_principals() {
        let text = format!(
            "`{}` belongs into trust, bucket and key policies, not into {} policies",
            member.name,
            match kind {
                Kind::Session => "session",
                Kind::Control => "control",
                _ => "a user's, group's or role's",
            }
        );
        return Err(Fault::at(&member.name_span, text));
    }
    if negated && kind == Kind::Trust {
        let text = "a trust policy has no `NotPrincipal`: it would trust everybody but those it names";
        return Err(Fault::at(&member.name_span, text));
    }
    let node = &member.value;
    let list = match &node.value {
        Value::Object(members) if members.is_empty() => {
            return Err(Fault::at(
                &node.span,
                "the principal is empty; it needs `RAM`, `Service` or `Federated`",
            ));
        }
        Value::Object(members) => {
            let mut list = Vec::new();
            for member in members {
                list.extend(named(kind, member)?);
            }
            list
        }
        Value::Text(_) | Value::List(_) if kind == Kind::Bucket => {
            read_list(node, "an account's, user's or role's id, an ARN or `*`", |text| {
                let who = if text == "*" { Who::Anyone } else { Who::read_ram(text)? };
                Ok(Principal { who, text: text.into() })
            })?
        }
        _ => {
            let text = format!(
                "the principal is {}; it must be an object with `RAM`, `Service` or `Federated`",
                node.kind()
            );
            return Err(Fault::at(&node.span, text));
        }
    };
    Ok(Principals { negated, list })
}

fn named(kind: Kind, member: &Member<'_>) -> Result<Vec<Principal>, Fault> {
    let list = |what: &str, read: fn(&str) -> Result<Who, String>| {
        read_list(&member.value, what, |text| Ok(Principal { who: read(text)?, text: text.into() }))
    };
    match member.name.as_ref() {
        "RAM" => {
            list("an account's id, an ARN such as `acs:ram::1000000000000001:root`, or `*`", Who::read_ram)
        }
        "Service" => list("a service such as `ecs.aliyuncs.com`", Who::read_service),
        "Federated" if kind == Kind::Trust => list("an identity provider's ARN", Who::read_federated),
        "Federated" => {
            let text = format!("`Federated` belongs into trust policies, not into {} policies", kind.word());
            Err(Fault::at(&member.name_span, text))
        }
        other => Err(unknown(member, other, "a principal", &MEMBERS)),
    }
}
