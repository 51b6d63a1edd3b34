//! `bailee tenant …`: the administrator's side of tenants. Every act stands in a log.

use std::process::ExitCode;

use bailee_rooms::closure::GetClosure;
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreateLoginProfile, CreatePolicy, CreateTenant, CreateUser, Entity,
    Owner, PolicyType, SetSingleSignOn, SignOnSettings,
};
use bailee_rooms::vault::{GetTenantUsage, SetTenantQuota};
use bailee_types::{ChangeId, PolicyName, SecretText, TenantAlias, UserName, random_text};
use clap::{Args, Subcommand};
use serde_json::json;

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Tenants and their users.
#[derive(Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant; prints root's password and AccessKey once.
    Create {
        /// The short name, e.g. acme.
        #[arg(long)]
        alias: String,
        /// The name for people.
        #[arg(long)]
        name: String,
    },
    /// List tenants.
    List,
    /// Make a user with a console password and a system policy; prints the password once.
    AddUser(AddUser),
    /// Make an AccessKey for a user; prints the secret once.
    AddKey {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The user; without it, root.
        #[arg(long)]
        user: Option<String>,
    },
    /// Make a custom policy from a file.
    CreatePolicy {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The policy's name.
        #[arg(long)]
        name: String,
        /// The file with the document.
        #[arg(long, value_name = "FILE")]
        document: std::path::PathBuf,
    },
    /// Say where people of a tenant sign on (OIDC), or switch it off.
    SingleSignOn(SingleSignOn),
    /// How much a tenant stores, and may store; with --bytes or --none sets that.
    Quota {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Bytes of content that the tenant may store in all.
        #[arg(long, value_name = "N", conflicts_with = "none")]
        bytes: Option<u64>,
        /// As much as there is room.
        #[arg(long)]
        none: bool,
        /// The provider's change that this is part of, e.g. CHG-1234: the tenant's log names it.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: Option<ChangeId>,
    },
    /// Say how far the closure of an account is that its root asked for, with its report.
    Closure {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// End now the accounts whose closure is due. The house does so by itself.
    EndClosed,
    /// Attach a policy to a user.
    AttachPolicy {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The user.
        #[arg(long)]
        user: String,
        /// The policy's name.
        #[arg(long)]
        policy: String,
        /// It is one of the tenant's own policies, not a system policy.
        #[arg(long)]
        custom: bool,
    },
}

/// Where people sign on.
#[derive(Args)]
pub(crate) struct SingleSignOn {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    issuer: Issuer,
}

/// An OIDC issuer. Without an issuer, single sign-on is switched off.
#[derive(Args)]
pub(crate) struct Issuer {
    /// The issuer's address.
    #[arg(long, requires = "client_id")]
    issuer: Option<String>,
    /// Our client id there.
    #[arg(long)]
    client_id: Option<String>,
    /// The claim that holds the RAM user's name or the operator's id.
    #[arg(long, default_value = "preferred_username")]
    claim: String,
    /// A domain that may stand behind a user's name in that claim, e.g. acme.example; may be given again. Without one, only
    /// the account's own: an issuer that verifies addresses of many domains does not say whose they are.
    #[arg(long = "domain", value_name = "DOMAIN", requires = "issuer")]
    domains: Vec<String>,
    /// The file with the client secret; without it, a public client.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<std::path::PathBuf>,
    /// Take the issuer's word (`amr`) that it asked for a second factor. Else whoever must show one shows it here.
    #[arg(long, requires = "issuer")]
    trust_amr: bool,
}

impl Issuer {
    /// The act that sets it.
    pub(super) fn set(self, tenant: bailee_types::TenantId) -> Result<SetSingleSignOn, Stop> {
        let secret = match &self.client_secret_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?;
                Some(SecretText::new(text.trim().to_owned()))
            }
        };
        let client_id = self.client_id.unwrap_or_default();
        let (claim, domains, trust_amr) = (self.claim, self.domains, self.trust_amr);
        let to =
            self.issuer.map(|issuer| SignOnSettings { issuer, client_id, claim, domains, secret, trust_amr });
        Ok(SetSingleSignOn { tenant, to })
    }
}

/// A new user.
#[derive(Args)]
pub(crate) struct AddUser {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// The user's name.
    #[arg(long)]
    user: String,
    /// A system policy to attach, e.g. AliyunOSSReadOnlyAccess.
    #[arg(long)]
    policy: Option<String>,
}

pub(crate) fn run(common: &Common, c: Tenant) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let admin = || house.system_caller("bailee tenant");
        match c {
            Tenant::Create { alias, name } => {
                let alias = TenantAlias::parse(&alias).map_err(|e| Stop::unable(e.to_string()))?;
                let new = house.perform(admin(), CreateTenant { alias, name }).await?;
                let shown = json!({
                    "alias": new.tenant.alias.as_str(), "id": new.tenant.id.as_str(),
                    "root_password": new.root_password.expose(),
                    "access_key_id": new.root_key.id.as_str(),
                    "access_key_secret": new.root_key.secret.expose(),
                });
                print(json_out, &shown, "Shown once; hand it to the tenant by a safe way:");
            }
            Tenant::Quota { tenant, bytes, none, change } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                if bytes.is_some() || none {
                    let set = SetTenantQuota { tenant: tenant.clone(), bytes_max: bytes };
                    house.perform(admin().under_change(change), set).await?;
                }
                let (max, buckets) = house.perform(admin(), GetTenantUsage { tenant }).await?;
                let used: u64 = buckets.iter().map(|(_, u)| u.bytes).sum();
                if json_out {
                    let list: Vec<_> = buckets
                        .iter()
                        .map(|(name, u)| json!({ "bucket": name.as_str(), "versions": u.objects, "bytes": u.bytes }))
                        .collect();
                    println!("{}", json!({ "bytesMax": max, "bytes": used, "buckets": list }));
                } else {
                    let limit = max.map_or_else(|| "no limit".to_owned(), |m| format!("at most {m}"));
                    println!("{used} bytes in {} buckets; {limit}", buckets.len());
                    let rows: Vec<_> = buckets
                        .iter()
                        .map(|(name, u)| vec![name.to_string(), u.objects.to_string(), u.bytes.to_string()])
                        .collect();
                    println!("{}", table(&["BUCKET", "VERSIONS", "BYTES"], &rows));
                }
            }
            Tenant::Closure { tenant } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                match house.perform(admin(), GetClosure { tenant }).await? {
                    Some((closure, report)) => println!(
                        "{:#}",
                        json!({ "state": closure.state.word(), "askedAt": closure.asked_at.iso(),
                                "dueAt": closure.due_at.iso(), "report": report })
                    ),
                    None if json_out => println!("null"),
                    None => println!("nobody asked to close it"),
                }
            }
            Tenant::EndClosed => {
                let done = house.close_due_accounts().await?;
                if json_out {
                    println!("{}", json!({ "ended": done }));
                } else {
                    println!("{done} accounts");
                }
            }
            Tenant::List => {
                let all = house.tenants().await?;
                if json_out {
                    let list: Vec<_> = all
                        .iter()
                        .map(|t| json!({ "alias": t.alias.as_str(), "id": t.id.as_str(), "name": t.name, "created": t.created_at.iso() }))
                        .collect();
                    println!("{}", json!(list));
                } else if all.is_empty() {
                    println!("No tenant yet. Make one: bailee tenant create --alias acme --name 'Acme'");
                } else {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|t| {
                            vec![t.alias.to_string(), t.id.to_string(), t.name.clone(), t.created_at.iso()]
                        })
                        .collect();
                    println!("{}", table(&["ALIAS", "ID", "NAME", "CREATED"], &rows));
                }
            }
            Tenant::AddUser(a) => {
                let tenant = house.find_tenant(&a.tenant).await?.id;
                let name = UserName::parse(&a.user).map_err(|e| Stop::unable(e.to_string()))?;
                let user = house.perform(admin(), CreateUser::named(name.clone()).of(&tenant)).await?;
                let password = SecretText::new(random_text(b"abcdefghijkmnpqrstuvwxyz23456789", 20));
                let profile = CreateLoginProfile::new(name.clone(), password.clone());
                house.perform(admin(), profile.of(&tenant)).await?;
                if let Some(policy) = a.policy {
                    let policy = PolicyName::parse(&policy).map_err(|e| Stop::unable(e.to_string()))?;
                    let attach = AttachPolicy { to: Entity::User(name), kind: PolicyType::System, policy };
                    house.perform(admin(), attach.of(&tenant)).await?;
                }
                let shown = json!({ "user": user.name.as_str(), "id": user.id.as_str(), "password": password.expose() });
                print(json_out, &shown, "Shown once:");
            }
            Tenant::AddKey { tenant, user } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let user =
                    user.map(|u| UserName::parse(&u).map_err(|e| Stop::unable(e.to_string()))).transpose()?;
                let key = house
                    .perform(
                        admin(),
                        CreateAccessKey { owner: user.map_or(Owner::Root, Owner::User) }.of(&tenant),
                    )
                    .await?;
                let shown =
                    json!({ "access_key_id": key.id.as_str(), "access_key_secret": key.secret.expose() });
                print(json_out, &shown, "Shown once:");
            }
            Tenant::CreatePolicy { tenant, name, document } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let document = std::fs::read_to_string(&document)
                    .map_err(|e| Stop::unable(format!("{}: {e}", document.display())))?;
                let policy = PolicyName::parse(&name).map_err(|e| Stop::unable(e.to_string()))?;
                // Shown as a compiler shows it: the line, and a caret under the place.
                bailee_rooms::identity::check_policy(&document).map_err(Stop::unable)?;
                let create =
                    CreatePolicy { name: policy, document, description: String::new(), tags: Vec::new() };
                house.perform(admin(), create.of(&tenant)).await?;
                print(json_out, &json!({ "policy": name }), "Made:");
            }
            Tenant::SingleSignOn(c) => {
                let tenant = house.find_tenant(&c.tenant).await?.id;
                let set = c.issuer.set(tenant)?;
                let shown = json!({ "issuer": set.to.as_ref().map(|t| t.issuer.clone()) });
                house.perform(admin(), set).await?;
                print(json_out, &shown, "Set:");
            }
            Tenant::AttachPolicy { tenant, user, policy, custom } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let user = UserName::parse(&user).map_err(|e| Stop::unable(e.to_string()))?;
                let shown = json!({ "user": user.as_str(), "policy": policy.as_str() });
                let policy = PolicyName::parse(&policy).map_err(|e| Stop::unable(e.to_string()))?;
                let kind = if custom { PolicyType::Custom } else { PolicyType::System };
                let attach = AttachPolicy { to: Entity::User(user), kind, policy };
                house.perform(admin(), attach.of(&tenant)).await?;
                print(json_out, &shown, "Attached:");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn print(json_out: bool, value: &serde_json::Value, lead: &str) {
    if json_out {
        println!("{value}");
        return;
    }
    println!("{lead}");
    for (name, value) in value.as_object().into_iter().flatten() {
        println!(
            "  {:<18} {}",
            name.replace('_', " "),
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        );
    }
}
