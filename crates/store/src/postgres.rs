//! The scale-out engine: PostgreSQL. Used from the store's own threads only, never from the async runtime.

use std::collections::HashMap;
use std::error::Error;

use ::postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use ::postgres::{Client, NoTls, Statement};

use crate::row::Cell;
use crate::tx::Conn;
use crate::{Row, StoreError, Value};

/// Statements kept prepared on one connection; more than the program has, so the bound is never met in practice.
const PREPARED_MAX: usize = 512;

pub(crate) struct PgConn {
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl PgConn {
    pub(crate) fn connect(url: &str) -> Result<Self, StoreError> {
        let mut config: ::postgres::Config = url
            .parse()
            .map_err(|_| StoreError::Unavailable("the PostgreSQL address cannot be read".to_owned()))?;
        config.connect_timeout(std::time::Duration::from_secs(5)).application_name("bailee");
        let mut client = config.connect(NoTls).map_err(from_pg)?;
        client
            .batch_execute(
                "SET synchronous_commit = on; SET statement_timeout = '60s'; SET lock_timeout = '30s'",
            )
            .map_err(from_pg)?;
        Ok(Self { client, prepared: HashMap::new() })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(found) = self.prepared.get(sql) {
            return Ok(found.clone());
        }
        let made = self.client.prepare(sql).map_err(from_pg)?;
        if self.prepared.len() >= PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), made.clone());
        Ok(made)
    }
}

impl Conn for PgConn {
    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql)?;
        let refs: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query(&statement, &refs).map_err(from_pg)?;
        rows.iter().map(read_row).collect()
    }

    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        let statement = self.statement(sql)?;
        let refs: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
        self.client.execute(&statement, &refs).map_err(from_pg)
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).map_err(from_pg)
    }
}

fn read_row(row: &::postgres::Row) -> Result<Row, StoreError> {
    let mut cells = Vec::with_capacity(row.len());
    for (i, column) in row.columns().iter().enumerate() {
        let kind = column.type_();
        let cell = if *kind == Type::INT8 {
            row.try_get::<_, Option<i64>>(i).map_err(from_pg)?.map_or(Cell::Null, Cell::Int)
        } else if *kind == Type::INT4 {
            row.try_get::<_, Option<i32>>(i).map_err(from_pg)?.map_or(Cell::Null, |v| Cell::Int(i64::from(v)))
        } else if *kind == Type::BYTEA {
            row.try_get::<_, Option<Vec<u8>>>(i).map_err(from_pg)?.map_or(Cell::Null, Cell::Blob)
        } else if *kind == Type::TEXT || *kind == Type::VARCHAR {
            row.try_get::<_, Option<String>>(i).map_err(from_pg)?.map_or(Cell::Null, Cell::Text)
        } else {
            return Err(StoreError::Corrupt(format!("column {i} has the type {kind}")));
        };
        cells.push(cell);
    }
    Ok(Row(cells))
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(v) if *ty == Type::INT4 => i32::try_from(*v)?.to_sql(ty, out),
            Value::Int(v) => v.to_sql(ty, out),
            Value::Text(v) => v.to_sql(ty, out),
            Value::Blob(v) => v.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::TEXT, Type::VARCHAR, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

fn from_pg(e: ::postgres::Error) -> StoreError {
    let text = e.as_db_error().map_or_else(|| e.to_string(), |db| db.message().to_owned());
    let Some(code) = e.code().map(|c| c.code().to_owned()) else {
        // The driver's own text is short; what the system said stands behind it.
        let cause = std::error::Error::source(&e).map_or_else(String::new, |c| format!(": {c}"));
        return StoreError::Unavailable(text + &cause);
    };
    match code.get(..2).unwrap_or_default() {
        "23" => StoreError::Constraint(text),
        // Connection, resources (disk full), operator intervention, authorisation, locks, system errors.
        "08" | "53" | "57" | "28" | "58" | "55" | "3D" => StoreError::Unavailable(text),
        _ => StoreError::Statement(text),
    }
}
