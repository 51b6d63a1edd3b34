//! Systems that a tenant lets brokers reach: hosts, databases, clusters, services.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, SecretText, TargetName, TenantId, Timestamp, random_bytes};
use ring::signature::KeyPair as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

/// Targets of a tenant, at most.
const TARGETS_MAX: usize = 1_000;
/// Characters of a secret, at most.
const SECRET_MAX: usize = 8 * 1024;

/// Where a system is and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
pub enum Settings {
    /// A host over SSH.
    Host {
        /// `host:port`.
        address: String,
        /// Its host keys, `ssh-ed25519 AAAA…`.
        host_keys: Vec<String>,
        /// The user that sessions log in as.
        login: String,
    },
    /// A PostgreSQL database.
    Database {
        /// `host:port`.
        address: String,
        /// The database.
        database: String,
        /// The role that makes the roles of sessions.
        admin: String,
        /// Roles that sessions may get; a grant names some of them.
        roles: Vec<String>,
        /// The longest that a statement may run, ms.
        #[serde(default = "minute")]
        statement_ms: u32,
        /// Whether values of parameters are left out of the notes.
        #[serde(default)]
        mask: bool,
    },
    /// A Kubernetes API server.
    Cluster {
        /// `https://host:port`.
        address: String,
        /// By which certificates it is believed, PEM; empty: the public ones.
        #[serde(default)]
        ca_pem: String,
    },
    /// A service over HTTP.
    Service {
        /// `https://host:port/base`.
        address: String,
        /// By which certificates it is believed, PEM; empty: the public ones.
        #[serde(default)]
        ca_pem: String,
        /// Whether it is WebHDFS.
        #[serde(default)]
        webhdfs: bool,
    },
}

fn minute() -> u32 {
    60_000
}

/// A system as its tenant sees it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Where it is.
    pub settings: Settings,
    /// For hosts: the line for `TrustedUserCAKeys`.
    pub authority: Option<String>,
    /// When it was made or changed.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
}

/// Makes a system known, or changes it. Open sessions go on with what they began with.
#[derive(Clone, Debug)]
pub struct PutTarget {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: TargetName,
    /// Where it is.
    pub settings: Settings,
    /// What opens it: the password of the role, the token, the value of `Authorization`. None keeps what is there. A host has
    /// an authority of its own, which is made here.
    pub secret: Option<SecretText>,
}

/// Forgets a system; its sessions end.
#[derive(Clone, Debug)]
pub struct DeleteTarget {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: TargetName,
}

/// The systems of a tenant, by name.
#[derive(Clone, Debug)]
pub struct ListTargets {
    /// Whose.
    pub tenant: TenantId,
}

impl Settings {
    /// `host`, `database`, `cluster` or `service`.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Host { .. } => "host",
            Self::Database { .. } => "database",
            Self::Cluster { .. } => "cluster",
            Self::Service { .. } => "service",
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        match self {
            Self::Host { address, .. }
            | Self::Database { address, .. }
            | Self::Cluster { address, .. }
            | Self::Service { address, .. } => address,
        }
    }

    /// To where its secret is shown, and by what that place is believed.
    fn place(&self) -> (&str, &str) {
        match self {
            Self::Host { address, .. } | Self::Database { address, .. } => (address, ""),
            Self::Cluster { address, ca_pem } | Self::Service { address, ca_pem, .. } => (address, ca_pem),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let wrong = |field: &'static str, why: &str| Err(Failure::invalid(field, why.to_owned()));
        let word = |w: &str, max: usize| {
            (1..=max).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        match self {
            Self::Host { address, host_keys, login } => {
                if !is_host_port(address) {
                    return wrong("address", "must be host:port");
                }
                let is_key = |k: &String| {
                    let mut parts = k.split(' ');
                    let kind = parts.next().unwrap_or_default();
                    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-"))
                        && parts.next().is_some_and(|b| word(b, 2048))
                        && k.len() <= 4096
                        && !k.chars().any(char::is_control)
                };
                if host_keys.is_empty() || host_keys.len() > 8 || !host_keys.iter().all(is_key) {
                    return wrong(
                        "host_keys",
                        "must be one to eight public keys, `ssh-ed25519 AAAA…` (`ssh-keyscan HOST` prints them)",
                    );
                }
                // A comma would make several principals of one (CVE-2026-35414).
                if !word(login, 32) || login.contains([',', ':', '*']) {
                    return wrong("login", "must be a user's name");
                }
            }
            Self::Database { address, database, admin, roles, statement_ms, .. } => {
                if !is_host_port(address) {
                    return wrong("address", "must be host:port");
                }
                if !word(database, 63) || !word(admin, 63) {
                    return wrong("admin", "and `database` must be names of up to 63 characters");
                }
                if roles.is_empty() || roles.len() > 32 || !roles.iter().all(|r| word(r, 63)) {
                    return wrong("roles", "must be 1 to 32 names of roles");
                }
                if roles.contains(admin) {
                    return wrong("roles", "must not hand out the role that makes the sessions' roles");
                }
                if !(1_000..=3_600_000).contains(statement_ms) {
                    return wrong("statement_ms", "must be 1000 to 3600000");
                }
            }
            Self::Cluster { address, ca_pem } | Self::Service { address, ca_pem, .. } => {
                let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
                if !rest.is_some_and(|r| word(r, 512) && !r.contains(['@', '?', '#', '%'])) {
                    return wrong("address", "must be https://host:port, without user or query");
                }
                if ca_pem.len() > 64 * 1024 {
                    return wrong("ca_pem", "must have at most 64 KiB");
                }
            }
        }
        Ok(())
    }
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        (1..=255).contains(&host.len())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:".contains(&b))
            && port.parse::<u16>().is_ok_and(|p| p > 0)
    })
}

/// The public key of an authority in OpenSSH's form.
fn authority_line(seed: &[u8], name: &TargetName) -> Option<String> {
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    let blob = [&b"ssh-ed25519"[..], pair.public_key().as_ref()]
        .iter()
        .flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat())
        .collect::<Vec<u8>>();
    use base64::Engine as _;
    Some(format!("ssh-ed25519 {} bailee-{name}", base64::engine::general_purpose::STANDARD.encode(blob)))
}

/// For what the secret of a target is sealed.
pub(super) fn purpose(name: &TargetName) -> String {
    format!("target/{name}")
}

/// What opens a target.
pub(super) fn secret_of(key: &TenantKey, row: &rows::TargetRow) -> Result<Option<Vec<u8>>, Failure> {
    let opened = row.sealed.as_ref().map(|s| key.open_trail(&purpose(&row.name), s)).transpose()?;
    Ok(opened.map(|secret| secret.expose().to_vec()))
}

fn asked(tenant: &TenantId, action: &'static str, name: &str, class: Class, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &format!("target/{name}")),
        resource_type: "ACS::Bailee::Target",
        class,
        touches: Touches::Metadata,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for PutTarget {
    type Output = Target;

    fn asks(&self) -> Asked {
        let detail = json!({
            "family": self.settings.family(), "address": self.settings.address(), "newSecret": self.secret.is_some(),
        });
        asked(&self.tenant, "bailee:PutTarget", self.name.as_str(), Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Target, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant says which of its systems brokers reach".into()));
        }
        self.settings.check()?;
        if self.secret.as_ref().is_some_and(|s| {
            s.expose().is_empty() || s.expose().len() > SECRET_MAX || s.expose().chars().any(char::is_control)
        }) {
            return Err(Failure::invalid("secret", "must have 1 to 8192 characters, no control characters"));
        }
        if self.secret.is_some() && self.settings.family() == "host" {
            return Err(Failure::invalid(
                "secret",
                "is not for hosts: they trust an authority that is made here",
            ));
        }
        let key = house.tenant_key(&self.tenant).await?;
        let (now, by) = (house.now(), intent.caller().name().to_owned());
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let old = rows::target(&mut tx, &self.name)?;
                if old.as_ref().is_some_and(|o| o.settings.family() != self.settings.family()) {
                    return Err(Failure::Conflict(format!(
                        "`{}` is of another family: delete it first, or take another name",
                        self.name
                    )));
                }
                if old.is_none() && rows::targets(&mut tx)?.len() >= TARGETS_MAX {
                    return Err(Failure::Conflict(format!("there are {TARGETS_MAX} targets already")));
                }
                // A secret goes to the place that it was given for: who may move a target does not learn what opens it. What a
                // host sees of its authority opens nothing elsewhere.
                let stays = |o: &rows::TargetRow| {
                    self.settings.family() == "host" || o.settings.place() == self.settings.place()
                };
                let moved = old.as_ref().is_some_and(|o| o.settings.place() != self.settings.place());
                let moves = old.as_ref().is_some_and(|o| o.sealed.is_some() && !stays(o));
                if moves && self.secret.is_none() {
                    return Err(Failure::invalid(
                        "secret",
                        "must be given anew: the target is to be reached elsewhere, or believed by other certificates",
                    ));
                }
                let kept = old.and_then(|o| o.sealed);
                let sealed = match (&self.settings, &self.secret, kept) {
                    (_, Some(secret), _) => {
                        Some(key.seal_trail(&purpose(&self.name), secret.expose().as_bytes()))
                    }
                    (_, None, Some(kept)) => Some(kept),
                    (Settings::Host { .. }, None, None) => {
                        Some(key.seal_trail(&purpose(&self.name), &random_bytes::<32>()))
                    }
                    (Settings::Service { .. }, None, None) => None,
                    (_, None, None) => {
                        return Err(Failure::invalid("secret", "is missing: the password, or the token"));
                    }
                };
                let row = rows::TargetRow {
                    name: self.name,
                    settings: self.settings,
                    sealed,
                    changed_at: now,
                    changed_by: by,
                };
                rows::put_target(&mut tx, &row)?;
                // Nobody approved the new place.
                if moved {
                    rows::move_target(&mut tx, &row.name, now)?;
                    rows::end_sessions_of(&mut tx, &row.name, now, "the target was moved")?;
                    crate::consent::end_standing_of_target(&mut tx, &row.name, &row.changed_by, now)?;
                }
                shown(&key, row)
            })
            .await
    }
}

fn shown(key: &TenantKey, row: rows::TargetRow) -> Result<Target, Failure> {
    let authority = match &row.settings {
        Settings::Host { .. } => secret_of(key, &row)?.and_then(|seed| authority_line(&seed, &row.name)),
        _ => None,
    };
    let rows::TargetRow { name, settings, changed_at, changed_by, .. } = row;
    Ok(Target { name, settings, authority, changed_at, changed_by })
}

impl Operation for DeleteTarget {
    type Output = ();

    fn asks(&self) -> Asked {
        let class = Class::Management { write: true };
        asked(&self.tenant, "bailee:DeleteTarget", self.name.as_str(), class, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant says which of its systems brokers reach".into()));
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if !rows::delete_target(&mut tx, &self.name)? {
                    return Err(Failure::not_found(Thing::Target, &self.name));
                }
                rows::end_sessions_of(&mut tx, &self.name, now, "the target was deleted")?;
                Ok(())
            })
            .await
    }

    fn outcome_detail(_: &()) -> Map<String, Value> {
        Map::new()
    }
}

impl Operation for ListTargets {
    type Output = Vec<Target>;
    const MAY_STOP_ANYWHERE: bool = true;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListTargets", "*", Class::Data, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<Target>, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("a target's settings are its tenant's".into()));
        }
        let key = house.tenant_key(&self.tenant).await?;
        let tenant = self.tenant;
        let rows =
            house.db.read(move |tx| rows::targets(&mut tx.tenant(&tenant)).map_err(Failure::from)).await?;
        rows.into_iter().map(|row| shown(&key, row)).collect()
    }
}

impl House {
    /// Names and families of a tenant's systems, for an operator who asks for a session.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn target_names(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(TargetName, &'static str, Vec<String>)>, Failure> {
        let tenant = tenant.clone();
        let rows =
            self.db.read(move |tx| rows::targets(&mut tx.tenant(&tenant)).map_err(Failure::from)).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let roles = match &row.settings {
                    Settings::Database { roles, .. } => roles.clone(),
                    _ => Vec::new(),
                };
                (row.name, row.settings.family(), roles)
            })
            .collect())
    }
}

/// Whether limits fit what a tenant has: the target is there, of that family, and hands out those roles.
pub(crate) fn fits(
    tx: &mut TenantTx<'_, '_>,
    name: &TargetName,
    limits: &crate::consent::Limits,
) -> Result<(), Failure> {
    let row = rows::target(tx, name)?
        .filter(|row| row.settings.family() == limits.family())
        .ok_or_else(|| Failure::not_found(Thing::Target, name))?;
    if let (Settings::Database { roles: has, .. }, crate::consent::Limits::Database { roles, .. }) =
        (&row.settings, limits)
        && let Some(role) = roles.iter().find(|r| !has.contains(r))
    {
        return Err(Failure::invalid(
            "limits",
            format!("name the role `{role}`, which `{name}` does not hand out"),
        ));
    }
    Ok(())
}
