//! Approvals that are signed with a passkey: over the text that the approver sees, kept in the tenant's log with all that
//! `bailee-verify` needs to check it.
//!
//! The page shows the text, the browser signs its hash, the answer comes back with the text.
//! INVARIANT: a text counts once, in the session that asked for it, within five minutes, and only if it says what the
//! approval would open.

use std::sync::Arc;

use bailee_proof::approval::ApprovalStatement;
use bailee_proof::grant::Covers;
use bailee_store::Tx;
use bailee_types::{BucketName, GrantId, ObjectKey, TargetName, TenantId, Timestamp, random_bytes};
use serde_json::{Map, Value, json};

use super::life::Approval;
use super::policy::consent_arn;
use super::request::parameters;
use super::{Decide, Decision, Limits, Request, Scope, State, rows};
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::identity::{PasskeyOptions, SignedText};
use crate::{Failure, House, Thing};

/// Begins an approval by passkey: gives the text to sign, and what the browser is asked. Nothing is approved.
#[derive(Clone)]
pub struct AskApproval {
    /// The tenant.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// The request.
    pub id: GrantId,
    /// As in [`Decision::Approve`].
    pub minutes: u32,
    /// As in [`Decision::Approve`].
    pub uses_max: u32,
    /// For less than was asked for.
    pub scope: Option<Scope>,
}

/// What is shown and asked.
#[derive(Clone, Debug)]
pub struct ApprovalAsked {
    /// The request.
    pub request: Request,
    /// To be shown as it is: its hash is what is signed.
    pub statement: String,
    /// For the browser.
    pub options: PasskeyOptions,
}

/// An approval as it was signed with a passkey.
#[derive(Clone)]
pub struct ByPasskey {
    statement: String,
    said: ApprovalStatement,
    token: String,
    response: String,
    signature: Option<SignedText>,
}

impl std::fmt::Debug for ByPasskey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByPasskey").field("statement", &self.statement).finish_non_exhaustive()
    }
}

/// What the record of an approval says of a signature.
#[derive(Clone, Debug)]
pub(super) enum Signature {
    /// A passkey's, over this text.
    Passkey(String, SignedText),
    /// A note, signed with an approver's own key, and whose signatures hold.
    Note(String, Vec<String>),
}

impl Decide {
    /// An approval by passkey: the text of [`AskApproval`] and the browser's answer, in the session of this token.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn signed(
        tenant: TenantId,
        (token, statement, response): (String, String, String),
    ) -> Result<Self, Failure> {
        let said = ApprovalStatement::parse(&statement)
            .map_err(|e| Failure::invalid("statement", format!("cannot be read: {e}")))?;
        let id =
            GrantId::parse(&said.grant).map_err(|_| Failure::invalid("statement", "names no request"))?;
        let decision = Decision::Approve { minutes: said.minutes, uses_max: said.reads };
        let scope = if said.narrowed { Some(scope_of(&said.covers)?) } else { None };
        let passkey = ByPasskey { statement, said, token, response, signature: None };
        Ok(Self { scope, passkey: Some(passkey), ..Self::new(tenant, id, decision) })
    }
}

impl ByPasskey {
    /// Takes the answer, once: the signature is one of the caller's passkeys over this text.
    pub(super) fn prove(
        &mut self,
        house: &House,
        tx: &mut Tx<'_>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let answer = (self.token.as_str(), self.statement.as_str(), self.response.as_str());
        self.signature = Some(house.take_signature(tx, caller, answer, now)?);
        Ok(())
    }

    /// The signature, if its text says what this approval of the caller would open.
    pub(super) fn covers(
        &self,
        caller: &Caller,
        request: &Request,
        approval: &Approval,
    ) -> Result<Signature, Failure> {
        let signature =
            self.signature.clone().ok_or_else(|| Failure::Bug("a passkey's answer was not taken".into()))?;
        let made = (self.said.time.clone(), self.said.nonce.clone());
        if self.said != statement(caller, request, approval, made) {
            return Err(Failure::invalid(
                "statement",
                "does not say what it would open now; look at the request again and sign anew",
            ));
        }
        Ok(Signature::Passkey(self.statement.clone(), signature))
    }
}

impl Signature {
    /// Whether it was checked: a note is not where the tenant named no approver's key.
    pub(super) fn with(&self) -> Option<String> {
        match self {
            Self::Passkey(_, signed) => Some(format!("passkey {}", signed.fingerprint())),
            Self::Note(_, by) => (!by.is_empty()).then(|| format!("key {}", by.join(", "))),
        }
    }

    pub(super) fn signed_by(&self) -> &[String] {
        match self {
            Self::Passkey(..) => &[],
            Self::Note(_, by) => by,
        }
    }

    /// In the words of records.
    pub(super) fn told(&self) -> Value {
        let (with, text, more) = match self {
            Self::Passkey(text, signed) => ("passkey", text, signed.told()),
            Self::Note(text, _) => ("key", text, Map::new()),
        };
        let mut told = parameters(json!({ "with": with, "statement": text }));
        told.extend(more);
        Value::Object(told)
    }
}

/// Why an approval that the policy wants signed is refused without.
pub(super) fn missing() -> Failure {
    Failure::invalid(
        "statement",
        "is missing: the consent policy takes signed approvals only; in the console press \"Sign with a passkey\" (bind \
         one under \"My sign-in\" first), or sign the statement with the key of an approver whom a key store of yours \
         names (`bailee keyhouse approve`)",
    )
}

fn statement(
    caller: &Caller,
    request: &Request,
    approval: &Approval,
    (time, nonce): (String, String),
) -> ApprovalStatement {
    ApprovalStatement {
        grant: request.id.to_string(),
        tenant: request.tenant.to_string(),
        approver: caller.name().to_owned(),
        operator: request.pseudonym.to_string(),
        place: request.place.clone(),
        action: request.action.clone(),
        covers: approval.scope.said(),
        narrowed: approval.scope != request.scope_asked,
        reason: request.reason.clone(),
        minutes: approval.minutes,
        reads: approval.uses_max,
        time,
        lapses: request.lapses_at.iso(),
        nonce,
    }
}

/// The scope that a statement names.
fn scope_of(covers: &Covers) -> Result<Scope, Failure> {
    let wrong = || Failure::invalid("statement", "names what cannot be");
    let in_bucket = |name: &str| {
        let (bucket, rest) = name.split_once('/').ok_or_else(wrong)?;
        Ok::<_, Failure>((BucketName::parse(bucket).map_err(|_| wrong())?, rest.to_owned()))
    };
    Ok(match covers {
        Covers::Object(name) => {
            let (bucket, key) = in_bucket(name)?;
            Scope::object(bucket, ObjectKey::parse(&key).map_err(|_| wrong())?)
        }
        Covers::Prefix(name) => {
            let (bucket, prefix) = in_bucket(name)?;
            Scope::Prefix { bucket, prefix }
        }
        Covers::Target { name, limits } => Scope::Target {
            target: TargetName::parse(name).map_err(|_| wrong())?,
            limits: Limits::parse(limits)?,
        },
    })
}

impl Operation for AskApproval {
    type Output = ApprovalAsked;

    /// Whoever may approve may ask. It is not recorded: nothing happens before the answer.
    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:ApproveConsent",
            resource: consent_arn(&self.tenant, &self.id),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Data,
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "grant": self.id.as_str() })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<ApprovalAsked, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant decides about consent".into()));
        }
        let (caller, inner) = (intent.caller().clone(), Arc::clone(house));
        house
            .db
            .write(move |tx| {
                let now = inner.now();
                let mut own = tx.tenant(&self.tenant);
                let request = rows::one(&mut own, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                let state = request.state(request.moment(now, crate::trail::last_time(&mut own)?));
                if state != State::Pending {
                    return Err(request.stopped(super::Stop::At(state)));
                }
                let approval = Approval {
                    person: String::new(),
                    minutes: self.minutes,
                    until: None,
                    uses_max: self.uses_max,
                    scope: self.scope.unwrap_or_else(|| request.scope_asked.clone()),
                };
                // Nobody signs what would be refused.
                approval.fits(&request, rows::policy(&mut own)?.policy.minutes_max)?;
                let made = (now.iso(), hex::encode(random_bytes::<32>()));
                let statement = statement(&caller, &request, &approval, made).to_string();
                ApprovalStatement::parse(&statement).map_err(|e| {
                    Failure::Conflict(format!("this approval cannot be signed with a passkey: {e}"))
                })?;
                let options = inner.ask_signature(tx, &caller, (&self.token, &statement), now)?;
                Ok(ApprovalAsked { request, statement, options })
            })
            .await
    }
}
