//! Who may use a bucket, over the wire: ACLs, policies, public access, pages of other origins.

use bailee_rooms::vault::{
    AccessAct, Acl, BucketPolicy, ChangeAccess, CorsRule, GetObjectAcl, GetReplication, GetSettings, Logging,
    ObjectAcl, OpenObject, Public, ReplicationRule, SetCors, SetLogging, SetObjectAcl, SetReplication,
    Setting, VersionOf,
};
use bailee_types::{BucketName, ObjectKey, TenantId};
use bailee_wire::object::{
    self as wire, CannedAcl, Code, Dialect, Head, ObjectError, ReplicationSpec, Reply, TagAct, Target,
    cors_rules, logging_target, public_access_block, replication_rules, reply,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::body::Incoming;

use super::answer::of_failure;
use super::dispatch::Cx;
use super::version::which;
use super::{HOST_ID, Objects};

/// A canned ACL of a bucket as it is kept.
pub(super) fn kept(acl: CannedAcl) -> Acl {
    match acl {
        CannedAcl::Default | CannedAcl::Private => Acl::Private,
        CannedAcl::PublicRead => Acl::PublicRead,
        CannedAcl::PublicReadWrite => Acl::PublicReadWrite,
    }
}

/// That of an object.
pub(super) fn kept_of_object(acl: CannedAcl) -> ObjectAcl {
    match acl {
        CannedAcl::Private => ObjectAcl::Private,
        CannedAcl::PublicRead => ObjectAcl::PublicRead,
        // Nobody asks for an object that everybody may write: it is not offered.
        CannedAcl::Default | CannedAcl::PublicReadWrite => ObjectAcl::Default,
    }
}

impl Cx<'_> {
    /// Whether the caller may write an object with this ACL; what opens it is recorded.
    pub(super) async fn may_open(
        &self,
        tenant: &TenantId,
        (bucket, key): (&BucketName, &ObjectKey),
        acl: CannedAcl,
    ) -> Result<(), ObjectError> {
        if kept_of_object(acl) != ObjectAcl::PublicRead {
            return Ok(());
        }
        let (tenant, bucket, key) = (tenant.clone(), bucket.clone(), key.clone());
        self.perform(OpenObject { of: VersionOf { tenant, bucket, key, which: None } }).await
    }

    pub(super) async fn acl(
        &self,
        tenant: TenantId,
        (bucket, object): (BucketName, Option<(ObjectKey, Option<String>)>),
        set: Option<CannedAcl>,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        if set.is_some() && !self.body_of(head, body).await?.is_empty() {
            return Err(ObjectError::new(Code::UnexpectedContent));
        }
        let owner = tenant.clone();
        let told = |word: &str| reply::acl(self.dialect, self.owner(&owner), word);
        let Some((key, version)) = object else {
            return match set {
                Some(acl) => {
                    let act = AccessAct::Acl(kept(acl));
                    self.perform(ChangeAccess { tenant, bucket, act }).await?;
                    Ok(Reply::empty(200))
                }
                None => {
                    let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Acl }).await?;
                    Ok(told(there.settings.acl.word()))
                }
            };
        };
        let of = VersionOf { tenant, bucket, key, which: which(version)? };
        match set {
            Some(acl) => {
                self.perform(SetObjectAcl { of, acl: kept_of_object(acl) }).await?;
                Ok(Reply::empty(200))
            }
            // S3 knows no `default`: what its owner's grant says of the object alone is the same.
            None => {
                let acl = match (self.perform(GetObjectAcl { of }).await?, self.dialect) {
                    (ObjectAcl::Default, Dialect::S3) => ObjectAcl::Private,
                    (acl, _) => acl,
                };
                Ok(told(acl.word()))
            }
        }
    }

    pub(super) async fn public_access(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let (acls, policies) = match act {
            TagAct::Get => {
                let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Public }).await?;
                let public = there.settings.public;
                return Ok(reply::public_access_block(self.dialect, !public.acl, !public.policy));
            }
            TagAct::Put => public_access_block(&self.body_of(head, body).await?, self.dialect)?,
            TagAct::Delete => (false, false),
        };
        let act_of = AccessAct::Public(Public { acl: !acls, policy: !policies });
        self.perform(ChangeAccess { tenant, bucket, act: act_of }).await?;
        Ok(if act == TagAct::Delete { Reply::no_content() } else { Reply::empty(200) })
    }

    pub(super) async fn policy(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        match act {
            TagAct::Get => {
                let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Policy }).await?;
                let policy = there.settings.policy.ok_or_else(|| ObjectError::new(Code::NoBucketPolicy))?;
                return Ok(reply::policy(policy.text()));
            }
            TagAct::Put => {
                let raw = self.body_of(head, body).await?;
                let wrong = |e: String| ObjectError::because(Code::MalformedPolicy, e);
                let text =
                    String::from_utf8(raw.to_vec()).map_err(|_| wrong("The policy is no UTF-8.".into()))?;
                let policy = BucketPolicy::parse(text).map_err(|e| wrong(e.to_string()))?;
                self.perform(ChangeAccess { tenant, bucket, act: AccessAct::Policy(Some(policy)) }).await?;
            }
            TagAct::Delete => {
                self.perform(ChangeAccess { tenant, bucket, act: AccessAct::Policy(None) }).await?;
            }
        }
        // OSS answers a PUT with 200; S3's clients take either.
        Ok(if act == TagAct::Put && self.dialect == Dialect::Oss {
            Reply::empty(200)
        } else {
            Reply::no_content()
        })
    }

    pub(super) async fn policy_status(
        &self,
        tenant: TenantId,
        bucket: BucketName,
    ) -> Result<Reply, ObjectError> {
        let there = self.perform(GetSettings { tenant, bucket, setting: Setting::PolicyStatus }).await?;
        let policy = there.settings.policy.ok_or_else(|| ObjectError::new(Code::NoBucketPolicy))?;
        Ok(reply::policy_status(policy.is_public().map_err(of_failure)?))
    }

    pub(super) async fn logging(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let to = match act {
            TagAct::Get => {
                let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Logging }).await?;
                let to = there.settings.logging.as_ref();
                return Ok(reply::logging(to.map(|to| (to.target.as_str(), to.prefix.as_str()))));
            }
            TagAct::Put => logging_target(&self.body_of(head, body).await?)?
                .map(|(target, prefix)| Logging { target, prefix, s3: self.dialect == Dialect::S3 }),
            TagAct::Delete => None,
        };
        self.perform(SetLogging { tenant, bucket, to }).await?;
        Ok(if act == TagAct::Delete { Reply::no_content() } else { Reply::empty(200) })
    }

    pub(super) async fn replication(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let rules = match act {
            TagAct::Get => {
                let found = self.perform(GetReplication { tenant, bucket }).await?;
                if found.is_empty() {
                    return Err(ObjectError::new(Code::NoReplication));
                }
                let told = |(rule, _): (ReplicationRule, _)| ReplicationSpec {
                    id: rule.id,
                    prefix: rule.prefix,
                    to: rule.to.to_string(),
                    on: rule.on,
                };
                return Ok(reply::replication(&found.into_iter().map(told).collect::<Vec<_>>()));
            }
            TagAct::Put => {
                let mut rules = Vec::new();
                for rule in replication_rules(&self.body_of(head, body).await?)? {
                    let to =
                        BucketName::parse(&rule.to).map_err(|_| ObjectError::new(Code::InvalidArgument))?;
                    rules.push(ReplicationRule { id: rule.id, prefix: rule.prefix, to, on: rule.on });
                }
                rules
            }
            TagAct::Delete => Vec::new(),
        };
        self.perform(SetReplication { tenant, bucket, rules }).await?;
        Ok(if act == TagAct::Delete { Reply::no_content() } else { Reply::empty(200) })
    }

    pub(super) async fn cors(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let rules = match act {
            TagAct::Get => {
                let there = self.perform(GetSettings { tenant, bucket, setting: Setting::Cors }).await?;
                if there.settings.cors.is_empty() {
                    return Err(ObjectError::new(Code::NoCors));
                }
                let rules: Vec<_> = there.settings.cors.into_iter().map(shown).collect();
                return Ok(reply::cors(self.dialect, &rules));
            }
            TagAct::Put => cors_rules(&self.body_of(head, body).await?)?.into_iter().map(read).collect(),
            TagAct::Delete => Vec::new(),
        };
        self.perform(SetCors { tenant, bucket, rules }).await?;
        Ok(if act == TagAct::Delete { Reply::no_content() } else { Reply::empty(200) })
    }
}

fn read(r: wire::CorsRule) -> CorsRule {
    let wire::CorsRule { id, origins, methods, headers, exposed, max_age } = r;
    CorsRule { id, origins, methods, headers, exposed, max_age }
}

fn shown(r: CorsRule) -> wire::CorsRule {
    let CorsRule { id, origins, methods, headers, exposed, max_age } = r;
    wire::CorsRule { id, origins, methods, headers, exposed, max_age }
}

/// The page that calls, and what it wants to do.
struct Calls<'p> {
    origin: &'p str,
    method: &'p str,
    headers: Vec<&'p str>,
}

fn calls(parts: &Parts) -> Option<Calls<'_>> {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let origin = text(header::ORIGIN)?;
    if parts.method != Method::OPTIONS {
        return Some(Calls { origin, method: parts.method.as_str(), headers: Vec::new() });
    }
    let method = text(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let headers = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    Some(Calls {
        origin,
        method,
        headers: headers.split(',').map(str::trim).filter(|h| !h.is_empty()).collect(),
    })
}

impl Objects {
    /// The headers that let a page of another origin read an answer; none when no rule of the bucket lets it.
    pub(super) async fn cors_headers(&self, parts: &Parts, target: &Target) -> Option<HeaderMap> {
        let (Target::Bucket(bucket) | Target::Object(bucket, _)) = target else { return None };
        let calls = calls(parts)?;
        let rules = self.house().cors_rules(bucket).await.ok()?;
        let rule = rules.iter().find(|r| r.allows(calls.origin, calls.method, &calls.headers))?;
        let mut out = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                out.insert(name, value);
            }
        };
        // No cookies are ever taken here, so nothing is allowed with credentials.
        let any = rule.origins.iter().any(|o| o == "*");
        put(header::ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { calls.origin });
        put(header::ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "));
        if !calls.headers.is_empty() {
            put(header::ACCESS_CONTROL_ALLOW_HEADERS, &calls.headers.join(", "));
        }
        if !rule.exposed.is_empty() {
            put(header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.exposed.join(", "));
        }
        if let Some(seconds) = rule.max_age {
            put(header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
        put(header::VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        Some(out)
    }
}

/// The answer to a browser that asks before it sends; the headers that say yes are added to it.
pub(super) fn preflight(
    parts: &Parts,
    allowed: Option<&HeaderMap>,
    dialect: Dialect,
    request_id: &str,
) -> Result<Reply, ObjectError> {
    match (allowed, calls(parts)) {
        (_, None) => Err(ObjectError::because(
            Code::InvalidRequest,
            "OPTIONS needs the headers Origin and Access-Control-Request-Method.",
        )),
        (None, _) => Err(ObjectError::new(Code::CorsForbidden)),
        (Some(_), _) => Ok(Reply::empty(200).stamped(dialect, request_id, HOST_ID)),
    }
}
