//! The common shape of acts on a tenant's identities: asked for by name, done in one transaction.

use std::future::{Future, ready};
use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// One act on a tenant's identities. [`Act::of`] makes it an [`Operation`] of that tenant.
pub trait Act: Clone + Send + Sync + 'static {
    /// What it answers.
    type Output: Send + 'static;
    /// The resource's type in events.
    const TYPE: &'static str;
    /// Whether it changes anything.
    const WRITE: bool;

    /// The policy action, `ram:CreateUser`.
    fn action(&self) -> &'static str;

    /// The resources behind `acs:ram::<tenant>:`, the main one first; a caller must be allowed on each.
    fn on(&self) -> Vec<String>;

    /// Parameters for the event; never secrets.
    fn detail(&self) -> Value {
        json!({})
    }

    /// What must be done before the transaction, e.g. hashing a password.
    fn prepare(
        &mut self,
        _house: &Arc<House>,
        _tenant: &TenantId,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        ready(Ok(()))
    }

    /// The act itself.
    ///
    /// # Errors
    /// What is wrong with it; then nothing of it is stored.
    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Self::Output, Failure>;

    /// What the outcome record says beside its result.
    fn outcome(_output: &Self::Output) -> Value {
        json!({})
    }

    /// The act as an operation of a tenant.
    fn of(self, tenant: &TenantId) -> Of<Self> {
        Of { tenant: tenant.clone(), act: self }
    }
}

/// What an act works with inside its transaction.
pub struct Cx<'a, 't, 'c> {
    pub(super) tx: &'a mut TenantTx<'t, 'c>,
    pub(super) house: &'a Arc<House>,
    pub(super) now: Timestamp,
}

/// An act of a tenant.
#[derive(Clone)]
pub struct Of<A> {
    tenant: TenantId,
    act: A,
}

impl<A: Act> Operation for Of<A> {
    type Output = A::Output;

    fn asks(&self) -> Asked {
        // `system:policy/…` is of no tenant (contract §5).
        let mut on = self.act.on().into_iter().map(|relative| match relative.split_once(':') {
            Some(("system", policy)) => Arn::system(policy),
            _ => Arn::ram(&self.tenant, &relative),
        });
        let resource = on.next().unwrap_or_else(|| Arn::ram(&self.tenant, "*"));
        Asked {
            tenant: self.tenant.clone(),
            action: self.act.action(),
            resource,
            resource_type: A::TYPE,
            class: Class::Management { write: A::WRITE },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(self.act.detail()),
            continues: None,
            also: on.collect(),
            conditions: Vec::new(),
        }
    }

    async fn act(mut self, house: &Arc<House>, _intent: &Intent) -> Result<A::Output, Failure> {
        self.act.prepare(house, &self.tenant).await?;
        let now = house.now();
        let inner = Arc::clone(house);
        let Self { tenant, act } = self;
        let work = move |tx: &mut bailee_store::Tx<'_>| {
            let mut tx = tx.tenant(&tenant);
            act.run(&mut Cx { tx: &mut tx, house: &inner, now })
        };
        if !A::WRITE {
            return house.db.read(work).await;
        }
        let done = house.db.write(work).await;
        // Also when it failed: an answer that was lost on the way may have been stored.
        house.forget_cached_keys();
        done
    }

    fn outcome_detail(output: &A::Output) -> Map<String, Value> {
        parameters(A::outcome(output))
    }
}

/// The words of an act: resource type, whether it writes, policy action, resources, parameters for the event.
macro_rules! head {
    ($type:literal, write, $($rest:tt)*) => { head!(@ $type, true, $($rest)*); };
    ($type:literal, read, $($rest:tt)*) => { head!(@ $type, false, $($rest)*); };
    (@ $type:literal, $write:literal, $action:expr, |$s:ident| $on:expr, |$d:ident| $detail:expr) => {
        const TYPE: &'static str = $type;
        const WRITE: bool = $write;

        fn action(&self) -> &'static str {
            $action
        }

        fn on(&self) -> Vec<String> {
            let $s = self;
            $on.into_iter().collect()
        }

        fn detail(&self) -> serde_json::Value {
            let $d = self;
            $detail
        }
    };
}
pub(super) use head;

/// Checks that a text that people read is short enough and on one line.
pub(super) fn short(field: &'static str, text: &str, max: usize) -> Result<(), Failure> {
    if text.chars().count() > max {
        return Err(Failure::invalid(field, format!("must have at most {max} characters")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Failure::invalid(field, "must not hold control characters"));
    }
    Ok(())
}

/// A page: as many as were asked for, and where the next one starts.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In order of their names.
    pub items: Vec<T>,
    /// Where the next page starts; none on the last.
    pub marker: Option<String>,
}

impl<T> Page<T> {
    /// Cuts rows of which one more than `max` was read.
    pub(super) fn cut(mut items: Vec<T>, max: u32, name: impl Fn(&T) -> String) -> Self {
        let more = items.len() > max as usize;
        items.truncate(max as usize);
        let marker = if more { items.last().map(name) } else { None };
        Self { items, marker }
    }
}

/// Which page.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The marker of the page before.
    pub marker: Option<String>,
    /// How many, 1 to 1,000.
    pub items_max: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self { marker: None, items_max: 100 }
    }
}

impl Paging {
    /// The page that starts with the first name that begins with this. Names are ASCII without `~`, which sorts behind
    /// all that they may hold: nothing lies between the text before the last character's step down and the text itself.
    pub fn beginning_with(prefix: &str, items_max: u32) -> Self {
        let mut before = prefix.to_owned();
        let marker = before.pop().and_then(|c| char::from_u32(u32::from(c).saturating_sub(1))).map(|c| {
            before.extend([c, '~']);
            before
        });
        Self { marker, items_max }
    }

    pub(super) fn after(&self) -> &str {
        self.marker.as_deref().unwrap_or("")
    }

    pub(super) fn max(&self) -> u32 {
        self.items_max.clamp(1, 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_at_the_first_name_with_the_beginning() {
        let at = |prefix: &str| Paging::beginning_with(prefix, 10).marker.unwrap_or_default();
        for (prefix, before, within) in
            [("li", "lhz", "li"), ("li", "lh", "li-2"), ("a", "Z", "a.b"), ("0", "-", "0")]
        {
            assert!(before < at(prefix).as_str(), "{before} is before the page of {prefix}");
            assert!(within > at(prefix).as_str(), "{within} is on the page of {prefix}");
        }
        assert_eq!(Paging::beginning_with("", 10).marker, None);
    }
}
