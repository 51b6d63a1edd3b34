//! Random policies and requests of the part of the language that other engines share: a model, and how it is written.
#![allow(dead_code, reason = "each oracle takes its part")]

use std::fmt::Write;

/// The account that owns everything here.
pub(crate) const ACCOUNT: &str = "100000000001";
/// The instant of every request.
pub(crate) const NOW: &str = "2026-01-02T03:04:05Z";

/// Numbers that look random; the same seed gives the same (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn several<T: Copy>(&mut self, from: &[T], max: usize) -> Vec<T> {
        (0..=self.below(max)).map(|_| self.pick(from)).collect()
    }
}

/// What the other language can say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// No `?`, no text without case, no variables.
    Cedar,
    /// All of these.
    Aws,
}

pub(crate) struct Statement {
    pub(crate) deny: bool,
    pub(crate) not_action: bool,
    pub(crate) actions: Vec<&'static str>,
    pub(crate) not_resource: bool,
    /// Service, region, account, relative.
    pub(crate) resources: Vec<[&'static str; 4]>,
    /// Names of users, or `*`; none in an identity policy.
    pub(crate) principals: Option<Vec<&'static str>>,
    pub(crate) conditions: Vec<Condition>,
}

pub(crate) struct Condition {
    pub(crate) qualifier: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) if_exists: bool,
    pub(crate) key: &'static str,
    pub(crate) values: Vec<&'static str>,
}

pub(crate) struct Asked {
    pub(crate) action: &'static str,
    pub(crate) resource: [&'static str; 4],
    pub(crate) user: &'static str,
    pub(crate) secure: bool,
    pub(crate) mfa: Option<bool>,
    pub(crate) ip: Option<&'static str>,
    /// `x:a`, `x:b` (single), `x:s` (several), `x:n` (a number).
    pub(crate) a: Option<&'static str>,
    pub(crate) b: Option<&'static str>,
    pub(crate) s: Vec<&'static str>,
    pub(crate) n: Option<i64>,
}

const TEXTS: &[&str] = &["a", "b", "ab", "abc", "", "x/y", "a-1"];
const LIKES: &[&str] = &["a*", "*b", "*", "a", "*b*", "x/*", "ab*c"];
const ONES: &[&str] = &["a?", "?", "?b*", "*?", "a?c"];
const VARS: &[&str] = &["${x:a}", "${x:b}*", "a${x:a}"];

pub(crate) fn statement(dice: &mut Dice, shared: Shared, in_resource: bool) -> Statement {
    let mut actions =
        vec!["*", "oss:*", "oss:Get*", "oss:GetObject", "oss:PutObject", "oss:*Object", "ram:*", "ram:List*"];
    let mut relatives = vec!["*", "a", "a/*", "b/x", "a*", "*/x", "a/x/*", "ab", "*b*"];
    if shared == Shared::Aws {
        actions.extend(["oss:?etObject", "OSS:getobject", "oss:Get?*"]);
        relatives.extend(["a?", "?/x", "a/?*", "${x:a}", "${x:a}/*", "*/${x:b}"]);
    }
    let resource = |dice: &mut Dice| {
        let service = if dice.one_in(6) { "*" } else { dice.pick(&["oss", "oss", "ram"]) };
        [service, dice.pick(&["*", "*", "r1", "r*"]), dice.pick(&["*", ACCOUNT]), dice.pick(&relatives)]
    };
    let not_resource = dice.one_in(12);
    let mut resources: Vec<_> = (0..=dice.below(3)).map(|_| resource(dice)).collect();
    if not_resource {
        // What a variable that is missing does to a list of exceptions is each language's own.
        resources.iter_mut().filter(|r| r[3].contains('$')).for_each(|r| r[3] = "a/*");
    }
    let conditions = (0..dice.pick(&[0, 0, 1, 1, 2])).map(|_| condition(dice, shared)).collect::<Vec<_>>();
    Statement {
        deny: dice.one_in(4),
        not_action: dice.one_in(12),
        actions: dice.several(&actions, 3),
        not_resource,
        resources,
        principals: in_resource.then(|| dice.several(&["li", "li", "wang", "*"], 2)),
        conditions: unique(conditions),
    }
}

/// An operator stands once in a statement, so each key of it does too.
fn unique(conditions: Vec<Condition>) -> Vec<Condition> {
    let mut kept: Vec<Condition> = Vec::new();
    for c in conditions {
        if !kept
            .iter()
            .any(|k| (k.qualifier, k.operator, k.if_exists) == (c.qualifier, c.operator, c.if_exists))
        {
            kept.push(c);
        }
    }
    kept
}

fn condition(dice: &mut Dice, shared: Shared) -> Condition {
    let of = |qualifier, operator, if_exists, key, values| Condition {
        qualifier,
        operator,
        if_exists,
        key,
        values,
    };
    let single = dice.pick(&["x:a", "x:b"]);
    let if_exists = dice.one_in(4);
    let aws = shared == Shared::Aws;
    match dice.below(if aws { 11 } else { 10 }) {
        0 | 1 => {
            let operator = dice.pick(&["StringEquals", "StringNotEquals"]);
            of("", operator, if_exists, single, dice.several(TEXTS, 2))
        }
        2 | 3 => {
            let operator = dice.pick(&["StringLike", "StringNotLike"]);
            let mut values = dice.several(LIKES, 2);
            if aws && dice.one_in(2) {
                values = dice.several(ONES, 2);
            } else if aws && operator == "StringLike" && dice.one_in(3) {
                values = dice.several(VARS, 1);
            }
            of("", operator, if_exists, single, values)
        }
        4 => {
            let operator = dice.pick(&["StringEquals", "StringNotEquals"]);
            of(dice.pick(&["ForAnyValue:", "ForAllValues:"]), operator, false, "x:s", dice.several(TEXTS, 3))
        }
        5 => {
            #[rustfmt::skip]
            let operator = dice.pick(&["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
                "NumericGreaterThan", "NumericGreaterThanEquals"]);
            of("", operator, if_exists, "x:n", vec![dice.pick(&["1", "2", "10", "-3"])])
        }
        6 => {
            #[rustfmt::skip]
            let operator = dice.pick(&["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
                "DateGreaterThanEquals"]);
            of(
                "",
                operator,
                false,
                "acs:CurrentTime",
                vec![dice.pick(&[NOW, "2026-01-02T03:04:04Z", "2027-01-01T00:00:00Z"])],
            )
        }
        7 => of(
            "",
            "Bool",
            if_exists,
            dice.pick(&["acs:MFAPresent", "acs:SecureTransport"]),
            vec![dice.pick(&["true", "false"])],
        ),
        8 => {
            let operator = dice.pick(&["IpAddress", "NotIpAddress"]);
            let widest = if aws { "0.0.0.0/1" } else { "0.0.0.0/0" };
            of(
                "",
                operator,
                if_exists,
                "acs:SourceIp",
                dice.several(&["10.0.0.0/8", "10.1.2.3/32", "192.0.2.0/24", widest], 2),
            )
        }
        9 => of(
            "",
            "Null",
            false,
            dice.pick(&["x:a", "x:s", "x:n", "acs:MFAPresent"]),
            vec![dice.pick(&["true", "false"])],
        ),
        _ => {
            let operator = dice.pick(&["StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"]);
            of("", operator, if_exists, single, dice.several(&["A", "aB", "X/y"], 2))
        }
    }
}

pub(crate) fn asked(dice: &mut Dice, shared: Shared) -> Asked {
    let maybe = |dice: &mut Dice| {
        let text = (!dice.one_in(3)).then(|| dice.pick(TEXTS));
        text.filter(|t| shared == Shared::Cedar || !t.is_empty())
    };
    let service = if dice.one_in(5) { "ram" } else { "oss" };
    let action = if service == "ram" {
        dice.pick(&["ram:ListUsers", "ram:CreateUser"])
    } else {
        dice.pick(&["oss:GetObject", "oss:PutObject", "oss:GetObjectAcl"])
    };
    let relative = dice.pick(&["a", "a/x", "a/x/y", "b/x", "ab", "abc/b", "b"]);
    Asked {
        action,
        resource: [service, dice.pick(&["r1", "r2"]), ACCOUNT, relative],
        user: dice.pick(&["li", "wang"]),
        secure: dice.one_in(2),
        mfa: dice.pick(&[None, Some(true), Some(false)]),
        ip: dice.pick(&[None, Some("10.1.2.3"), Some("10.9.9.9"), Some("192.0.2.7"), Some("198.51.100.1")]),
        a: maybe(dice),
        b: maybe(dice),
        s: if dice.one_in(3) { Vec::new() } else { dice.several(TEXTS, 3) },
        n: dice.pick(&[None, Some(1), Some(2), Some(11), Some(-3), Some(-4)]),
    }
}

/// How the two sibling languages spell things.
pub(crate) struct Spelling {
    pub(crate) version: &'static str,
    pub(crate) arn: &'static str,
    pub(crate) identity: &'static str,
    /// What stands before every relative part.
    pub(crate) folder: &'static str,
    pub(crate) key: fn(&str) -> String,
}

pub(crate) const RAM: Spelling =
    Spelling { version: "1", arn: "acs", identity: "RAM", folder: "", key: |key| key.to_owned() };

impl Spelling {
    pub(crate) fn document(&self, statements: &[Statement]) -> String {
        let list: Vec<String> = statements.iter().map(|s| self.statement(s)).collect();
        format!(r#"{{"Version":"{}","Statement":[{}]}}"#, self.version, list.join(","))
    }

    fn statement(&self, s: &Statement) -> String {
        let not = |yes| if yes { "Not" } else { "" };
        let resources: Vec<String> = s.resources.iter().map(|r| self.resource(r)).collect();
        let mut out = format!(
            r#"{{"Effect":"{}","{}Action":{:?},"{}Resource":{:?}"#,
            if s.deny { "Deny" } else { "Allow" },
            not(s.not_action),
            s.actions,
            not(s.not_resource),
            resources
        );
        if let Some(principals) = &s.principals {
            let names: Vec<String> = principals.iter().map(|p| self.user(p)).collect();
            let _ = write!(out, r#","Principal":{{"{}":{names:?}}}"#, self.identity);
        }
        if !s.conditions.is_empty() {
            let blocks: Vec<String> = s.conditions.iter().map(|c| self.condition(c)).collect();
            let _ = write!(out, r#","Condition":{{{}}}"#, blocks.join(","));
        }
        out.push('}');
        out
    }

    fn condition(&self, c: &Condition) -> String {
        let suffix = if c.if_exists { "IfExists" } else { "" };
        let key = (self.key)(c.key);
        let values: Vec<String> = c.values.iter().map(|v| self.variables(v)).collect();
        format!(r#""{}{}{suffix}":{{"{key}":{values:?}}}"#, c.qualifier, c.operator)
    }

    pub(crate) fn resource(&self, [service, region, account, relative]: &[&str; 4]) -> String {
        format!("{}:{service}:{region}:{account}:{}{}", self.arn, self.folder, self.variables(relative))
    }

    pub(crate) fn user(&self, name: &str) -> String {
        if name == "*" {
            return "*".to_owned();
        }
        let service = if self.arn == "acs" { "ram" } else { "iam" };
        format!("{}:{service}::{ACCOUNT}:user/{name}", self.arn)
    }

    fn variables(&self, text: &str) -> String {
        ["x:a", "x:b"]
            .iter()
            .fold(text.to_owned(), |t, k| t.replace(&format!("${{{k}}}"), &format!("${{{}}}", (self.key)(k))))
    }
}

impl Asked {
    /// The request's own keys, for [`bailee_policy::Context`].
    pub(crate) fn extra(&self) -> Vec<(&'static str, Vec<String>)> {
        let one = |v: Option<&str>| v.map(str::to_owned).into_iter().collect::<Vec<_>>();
        let several = self.s.iter().map(|v| (*v).to_owned()).collect();
        vec![
            ("x:a", one(self.a)),
            ("x:b", one(self.b)),
            ("x:s", several),
            ("x:n", self.n.iter().map(i64::to_string).collect()),
        ]
    }

    /// Asks the fast evaluator: identity policies and, if there is one, the resource's.
    pub(crate) fn decide(
        &self,
        identity: &[&bailee_policy::PolicySet],
        resource: Option<&bailee_policy::PolicySet>,
    ) -> &'static str {
        use bailee_policy::{Context, Phases, Request, Subject, Verdict, decide};
        let extra = self.extra();
        let values: Vec<(&str, Vec<&str>)> =
            extra.iter().map(|(k, v)| (*k, v.iter().map(String::as_str).collect())).collect();
        let extra: Vec<(&str, &[&str])> = values.iter().map(|(k, v)| (*k, v.as_slice())).collect();
        let context = Context {
            now: bailee_types::Timestamp::parse_iso(NOW).unwrap(),
            source_ip: self.ip.map(|ip| ip.parse().unwrap()),
            secure_transport: self.secure,
            mfa_present: self.mfa,
            subject: Subject::User { account: ACCOUNT, id: "7", name: self.user },
            extra: &extra,
        };
        let arn = bailee_types::Arn::parse(&RAM.resource(&self.resource)).unwrap();
        let request = Request { action: self.action, resource: &arn, context: &context };
        match decide(&Phases { identity, resource, ..Phases::default() }, &request) {
            Verdict::Allow { .. } => "Allowed",
            Verdict::ExplicitDeny { .. } => "ExplicitlyDenied",
            Verdict::ImplicitDeny { .. } => "ImplicitlyDenied",
        }
    }
}
