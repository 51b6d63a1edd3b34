//! Who besides the account's own people may use a bucket: its ACL, its policy, and whether anything may be public.
//!
//! The gate asks here for every act on a bucket. Nothing is public unless its owner first says that it may be.
//! INVARIANT: while public access is blocked, a public ACL or policy lets nobody in from outside.
//! INVARIANT: a policy that cannot be read lets nobody do anything (fail closed).

use std::sync::Arc;

use bailee_policy::{Kind, Policy, PolicySet, is_s3, of_s3};
use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, HandlingId, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::cors::CorsRule;
use super::get::{find, open_meta};
use super::logging::Logging;
use super::meta::not_for_operators;
use super::retain::VersionOf;
use super::{Bucket, ObjectMeta, bucket_asked, rows};
use crate::consent::parameters;
use crate::fresh::Fresh;
use crate::gate::{Asked, Class, Intent, Operation, Shared, lets_everybody_in};
use crate::handling::{Block, Covers};
use crate::{Failure, House, handling};

/// What decisions call the ACL, as if it were a policy.
pub(crate) const ACL_NAME: &str = "the bucket's ACL";
/// What they call the policy.
const POLICY_NAME: &str = "the bucket's policy";
/// Bytes of a policy that are told in the log word for word; of a longer one its digest is.
pub(crate) const POLICY_TOLD_MAX: usize = 4096;

/// A canned ACL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acl {
    /// The account's own people, as their policies say.
    #[default]
    Private,
    /// Everybody reads and lists.
    PublicRead,
    /// Everybody reads, lists, writes and deletes.
    PublicReadWrite,
}

impl Acl {
    /// Its name on the wire, in both dialects.
    pub fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
        }
    }

    /// Reads a name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Private, Self::PublicRead, Self::PublicReadWrite].into_iter().find(|a| a.word() == word)
    }

    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Private => &[],
            Self::PublicRead => &["oss:GetObject", "oss:ListObjects"],
            Self::PublicReadWrite => {
                &["oss:GetObject", "oss:ListObjects", "oss:PutObject", "oss:DeleteObject"]
            }
        }
    }
}

/// A bucket's policy: the document as its owner wrote it, and in RAM's words where he wrote it in S3's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketPolicy {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ram: Option<String>,
}

impl BucketPolicy {
    /// Reads a document, in RAM's words (`"Version": "1"`) or IAM's (`2012-10-17`).
    ///
    /// # Errors
    /// What of it is not understood.
    pub fn parse(text: String) -> Result<Self, Failure> {
        let wrong =
            |e: bailee_policy::PolicyError| Failure::invalid("Policy", format!("is not understood: {e}"));
        let ram = if is_s3(&text) { Some(of_s3(&text).map_err(wrong)?) } else { None };
        Policy::parse_as(Kind::Bucket, ram.as_deref().unwrap_or(&text)).map_err(wrong)?;
        Ok(Self { text, ram })
    }

    /// The document as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(&self) -> Result<Policy, Failure> {
        Policy::parse_as(Kind::Bucket, self.ram.as_deref().unwrap_or(&self.text))
            .map_err(|e| Failure::Damaged(format!("a bucket's policy cannot be read: {e}")))
    }

    /// Whether it lets crowds in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_public(&self) -> Result<bool, Failure> {
        Ok(self.read()?.is_public())
    }
}

/// What of public access a bucket's owner allows. Nothing, until he does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Public {
    /// ACLs that let everybody in.
    pub acl: bool,
    /// Policies that let crowds in.
    pub policy: bool,
}

impl Public {
    /// Whether all of it is blocked.
    pub fn is_blocked(&self) -> bool {
        *self == Self::default()
    }
}

/// What the rules on a bucket, on keys or on secrets say, compiled.
pub(crate) struct Access {
    pub(crate) tenant: TenantId,
    /// The policy and the ACL; for the account's own people as for others.
    pub(crate) set: Option<PolicySet>,
    /// The same without what is public and blocked.
    pub(crate) outside: Option<PolicySet>,
    /// Each rule by its name, and whether it lets in anybody from outside.
    pub(crate) rules: Vec<(&'static str, Arc<Policy>, bool)>,
    /// Whether an object's own ACL may open it.
    pub(crate) object_acls: bool,
    /// What legal orders took away from the public; mostly nothing.
    blocks: Arc<[Block]>,
    /// Where there are any: the rules that let in whom they name, and no crowds.
    pub(crate) named: Option<PolicySet>,
    /// Which pages may call the bucket.
    cors: Arc<[CorsRule]>,
    /// Where its access log goes.
    pub(super) logging: Option<Logging>,
}

/// What is remembered of buckets.
pub(crate) type AccessCache = Fresh<BucketName, Arc<Access>>;

/// The policy that an ACL is.
fn acl_policy(acl: Acl, tenant: &TenantId, bucket: &BucketName) -> Result<Option<Policy>, Failure> {
    if acl == Acl::Private {
        return Ok(None);
    }
    let on = format!("acs:oss:*:{tenant}:{bucket}");
    let document = json!({ "Version": "1", "Statement": [{
        "Effect": "Allow", "Principal": ["*"], "Action": acl.actions(), "Resource": [on, format!("{on}/*")],
    }] });
    Policy::parse_as(Kind::Bucket, &document.to_string()).map(Some).map_err(|e| Failure::Bug(e.to_string()))
}

fn compile(tenant: TenantId, bucket: &Bucket, blocks: Vec<Block>) -> Result<Access, Failure> {
    let Bucket { name, settings, .. } = bucket;
    let policy = settings.policy.as_ref().map(BucketPolicy::read).transpose()?.map(Arc::new);
    let acl = acl_policy(settings.acl, &tenant, name)?.map(Arc::new);
    let public = settings.public;
    // The account's own people are not the public: a policy that names everybody names them, blocked or not.
    let rules: Vec<_> = policy
        .map(|p| (POLICY_NAME, Arc::clone(&p), public.policy || !p.is_public()))
        .into_iter()
        .chain(acl.filter(|_| public.acl).map(|acl| (ACL_NAME, acl, true)))
        .collect();
    let mut access = Access::of_rules(tenant, rules);
    access.object_acls = public.acl;
    access.cors = settings.cors.clone().into();
    access.logging.clone_from(&settings.logging);
    if !blocks.is_empty() {
        access.named = set_of(&access.rules, &|(_, policy, outside)| *outside && !policy.is_public());
        access.blocks = blocks.into();
    }
    Ok(access)
}

/// A rule by its name, and whether it lets in anybody from outside.
type Named = (&'static str, Arc<Policy>, bool);

fn set_of(rules: &[Named], wanted: &dyn Fn(&Named) -> bool) -> Option<PolicySet> {
    let list: Vec<_> = rules
        .iter()
        .filter(|r| wanted(r))
        .map(|(name, policy, _)| ((*name).to_owned(), Arc::clone(policy)))
        .collect();
    (!list.is_empty()).then(|| PolicySet::compile(list))
}

impl Access {
    /// Rules, compiled: each by its name, and whether it lets in anybody from outside.
    pub(crate) fn of_rules(tenant: TenantId, rules: Vec<(&'static str, Arc<Policy>, bool)>) -> Self {
        let (set, outside) = (set_of(&rules, &|_| true), set_of(&rules, &|(_, _, outside)| *outside));
        Self {
            tenant,
            set,
            outside,
            rules,
            object_acls: false,
            blocks: Arc::from([]),
            named: None,
            cors: Arc::from([]),
            logging: None,
        }
    }

    /// Whether a legal order took a bucket or an object away from the public.
    pub(crate) fn is_blocked(&self, resource: &Arn, now: Timestamp) -> bool {
        self.blocks.iter().any(|b| b.holds(resource, now))
    }

    /// Which takedown that is, and whether it holds for addresses that the account's own people signed, too.
    pub(crate) fn taken_down(&self, resource: &Arn, now: Timestamp) -> Option<(&HandlingId, bool)> {
        let holding = self.blocks.iter().filter(|b| b.holds(resource, now));
        holding.max_by_key(|b| b.presigned).map(|b| (&b.id, b.presigned))
    }

    /// The same, also for addresses that the account's own people signed.
    pub(crate) fn is_blocked_for_links(&self, resource: &Arn, now: Timestamp) -> bool {
        self.blocks.iter().any(|b| b.presigned && b.holds(resource, now))
    }
}

/// The bucket that an act on object storage is about.
fn bucket_of(resource: &Arn) -> Option<BucketName> {
    let relative = resource.relative();
    let name = relative.split_once('/').map_or(relative, |(bucket, _)| bucket);
    (resource.service() == "oss").then(|| BucketName::parse(name).ok())?
}

impl House {
    /// What a bucket's own rules say; none when there is no such bucket.
    pub(super) async fn access(&self, bucket: &BucketName) -> Result<Option<Arc<Access>>, Failure> {
        let now = self.now();
        let missing = match self.access.get(bucket, now) {
            Ok(found) => return Ok(Some(found)),
            Err(missing) => missing,
        };
        let name = bucket.clone();
        let found = self
            .db
            .read(move |tx| {
                let Some(tenant) = rows::bucket_owner(tx, &name)? else { return Ok(None) };
                let mut own = tx.tenant(&tenant);
                let Some(there) = rows::bucket(&mut own, &name)? else { return Ok(None) };
                let blocks = handling::blocks(&mut own, &name)?;
                Ok::<_, Failure>(Some((tenant, there, blocks)))
            })
            .await?;
        let Some((tenant, there, blocks)) = found else { return Ok(None) };
        let access = Arc::new(compile(tenant, &there, blocks)?);
        self.access.put(&missing, bucket.clone(), Arc::clone(&access), now);
        Ok(Some(access))
    }

    /// The rules of the bucket, keys or secrets that an act is about, if they are this tenant's.
    pub(crate) async fn access_of(
        &self,
        tenant: &TenantId,
        resource: &Arn,
        also: &[Arn],
    ) -> Result<Option<Arc<Access>>, Failure> {
        if resource.service() == "kms" {
            return self.key_rules(tenant, std::iter::once(resource).chain(also)).await;
        }
        match bucket_of(resource) {
            None => Ok(None),
            Some(bucket) => Ok(self.access(&bucket).await?.filter(|a| a.tenant == *tenant)),
        }
    }

    /// Which pages may call a bucket; of one that is not there, none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cors_rules(&self, bucket: &BucketName) -> Result<Arc<[CorsRule]>, Failure> {
        Ok(self.access(bucket).await?.map_or_else(|| Arc::from([]), |a| Arc::clone(&a.cors)))
    }

    /// Whose a bucket is, where it or an object of it may let in anybody but its account's people. Of any other bucket strangers learn nothing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn shared_bucket(&self, bucket: &BucketName) -> Result<Option<TenantId>, Failure> {
        Ok(self
            .access(bucket)
            .await?
            .filter(|a| a.outside.is_some() || a.object_acls)
            .map(|a| a.tenant.clone()))
    }
}

/// An object as it was looked at before a transaction; believed in it while it is the same.
pub(crate) struct Looked(Option<(ObjectVersionId, Vec<u8>, ObjectMeta)>);

impl House {
    /// Looks at the metadata of what is perhaps public.
    pub(crate) async fn look_if_public(
        &self,
        tenant: &TenantId,
        bucket: &BucketName,
        covers: &Covers,
    ) -> Result<Looked, Failure> {
        let Covers::Object(key) = covers else { return Ok(Looked(None)) };
        let row = match find(self, tenant, bucket, key, None).await {
            Err(Failure::NotFound { .. } | Failure::DeleteMarker { .. }) => return Ok(Looked(None)),
            found => found?,
        };
        let opener = self.tenant_key_version(tenant, row.key_version).await?;
        let meta = open_meta(&opener, bucket, &row.version, &row.sealed_meta)?;
        Ok(Looked(Some((row.version, row.sealed_meta, meta))))
    }

    /// Who changed what blocks a bucket says so here; other servers hear of it as of any of its rules.
    pub(crate) fn forget_access(&self, bucket: &BucketName) {
        self.access.forget(bucket);
    }
}

/// Whether everybody may read all of this now; of a whole bucket: whether anything of it may be public.
pub(crate) fn is_public(
    tx: &mut TenantTx<'_, '_>,
    tenant: &TenantId,
    (bucket, covers): (&BucketName, &Covers),
    looked: &Looked,
    now: Timestamp,
) -> Result<bool, Failure> {
    let Some(there) = rows::bucket(tx, bucket)? else { return Ok(false) };
    let access = compile(tenant.clone(), &there, Vec::new())?;
    let (key, meta) = match covers {
        Covers::Bucket => {
            let crowds = access.rules.iter().any(|(_, policy, outside)| *outside && policy.is_public());
            return Ok(crowds || access.object_acls);
        }
        Covers::Prefix(prefix) => {
            // Of a name below it. What only objects' own ACLs open is no prefix that is public.
            let below = ObjectKey::parse(&format!("{prefix}0")).ok();
            (below, ObjectMeta::default())
        }
        Covers::Object(key) => {
            let Looked(Some((version, sealed, meta))) = looked else { return Ok(false) };
            match rows::object(tx, bucket, key, None, false)? {
                Some(row) if row.version == *version && row.sealed_meta == *sealed => {}
                _ => return Ok(false),
            }
            (Some(key.clone()), meta.clone())
        }
    };
    let Some(key) = key else { return Ok(false) };
    let asked = super::object_asked(tenant, bucket, &key, "oss:GetObject", None);
    Ok(lets_everybody_in(&asked, &access, now).is_some_and(|by| meta.is_open_by(Some(by))))
}

/// What is changed about who may use a bucket.
#[derive(Clone, Debug)]
pub enum AccessAct {
    /// Its ACL.
    Acl(Acl),
    /// Its policy; none deletes it.
    Policy(Option<BucketPolicy>),
    /// What may be public.
    Public(Public),
}

/// Changes who may use a bucket.
#[derive(Clone, Debug)]
pub struct ChangeAccess {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// What is changed.
    pub act: AccessAct,
}

impl Operation for ChangeAccess {
    type Output = ();

    fn asks(&self) -> Asked {
        let (action, told) = match &self.act {
            AccessAct::Acl(acl) => ("oss:PutBucketAcl", json!({ "acl": acl.word() })),
            AccessAct::Policy(None) => ("oss:DeleteBucketPolicy", json!({})),
            AccessAct::Policy(Some(policy)) => {
                let digest = hex::encode(Sha256::digest(&policy.text));
                let short = (policy.text.len() <= POLICY_TOLD_MAX).then_some(&policy.text);
                ("oss:PutBucketPolicy", json!({ "policy": short, "policySha256": digest }))
            }
            AccessAct::Public(public) => (
                "oss:PutBucketPublicAccessBlock",
                json!({ "blockPublicAcls": !public.acl, "blockPublicPolicy": !public.policy }),
            ),
        };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        asked.parameters.extend(parameters(told));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let public = match &self.act {
            AccessAct::Policy(Some(policy)) => policy.is_public()?,
            _ => false,
        };
        let act = self.act;
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                let settings = &mut bucket.settings;
                match &act {
                    AccessAct::Acl(acl) if *acl != Acl::Private && !settings.public.acl => {
                        return Err(Failure::PublicBlocked("an ACL"));
                    }
                    AccessAct::Acl(acl) => settings.acl = *acl,
                    AccessAct::Policy(Some(_)) if public && !settings.public.policy => {
                        return Err(Failure::PublicBlocked("a policy"));
                    }
                    AccessAct::Policy(policy) => settings.policy.clone_from(policy),
                    AccessAct::Public(public) => settings.public = *public,
                }
                Ok(())
            })
            .await
    }
}

/// A canned ACL of one object. It lies sealed with the version's metadata, which every read opens anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectAcl {
    /// As its bucket.
    #[default]
    Default,
    /// The account's own people, also where the bucket's ACL lets everybody in.
    Private,
    /// Everybody reads it.
    PublicRead,
}

impl ObjectAcl {
    /// Its name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Private => "private",
            Self::PublicRead => "public-read",
        }
    }
}

impl ObjectMeta {
    /// Its ACL.
    pub fn acl(&self) -> ObjectAcl {
        match (self.private, self.public) {
            (true, _) => ObjectAcl::Private,
            (false, true) => ObjectAcl::PublicRead,
            (false, false) => ObjectAcl::Default,
        }
    }

    /// The same with another ACL.
    #[must_use]
    pub fn with_acl(self, acl: ObjectAcl) -> Self {
        Self { private: acl == ObjectAcl::Private, public: acl == ObjectAcl::PublicRead, ..self }
    }

    /// Refuses an ACL that opens what lies under a key: that key never goes with it.
    pub(super) fn check_acl(&self) -> Result<(), Failure> {
        let under_key = self.encryption.as_ref().is_some_and(|e| e.kms.is_some() || e.customer);
        if self.acl() == ObjectAcl::PublicRead && under_key {
            return Err(Failure::invalid(
                "ObjectAcl",
                "cannot be public-read: the object lies under a key of KMS or of its customer, which nobody else may use",
            ));
        }
        Ok(())
    }

    /// Whether whoever was let in by this may read it.
    pub(super) fn is_open_by(&self, shared: Option<Shared>) -> bool {
        match shared {
            Some(Shared::Acl) => self.acl() != ObjectAcl::Private,
            Some(Shared::Object) => self.acl() == ObjectAcl::PublicRead && self.check_acl().is_ok(),
            Some(Shared::Policy) | None => true,
        }
    }
}

/// Refuses to open an object while its bucket blocks it.
fn may_open(bucket: &Bucket, acl: ObjectAcl) -> Result<(), Failure> {
    match acl == ObjectAcl::PublicRead && !bucket.settings.public.acl {
        true => Err(Failure::PublicBlocked("an ACL")),
        false => Ok(()),
    }
}

/// Reads the ACL of an object.
#[derive(Clone, Debug)]
pub struct GetObjectAcl {
    /// Of what.
    pub of: VersionOf,
}

impl Operation for GetObjectAcl {
    type Output = ObjectAcl;

    fn asks(&self) -> Asked {
        self.of.asked("oss:GetObjectAcl", Class::Data)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<ObjectAcl, Failure> {
        not_for_operators(intent, &self.of.tenant)?;
        house.object_acl(&self.of).await
    }
}

impl House {
    /// The ACL of an object.
    pub(crate) async fn object_acl(&self, of: &VersionOf) -> Result<ObjectAcl, Failure> {
        let row = find(self, &of.tenant, &of.bucket, &of.key, of.which.as_ref()).await?;
        let opener = self.tenant_key_version(&of.tenant, row.key_version).await?;
        Ok(open_meta(&opener, &of.bucket, &row.version, &row.sealed_meta)?.acl())
    }
}

fn acl_asked(of: &VersionOf, acl: ObjectAcl) -> Asked {
    let mut asked = of.asked("oss:PutObjectAcl", Class::Management { write: true });
    asked.parameters.insert("acl".into(), acl.word().into());
    asked
}

/// Sets the ACL of an object.
#[derive(Clone, Debug)]
pub struct SetObjectAcl {
    /// Of what.
    pub of: VersionOf,
    /// The ACL.
    pub acl: ObjectAcl,
}

impl Operation for SetObjectAcl {
    type Output = ();

    fn asks(&self) -> Asked {
        acl_asked(&self.of, self.acl)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let acl = self.acl;
        let change = |meta: &mut ObjectMeta| {
            *meta = std::mem::take(meta).with_acl(acl);
            meta.check_acl()
        };
        house.change_meta(intent, self.of, move |bucket| may_open(bucket, acl), change).await
    }
}

/// Asks whether the caller may write an object that everybody may read; a write that brings such an ACL asks so first. A write is
/// a data event: what opens it stands in the log by this.
#[derive(Clone, Debug)]
pub struct OpenObject {
    /// What is written.
    pub of: VersionOf,
}

impl Operation for OpenObject {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = acl_asked(&self.of, ObjectAcl::PublicRead);
        asked.parameters.insert("write".into(), true.into());
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        // Whoever closes the bucket now closes the object, too: that is looked at by each read.
        may_open(&house.known_bucket(&self.of.tenant, &self.of.bucket).await?, ObjectAcl::PublicRead)
    }
}
