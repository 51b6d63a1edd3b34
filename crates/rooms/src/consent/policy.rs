//! What a tenant demands of its own decisions: how many persons, who, with a second factor, when, for how long.
//!
//! Without a word of the tenant one person decides whom its RAM policies let, within 72 hours.
//! INVARIANT: a policy is read in the transaction of the decision that it judges, and each approval is judged again when it
//! is counted: who was removed, or may no longer approve, does not count.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, GrantId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::request::parameters;
use super::rows;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Principal, Touches};
use crate::identity::{Named, Standing};
use crate::{Failure, House};

/// Persons or groups that a policy names, at most.
const APPROVERS_MAX: usize = 50;
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;

/// What a tenant demands of its decisions about consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentPolicy {
    /// So many different persons must approve, 1 to 5.
    pub approvals: u32,
    /// Who may approve; empty: whom the tenant's RAM policies let. RAM is asked in any case.
    pub approvers: Vec<Approver>,
    /// Whether an approval needs a second factor that was shown within the last five minutes.
    pub mfa: bool,
    /// Whether an approval counts only when it is signed, with a passkey or an approver's own key.
    #[serde(default)]
    pub signed: bool,
    /// When approvals are given; none: always.
    pub hours: Option<Hours>,
    /// Hours after which a request that was not answered lapses, 1 to 336.
    pub lapse_hours: u32,
    /// Minutes that a grant lasts, at most, 1 to 1,440.
    pub minutes_max: u32,
}

/// Somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// `root`, `user/<id>` or `group/<id>`: ids are never used again, so who gets the name later inherits nothing.
    pub(crate) id: String,
    /// `root`, `user/<name>` or `group/<name>`, as it was when the policy was set.
    pub name: String,
}

/// A week's hours at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Days of the week, 1 (Monday) to 7.
    pub days: Vec<u32>,
    /// Minutes after midnight.
    pub from: u32,
    /// Minutes after midnight, after `from`, to 1,440.
    pub to: u32,
    /// Minutes before UTC (negative) or after.
    pub offset: i32,
    /// Whether grants are used within these hours only, too.
    pub uses: bool,
}

impl Default for ConsentPolicy {
    fn default() -> Self {
        Self {
            approvals: 1,
            approvers: Vec::new(),
            mfa: false,
            signed: false,
            hours: None,
            lapse_hours: 72,
            minutes_max: 1_440,
        }
    }
}

impl Hours {
    /// Until when these hours last, if `now` lies in them.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let minutes = now.ms().div_euclid(MINUTE_MS) + i64::from(self.offset);
        let (day, minute) = (minutes.div_euclid(DAY_MINUTES), minutes.rem_euclid(DAY_MINUTES));
        // 1970 began on a Thursday.
        let weekday = (day + 3).rem_euclid(7) + 1;
        let inside = self.days.iter().any(|d| i64::from(*d) == weekday)
            && (i64::from(self.from)..i64::from(self.to)).contains(&minute);
        let end = day * DAY_MINUTES + i64::from(self.to) - i64::from(self.offset);
        inside.then(|| Timestamp::from_ms(end * MINUTE_MS))
    }

    fn check(&self) -> Result<(), Failure> {
        let mut days = self.days.clone();
        days.dedup();
        if days.is_empty() || days.len() != self.days.len() || !days.is_sorted() {
            return Err(Failure::invalid("days", "must be some of 1 (Monday) to 7, each once, in order"));
        }
        if days.iter().any(|d| !(1..=7).contains(d)) {
            return Err(Failure::invalid("days", "must be 1 (Monday) to 7"));
        }
        if self.from >= self.to || self.to > 1_440 {
            return Err(Failure::invalid("hours", "must begin before they end, within one day"));
        }
        if !(-720..=840).contains(&self.offset) {
            return Err(Failure::invalid("offset", "must be -720 to 840 minutes from UTC"));
        }
        Ok(())
    }
}

impl ConsentPolicy {
    fn check(&self) -> Result<(), Failure> {
        let range = |field, n: u32, from: u32, to: u32| match (from..=to).contains(&n) {
            true => Ok(()),
            false => Err(Failure::invalid(field, format!("must be {from} to {to}"))),
        };
        range("approvals", self.approvals, 1, 5)?;
        range("lapse_hours", self.lapse_hours, 1, 336)?;
        range("minutes_max", self.minutes_max, 1, 1_440)?;
        if self.approvers.len() > APPROVERS_MAX {
            return Err(Failure::invalid("approvers", format!("must be at most {APPROVERS_MAX}")));
        }
        self.hours.as_ref().map_or(Ok(()), Hours::check)
    }

    /// Whether one of those named is this person, or a group that he is in.
    fn names(&self, person: &Person) -> bool {
        self.approvers.is_empty() || self.approvers.iter().any(|a| person.is(&a.id))
    }

    /// Refuses an approval by `person` now, with the reason. A passkey that signs it is a second factor shown just now.
    pub(super) fn admit(
        &self,
        (caller, person): (&Caller, &Person),
        by_passkey: bool,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if !self.names(person) {
            return Err(Failure::Conflict(format!(
                "`{}` is none of those whom the consent policy names to approve; nothing was changed",
                caller.name()
            )));
        }
        if self.approvals > 1 && matches!(person, Person::Session) {
            return Err(Failure::Conflict(
                "the consent policy counts persons: a session of a role is none; nothing was changed".into(),
            ));
        }
        if self.hours.as_ref().is_some_and(|h| h.end(now).is_none()) {
            return Err(Failure::Conflict(
                "the consent policy lets nobody approve outside its hours; nothing was changed".into(),
            ));
        }
        if self.mfa && !by_passkey { caller.need_fresh_mfa(now) } else { Ok(()) }
    }
}

/// Who approves, as he stands when he is counted.
pub(super) enum Person {
    Root,
    User(Standing),
    /// A session of a role: it is not known who is behind it.
    Session,
}

/// What was so when an approval was given, for the policies that are asked again.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    pub(super) source_ip: String,
    pub(super) secure: bool,
    pub(super) mfa: bool,
    pub(super) at: Timestamp,
}

impl Person {
    /// The caller, as the rows of this transaction have him.
    pub(super) fn of(tx: &mut TenantTx<'_, '_>, caller: &Caller) -> Result<Self, Failure> {
        match caller.principal() {
            Principal::Root { .. } => Ok(Self::Root),
            Principal::User { id, .. } => Self::by_id(tx, id.as_str())?
                .ok_or_else(|| Failure::Conflict("you are no user of this account any more".into())),
            _ => Ok(Self::Session),
        }
    }

    /// Whoever is kept as `root` or a user's id; none when he was removed.
    pub(super) fn by_id(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<Self>, Failure> {
        match id {
            "root" => Ok(Some(Self::Root)),
            "" => Ok(Some(Self::Session)),
            id => Ok(Standing::of(tx, id)?.map(Self::User)),
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::User(standing) => standing.id.as_str(),
            Self::Session => "",
        }
    }

    fn is(&self, named: &str) -> bool {
        match self {
            Self::Root => named == "root",
            Self::User(standing) => match named.split_once('/') {
                Some(("user", id)) => id == standing.id.as_str(),
                Some(("group", id)) => standing.groups.iter().any(|g| g == id),
                _ => false,
            },
            Self::Session => false,
        }
    }

    /// Whether an approval that he gave counts now.
    pub(super) fn counts(
        &self,
        policy: &ConsentPolicy,
        (tenant, grant): (&TenantId, &GrantId),
        then: &Circumstances,
    ) -> bool {
        let asked = (tenant, "bailee:ApproveConsent", &consent_arn(tenant, grant));
        policy.names(self)
            && (then.mfa || !policy.mfa)
            && match self {
                Self::Root => true,
                Self::Session => policy.approvals == 1,
                Self::User(standing) => {
                    standing.may(asked, (&then.source_ip, then.secure, then.mfa), then.at)
                }
            }
    }
}

pub(super) fn consent_arn(tenant: &TenantId, grant: &GrantId) -> Arn {
    Arn::own(tenant, &format!("consent/{grant}"))
}

/// Shows a tenant's policy, with who set it and when; none: it was never set.
#[derive(Clone, Debug)]
pub struct ShowConsentPolicy {
    /// The tenant.
    pub tenant: TenantId,
}

/// A policy with who set it, when.
#[derive(Clone, Debug)]
pub struct SetPolicy {
    /// What is demanded.
    pub policy: ConsentPolicy,
    /// Who set it, when; none: it is what holds without a word of the tenant.
    pub set: Option<(String, Timestamp)>,
}

/// Sets a tenant's policy. It holds from the next decision on, for requests that wait, too.
#[derive(Clone, Debug)]
pub struct SetConsentPolicy {
    /// The tenant.
    pub tenant: TenantId,
    /// What to demand; [`ConsentPolicy::approvers`] is taken from `approvers`.
    pub policy: ConsentPolicy,
    /// `root`, `user/<name>`, `group/<name>`.
    pub approvers: Vec<String>,
}

impl Operation for ShowConsentPolicy {
    type Output = SetPolicy;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetConsentPolicy", Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<SetPolicy, Failure> {
        house.db.read(move |tx| rows::policy(&mut tx.tenant(&self.tenant)).map_err(Failure::from)).await
    }
}

impl Operation for SetConsentPolicy {
    type Output = ();

    fn asks(&self) -> Asked {
        let p = &self.policy;
        let approvers: Vec<_> = self.approvers.iter().take(APPROVERS_MAX).collect();
        let detail = json!({
            "approvals": p.approvals, "approvers": approvers, "mfa": p.mfa, "signed": p.signed,
            "hours": p.hours, "lapseHours": p.lapse_hours, "minutesMax": p.minutes_max,
        });
        asked(&self.tenant, "bailee:SetConsentPolicy", Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        // Who could set it for the tenant could decide for it.
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant sets its consent policy".into()));
        }
        house.need_fresh_if_bound(intent.caller()).await?;
        let (by, now) = (intent.caller().name().to_owned(), house.now());
        let Self { tenant, mut policy, mut approvers } = self;
        approvers.sort_unstable();
        approvers.dedup();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                policy.approvers.clear();
                let mut persons = std::collections::BTreeSet::new();
                if approvers.len() > APPROVERS_MAX {
                    return Err(Failure::invalid("approvers", format!("must be at most {APPROVERS_MAX}")));
                }
                for name in approvers {
                    let named = Named::of(&mut tx, &name)?;
                    persons.extend(named.persons);
                    policy.approvers.push(Approver { id: named.id, name });
                }
                policy.check()?;
                if !policy.approvers.is_empty() && persons.len() < policy.approvals as usize {
                    return Err(Failure::invalid(
                        "approvers",
                        format!(
                            "name {} of the {} persons who must approve: nobody could be let in",
                            persons.len(),
                            policy.approvals
                        ),
                    ));
                }
                rows::set_policy(&mut tx, &policy, &by, now).map_err(Failure::from)
            })
            .await
    }
}

fn asked(tenant: &TenantId, action: &'static str, class: Class, detail: serde_json::Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "consent-policy"),
        resource_type: "ACS::Bailee::Consent",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_place() {
        // Monday to Friday, 9:00 to 18:00 in China.
        let hours = Hours { days: vec![1, 2, 3, 4, 5], from: 540, to: 1_080, offset: 480, uses: true };
        let at = |iso: &str| hours.end(Timestamp::parse_iso(iso).unwrap()).map(Timestamp::iso);
        let end = Some("2026-11-27T10:00:00Z".to_owned());
        assert_eq!(at("2026-11-27T01:00:00Z"), end, "Friday, nine o'clock");
        assert_eq!(at("2026-11-27T09:59:59Z"), end);
        for outside in
            ["2026-11-27T00:59:59Z", "2026-11-27T10:00:00Z", "2026-11-28T03:00:00Z", "2026-11-29T23:00:00Z"]
        {
            assert_eq!(at(outside), None, "{outside}");
        }
        // Where it is Monday already.
        assert_eq!(at("2026-11-30T01:00:00Z").as_deref(), Some("2026-11-30T10:00:00Z"));
        // West of Greenwich, up to midnight.
        let west = Hours { days: vec![7], from: 0, to: 1_440, offset: -720, uses: true };
        let at = |iso: &str| west.end(Timestamp::parse_iso(iso).unwrap()).map(Timestamp::iso);
        assert_eq!(at("2026-11-30T11:59:00Z").as_deref(), Some("2026-11-30T12:00:00Z"));
        assert_eq!(at("2026-11-30T12:00:00Z"), None);
    }
}
