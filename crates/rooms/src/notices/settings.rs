//! Whom a tenant wants told, and of what.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, SecretText, TenantId, Timestamp, random_text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rows::TargetRow;
use super::{Kind, MailAddress, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::{Resealed, TenantKey};
use crate::trail::deliver::is_webhook;
use crate::{Failure, House};

/// Addresses that a tenant may name.
pub const ADDRESSES_MAX: usize = 10;

/// Where a notice goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By mail.
    Mail(MailAddress),
    /// By a signed `POST`.
    Webhook(String),
}

/// A target, and what it hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub target: Target,
    /// What of; one at least.
    pub kinds: Vec<Kind>,
}

/// A target that is there.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Where, and what of.
    pub wanted: Wanted,
    /// When and why it could not be told the last time it was tried; none when it could.
    pub failed: Option<(Timestamp, String)>,
}

/// Whom a tenant wants told.
#[derive(Clone, Debug)]
pub struct Notifications {
    /// Mail first.
    pub targets: Vec<Heard>,
    /// Whether this house sends mail at all.
    pub sends_mail: bool,
}

/// Says whom a tenant wants told, in place of what was said before: at most [`ADDRESSES_MAX`] addresses and one webhook.
#[derive(Clone, Debug)]
pub struct SetNotifications {
    /// The tenant.
    pub tenant: TenantId,
    /// All of them.
    pub targets: Vec<Wanted>,
}

/// Whom a tenant wants told.
#[derive(Clone, Debug)]
pub struct GetNotifications {
    /// The tenant.
    pub tenant: TenantId,
}

/// What is sealed of a target.
#[derive(Serialize, Deserialize)]
struct Lies {
    address: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    secret: String,
}

pub(super) fn purpose(target: &str) -> String {
    format!("notice {target}")
}

/// A target, and the secret that signs for a webhook.
pub(super) fn opened(
    key: &TenantKey,
    (id, webhook): (&str, bool),
    sealed: &[u8],
) -> Result<(Target, SecretText), Failure> {
    let plain = key.open_trail(&purpose(id), sealed)?;
    let damaged = || Failure::Damaged(format!("the address of notice target `{id}` cannot be read"));
    let lies: Lies = serde_json::from_slice(plain.expose()).map_err(|_| damaged())?;
    let target = match webhook {
        true => Target::Webhook(lies.address),
        false => Target::Mail(MailAddress::parse(&lies.address).map_err(|_| damaged())?),
    };
    Ok((target, SecretText::new(lies.secret)))
}

fn asked(tenant: &TenantId, action: &'static str, class: Class, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "notifications"),
        resource_type: "ACS::Bailee::Notifications",
        class,
        touches: Touches::Metadata,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl SetNotifications {
    fn check(&self) -> Result<(), Failure> {
        let mails = self.targets.iter().filter(|w| matches!(w.target, Target::Mail(_))).count();
        if mails > ADDRESSES_MAX || self.targets.len() - mails > 1 {
            let why = format!("must be at most {ADDRESSES_MAX}, and one webhook");
            return Err(Failure::invalid("addresses", why));
        }
        for (n, wanted) in self.targets.iter().enumerate() {
            if wanted.kinds.is_empty() {
                return Err(Failure::invalid("addresses", "must each hear of something"));
            }
            if self.targets.iter().take(n).any(|before| before.target == wanted.target) {
                return Err(Failure::invalid("addresses", "must each stand there once"));
            }
            if let Target::Webhook(address) = &wanted.target
                && !is_webhook(address)
            {
                let why = "must be an https:// address without a name or password in it";
                return Err(Failure::invalid("webhook", why));
            }
        }
        Ok(())
    }
}

impl Operation for SetNotifications {
    /// The secret by which a new webhook checks signatures: shown once.
    type Output = Option<SecretText>;

    fn asks(&self) -> Asked {
        // The log is kept for longer than an address of a person may be: it says how many, and the webhook's in full.
        let kinds = |w: &Wanted| w.kinds.iter().map(|k| k.word()).collect::<Vec<_>>();
        let mail: Vec<_> =
            self.targets.iter().filter(|w| matches!(w.target, Target::Mail(_))).map(kinds).collect();
        let webhook = self.targets.iter().find_map(|w| match &w.target {
            Target::Webhook(a) => {
                Some(json!({ "address": a.chars().take(200).collect::<String>(), "kinds": kinds(w) }))
            }
            Target::Mail(_) => None,
        });
        let class = Class::Management { write: true };
        asked(&self.tenant, "bailee:SetNotifications", class, json!({ "mail": mail, "webhook": webhook }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Option<SecretText>, Failure> {
        self.check()?;
        let key = house.tenant_key(&self.tenant).await?;
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let mut there = Vec::new();
                for row in rows::targets(&mut tx)? {
                    let target = opened(&key, (&row.id, row.webhook), &row.sealed)?.0;
                    match self.targets.iter().any(|w| w.target == target) {
                        true => there.push((target, row)),
                        false => rows::remove(&mut tx, Some(&row.id))?,
                    }
                }
                let mut shown = None;
                for Wanted { target, kinds } in self.targets {
                    let row = match there.iter().find(|(t, _)| *t == target) {
                        Some((_, row)) => TargetRow { kinds, ..row.clone() },
                        None => {
                            let (id, webhook) = (super::id(), matches!(target, Target::Webhook(_)));
                            let mut secret = String::new();
                            if webhook {
                                secret =
                                    format!("whsec-{}", random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 40));
                                shown = Some(SecretText::new(secret.clone()));
                            }
                            let address = match target {
                                Target::Mail(address) => address.to_string(),
                                Target::Webhook(address) => address,
                            };
                            let lies = serde_json::to_vec(&Lies { address, secret })
                                .map_err(|e| Failure::Bug(e.to_string()))?;
                            let sealed = key.seal_trail(&purpose(&id), &lies);
                            TargetRow { id, webhook, kinds, sealed, failed: None }
                        }
                    };
                    rows::put(&mut tx, &row)?;
                }
                Ok(shown)
            })
            .await
    }
}

impl Operation for GetNotifications {
    type Output = Notifications;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetNotifications", Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Notifications, Failure> {
        let key = house.tenant_key(&self.tenant).await?;
        let rows = house
            .db
            .read(move |tx| rows::targets(&mut tx.tenant(&self.tenant)).map_err(Failure::from))
            .await?;
        let mut targets = Vec::with_capacity(rows.len());
        for TargetRow { id, webhook, kinds, sealed, failed } in rows {
            let (target, _) = opened(&key, (&id, webhook), &sealed)?;
            targets.push(Heard { wanted: Wanted { target, kinds }, failed });
        }
        targets.sort_by_key(|h| match &h.wanted.target {
            Target::Mail(a) => (0, a.to_string()),
            Target::Webhook(a) => (1, a.clone()),
        });
        Ok(Notifications { targets, sends_mail: house.mail.sends })
    }
}

/// Forgets whom a tenant wanted told, when its account ends.
pub(crate) fn forget(tx: &mut TenantTx<'_, '_>) -> Result<(), bailee_store::StoreError> {
    rows::remove(tx, None)
}

/// Seals addresses anew, where they lie under an older version of the tenant's key.
pub(crate) fn reseal(tx: &mut TenantTx<'_, '_>, key: &TenantKey) -> Result<Resealed, Failure> {
    let mut done = Resealed::default();
    for row in rows::targets(tx)? {
        if let Some(after) = key.reseal_trail(&purpose(&row.id), &row.sealed)? {
            done.note(rows::reseal(tx, &row.id, (&row.sealed, &after))?);
        }
    }
    Ok(done)
}
