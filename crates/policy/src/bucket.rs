//! Policies of buckets: whether one is public, and documents in the words of S3.
//!
//! [`of_s3`] puts an IAM document (`"Version": "2012-10-17"`) into the words of RAM. What it does not know it refuses:
//! a document is understood whole or not at all (rule P1).

use serde_json::{Map, Value, json};

use crate::document::{BUCKET_BYTES_MAX, Effect, Policy};
use crate::error::{PolicyError, shown};
use crate::principal::Who;

impl Policy {
    /// Whether an Allow of it names everybody, or whole crowds of accounts: `*`, a wildcard for the account, all but some.
    /// Conditions do not make it less public: an address is not a name.
    ///
    /// ```
    /// use bailee_policy::{Kind, Policy};
    /// let with = |principal: &str| {
    ///     let text = format!(r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject",
    ///         "Principal":[{principal:?}],"Resource":"acs:oss:*:*:site/*"}}]}}"#);
    ///     Policy::parse_as(Kind::Bucket, &text).unwrap().is_public()
    /// };
    /// assert!(with("*") && with("acs:ram::*:root"));
    /// assert!(!with("1000000000000002") && !with("acs:ram::1000000000000002:user/li-*"));
    /// ```
    pub fn is_public(&self) -> bool {
        self.statements.iter().filter(|s| s.effect == Effect::Allow).any(|s| {
            s.principals.as_ref().is_none_or(|p| p.negated || p.list.iter().any(|one| one.who.is_crowd()))
        })
    }
}

impl Who {
    fn is_crowd(&self) -> bool {
        match self {
            Self::Anyone | Self::AnyIdentity => true,
            Self::Account(account)
            | Self::User { account, .. }
            | Self::Role { account, .. }
            | Self::Session { account, .. } => account.literal().is_none(),
            Self::Id(_) | Self::Service(_) | Self::Federated(_) => false,
        }
    }
}

/// Whether a document says of itself that it is IAM's.
pub fn is_s3(document: &str) -> bool {
    let read: Result<Value, _> = serde_json::from_str(document);
    read.is_ok_and(|v| matches!(v.get("Version").and_then(Value::as_str), Some("2012-10-17" | "2008-10-17")))
}

/// An IAM document of a bucket in the words of RAM, to be read as [`crate::Kind::Bucket`].
///
/// # Errors
/// When anything in it is not known here: an action, a principal, a condition's key, a variable.
///
/// ```
/// let document = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "site", "Effect": "Allow", "Principal": "*",
///     "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::site/*"}]}"#;
/// assert_eq!(
///     bailee_policy::of_s3(document).unwrap(),
///     r#"{"Version":"1","Statement":[{"Effect":"Allow","Principal":["*"],"Action":["oss:GetObject"],"Resource":["acs:oss:*:*:site/*"]}]}"#
/// );
/// ```
pub fn of_s3(document: &str) -> Result<String, PolicyError> {
    if document.len() > BUCKET_BYTES_MAX {
        let text =
            format!("the document has {} bytes, at most {BUCKET_BYTES_MAX} are allowed", document.len());
        return Err(PolicyError::whole(text));
    }
    // Our own reader refuses members that occur twice, which serde_json would merge.
    let twice = crate::json::read(document).map_err(|f| PolicyError::of(f, document));
    let _ = twice?;
    let read: Value =
        serde_json::from_str(document).map_err(|e| PolicyError::whole(format!("it is not JSON: {e}")))?;
    translate(&read).map_err(PolicyError::whole)
}

fn translate(document: &Value) -> Result<String, String> {
    let members = document.as_object().ok_or("a policy is an object with `Version` and `Statement`")?;
    if let Some(other) = members.keys().find(|k| !["Version", "Id", "Statement"].contains(&k.as_str())) {
        return Err(format!("`{}` is not a member of a policy", shown(other)));
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err("the policy has no `Statement`".into()),
    };
    let mut out = Vec::with_capacity(statements.len());
    for (at, one) in statements.into_iter().enumerate() {
        out.push(statement(one).map_err(|why| format!("statement {}: {why}", at + 1))?);
    }
    // Written member by member: the order is the document's.
    Ok(format!(r#"{{"Version":"1","Statement":[{}]}}"#, out.join(",")))
}

fn statement(one: &Value) -> Result<String, String> {
    let members = one.as_object().ok_or("it is not an object")?;
    let mut out = Vec::new();
    for (name, value) in members {
        let (name, value) = match name.as_str() {
            "Sid" => continue,
            "Effect" => (name.as_str(), value.clone()),
            "Principal" | "NotPrincipal" => (name.as_str(), principals(value)?),
            "Action" | "NotAction" => (name.as_str(), actions(value)?),
            "Resource" | "NotResource" => (name.as_str(), each(value, "a resource", resource)?),
            "Condition" => (name.as_str(), conditions(value)?),
            other => return Err(format!("`{}` is not a member of a statement", shown(other))),
        };
        out.push(format!("{}:{value}", Value::from(name)));
    }
    Ok(format!("{{{}}}", out.join(",")))
}

/// One text or a list of them.
fn texts<'v>(value: &'v Value, what: &str) -> Result<Vec<&'v str>, String> {
    let wrong = || format!("{what} must be a text, or a list of texts");
    match value {
        Value::String(one) => Ok(vec![one]),
        Value::Array(list) if !list.is_empty() => list.iter().map(|v| v.as_str().ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

fn each(value: &Value, what: &str, read: fn(&str) -> Result<String, String>) -> Result<Value, String> {
    Ok(Value::from(texts(value, what)?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?))
}

fn principals(value: &Value) -> Result<Value, String> {
    let list = match value {
        Value::String(all) if all == "*" => return Ok(json!(["*"])),
        Value::Object(members) if members.len() == 1 => members.get("AWS"),
        _ => None,
    };
    let list = list.ok_or("a principal is `*` or {\"AWS\": …}: others are not known here")?;
    each(list, "a principal", |text| {
        let wrong = || format!("the principal `{}` is not known here", shown(text));
        if text == "*" || text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(text.to_owned());
        }
        let rest = text.strip_prefix("arn:aws:iam::").or_else(|| text.strip_prefix("arn:aws:sts::"));
        let (account, relative) = rest.and_then(|r| r.split_once(':')).ok_or_else(wrong)?;
        let known = relative == "root"
            || ["user/", "role/", "assumed-role/"].iter().any(|kind| relative.starts_with(kind));
        if known { Ok(format!("acs:ram::{account}:{relative}")) } else { Err(wrong()) }
    })
}

/// S3's actions whose name differs from OSS's, or stands for several.
const OTHERWISE: &[(&str, &[&str])] = &[
    ("ListBucket", &["ListObjects", "GetBucketInfo"]),
    ("ListBucketVersions", &["ListObjectVersions"]),
    ("ListBucketMultipartUploads", &["ListMultipartUploads"]),
    ("ListMultipartUploadParts", &["ListParts"]),
    ("GetBucketLocation", &["GetBucketInfo"]),
];

/// S3's actions that OSS calls the same.
const SAME: &[&str] = &[
    "GetObject",
    "GetObjectVersion",
    "PutObject",
    "DeleteObject",
    "DeleteObjectVersion",
    "AbortMultipartUpload",
    "GetObjectAcl",
    "PutObjectAcl",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "GetObjectVersionTagging",
    "PutObjectVersionTagging",
    "DeleteObjectVersionTagging",
    "GetObjectRetention",
    "PutObjectRetention",
    "GetObjectLegalHold",
    "PutObjectLegalHold",
    "BypassGovernanceRetention",
    "GetBucketAcl",
    "PutBucketAcl",
    "GetBucketPolicy",
    "PutBucketPolicy",
    "DeleteBucketPolicy",
    "GetBucketTagging",
    "PutBucketTagging",
    "GetBucketVersioning",
    "PutBucketVersioning",
    "GetBucketCORS",
    "PutBucketCORS",
    "DeleteBucket",
];

/// What may stand before a `*` at an action's end: there both services' names mean the same acts.
const BEGINNINGS: &[&str] =
    &["", "Get", "Put", "Delete", "List", "GetObject", "PutObject", "DeleteObject", "GetBucket", "PutBucket"];

fn actions(value: &Value) -> Result<Value, String> {
    let mut out = Vec::new();
    for text in texts(value, "an action")? {
        let unknown = || format!("the action `{}` is not known here", shown(text));
        if text == "*" {
            out.push("oss:*".to_owned());
            continue;
        }
        let (service, name) = text.split_once(':').ok_or_else(unknown)?;
        if !service.eq_ignore_ascii_case("s3") {
            return Err(unknown());
        }
        if let Some((_, names)) = OTHERWISE.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(name)) {
            out.extend(names.iter().map(|n| format!("oss:{n}")));
            continue;
        }
        let begins = |known: &&&str| name.strip_suffix('*').is_some_and(|n| n.eq_ignore_ascii_case(known));
        let same = SAME.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|n| format!("oss:{n}"));
        let beginning = BEGINNINGS.iter().find(begins).map(|n| format!("oss:{n}*"));
        out.push(same.or(beginning).ok_or_else(unknown)?);
    }
    Ok(Value::from(out))
}

fn resource(text: &str) -> Result<String, String> {
    if text.contains('$') {
        return Err(format!("the resource `{}` holds a variable; they are not known here", shown(text)));
    }
    match text.strip_prefix("arn:aws:s3:::").filter(|rest| !rest.is_empty()) {
        Some(rest) => Ok(format!("acs:oss:*:*:{rest}")),
        None => Err(format!("the resource `{}` does not begin with `arn:aws:s3:::`", shown(text))),
    }
}

fn conditions(value: &Value) -> Result<Value, String> {
    let blocks = value.as_object().ok_or("a condition is an object of operators")?;
    let mut out = Map::new();
    for (operator, keys) in blocks {
        let keys =
            keys.as_object().ok_or_else(|| format!("`{}` is not an object of keys", shown(operator)))?;
        let mut there = Map::new();
        for (key, value) in keys {
            let ours = match key.to_ascii_lowercase().as_str() {
                "aws:sourceip" => "acs:SourceIp",
                "aws:securetransport" => "acs:SecureTransport",
                "aws:currenttime" => "acs:CurrentTime",
                "aws:multifactorauthpresent" => "acs:MFAPresent",
                "s3:prefix" => "oss:Prefix",
                "s3:delimiter" => "oss:Delimiter",
                _ => return Err(format!("the condition's key `{}` is not known here", shown(key))),
            };
            let holds_variable =
                texts(value, "a condition's value").is_ok_and(|l| l.iter().any(|t| t.contains('$')));
            if holds_variable {
                return Err(format!(
                    "the value of `{}` holds a variable; they are not known here",
                    shown(key)
                ));
            }
            if there.insert(ours.to_owned(), value.clone()).is_some() {
                return Err(format!("the condition's key `{}` occurs twice", shown(key)));
            }
        }
        out.insert(operator.clone(), Value::Object(there));
    }
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn of(statement: &str) -> Result<String, String> {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        of_s3(&document).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_translated_is_a_policy_of_ours() {
        let text = of(
            r#"{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::1000000000000001:root","1000000000000002"]},
            "Action":["s3:ListBucket","s3:Put*"],"Resource":["arn:aws:s3:::b","arn:aws:s3:::b/x/*"],
            "Condition":{"Bool":{"aws:SecureTransport":"false"},"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}}"#,
        )
        .unwrap();
        let policy = Policy::parse_as(Kind::Bucket, &text).unwrap();
        assert!(!policy.is_public());
        assert!(text.contains(r#"["oss:ListObjects","oss:GetBucketInfo","oss:Put*"]"#), "{text}");
        assert!(text.contains(r#""acs:SourceIp":["10.0.0.0/8"]"#), "{text}");
    }

    #[test]
    fn what_is_not_known_is_refused_whole() {
        let allow = |rest: &str| of(&format!(r#"{{"Effect":"Allow",{rest}}}"#));
        for (rest, says) in [
            (r#""Principal":"*","Action":"s3:Fly","Resource":"arn:aws:s3:::b/*""#, "`s3:Fly`"),
            (r#""Principal":"*","Action":"s3:GetO*","Resource":"arn:aws:s3:::b/*""#, "`s3:GetO*`"),
            (r#""Principal":"*","Action":"ec2:*","Resource":"arn:aws:s3:::b/*""#, "`ec2:*`"),
            (
                r#""Principal":{"Service":"x.amazonaws.com"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*""#,
                "AWS",
            ),
            (r#""Principal":{"AWS":"AIDAEXAMPLE"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*""#, "AIDA"),
            (r#""Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}""#, "variable"),
            (r#""Principal":"*","Action":"s3:*","Resource":"b/*""#, "arn:aws:s3"),
            (
                r#""Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b","Condition":{"StringEquals":{"aws:x":"y"}}"#,
                "aws:x",
            ),
            (
                r#""Principal":"*","Action":"s3:*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b""#,
                "Action",
            ),
            (r#""Principal":"*","Acton":"s3:*","Resource":"arn:aws:s3:::b""#, "Acton"),
        ] {
            let no = allow(rest).unwrap_err();
            assert!(no.contains(says), "{rest}: {no}");
        }
        assert!(is_s3(r#"{"Version":"2012-10-17"}"#) && !is_s3(r#"{"Version":"1"}"#) && !is_s3("x"));
    }
}
