//! What a request or grant is about: objects, or a system that brokers reach and what is allowed there.

use bailee_proof::grant::Covers;
use bailee_types::{Arn, BucketName, ObjectKey, TargetName, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Failure;

/// Rules of one grant for a cluster or service, at most.
const RULES_MAX: usize = 32;
/// Characters of the limits of one grant, at most.
const LIMITS_MAX: usize = 8 * 1024;

/// What a request asks for, and a grant gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To read one object.
    Object {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        key: ObjectKey,
    },
    /// To read every object of a bucket whose key begins so; empty: all of them.
    Prefix {
        /// The bucket.
        bucket: BucketName,
        /// The beginning.
        prefix: String,
    },
    /// To open sessions with a system.
    Target {
        /// Its name.
        target: TargetName,
        /// What is allowed there.
        limits: Limits,
    },
}

/// What a session may do at its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
pub enum Limits {
    /// A host over SSH.
    Host {
        /// A shell with a terminal.
        #[serde(default)]
        shell: bool,
        /// Single commands.
        #[serde(default)]
        exec: bool,
        /// Files out of it.
        #[serde(default)]
        download: bool,
        /// Files into it.
        #[serde(default)]
        upload: bool,
    },
    /// A PostgreSQL database.
    Database {
        /// The roles of the database whose rights the session has.
        roles: Vec<String>,
        /// Whether it may only read.
        read_only: bool,
    },
    /// A Kubernetes API server.
    Cluster {
        /// What may be asked.
        rules: Vec<ClusterRule>,
    },
    /// A service over HTTP.
    Service {
        /// What may be asked.
        rules: Vec<ServiceRule>,
    },
}

/// What may be asked of a Kubernetes API server; `*` as a whole word stands for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterRule {
    /// `get`, `list`, `watch`, `create`, …
    pub verbs: Vec<String>,
    /// `pods`, `pods/log`, `deployments.apps`.
    pub resources: Vec<String>,
    /// Namespaces; empty: what lies in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Names; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What may be asked of a service over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// `GET`, `PUT`, …
    pub methods: Vec<String>,
    /// A path; `*` at its end stands for any rest.
    pub path: String,
    /// For WebHDFS: values of `op`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
}

impl Limits {
    /// `host`, `database`, `cluster` or `service`.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Host { .. } => "host",
            Self::Database { .. } => "database",
            Self::Cluster { .. } => "cluster",
            Self::Service { .. } => "service",
        }
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        match self {
            Self::Host { .. } | Self::Database { .. } => 0,
            Self::Cluster { rules } => rules.len(),
            Self::Service { rules } => rules.len(),
        }
    }

    /// Reads limits as JSON.
    ///
    /// # Errors
    /// When they have another form, or allow nothing.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::invalid("limits", why);
        if text.len() > LIMITS_MAX {
            return Err(wrong(format!("must have at most {LIMITS_MAX} characters")));
        }
        let read: Self = serde_json::from_str(text).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let named = |words: &[String]| {
            !words.is_empty()
                && words.iter().all(|w| (1..=253).contains(&w.len()) && !w.chars().any(char::is_control))
        };
        let fits = match &read {
            Self::Host { shell, exec, download, upload } => *shell || *exec || *download || *upload,
            Self::Database { roles, .. } => named(roles) && roles.len() <= RULES_MAX,
            Self::Cluster { rules } => {
                (1..=RULES_MAX).contains(&rules.len())
                    && rules.iter().all(|r| named(&r.verbs) && named(&r.resources))
            }
            Self::Service { rules } => {
                (1..=RULES_MAX).contains(&rules.len())
                    && rules.iter().all(|r| named(&r.methods) && r.path.starts_with('/'))
            }
        };
        if fits {
            Ok(read)
        } else {
            Err(wrong("allow nothing: name at least one thing that may be done".into()))
        }
    }

    /// What both allow; none when that is nothing.
    fn meet(&self, other: &Self) -> Option<Self> {
        fn both<T: PartialEq + Clone>(own: &[T], other: &[T]) -> Option<Vec<T>> {
            let both: Vec<T> = own.iter().filter(|x| other.contains(x)).cloned().collect();
            (!both.is_empty()).then_some(both)
        }
        match (self, other) {
            (
                Self::Host { shell, exec, download, upload },
                Self::Host { shell: s, exec: e, download: d, upload: u },
            ) => {
                let (shell, exec, download, upload) =
                    (*shell && *s, *exec && *e, *download && *d, *upload && *u);
                (shell || exec || download || upload).then_some(Self::Host { shell, exec, download, upload })
            }
            (Self::Database { roles, read_only }, Self::Database { roles: r, read_only: o }) => {
                Some(Self::Database { roles: both(roles, r)?, read_only: *read_only || *o })
            }
            (Self::Cluster { rules }, Self::Cluster { rules: r }) => {
                Some(Self::Cluster { rules: both(rules, r)? })
            }
            (Self::Service { rules }, Self::Service { rules: r }) => {
                Some(Self::Service { rules: both(rules, r)? })
            }
            _ => None,
        }
    }

    /// As JSON, always the same for the same limits.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Scope {
    /// One object.
    pub fn object(bucket: BucketName, key: ObjectKey) -> Self {
        Self::Object { bucket, key }
    }

    /// The policy action that it is about.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Object { .. } | Self::Prefix { .. } => "oss:GetObject",
            Self::Target { limits, .. } => session_action(limits.family()),
        }
    }

    /// Whether it covers an object.
    pub fn covers_object(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        match self {
            Self::Object { bucket: b, key: k } => b == bucket && k == key,
            Self::Prefix { bucket: b, prefix } => b == bucket && key.as_str().starts_with(prefix.as_str()),
            Self::Target { .. } => false,
        }
    }

    /// Whether it covers a resource.
    pub(crate) fn covers(&self, resource: &Arn) -> bool {
        match self {
            Self::Target { target, .. } => {
                resource.relative().strip_prefix("target/") == Some(target.as_str())
            }
            _ => object_of(resource).is_some_and(|(bucket, key)| self.covers_object(&bucket, &key)),
        }
    }

    /// What both cover; none when that is nothing.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Object { bucket, key }, o @ (Self::Object { .. } | Self::Prefix { .. })) => {
                o.covers_object(bucket, key).then(|| self.clone())
            }
            (Self::Prefix { .. }, Self::Object { .. }) => other.meet(self),
            (Self::Prefix { bucket, prefix }, Self::Prefix { bucket: b, prefix: p }) if bucket == b => {
                if prefix.starts_with(p.as_str()) {
                    Some(self.clone())
                } else {
                    p.starts_with(prefix.as_str()).then(|| other.clone())
                }
            }
            (Self::Target { target, limits }, Self::Target { target: t, limits: l }) if target == t => {
                Some(Self::Target { target: target.clone(), limits: limits.meet(l)? })
            }
            _ => None,
        }
    }

    /// Whether it covers nothing that `wider` does not.
    pub fn is_within(&self, wider: &Self) -> bool {
        self.meet(wider).as_ref() == Some(self)
    }

    /// The bucket, of objects.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Object { bucket, .. } | Self::Prefix { bucket, .. } => Some(bucket),
            Self::Target { .. } => None,
        }
    }

    /// In the words of a statement to sign.
    pub(crate) fn said(&self) -> Covers {
        match self {
            Self::Object { bucket, key } => Covers::Object(format!("{bucket}/{key}")),
            Self::Prefix { bucket, prefix } => Covers::Prefix(format!("{bucket}/{prefix}")),
            Self::Target { target, limits } => {
                Covers::Target { name: target.to_string(), limits: limits.text() }
            }
        }
    }

    /// In the words of records and of the API: `object`, `prefix`, or `target` with `limits`.
    pub fn told(&self) -> Map<String, Value> {
        let said = self.said();
        let mut told = Map::new();
        told.insert(said.word().into(), said.name().into());
        if let Self::Target { limits, .. } = self {
            told.insert("limits".into(), json!(limits));
        }
        told
    }

    /// Reads [`Scope::told`].
    ///
    /// # Errors
    /// When it has another form.
    pub fn read_told(told: &Value) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::invalid("scope", why);
        let form = "must be one of {\"object\": \"bucket/key\"}, {\"prefix\": \"bucket/beginning\"} and \
                    {\"target\": \"name\", \"limits\": {…}}";
        let map = told.as_object().ok_or_else(|| wrong(form))?;
        let text = |name: &str| map.get(name).and_then(Value::as_str);
        let within = |name: &str| text(name).and_then(|n| n.split_once('/'));
        let bucket = |name: &str| BucketName::parse(name).map_err(|e| wrong(&e.to_string()));
        let scope = match map.len() {
            1 if let Some((of, key)) = within("object") => {
                Self::object(bucket(of)?, ObjectKey::parse(key).map_err(|e| wrong(&e.to_string()))?)
            }
            1 if let Some((of, prefix)) = within("prefix") => {
                Self::Prefix { bucket: bucket(of)?, prefix: prefix.to_owned() }
            }
            2 if let (Some(name), Some(limits)) = (text("target"), map.get("limits")) => Self::Target {
                target: TargetName::parse(name).map_err(|e| wrong(&e.to_string()))?,
                limits: Limits::parse(&limits.to_string())?,
            },
            _ => return Err(wrong(form)),
        };
        scope.check().map(|()| scope)
    }

    /// The columns `covers`, `bucket`, `object_key` and `limits`.
    pub(super) fn columns(&self) -> (&'static str, &str, &str, Option<String>) {
        match self {
            Self::Object { bucket, key } => ("object", bucket.as_str(), key.as_str(), None),
            Self::Prefix { bucket, prefix } => ("prefix", bucket.as_str(), prefix, None),
            Self::Target { target, limits } => ("target", "", target.as_str(), Some(limits.text())),
        }
    }

    /// What the columns say.
    pub(super) fn from_columns(
        covers: &str,
        bucket: &str,
        name: &str,
        limits: Option<&str>,
    ) -> Result<Self, String> {
        let bucket = || BucketName::parse(bucket).map_err(|e| e.to_string());
        match covers {
            "object" => Ok(Self::Object {
                bucket: bucket()?,
                key: ObjectKey::parse(name).map_err(|e| e.to_string())?,
            }),
            "prefix" => Ok(Self::Prefix { bucket: bucket()?, prefix: name.to_owned() }),
            _ => Ok(Self::Target {
                target: TargetName::parse(name).map_err(|e| e.to_string())?,
                limits: serde_json::from_str(limits.unwrap_or_default()).map_err(|e| e.to_string())?,
            }),
        }
    }

    /// Whether what it names can be.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Object { .. } => Ok(()),
            Self::Prefix { prefix, .. } => {
                // What no key can begin with covers nothing, and would only mislead.
                let fits = prefix.is_empty() || ObjectKey::parse(&format!("{prefix}x")).is_ok();
                if fits {
                    Ok(())
                } else {
                    Err(Failure::invalid("prefix", "is the beginning of no object's key"))
                }
            }
            Self::Target { limits, .. } => Limits::parse(&limits.text()).map(drop),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "{bucket}/{key}"),
            Self::Prefix { bucket, prefix } => write!(f, "{bucket}/{prefix}*"),
            Self::Target { target, limits } => write!(f, "{}/{target}", limits.family()),
        }
    }
}

/// The action by which a session with a system of this family is opened.
pub(crate) fn session_action(family: &str) -> &'static str {
    match family {
        "host" => "ecs:StartSession",
        "database" => "rds:StartSession",
        "cluster" => "cs:StartSession",
        _ => "emr:StartSession",
    }
}

/// The resource of a target, `acs:ecs:*:<tenant>:target/<name>`.
pub(crate) fn target_arn(tenant: &TenantId, family: &str, name: &TargetName) -> Arn {
    let service = session_action(family).split(':').next().unwrap_or_default();
    Arn::target(tenant, service, name)
}

/// Bucket and key of an object's ARN.
pub(super) fn object_of(resource: &Arn) -> Option<(BucketName, ObjectKey)> {
    let (bucket, key) = resource.relative().split_once('/').filter(|_| resource.service() == "oss")?;
    Some((BucketName::parse(bucket).ok()?, ObjectKey::parse(key).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_one_spelling_and_allow_something() {
        let text = r#"{"family":"host","shell":false,"exec":true,"download":false,"upload":false}"#;
        assert_eq!(Limits::parse(text).map(|l| l.text()).ok().as_deref(), Some(text));
        assert_eq!(
            Limits::parse(r#"{"family":"host","exec":true}"#).map(|l| l.text()).ok().as_deref(),
            Some(text)
        );
        for bad in [
            r#"{"family":"host"}"#,
            r#"{"family":"host","exec":true,"root":true}"#,
            r#"{"family":"database","roles":[],"read_only":true}"#,
            r#"{"family":"cluster","rules":[]}"#,
            r#"{"family":"cluster","rules":[{"verbs":["get"],"resources":[]}]}"#,
            r#"{"family":"service","rules":[{"methods":["GET"],"path":"webhdfs"}]}"#,
            r#"{"family":"moon"}"#,
            "[]",
        ] {
            assert!(Limits::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_covers_what_begins_so() {
        let bucket = BucketName::parse("invoices").unwrap();
        let key = |k| ObjectKey::parse(k).unwrap();
        let scope = Scope::Prefix { bucket: bucket.clone(), prefix: "2026/".into() };
        assert!(scope.check().is_ok() && scope.covers_object(&bucket, &key("2026/a")));
        assert!(!scope.covers_object(&bucket, &key("2025/a")));
        assert!(!scope.covers_object(&BucketName::parse("other").unwrap(), &key("2026/a")));
        for bad in ["/x", "../", "a\n"] {
            assert!(Scope::Prefix { bucket: bucket.clone(), prefix: bad.into() }.check().is_err(), "{bad:?}");
        }
    }
}
