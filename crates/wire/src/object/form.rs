//! Forms that a browser posts to a bucket (S3 POST, OSS PostObject).
//!
//! A form's fields become the head of a PUT of the same object, so that a form can say what a PUT can, and is read by the same
//! code. Its policy says what the fields may be; a signed form without one is refused.
//! Refuses: fields that occur twice, policies that have ended, conditions that do not hold or are not known, and for S3 any
//! field that no condition names. Callbacks are not offered.

use bailee_types::{BucketName, ObjectKey, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::request::Parts;
use serde_json::Value;

use super::auth::SignedForm;
use super::dialect::Dialect;
use super::encode::{percent_encode, shown};
use super::error::{Code, ObjectError};
use super::reply::Reply;
use super::request::OBJECT_BYTES_MAX;
use super::xml::Xml;

/// Fields of one form, at most.
pub const FORM_FIELDS_MAX: usize = 100;
/// Bytes of all fields but the file.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Conditions of one policy.
const CONDITIONS_MAX: usize = 200;

/// The fields of a form up to its file.
#[derive(Clone)]
pub struct Form {
    dialect: Dialect,
    /// By lower-case name.
    fields: Vec<(String, String)>,
    key: ObjectKey,
}

/// What is answered when the object is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Success {
    Status(u16),
    Redirect(String),
}

impl Form {
    /// Reads the fields; `file_name` is what the browser calls the file.
    ///
    /// # Errors
    /// `InvalidArgument` for a field that occurs twice or a key that is none; `NotImplemented` for callbacks.
    pub fn read(fields: Vec<(String, String)>, file_name: &str) -> Result<Self, ObjectError> {
        let mut own: Vec<(String, String)> = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let name = name.to_ascii_lowercase();
            if own.iter().any(|(n, _)| *n == name) {
                let text = format!("The form's field `{}` occurs twice.", shown(&name));
                return Err(ObjectError::because(Code::InvalidArgument, text));
            }
            own.push((name, value));
        }
        let oss = own.iter().any(|(n, _)| n == "ossaccesskeyid" || n.starts_with("x-oss-"));
        let dialect = if oss { Dialect::Oss } else { Dialect::S3 };
        if let Some((name, _)) = own.iter().find(|(n, _)| n == "callback" || n == "callback-var") {
            return Err(ObjectError::not_offered(&format!("forms with {name}")));
        }
        let key = own.iter().find(|(n, _)| n == "key").map(|(_, v)| v.as_str());
        let key = key.ok_or_else(|| ObjectError::because(Code::InvalidArgument, "The form has no `key`."))?;
        // The last part of what may be a path on somebody's disk.
        let file_name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        let key = key.replace("${filename}", file_name);
        let key = ObjectKey::parse(&key).map_err(|_| ObjectError::new(Code::InvalidObjectName))?;
        Ok(Self { dialect, fields: own, key })
    }

    /// Which words the form speaks: OSS's when any field does.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The object to be.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Its signature, if it has one.
    ///
    /// # Errors
    /// As [`super::auth::parse`].
    pub fn signature(&self) -> Result<Option<SignedForm>, ObjectError> {
        SignedForm::read(self.dialect, |name| self.field(name))
    }

    /// The value that a condition is about.
    fn value(&self, bucket: &BucketName, name: &str) -> String {
        match name {
            "bucket" => bucket.to_string(),
            "key" => self.key.to_string(),
            other => self.field(other).unwrap_or_default().to_owned(),
        }
    }

    /// How many bytes the file may have, by the policy; without one, as any object.
    ///
    /// # Errors
    /// `AccessDenied` when the policy has ended or does not hold; `InvalidArgument` when it is not understood.
    pub fn check(&self, bucket: &BucketName, now: Timestamp) -> Result<(u64, u64), ObjectError> {
        let mut bytes = (0, OBJECT_BYTES_MAX);
        let Some(policy) = self.field("policy") else { return Ok(bytes) };
        let policy = read_policy(policy)?;
        if now >= policy.expires {
            return Err(ObjectError::because(
                Code::AccessDenied,
                "Invalid according to Policy: Policy expired.",
            ));
        }
        let mut named: Vec<&str> = Vec::new();
        for condition in &policy.conditions {
            match condition {
                Condition::Bytes(min, max) => bytes = (bytes.0.max(*min), bytes.1.min(*max)),
                Condition::Field { name, holds } => {
                    named.push(name);
                    if !holds.of(&self.value(bucket, name)) {
                        let text = format!(
                            "Invalid according to Policy: Policy Condition failed: the field `{}` must {}.",
                            shown(name),
                            holds.words()
                        );
                        return Err(ObjectError::because(Code::AccessDenied, text));
                    }
                }
            }
        }
        // S3: a field that the signer did not think of is none of the form's.
        let free =
            |n: &str| ["policy", "x-amz-signature", "submit"].contains(&n) || n.starts_with("x-ignore-");
        let extra = self.fields.iter().map(|(n, _)| n.as_str()).find(|n| !free(n) && !named.contains(n));
        match extra.filter(|_| self.dialect == Dialect::S3) {
            Some(name) => Err(ObjectError::because(
                Code::AccessDenied,
                format!("Invalid according to Policy: Extra input fields: {}.", shown(name)),
            )),
            None => Ok(bytes),
        }
    }

    /// The form as the head of a PUT.
    ///
    /// # Errors
    /// `InvalidArgument` for a field that no header can carry.
    pub fn put_head(&self, bucket: &BucketName) -> Result<Parts, ObjectError> {
        const PLAIN: [&str; 6] = [
            "content-type",
            "cache-control",
            "content-disposition",
            "content-encoding",
            "content-language",
            "expires",
        ];
        let prefix = self.dialect.words().prefix;
        let mut path = b"/".to_vec();
        percent_encode(&mut path, bucket.as_str().as_bytes(), true);
        path.push(b'/');
        percent_encode(&mut path, self.key.as_str().as_bytes(), true);
        let path = String::from_utf8_lossy(&path).into_owned();
        let mut request = http::Request::builder().method(http::Method::PUT).uri(path).header("host", "form");
        for (name, value) in &self.fields {
            let signs =
                ["algorithm", "credential", "date", "signature", "signature-version", "security-token"];
            let name = match name.as_str() {
                "acl" => format!("{prefix}acl"),
                n if PLAIN.contains(&n) => n.to_owned(),
                n if n.strip_prefix(prefix).is_some_and(|rest| !signs.contains(&rest)) => n.to_owned(),
                "tagging" => return Err(ObjectError::not_offered("forms with tagging")),
                _ => continue,
            };
            request = request.header(name, value.as_str());
        }
        let request = request.body(()).map_err(|_| {
            ObjectError::because(Code::InvalidArgument, "A field of the form holds what no header can.")
        })?;
        Ok(request.into_parts().0)
    }

    fn success(&self) -> Success {
        let to = self.field("success_action_redirect").or_else(|| self.field("redirect"));
        // Elsewhere than to a page a browser is not sent.
        let page = |t: &&str| t.starts_with("https://") || t.starts_with("http://");
        if let Some(to) = to.filter(page).filter(|t| !t.chars().any(char::is_control)) {
            return Success::Redirect(to.to_owned());
        }
        match self.field("success_action_status") {
            Some("200") => Success::Status(200),
            Some("201") => Success::Status(201),
            _ => Success::Status(204),
        }
    }

    /// The answer to a form whose object is stored.
    pub fn stored(&self, bucket: &BucketName, md5_hex: &str) -> Reply {
        let etag = format!(
            "\"{}\"",
            if self.dialect == Dialect::Oss { md5_hex.to_ascii_uppercase() } else { md5_hex.to_owned() }
        );
        let mut path = Vec::new();
        percent_encode(&mut path, self.key.as_str().as_bytes(), true);
        let location = format!("/{bucket}/{}", String::from_utf8_lossy(&path));
        let mut reply = match self.success() {
            Success::Redirect(to) => {
                let mut reply = Reply::empty(303);
                let mut key = Vec::new();
                percent_encode(&mut key, self.key.as_str().as_bytes(), false);
                let key = String::from_utf8_lossy(&key).into_owned();
                let sign = if to.contains('?') { '&' } else { '?' };
                let etag = etag.replace('"', "%22");
                reply.push("Location", format!("{to}{sign}bucket={bucket}&key={key}&etag={etag}"));
                reply.push("ETag", etag.replace("%22", "\""));
                return reply;
            }
            Success::Status(201) => {
                let mut xml = Xml::document();
                xml.open("PostResponse");
                xml.text("Location", &location);
                xml.text("Bucket", bucket.as_str());
                xml.text("Key", self.key.as_str());
                xml.text("ETag", &etag);
                xml.close("PostResponse");
                let mut reply = Reply::empty(201);
                reply.push("Content-Type", "application/xml");
                reply.body = xml.into_bytes();
                reply
            }
            Success::Status(status) => Reply::empty(status),
        };
        reply.push("ETag", etag);
        reply.push("Location", location);
        reply
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").field("dialect", &self.dialect).field("key", &self.key).finish_non_exhaustive()
    }
}

struct Policy {
    expires: Timestamp,
    conditions: Vec<Condition>,
}

enum Condition {
    Bytes(u64, u64),
    Field { name: String, holds: Holds },
}

enum Holds {
    Is(String),
    Begins(String),
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Holds {
    fn of(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) => value == wanted,
            Self::Begins(wanted) => value.starts_with(wanted.as_str()),
            Self::In(list) => list.iter().any(|w| w == value),
            Self::NotIn(list) => !list.iter().any(|w| w == value),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Is(wanted) => format!("be `{}`", shown(wanted)),
            Self::Begins(wanted) => format!("begin with `{}`", shown(wanted)),
            Self::In(_) => "be one of a list".to_owned(),
            Self::NotIn(_) => "be none of a list".to_owned(),
        }
    }
}

fn read_policy(base64: &str) -> Result<Policy, ObjectError> {
    let wrong = |why: &'static str| {
        ObjectError::because(Code::InvalidArgument, format!("The form's policy is not understood: {why}."))
    };
    let text: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(text).map_err(|_| wrong("it is not base64"))?;
    let policy: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("it is not JSON"))?;
    let expires =
        policy.get("expiration").and_then(Value::as_str).ok_or_else(|| wrong("it has no expiration"))?;
    let expires = Timestamp::parse_iso(expires).map_err(|_| wrong("its expiration is no instant"))?;
    let list =
        policy.get("conditions").and_then(Value::as_array).ok_or_else(|| wrong("it has no conditions"))?;
    if list.len() > CONDITIONS_MAX {
        return Err(wrong("it has more than 200 conditions"));
    }
    let mut conditions = Vec::with_capacity(list.len());
    for one in list {
        match one {
            Value::Object(members) => {
                for (name, value) in members {
                    let value = value.as_str().ok_or_else(|| wrong("a condition's value is no text"))?;
                    let name = name.to_ascii_lowercase();
                    conditions.push(Condition::Field { name, holds: Holds::Is(value.to_owned()) });
                }
            }
            Value::Array(three) => {
                let [operator, name, value] = three.as_slice() else {
                    return Err(wrong("a condition has not three members"));
                };
                let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
                if operator == "content-length-range" {
                    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
                    let (Some(min), Some(max)) = (number(name), number(value)) else {
                        return Err(wrong("content-length-range needs two numbers"));
                    };
                    conditions.push(Condition::Bytes(min, max));
                    continue;
                }
                let name = name.as_str().and_then(|n| n.strip_prefix('$'));
                let name = name.ok_or_else(|| wrong("a field's name begins with $"))?.to_ascii_lowercase();
                let text = || {
                    value.as_str().map(str::to_owned).ok_or_else(|| wrong("a condition's value is no text"))
                };
                let texts = || {
                    let all =
                        value.as_array().map(|l| l.iter().map(|v| v.as_str().map(str::to_owned)).collect());
                    all.and_then(|l: Option<Vec<String>>| l)
                        .ok_or_else(|| wrong("a condition's value is no list of texts"))
                };
                let holds = match operator.as_str() {
                    "eq" => Holds::Is(text()?),
                    "starts-with" => Holds::Begins(text()?),
                    "in" => Holds::In(texts()?),
                    "not-in" => Holds::NotIn(texts()?),
                    _ => return Err(wrong("an operator is not known")),
                };
                conditions.push(Condition::Field { name, holds });
            }
            _ => return Err(wrong("a condition is neither an object nor a list")),
        }
    }
    Ok(Policy { expires, conditions })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(policy: &str, more: &[(&str, &str)]) -> Form {
        let mut fields = vec![("key".to_owned(), "up/${filename}".to_owned())];
        fields.push(("policy".to_owned(), BASE64.encode(policy)));
        fields.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        Form::read(fields, r"C:\tmp\a b.txt").unwrap()
    }

    fn check(policy: &str, more: &[(&str, &str)]) -> Result<(u64, u64), ObjectError> {
        let now = Timestamp::from_secs(1_767_323_045);
        form(policy, more).check(&BucketName::parse("site").unwrap(), now)
    }

    #[test]
    fn a_policy_holds_or_the_form_is_refused() {
        let with = |conditions: &str| {
            format!(r#"{{"expiration":"2027-01-01T00:00:00.000Z","conditions":[{conditions}]}}"#)
        };
        let all = with(r#"{"bucket":"site"},["starts-with","$key","up/"],["content-length-range",1,10]"#);
        assert_eq!(check(&all, &[]).unwrap(), (1, 10));
        // A field that no condition names is refused in S3's words, not in OSS's.
        assert_eq!(check(&all, &[("acl", "private")]).unwrap_err().code(), Code::AccessDenied);
        assert!(check(&all, &[("acl", "private"), ("x-oss-meta-a", "b")]).is_ok());
        assert!(check(&all, &[("submit", "Go"), ("x-ignore-me", "b")]).is_ok());
        for (conditions, code) in [
            (r#"{"bucket":"other"},["starts-with","$key",""]"#, Code::AccessDenied),
            (r#"["eq","$key","up/other"]"#, Code::AccessDenied),
            (r#"["in","$key",["a","b"]]"#, Code::AccessDenied),
            (r#"["fits","$key","up/"]"#, Code::InvalidArgument),
            (r#"["eq","key","up/"]"#, Code::InvalidArgument),
            (r#"["content-length-range","x",2]"#, Code::InvalidArgument),
            (r#""key""#, Code::InvalidArgument),
        ] {
            assert_eq!(check(&with(conditions), &[]).unwrap_err().code(), code, "{conditions}");
        }
        let over = r#"{"expiration":"2025-01-01T00:00:00Z","conditions":[["starts-with","$key",""]]}"#;
        assert_eq!(check(over, &[]).unwrap_err().code(), Code::AccessDenied);
        assert_eq!(check("[]", &[]).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_form_is_a_put() {
        let f = form(
            "{}",
            &[
                ("Content-Type", "text/plain"),
                ("X-Amz-Meta-A", "b"),
                ("x-amz-signature", "s"),
                ("acl", "private"),
            ],
        );
        let bucket = BucketName::parse("site").unwrap();
        let parts = f.put_head(&bucket).unwrap();
        assert_eq!(parts.uri.path(), "/site/up/a%20b.txt");
        let header = |n: &str| parts.headers.get(n).and_then(|v| v.to_str().ok());
        assert_eq!((header("content-type"), header("x-amz-meta-a")), (Some("text/plain"), Some("b")));
        assert_eq!((header("x-amz-signature"), header("x-amz-acl")), (None, Some("private")));
        let to = form("{}", &[("success_action_redirect", "https://e.example/?x=1")]).stored(&bucket, "ab");
        assert_eq!(
            (to.status, to.header("location")),
            (303, Some("https://e.example/?x=1&bucket=site&key=up%2Fa%20b.txt&etag=%22ab%22"))
        );
        let script = form("{}", &[("redirect", "javascript:alert(1)")]).stored(&bucket, "ab");
        assert_eq!(script.status, 204);
        let twice = vec![("key".to_owned(), "a".to_owned()), ("KEY".to_owned(), "b".to_owned())];
        assert_eq!(Form::read(twice, "").unwrap_err().code(), Code::InvalidArgument);
    }
}
