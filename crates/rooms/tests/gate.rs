//! The gate: who may not is told so and recorded; what stops half-way shows as unknown; a key opens for one object.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bailee_rooms::gate::{Asked, Class, Intent, Operation, RefusalKind, Touches};
use bailee_rooms::identity::{Act, CreateUser};
use bailee_rooms::trail::{ActEnd, ActFilter};
use bailee_rooms::vault::DeleteObject;
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::{Arn, ObjectVersionId, TenantId, UserName};
use serde_json::Map;

fn asked(tenant: &TenantId, touches: Touches, object: &str) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action: "oss:GetObject",
        resource: Arn::object(tenant, &bucket("acme-invoices"), &key(object)),
        resource_type: "ACS::OSS::Object",
        class: Class::Management { write: false },
        touches,
        ticket: None,
        parameters: Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

async fn newest(t: &TestHouse, tenant: &TestTenant) -> bailee_rooms::trail::Act {
    let page = t.house.acts(&tenant.id, &ActFilter::default(), None, 1).await.unwrap();
    page.acts.into_iter().next().unwrap()
}

#[test]
fn another_tenants_things_look_like_nothing_and_leave_no_trace_with_the_other() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "pumps").await;
        let before = t.house.head(&acme.id).await.unwrap().size;
        let read = acme.get(&t, &globex.root, "acme-invoices", "1.pdf").await;
        let Err(Failure::Refused(refusal)) = read else { panic!("it was read") };
        assert_eq!(*refusal.kind(), RefusalKind::NotYours);
        let delete =
            DeleteObject { tenant: acme.id.clone(), bucket: bucket("acme-invoices"), key: key("1.pdf") };
        assert!(t.house.perform(globex.root.clone(), delete).await.is_err());
        assert_eq!(t.house.head(&acme.id).await.unwrap().size, before, "acme's log does not tell of globex");
        assert_eq!(newest(&t, &globex).await.end, ActEnd::Refused);
        assert_eq!(&acme.get(&t, &acme.root, "acme-invoices", "1.pdf").await.unwrap().first[..], b"pumps");
    });
}

/// An act that breaks off: its task panics between intent and outcome.
struct BreaksOff(TenantId);

impl Operation for BreaksOff {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.0, Touches::Metadata, "1.pdf")
    }

    async fn act(self, _house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        assert!(intent.record().is_some(), "it is on record before it begins");
        panic!("the act breaks off")
    }
}

#[test]
fn an_act_without_outcome_becomes_unknown_and_never_done() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let broken = t.house.perform(acme.root.clone(), BreaksOff(acme.id.clone())).await;
        assert!(matches!(broken, Err(Failure::Bug(_))), "{:?}", broken.err());
        assert_eq!(newest(&t, &acme).await.end, ActEnd::Open);
        // The next process finds what this one left.
        let next = t.second();
        next.house.take_over().await.unwrap();
        let act = newest(&next, &acme).await;
        assert!(matches!(&act.end, ActEnd::Ended { result, .. } if result == "unknown"), "{:?}", act.end);
        next.house.take_over().await.unwrap();
        let page = next.house.acts(&acme.id, &ActFilter::default(), None, 100).await.unwrap();
        assert_eq!(page.acts.iter().filter(|a| a.error_code == "OutcomeUnknown").count(), 1, "said once");
    });
}

/// Asks for one object and reaches for the key of another.
struct Reaches {
    tenant: TenantId,
    touches: Touches,
    for_object: &'static str,
}

impl Operation for Reaches {
    type Output = bool;

    fn asks(&self) -> Asked {
        asked(&self.tenant, self.touches, "1.pdf")
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<bool, Failure> {
        let version = ObjectVersionId::random();
        Ok(intent.release(&bucket("acme-invoices"), &key(self.for_object), &version, house.now()).is_ok())
    }
}

#[test]
fn a_key_is_released_for_the_object_of_the_intent_alone() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let reach = async |caller, touches, for_object| {
            let op = Reaches { tenant: acme.id.clone(), touches, for_object };
            t.house.perform(caller, op).await.unwrap()
        };
        assert!(reach(acme.root.clone(), Touches::Content, "1.pdf").await);
        assert!(!reach(acme.root.clone(), Touches::Content, "2.pdf").await, "another object");
        assert!(
            !reach(acme.root.clone(), Touches::Metadata, "1.pdf").await,
            "not even content was asked for"
        );
        let system = t.house.system_caller("test");
        assert!(!reach(system, Touches::Content, "1.pdf").await, "the platform itself opens nothing");
    });
}

#[test]
fn a_user_without_policies_may_nothing_and_the_refusal_is_his_tenants_to_see() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let name = UserName::parse("li").unwrap();
        let create = CreateUser::named(name).of(&acme.id);
        t.house.perform(acme.root.clone(), create).await.unwrap();
        let lin = t.operator("op-lin", "support", "CN").await;
        let create = CreateUser::named(UserName::parse("eve").unwrap()).of(&acme.id);
        let refused = t.house.perform(lin, create).await;
        let Err(Failure::Refused(refusal)) = refused else { panic!("an operator made a user") };
        assert!(matches!(refusal.kind(), RefusalKind::OperatorRole { .. }));
        assert_eq!(newest(&t, &acme).await.end, ActEnd::Refused);
    });
}
