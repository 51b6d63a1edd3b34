//! One tenant of 10,000 users and 1,000 policies against one of 10 users and 1 policy: what an act costs must not grow with
//! those whom it does not concern. Every act goes through the gate, its record in the trail included, in both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails loudly")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_rooms::gate::{Caller, Operation};
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreatePolicy, CreateUser, Entity, GetUser, ListEntitiesForPolicy,
    ListPolicies, ListPoliciesFor, ListUsers, Owner, Paging, PolicyType, Presented, TagResources, Tagged,
    WhoCan, Whom, Why,
};
use bailee_testkit::{Engine, TestHouse, TestTenant, bucket, key, origin, runtime};
use bailee_types::{AccessKeyId, Arn, PolicyName, SecretText, UserName};

const CALLERS: usize = 64;
const TURNS: usize = 200;

/// A filled tenant, with the keys of some users.
struct Tenant {
    house: TestHouse,
    acme: TestTenant,
    users: usize,
    policies: usize,
    keys: Vec<AccessKeyId>,
}

fn user(n: usize) -> UserName {
    UserName::parse(&format!("user-{n:05}")).unwrap()
}

fn policy(n: usize) -> PolicyName {
    PolicyName::parse(&format!("policy-{n:04}")).unwrap()
}

/// Runs `work(n)` for each n below `count`, by 64 at a time.
async fn each<F, Fut>(count: usize, work: F)
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let work = Arc::new(work);
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..CALLERS.min(count) {
        let work = Arc::clone(&work);
        tasks.spawn(async move {
            for n in (first..count).step_by(CALLERS) {
                work(n).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

impl Tenant {
    async fn fill(house: TestHouse, users: usize, policies: usize) -> Self {
        let acme = house.tenant("acme").await;
        let (own, of) = (Arc::clone(&house.house), acme.clone());
        each(policies, move |n| {
            let (own, of) = (Arc::clone(&own), of.clone());
            async move {
                let document = format!(
                    r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:bucket-{n}/*"}},{{"Effect":"Allow","Action":"ram:*","Resource":"*"}}]}}"#
                );
                let create =
                    CreatePolicy { name: policy(n), document, description: String::new(), tags: Vec::new() };
                own.perform(of.root.clone(), create.of(&of.id)).await.unwrap();
            }
        })
        .await;
        let (own, of) = (Arc::clone(&house.house), acme.clone());
        each(users, move |n| {
            let (own, of) = (Arc::clone(&own), of.clone());
            async move {
                own.perform(of.root.clone(), CreateUser::named(user(n)).of(&of.id)).await.unwrap();
                let attach = AttachPolicy {
                    to: Entity::User(user(n)),
                    kind: PolicyType::Custom,
                    policy: policy(n % policies),
                };
                own.perform(of.root.clone(), attach.of(&of.id)).await.unwrap();
            }
        })
        .await;
        let mut keys = Vec::new();
        // Users from all over the tenant.
        for n in (0..users).step_by((users / TURNS).max(1)) {
            let create = CreateAccessKey { owner: Owner::User(user(n)) };
            let made = house.house.perform(acme.root.clone(), create.of(&acme.id)).await.unwrap();
            keys.push(made.id);
        }
        let rare = TagResources {
            resources: vec![Tagged::User(user(users - 1)), Tagged::Policy(policy(policies - 1))],
            tags: vec![("rare".into(), "yes".into())],
        };
        house.house.perform(acme.root.clone(), rare.of(&acme.id)).await.unwrap();
        Self { house, acme, users, policies, keys }
    }

    async fn signed(&self, n: usize) -> Caller {
        let id = self.keys[n % self.keys.len()].as_str();
        let presented = Presented { access_key_id: id, ..Presented::default() };
        let right = |_: &SecretText| Ok::<(), std::convert::Infallible>(());
        self.house.house.authenticate(presented, origin(), right).await.map_err(|_| "refused").unwrap().0
    }

    async fn root<O: Operation>(&self, operation: O) -> O::Output {
        self.house.house.perform(self.acme.root.clone(), operation).await.unwrap()
    }

    fn object(&self, n: usize) -> Arn {
        Arn::object(&self.acme.id, &bucket(&format!("bucket-{}", n % self.policies)), &key("report.pdf"))
    }

    fn page(marker: Option<String>) -> Paging {
        Paging { marker, items_max: 100 }
    }
}

/// Median time of a call in each tenant, and how many times the small one's the large one's is.
async fn against<F>(what: &str, small: &Tenant, large: &Tenant, times_max: Option<f64>, call: F)
where
    F: AsyncFn(&Tenant, usize),
{
    turns(what, [(small, TURNS), (large, TURNS)], times_max, call).await;
}

async fn turns<F>(what: &str, of: [(&Tenant, usize); 2], times_max: Option<f64>, call: F)
where
    F: AsyncFn(&Tenant, usize),
{
    let mut medians = Vec::new();
    for (tenant, turns) in of {
        let mut all: Vec<Duration> = Vec::new();
        for n in 0..turns {
            let start = Instant::now();
            call(tenant, n).await;
            all.push(start.elapsed());
        }
        all.sort_unstable();
        medians.push(all[all.len() / 2].as_secs_f64() * 1e6);
    }
    let times = medians[1] / medians[0];
    let verdict = match times_max {
        Some(max) if times <= max => format!("aim {max} x: reached"),
        Some(max) => format!("aim {max} x: MISSED"),
        None => String::new(),
    };
    println!("{what:<52} {:>9.0} µs -> {:>9.0} µs {times:>7.2} x   {verdict}", medians[0], medians[1]);
}

fn main() {
    let small = TestHouse::new(Engine::Sqlite);
    let large = TestHouse::new(Engine::Sqlite);
    let large = large.second_with_users(20_000);
    runtime().block_on(async {
        let small = Tenant::fill(small, 10, 1).await;
        let start = Instant::now();
        let large = Tenant::fill(large, 10_000, 1_000).await;
        println!(
            "10,000 users, each with a policy, made through the gate in {:.1} s",
            start.elapsed().as_secs_f64()
        );
        // Another process has nothing in memory: each key's first use reads its user and policies.
        let small = Tenant { house: small.house.second(), ..small };
        let large = Tenant { house: large.house.second(), ..large };
        let once = [(&small, small.keys.len()), (&large, large.keys.len())];
        turns("first use of a key: user and policies read", once, Some(2.0), async |t, n| {
            drop(t.signed(n).await)
        })
        .await;
        against("a signed GetUser, decided and recorded", &small, &large, Some(2.0), async |t, n| {
            let caller = t.signed(n).await;
            let get = GetUser { name: user(n % t.users) };
            t.house.house.perform(caller, get.of(&t.acme.id)).await.unwrap();
        })
        .await;
        against("policies of a user", &small, &large, Some(2.0), async |t, n| {
            t.root(ListPoliciesFor { of: Entity::User(user(n % t.users)) }.of(&t.acme.id)).await;
        })
        .await;
        against("users of a policy", &small, &large, Some(2.0), async |t, n| {
            t.root(
                ListEntitiesForPolicy { kind: PolicyType::Custom, policy: policy(n % t.policies) }
                    .of(&t.acme.id),
            )
            .await;
        })
        .await;
        against("a page of users by a rare tag", &small, &large, None, async |t, _| {
            let tags = vec![("rare".to_owned(), String::new())];
            t.root(ListUsers { page: Tenant::page(None), tags }.of(&t.acme.id)).await;
        })
        .await;
        against("a page of policies by a rare tag", &small, &large, None, async |t, _| {
            let tags = vec![("rare".to_owned(), String::new())];
            t.root(ListPolicies { kind: None, page: Tenant::page(None), tags }.of(&t.acme.id)).await;
        })
        .await;
        against("why", &small, &large, Some(2.0), async |t, n| {
            t.root(Why {
                tenant: t.acme.id.clone(),
                whom: Whom::User(user(n % t.users)),
                action: "oss:GetObject".into(),
                resource: t.object(n),
                source_ip: None,
                mfa: false,
                conditions: Vec::new(),
            })
            .await;
        })
        .await;
        against("who can", &small, &large, None, async |t, n| {
            t.root(WhoCan {
                tenant: t.acme.id.clone(),
                action: "oss:GetObject".into(),
                resource: t.object(n),
            })
            .await;
        })
        .await;
    });
}
