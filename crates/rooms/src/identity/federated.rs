//! Callers whom an identity provider of the tenant vouches for: proven by a signed id token or SAML assertion, and good
//! for taking on a role that trusts the provider.

use bailee_federation::oidc::Expect;
use bailee_federation::saml::{self, IdpMetadata};
use bailee_types::{Arn, ProviderName, SessionName, TenantId};

use super::provider::OidcSettings;
use super::rows::{provider as rows, tenant as tenant_rows};
use crate::gate::{Caller, Origin, Principal};
use crate::{Failure, House};

/// By how much another clock may differ.
const LEEWAY_MS: i64 = 60_000;
/// What assertions for a role must be for: the name that IdPs have in their settings for this wire.
pub const SAML_AUDIENCE: &str = "urn:alibaba:cloudcomputing";
/// Where such assertions are handed in, as IdPs have it in their settings.
pub const SAML_RECIPIENT: &str = "https://signin.aliyun.com/saml-role/sso";
const ROLE_ATTRIBUTE: &str = "https://www.aliyun.com/SAML-Role/Attributes/Role";
const SESSION_ATTRIBUTE: &str = "https://www.aliyun.com/SAML-Role/Attributes/RoleSessionName";
const DURATION_ATTRIBUTE: &str = "https://www.aliyun.com/SAML-Role/Attributes/SessionDuration";

/// A federated caller with the words for a role's trust policy.
pub struct Vouched {
    /// The caller.
    pub caller: Caller,
    /// `oidc:iss`, `oidc:aud`, `oidc:sub`; `saml:recipient` and others.
    pub conditions: Vec<(String, Vec<String>)>,
    /// What the wire's answer says of the token or assertion.
    pub told: Told,
}

/// What was proven.
pub enum Told {
    /// By an id token.
    Oidc {
        /// The issuer.
        issuer: String,
        /// The subject.
        subject: String,
        /// The audiences.
        client_ids: Vec<String>,
        /// When it was issued, ISO.
        issued_at: String,
        /// When it ends, ISO.
        expires_at: String,
    },
    /// By an assertion.
    Saml {
        /// The IdP's entity id.
        issuer: String,
        /// The name identifier.
        subject: String,
        /// Its format.
        subject_type: String,
        /// Where it was handed in.
        recipient: String,
        /// The session's name, which the assertion fixes.
        session: SessionName,
        /// How long at most, seconds, when the assertion says so.
        duration_s: Option<i64>,
    },
}

/// The tenant and name in `acs:ram::<tenant>:<kind>-provider/<name>`.
fn provider_in(arn: &str, kind: &str, field: &'static str) -> Result<(TenantId, ProviderName), Failure> {
    let wrong = || Failure::invalid(field, format!("must be acs:ram::<account id>:{kind}-provider/<name>"));
    let parsed = Arn::parse(arn).map_err(|_| wrong())?;
    let name =
        parsed.relative().strip_prefix(kind).and_then(|r| r.strip_prefix("-provider/")).ok_or_else(wrong)?;
    Ok((
        TenantId::parse(parsed.account()).map_err(|_| wrong())?,
        ProviderName::parse(name).map_err(|_| wrong())?,
    ))
}

impl House {
    async fn provider_document(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        name: &ProviderName,
        field: &'static str,
    ) -> Result<String, Failure> {
        let (t, n) = (tenant.clone(), name.clone());
        let found = self
            .db
            .read(move |tx| {
                if !tenant_rows::is_active(tx, &t)? {
                    return Ok(None);
                }
                Ok::<_, Failure>(rows::by_name(&mut tx.tenant(&t), kind, &n)?)
            })
            .await?;
        // Strangers ask: what is not there and what is another's look the same.
        found.map(|p| p.document).ok_or_else(|| Failure::invalid(field, "names no identity provider"))
    }

    /// Whoever an id token of a tenant's issuer is about.
    ///
    /// # Errors
    /// What is wrong with the token; `Unavailable` when the issuer's keys cannot be had.
    pub async fn vouched_by_oidc(&self, arn: &str, token: &str, origin: Origin) -> Result<Vouched, Failure> {
        let (tenant, name) = provider_in(arn, "oidc", "OIDCProviderArn.Format")?;
        let document = self.provider_document(&tenant, "oidc", &name, "OIDCProviderArn.Format").await?;
        let settings: OidcSettings = serde_json::from_str(&document)
            .map_err(|e| Failure::Damaged(format!("the OIDC provider `{name}`: {e}")))?;
        let now = self.now();
        let expect = Expect {
            issuer: &settings.issuer,
            audiences: &settings.client_ids,
            nonce: None,
            now,
            leeway_ms: LEEWAY_MS,
        };
        let id = self.check_id_token(token, &expect, "OIDCToken").await?;
        let oldest = now.plus_ms(-i64::from(settings.issuance_limit_hours) * 3_600_000);
        if id.issued_at < oldest {
            return Err(Failure::invalid(
                "OIDCToken",
                format!("was issued more than {} hours ago", settings.issuance_limit_hours),
            ));
        }
        let principal = Principal::Federated { tenant, provider: arn.to_owned(), subject: clip(&id.subject) };
        Ok(Vouched {
            caller: Caller::new(principal, origin),
            conditions: vec![
                ("oidc:iss".into(), vec![id.issuer.clone()]),
                ("oidc:aud".into(), id.audiences.clone()),
                ("oidc:sub".into(), vec![id.subject.clone()]),
            ],
            told: Told::Oidc {
                issuer: id.issuer,
                subject: id.subject,
                client_ids: id.audiences,
                issued_at: id.issued_at.iso(),
                expires_at: id.expires_at.iso(),
            },
        })
    }

    /// Whoever a SAML response of a tenant's IdP is about, for one role. Each assertion works once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn vouched_by_saml(
        &self,
        arn: &str,
        role_arn: &str,
        response: &str,
        origin: Origin,
    ) -> Result<Vouched, Failure> {
        let (tenant, name) = provider_in(arn, "saml", "SAMLProviderArn.Format")?;
        let document = self.provider_document(&tenant, "saml", &name, "SAMLProviderArn.Format").await?;
        let idp = IdpMetadata::parse(document.as_bytes())
            .map_err(|e| Failure::Damaged(format!("the metadata of the SAML provider `{name}`: {e}")))?;
        let now = self.now();
        let refused = |e: saml::SamlError| Failure::invalid("SAMLAssertion", format!("is refused: {e}"));
        let xml = saml::decode_response(response).map_err(refused)?;
        let expect = saml::Expect {
            audience: SAML_AUDIENCE,
            recipient: SAML_RECIPIENT,
            now,
            leeway_ms: LEEWAY_MS,
            in_response_to: None,
        };
        // Strangers make us work: off the threads that serve, a few at a time, and refused beyond that.
        let said =
            self.hashing(move || saml::verify_response(&xml, &idp, &expect)).await?.map_err(refused)?;
        let values = |wanted: &str| {
            said.attributes
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, values)| values.clone())
                .unwrap_or_default()
        };
        // The IdP says which roles this person may take on through it: `role ARN,provider ARN`, in either order.
        let pairs = values(ROLE_ATTRIBUTE);
        let named = pairs.iter().any(|pair| {
            matches!(pair.split_once(','), Some((a, b)) if (a.trim() == role_arn && b.trim() == arn)
                || (a.trim() == arn && b.trim() == role_arn))
        });
        if !named {
            return Err(Failure::invalid(
                "SAMLAssertion",
                format!("does not name the role with this provider in {ROLE_ATTRIBUTE}"),
            ));
        }
        let session = match values(SESSION_ATTRIBUTE).as_slice() {
            [one] => SessionName::parse(one)
                .map_err(|e| Failure::invalid("SAMLAssertion", format!("names the session wrongly: {e}")))?,
            _ => {
                return Err(Failure::invalid(
                    "SAMLAssertion",
                    format!("must have one value of {SESSION_ATTRIBUTE}"),
                ));
            }
        };
        let duration_s = values(DURATION_ATTRIBUTE).first().and_then(|t| t.parse().ok());
        let (t, id, until) = (tenant.clone(), said.id.clone(), said.not_on_or_after.plus_ms(2 * LEEWAY_MS));
        let first = self
            .db
            .write(move |tx| rows::use_once(&mut tx.tenant(&t), &id, until, now).map_err(Failure::from))
            .await?;
        if !first {
            return Err(Failure::invalid("SAMLAssertion", "was used before"));
        }
        let principal =
            Principal::Federated { tenant, provider: arn.to_owned(), subject: clip(&said.subject) };
        Ok(Vouched {
            caller: Caller::new(principal, origin),
            conditions: vec![
                ("saml:recipient".into(), vec![said.recipient.clone()]),
                ("saml:iss".into(), vec![said.issuer.clone()]),
                ("saml:sub".into(), vec![said.subject.clone()]),
                ("saml:aud".into(), said.audiences.clone()),
            ],
            told: Told::Saml {
                issuer: said.issuer,
                subject: said.subject,
                subject_type: said.subject_format.unwrap_or_default(),
                recipient: said.recipient,
                session,
                duration_s,
            },
        })
    }
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}
