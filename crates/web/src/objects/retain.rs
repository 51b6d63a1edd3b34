//! Retention over the wire: locks of versions, rules of buckets, the WORM of OSS.

use bailee_rooms::vault::{
    ChangeWorm, DefaultRetention, GetLock, GetSettings, Lock, LockMode, LockRules, LockWish, MayLock,
    Retention, SetLegalHold, SetLockRules, SetRetention, Setting, VersionOf, WormAct,
};
use bailee_types::{BucketName, ObjectKey, TenantId};
use bailee_wire::object::reply::{self, WormFacts};
use bailee_wire::object::{
    Code, Head, LockHeaders, LockSettings, LockTerm, ObjectError, Reply, TagAct, WormRequest,
    read_legal_hold, read_retention, worm_days,
};
use hyper::body::Incoming;

use super::dispatch::Cx;
use super::version::which;

const fn mode(compliance: bool) -> LockMode {
    if compliance { LockMode::Compliance } else { LockMode::Governance }
}

fn kept(term: &LockTerm) -> Retention {
    Retention { mode: mode(term.compliance), until: term.until }
}

fn term(of: Retention) -> LockTerm {
    LockTerm { compliance: of.mode == LockMode::Compliance, until: of.until }
}

/// What headers say, as it is kept.
pub(super) fn lock_of(headers: &LockHeaders) -> Lock {
    Lock { retention: headers.term.as_ref().map(kept), legal_hold: headers.legal_hold.unwrap_or_default() }
}

/// What is kept, as headers say it.
pub(super) fn lock_headers(lock: &Lock) -> LockHeaders {
    LockHeaders { term: lock.retention.map(term), legal_hold: lock.legal_hold.then_some(true) }
}

/// One version of one object on the wire.
pub(super) struct Named {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) version: Option<String>,
}

impl Cx<'_> {
    /// Refuses locks of a write whose caller may not lock.
    pub(super) async fn may_lock(
        &self,
        tenant: &TenantId,
        (bucket, key): (&BucketName, &ObjectKey),
        lock: &Lock,
    ) -> Result<(), ObjectError> {
        let of = VersionOf { tenant: tenant.clone(), bucket: bucket.clone(), key: key.clone(), which: None };
        if lock.retention.is_some() {
            self.perform(MayLock { of: of.clone(), wants: LockWish::Retain }).await?;
        }
        if lock.legal_hold {
            self.perform(MayLock { of, wants: LockWish::Hold }).await?;
        }
        Ok(())
    }

    /// Refuses who may not pass over governance, when it is to be.
    pub(super) async fn may_bypass(&self, of: &VersionOf, bypass: bool) -> Result<(), ObjectError> {
        if bypass { self.perform(MayLock { of: of.clone(), wants: LockWish::Bypass }).await } else { Ok(()) }
    }

    pub(super) async fn lock(
        &self,
        tenant: TenantId,
        named: Named,
        (hold, act, bypass): (bool, TagAct, bool),
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let of = VersionOf { tenant, bucket: named.bucket, key: named.key, which: which(named.version)? };
        if act == TagAct::Get {
            let lock = self.perform(GetLock { of, hold }).await?;
            return match (hold, lock.retention) {
                (true, _) => Ok(reply::legal_hold(lock.legal_hold)),
                (false, Some(retention)) => Ok(reply::retention(&term(retention))),
                (false, None) => Err(ObjectError::new(Code::NoLock)),
            };
        }
        let raw = self.body_of(head, body).await?;
        if hold {
            self.perform(SetLegalHold { of, hold: read_legal_hold(&raw)? }).await?;
        } else {
            let retention = read_retention(&raw)?.as_ref().map(kept);
            self.may_bypass(&of, bypass).await?;
            self.perform(SetRetention { of, retention, bypass }).await?;
        }
        Ok(Reply::empty(200))
    }

    pub(super) async fn lock_settings(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        if act == TagAct::Get {
            let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Lock }).await?;
            let Some(rules) = there.settings.lock else { return Err(ObjectError::new(Code::NoLockRules)) };
            let default = rules.default.map(|d| (d.mode == LockMode::Compliance, d.days, d.years));
            return Ok(reply::lock_settings(self.dialect, &LockSettings { default }));
        }
        let raw = self.body_of(head, body).await?;
        let default = LockSettings::parse(&raw, self.dialect)?
            .default
            .map(|(compliance, days, years)| DefaultRetention { mode: mode(compliance), days, years });
        self.perform(SetLockRules { tenant, bucket, rules: LockRules { default } }).await?;
        Ok(Reply::empty(200))
    }

    pub(super) async fn worm(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: WormRequest,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let act = match act {
            WormRequest::Get => {
                let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Worm }).await?;
                let now = self.objects.house().now();
                let Some(worm) = there.worm(now) else { return Err(ObjectError::new(Code::NoSuchWorm)) };
                return Ok(reply::worm(&WormFacts {
                    id: &worm.id,
                    days: worm.days,
                    begun_at: worm.begun_at,
                    lapses_at: (!worm.locked).then(|| worm.lapses_at()),
                }));
            }
            WormRequest::Begin => WormAct::Begin(worm_days(&self.body_of(head, body).await?)?),
            WormRequest::GiveUp => WormAct::GiveUp,
            WormRequest::Lock(id) => WormAct::Lock(id),
            WormRequest::Extend(id) => WormAct::Extend(id, worm_days(&self.body_of(head, body).await?)?),
        };
        let (begins, ends) = (matches!(act, WormAct::Begin(_)), act == WormAct::GiveUp);
        let worm = self.perform(ChangeWorm { tenant, bucket, act }).await?;
        Ok(match worm {
            Some(worm) if begins => Reply::worm_begun(&worm.id),
            _ if ends => Reply::no_content(),
            _ => Reply::empty(200),
        })
    }
}
