//! The role that a session has in the database: made when it begins, gone when it ended.
//!
//! It is a member of the roles that the grant names and of nothing else, and what it may is what they may: the database enforces
//! the scope, the broker only looks that the scope is what it claims to be.
//! INVARIANT: a role is made in the transaction that looks at its rights; one that has more than the session may does not exist
//! at any moment.
//! INVARIANT: while a session lives, its administering connection holds an advisory lock named after the role. A role whose lock
//! is free belongs to nobody, and the next session of any broker in this database removes it.

use std::time::Duration;

use bailee_types::{SecretText, random_text};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::link::Link;
use crate::Seat;

/// Left-over roles that one session removes.
const SWEEP_MAX: usize = 4;
/// For a backend to go after it was told to.
const GO_TIME: Duration = Duration::from_secs(5);

/// What a session's role is made of.
pub(super) struct Scope<'a> {
    /// The administering role.
    pub(super) admin: &'a str,
    /// Whose rights it has.
    pub(super) roles: &'a [String],
    /// Whether it may write.
    pub(super) read_only: bool,
    /// The longest that a statement may run, milliseconds.
    pub(super) statement_ms: u32,
}

/// A role of one session.
pub(super) struct Role {
    /// Its name.
    pub(super) name: String,
    /// Its password; nobody but the broker ever knows it.
    pub(super) password: SecretText,
}

/// The comment on a role: whose it is, for who looks into the database, and for the sweep.
#[derive(Serialize, Deserialize)]
struct Mark {
    bailee: String,
    database: String,
    grant: String,
    session: String,
    /// Who owns afterwards what the session made.
    heir: Option<String>,
}

impl Role {
    /// A name that nobody has, with the session's in it (the database's log names the role, and nothing else of us), and a
    /// password that nobody knows.
    pub(super) fn random(session: &str) -> Self {
        const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
        let session = session.strip_prefix("s-").unwrap_or(session);
        Self {
            name: format!("bailee_{session}_{}", random_text(SMALL, 16)),
            password: SecretText::new(random_text(SMALL, 52)),
        }
    }

    /// Makes the role, with the lock that says that it is in use.
    pub(super) async fn create(
        &self,
        admin: &mut Link,
        seat: &impl Seat,
        scope: &Scope<'_>,
    ) -> Result<(), String> {
        let database = one(admin, "SELECT oid FROM pg_database WHERE datname = current_database()").await?;
        let version = one(admin, "SELECT current_setting('server_version_num')").await?;
        let mark = Mark {
            bailee: "broker".to_owned(),
            database: database.unwrap_or_default(),
            grant: seat.grant().to_owned(),
            session: seat.session().to_owned(),
            heir: scope.roles.first().filter(|_| !scope.read_only).cloned(),
        };
        let mut settings = vec![
            ("default_transaction_read_only", if scope.read_only { "on" } else { "off" }.to_owned()),
            ("statement_timeout", scope.statement_ms.to_string()),
            ("search_path", "public, pg_temp".to_owned()),
        ];
        if version.and_then(|v| v.parse::<u32>().ok()).is_some_and(|v| v >= 140_000) {
            admin.query("SET idle_session_timeout = 0").await?;
            // A broker that dies takes its statements with it.
            settings.push(("client_connection_check_interval", "1000".to_owned()));
        }
        let name = escape_identifier(&self.name);
        // It is asked for at sign-in alone, which is now: a role whose broker died, and its password, are good for no other.
        let until = format!(
            "SELECT least(timestamptz {}, now() + interval '60 seconds')::text",
            escape_literal(&seat.until().iso_ms())
        );
        let until = one(admin, &until).await?.ok_or("the database has no time")?;
        // The database gets what it checks the password by, not the password: it may log statements.
        let verifier = postgres_protocol::password::scram_sha_256(self.password.expose().as_bytes());
        let mut sql = format!(
            "BEGIN; \
             CREATE ROLE {name} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
             CONNECTION LIMIT 1 VALID UNTIL {until} PASSWORD {password}",
            until = escape_literal(&until),
            password = escape_literal(&verifier),
        );
        if !scope.roles.is_empty() {
            let roles: Vec<String> = scope.roles.iter().map(|r| escape_identifier(r)).collect();
            sql += &format!(" IN ROLE {}", roles.join(", "));
        }
        // The administering role belongs to it, or it could neither end its statements nor drop what it owns.
        sql += &format!(" ROLE {}; ", escape_identifier(scope.admin));
        sql += &format!("COMMENT ON ROLE {name} IS {}; ", escape_literal(&json!(mark).to_string()));
        for (setting, value) in settings {
            let value = if setting == "search_path" { value } else { escape_literal(&value) };
            sql += &format!("ALTER ROLE {name} SET {setting} = {value}; ");
        }
        self.lock(admin).await?;
        admin.query(&sql).await?;
        if let Some(too_much) = one(admin, &more_than_it_may(&self.name, scope.read_only)).await? {
            admin.query("ROLLBACK").await?;
            return Err(format!("the scope of this session is not what it claims to be: {too_much}"));
        }
        admin.query("COMMIT").await.map(drop)
    }

    /// Says that the role is in use, for as long as the connection lives.
    pub(super) async fn lock(&self, admin: &mut Link) -> Result<(), String> {
        admin.query(&format!("SELECT pg_advisory_lock({})", lock(&self.name))).await.map(drop)
    }

    /// Ends what the role does and removes it. What it made goes to the first role of the scope, if it might write.
    pub(super) async fn remove(&self, admin: &mut Link, scope: &Scope<'_>) -> Result<(), String> {
        remove(admin, &self.name, scope.roles.first().filter(|_| !scope.read_only)).await
    }
}

/// Removes roles whose broker died.
pub(super) async fn sweep(admin: &mut Link) -> Result<(), String> {
    let marked = "SELECT r.rolname, shobj_description(r.oid, 'pg_authid'), d.oid FROM pg_roles r, pg_database d \
                  WHERE r.rolname LIKE 'bailee\\_%' AND d.datname = current_database() \
                  AND shobj_description(r.oid, 'pg_authid') LIKE '{%'";
    let mut swept = 0;
    for row in admin.query(marked).await? {
        let [Some(name), Some(comment), Some(database)] = row.as_slice() else { continue };
        let Ok(mark) = serde_json::from_str::<Mark>(comment) else { continue };
        if mark.bailee != "broker" || mark.database != *database || swept >= SWEEP_MAX {
            continue;
        }
        let lock = lock(name);
        if one(admin, &format!("SELECT pg_try_advisory_lock({lock})")).await?.as_deref() == Some("t") {
            swept += 1;
            tracing::warn!(role = %name, grant = %mark.grant, "removing the role of a broker that died");
            if let Err(e) = remove(admin, name, mark.heir.as_ref()).await {
                tracing::error!(role = %name, "the role of a broker that died cannot be removed: {e}");
            }
            admin.query(&format!("SELECT pg_advisory_unlock({lock})")).await?;
        }
    }
    Ok(())
}

async fn remove(admin: &mut Link, role: &str, heir: Option<&String>) -> Result<(), String> {
    let (name, text) = (escape_identifier(role), escape_literal(role));
    if one(admin, &format!("SELECT 1 FROM pg_roles WHERE rolname = {text}")).await?.is_none() {
        return Ok(());
    }
    // First the door, then who is inside: its password is known to it and can be changed by it.
    let backends = format!("FROM pg_stat_activity WHERE usename = {text}");
    admin.query(&format!("ALTER ROLE {name} NOLOGIN")).await?;
    admin.query(&format!("SELECT pg_terminate_backend(pid) {backends}")).await?;
    let latest = Instant::now() + GO_TIME;
    while one(admin, &format!("SELECT 1 {backends} LIMIT 1")).await?.is_some() {
        if Instant::now() > latest {
            return Err(format!("a statement of role `{role}` does not end"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    let inherit = heir.map(|heir| format!("REASSIGN OWNED BY {name} TO {}; ", escape_identifier(heir)));
    let drop_all = format!("{}DROP OWNED BY {name}; DROP ROLE {name}", inherit.unwrap_or_default());
    admin.query(&drop_all).await.map(drop)
}

/// The first column of the first row.
async fn one(admin: &mut Link, sql: &str) -> Result<Option<String>, String> {
    let rows = admin.query(sql).await?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

fn lock(role: &str) -> String {
    format!("hashtextextended({}, 0)", escape_literal(role))
}

/// Asks for one thing, in words, that a role or one that it can become (`SET ROLE`) has beyond its session.
fn more_than_it_may(role: &str, read_only: bool) -> String {
    let role = escape_literal(role);
    let mut sql = format!(
        "WITH becomes AS (SELECT * FROM pg_roles r WHERE pg_has_role({role}, r.oid, 'MEMBER')), \
         found(whose, what) AS (\
         SELECT rolname, format('role %I may administer the database or reach its host', rolname) FROM becomes \
         WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR rolname IN \
         ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_signal_backend', \
         'pg_create_subscription', 'pg_checkpoint') \
         UNION ALL SELECT rolname, format('role %I may log in: a session could give it another password', rolname) \
         FROM becomes WHERE rolcanlogin AND rolname <> {role}"
    );
    if read_only {
        sql += "\
         UNION ALL SELECT b.rolname, format('it is read-only, but role %I may write to %s', b.rolname, c.oid::regclass) \
         FROM becomes b, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' \
         AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(b.oid, c.oid, 'USAGE, UPDATE') \
         WHEN c.relkind IN ('r', 'p', 'v', 'm', 'f') THEN \
         has_table_privilege(b.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') \
         OR has_any_column_privilege(b.oid, c.oid, 'INSERT, UPDATE') ELSE false END \
         UNION ALL SELECT b.rolname, format('it is read-only, but role %I may create in schema %I', b.rolname, n.nspname) \
         FROM becomes b, pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)' \
         AND has_schema_privilege(b.oid, n.oid, 'CREATE') \
         UNION ALL SELECT b.rolname, format('it is read-only, but role %I may create schemas', b.rolname) \
         FROM becomes b WHERE has_database_privilege(b.oid, current_database(), 'CREATE') \
         UNION ALL SELECT b.rolname, format('it is read-only, but role %I owns %s', b.rolname, \
         pg_describe_object(s.classid, s.objid, s.objsubid)) FROM becomes b JOIN pg_shdepend s \
         ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = b.oid AND s.deptype = 'o' \
         WHERE s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
         UNION ALL SELECT rolname, format('it is read-only, but role %I may write to all tables', rolname) \
         FROM becomes WHERE rolname IN ('pg_write_all_data', 'pg_maintain')";
    }
    // Rather the role that somebody granted than the one that is made here.
    sql + &format!(") SELECT what FROM found ORDER BY whose = {role} LIMIT 1")
}
