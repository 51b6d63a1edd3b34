//! `bailee trail resolve-employee`: compliance, signed in by name, asks whose number stands in a tenant's events.

use std::path::PathBuf;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::gate::Origin;
use bailee_rooms::identity::{ResolveEmployee, SignIn, Stage};
use bailee_types::{Pseudonym, RequestId, SecretText, TicketId};
use clap::Args;
use serde_json::json;

use super::tenant::print;
use crate::output::Stop;

/// Whose number it is. Who asks signs in: an act at the machine has no name that both logs could hold.
#[derive(Args)]
pub(crate) struct Resolve {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// The number, emp-….
    #[arg(long, value_name = "EMP-…")]
    employee: String,
    /// The case, order or complaint that it is resolved for.
    #[arg(long)]
    reference: String,
    /// The tenant's ticket, if the tenant asked.
    #[arg(long)]
    ticket: Option<String>,
    /// Who asks: an operator with the role compliance.
    #[arg(long = "as", value_name = "OP-…")]
    operator: String,
    /// The file with his password; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

pub(crate) async fn run(house: &Arc<House>, r: Resolve, json_out: bool) -> Result<(), Stop> {
    let tenant = house.find_tenant(&r.tenant).await?.id;
    let employee = Pseudonym::parse(&r.employee).map_err(|e| Stop::unable(e.to_string()))?;
    let ticket =
        r.ticket.as_deref().map(TicketId::parse).transpose().map_err(|e| Stop::unable(e.to_string()))?;
    let origin = || Origin {
        request_id: RequestId::random().to_string(),
        channel: "CommandLine",
        ..Origin::default()
    };
    let who = SignIn::Operator { id: r.operator.clone(), password: password(&r.password_file)? };
    let token = house.sign_in(who, origin()).await?;
    let session = house.session(token.expose(), origin()).await?;
    let answer = match session {
        Some(s) if s.stage() == Stage::Full => {
            let ask = ResolveEmployee { tenant, employee, ticket, reference: r.reference };
            house.perform(s.caller, ask).await.map_err(Stop::from)
        }
        _ => Err(Stop::unable(
            "this operator signs in with a second factor: resolve it on the desk, /desk/employee",
        )),
    };
    house.sign_out(token.expose()).await?;
    let who = answer?;
    let shown = json!({ "operator": who.operator.as_str(), "place": who.place, "active": who.active });
    print(json_out, &shown, "Recorded in both logs:");
    Ok(())
}

fn password(path: &std::path::Path) -> Result<SecretText, Stop> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?;
    Ok(SecretText::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}
