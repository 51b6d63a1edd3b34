//! Tags of objects and buckets. An object's are sealed with its metadata, and with each version its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_types::{BucketName, ObjectKey, TenantId};
use serde_json::json;

use super::get::{find, open_meta};
use super::meta::not_for_operators;
use super::retain::VersionOf;
use super::{ObjectMeta, Which, bucket_asked, object_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// Tags of one object (both dialects).
pub const OBJECT_TAGS_MAX: usize = 10;
/// Tags of one bucket.
pub const BUCKET_TAGS_MAX: usize = 50;

/// Refuses tags that are too many, too long, or without a key.
///
/// # Errors
/// Which rule they break.
pub fn check_tags(tags: &Tags, max: usize) -> Result<(), Failure> {
    if tags.len() > max {
        return Err(Failure::invalid("Tag", format!("are too many: at most {max}")));
    }
    for (key, value) in tags {
        let plain = |t: &str| !t.chars().any(char::is_control);
        if key.is_empty() || key.chars().count() > 128 || !plain(key) {
            return Err(Failure::invalid(
                "Tag",
                "needs a key of 1 to 128 characters without control characters",
            ));
        }
        if value.chars().count() > 256 || !plain(value) {
            return Err(Failure::invalid(
                "Tag",
                "must have a value of at most 256 characters without control characters",
            ));
        }
    }
    Ok(())
}

/// Of what tags are asked.
#[derive(Clone, Debug)]
pub struct TagsOf {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The object, or the bucket itself.
    pub object: Option<(ObjectKey, Option<Which>)>,
}

impl TagsOf {
    fn asked(&self, actions: [&'static str; 3], class: Class) -> Asked {
        let [of_bucket, of_object, of_version] = actions;
        let Some((key, which)) = &self.object else {
            let mut asked = bucket_asked(&self.tenant, &self.bucket, of_bucket);
            asked.class = class;
            return asked;
        };
        // As its content, an object's tags are the tenant's own to read and write.
        let action = if which.is_some() { of_version } else { of_object };
        let mut asked = object_asked(&self.tenant, &self.bucket, key, action, None);
        asked.touches = Touches::Metadata;
        if let Some(which) = which {
            asked.parameters.insert("versionId".into(), which.to_string().into());
        }
        asked
    }
}

/// Reads tags.
#[derive(Clone, Debug)]
pub struct GetTags(
    /// Of what.
    pub TagsOf,
);

/// Sets all tags; what was there before is gone. None deletes them.
#[derive(Clone, Debug)]
pub struct SetTags {
    /// Of what.
    pub of: TagsOf,
    /// The new ones.
    pub tags: Tags,
}

impl Operation for GetTags {
    type Output = Tags;

    fn asks(&self) -> Asked {
        let actions = ["oss:GetBucketTagging", "oss:GetObjectTagging", "oss:GetObjectVersionTagging"];
        self.0.asked(actions, Class::Data)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Tags, Failure> {
        let TagsOf { tenant, bucket, object } = self.0;
        let Some((key, which)) = object else {
            return house
                .db
                .read(move |tx| {
                    rows::bucket_tags(&mut tx.tenant(&tenant), &bucket)?
                        .ok_or_else(|| Failure::not_found(Thing::Bucket, &bucket))
                })
                .await;
        };
        not_for_operators(intent, &tenant)?;
        let row = find(house, &tenant, &bucket, &key, which.as_ref()).await?;
        let opener = house.tenant_key_version(&tenant, row.key_version).await?;
        Ok(open_meta(&opener, &bucket, &row.version, &row.sealed_meta)?.tags)
    }
}

impl Operation for SetTags {
    type Output = ();

    fn asks(&self) -> Asked {
        let actions = if self.tags.is_empty() {
            ["oss:DeleteBucketTagging", "oss:DeleteObjectTagging", "oss:DeleteObjectVersionTagging"]
        } else {
            ["oss:PutBucketTagging", "oss:PutObjectTagging", "oss:PutObjectVersionTagging"]
        };
        let mut asked = self.of.asked(actions, Class::Management { write: true });
        if self.of.object.is_none() {
            asked.parameters =
                parameters(json!({ "bucket": self.of.bucket.as_str(), "tags": self.tags.len() }));
        }
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let TagsOf { tenant, bucket, object } = self.of;
        let Some((key, which)) = object else {
            check_tags(&self.tags, BUCKET_TAGS_MAX)?;
            return house
                .db
                .write(move |tx| match rows::set_bucket_tags(&mut tx.tenant(&tenant), &bucket, &self.tags)? {
                    true => Ok(()),
                    false => Err(Failure::not_found(Thing::Bucket, &bucket)),
                })
                .await;
        };
        check_tags(&self.tags, OBJECT_TAGS_MAX)?;
        let of = VersionOf { tenant, bucket, key, which };
        let tags = self.tags;
        let change = |meta: &mut ObjectMeta| {
            meta.tags.clone_from(&tags);
            Ok(())
        };
        house.change_meta(intent, of, |_| Ok(()), change).await
    }
}

/// Asks whether the caller may tag an object; a write that brings tags asks so first.
#[derive(Clone, Debug)]
pub struct MayTag(
    /// Which object.
    pub TagsOf,
);

impl Operation for MayTag {
    type Output = ();

    fn asks(&self) -> Asked {
        let actions = ["oss:PutBucketTagging", "oss:PutObjectTagging", "oss:PutObjectVersionTagging"];
        self.0.asked(actions, Class::Data)
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}
