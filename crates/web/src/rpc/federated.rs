//! Sts AssumeRoleWithOIDC and AssumeRoleWithSAML: unsigned requests (contract §1) whose caller is proven by what his
//! identity provider signed.

use bailee_rooms::gate::Origin;
use bailee_rooms::identity::{AssumeRole, RoleWish, Told};
use bailee_types::SessionName;
use bailee_wire::rpc::{RpcError, RpcRequest};
use serde_json::{Value, json};

use super::{RpcState, failure, show};

/// Whether an operation is for callers without an AccessKey.
pub(super) fn is_anonymous(request: &RpcRequest<'_>) -> bool {
    let operation = request.operation();
    operation.product.name == "Sts" && matches!(operation.name, "AssumeRoleWithOIDC" | "AssumeRoleWithSAML")
}

pub(super) async fn answer(
    state: &RpcState,
    request: &RpcRequest<'_>,
    origin: Origin,
) -> Result<Value, RpcError> {
    let house = &state.house;
    let role_arn = request.required("RoleArn")?;
    let with_oidc = request.operation().name == "AssumeRoleWithOIDC";
    let (vouched, action) = if with_oidc {
        let (arn, token) = (request.required("OIDCProviderArn")?, request.required("OIDCToken")?);
        (house.vouched_by_oidc(arn, token, origin).await, "sts:AssumeRoleWithOIDC")
    } else {
        let (arn, response) = (request.required("SAMLProviderArn")?, request.required("SAMLAssertion")?);
        (house.vouched_by_saml(arn, role_arn, response, origin).await, "sts:AssumeRoleWithSAML")
    };
    let vouched = vouched.map_err(failure::of_room)?;
    let session = match &vouched.told {
        Told::Oidc { .. } => request.name("RoleSessionName", 64, SessionName::parse)?,
        Told::Saml { session, .. } => session.clone(),
    };
    let mut wish = RoleWish::of_arn(role_arn, session).map_err(failure::of_room)?;
    wish.duration_s = request.number("DurationSeconds", 0..=i64::from(u32::MAX))?;
    if let Told::Saml { duration_s: Some(most), .. } = &vouched.told {
        wish.duration_s = Some(wish.duration_s.map_or(*most, |d| d.min(*most)));
    }
    wish.policy = request.filled("Policy");
    wish.conditions = vouched.conditions;
    let Some(tenant) = vouched.caller.tenant().cloned() else {
        return Err(RpcError::new(403, "NoPermission", "The identity provider belongs to no account."));
    };
    let act = AssumeRole { tenant, wish, action };
    let made = house
        .perform(vouched.caller.clone(), act)
        .await
        .map_err(|e| failure::of(e, house, &vouched.caller))?;
    let mut out = show::credentials(&made);
    match vouched.told {
        Told::Oidc { issuer, subject, client_ids, issued_at, expires_at } => out.insert(
            "OIDCTokenInfo".into(),
            json!({
                "Issuer": issuer, "Subject": subject, "ClientIds": client_ids.join(","),
                "IssuanceTime": issued_at, "ExpirationTime": expires_at, "VerificationInfo": "Success",
            }),
        ),
        Told::Saml { issuer, subject, subject_type, recipient, .. } => out.insert(
            "SAMLAssertionInfo".into(),
            json!({ "Issuer": issuer, "Subject": subject, "SubjectType": subject_type, "Recipient": recipient }),
        ),
    };
    Ok(Value::Object(out))
}
