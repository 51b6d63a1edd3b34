//! `bailee dev`: a sample provider that one can try in five minutes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::gate::{Caller, Origin};
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateLoginProfile, CreateOperator, CreateTenant, CreateUser, Entity, PolicyType,
    Presented,
};
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::vault::{CreateBucket, ObjectMeta, PutObject, WholeBody};
use bailee_types::{
    BucketName, ObjectKey, OperatorId, PolicyName, SecretBytes, SecretText, TenantAlias, UserName,
    random_text,
};
use bytes::Bytes;
use clap::Args;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::init::provider;
use super::on_runtime;
use super::serve::{Bound, lock, logs};
use crate::config::{Addresses, Common, Listen, Output};
use crate::output::Stop;

/// Try it: a sample provider with two operators, two tenants and a few documents, served on this machine.
#[derive(Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    listen: Listen,
    /// Print the sample's addresses and logins as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Print the logins of a sample that is there already, and serve nothing.
    #[arg(long)]
    logins: bool,
    /// Print what AWS and OSS tools want in the environment to act as a tenant's root, and serve nothing:
    /// `export $(bailee dev --env acme)`.
    #[arg(long, value_name = "TENANT", conflicts_with = "logins")]
    env: Option<String>,
}

/// The sample's logins. Kept sealed under the root key, so that starting again can print them again; a
/// production house has nothing like it.
#[derive(Serialize, Deserialize)]
struct Sample {
    tenants: Vec<SampleTenant>,
    operators: Vec<SampleOperator>,
    tickets: Vec<SampleTicket>,
}

#[derive(Serialize, Deserialize)]
struct SampleTenant {
    alias: String,
    id: String,
    root: SampleRoot,
    user: SampleUser,
    buckets: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SampleRoot {
    access_key_id: String,
    access_key_secret: String,
    user: String,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct SampleUser {
    name: String,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct SampleOperator {
    id: String,
    password: String,
    role: String,
    place: String,
}

#[derive(Serialize, Deserialize)]
struct SampleTicket {
    tenant: String,
    id: String,
    title: String,
}

const SETTING: &str = "dev.logins";
/// Each is done once; a start that was interrupted goes on where it stopped only from a clean folder.
const DOCUMENTS: &[(&str, &str, &str, &str)] = &[
    (
        "acme",
        "acme-invoices",
        "invoices/2026-11/1.pdf",
        "Invoice 2026-11-1: Acme Manufacturing to Orchid Insurance, 12 pumps, 48,000.00 CNY, due 2026-12-15.\n",
    ),
    (
        "acme",
        "acme-invoices",
        "invoices/2026-11/2.pdf",
        "Invoice 2026-11-2: Acme Manufacturing to Harbour Logistics, 3 valves, 1,950.00 CNY, due 2026-12-20.\n",
    ),
    ("acme", "acme-invoices", "readme.txt", "Invoices of Acme Manufacturing, one folder a month.\n"),
    (
        "globex",
        "globex-reports",
        "reports/q3.txt",
        "Globex, third quarter: revenue up 4 %, two incidents, none open.\n",
    ),
];

pub(crate) fn run(common: &Common, c: Dev) -> Result<ExitCode, Stop> {
    logs(c.listen.log_format);
    let addresses = common.listen(&c.listen)?;
    if c.logins || c.env.is_some() {
        return look(common, &addresses, c);
    }
    let config = common.house()?;
    if !config.root_key_path().exists() {
        let sample = provider("Kestrel Cloud", "trust.kestrel.example", "cn-hangzhou", "CN")?;
        House::init(&config, &sample)?;
    }
    let _lock = lock(common)?;
    let mut brokers = common.brokers(&c.listen)?;
    // To try it, brokers reach what runs on this machine.
    brokers.networks.extend([IpNet::from(Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8))]);
    let house = common.open_serving(&c.listen, true)?;
    let folder = common.data.clone();
    let as_json = c.json || common.output == Output::Json;
    let data = common.data.display().to_string();
    on_runtime(async move {
        house.take_over_if_embedded().await?;
        let sample = match kept(&house).await? {
            Some(sample) => sample,
            None => seed(&house).await?,
        };
        let bound = Bound::bind(&addresses, (&brokers, folder)).await?;
        let urls = (&*bound.console_url(), &*bound.objects_url(), &*bound.broker_addresses());
        print(&house, &sample, urls, &data, as_json);
        bound.serve(house, addresses).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the logins of a sample that another process may be serving.
fn look(common: &Common, addresses: &Addresses, c: Dev) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let as_json = c.json || common.output == Output::Json;
    let data = common.data.display().to_string();
    let (console, objects) =
        (format!("http://{}", addresses.console), format!("http://{}", addresses.objects));
    on_runtime(async move {
        let sample = kept(&house).await?.ok_or_else(|| {
            Stop::unable("this folder holds no sample: `bailee dev` makes one in an empty folder")
        })?;
        let Some(alias) = c.env else {
            print(&house, &sample, (&console, &objects, &[]), &data, as_json);
            return Ok(());
        };
        let tenant = sample.tenants.iter().find(|t| t.alias == alias).ok_or_else(|| {
            let known: Vec<_> = sample.tenants.iter().map(|t| t.alias.as_str()).collect();
            Stop::unable(format!("the sample has no tenant `{alias}`: it has {}", known.join(" and ")))
        })?;
        println!(
            "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nAWS_DEFAULT_REGION={}\nAWS_ENDPOINT_URL={objects}",
            tenant.root.access_key_id,
            tenant.root.access_key_secret,
            house.provider().region
        );
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn kept(house: &House) -> Result<Option<Sample>, Stop> {
    let Some(kept) = house.kept_sealed(SETTING).await? else { return Ok(None) };
    serde_json::from_slice(kept.expose())
        .map(Some)
        .map_err(|e| Stop::unable(format!("the sample's logins cannot be read: {e}")))
}

fn print(
    house: &House,
    sample: &Sample,
    (console, objects, brokers): (&str, &str, &[(&'static str, SocketAddr)]),
    data: &str,
    as_json: bool,
) {
    if !as_json {
        println!("{}", welcome(sample, console, objects, data));
        for (name, address) in brokers {
            println!("{name:<8} {address}");
        }
        return;
    }
    let line = serde_json::json!({
        "console": console,
        "objects": objects,
        "brokers": brokers.iter().map(|(name, a)| ((*name).to_owned(), a.to_string().into())).collect::<serde_json::Map<_, _>>(),
        "region": house.provider().region.to_string(),
        "tenants": sample.tenants,
        "operators": sample.operators,
        "tickets": sample.tickets,
    });
    println!("{line}");
}

async fn seed(house: &Arc<House>) -> Result<Sample, Stop> {
    let admin = || house.system_caller("bailee dev");
    let bad = |e: &dyn std::fmt::Display| Stop::unable(format!("the sample cannot be made: {e}"));
    if !house.tenants().await?.is_empty() {
        return Err(Stop::unable(
            "this folder holds a house that is no sample (or one whose first start was cut): use `bailee serve`, or \
             another --data",
        ));
    }
    let mut sample = Sample { tenants: Vec::new(), operators: Vec::new(), tickets: Vec::new() };
    for (id, role, place) in [("op-lin", "support", "CN"), ("op-mei", "support", "SG")] {
        let operator = CreateOperator {
            id: OperatorId::parse(id).map_err(|e| bad(&e))?,
            roles: vec![role.to_owned()],
            place: place.to_owned(),
        };
        let password = house.perform(admin(), operator).await?;
        sample.operators.push(SampleOperator {
            id: id.into(),
            password: password.expose().into(),
            role: role.into(),
            place: place.into(),
        });
    }
    for (alias, name, user) in [("acme", "Acme Manufacturing", "li"), ("globex", "Globex Research", "wang")] {
        let create =
            CreateTenant { alias: TenantAlias::parse(alias).map_err(|e| bad(&e))?, name: name.to_owned() };
        let new = house.perform(admin(), create).await?;
        let tenant = new.tenant.id.clone();
        let root = as_root(house, new.root_key.id.as_str(), &new.root_key.secret).await?;
        let user_name = UserName::parse(user).map_err(|e| bad(&e))?;
        let create = CreateUser { comments: "sample user".into(), ..CreateUser::named(user_name.clone()) };
        house.perform(root.clone(), create.of(&tenant)).await?;
        let password = SecretText::new(random_text(b"abcdefghijkmnpqrstuvwxyz23456789", 16));
        let profile = CreateLoginProfile::new(user_name.clone(), password.clone());
        house.perform(root.clone(), profile.of(&tenant)).await?;
        let attach = AttachPolicy {
            to: Entity::User(user_name),
            kind: PolicyType::System,
            policy: PolicyName::parse("AdministratorAccess").map_err(|e| bad(&e))?,
        };
        house.perform(root.clone(), attach.of(&tenant)).await?;
        let mut buckets: Vec<String> = Vec::new();
        for (_, bucket, key, text) in DOCUMENTS.iter().filter(|d| d.0 == alias) {
            let bucket_name = BucketName::parse(bucket).map_err(|e| bad(&e))?;
            if !buckets.iter().any(|b| b == bucket) {
                let create = CreateBucket {
                    tenant: tenant.clone(),
                    bucket: bucket_name.clone(),
                    region: None,
                    tier: None,
                };
                house.perform(root.clone(), create).await?;
                buckets.push((*bucket).to_owned());
            }
            let put = PutObject {
                customer_key: None,
                tenant: tenant.clone(),
                bucket: bucket_name,
                key: ObjectKey::parse(key).map_err(|e| bad(&e))?,
                meta: ObjectMeta { content_type: "text/plain; charset=utf-8".into(), ..Default::default() },
                len: Some(text.len() as u64),
                must_be_new: false,
                must_have_md5: None,
                body: Box::new(WholeBody::new(Bytes::from_static(text.as_bytes()))),
            };
            house.perform(root.clone(), put).await?;
        }
        if alias == "acme" {
            let title = "Some invoice PDFs open blank".to_owned();
            let id = house.perform(root, OpenTicket::titled(tenant.clone(), title.clone())).await?;
            sample.tickets.push(SampleTicket { tenant: alias.into(), id: id.to_string(), title });
        }
        sample.tenants.push(SampleTenant {
            alias: alias.into(),
            id: tenant.to_string(),
            root: SampleRoot {
                access_key_id: new.root_key.id.to_string(),
                access_key_secret: new.root_key.secret.expose().into(),
                user: "root".into(),
                password: new.root_password.expose().into(),
            },
            user: SampleUser { name: user.into(), password: password.expose().into() },
            buckets,
        });
    }
    let kept = serde_json::to_vec(&sample).map_err(|e| bad(&e))?;
    house.keep_sealed(SETTING, &SecretBytes::new(kept)).await?;
    Ok(sample)
}

/// The new tenant's root, proven by the secret that was just made.
async fn as_root(house: &Arc<House>, id: &str, secret: &SecretText) -> Result<Caller, Stop> {
    let origin = Origin {
        source_ip: "127.0.0.1".into(),
        user_agent: "bailee dev".into(),
        request_id: bailee_types::RequestId::random().to_string(),
        channel: "CommandLine",
        secure: true,
    };
    let presented =
        Presented { access_key_id: id, scheme: "sample", service: "Bailee", ..Default::default() };
    let same = |stored: &SecretText| if stored.expose() == secret.expose() { Ok(()) } else { Err(()) };
    match house.authenticate(presented, origin, same).await {
        Ok((caller, ())) => Ok(caller),
        Err(_) => Err(Stop::unable("the sample's root key does not open")),
    }
}

fn welcome(sample: &Sample, console: &str, objects: &str, data: &str) -> String {
    let mut out = format!(
        "Bailee runs a sample provider, Kestrel Cloud, from {data}.\n\n  console and portal  {console}\n  objects (OSS, S3)   {objects}\n\nSign in\n"
    );
    for t in &sample.tenants {
        out.push_str(&format!(
            "  tenant {:<7} user {:<5} password {}   (root: {})\n",
            t.alias, t.user.name, t.user.password, t.root.password
        ));
    }
    for o in &sample.operators {
        out.push_str(&format!(
            "  operator {:<16} password {}   ({} in {})\n",
            o.id, o.password, o.role, o.place
        ));
    }
    if let Some(t) = sample.tenants.first() {
        let bucket = t.buckets.first().map_or("", String::as_str);
        let (bailee, verify) = programs();
        let alias = &t.alias;
        out.push_str(&format!(
            "\nTry, in another terminal\n  export $({bailee} dev --data {data} --env {alias})   # then any S3 or OSS tool, e.g.\n  \
             aws --endpoint-url {objects} s3 ls s3://{bucket}/ --recursive\n  \
             {bailee} trail export --data {data} --tenant {alias} -o {alias}.bundle && {verify} {alias}.bundle\n\n\
             Ctrl-C stops it; starting again finds the same state."
        ));
    }
    out
}

/// How this program and the verifier are called from where one stands.
fn programs() -> (String, String) {
    let own = std::env::current_exe().unwrap_or_else(|_| "bailee".into());
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |p: &std::path::Path| p.strip_prefix(&here).unwrap_or(p).display().to_string();
    let verifier = own.with_file_name("bailee-verify");
    let verify = if verifier.exists() {
        shown(&verifier)
    } else {
        "cargo run --release -p bailee-verify --".to_owned()
    };
    (shown(&own), verify)
}
