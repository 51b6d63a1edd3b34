//! What happens to sessions without anybody: those whose grant is over end, parts of recordings are closed, keys sealed anew.

use std::sync::Arc;
use std::time::Duration;

use bailee_types::TenantId;
use tokio::sync::watch;

use super::recording::{ClosePart, Place, measure};
use super::{ReturnSession, rows};
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House};

/// How often the worker looks.
const ROUND: Duration = Duration::from_secs(1);
/// Sessions and parts of one round.
const AT_ONCE: u32 = 200;

impl House {
    /// Ends the sessions whose grant is over, and closes parts of recordings that nobody writes any more; answers how many of
    /// both. `alone` says that this is the only process there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keep_sessions(self: &Arc<Self>, alone: bool) -> Result<(u64, u64), Failure> {
        let now = self.now();
        let over = self
            .db
            .read(move |tx| {
                let mut over = Vec::new();
                for session in rows::open_sessions(tx, AT_ONCE)? {
                    let lives = crate::consent::lives(&mut tx.tenant(&session.tenant), &session.grant, now)?;
                    if let Err(why) = lives {
                        over.push((session.tenant, session.id, why.to_string()));
                    }
                }
                for keys in rows::keys_in_use(tx, AT_ONCE)? {
                    let lives = crate::consent::lives(&mut tx.tenant(&keys.tenant), &keys.grant, now)?;
                    let late = (now >= keys.until).then(|| "their time is over".to_owned());
                    if let Some(why) = lives.err().map(|e| e.to_string()).or(late) {
                        over.push((keys.tenant, keys.id.to_string(), why));
                    }
                }
                Ok::<_, Failure>(over)
            })
            .await?;
        let mut ended = 0;
        for (tenant, id, why) in over {
            let end = ReturnSession { tenant: tenant.clone(), session: id.clone(), why: Some(why) };
            match self.perform(self.system_caller("session keeper"), end).await {
                Ok(()) => ended += 1,
                // The tenant or the operator was quicker.
                Err(Failure::Conflict(_)) => {}
                Err(e) => tracing::warn!(tenant.id = %tenant, "session `{id}` could not be ended: {e}"),
            }
        }
        self.look_at_leases().await?;
        let closed = self.close_parts(alone).await?;
        Ok((ended, closed))
    }

    async fn close_parts(self: &Arc<Self>, alone: bool) -> Result<u64, Failure> {
        let mut closed = 0;
        let own = self.broker.of_this_process();
        for (id, live) in &own {
            let recorder = Arc::clone(&live.recorder);
            if live.ended().is_some() && !live.has_seats() {
                let place = recorder.place.clone();
                let sync = move || recorder.close();
                if tokio::task::spawn_blocking(sync).await.is_ok() && self.close_part(place, true).await {
                    self.broker.forget(id);
                    closed += 1;
                }
            } else {
                let synced = tokio::task::spawn_blocking(move || recorder.sync()).await;
                if let Ok(Err(e)) = synced {
                    tracing::error!(session.id = id, "a recording cannot be brought to the disk: {e}");
                }
            }
        }
        let (instance, now) = (self.instance.clone(), self.now());
        let lost = self
            .db
            .read(move |tx| {
                let live = crate::gate::live_instances(tx, now)?;
                let open = rows::open_parts(tx, AT_ONCE)?;
                let is_lost = |by: &String| *by != instance && (alone || !live.contains(by));
                Ok::<_, Failure>(open.into_iter().filter(|(_, by)| is_lost(by)).collect::<Vec<_>>())
            })
            .await?;
        for (place, _) in lost {
            closed += u64::from(self.close_part(place, false).await);
        }
        Ok(closed)
    }

    async fn close_part(self: &Arc<Self>, place: Place, clean: bool) -> bool {
        let (folder, of) = (self.broker.folder.clone(), place.clone());
        let length = match tokio::task::spawn_blocking(move || measure(&folder, &of)).await {
            Ok(Ok(length)) => length,
            Ok(Err(e)) => {
                tracing::error!(session.id = place.session, "a recording cannot be read again: {e}");
                return false;
            }
            Err(_) => return false,
        };
        let (tenant, session) = (place.tenant.clone(), place.session.clone());
        let close = ClosePart { place, length, clean };
        match self.perform(self.system_caller("session keeper"), close).await {
            Ok(()) => true,
            Err(e) => {
                tracing::warn!(tenant.id = %tenant, session.id = session, "a recording could not be closed: {e}");
                false
            }
        }
    }
}

/// The worker.
pub(crate) async fn keep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.keep_sessions(false).await {
            tracing::warn!("sessions cannot be looked after: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => break,
        }
    }
    // Connections end with the server; their parts are closed by it when they are quick enough, else by the next process.
    tokio::time::sleep(Duration::from_millis(300)).await;
    if let Err(e) = house.close_parts(false).await {
        tracing::warn!("recordings could not be closed: {e}");
    }
}

/// Seals secrets of targets and keys of recordings anew, where they lie under an older version of the tenant's key.
pub(crate) async fn reseal(
    house: &House,
    tenant: &TenantId,
    key: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let (of, key) = (tenant.clone(), Arc::clone(key));
    house
        .db
        .write(move |tx| {
            let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
            for row in rows::targets(&mut tx)? {
                let Some(sealed) = &row.sealed else { continue };
                if let Some(new) = key.reseal_trail(&super::target::purpose(&row.name), sealed)? {
                    done.note(rows::reseal_target(&mut tx, &row.name, (sealed, &new))?);
                }
            }
            for (place, sealed) in rows::part_keys(&mut tx, &of)? {
                if let Some(new) = key.reseal_trail(&place.purpose(), &sealed)? {
                    done.note(rows::reseal_part(&mut tx, &place, (&sealed, &new))?);
                }
            }
            Ok::<_, Failure>(done)
        })
        .await
}
