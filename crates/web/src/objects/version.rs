//! Versions and tags: which version is meant, how a bucket keeps them, all of them; what things are tagged with.

use bailee_rooms::vault::{
    DeleteObject, DeleteVersion, Deleted, GetBucket, GetTags, ListVersions, MayTag, SetTags, SetVersioning,
    Tags, TagsOf, VersionOf, VersionPage, Versioning, Which,
};
use bailee_types::{BucketName, ObjectKey, TenantId};
use bailee_wire::object::reply::{self, ListedVersion, VersionsPage};
use bailee_wire::object::{
    self as wire, Code, Dialect, Head, ObjectError, Reply, TagAct, TagSet, VersioningSettings,
};
use hyper::body::Incoming;

use super::dispatch::Cx;
use super::lifecycle::class_of;
use super::retain::Named;

/// The version that a request names.
pub(super) fn which(version: Option<String>) -> Result<Option<Which>, ObjectError> {
    let Some(id) = version else { return Ok(None) };
    match Which::parse(&id) {
        Some(which) => Ok(Some(which)),
        None => Err(ObjectError::new(Code::NoSuchVersion).with("VersionId", id)),
    }
}

impl Cx<'_> {
    pub(super) async fn delete_one(
        &self,
        tenant: TenantId,
        Named { bucket, key, version }: Named,
        bypass: bool,
    ) -> Result<Deleted, ObjectError> {
        match version {
            None => self.perform(DeleteObject { tenant, bucket, key }).await,
            // An id that never was one names nothing that could be destroyed: fine, as for one that is gone.
            Some(id) => match Which::parse(&id) {
                None => Ok(Deleted { version: Some(id), ..Deleted::default() }),
                Some(which) => {
                    let of = VersionOf { tenant, bucket, key, which: Some(which.clone()) };
                    self.may_bypass(&of, bypass).await?;
                    let VersionOf { tenant, bucket, key, .. } = of;
                    self.perform(DeleteVersion { tenant, bucket, key, which, bypass }).await
                }
            },
        }
    }

    pub(super) async fn get_versioning(
        &self,
        tenant: TenantId,
        bucket: BucketName,
    ) -> Result<Reply, ObjectError> {
        let found = self.perform(GetBucket { tenant, bucket }).await?;
        let kept = found.versioning != Versioning::Off;
        Ok(reply::versioning(kept.then(|| found.versioning.word())))
    }

    pub(super) async fn put_versioning(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let raw = self.body_of(head, body).await?;
        let settings = VersioningSettings::parse(&raw)?;
        let versioning = if settings.enabled { Versioning::Enabled } else { Versioning::Suspended };
        self.perform(SetVersioning { tenant, bucket, versioning }).await?;
        Ok(Reply::empty(200))
    }

    /// Refuses tags of a write whose caller may not tag: it would be a way around that.
    pub(super) async fn may_tag(
        &self,
        tenant: &TenantId,
        bucket: &BucketName,
        key: &ObjectKey,
        any: bool,
    ) -> Result<(), ObjectError> {
        if !any {
            return Ok(());
        }
        let object = Some((key.clone(), None));
        self.perform(MayTag(TagsOf { tenant: tenant.clone(), bucket: bucket.clone(), object })).await
    }

    pub(super) async fn tagging(
        &self,
        tenant: TenantId,
        (bucket, object): (BucketName, Option<(ObjectKey, Option<String>)>),
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let of_bucket = object.is_none();
        let object = match object {
            Some((key, version)) => Some((key, which(version)?)),
            None => None,
        };
        let of = TagsOf { tenant, bucket, object };
        match act {
            TagAct::Get => {
                let tags = self.perform(GetTags(of)).await?;
                // S3 tells a bucket without tags from one with none.
                if of_bucket && tags.is_empty() && self.dialect == Dialect::S3 {
                    return Err(ObjectError::new(Code::NoSuchTagSet));
                }
                Ok(Reply::tagging(tags.iter().map(|(k, v)| (k.as_str(), v.as_str()))))
            }
            TagAct::Put => {
                let raw = self.body_of(head, body).await?;
                let tags: Tags = TagSet::parse(&raw)?.0.into_iter().collect();
                self.perform(SetTags { of, tags }).await?;
                Ok(Reply::empty(200))
            }
            TagAct::Delete => {
                self.perform(SetTags { of, tags: Tags::new() }).await?;
                Ok(Reply::no_content())
            }
        }
    }

    pub(super) async fn list_versions(
        &self,
        tenant: TenantId,
        list: wire::ListVersions,
    ) -> Result<Reply, ObjectError> {
        let marker = list.version_marker.clone();
        let op = ListVersions {
            tenant: tenant.clone(),
            bucket: list.bucket.clone(),
            prefix: list.prefix.clone(),
            delimiter: list.delimiter.clone().unwrap_or_default(),
            after: (list.key_marker.clone(), which(marker)?),
            entries_max: list.max_keys,
            ticket: None,
        };
        let page = self.perform(op).await?;
        Ok(self.versions(&tenant, &list, &page))
    }

    /// A page of versions in the caller's dialect.
    pub(super) fn versions(&self, tenant: &TenantId, list: &wire::ListVersions, page: &VersionPage) -> Reply {
        let mut shown = VersionsPage {
            next: page.next.as_ref().map(|(key, id)| (key.as_str(), id.as_str())),
            ..VersionsPage::default()
        };
        for version in &page.versions {
            let content = (!version.marker).then_some((
                version.info.meta.md5.as_str(),
                version.info.size,
                super::dispatch::kind(&version.info),
            ));
            shown.versions.push(ListedVersion {
                key: version.info.key.as_str(),
                id: &version.id,
                latest: version.latest,
                modified_at: version.info.modified_at,
                storage_class: class_of(version.info.meta.tier()),
                content,
            });
        }
        shown.common_prefixes = page.prefixes.iter().map(String::as_str).collect();
        reply::versions(self.dialect, list, self.owner(tenant), &shown)
    }
}
