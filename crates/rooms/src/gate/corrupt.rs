//! A corrupt front door: a gate whose look at consent is cut out, for tests of what stands behind it. No program has it.

use std::collections::HashSet;
use std::sync::Arc;

use bailee_types::{
    Arn, BucketName, Clock, ManualClock, ObjectKey, ObjectVersionId, OperatorId, RegionId, TargetName,
    TenantAlias, TenantId, TicketId, Timestamp,
};
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Asked, Caller, Class, Intent, Operation, Origin, Principal, Touches};
use crate::broker::{OpenSession, PutTarget, Settings};
use crate::consent::{Because, Decide, Decision, RequestConsent, Scope};
use crate::handling::{AskGlass, GlassStep};
use crate::identity::{CreateOperator, CreateTenant};
use crate::tickets::OpenTicket;
use crate::trail::{ActEnd, ActFilter, ListActs};
use crate::vault::{CreateBucket, ObjectMeta, PutObject, ReadObject, WholeBody};
use crate::{Failure, House, HouseConfig, Provider};

/// The houses whose front door is corrupt, by their instance.
static CORRUPT: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Whether the gate of this house asks nobody for consent.
pub(super) fn is(house: &House) -> bool {
    CORRUPT.lock().as_ref().is_some_and(|all| all.contains(&house.instance))
}

/// An operator's act that asks the key alone.
#[derive(Clone)]
struct Grab {
    tenant: TenantId,
    ticket: TicketId,
}

impl Operation for Grab {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "oss:GetObject",
            resource: Arn::object(&self.tenant, &bucket(), &ObjectKey::parse("small").unwrap()),
            resource_type: "ACS::OSS::Object",
            class: Class::Management { write: false },
            touches: Touches::Content,
            ticket: Some(self.ticket.clone()),
            parameters: serde_json::Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let (key, version) = (ObjectKey::parse("small").unwrap(), ObjectVersionId::random());
        intent.release(&bucket(), &key, &version, house.now()).map(drop)
    }
}

struct Scene {
    house: Arc<House>,
    tenant: TenantId,
    root: Caller,
    lin: Caller,
    ticket: TicketId,
    _folder: tempfile::TempDir,
}

fn config(folder: &std::path::Path) -> HouseConfig {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(1_795_608_000_000)));
    HouseConfig::embedded(folder, clock as Arc<dyn Clock>)
}

fn bucket() -> BucketName {
    BucketName::parse("acme-invoices").unwrap()
}

impl Scene {
    async fn new(house: Arc<House>, folder: tempfile::TempDir) -> Self {
        let alias = TenantAlias::parse("acme").unwrap();
        let create = CreateTenant { alias: alias.clone(), name: "Acme".into() };
        let tenant = house.perform(house.system_caller("test"), create).await.unwrap().tenant.id;
        let root = Caller::new(Principal::Root { tenant: tenant.clone(), alias }, Origin::default());
        let id = OperatorId::parse("op-lin").unwrap();
        let roles = vec!["support".to_owned()];
        let create = CreateOperator { id: id.clone(), roles: roles.clone(), place: "CN".into() };
        house.perform(house.system_caller("test"), create).await.unwrap();
        let lin = Principal::Operator { id, roles: roles.into(), place: "CN".into() };
        let create = CreateBucket { tenant: tenant.clone(), bucket: bucket(), region: None, tier: None };
        house.perform(root.clone(), create).await.unwrap();
        let open = OpenTicket::titled(tenant.clone(), "it opens blank");
        let ticket = house.perform(root.clone(), open).await.unwrap();
        Self { house, tenant, root, lin: Caller::new(lin, Origin::default()), ticket, _folder: folder }
    }

    async fn put(&self, key: &str, content: Bytes) {
        let put = PutObject {
            customer_key: None,
            tenant: self.tenant.clone(),
            bucket: bucket(),
            key: ObjectKey::parse(key).unwrap(),
            meta: ObjectMeta::default(),
            len: Some(content.len() as u64),
            must_be_new: false,
            must_have_md5: None,
            body: Box::new(WholeBody::new(content)),
        };
        self.house.perform(self.root.clone(), put).await.unwrap();
    }

    async fn read(&self, key: &str) -> Result<Bytes, Failure> {
        let read = ReadObject {
            tenant: self.tenant.clone(),
            bucket: bucket(),
            key: ObjectKey::parse(key).unwrap(),
            ticket: self.ticket.clone(),
            start: 0,
            continues: None,
        };
        self.house.perform(self.lin.clone(), read).await.map(|window| window.bytes)
    }

    /// A glass that two others broke.
    async fn glass(&self) -> bailee_types::HandlingId {
        let operator = async |id: &str, role: &str| {
            let (id, roles) = (OperatorId::parse(id).unwrap(), vec![role.to_owned()]);
            let create = CreateOperator { id: id.clone(), roles: roles.clone(), place: "CN".into() };
            self.house.perform(self.house.system_caller("test"), create).await.unwrap();
            let who = Principal::Operator { id, roles: roles.into(), place: "CN".into() };
            Caller::new(who, Origin::default()).with_mfa(Some(self.house.now()))
        };
        let ask = AskGlass {
            tenant: self.tenant.clone(),
            incident: "INC-1".into(),
            reason: "the region is down".into(),
            minutes: 30,
        };
        let (id, _) = self.house.perform(operator("op-bo", "stability").await, ask).await.unwrap();
        let yu = operator("op-yu", "approver").await;
        self.house.step_glass(yu, (&self.tenant, &id), GlassStep::Break, "").await.unwrap();
        id
    }

    async fn session(&self) -> Result<String, Failure> {
        let open = OpenSession {
            tenant: self.tenant.clone(),
            ticket: self.ticket.clone(),
            target: TargetName::parse("web-1").unwrap(),
            family: "host".into(),
        };
        self.house.perform(self.lin.clone(), open).await.map(|opened| opened.id)
    }
}

#[test]
fn behind_a_corrupt_front_door_the_keys_still_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let provider = Provider {
        name: "Kestrel Cloud".into(),
        host: "trust.kestrel.example".into(),
        region: RegionId::parse("cn-hangzhou").unwrap(),
        jurisdiction: "CN".into(),
    };
    House::init(&config, &provider).unwrap();
    let house = House::open(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let s = Scene::new(house, folder).await;
        let (small, large) = (Bytes::from_static(b"pumps"), Bytes::from(vec![7; 300_000]));
        s.put("small", small.clone()).await;
        s.put("large", large.clone()).await;
        let settings = Settings::Host {
            address: "10.0.0.7:22".into(),
            host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ".into()],
            login: "deploy".into(),
        };
        let name = TargetName::parse("web-1").unwrap();
        let put = PutTarget { tenant: s.tenant.clone(), name, settings, secret: None };
        s.house.perform(s.root.clone(), put).await.unwrap();

        CORRUPT.lock().get_or_insert_default().insert(s.house.instance.clone());
        for key in ["small", "large"] {
            let said = s.read(key).await.unwrap_err().to_string();
            assert!(said.contains("only an operator with a grant"), "the act itself looks, too: {said}");
        }
        // An act that is corrupt itself goes straight for the key.
        let grab = Grab { tenant: s.tenant.clone(), ticket: s.ticket.clone() };
        let said = s.house.perform(s.lin.clone(), grab.clone()).await.unwrap_err().to_string();
        assert!(said.contains("the key refused"), "{said}");
        // So does one under a broken glass: it opens no content.
        let under = s.lin.clone().under_glass(s.glass().await, "INC-1".into());
        let said = s.house.perform(under, grab.clone()).await.unwrap_err().to_string();
        assert!(said.contains("the key refused") && said.contains("glass"), "{said}");
        let said = s.session().await.unwrap_err().to_string();
        assert!(said.contains("under a grant"), "{said}");

        // What the door let through stands in the log all the same, without a grant: the verifier finds it.
        let list =
            ListActs { tenant: s.tenant.clone(), filter: ActFilter::default(), before: None, acts_max: 50 };
        let acts = s.house.perform(s.root.clone(), list).await.unwrap().acts;
        let reads: Vec<_> = acts.iter().filter(|a| a.event_name == "GetObject").collect();
        assert_eq!(reads.len(), 4);
        assert!(
            reads.iter().all(|a| a.grant.is_empty()
                && matches!(&a.end, ActEnd::Ended { result, .. } if result == "failed")),
            "{reads:?}"
        );

        CORRUPT.lock().get_or_insert_default().clear();
        assert!(matches!(s.read("small").await, Err(Failure::Refused(_))), "the door is whole again");
        let ask = RequestConsent {
            tenant: s.tenant.clone(),
            ticket: s.ticket.clone(),
            scope: Scope::Prefix { bucket: bucket(), prefix: String::new() },
            minutes: 30,
            uses_max: 3,
            reason: "it opens blank".into(),
            because: Because::default(),
        };
        let grant = s.house.perform(s.lin.clone(), ask).await.unwrap().id;
        let yes = Decide::new(s.tenant.clone(), grant, Decision::Approve { minutes: 30, uses_max: 3 });
        s.house.perform(s.root.clone(), yes).await.unwrap();
        assert_eq!((s.read("small").await.unwrap(), s.read("large").await.unwrap()), (small, large));
        s.house.perform(s.lin.clone(), grab).await.unwrap();
    });
}
