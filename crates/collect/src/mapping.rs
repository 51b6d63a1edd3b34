//! The mapping file: whose act a line is, on whose resource, and of which of the three types.
//!
//! Rules are asked in their order and the first that fits decides; so do the lists of actors and tenants. What no rule,
//! no actor or no tenant fits is unmapped. Unknown names in the file are errors, with their line.

use std::collections::{BTreeMap, BTreeSet};

use bailee_types::Timestamp;
use serde::Deserialize;

use crate::glob::Patterns;
use crate::wire::{EVENT_TYPES, Event, LEVELS, PRODUCTS};
use crate::{Manner, Observed, Outcome, Source, text};

/// What is wrong with a mapping file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

/// What becomes of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A platform event.
    Event(Box<Event>),
    /// No act of the platform, by the rule of this name.
    Ignored(String),
    /// Nothing can be made of it; why. Holds nothing of the line.
    Unmapped(String),
}

/// A mapping file, read and checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Whose log it maps.
    pub source: Source,
    /// How its lines are read.
    pub manner: Manner,
    /// SHA-256 of the file, hex.
    pub digest: String,
    actors: Vec<ActorEntry>,
    tenants: Vec<TenantEntry>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    version: u32,
    source: Source,
    #[serde(default)]
    utc_offset: Option<String>,
    #[serde(default)]
    fields: Option<usize>,
    #[serde(default)]
    actors: Vec<ActorEntry>,
    #[serde(default)]
    tenants: Vec<TenantEntry>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ActorEntry {
    actor: Patterns,
    #[serde(default)]
    operator: Option<String>,
    #[serde(default)]
    automatic: bool,
    #[serde(default)]
    own: bool,
    #[serde(default)]
    broker: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TenantEntry {
    resource: Patterns,
    tenant: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    name: String,
    #[serde(default)]
    when: When,
    #[serde(default)]
    ignore: bool,
    #[serde(default)]
    event: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    resource_type: Option<String>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    detail: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct When {
    #[serde(default)]
    actor: Option<Patterns>,
    #[serde(default)]
    action: Option<Patterns>,
    #[serde(default)]
    resource: Option<Patterns>,
    #[serde(default)]
    address: Option<Patterns>,
    #[serde(default)]
    outcome: Option<Patterns>,
    #[serde(default)]
    fields: BTreeMap<String, Patterns>,
}

/// Fields that rules and texts may name, a source.
fn fields_of(source: Source) -> &'static [&'static str] {
    match source {
        Source::Kubernetes => &[
            "user",
            "groups",
            "impersonated",
            "namespace",
            "kind",
            "name",
            "subresource",
            "apiGroup",
            "stage",
            "userAgent",
            "decision",
        ],
        Source::Postgres => &[
            "database",
            "application",
            "severity",
            "backend",
            "audit",
            "class",
            "command",
            "objectType",
            "object",
            "statementDigest",
        ],
        Source::Auditd => &["auid", "uid", "exe", "comm", "key", "ses", "tty", "acct", "node", "types"],
        Source::Sshd => &["host", "method", "key", "port"],
        Source::Hdfs => &["auth", "dst", "proto", "callerContext"],
        Source::Yarn => &["target", "application", "container", "queue"],
        Source::Oss => &["bucket", "key", "owner", "accessKey", "status"],
        Source::S3 => &["bucket", "key", "owner", "status"],
    }
}

/// Product, resource type and method where a rule names none.
fn defaults(source: Source) -> (&'static str, &'static str) {
    match source {
        Source::Kubernetes => ("ACK", "ACS::ACK::Cluster"),
        Source::Postgres => ("RDS", "ACS::RDS::DBInstance"),
        Source::Auditd | Source::Sshd => ("ECS", "ACS::ECS::Instance"),
        Source::Hdfs | Source::Yarn => ("EMR", "ACS::EMR::Cluster"),
        Source::Oss | Source::S3 => ("OSS", "ACS::OSS::Object"),
    }
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// What is wrong, with the line where the form is, with the rule's name where its words are.
    pub fn parse(yaml: &str) -> Result<Self, MappingError> {
        let file: File = serde_saphyr::from_str(yaml).map_err(|e| MappingError(e.to_string()))?;
        let wrong = |text: String| Err(MappingError(text));
        if file.version != 1 {
            return wrong(format!("version {} of a mapping is not known; this is 1", file.version));
        }
        if file.rules.is_empty() || file.rules.len() > 1000 {
            return wrong("a mapping has 1 to 1,000 rules".into());
        }
        let utc_offset = match file.utc_offset {
            None => None,
            Some(given) => match text::offset(&given) {
                Some(offset) => Some(offset),
                None => return wrong(format!("utcOffset: `{given}` is not an offset such as `+08:00`")),
            },
        };
        for entry in &file.actors {
            let says = [entry.operator.is_some(), entry.automatic, entry.own, entry.broker];
            if says.into_iter().filter(|says| *says).count() != 1 {
                let who = entry.actor.all().join(", ");
                return wrong(format!(
                    "actor `{who}`: say exactly one of `operator: op-…`, `broker: true`, `automatic: true`, `own: true`"
                ));
            }
        }
        let mut names = BTreeSet::new();
        for rule in &file.rules {
            if !names.insert(rule.name.as_str()) || rule.name.is_empty() || rule.name.chars().count() > 100 {
                return wrong(format!(
                    "rule `{}`: each needs a name of its own, of 1 to 100 characters",
                    rule.name
                ));
            }
            if let Err(why) = rule.check(file.source) {
                return wrong(format!("rule `{}`: {why}", rule.name));
            }
        }
        Ok(Self {
            source: file.source,
            manner: Manner { utc_offset, fields: file.fields },
            digest: hex::encode(crate::digest(yaml.as_bytes())),
            actors: file.actors,
            tenants: file.tenants,
            rules: file.rules,
        })
    }

    /// What becomes of an act that a unit told of. `id` and `line` are the event's; `now` is when it was read.
    pub fn decide(&self, act: &Observed, id: String, line: String, now: Timestamp) -> Verdict {
        let Some(rule) = self.rules.iter().find(|r| r.when.fits(act)) else {
            return Verdict::Unmapped("no rule fits".into());
        };
        if rule.ignore {
            return Verdict::Ignored(rule.name.clone());
        }
        let Some(actor) = self.actors.iter().find(|a| a.actor.fit(&act.actor)) else {
            return Verdict::Unmapped(format!("rule `{}`: nobody of `actors` fits", rule.name));
        };
        // The tenant's own programs do not come by a broker.
        if actor.own && !crate::wire::is_session(&act.session) {
            return Verdict::Ignored("the tenant's own".into());
        }
        let Some(tenant) = self.tenants.iter().find(|t| t.resource.fit(&act.resource)) else {
            return Verdict::Unmapped(format!("rule `{}`: nobody of `tenants` fits", rule.name));
        };
        let (product, resource_type) = defaults(self.source);
        let fill = |text: &Option<String>, other: &str| filled(text.as_deref().unwrap_or(other), act);
        let event = Event {
            id,
            line,
            observed_at: now.iso_ms(),
            time: act.at.map(Timestamp::iso_ms),
            tenant: tenant.tenant.clone(),
            operator: actor.operator.clone(),
            brokered: actor.broker,
            session: act.session.clone(),
            name: name_of(&fill(&rule.event, "{action}")),
            kind: rule.kind.clone().unwrap_or_default(),
            product: rule.product.clone().unwrap_or_else(|| product.into()),
            level: rule.level.clone().unwrap_or_else(|| "NOTICE".into()),
            method: rule.method.clone().unwrap_or_else(|| {
                if actor.automatic { "internal-interface".into() } else { "Regular Read".into() }
            }),
            resource_type: rule.resource_type.clone().unwrap_or_else(|| resource_type.into()),
            resource: fill(&rule.resource, "{resource}"),
            description: fill(&rule.description, ""),
            detail: rule.detail.iter().map(|(k, v)| (k.clone(), filled(v, act))).collect(),
            outcome: act.outcome,
            code: act.code.clone(),
            rule: rule.name.clone(),
        };
        match event.check() {
            Ok(()) => Verdict::Event(Box::new(event)),
            Err(why) => Verdict::Unmapped(format!("rule `{}`: {why}", rule.name)),
        }
    }
}

impl Rule {
    fn check(&self, source: Source) -> Result<(), String> {
        let known = fields_of(source);
        for name in self.when.fields.keys() {
            if !known.contains(&name.as_str()) {
                return Err(format!("no field `{name}`: {} has {}", source.word(), known.join(", ")));
            }
        }
        for word in self.when.outcome.iter().flat_map(Patterns::all) {
            if !["done", "refused", "failed", "unknown", "*"].contains(&word.as_str()) {
                return Err(format!("outcome `{word}` is none of done, refused, failed, unknown"));
            }
        }
        let texts = [&self.event, &self.resource, &self.description];
        for text in texts.into_iter().flatten().chain(self.detail.values()) {
            for name in names_in(text)? {
                if !["actor", "action", "resource", "address", "outcome"].contains(&name)
                    && !known.contains(&name)
                {
                    return Err(format!("no field `{name}` for `{text}`"));
                }
                // The name that the log has for a person is what the pseudonym hides.
                if matches!(name, "actor" | "user" | "auid" | "acct" | "AUID") {
                    return Err(format!("`{{{name}}}` would tell the tenant who the operator is"));
                }
            }
        }
        if self.ignore {
            let says = self.kind.is_some() || self.event.is_some() || self.level.is_some();
            return if says { Err("a rule that ignores makes no event".into()) } else { Ok(()) };
        }
        let one_of = |what: &str, word: &Option<String>, all: &[&str]| match word {
            Some(word) if !all.contains(&word.as_str()) => {
                Err(format!("{what} `{word}` is none of {}", all.join(", ")))
            }
            _ => Ok(()),
        };
        if self.kind.is_none() {
            return Err(format!("needs a `type` ({}) or `ignore: true`", EVENT_TYPES.join(", ")));
        }
        one_of("type", &self.kind, &EVENT_TYPES)?;
        one_of("product", &self.product, &PRODUCTS)?;
        one_of("level", &self.level, &LEVELS)
    }
}

impl When {
    fn fits(&self, act: &Observed) -> bool {
        let is = |wanted: &Option<Patterns>, text: &str| wanted.as_ref().is_none_or(|p| p.fit(text));
        let outcome = |o: Outcome| is(&self.outcome, o.word());
        is(&self.actor, &act.actor)
            && is(&self.action, &act.action)
            && is(&self.resource, &act.resource)
            && is(&self.address, &act.address)
            && outcome(act.outcome)
            && self
                .fields
                .iter()
                .all(|(name, wanted)| wanted.fit(act.fields.get(name.as_str()).map_or("", String::as_str)))
    }
}

/// Names in braces.
fn names_in(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("`{text}`: a brace is not closed"))?;
        found.push(name);
        rest = after;
    }
    Ok(found)
}

/// Puts values in the place of names; in one pass, so that a value with braces stays as it is.
fn filled(text: &str, act: &Observed) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(match name {
            "action" => &act.action,
            "resource" => &act.resource,
            "address" => &act.address,
            "outcome" => act.outcome.word(),
            other => act.fields.get(other).map_or("", String::as_str),
        });
        rest = after;
    }
    out.push_str(rest);
    out.chars().take(1024).collect()
}

/// An action in the letters of an event's name.
fn name_of(action: &str) -> String {
    let mut out = String::new();
    for c in action.chars().take(64) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => out.push(c),
            _ if out.ends_with('-') => {}
            _ => out.push('-'),
        }
    }
    out.trim_matches('-').to_owned()
}
