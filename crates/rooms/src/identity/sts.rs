//! Role sessions: taking on a role for a while.
//!
//! A session is not stored. Its token is sealed under a key that only this house has and holds all there is to know;
//! the secret that signs is derived from it. So any node can check it, and nothing need be looked up but the role.
//!
//! INVARIANT: a token is good only with the AccessKey id that is written inside of it.
//! INVARIANT: a session never outlives its expiry, its role, or a revocation of the role's sessions.

use std::sync::Arc;

use bailee_policy::{
    Explanation, Kind, Phase, Policy, PolicySet, Request, decide_assume_role, explain_assume_role,
};
use bailee_types::{
    AccessKeyId, Arn, RoleId, RoleName, SecretText, SessionName, TenantAlias, TenantId, Timestamp,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::access_key::{AuthError, SECRET_ALPHABET};
use super::role::Role;
use super::rows::{self, role as role_rows, tenant as tenant_rows};
use super::{policy, still_fresh};
use crate::consent::parameters;
use crate::gate::{self, Asked, Class, Intent, Operation, Principal, RefusalKind, Touches};
use crate::{Failure, House, Thing};

/// Seconds that a session lasts, at least (contract §5).
const DURATION_MIN_S: i64 = 900;
/// Seconds that a session lasts when a session takes on a further role.
const CHAINED_MAX_S: i64 = 3_600;
const CACHED_MAX: usize = 10_000;
/// Characters of a token that are looked at; ours are far shorter.
const TOKEN_CHARS_MAX: usize = 8_192;

/// A role that somebody has taken on.
#[derive(Clone)]
pub struct RoleSession {
    /// The role's tenant.
    pub tenant: TenantId,
    /// Its alias.
    pub alias: TenantAlias,
    /// The role's id.
    pub role_id: RoleId,
    /// The role's name.
    pub role: RoleName,
    /// The session's name.
    pub session: SessionName,
    /// What the role's policies say.
    pub policies: Arc<PolicySet>,
    /// What the session was narrowed to.
    pub session_policy: Option<Arc<PolicySet>>,
    /// Whether whoever took the role on had shown a second factor.
    pub mfa: bool,
    /// What he said that he is; fixed along a chain of roles.
    pub source_identity: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl RoleSession {
    /// `acs:ram::<tenant>:assumed-role/<role>/<session>`.
    pub fn arn(&self) -> String {
        let role = self.role.as_str().to_lowercase();
        Arn::ram(&self.tenant, &format!("assumed-role/{role}/{}", self.session)).to_string()
    }
}

/// What a token holds. The names are short because it travels with every request.
#[derive(Clone, Serialize, Deserialize)]
struct Sealed {
    k: String,
    t: String,
    i: String,
    r: String,
    s: String,
    b: i64,
    e: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    m: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
}

/// A token that opened, before anything of it is believed.
pub(super) struct Opened {
    sealed: Sealed,
    pub(super) secret: SecretText,
}

/// What is remembered of a role between requests.
pub(super) struct CachedRole {
    read_at: Timestamp,
    alias: TenantAlias,
    void_before: Timestamp,
    policies: Arc<PolicySet>,
}

/// The keys of a new session.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `STS.…`.
    pub access_key_id: AccessKeyId,
    /// Its secret.
    pub secret: SecretText,
    /// The token.
    pub token: SecretText,
    /// When they end.
    pub expires_at: Timestamp,
    /// `role id:session name`.
    pub assumed_role_id: String,
    /// The session's ARN.
    pub arn: String,
    /// What the session is said to be of.
    pub source_identity: Option<String>,
}

/// What is asked of a role, whoever asks.
#[derive(Clone, Debug)]
pub struct RoleWish {
    /// The role's tenant.
    pub account: TenantId,
    /// The role.
    pub role: RoleName,
    /// A name for the session.
    pub session: SessionName,
    /// Seconds; the role's limit is the most.
    pub duration_s: Option<i64>,
    /// What the session is narrowed to.
    pub policy: Option<String>,
    /// What the role's owner and the caller's provider agreed on.
    pub external_id: Option<String>,
    /// What the caller says that he is.
    pub source_identity: Option<String>,
    /// Further keys for the trust policy's conditions, e.g. `oidc:sub`.
    pub conditions: Vec<(String, Vec<String>)>,
}

impl RoleWish {
    /// Reads `acs:ram::<account>:role/<name>`.
    ///
    /// # Errors
    /// `Invalid` when it is something else.
    pub fn of_arn(arn: &str, session: SessionName) -> Result<Self, Failure> {
        let wrong = || Failure::invalid("RoleArn", "must be acs:ram::<account id>:role/<role name>");
        let parsed = Arn::parse(arn).map_err(|_| wrong())?;
        let role = parsed.relative().strip_prefix("role/").ok_or_else(wrong)?;
        if parsed.service() != "ram" {
            return Err(wrong());
        }
        Ok(Self {
            account: TenantId::parse(parsed.account()).map_err(|_| wrong())?,
            role: RoleName::parse(role).map_err(|_| wrong())?,
            session,
            duration_s: None,
            policy: None,
            external_id: None,
            source_identity: None,
            conditions: Vec::new(),
        })
    }

    fn arn(&self) -> Arn {
        Arn::ram(&self.account, &format!("role/{}", self.role))
    }

    fn check(&self) -> Result<(), Failure> {
        let chars = |t: &str, more: &[u8]| t.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
        if let Some(id) = &self.external_id
            && (!(2..=1_224).contains(&id.len()) || !chars(id, b"_=,.@:/-+"))
        {
            return Err(Failure::invalid("ExternalId", "must have 2 to 1224 of A-Z, a-z, 0-9 and _=,.@:/-+"));
        }
        if let Some(id) = &self.source_identity
            && (!(2..=64).contains(&id.len()) || !chars(id, b"_=,.@-"))
        {
            return Err(Failure::invalid("SourceIdentity", "must have 2 to 64 of A-Z, a-z, 0-9 and _=,.@-"));
        }
        Ok(())
    }
}

/// Takes on a role (AssumeRole, AssumeRoleWithOIDC, AssumeRoleWithSAML): the caller is who was proven.
#[derive(Clone, Debug)]
pub struct AssumeRole {
    /// The caller's tenant, in whose log it stands.
    pub tenant: TenantId,
    /// What is asked.
    pub wish: RoleWish,
    /// The wire's name of the act.
    pub action: &'static str,
}

impl Operation for AssumeRole {
    type Output = Credentials;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: self.action,
            resource: self.wish.arn(),
            resource_type: "ACS::RAM::Role",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({
                "RoleArn": self.wish.arn().to_string(),
                "RoleSessionName": self.wish.session.as_str(),
                "DurationSeconds": self.wish.duration_s,
                "Policy": self.wish.policy.is_some(),
                "SourceIdentity": self.wish.source_identity,
            })),
            continues: None,
            also: Vec::new(),
            conditions: self.wish.trust_conditions(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Credentials, Failure> {
        let wish = self.wish;
        wish.check()?;
        let caller = intent.caller();
        // Whoever administers an identity provider says who anybody is: its word counts for its own account alone, even
        // if a role elsewhere names it.
        if matches!(caller.principal(), Principal::Federated { .. }) && caller.tenant() != Some(&wish.account)
        {
            return Err(house.refused(intent, NOT_TRUSTED, Explanation::bare_refusal(Phase::Trust)));
        }
        let (account, name) = (wish.account.clone(), wish.role.clone());
        let found = house
            .db
            .read(move |tx| {
                if !tenant_rows::is_active(tx, &account)? {
                    return Ok(None);
                }
                Ok::<_, Failure>(role_rows::by_name(&mut tx.tenant(&account), &name)?)
            })
            .await?;
        let Some(role) = found else {
            // Of another tenant's roles nothing may be learnt: one that does not exist answers like one that does not
            // trust.
            if caller.tenant() == Some(&wish.account) {
                return Err(Failure::not_found(Thing::Role, &wish.role));
            }
            return Err(house.refused(intent, NOT_TRUSTED, Explanation::bare_refusal(Phase::Trust)));
        };
        if let Some((kind, why)) = refuses(&role, caller, &wish, intent.asked(), house.now())? {
            // Why a role of another tenant does not trust him is not his to know.
            let own = caller.tenant() == Some(&wish.account);
            let bare = || (NOT_TRUSTED, Explanation::bare_refusal(Phase::Trust));
            let (kind, why) = if own { (kind, why) } else { bare() };
            return Err(house.refused(intent, kind, why));
        }
        let (chained, mfa, inherited) = match caller.principal() {
            Principal::Session(s) => (true, s.mfa, s.source_identity.clone()),
            _ => (false, caller.mfa_present(), None),
        };
        if inherited.is_some() && wish.source_identity.is_some() && inherited != wish.source_identity {
            return Err(Failure::invalid(
                "SourceIdentity",
                "was set by the session before and cannot change",
            ));
        }
        let max = if chained { CHAINED_MAX_S } else { role.session_max_s };
        let duration = wish.duration_s.unwrap_or_else(|| max.min(3_600));
        if !(DURATION_MIN_S..=max).contains(&duration) {
            return Err(Failure::invalid("DurationSeconds", format!("must be {DURATION_MIN_S} to {max}")));
        }
        let session_policy = wish.policy.as_deref().filter(|p| !p.is_empty());
        if let Some(text) = session_policy {
            Policy::parse_as(Kind::Session, text).map_err(|e| {
                Failure::invalid("PolicyGrammar", format!("(session policy) is refused: {e}"))
            })?;
        }
        let now = house.now();
        let expires_at = Timestamp::from_secs(now.secs() + duration);
        let id = AccessKeyId::random_session();
        let source_identity = wish.source_identity.clone().or(inherited);
        let sealed = Sealed {
            k: id.to_string(),
            t: wish.account.to_string(),
            i: role.id.to_string(),
            r: role.name.to_string(),
            s: wish.session.to_string(),
            b: now.ms(),
            e: expires_at.ms(),
            m: mfa,
            o: source_identity.clone(),
            p: session_policy.map(str::to_owned),
        };
        let arn = Arn::ram(
            &wish.account,
            &format!("assumed-role/{}/{}", role.name.as_str().to_lowercase(), wish.session),
        );
        if caller.tenant() != Some(&wish.account) {
            let note = SessionBegan {
                tenant: wish.account.clone(),
                role: role.name,
                by: caller.arn(),
                arn: arn.clone(),
            };
            Box::pin(house.perform(house.system_caller("sts"), note)).await?;
        }
        Ok(Credentials {
            secret: house.session_secret(&id),
            token: house.seal_token(&sealed)?,
            access_key_id: id,
            expires_at,
            assumed_role_id: format!("{}:{}", role.id, wish.session),
            arn: arn.to_string(),
            source_identity,
        })
    }

    fn outcome_detail(made: &Credentials) -> Map<String, Value> {
        parameters(json!({ "accessKeyId": made.access_key_id.as_str(), "expires": made.expires_at.iso() }))
    }
}

/// Tells the owner of a role that a caller from elsewhere took it on.
struct SessionBegan {
    tenant: TenantId,
    role: RoleName,
    by: Option<String>,
    arn: Arn,
}

impl Operation for SessionBegan {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "sts:RoleAssumed",
            resource: Arn::ram(&self.tenant, &format!("role/{}", self.role)),
            resource_type: "ACS::RAM::Role",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "by": self.by, "session": self.arn.to_string() })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}

impl RoleWish {
    fn trust_conditions(&self) -> Vec<(String, Vec<String>)> {
        let mut all = self.conditions.clone();
        for (key, value) in
            [("sts:ExternalId", &self.external_id), ("sts:SourceIdentity", &self.source_identity)]
        {
            all.extend(value.as_ref().map(|v| (key.to_owned(), vec![v.clone()])));
        }
        all.push(("sts:RoleSessionName".into(), vec![self.session.to_string()]));
        all
    }
}

/// What stands against this caller taking on a role: his own policies must allow it, and the role's trust policy must
/// trust him (contract §5, X1).
fn refuses(
    role: &Role,
    caller: &crate::gate::Caller,
    wish: &RoleWish,
    asked: &Asked,
    now: Timestamp,
) -> Result<Option<(RefusalKind, Explanation)>, Failure> {
    // An account's root is everything already; a role would only hide who acts.
    if matches!(caller.principal(), Principal::Root { .. }) {
        return Ok(Some((NOT_TRUSTED, Explanation::bare_refusal(Phase::Trust))));
    }
    let trust = Policy::parse_as(Kind::Trust, &role.trust).map_err(|e| {
        Failure::Damaged(format!("the trust policy of role `{}` cannot be read: {e}", role.name))
    })?;
    let trust = PolicySet::compile(vec![(format!("trust policy of {}", role.name), Arc::new(trust))]);
    let resource = wish.arn();
    // What a session is said to be of goes along with it, whether it says so again or not; else a chain of roles would
    // shake off a condition on it.
    let mut asked = asked.clone();
    if let Principal::Session(s) = caller.principal()
        && let (Some(inherited), None) = (&s.source_identity, &wish.source_identity)
    {
        asked.conditions.push(("sts:SourceIdentity".into(), vec![inherited.clone()]));
    }
    Ok(gate::words(caller, &asked, now, |context| {
        let request = Request { action: "sts:AssumeRole", resource: &resource, context };
        gate::phases(caller, None, |phases| {
            let no = gate::of_verdict(&decide_assume_role(&trust, phases, &request))?;
            Some((no, explain_assume_role(&trust, phases, &request)))
        })
    }))
}

const NOT_TRUSTED: RefusalKind = RefusalKind::ImplicitDeny { phase: Phase::Trust };

impl House {
    /// The secret of a session: derived, so that nothing of it need be kept.
    pub(super) fn session_secret(&self, id: &AccessKeyId) -> SecretText {
        let key = &self.identity.sessions;
        let n = SECRET_ALPHABET.len();
        // 44 characters of 62 are 260 bits, drawn from two MACs; the modulo's bias is below 2 %.
        let bytes =
            [&b"secret/1"[..], b"secret/2"].into_iter().flat_map(|p| key.mac(&[p, id.as_str().as_bytes()]));
        let text =
            bytes.take(44).filter_map(|b| SECRET_ALPHABET.get(usize::from(b) % n)).map(|c| char::from(*c));
        SecretText::new(text.collect())
    }

    fn seal_token(&self, sealed: &Sealed) -> Result<SecretText, Failure> {
        let plain = serde_json::to_vec(sealed).map_err(|e| Failure::Bug(e.to_string()))?;
        let bytes = self.identity.sessions.seal(TOKEN_AAD, &plain);
        Ok(SecretText::new(STANDARD.encode(bytes)))
    }

    /// Opens a token and binds it to the AccessKey id that came with it.
    pub(super) fn open_token<E>(&self, id: &AccessKeyId, token: &str) -> Result<Opened, AuthError<E>> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(AuthError::TokenMalformed);
        }
        let bytes = STANDARD.decode(token).map_err(|_| AuthError::TokenMalformed)?;
        let plain = self.identity.sessions.open(TOKEN_AAD, &bytes).map_err(|_| AuthError::TokenMalformed)?;
        let sealed: Sealed = serde_json::from_slice(plain.expose()).map_err(|_| AuthError::TokenMalformed)?;
        if sealed.k != id.as_str() {
            return Err(AuthError::TokenMismatch);
        }
        Ok(Opened { sealed, secret: self.session_secret(id) })
    }

    /// Who a session is, if it is not over. Called after the signature held.
    pub(super) async fn session_principal<E>(&self, opened: Opened) -> Result<Principal, AuthError<E>> {
        let Opened { sealed, .. } = opened;
        let damaged = |e: String| AuthError::Failed(Failure::Damaged(format!("a session token: {e}")));
        let expires_at = Timestamp::from_ms(sealed.e);
        if self.now() >= expires_at {
            return Err(AuthError::TokenExpired);
        }
        let tenant = TenantId::parse(&sealed.t).map_err(|e| damaged(e.to_string()))?;
        let role_id = RoleId::parse(&sealed.i).map_err(|e| damaged(e.to_string()))?;
        let role = self.cached_role(&tenant, &role_id).await.map_err(AuthError::Failed)?;
        let Some(role) = role.filter(|r| Timestamp::from_ms(sealed.b) >= r.void_before) else {
            return Err(AuthError::TokenExpired);
        };
        let session_policy = match &sealed.p {
            None => None,
            Some(text) => {
                let policy = Policy::parse_as(Kind::Session, text).map_err(|e| damaged(e.to_string()))?;
                Some(Arc::new(PolicySet::compile(vec![("session policy".into(), Arc::new(policy))])))
            }
        };
        Ok(Principal::Session(Arc::new(RoleSession {
            tenant,
            alias: role.alias.clone(),
            role_id,
            role: RoleName::parse(&sealed.r).map_err(|e| damaged(e.to_string()))?,
            session: SessionName::parse(&sealed.s).map_err(|e| damaged(e.to_string()))?,
            policies: Arc::clone(&role.policies),
            session_policy,
            mfa: sealed.m,
            source_identity: sealed.o,
            expires_at,
        })))
    }

    /// A role of an active tenant, as the sessions of it need it.
    async fn cached_role(&self, tenant: &TenantId, id: &RoleId) -> Result<Option<Arc<CachedRole>>, Failure> {
        let now = self.now();
        let label = format!("{tenant}/{id}");
        if let Some(found) = self.identity.roles.read().get(&label)
            && still_fresh(found.read_at, now)
        {
            return Ok(Some(Arc::clone(found)));
        }
        let (t, wanted) = (tenant.clone(), id.clone());
        let read = self
            .db
            .read(move |tx| {
                let text = t.to_string();
                let Some(found) = tenant_rows::by_name(tx, &text)?.filter(|f| f.id == t) else {
                    return Ok(None);
                };
                let mut tx = tx.tenant(&t);
                let Some(role) = role_rows::by_text_id(&mut tx, wanted.as_str())? else { return Ok(None) };
                let attached = rows::policy::on(&mut tx, "role", wanted.as_str())?;
                Ok::<_, Failure>(Some((found.alias, role, attached)))
            })
            .await?;
        let Some((alias, role, attached)) = read else { return Ok(None) };
        let cached = Arc::new(CachedRole {
            read_at: now,
            alias,
            void_before: role.void_before,
            policies: policy::compile(attached)?,
        });
        let mut roles = self.identity.roles.write();
        if roles.len() >= CACHED_MAX {
            roles.clear();
        }
        roles.insert(label, Arc::clone(&cached));
        Ok(Some(cached))
    }
}

const TOKEN_AAD: &[u8] = b"bailee/sts-token/v1";
