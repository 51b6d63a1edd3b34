//! Masks: what is covered when a recording is read. What is recorded, and its chain, stay as they are.
//!
//! A tenant that says nothing has all masks of ours. Who may read what is under them has an action of its own, `bailee:ReplayUnmasked`,
//! and the tenant's log names it.
//! INVARIANT: masks that cannot be read cover everything: the recording is not shown.

mod cover;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bailee_types::{Arn, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::cover::Cover;
use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// Masks of a tenant's own, at most.
pub const MASKS_MAX: usize = 20;
/// Characters of such a mask's pattern, at most.
pub const PATTERN_MAX: usize = 500;

/// A mask of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// Ids and secrets of AccessKeys.
    AccessKeys,
    /// Passwords in statements, commands, settings and addresses, and what is typed where one is asked for.
    Passwords,
    /// Private keys in PEM.
    PrivateKeys,
    /// Bearer tokens, JWTs, keys of APIs.
    Tokens,
    /// Numbers of identity cards (GB 11643), by their check character.
    NationalIds,
    /// Mobile numbers of China, and any that begin with `+`.
    Phones,
    /// Numbers of payment cards, by their check digit (Luhn).
    Cards,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AccessKeys,
        Self::Passwords,
        Self::PrivateKeys,
        Self::Tokens,
        Self::NationalIds,
        Self::Phones,
        Self::Cards,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AccessKeys => "access-keys",
            Self::Passwords => "passwords",
            Self::PrivateKeys => "private-keys",
            Self::Tokens => "tokens",
            Self::NationalIds => "national-ids",
            Self::Phones => "phones",
            Self::Cards => "cards",
        }
    }
}

/// A mask of the tenant's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnMask {
    /// 1 to 64 characters.
    pub name: String,
    /// A regular expression. If it has groups, the first that matches is covered, else all of it.
    pub pattern: String,
}

/// What a tenant has covered in its recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    /// Which of ours.
    pub builtin: Vec<Builtin>,
    /// Its own.
    pub own: Vec<OwnMask>,
}

impl Default for Masks {
    fn default() -> Self {
        Self { builtin: Builtin::ALL.to_vec(), own: Vec::new() }
    }
}

impl Masks {
    fn check(&self) -> Result<(), Failure> {
        if self.own.len() > MASKS_MAX {
            return Err(Failure::invalid("masks", format!("must be at most {MASKS_MAX} of your own")));
        }
        for mask in &self.own {
            if !(1..=64).contains(&mask.name.chars().count()) || mask.name.chars().any(char::is_control) {
                return Err(Failure::invalid("masks", "must have names of 1 to 64 characters"));
            }
            if mask.pattern.is_empty() {
                return Err(Failure::invalid("masks", format!("`{}` has no pattern", mask.name)));
            }
        }
        Cover::new(self).map(drop)
    }
}

/// Masks with who set them, when; nobody: they are what holds without a word of the tenant.
#[derive(Clone, Debug)]
pub struct SetMasks {
    /// What is covered.
    pub masks: Masks,
    /// Who set it, when.
    pub set: Option<(String, Timestamp)>,
}

/// Shows what a tenant has covered.
#[derive(Clone, Debug)]
pub struct ShowRecordingMasks {
    /// Whose recordings.
    pub tenant: TenantId,
}

/// Sets what is covered, from the next look on, in recordings that are there already, too.
#[derive(Clone, Debug)]
pub struct SetRecordingMasks {
    /// Whose recordings.
    pub tenant: TenantId,
    /// What to cover.
    pub masks: Masks,
}

fn asked(tenant: &TenantId, action: &'static str, class: Class, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "recording-masks"),
        resource_type: "ACS::Bailee::Session",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for ShowRecordingMasks {
    type Output = SetMasks;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetRecordingMasks", Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<SetMasks, Failure> {
        house.db.read(move |tx| rows::masks(&mut tx.tenant(&self.tenant)).map_err(Failure::from)).await
    }
}

impl Operation for SetRecordingMasks {
    type Output = ();

    fn asks(&self) -> Asked {
        let own: Vec<_> = self.masks.own.iter().take(MASKS_MAX).map(|m| cut(&m.pattern)).collect();
        let detail = json!({ "builtin": self.masks.builtin, "own": own });
        asked(&self.tenant, "bailee:SetRecordingMasks", Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant says what its recordings show".into()));
        }
        house.need_fresh_if_bound(intent.caller()).await?;
        self.masks.check()?;
        let (by, now) = (intent.caller().name().to_owned(), house.now());
        house
            .db
            .write(move |tx| {
                rows::set_masks(&mut tx.tenant(&self.tenant), &self.masks, &by, now).map_err(Failure::from)
            })
            .await
    }
}

/// What is too long for a pattern is refused; the record of that need not have all of it.
fn cut(pattern: &str) -> String {
    pattern.chars().take(PATTERN_MAX).collect()
}
