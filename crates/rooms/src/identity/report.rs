//! What an administrator wants to see at a glance: counts and quotas, old keys, missing second factors.

use bailee_store::TenantTx;
use bailee_types::{Timestamp, UserName};
use serde_json::json;

use super::act::{Act, Cx, head};
use super::rows::{group, key, login, mfa, policy, role, setting, user};
use crate::Failure;

/// Days after which a key is old, and after which one that nobody used is unused.
const OLD_DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;
/// Users that a report reads at once.
const PAGE: u32 = 1_000;

/// What there is and how much there may be.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    /// Users.
    pub users: u64,
    /// Users that there may be.
    pub users_max: u64,
    /// Groups.
    pub groups: u64,
    /// Roles.
    pub roles: u64,
    /// Custom policies.
    pub policies: u64,
    /// MFA devices.
    pub mfa_devices: u64,
    /// Those that are bound.
    pub mfa_devices_in_use: u64,
}

/// Counts and quotas.
#[derive(Clone, Debug)]
pub struct GetAccountSummary;

/// How safely the account is used.
#[derive(Clone, Debug, Default)]
pub struct SecurityPractice {
    /// Whether root has a second factor.
    pub root_has_mfa: bool,
    /// Root's own AccessKeys.
    pub root_keys: u64,
    /// Users.
    pub users: u64,
    /// Users with a second factor.
    pub users_with_mfa: u64,
    /// Users who can sign in to the console without a second factor.
    pub users_without_mfa: u64,
    /// Active keys older than 90 days.
    pub old_keys: u64,
    /// Active keys that nobody used for 90 days.
    pub unused_keys: u64,
    /// Users with an old key.
    pub users_with_old_key: u64,
    /// Users with an unused key.
    pub users_with_unused_key: u64,
    /// Keys whose last signature was HMAC-SHA1.
    pub sha1_keys: u64,
    /// The worst of the password rules: `low`, `mid` or `high`.
    pub password_level: &'static str,
    /// 0 to 100.
    pub score: u64,
}

/// The report.
#[derive(Clone, Debug)]
pub struct GetSecurityPractice;

/// One line for each user and for root: password, keys, second factor.
#[derive(Clone, Debug)]
pub struct GetCredentialReport;

impl Act for GetAccountSummary {
    type Output = AccountSummary;
    head!("ACS::RAM::Account", read, "ram:GetAccountSummary", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<AccountSummary, Failure> {
        let devices = mfa::all(cx.tx)?;
        Ok(AccountSummary {
            users: user::count(cx.tx)?,
            users_max: cx.house.users_max,
            groups: group::count(cx.tx)?,
            roles: role::count(cx.tx)?,
            policies: policy::count(cx.tx)?,
            mfa_devices: devices.len() as u64,
            mfa_devices_in_use: devices.iter().filter(|d| d.holder.is_some()).count() as u64,
        })
    }
}

fn is_old(key: &super::AccessKey, now: Timestamp) -> bool {
    key.active && now.ms() - key.created_at.ms() > OLD_DAYS * DAY_MS
}

fn is_unused(key: &super::AccessKey, now: Timestamp) -> bool {
    key.active && now.ms() - key.last_used_at.unwrap_or(key.created_at).ms() > OLD_DAYS * DAY_MS
}

impl Act for GetSecurityPractice {
    type Output = SecurityPractice;
    head!(
        "ACS::RAM::Account",
        read,
        "ram:GetAccountSecurityPracticeReport",
        |_s| ["*".to_owned()],
        |_s| json!({})
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SecurityPractice, Failure> {
        let mut report = SecurityPractice {
            root_has_mfa: mfa::of_holder(cx.tx, "root")?.is_some()
                || !mfa::passkeys(cx.tx, "root")?.is_empty(),
            ..Default::default()
        };
        let (mut with_old, mut with_unused) =
            (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for (owner, key) in key::all(cx.tx)? {
            report.root_keys += u64::from(owner == "root" && key.active);
            report.sha1_keys += u64::from(key.last_scheme.as_deref().is_some_and(|s| s.contains("SHA1")));
            if is_old(&key, cx.now) {
                report.old_keys += 1;
                with_old.insert(owner.clone());
            }
            if is_unused(&key, cx.now) {
                report.unused_keys += 1;
                with_unused.insert(owner);
            }
        }
        report.users_with_old_key = with_old.iter().filter(|o| *o != "root").count() as u64;
        report.users_with_unused_key = with_unused.iter().filter(|o| *o != "root").count() as u64;
        for_each_user(cx, |cx, u| {
            let holder = format!("user/{}", u.id);
            let mfa = mfa::of_holder(cx.tx, &holder)?.is_some() || !mfa::passkeys(cx.tx, &holder)?.is_empty();
            report.users += 1;
            report.users_with_mfa += u64::from(mfa);
            report.users_without_mfa += u64::from(!mfa && u.has_password);
            Ok(())
        })?;
        let rules = super::settings::PasswordPolicy::load(cx.tx)?;
        let classes = [rules.lower, rules.upper, rules.digit, rules.symbol].iter().filter(|c| **c).count();
        report.password_level = match (rules.length_min, classes) {
            (12.., 3..) => "high",
            (10.., _) | (_, 2..) => "mid",
            _ => "low",
        };
        // Each point of the list costs what it puts at risk; root's own keys and a root without MFA most.
        let lost = 25 * u64::from(!report.root_has_mfa)
            + 25 * u64::from(report.root_keys > 0)
            + 15 * u64::from(report.users_without_mfa > 0)
            + 15 * u64::from(report.old_keys > 0)
            + 10 * u64::from(report.unused_keys > 0)
            + 10 * u64::from(report.password_level == "low");
        report.score = 100 - lost;
        Ok(report)
    }
}

/// Calls `f` for each user, a page at a time.
fn for_each_user(
    cx: &mut Cx<'_, '_, '_>,
    mut f: impl FnMut(&mut Cx<'_, '_, '_>, &super::User) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = user::page(cx.tx, &[], &after, PAGE)?;
        for u in &page {
            f(cx, u)?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = last.name.to_string(),
            _ => return Ok(()),
        }
    }
}

impl Act for GetCredentialReport {
    type Output = String;
    head!("ACS::RAM::Account", read, "ram:GetCredentialReport", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        let mut lines = vec![
            "user,user_creation_time,user_last_logon,password_exist,password_active,password_last_changed,\
             mfa_active,access_key_1_exist,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used,\
             access_key_2_exist,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used"
                .to_owned(),
        ];
        let dash = || "-".to_owned();
        let date = |t: Option<Timestamp>| t.map_or_else(dash, Timestamp::iso);
        let keys_of = |cx: &mut Cx<'_, '_, '_>, owner: &str| -> Result<Vec<String>, Failure> {
            let keys = key::list(cx.tx, owner)?;
            let mut cells = Vec::new();
            for n in 0..2 {
                match keys.get(n) {
                    Some(k) => cells.extend([
                        "TRUE".into(),
                        k.active.to_string().to_uppercase(),
                        k.created_at.iso(),
                        date(k.last_used_at),
                    ]),
                    None => cells.extend(["FALSE".into(), dash(), dash(), dash()]),
                }
            }
            Ok(cells)
        };
        let mfa_of = |cx: &mut Cx<'_, '_, '_>, holder: &str| -> Result<String, Failure> {
            let there = mfa::of_holder(cx.tx, holder)?.is_some() || !mfa::passkeys(cx.tx, holder)?.is_empty();
            Ok(there.to_string().to_uppercase())
        };
        let root_mfa = mfa_of(cx, "root")?;
        let mut root =
            vec!["<root>".to_owned(), dash(), dash(), "TRUE".into(), "TRUE".into(), dash(), root_mfa];
        root.extend(keys_of(cx, "root")?);
        lines.push(root.join(","));
        for_each_user(cx, |cx, u| {
            let profile = login::of_user(cx.tx, u)?;
            let set_at = login::password_age(cx.tx, u.id.as_str())?;
            let mfa = mfa_of(cx, &format!("user/{}", u.id))?;
            let mut cells = vec![
                u.name.to_string(),
                u.created_at.iso(),
                date(u.last_login_at),
                profile.is_some().to_string().to_uppercase(),
                profile.map_or_else(dash, |p| p.active.to_string().to_uppercase()),
                date(set_at),
                mfa,
            ];
            cells.extend(keys_of(cx, u.id.as_str())?);
            lines.push(cells.join(","));
            Ok(())
        })?;
        Ok(lines.join("\n"))
    }
}

/// An AccessKey and whose it is.
#[derive(Clone, Debug)]
pub struct KeyFinding {
    /// The user; none for root.
    pub user: Option<UserName>,
    /// The key.
    pub key: super::AccessKey,
    /// Days since it was made.
    pub age_days: i64,
    /// Whether it is on and should be rotated.
    pub is_old: bool,
    /// Whether it is on and nobody used it for as long.
    pub is_unused: bool,
}

/// All AccessKeys of the account, the oldest first.
#[derive(Clone, Debug)]
pub struct ListKeyFindings {
    /// Only keys of at least this age.
    pub days_min: i64,
}

impl Act for ListKeyFindings {
    type Output = Vec<KeyFinding>;
    head!(
        "ACS::RAM::AccessKey",
        read,
        "ram:ListAccessKeys",
        |_s| ["user/*".to_owned(), "root".to_owned()],
        |s| json!({ "OlderThanDays": s.days_min })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<KeyFinding>, Failure> {
        let now = cx.now;
        let finding = |(user, key): (Option<UserName>, super::AccessKey)| KeyFinding {
            user,
            age_days: (now.ms() - key.created_at.ms()) / DAY_MS,
            is_old: is_old(&key, now),
            is_unused: is_unused(&key, now),
            key,
        };
        let all = key::all_named(cx.tx)?.into_iter().map(finding);
        Ok(all.filter(|f| f.age_days >= self.days_min).collect())
    }
}

/// A report for a spreadsheet, which takes a cell that begins like a formula for one.
pub fn for_spreadsheets(csv: &str) -> String {
    let cell = |cell: &str| match cell.as_bytes() {
        [b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r', _, ..] => format!("'{cell}"),
        _ => cell.to_owned(),
    };
    let mut out = String::with_capacity(csv.len() + 2);
    for line in csv.lines() {
        out.push_str(&line.split(',').map(cell).collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    out
}

/// The domain that user principal names end with.
#[derive(Clone, Debug)]
pub struct GetDefaultDomain;

/// Sets it: the account's id or alias before `.onaliyun.com`.
#[derive(Clone, Debug)]
pub struct SetDefaultDomain {
    /// E.g. `acme.onaliyun.com`.
    pub domain: String,
}

/// What user principal names end with, whoever runs the house.
pub const DOMAIN_SUFFIX: &str = ".onaliyun.com";

impl Act for GetDefaultDomain {
    type Output = String;
    head!("ACS::RAM::Account", read, "ram:GetDefaultDomain", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        Ok(domains(cx.tx)?.default_domain().to_owned())
    }
}

impl Act for SetDefaultDomain {
    type Output = String;
    head!("ACS::RAM::Account", write, "ram:SetDefaultDomain", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        let first = self.domain.strip_suffix(DOMAIN_SUFFIX).unwrap_or_default().to_owned();
        let alias = setting::account_alias(cx.tx)?;
        if first != cx.tx.id().as_str() && Some(&first) != alias.as_ref() {
            return Err(Failure::invalid(
                "DefaultDomainName.Format",
                format!("must be the account's id or alias, followed by {DOMAIN_SUFFIX}"),
            ));
        }
        setting::store(cx.tx, "default-domain", &self.domain)?;
        Ok(self.domain)
    }
}

/// The domains that a user principal name of a tenant may end with, the default one first.
#[derive(Clone, Debug)]
pub struct Domains(Vec<String>);

impl Domains {
    /// What names end with unless said otherwise.
    pub fn default_domain(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether names may end with this.
    pub fn knows(&self, domain: &str) -> bool {
        self.0.iter().any(|d| d == domain)
    }
}

impl crate::House {
    /// The domains of a tenant. Asks nothing: the act that uses them does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn domains(&self, tenant: &bailee_types::TenantId) -> Result<Domains, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| domains(&mut tx.tenant(&tenant))).await
    }
}

/// A default domain counts as long as it is the tenant's: an alias that was given up may be another tenant's by now.
pub(super) fn domains(tx: &mut TenantTx<'_, '_>) -> Result<Domains, Failure> {
    let set: String = setting::load(tx, "default-domain")?;
    let mut all = vec![format!("{}{DOMAIN_SUFFIX}", tx.id())];
    all.extend(setting::account_alias(tx)?.map(|a| format!("{a}{DOMAIN_SUFFIX}")));
    all.sort_by_key(|d| *d != set);
    Ok(Domains(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_formula_is_text_in_a_spreadsheet() {
        let made = for_spreadsheets("user,when\n-1,-\n=A1,x\nli,2026-01-01T00:00:00Z");
        assert_eq!(made, "user,when\r\n'-1,-\r\n'=A1,x\r\nli,2026-01-01T00:00:00Z\r\n");
    }
}
