//! Which pages of which origins may call a bucket (WHATWG Fetch, "CORS protocol"). It keeps nobody out: a browser asks it
//! for its user's sake.

use std::sync::Arc;

use bailee_types::{BucketName, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bucket_asked;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// One rule. Origins and headers hold one `*` at most, for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `https://app.example.com`, `https://*.example.com`, `*`.
    pub origins: Vec<String>,
    /// `GET`, `PUT`, …
    pub methods: Vec<String>,
    /// Headers that a request may have.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Headers that the page may read.
    #[serde(default)]
    pub exposed: Vec<String>,
    /// Seconds that a browser may remember the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

impl CorsRule {
    /// Whether it lets a page of this origin send this method with these headers.
    pub fn allows(&self, origin: &str, method: &str, headers: &[&str]) -> bool {
        let header =
            |h: &&str| self.headers.iter().any(|p| fits(&p.to_ascii_lowercase(), &h.to_ascii_lowercase()));
        self.origins.iter().any(|p| fits(p, origin))
            && self.methods.iter().any(|m| m == method)
            && headers.iter().all(header)
    }
}

/// Whether a text fits a pattern with one `*` at most.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((front, back)) => {
            text.len() >= front.len() + back.len() && text.starts_with(front) && text.ends_with(back)
        }
    }
}

/// Sets which pages may call a bucket; none deletes the rules.
#[derive(Clone, Debug)]
pub struct SetCors {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The rules.
    pub rules: Vec<CorsRule>,
}

impl Operation for SetCors {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = if self.rules.is_empty() { "oss:DeleteBucketCors" } else { "oss:PutBucketCors" };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        asked.parameters.extend(parameters(json!({ "rules": self.rules.len() })));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let rules = self.rules;
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                bucket.settings.cors.clone_from(&rules);
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lets_in_what_it_names() {
        let rule = CorsRule {
            origins: vec!["https://*.example.com".into()],
            methods: vec!["GET".into(), "PUT".into()],
            headers: vec!["Content-*".into(), "x-amz-date".into()],
            ..CorsRule::default()
        };
        let from = "https://app.example.com";
        assert!(rule.allows(from, "PUT", &["content-type", "X-Amz-Date"]));
        assert!(rule.allows("https://.example.com", "GET", &[]), "a star may stand for nothing");
        assert!(!rule.allows(from, "DELETE", &[]));
        assert!(!rule.allows(from, "PUT", &["authorization"]));
        assert!(!rule.allows("https://example.com", "GET", &[]));
        assert!(!rule.allows("http://app.example.com", "GET", &[]));
        assert!(!fits("ab*ba", "aba"), "front and back do not overlap");
    }
}
