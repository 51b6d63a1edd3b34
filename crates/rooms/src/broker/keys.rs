//! Temporary keys of an operator for the objects of one grant: taken at the desk, good at the object listener in both dialects.
//!
//! Nothing secret is kept: the secret is derived from the key's id, the token is sealed and names the row that says whether they
//! live. A grant has one set at a time.
//! INVARIANT: what is done with keys is within their grant, whatever other grants their operator has (`consent::within`, in the
//! gate). They end with the grant, when the tenant cuts them, when new ones are taken, after an hour.
//! INVARIANT: an object version that is opened with a set is one use of the grant, noted in the transaction of the first intent;
//! its further ranges are recorded as what continues that use.

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{
    AccessKeyId, Arn, BucketName, GrantId, ObjectKey, ObjectVersionId, OperatorId, Pseudonym, SecretText,
    TenantId, TicketId, Timestamp,
};
use serde_json::json;

use super::lease::Reading;
use super::rows;
use super::session::{Ended, own};
use crate::consent::{Request, Scope, parameters};
use crate::gate::{Asked, Bound, Caller, Class, Intent, Operation, Principal, Touches};
use crate::vault::VersionOf;
use crate::{Failure, House};

/// How long keys live at most.
pub const KEYS_MINUTES_MAX: i64 = 60;
/// Keys of one page.
pub const KEYS_PAGE_MAX: u32 = 200;

/// A set of keys as both sides see it.
#[derive(Clone, Debug)]
pub struct ObjectKeys {
    /// Whose objects.
    pub tenant: TenantId,
    /// `GRT.` and 24 characters.
    pub id: AccessKeyId,
    /// Under which grant.
    pub grant: GrantId,
    /// On which ticket.
    pub ticket: TicketId,
    /// Who; for the provider's own pages only.
    pub operator: OperatorId,
    /// Who, as the tenant sees him.
    pub pseudonym: Pseudonym,
    /// What the grant covers, as it is shown.
    pub scope: String,
    /// Whether they open content.
    pub content: bool,
    /// The record that took them.
    pub intent: u64,
    /// When they were taken.
    pub taken_at: Timestamp,
    /// The first instant at which they open nothing any more.
    pub until: Timestamp,
    /// When and why they ended.
    pub ended: Option<Ended>,
    /// Object versions opened with them: uses of the grant.
    pub opened: u64,
}

/// Takes keys for the objects of a live grant; those that were taken before end.
#[derive(Clone, Debug)]
pub struct TakeKeys {
    tenant: TenantId,
    ticket: TicketId,
    grant: GrantId,
    scope: String,
    content: bool,
    id: AccessKeyId,
    until: Timestamp,
}

/// Keys that were just taken. Secret and token are shown once.
#[derive(Debug)]
pub struct TakenKeys {
    /// What they are.
    pub keys: ObjectKeys,
    /// What signs.
    pub secret: SecretText,
    /// What is sent along.
    pub token: SecretText,
}

impl TakeKeys {
    /// Of an operator's request. `content`: to open objects, else to see names, sizes and settings only.
    ///
    /// # Errors
    /// When it was not approved, or is not about objects.
    pub fn of(request: &Request, content: bool, now: Timestamp) -> Result<Self, Failure> {
        let Some((until, _)) = request.approved.filter(|_| !matches!(request.scope, Scope::Target { .. }))
        else {
            return Err(Failure::Conflict("keys are taken under a grant for objects".into()));
        };
        Ok(Self {
            tenant: request.tenant.clone(),
            ticket: request.ticket.clone(),
            grant: request.id.clone(),
            scope: request.scope.to_string(),
            content,
            id: AccessKeyId::random_grant(),
            until: until.min(now.plus_ms(KEYS_MINUTES_MAX * 60_000)),
        })
    }
}

impl Operation for TakeKeys {
    type Output = TakenKeys;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:TakeKeys",
            resource: Arn::own(&self.tenant, &format!("consent/{}", self.grant)),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: Some(self.ticket.clone()),
            parameters: parameters(json!({
                "grant": self.grant.as_str(),
                "keyId": self.id.as_str(),
                "until": self.until.iso(),
                "content": self.content,
                "scope": self.scope,
            })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<TakenKeys, Failure> {
        let (Principal::Operator { id: operator, .. }, Some(record)) =
            (intent.caller().principal(), intent.record())
        else {
            return Err(Failure::Conflict("keys are taken by operators, under a grant".into()));
        };
        let (secret, token) = house.grant_credentials(&self.tenant, &self.id)?;
        let keys = ObjectKeys {
            pseudonym: house.pseudonym(&self.tenant, operator),
            operator: operator.clone(),
            tenant: self.tenant,
            id: self.id,
            grant: self.grant,
            ticket: self.ticket,
            scope: self.scope,
            content: self.content,
            intent: record,
            taken_at: house.now(),
            until: self.until,
            ended: None,
            opened: 0,
        };
        let inner = Arc::clone(house);
        let keys = house
            .db
            .write(move |tx| {
                let (mut tx, now) = (tx.tenant(&keys.tenant), inner.now());
                let no =
                    |why: String| Failure::Conflict(format!("grant `{}` gives no keys: {why}", keys.grant));
                let request = crate::consent::usable(&mut tx, &keys.grant, &keys.operator, now)?
                    .map_err(|why| no(why.to_string()))?;
                // What was recorded is what is given.
                if request.approved.is_none_or(|(end, _)| end < keys.until)
                    || now >= keys.until
                    || request.ticket != keys.ticket
                    || request.scope.to_string() != keys.scope
                {
                    return Err(no("it is not what was asked for".into()));
                }
                rows::end_keys_of_grant(&mut tx, &keys.grant, now, "new keys were taken")?;
                rows::insert_keys(&mut tx, &keys)?;
                Ok(keys)
            })
            .await?;
        Ok(TakenKeys { keys, secret, token })
    }
}

/// What an operator asks with keys that no grant for objects ever covers: the gate refuses it, on record.
#[derive(Clone, Debug)]
pub struct BeyondGrant {
    /// The tenant of the grant.
    pub tenant: TenantId,
    /// Its ticket.
    pub ticket: TicketId,
    /// What was asked, by its name in the dialects.
    pub request: &'static str,
    /// On what: a bucket, something in it, or neither.
    pub on: Option<(BucketName, Option<ObjectKey>)>,
}

impl Operation for BeyondGrant {
    type Output = ();

    fn asks(&self) -> Asked {
        let (resource, resource_type) = match &self.on {
            None => (Arn::all_buckets(&self.tenant), "ACS::OSS::Bucket"),
            Some((bucket, None)) => (Arn::bucket(&self.tenant, bucket), "ACS::OSS::Bucket"),
            Some((bucket, Some(key))) => (Arn::object(&self.tenant, bucket, key), "ACS::OSS::Object"),
        };
        Asked {
            tenant: self.tenant.clone(),
            action: "oss:BeyondGrant",
            resource,
            resource_type,
            class: Class::Management { write: true },
            touches: Touches::Metadata,
            ticket: Some(self.ticket.clone()),
            parameters: parameters(json!({ "request": self.request })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Err(Failure::Conflict("this is beyond every grant for objects".into()))
    }
}

/// Keys of a tenant's grants, newest first. The tenant's own look; an operator sees his own on his desk.
#[derive(Clone, Debug)]
pub struct ListKeys {
    /// Whose.
    pub tenant: TenantId,
    /// Only those taken before.
    pub before: Option<Timestamp>,
}

impl Operation for ListKeys {
    type Output = Vec<ObjectKeys>;
    const MAY_STOP_ANYWHERE: bool = true;

    fn asks(&self) -> Asked {
        own(&self.tenant, "bailee:ListBrokerSessions", "*", Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<ObjectKeys>, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("a tenant's sessions are for its own people".into()));
        }
        house
            .db
            .read(move |tx| {
                rows::keys_of(&mut tx.tenant(&self.tenant), self.before, KEYS_PAGE_MAX).map_err(Failure::from)
            })
            .await
    }
}

impl House {
    /// A tenant's keys that have not ended: uses of its grants, for whoever may list those.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys_in_use(&self, tenant: &TenantId) -> Result<Vec<ObjectKeys>, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| rows::open_keys_of(&mut tx.tenant(&tenant)).map_err(Failure::from)).await
    }

    /// An operator's own keys, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operator_keys(&self, operator: &OperatorId) -> Result<Vec<ObjectKeys>, Failure> {
        let operator = operator.clone();
        self.db
            .read(move |tx| rows::keys_of_operator(tx, &operator, KEYS_PAGE_MAX).map_err(Failure::from))
            .await
    }

    /// Watches over a stream that an operator reads with keys.
    ///
    /// # Errors
    /// `Throttled` when he reads [`super::STREAMS_MAX`] already; `Conflict` when the caller has no keys of a grant.
    pub fn reading(&self, caller: &Caller) -> Result<Reading, Failure> {
        match caller.bound() {
            Some(bound) => self.broker.read_with(&bound.tenant, &bound.key),
            None => Err(Failure::Conflict("only with the keys of a grant".into())),
        }
    }

    /// What keys are bound to and whose they are, whether they live or not.
    pub(crate) async fn keys_of(
        &self,
        tenant: &TenantId,
        id: &AccessKeyId,
    ) -> Result<Option<ObjectKeys>, Failure> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.db.read(move |tx| rows::keys(&mut tx.tenant(&tenant), id.as_str()).map_err(Failure::from)).await
    }
}

/// Why keys have ended, when they have.
pub(crate) fn keys_ended(
    tx: &mut TenantTx<'_, '_>,
    id: &AccessKeyId,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    Ok(match rows::keys(tx, id.as_str())? {
        None => Some("they are gone".into()),
        Some(ObjectKeys { ended: Some(ended), .. }) => Some(ended.why),
        Some(keys) => (now >= keys.until).then(|| "their time is over".into()),
    })
}

/// The version that an act opens. When the same keys opened it before, the act continues that use.
pub(crate) fn opened_before(
    tx: &mut Tx<'_>,
    asked: &mut Asked,
    bound: &Bound,
    opens: Option<&VersionOf>,
) -> Result<Option<ObjectVersionId>, StoreError> {
    let mut tx = tx.tenant(&bound.tenant);
    let version = match opens {
        Some(of) if of.tenant == bound.tenant => of.stored(&mut tx)?,
        _ => None,
    };
    asked.continues = match &version {
        Some(version) => rows::has_opened(&mut tx, &bound.key, version)?.then(|| bound.grant.clone()),
        None => None,
    };
    Ok(version)
}

/// Notes the first opening of a version, with the intent that counts.
pub(crate) fn note_opened(
    tx: &mut Tx<'_>,
    bound: &Bound,
    version: &ObjectVersionId,
    intent: u64,
) -> Result<(), StoreError> {
    rows::note_opened(&mut tx.tenant(&bound.tenant), &bound.key, version, intent)
}
