//! Reading a policy file, line by line.

use super::{
    Group, Member, POLICY_BYTES_MAX, POLICY_ITEMS_MAX, Policy, PolicyError, PolicyLog, PolicyWitness,
};
use crate::note::{KeyKind, VerifierKey};

#[derive(Default)]
struct Parser {
    line: usize,
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// Where each witness or group was used as a member.
    used: Vec<(Member, usize)>,
    /// Where each name was defined.
    names: Vec<(String, Member, usize)>,
    quorum: Option<(Option<Member>, usize)>,
}

pub(super) fn policy(bytes: &[u8]) -> Result<Policy, PolicyError> {
    let mut parser = Parser { line: 1, ..Parser::default() };
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(parser.wrong(format!("the file has {} bytes, more than {POLICY_BYTES_MAX}", bytes.len())));
    }
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (number, line) in body.split(|b| *b == b'\n').enumerate() {
        parser.line = number + 1;
        parser.line(line)?;
    }
    let Some((quorum, _)) = parser.quorum else {
        return Err(
            parser.wrong("there is no quorum line: end the file with `quorum <name>` or `quorum none`")
        );
    };
    let Parser { logs, witnesses, groups, .. } = parser;
    Ok(Policy { logs, witnesses, groups, quorum })
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyError> {
        if let Some(byte) = line.iter().find(|b| (**b < 0x20 && **b != b'\t') || **b == 0x7f) {
            return Err(self.wrong(format!("the control character {byte:02x} may not stand in a policy")));
        }
        let words: Vec<&[u8]> = line.split(|b| matches!(b, b' ' | b'\t')).filter(|w| !w.is_empty()).collect();
        if words.first().is_none_or(|w| w.starts_with(b"#")) {
            return Ok(());
        }
        let words: Result<Vec<&str>, _> = words.into_iter().map(std::str::from_utf8).collect();
        let words = words.map_err(|_| self.wrong("names, keys and addresses must be UTF-8"))?;
        match words.as_slice() {
            ["log", rest @ ..] => self.log(rest),
            ["witness", rest @ ..] => self.witness(rest),
            ["group", rest @ ..] => self.group(rest),
            ["quorum", rest @ ..] => self.quorum(rest),
            [other, ..] => {
                let other: String = other.chars().take(40).collect();
                Err(self.wrong(format!("`{other}` is none of log, witness, group, quorum")))
            }
            [] => Ok(()),
        }
    }

    fn log(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let (vkey, url) = match words {
            [vkey] => (*vkey, None),
            [vkey, url] => (*vkey, Some((*url).to_owned())),
            _ => return Err(self.wrong("a log line is `log <vkey> [<url>]`")),
        };
        let key = self.key(vkey)?;
        if key.kind() == KeyKind::Cosignature {
            return Err(self.wrong("a log's key has type 01 (Ed25519) or 06 (ML-DSA-44), this one has 04"));
        }
        self.room(self.logs.len(), "logs")?;
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn witness(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let (name, vkey, url) = match words {
            [name, vkey] => (*name, *vkey, None),
            [name, vkey, url] => (*name, *vkey, Some((*url).to_owned())),
            _ => return Err(self.wrong("a witness line is `witness <name> <vkey> [<url>]`")),
        };
        let key = self.key(vkey)?;
        if key.kind() == KeyKind::Ed25519 {
            return Err(self.wrong(
                "a witness's key has type 04 (Ed25519 cosignature) or 06 (ML-DSA-44), this one has 01",
            ));
        }
        self.room(self.witnesses.len(), "witnesses")?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness { name: name.to_owned(), key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let [name, needed, members @ ..] = words else {
            return Err(self.wrong("a group line is `group <name> any|all|<k> <name>…`"));
        };
        if members.is_empty() {
            return Err(self.wrong(format!("the group `{name}` has no members")));
        }
        let count = members.len();
        let needed = match *needed {
            "any" => 1,
            "all" => count,
            k => {
                k.parse::<usize>().ok().filter(|n| n.to_string() == k && (1..=count).contains(n)).ok_or_else(
                    || {
                        self.wrong(format!(
                            "`{k}` must be any, all or a number from 1 to {count}, the number of members"
                        ))
                    },
                )?
            }
        };
        let mut found = Vec::with_capacity(count);
        for member in members {
            let member_is = self.defined(member)?;
            if let Some((_, line)) = self.used.iter().find(|(used, _)| *used == member_is) {
                let why =
                    format!("`{member}` is a member of the group on line {line} already; once is allowed");
                return Err(self.wrong(why));
            }
            self.used.push((member_is, self.line));
            found.push(member_is);
        }
        self.room(self.groups.len(), "groups")?;
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { needed, members: found });
        Ok(())
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let [name] = words else {
            return Err(self.wrong("a quorum line is `quorum <name>` or `quorum none`"));
        };
        if let Some((_, line)) = self.quorum {
            return Err(self.wrong(format!("the quorum is defined on line {line} already")));
        }
        let member = if *name == "none" { None } else { Some(self.defined(name)?) };
        self.quorum = Some((member, self.line));
        Ok(())
    }

    fn key(&self, vkey: &str) -> Result<VerifierKey, PolicyError> {
        let key = VerifierKey::parse(vkey).map_err(|e| self.wrong(e.to_string()))?;
        // A log's key as a witness's would let the log cosign itself: the message does not name the witness.
        let known = self.logs.iter().map(|l| &l.key).chain(self.witnesses.iter().map(|w| &w.key));
        if let Some(same) = known.into_iter().find(|k| k.same_public(&key)) {
            return Err(self.wrong(format!(
                "the public key of `{}` is that of `{}`",
                key.name(),
                same.name()
            )));
        }
        Ok(key)
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), PolicyError> {
        if name == "none" {
            return Err(self.wrong("`none` is no name for a witness or group: it means `no quorum`"));
        }
        if let Some((_, _, line)) = self.names.iter().find(|(known, ..)| known == name) {
            return Err(self.wrong(format!("the name `{name}` is taken on line {line}")));
        }
        self.names.push((name.to_owned(), member, self.line));
        Ok(())
    }

    fn defined(&self, name: &str) -> Result<Member, PolicyError> {
        let found = self.names.iter().find(|(known, ..)| known == name).map(|(_, member, _)| *member);
        found.ok_or_else(|| self.wrong(format!("`{name}` is no witness or group of a line above")))
    }

    fn room(&self, count: usize, what: &str) -> Result<(), PolicyError> {
        if count < POLICY_ITEMS_MAX {
            return Ok(());
        }
        Err(self.wrong(format!("more than {POLICY_ITEMS_MAX} {what}")))
    }

    fn wrong(&self, why: impl Into<String>) -> PolicyError {
        PolicyError { line: self.line, why: why.into() }
    }
}
