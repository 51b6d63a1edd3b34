//! Lifecycle rules over the wire.

use bailee_rooms::vault::{GetLifecycle, Move, RestoreObject, Rule, SetLifecycle, Tier, VersionOf};
use bailee_types::{BucketName, TenantId, Timestamp};
use bailee_wire::object::{
    Code, Head, LifecycleRule, LifecycleRules, ObjectError, Reply, StorageClass, TagAct, Transition, reply,
    restore_days,
};
use hyper::body::Incoming;

use super::dispatch::Cx;
use super::retain::Named;
use super::version::which;

impl Cx<'_> {
    pub(super) async fn restore(
        &self,
        tenant: TenantId,
        named: Named,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let days = restore_days(&self.body_of(head, body).await?)?;
        let of = VersionOf { tenant, bucket: named.bucket, key: named.key, which: which(named.version)? };
        let before = self.perform(RestoreObject { of, days }).await?;
        Ok(Reply::empty(if before { 200 } else { 202 }))
    }

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
        moves: rule
            .transitions
            .into_iter()
            .map(|t| Move {
                to: tier_of(t.to),
                days: t.days,
                date_ms: t.date.map(Timestamp::ms),
                created_before_ms: t.created_before.map(Timestamp::ms),
            })
            .collect(),
        noncurrent_moves: rule.noncurrent_transitions.into_iter().map(|(d, to)| (d, tier_of(to))).collect(),
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
        transitions: rule
            .moves
            .into_iter()
            .map(|m| Transition {
                to: class_of(m.to),
                days: m.days,
                date: m.date_ms.map(Timestamp::from_ms),
                created_before: m.created_before_ms.map(Timestamp::from_ms),
            })
            .collect(),
        noncurrent_transitions: rule.noncurrent_moves.into_iter().map(|(d, to)| (d, class_of(to))).collect(),
    }
}

/// A storage class as it is kept.
pub(super) fn tier_of(class: StorageClass) -> Tier {
    match class {
        StorageClass::Standard => Tier::Standard,
        StorageClass::InfrequentAccess => Tier::InfrequentAccess,
        StorageClass::Archive => Tier::Archive,
        StorageClass::ColdArchive => Tier::ColdArchive,
        StorageClass::DeepColdArchive => Tier::DeepColdArchive,
    }
}

/// A storage type in the words of the wire.
pub(super) fn class_of(tier: Tier) -> StorageClass {
    match tier {
        Tier::Standard => StorageClass::Standard,
        Tier::InfrequentAccess => StorageClass::InfrequentAccess,
        Tier::Archive => StorageClass::Archive,
        Tier::ColdArchive => StorageClass::ColdArchive,
        Tier::DeepColdArchive => StorageClass::DeepColdArchive,
    }
}
