//! `bailee operator …`: the provider's staff.

use std::process::ExitCode;

use bailee_rooms::identity::{CreateOperator, SetOperatorRoles, SetOperatorState};
use bailee_types::OperatorId;
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::tenant::print;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Operators: the provider's staff.
#[derive(Subcommand)]
pub(crate) enum Operator {
    /// Add an operator; prints the password once.
    Create {
        /// The id, e.g. op-lin.
        #[arg(long)]
        id: String,
        /// support, stability, compliance, approver, portal-editor or auditor-liaison; may be given more than once.
        #[arg(long, default_value = "support")]
        role: Vec<String>,
        /// Where he works, ISO 3166-1 alpha-2.
        #[arg(long)]
        place: String,
    },
    /// List operators.
    List,
    /// Give an operator other roles; they count at once.
    SetRoles {
        /// The id.
        id: String,
        /// As for `create`; all that he shall have.
        #[arg(long, required = true)]
        role: Vec<String>,
    },
    /// Say where operators sign on (OIDC), or switch it off.
    SingleSignOn(super::tenant::Issuer),
    /// Disable an operator: his sessions and grants end now.
    Disable {
        /// The id.
        id: String,
    },
    /// Enable an operator again.
    Enable {
        /// The id.
        id: String,
    },
}

pub(crate) fn run(common: &Common, c: Operator) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    let parse = |id: &str| OperatorId::parse(id).map_err(|e| Stop::unable(e.to_string()));
    on_runtime(async move {
        match c {
            Operator::Create { id, role, place } => {
                let id = parse(&id)?;
                let create = CreateOperator { id: id.clone(), roles: role, place };
                let password = house.perform(house.system_caller("bailee operator"), create).await?;
                print(json_out, &json!({ "id": id.as_str(), "password": password.expose() }), "Shown once:");
            }
            Operator::List => {
                let all = house.operators().await?;
                if json_out {
                    let list: Vec<_> = all
                        .iter()
                        .map(|o| json!({ "id": o.id.as_str(), "roles": o.roles, "place": o.place, "active": o.active }))
                        .collect();
                    println!("{}", json!(list));
                } else if all.is_empty() {
                    println!("No operator yet. Add one: bailee operator create --id op-lin --place CN");
                } else {
                    let state = |active: bool| if active { "active" } else { "disabled" };
                    let rows: Vec<_> = all
                        .iter()
                        .map(|o| {
                            vec![
                                o.id.to_string(),
                                o.roles.join(", "),
                                o.place.clone(),
                                state(o.active).to_owned(),
                            ]
                        })
                        .collect();
                    println!("{}", table(&["ID", "ROLES", "PLACE", "STATE"], &rows));
                }
            }
            Operator::SetRoles { id, role } => {
                let set = SetOperatorRoles { id: parse(&id)?, roles: role.clone() };
                house.perform(house.system_caller("bailee operator"), set).await?;
                print(json_out, &json!({ "id": id, "roles": role }), "Done:");
            }
            Operator::SingleSignOn(issuer) => {
                let set = issuer.set(bailee_types::TenantId::provider())?;
                let shown = json!({ "issuer": set.to.as_ref().map(|t| t.issuer.clone()) });
                house.perform(house.system_caller("bailee operator"), set).await?;
                print(json_out, &shown, "Set:");
            }
            Operator::Disable { id } => {
                let set = SetOperatorState { id: parse(&id)?, active: false };
                house.perform(house.system_caller("bailee operator"), set).await?;
                print(json_out, &json!({ "id": id, "state": "disabled" }), "Done:");
            }
            Operator::Enable { id } => {
                let set = SetOperatorState { id: parse(&id)?, active: true };
                house.perform(house.system_caller("bailee operator"), set).await?;
                print(json_out, &json!({ "id": id, "state": "active" }), "Done:");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
