//! `bailee api`: any operation of Ram, Ims, Actiontrail or Kms at the machine, as the wire has it.

use std::process::ExitCode;

use clap::Args;

use super::on_runtime;
use crate::config::Common;
use crate::output::Stop;

/// One operation. The answer is the wire's JSON; the act stands in the tenant's log.
#[derive(Args)]
pub(crate) struct Api {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// ram, ims, actiontrail or kms (to manage keys; only the tenant encrypts and decrypts with them).
    product: String,
    /// E.g. `CreateGroup`.
    operation: String,
    /// `Name=value` as in the operation's documentation; `Name=@file` reads the value from a file, as secrets should be.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

pub(crate) fn run(common: &Common, c: Api) -> Result<ExitCode, Stop> {
    let arguments = c.arguments.iter().map(|a| argument(a)).collect::<Result<Vec<_>, _>>()?;
    let house = common.open()?;
    on_runtime(async move {
        let tenant = house.find_tenant(&c.tenant).await?.id;
        let caller = house.system_caller("bailee api");
        let which = (c.product.as_str(), c.operation.as_str());
        match bailee_web::rpc_at_the_machine(&house, caller, tenant, which, &arguments).await {
            Ok(answer) => {
                println!(
                    "{}",
                    serde_json::to_string_pretty(&answer).map_err(|e| Stop::unable(e.to_string()))?
                );
                Ok(ExitCode::SUCCESS)
            }
            Err(text) => Err(Stop::unable(text)),
        }
    })
}

fn argument(text: &str) -> Result<(String, String), Stop> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Stop::unable(format!("`{text}` is not NAME=VALUE")))?;
    let value = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map(|t| t.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|e| Stop::unable(format!("{path}: {e}")))?,
    };
    Ok((name.to_owned(), value))
}
