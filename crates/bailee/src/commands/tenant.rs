//! `bailee tenant …`: the administrator's side of tenants. Every act stands in a log.

use std::process::ExitCode;

use bailee_rooms::identity::{
    AttachPolicy, CreateAccessKey, CreatePolicy, CreateTenant, CreateUser, SetPassword,
};
use bailee_types::{SecretText, TenantAlias, UserName, random_text};
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
                let create = CreateUser {
                    tenant: tenant.clone(),
                    name: name.clone(),
                    display_name: String::new(),
                    comments: String::new(),
                    email: String::new(),
                    mobile_phone: String::new(),
                };
                let user = house.perform(admin(), create).await?;
                let password = SecretText::new(random_text(b"abcdefghijkmnpqrstuvwxyz23456789", 20));
                let set =
                    SetPassword { tenant: tenant.clone(), name: name.clone(), password: password.clone() };
                house.perform(admin(), set).await?;
                if let Some(policy) = a.policy {
                    house.perform(admin(), AttachPolicy { tenant, user: name, policy, system: true }).await?;
                }
                let shown = json!({ "user": user.name, "id": user.id, "password": password.expose() });
                print(json_out, &shown, "Shown once:");
            }
            Tenant::AddKey { tenant, user } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let user =
                    user.map(|u| UserName::parse(&u).map_err(|e| Stop::unable(e.to_string()))).transpose()?;
                let key = house.perform(admin(), CreateAccessKey { tenant, user }).await?;
                let shown =
                    json!({ "access_key_id": key.id.as_str(), "access_key_secret": key.secret.expose() });
                print(json_out, &shown, "Shown once:");
            }
            Tenant::CreatePolicy { tenant, name, document } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let document = std::fs::read_to_string(&document)
                    .map_err(|e| Stop::unable(format!("{}: {e}", document.display())))?;
                house.perform(admin(), CreatePolicy { tenant, name: name.clone(), document }).await?;
                print(json_out, &json!({ "policy": name }), "Made:");
            }
            Tenant::AttachPolicy { tenant, user, policy, custom } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let user = UserName::parse(&user).map_err(|e| Stop::unable(e.to_string()))?;
                let shown = json!({ "user": user.as_str(), "policy": policy });
                house.perform(admin(), AttachPolicy { tenant, user, policy, system: !custom }).await?;
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
