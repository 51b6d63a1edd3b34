//! Values that many closures of one commit change, written once.
//!
//! INVARIANT: a late value is written before any statement that names its table and before the commit, so no
//! statement sees an older one. What a closure that is rolled back has set or written early is as it was before it.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use bailee_types::TenantId;

use crate::{StoreError, TenantTx, Tx};

/// One value per tenant that is written when the commit needs it.
pub trait Late: Clone + Send + 'static {
    /// The table that it is written to.
    const TABLE: &'static str;

    /// Writes it.
    ///
    /// # Errors
    /// When the database refuses; the commit fails then.
    fn write(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError>;
}

type Key = (TenantId, TypeId);

/// What a commit has gathered so far.
#[derive(Default)]
pub(crate) struct Batch {
    waiting: HashMap<Key, Box<dyn Waiting>>,
    /// What the running closure replaced, for its rollback.
    replaced: Vec<(Key, Option<Box<dyn Waiting>>)>,
    /// The running closure has changed something.
    pub(crate) changed: bool,
}

impl Batch {
    pub(crate) fn start_closure(&mut self) {
        self.replaced.clear();
        self.changed = false;
    }

    pub(crate) fn undo_closure(&mut self) {
        for (key, before) in self.replaced.drain(..).rev() {
            match before {
                Some(value) => self.waiting.insert(key, value),
                None => self.waiting.remove(&key),
            };
        }
    }

    pub(crate) fn get<L: Late>(&self, tenant: &TenantId) -> Option<&L> {
        // One key is made for each look: ids are short and a commit has few tenants.
        let found = self.waiting.get(&(tenant.clone(), TypeId::of::<L>()))?;
        found.as_any().downcast_ref()
    }

    pub(crate) fn set<L: Late>(&mut self, tenant: &TenantId, value: L) {
        let key = (tenant.clone(), TypeId::of::<L>());
        let before = self.waiting.insert(key.clone(), Box::new(value));
        self.replaced.push((key, before));
        self.changed = true;
    }

    /// Takes what must be written before `sql` runs; all of it when there is no statement.
    fn take(&mut self, sql: Option<&str>) -> Vec<(TenantId, Box<dyn Waiting>)> {
        let mut named: Vec<Key> = self
            .waiting
            .iter()
            .filter(|(_, value)| sql.is_none_or(|sql| sql.contains(value.table())))
            .map(|(key, _)| key.clone())
            .collect();
        // Two processes that write rows of several tenants do so in one order.
        named.sort();
        let mut out = Vec::with_capacity(named.len());
        for key in named {
            if let Some(value) = self.waiting.remove(&key) {
                self.replaced.push((key.clone(), Some(value.copy())));
                out.push((key.0, value));
            }
        }
        out
    }
}

/// Writes the late values that `sql` may see, or all.
pub(crate) fn write_waiting(tx: &mut Tx<'_>, sql: Option<&str>) -> Result<(), StoreError> {
    if tx.batch().waiting.is_empty() {
        return Ok(());
    }
    for (tenant, value) in tx.batch().take(sql) {
        value.write(&mut tx.tenant(&tenant))?;
    }
    Ok(())
}

/// A [`Late`] without its type.
trait Waiting: Send {
    fn table(&self) -> &'static str;
    fn copy(&self) -> Box<dyn Waiting>;
    fn as_any(&self) -> &dyn Any;
    fn write(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError>;
}

impl<L: Late> Waiting for L {
    fn table(&self) -> &'static str {
        L::TABLE
    }

    fn copy(&self) -> Box<dyn Waiting> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn write(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        Late::write(self, tx)
    }
}
