//! Single sign-on: people of a tenant, or the provider's operators, prove themselves at an OIDC issuer of their own.
//!
//! The flow is the authorization code with PKCE. What must be remembered between the two halves travels sealed in the
//! browser that began, so that an answer is good in that browser only.

use std::sync::Arc;

use bailee_crypto::seal::SealingKey;
use bailee_federation::oidc::{
    AuthorizationRequest, Client, Expect, Pending, TokenRequest, TokenResponse, TokenResponseError, discovery,
};
use bailee_store::{TenantTx, Tx};
use bailee_types::{Arn, OperatorId, SecretText, TenantId, Timestamp, UserName};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::device::KnownDevices;
use super::rows::{login, operator, setting, tenant as tenant_rows, user as user_rows};
use super::session::{AGE_HOURS, Begun, Needs, SessionToken, Stage, has_factor, needs_of_user};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Origin, Touches};
use crate::{Failure, House, SignInProblem};

/// How long somebody may take at the issuer.
const TAKES_MS: i64 = 10 * 60_000;
const LEEWAY_MS: i64 = 60_000;
pub(super) const SETTING: &str = "single-sign-on";
/// Domains that one setting may name.
const DOMAINS_MAX: usize = 20;

/// Where people of one tenant (or the operators) sign on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleSignOn {
    /// The issuer's address; empty when single sign-on is off.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// The claim that holds the RAM user's name, maybe with an `@domain` behind it, or the operator's id.
    pub claim: String,
    /// Domains of the tenant's people there, besides the account's own: `li@elsewhere` is somebody else, whoever verified
    /// his address.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The client secret, sealed; none for a public client.
    #[serde(default)]
    sealed_secret: Option<String>,
    /// Whether a second factor that the issuer says it asked for (`amr`) counts here.
    #[serde(default)]
    pub trust_amr: bool,
}

/// Where people shall sign on.
#[derive(Clone, Debug)]
pub struct SignOnSettings {
    /// The issuer's address.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// The claim that holds the RAM user's name or the operator's id.
    pub claim: String,
    /// Domains that may stand behind a user's name, besides the account's own; lower case.
    pub domains: Vec<String>,
    /// The client secret; none for a public client.
    pub secret: Option<SecretText>,
    /// Whether the issuer's word on a second factor counts.
    pub trust_amr: bool,
}

/// Sets where people sign on; without settings, switches it off.
#[derive(Clone, Debug)]
pub struct SetSingleSignOn {
    /// The tenant, or the provider for its operators.
    pub tenant: TenantId,
    /// Where to.
    pub to: Option<SignOnSettings>,
}

/// Where people sign on now.
#[derive(Clone, Debug)]
pub struct GetSingleSignOn {
    /// The tenant, or the provider for its operators.
    pub tenant: TenantId,
}

fn asked(tenant: &TenantId, action: &'static str, write: bool, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "single-sign-on"),
        resource_type: "ACS::Bailee::SingleSignOn",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

fn secret_aad(tenant: &TenantId) -> Vec<u8> {
    bailee_crypto::seal::aad(&[b"bailee/sso-secret/v1", tenant.as_str().as_bytes()])
}

/// Seals the client secret under another key.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    tenant: &TenantId,
    old: &SealingKey,
    new: &SealingKey,
) -> Result<(), Failure> {
    let mut set: SingleSignOn = setting::load(tx, SETTING)?;
    let Some(sealed) = &set.sealed_secret else { return Ok(()) };
    let place = secret_aad(tenant);
    let plain = URL_SAFE_NO_PAD.decode(sealed).ok().and_then(|sealed| old.open(&place, &sealed).ok());
    let damaged = || Failure::Damaged(format!("the client secret of tenant `{tenant}` does not open"));
    let plain = plain.ok_or_else(damaged)?;
    set.sealed_secret = Some(URL_SAFE_NO_PAD.encode(new.seal(&place, plain.expose())));
    Ok(setting::store(tx, SETTING, &set)?)
}

impl Operation for SetSingleSignOn {
    type Output = ();

    fn asks(&self) -> Asked {
        let detail = match &self.to {
            None => json!({ "issuer": null }),
            Some(to) => json!({ "issuer": to.issuer, "trustAmr": to.trust_amr }),
        };
        asked(&self.tenant, "bailee:SetSingleSignOn", true, detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let set = match self.to {
            None => SingleSignOn::default(),
            Some(SignOnSettings { issuer, client_id, claim, domains, secret, trust_amr }) => {
                discovery::address(&issuer)
                    .map_err(|e| Failure::invalid("issuer", format!("is refused: {e}")))?;
                if client_id.is_empty() || client_id.len() > 255 || claim.is_empty() || claim.len() > 64 {
                    return Err(Failure::invalid(
                        "client id",
                        "and claim must be given, of at most 255 and 64 characters",
                    ));
                }
                let fits = |d: &String| {
                    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
                    (1..=253).contains(&d.len()) && d.bytes().all(ok)
                };
                if domains.len() > DOMAINS_MAX || !domains.iter().all(fits) {
                    return Err(Failure::invalid(
                        "domain",
                        format!("must be at most {DOMAINS_MAX} names such as acme.example, in lower case"),
                    ));
                }
                let seal = |s: SecretText| {
                    let sealed =
                        house.identity.credentials.seal(&secret_aad(&self.tenant), s.expose().as_bytes());
                    URL_SAFE_NO_PAD.encode(sealed)
                };
                SingleSignOn { issuer, client_id, claim, domains, sealed_secret: secret.map(seal), trust_amr }
            }
        };
        let tenant = self.tenant;
        house.db.write(move |tx| Ok(setting::store(&mut tx.tenant(&tenant), SETTING, &set)?)).await
    }
}

impl Operation for GetSingleSignOn {
    type Output = Option<SingleSignOn>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetSingleSignOn", false, json!({}))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Option<SingleSignOn>, Failure> {
        house.single_sign_on(&self.tenant).await
    }
}

/// A sign-on that began: where the browser goes, and what it keeps meanwhile.
pub struct SignOnBegun {
    /// The issuer's page.
    pub url: String,
    /// The issuer, for people.
    pub issuer: String,
    /// For a cookie of ten minutes; opens nothing but the second half.
    pub kept: SecretText,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    tenant: String,
    redirect: String,
    state: String,
    nonce: String,
    verifier: String,
    at_ms: i64,
}

const KEPT_AAD: &[u8] = b"bailee/sign-on/v1";

impl House {
    async fn single_sign_on(&self, tenant: &TenantId) -> Result<Option<SingleSignOn>, Failure> {
        let t = tenant.clone();
        let set: SingleSignOn =
            self.db.read(move |tx| Ok::<_, Failure>(setting::load(&mut tx.tenant(&t), SETTING)?)).await?;
        Ok(Some(set).filter(|s| !s.issuer.is_empty()))
    }

    fn client(&self, tenant: &TenantId, set: &SingleSignOn, redirect: &str) -> Result<Client, Failure> {
        let damaged = || Failure::Damaged("the client secret for single sign-on does not open".into());
        let secret = match &set.sealed_secret {
            None => None,
            Some(sealed) => {
                let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| damaged())?;
                let plain =
                    self.identity.credentials.open(&secret_aad(tenant), &bytes).map_err(|_| damaged())?;
                Some(SecretText::new(String::from_utf8(plain.expose().to_vec()).map_err(|_| damaged())?))
            }
        };
        Ok(Client {
            client_id: set.client_id.clone(),
            client_secret: secret,
            redirect_uri: redirect.to_owned(),
        })
    }

    /// Begins a sign-on for a tenant (alias or id), or for the provider's operators when none is named. `redirect` is the
    /// address of the second half.
    ///
    /// # Errors
    /// `SignIn` when there is no such tenant or it has none; and when the issuer does not answer.
    pub async fn begin_sign_on(&self, tenant: Option<&str>, redirect: &str) -> Result<SignOnBegun, Failure> {
        let id = match tenant {
            None => TenantId::provider(),
            Some(name) => {
                let name = name.to_owned();
                let found =
                    self.db.read(move |tx| tenant_rows::by_name(tx, &name).map_err(Failure::from)).await?;
                found.ok_or(Failure::SignIn(SignInProblem::NoSingleSignOn))?.id
            }
        };
        let set = self.single_sign_on(&id).await?.ok_or(Failure::SignIn(SignInProblem::NoSingleSignOn))?;
        let issuer = self.issuer(&set.issuer).await.map_err(silent)?;
        let client = self.client(&id, &set, redirect)?;
        let request =
            AuthorizationRequest::new(&issuer.document, &client, &["openid", "profile", "email"], &[])
                .map_err(|e| Failure::Conflict(format!("single sign-on cannot begin: {e}")))?;
        let kept = Kept {
            tenant: id.to_string(),
            redirect: redirect.to_owned(),
            state: request.pending.state.expose().to_owned(),
            nonce: request.pending.nonce.expose().to_owned(),
            verifier: request.pending.verifier.expose().to_owned(),
            at_ms: self.now().ms(),
        };
        let plain = serde_json::to_vec(&kept).map_err(|e| Failure::Bug(e.to_string()))?;
        let sealed = URL_SAFE_NO_PAD.encode(self.identity.sessions.seal(KEPT_AAD, &plain));
        Ok(SignOnBegun { url: request.url, issuer: set.issuer, kept: SecretText::new(sealed) })
    }

    /// The second half: redeems the code, checks the id token, begins the session.
    ///
    /// # Errors
    /// `SignIn` when the answer does not belong to this browser, the person is not known here, or may not sign in.
    pub async fn finish_sign_on(
        self: &Arc<Self>,
        kept: &str,
        (state, code, iss): (&str, &SecretText, Option<&str>),
        devices: &KnownDevices,
        origin: Origin,
    ) -> Result<(SessionToken, bool), Failure> {
        let stranger = || Failure::SignIn(SignInProblem::SignOnBroken);
        let bytes = URL_SAFE_NO_PAD.decode(kept).map_err(|_| stranger())?;
        let plain = self.identity.sessions.open(KEPT_AAD, &bytes).map_err(|_| stranger())?;
        let kept: Kept = serde_json::from_slice(plain.expose()).map_err(|_| stranger())?;
        let now = self.now();
        if now.ms() - kept.at_ms > TAKES_MS {
            return Err(stranger());
        }
        let tenant = TenantId::parse(&kept.tenant).map_err(|_| stranger())?;
        let set =
            self.single_sign_on(&tenant).await?.ok_or(Failure::SignIn(SignInProblem::NoSingleSignOn))?;
        let issuer = self.issuer(&set.issuer).await.map_err(silent)?;
        let pending = Pending {
            state: SecretText::new(kept.state),
            nonce: SecretText::new(kept.nonce),
            verifier: SecretText::new(kept.verifier),
        };
        pending.accept(&issuer.document, state, iss).map_err(|_| stranger())?;
        let client = self.client(&tenant, &set, &kept.redirect)?;
        let request = TokenRequest::new(&issuer.document, &client, &pending, code);
        let tokens = self.redeem(&request).await?;
        let audiences = [set.client_id.clone()];
        let expect = Expect {
            issuer: &set.issuer,
            audiences: &audiences,
            nonce: Some(pending.nonce.expose()),
            now,
            leeway_ms: LEEWAY_MS,
        };
        let id = self.check_id_token(tokens.id_token.expose(), &expect, "id token").await.map_err(silent)?;
        let named = id.claims.get(&set.claim).and_then(|v| v.as_str()).unwrap_or_default();
        // An address that the issuer did not check is what somebody typed.
        if set.claim == "email" && !id.email_verified {
            return Err(Failure::SignIn(SignInProblem::Unknown));
        }
        let mfa_at = (set.trust_amr && says_mfa(&id.claims)).then_some(now);
        self.enter(tenant, (named, &set.domains), mfa_at, devices, origin).await
    }

    /// Redeems a code. Whether the issuer says no or says nothing is not the same to whoever waits.
    async fn redeem(&self, request: &TokenRequest) -> Result<TokenResponse, Failure> {
        let authorization = request.authorization.as_ref().map(SecretText::expose);
        let (status, body) = self
            .outside
            .post(&request.address, request.form.expose(), authorization)
            .await
            .map_err(|e| silent(Failure::Unavailable(e)))?;
        let answer = TokenResponse::parse(&body);
        // Too busy or too slow is no answer to the question.
        let is_no = matches!(status, 400..=499) && !matches!(status, 408 | 429);
        match answer {
            Ok(tokens) if status == 200 => Ok(tokens),
            Err(TokenResponseError::Refused { error, .. }) if is_no || status == 200 => {
                tracing::warn!("an issuer refused a code: `{error}`");
                Err(Failure::SignIn(SignInProblem::IssuerRefused))
            }
            _ if is_no => {
                tracing::warn!("an issuer refused a code with status {status}");
                Err(Failure::SignIn(SignInProblem::IssuerRefused))
            }
            other => {
                let why = other.err().map(|e| format!(": {e}")).unwrap_or_default();
                Err(silent(Failure::Unavailable(format!("a code was answered with status {status}{why}"))))
            }
        }
    }

    /// Begins the session of whoever an issuer named.
    async fn enter(
        self: &Arc<Self>,
        tenant: TenantId,
        (named, domains): (&str, &[String]),
        mfa_at: Option<Timestamp>,
        devices: &KnownDevices,
        origin: Origin,
    ) -> Result<(SessionToken, bool), Failure> {
        let for_operators = tenant == TenantId::provider();
        let (t, name, address, now) =
            (tenant.clone(), named.to_owned(), origin.source_ip.clone(), self.now());
        let domains = domains.to_vec();
        let (holder, needs) = self
            .db
            .read(move |tx| {
                if for_operators {
                    operator_named(tx, &name)
                } else {
                    user_named(tx, &t, (&name, &domains), &address, now)
                }
            })
            .await?;
        let device = self.device_of(&tenant, &holder, devices).await?;
        // What is asked of those who type a password is asked here, too, unless the issuer's word counts and it says
        // that it asked itself.
        let stage = if mfa_at.is_some() { Stage::Full } else { needs.stage(device.as_ref(), now) };
        let hours = needs.hours.unwrap_or(AGE_HOURS);
        let begun = Begun { tenant, holder, by: "single-sign-on", stage, hours, mfa_at };
        let token = self.begin_session(begun, origin).await?;
        Ok((token, for_operators))
    }
}

/// What an issuer's silence is to the person; the operators find the reason in the log of the process.
fn silent(e: Failure) -> Failure {
    match e {
        Failure::Unavailable(why) => {
            tracing::warn!("single sign-on: {why}");
            Failure::SignIn(SignInProblem::IssuerSilent)
        }
        other => other,
    }
}

/// Whether an issuer says that it asked for two factors, or for a key that is one (RFC 8176).
fn says_mfa(claims: &serde_json::Map<String, Value>) -> bool {
    let methods = claims.get("amr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    methods
        .iter()
        .filter_map(Value::as_str)
        .any(|m| matches!(m, "mfa" | "mca" | "otp" | "hwk" | "swk" | "fido"))
}

fn unknown() -> Failure {
    Failure::SignIn(SignInProblem::Unknown)
}

fn operator_named(tx: &mut Tx<'_>, name: &str) -> Result<(String, Needs), Failure> {
    let id = OperatorId::parse(name).map_err(|_| unknown())?;
    operator::by_id(tx, &id)?.filter(|o| o.active).ok_or_else(unknown)?;
    let holder = format!("operator/{id}");
    let has_factor = has_factor(&mut tx.tenant(&TenantId::provider()), &holder)?;
    Ok((holder, Needs { has_factor, ..Default::default() }))
}

fn user_named(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (name, domains): (&str, &[String]),
    address: &str,
    now: Timestamp,
) -> Result<(String, Needs), Failure> {
    let mut own = tx.tenant(tenant);
    let name = match name.rsplit_once('@') {
        None => name,
        Some((name, domain)) => {
            let domain = domain.to_ascii_lowercase();
            // An issuer that verifies addresses of many domains vouches for each of them, not for whose they are.
            if !domains.contains(&domain) && !super::report::domains(&mut own)?.knows(&domain) {
                return Err(unknown());
            }
            name
        }
    };
    let name = UserName::parse(name).map_err(|_| unknown())?;
    let user = user_rows::by_name(&mut own, &name)?.ok_or_else(unknown)?;
    let profile = login::of_user(&mut own, &user)?;
    let needs = needs_of_user(&mut own, &user, profile.as_ref(), address, now)?;
    // The password's age is of no matter to whoever did not type one.
    match needs.refused.filter(|why| *why != SignInProblem::Expired) {
        Some(why) => Err(Failure::SignIn(why)),
        None => Ok((format!("user/{}", user.id), Needs { new_password: false, ..needs })),
    }
}
