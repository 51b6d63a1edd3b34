//! What happens to tickets without anybody: solved ones close, messages are sealed anew when the tenant's key is new.

use std::sync::Arc;
use std::time::Duration;

use bailee_types::TenantId;
use tokio::sync::watch;

use super::state::REOPEN_MS;
use super::thread::purpose;
use super::{CloseTicket, rows};
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House};

/// How often the worker looks.
const ROUND: Duration = Duration::from_secs(60);
/// Messages of one commit.
const RESEAL: i64 = 50;

impl House {
    /// Closes the tickets that were solved 14 days ago; answers how many. One tenant's trouble is not another's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn close_solved_tickets(self: &Arc<Self>) -> Result<u64, Failure> {
        let until = self.now().plus_ms(-REOPEN_MS);
        let due = self.db.read(move |tx| rows::due_to_close(tx, until).map_err(Failure::from)).await?;
        let mut closed = 0;
        for (tenant, ticket) in due {
            let close = CloseTicket { tenant: tenant.clone(), ticket: ticket.clone() };
            match self.perform(self.system_caller("ticket keeper"), close).await {
                Ok(_) => closed += 1,
                Err(e) => tracing::warn!(tenant.id = %tenant, "ticket `{ticket}` could not be closed: {e}"),
            }
        }
        Ok(closed)
    }
}

/// The worker.
pub(crate) async fn keep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.close_solved_tickets().await {
            tracing::warn!("solved tickets cannot be read: {e}");
        }
    }
}

/// Seals messages anew, where they lie under an older version of the tenant's key.
pub(crate) async fn reseal(
    house: &House,
    tenant: &TenantId,
    key: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let (mut all, mut after) = (Resealed::default(), (0, 0));
    loop {
        let (of, key) = (tenant.clone(), Arc::clone(key));
        let (done, last) = house
            .db
            .write(move |tx| {
                let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
                let batch = rows::messages_after(&mut tx, after, RESEAL)?;
                for row in &batch {
                    let Some(sealed) = &row.sealed else { continue };
                    if let Some(new) = key.reseal_trail(&purpose(row.number, row.seq), sealed)? {
                        done.note(rows::reseal(&mut tx, (row.number, row.seq), (sealed, &new))?);
                    }
                }
                Ok::<_, Failure>((done, batch.last().map(|row| (row.number, row.seq))))
            })
            .await?;
        all.add(done);
        match last {
            Some(place) => after = place,
            None => return Ok(all),
        }
    }
}
