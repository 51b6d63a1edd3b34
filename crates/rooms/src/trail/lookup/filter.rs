//! Which acts somebody looks for, and the terms by which whole blocks can be passed over.
//!
//! INVARIANT: a filter admits an act only if all of the filter's terms are among the act's: both come from the
//! functions here, so what a block's summary says can never hide an act that the filter would admit.

use std::collections::HashSet;

use bailee_types::Timestamp;

use crate::trail::{Act, ActEnd, Family};

/// Which acts to show. Each part narrows; names are compared exactly, `text` without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActFilter {
    /// Only acts at or after.
    pub from: Option<Timestamp>,
    /// Only acts before.
    pub until: Option<Timestamp>,
    /// Only this family.
    pub family: Option<Family>,
    /// Only this Inner-ActionTrail EventType.
    pub event_type: Option<String>,
    /// Only this result: `open`, `done`, `refused`, `failed`, `unknown`.
    pub result: Option<String>,
    /// Only this event name.
    pub event_name: Option<String>,
    /// Only this service, e.g. `Ram`.
    pub service: Option<String>,
    /// Only acts of this user of the tenant.
    pub user: Option<String>,
    /// Only acts that this AccessKey signed.
    pub access_key: Option<String>,
    /// Only this type of resource, e.g. `ACS::OSS::Object`.
    pub resource_type: Option<String>,
    /// Only this resource: its name, or its path as in the ARN.
    pub resource_name: Option<String>,
    /// Only writes, or only reads.
    pub write: Option<bool>,
    /// Only the event with this id.
    pub event_id: Option<String>,
    /// Only this product of Inner-ActionTrail, e.g. `OSS`.
    pub product: Option<String>,
    /// Only this EventLevel, `NOTICE` or `WARNING`.
    pub level: Option<String>,
    /// Only this operator, by his pseudonym.
    pub operator: Option<String>,
    /// Only acts for this ticket.
    pub ticket: Option<String>,
    /// Only acts under this grant.
    pub grant: Option<String>,
    /// Only acts with this text in event name, resource, operator, ticket, grant or reason.
    pub text: Option<String>,
}

/// A term: the field and its value.
pub(super) type Term = (&'static str, String);

/// What a filter asks of a block.
pub(super) fn wanted(filter: &ActFilter) -> HashSet<Term> {
    let mut out = exact(filter);
    if let Some(text) = &filter.text {
        out.extend(grams(&text.to_lowercase()).map(|g| ("text", g)));
    }
    out
}

/// What an act says to those who ask a block.
pub(super) fn said(act: &Act) -> HashSet<Term> {
    let mut out = of_act(act);
    for field in texts(act) {
        out.extend(grams(&field.to_lowercase()).map(|g| ("text", g)));
    }
    out
}

impl ActFilter {
    /// Whether it admits about everything.
    pub(super) fn is_open(&self) -> bool {
        self.text.is_none() && exact(self).iter().all(|(field, _)| *field == "family")
    }

    /// Whether an act is one of those that are looked for. One whose record is damaged may be any, so it is shown.
    pub(super) fn admits(&self, act: &Act) -> bool {
        let in_time =
            self.from.is_none_or(|from| act.at >= from) && self.until.is_none_or(|until| act.at < until);
        if act.damaged.is_some() {
            return in_time && self.family.is_none_or(|f| f == act.family);
        }
        let wanted = exact(self);
        in_time
            && (wanted.is_empty() || wanted.is_subset(&of_act(act)))
            && self.text.as_ref().is_none_or(|t| {
                let t = t.to_lowercase();
                texts(act).iter().any(|field| field.to_lowercase().contains(&t))
            })
    }
}

fn exact(filter: &ActFilter) -> HashSet<Term> {
    let family = filter.family.map(family_word);
    let rw = filter.write.map(rw_word);
    [
        ("family", family),
        ("type", filter.event_type.as_deref()),
        ("result", filter.result.as_deref()),
        ("name", filter.event_name.as_deref()),
        ("service", filter.service.as_deref()),
        ("user", filter.user.as_deref()),
        ("key", filter.access_key.as_deref()),
        ("resource-type", filter.resource_type.as_deref()),
        ("resource", filter.resource_name.as_deref()),
        ("rw", rw),
        ("id", filter.event_id.as_deref()),
        ("product", filter.product.as_deref()),
        ("level", filter.level.as_deref()),
        ("operator", filter.operator.as_deref()),
        ("ticket", filter.ticket.as_deref()),
        ("grant", filter.grant.as_deref()),
    ]
    .into_iter()
    .filter_map(|(field, value)| Some((field, value?.to_owned())))
    .collect()
}

fn of_act(act: &Act) -> HashSet<Term> {
    let (user, operator) = match act.family {
        Family::Own => (act.who.as_str(), ""),
        Family::Platform => ("", act.who.as_str()),
    };
    let path = act.resource.splitn(5, ':').last().unwrap_or_default();
    [
        ("family", family_word(act.family)),
        ("type", &act.event_type),
        ("result", act.result()),
        ("name", &act.event_name),
        ("name", &act.wire_name),
        ("service", &act.service),
        ("user", user),
        ("key", &act.access_key),
        ("resource-type", &act.resource_type),
        ("resource", &act.resource_name),
        ("resource", path),
        ("rw", rw_word(act.write)),
        ("id", &act.event_id),
        ("product", &act.product),
        ("level", &act.level),
        ("operator", operator),
        ("ticket", &act.ticket),
        ("grant", &act.grant),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(field, value)| (field, value.to_owned()))
    .collect()
}

impl Act {
    /// How it ended, in one word: `open`, `done`, `refused`, `failed`, `unknown`.
    pub fn result(&self) -> &str {
        match &self.end {
            ActEnd::Open => "open",
            ActEnd::Refused => "refused",
            ActEnd::Ended { result, .. } => result,
        }
    }
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::Platform => "platform",
        Family::Own => "own",
    }
}

fn rw_word(write: bool) -> &'static str {
    if write { "Write" } else { "Read" }
}

fn texts(act: &Act) -> [&String; 6] {
    [&act.event_name, &act.resource, &act.who, &act.ticket, &act.grant, &act.reason]
}

/// Three characters that follow each other, and two where neither is ASCII: Chinese words have two. A text that lies
/// within another has no other grams than it; a word shorter than that cannot pass over a block.
fn grams(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let of = |n: usize| chars.windows(n).map(<[char]>::to_vec).collect::<Vec<_>>();
    let pairs = of(2).into_iter().filter(|p| p.iter().all(|c| !c.is_ascii()));
    of(3).into_iter().chain(pairs).map(|g| g.into_iter().collect()).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_within_another_has_no_other_grams(
            before in "\\PC{0,12}", text in "[a-z 发票é.]{0,9}", after in "\\PC{0,12}"
        ) {
            let whole: HashSet<_> = grams(&format!("{before}{text}{after}")).collect();
            prop_assert!(grams(&text).all(|g| whole.contains(&g)));
        }
    }

    #[test]
    fn chinese_words_of_two_characters_can_be_looked_for() {
        assert_eq!(grams("发票").collect::<Vec<_>>(), ["发票"]);
        assert_eq!(grams("ab").count(), 0);
    }
}
