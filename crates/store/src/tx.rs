//! Transactions as rooms see them: one tenant's, or (another type, few callers) across tenants.

use bailee_types::TenantId;

use crate::late::{Batch, Late, write_waiting};
use crate::{Row, StoreError, Value};

/// What an engine's connection can do. Statements use `$1`, `$2`, … on both engines.
pub(crate) trait Conn {
    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError>;
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError>;
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;
}

/// A transaction that sees all tenants. Prefer [`Tx::tenant`].
pub struct Tx<'c> {
    conn: &'c mut dyn Conn,
    batch: &'c mut Batch,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(conn: &'c mut dyn Conn, batch: &'c mut Batch) -> Self {
        Self { conn, batch }
    }

    pub(crate) fn batch(&mut self) -> &mut Batch {
        self.batch
    }

    /// Rows of a statement.
    ///
    /// # Errors
    /// When the database refuses or cannot be reached.
    pub fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        write_waiting(self, Some(sql))?;
        self.conn.query(sql, params)
    }

    /// The single row of a statement, if there is one.
    ///
    /// # Errors
    /// When the database refuses, cannot be reached, or answers more than one row.
    pub fn query_opt(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        at_most_one(self.query(sql, params)?)
    }

    /// Runs a statement and answers the number of rows it changed.
    ///
    /// # Errors
    /// When the database refuses or cannot be reached.
    pub fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        write_waiting(self, Some(sql))?;
        self.batch.changed = true;
        self.conn.execute(sql, params)
    }

    /// The same transaction, narrowed to one tenant.
    pub fn tenant<'t>(&'t mut self, tenant: &'t TenantId) -> TenantTx<'t, 'c> {
        TenantTx { tx: self, tenant }
    }

    pub(crate) fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        write_waiting(self, None)?;
        self.batch.changed = true;
        self.conn.script(sql)
    }
}

/// A transaction that only sees one tenant.
///
/// INVARIANT: `$1` of every statement is the tenant's id, bound here and not by the caller, and a statement
/// that does not name `tenant_id` and `$1` is refused before it reaches the database.
pub struct TenantTx<'t, 'c> {
    tx: &'t mut Tx<'c>,
    tenant: &'t TenantId,
}

impl<'c> TenantTx<'_, 'c> {
    /// The tenant that this transaction sees.
    pub fn id(&self) -> &TenantId {
        self.tenant
    }

    /// Rows of a statement; `params` are `$2`, `$3`, ….
    ///
    /// # Errors
    /// When the statement is not scoped, or the database refuses or cannot be reached.
    pub fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        scoped(sql)?;
        let all = with_tenant(self.tenant, params);
        self.tx.query(sql, &all)
    }

    /// The single row of a statement, if there is one; `params` are `$2`, `$3`, ….
    ///
    /// # Errors
    /// As [`TenantTx::query`]; also when there is more than one row.
    pub fn query_opt(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        at_most_one(self.query(sql, params)?)
    }

    /// How many rows there are, counted up to `most`; `rows` is what stands behind `SELECT`'s columns, `FROM … WHERE …`.
    ///
    /// # Errors
    /// As [`TenantTx::query`].
    pub fn count(&mut self, rows: &str, params: &[Value<'_>], most: u32) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM (SELECT 1 {rows} LIMIT {most}) found");
        self.query_opt(&sql, params)?.map_or(Ok(0), |r| r.uint(0))
    }

    /// Runs a statement; `params` are `$2`, `$3`, …. Answers the number of rows changed.
    ///
    /// # Errors
    /// As [`TenantTx::query`].
    pub fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        scoped(sql)?;
        let all = with_tenant(self.tenant, params);
        self.tx.execute(sql, &all)
    }

    /// The tenant's late value, when this commit has one that is not yet written.
    pub fn late<L: Late>(&self) -> Option<&L> {
        self.tx.batch.get(self.tenant)
    }

    /// Leaves a value to be written with the commit, once for all that set it; see [`Late`].
    pub fn set_late<L: Late>(&mut self, value: L) {
        self.tx.batch.set(self.tenant, value);
    }
}

fn scoped(sql: &str) -> Result<(), StoreError> {
    if sql.contains("tenant_id") && sql.contains("$1") {
        Ok(())
    } else {
        Err(StoreError::Statement(format!("a tenant's statement must name tenant_id and $1: {sql}")))
    }
}

fn with_tenant<'a>(tenant: &'a TenantId, params: &[Value<'a>]) -> Vec<Value<'a>> {
    let mut all = Vec::with_capacity(params.len() + 1);
    all.push(Value::Text(tenant.as_str()));
    all.extend_from_slice(params);
    all
}

fn at_most_one(rows: Vec<Row>) -> Result<Option<Row>, StoreError> {
    if rows.len() > 1 {
        return Err(StoreError::Corrupt(format!("{} rows where one was expected", rows.len())));
    }
    Ok(rows.into_iter().next())
}
