//! `keyhouse.toml`: where it listens, who approves, whose log counts, and who may use which key.

use std::collections::BTreeSet;

use bailee_proof::note::VerifierKey;
use serde::Deserialize;

/// The file, read and checked.
#[derive(Debug)]
pub struct Config {
    /// Where to listen, `host:port`.
    pub listen: String,
    /// What stands before `/kms/xks/v1` in every path; empty, or `/` and words.
    pub prefix: String,
    /// Keys of approvers: each may sign grants.
    pub approvers: Vec<VerifierKey>,
    /// How many of them must sign one grant.
    pub approvals: usize,
    /// Keys of the tenant's log at the provider.
    pub logs: Vec<VerifierKey>,
    /// The tenant's id at the provider.
    pub tenant: Option<String>,
    /// Who may do what; the first that fits decides.
    pub rules: Vec<Rule>,
}

/// Who may do what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// ARNs of who asks; `*` stands for anything.
    pub principals: Vec<String>,
    /// Keys; `*` stands for anything.
    #[serde(default = "every")]
    pub keys: Vec<String>,
    /// `Encrypt`, `Decrypt`, `GetKeyMetadata`.
    pub operations: Vec<String>,
    /// What the provider was asked to do (`kmsOperation`); empty: anything.
    #[serde(default)]
    pub kms_operations: Vec<String>,
    /// What must be shown.
    #[serde(default)]
    pub needs: Needs,
    /// For `needs = "grant"`: reasons that count; empty: any.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// What must be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// Nothing more than the signature of the provider.
    #[default]
    Nothing,
    /// A grant that approvers signed, and the intent in the tenant's log.
    Grant,
}

fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    approvers: Vec<String>,
    #[serde(default = "one")]
    approvals: usize,
    #[serde(default)]
    logs: Vec<String>,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

fn one() -> usize {
    1
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keyhouse.toml: {0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// What in it is not understood; a misspelt member is an error, not an absent one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |why: String| ConfigError(why);
        let written: Written = toml::from_str(text).map_err(|e| wrong(e.to_string().trim().to_owned()))?;
        let keys = |name: &str, list: &[String]| -> Result<Vec<VerifierKey>, ConfigError> {
            let read = |text: &String| {
                VerifierKey::parse(text).map_err(|e| wrong(format!("`{text}` of `{name}` is no key: {e}")))
            };
            list.iter().map(read).collect()
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_');
        let prefix = written.prefix.trim_end_matches('/').to_owned();
        if prefix.len() > 117 || !prefix.bytes().all(plain) || !(prefix.is_empty() || prefix.starts_with('/'))
        {
            return Err(wrong(
                "`prefix` is empty, or `/` and at most 116 letters, digits, `/`, `-` and `_`".into(),
            ));
        }
        let approvers = keys("approvers", &written.approvers)?;
        let names: BTreeSet<&str> = approvers.iter().map(VerifierKey::name).collect();
        let asks = written.rules.iter().any(|r| r.needs == Needs::Grant);
        if names.len() != approvers.len() {
            return Err(wrong("two `approvers` have one name".into()));
        }
        if written.approvals == 0 || (asks && written.approvals > approvers.len()) {
            return Err(wrong(format!(
                "`approvals` is {}, but there are {} `approvers`",
                written.approvals,
                approvers.len()
            )));
        }
        if asks && (written.logs.is_empty() || written.tenant.is_none()) {
            return Err(wrong("a rule needs a grant, but `logs` or `tenant` is missing".into()));
        }
        for rule in &written.rules {
            for word in &rule.operations {
                if !matches!(word.as_str(), "Encrypt" | "Decrypt" | "GetKeyMetadata") {
                    return Err(wrong(format!("`{word}` is none of Encrypt, Decrypt, GetKeyMetadata")));
                }
            }
            if rule.principals.is_empty() || rule.operations.is_empty() || rule.keys.is_empty() {
                return Err(wrong("a rule has an empty list, and would never fit".into()));
            }
        }
        Ok(Self {
            listen: written.listen,
            prefix,
            approvals: written.approvals,
            approvers,
            logs: keys("logs", &written.logs)?,
            tenant: written.tenant,
            rules: written.rules,
        })
    }
}

/// A configuration to begin with: the tenant's own people, and people of the provider with a grant.
pub fn first_config(
    listen: &str,
    prefix: &str,
    tenant: &str,
    log: Option<&str>,
    approver: Option<&str>,
) -> String {
    let list = |item: Option<&str>| item.map(|i| format!("\"{i}\"")).unwrap_or_default();
    let grant = match (log, approver) {
        (Some(_), Some(_)) => {
            "\n# People of the provider: with a grant that an approver signed, and their intent in your log.\n\
             [[rule]]\nprincipals = [\"acs:bailee::provider:operator/*\"]\noperations = [\"Decrypt\"]\nneeds = \"grant\"\n"
        }
        _ => "",
    };
    format!(
        "# A key service for tenant {tenant}. It is read again when it changes.\n\
         listen = \"{listen}\"\n\
         # Stands before /kms/xks/v1 in every path.\n\
         prefix = \"{prefix}\"\n\
         tenant = \"{tenant}\"\n\
         # Who may sign grants (bailee keyhouse approver), and how many must.\n\
         approvers = [{}]\napprovals = 1\n\
         # The key of your log at the provider; after a key change there, the new one, too.\n\
         logs = [{}]\n\
         \n# The first rule that fits decides; without one the answer is no.\n\
         # Your own people, through the provider.\n\
         [[rule]]\nprincipals = [\"acs:ram::{tenant}:*\"]\noperations = [\"Encrypt\", \"Decrypt\", \"GetKeyMetadata\"]\n\
         \n# The provider's workers: access logs that you ordered are written, nothing is read.\n\
         [[rule]]\nprincipals = [\"acs:bailee::provider:worker/*\"]\noperations = [\"Encrypt\"]\n{grant}",
        list(approver),
        list(log),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_configuration_is_read_and_misspelt_ones_are_refused() {
        let approver = bailee_proof::note::Signer::from_seed("alice@acme", &[7; 32]).unwrap();
        let key = approver.verifier().to_string();
        let good = first_config("127.0.0.1:9443", "/acme", "1000000000000001", Some(&key), Some(&key));
        let config = Config::parse(&good).unwrap();
        assert_eq!((config.rules.len(), config.prefix.as_str()), (3, "/acme"));
        assert_eq!(Config::parse(&first_config("a:1", "", "1", None, None)).unwrap().rules.len(), 2);
        for (from, to, why) in [
            ("prefix = \"/acme\"", "prefix = \"acme?\"", "prefix"),
            ("approvals = 1", "approvals = 2", "there are 1"),
            ("approvals = 1", "aprovals = 1", "unknown field"),
            ("\"Decrypt\"]\nneeds", "\"decrypt\"]\nneeds", "none of Encrypt"),
            ("needs = \"grant\"", "needs = \"grants\"", "unknown variant"),
            ("tenant = \"1", "# tenant = \"1", "is missing"),
            (key.as_str(), "alice", "is no key"),
        ] {
            assert!(good.contains(from), "{from}");
            let said = Config::parse(&good.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(said.contains(why), "{to}: {said}");
        }
    }
}
