//! Sts 2015-04-01: who am I, and roles for a while.

use bailee_rooms::identity::{AssumeRole, GetCallerIdentity, RoleWish};
use bailee_types::SessionName;
use bailee_wire::rpc::RpcError;
use serde_json::{Value, json};

use super::{Cx, failure, show};

/// Answers a signed operation; none when it is not built.
pub(super) async fn answer(cx: &Cx<'_>) -> Result<Option<Value>, RpcError> {
    Ok(Some(match cx.request.operation().name {
        "GetCallerIdentity" => {
            let me = cx.perform(GetCallerIdentity { tenant: cx.tenant.clone() }).await?;
            let mut out = show::map(json!({
                "IdentityType": me.identity_type,
                "AccountId": me.account_id,
                "PrincipalId": me.principal_id,
                "Arn": me.arn,
            }));
            for (field, value) in [("UserId", me.user_id), ("RoleId", me.role_id)] {
                out.extend(value.map(|v| (field.to_owned(), v.into())));
            }
            Value::Object(out)
        }
        "AssumeRole" => {
            let request = cx.request;
            // Without an ending, whatever is wrong with it (contract §4).
            let session = SessionName::parse(request.required("RoleSessionName")?).map_err(|e| {
                RpcError::invalid(
                    "RoleSessionName",
                    format!("The parameter RoleSessionName is not valid: {e}."),
                )
            })?;
            let mut wish =
                RoleWish::of_arn(request.required("RoleArn")?, session).map_err(failure::of_room)?;
            wish.duration_s = request.number("DurationSeconds", 0..=i64::from(u32::MAX))?;
            wish.policy = request.filled("Policy");
            wish.external_id = request.filled("ExternalId");
            wish.source_identity = request.filled("SourceIdentity");
            let act = AssumeRole { tenant: cx.tenant.clone(), wish, action: "sts:AssumeRole" };
            Value::Object(show::credentials(&cx.perform(act).await?))
        }
        _ => return Ok(None),
    }))
}
