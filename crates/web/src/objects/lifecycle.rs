//! Lifecycle rules over the wire.

use bailee_rooms::vault::{GetLifecycle, Rule, SetLifecycle};
use bailee_types::{BucketName, TenantId, Timestamp};
use bailee_wire::object::{Code, Head, LifecycleRule, LifecycleRules, ObjectError, Reply, TagAct, reply};
use hyper::body::Incoming;

use super::dispatch::Cx;

impl Cx<'_> {
    pub(super) async fn lifecycle(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        match act {
            TagAct::Get => {
                let rules = self.perform(GetLifecycle { tenant, bucket }).await?;
                if rules.is_empty() {
                    return Err(ObjectError::new(Code::NoSuchLifecycle));
                }
                let shown: Vec<LifecycleRule> = rules.into_iter().map(shown).collect();
                Ok(reply::lifecycle(self.dialect, &shown))
            }
            TagAct::Put => {
                let raw = self.body_of(head, body).await?;
                let rules = LifecycleRules::parse(&raw)?.0.into_iter().map(kept).collect();
                self.perform(SetLifecycle { tenant, bucket, rules }).await?;
                Ok(Reply::empty(200))
            }
            TagAct::Delete => {
                self.perform(SetLifecycle { tenant, bucket, rules: Vec::new() }).await?;
                Ok(Reply::no_content())
            }
        }
    }
}

fn kept(rule: LifecycleRule) -> Rule {
    Rule {
        id: rule.id,
        enabled: rule.enabled,
        prefix: rule.prefix,
        tags: rule.tags.into_iter().collect(),
        larger_than: rule.larger_than,
        smaller_than: rule.smaller_than,
        days: rule.days,
        date_ms: rule.date.map(Timestamp::ms),
        created_before_ms: rule.created_before.map(Timestamp::ms),
        expired_markers: rule.expired_markers,
        noncurrent_days: rule.noncurrent_days,
        noncurrent_kept: rule.noncurrent_kept,
        abort_days: rule.abort_days,
    }
}

fn shown(rule: Rule) -> LifecycleRule {
    LifecycleRule {
        id: rule.id,
        enabled: rule.enabled,
        prefix: rule.prefix,
        tags: rule.tags.into_iter().collect(),
        larger_than: rule.larger_than,
        smaller_than: rule.smaller_than,
        days: rule.days,
        date: rule.date_ms.map(Timestamp::from_ms),
        created_before: rule.created_before_ms.map(Timestamp::from_ms),
        expired_markers: rule.expired_markers,
        noncurrent_days: rule.noncurrent_days,
        noncurrent_kept: rule.noncurrent_kept,
        abort_days: rule.abort_days,
    }
}
