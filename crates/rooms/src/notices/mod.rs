//! Notices: that something waits for a tenant or for the provider, by mail or webhook. They say where to look and nothing of what
//! is there: no title, no text, no name.
//!
//! A notice is a row of the transaction of what it tells of ([`emit`]), so none is lost and none is of something that did not
//! happen. It is said at least once, and given up after three days. What happens often to one thing is one notice.
//! INVARIANT: an address is a [`MailAddress`] before it is kept: nothing in it ends a header or begins another recipient.
//! INVARIANT: addresses of a tenant lie sealed under its key, and go with its account.

mod address;
mod deliver;
mod digest;
mod rows;
mod settings;
mod text;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{HandlingId, Timestamp, random_text};

pub use address::MailAddress;
pub(crate) use deliver::say;
pub(crate) use digest::sum_up;
pub use settings::{ADDRESSES_MAX, GetNotifications, Heard, Notifications, SetNotifications, Target, Wanted};
pub(crate) use settings::{forget, reseal};
pub use text::Mail;

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A ticket has something new.
    Ticket,
    /// An operator's request waits for the tenant's answer.
    Consent,
    /// An alert was raised.
    Alert,
    /// A week that has ended had something in it.
    Digest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ticket, Self::Consent, Self::Alert, Self::Digest];

    /// The word of it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Consent => "consent",
            Self::Alert => "alert",
            Self::Digest => "digest",
        }
    }

    /// What a word says.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }
}

/// What notices of the alerts of a log are about; a notice of [`Kind::Alert`] about anything else is of an act of the provider.
pub(crate) const ALERTS: &str = "alerts";
/// Who is not of a tenant and hears of its tickets: the provider's team.
const PROVIDER: &str = "provider";

/// Tells the tenant's people who want to hear of it, in the transaction of what happened. `reference`: what it is, e.g. `T-7`.
pub(crate) fn emit(
    tx: &mut TenantTx<'_, '_>,
    kind: Kind,
    reference: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows::emit(tx, kind, reference, &id(), now)
}

/// Tells everybody whom the tenant named, whatever else he hears of: what a legal order did. `reference`: the id of the act.
pub(crate) fn emit_to_all(
    tx: &mut TenantTx<'_, '_>,
    reference: &HandlingId,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows::emit_to_all(tx, reference.as_str(), &id(), now)
}

/// Tells the provider's team.
pub(crate) fn emit_to_provider(
    tx: &mut TenantTx<'_, '_>,
    kind: Kind,
    reference: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows::emit_to_provider(tx, kind, reference, &id(), now)
}

fn id() -> String {
    random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 20)
}
