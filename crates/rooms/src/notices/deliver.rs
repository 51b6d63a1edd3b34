//! Says what is to be said, at least once; a notice belongs to one process at a time, by a lease in its row.

use std::sync::Arc;
use std::time::Duration;

use bailee_types::{SecretText, Timestamp};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use super::rows::{self, Due};
use super::settings::{Target, opened};
use super::text::Said;
use super::{Kind, MailAddress, PROVIDER};
use crate::trail::deliver::{pause_ms, short, signed_post};
use crate::{Failure, House};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// Notices of one look, and how many of them at the same time.
const BATCH: i64 = 100;
const AT_ONCE: usize = 8;
/// After so long (ms) a notice is given up.
const GIVE_UP_MS: i64 = 3 * 86_400_000;

/// What came of a notice.
enum End {
    Said,
    /// Nobody is to hear it.
    Nobody,
    Failed(String),
}

/// The worker, until `stop`.
pub(crate) async fn say(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.say_notices().await {
            tracing::warn!("notices could not be looked at: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// One round over the notices that are due; answers how many were said.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn say_notices(self: &Arc<Self>) -> Result<u64, Failure> {
        let now = self.now();
        let due = self.db.read(move |tx| rows::due(tx, now, BATCH).map_err(Failure::from)).await?;
        let said = stream::iter(due)
            .map(async |notice| {
                let tenant = notice.tenant.clone();
                self.say_one(notice).await.unwrap_or_else(|e| {
                    // One notice's trouble is not another's.
                    tracing::warn!(tenant.id = %tenant, "a notice could not be said: {e}");
                    0
                })
            })
            .buffer_unordered(AT_ONCE)
            .fold(0, async |all, one| all + one)
            .await;
        Ok(said)
    }

    async fn say_one(self: &Arc<Self>, notice: Due) -> Result<u64, Failure> {
        let (now, by, n) = (self.now(), self.instance.clone(), notice.clone());
        let ours = self
            .db
            .write(move |tx| rows::lease(&mut tx.tenant(&n.tenant), &n, &by, now).map_err(Failure::from))
            .await?;
        if !ours {
            return Ok(0);
        }
        let end = match self.say_it(&notice).await {
            Ok(end) => end,
            Err(e) => End::Failed(short(&e.to_string())),
        };
        let (now, by) = (self.now(), self.instance.clone());
        let said = u64::from(matches!(end, End::Said));
        self.db
            .write(move |tx| {
                let (mut tx, n) = (tx.tenant(&notice.tenant), &notice);
                match end {
                    End::Said => {
                        rows::note(&mut tx, &n.target, None)?;
                        rows::done(&mut tx, n, (&by, &super::id()), now)?;
                    }
                    End::Nobody => rows::done(&mut tx, n, (&by, &super::id()), now)?,
                    End::Failed(why) if now >= n.since.plus_ms(GIVE_UP_MS) => {
                        tracing::error!(
                            tenant.id = %n.tenant,
                            "a notice of `{}` is given up after three days: {why}", n.reference
                        );
                        rows::note(&mut tx, &n.target, Some((&why, now)))?;
                        rows::done(&mut tx, n, (&by, &super::id()), now)?;
                    }
                    End::Failed(why) => {
                        tracing::info!(tenant.id = %n.tenant, "a notice is tried again: {why}");
                        rows::note(&mut tx, &n.target, Some((&why, now)))?;
                        rows::failed(&mut tx, n, &by, now.plus_ms(pause_ms(n.failures)))?;
                    }
                }
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(said)
    }

    async fn say_it(self: &Arc<Self>, n: &Due) -> Result<End, Failure> {
        let at = self.address();
        let said = Said {
            kind: n.kind,
            reference: &n.reference,
            desk: n.target == PROVIDER,
            at: &at,
            provider: &self.provider().name,
        };
        if n.target == PROVIDER {
            return match &self.mail.team {
                Some(team) if self.mail.sends => self.send_mail(&said, n, team.clone()).await,
                _ => Ok(End::Nobody),
            };
        }
        let Some(sealed) = &n.sealed else { return Ok(End::Nobody) };
        let key = self.tenant_key(&n.tenant).await?;
        match opened(&key, (&n.target, n.webhook), sealed)? {
            (Target::Mail(to), _) if self.mail.sends => self.send_mail(&said, n, to).await,
            (Target::Mail(_), _) => Ok(End::Failed("the provider has no mail server set up".into())),
            (Target::Webhook(address), secret) => self.post(&said, n, &address, &secret).await,
        }
    }

    async fn send_mail(&self, said: &Said<'_>, n: &Due, to: MailAddress) -> Result<End, Failure> {
        let mail = said.mail(&n.id, to, self.now());
        Ok(self.outside.mail(mail).await.map_or_else(|e| End::Failed(short(&e)), |()| End::Said))
    }

    async fn post(
        &self,
        said: &Said<'_>,
        n: &Due,
        address: &str,
        secret: &SecretText,
    ) -> Result<End, Failure> {
        let body = said.json(&n.tenant, &n.id, n.since).to_string().into_bytes();
        let sent = signed_post(self, address, secret.expose().as_bytes(), (&n.id, "application/json"), body);
        Ok(sent.await.map_or_else(End::Failed, |()| End::Said))
    }

    /// Sends one mail to an address now, to see whether mail works.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub async fn try_mail(&self, to: MailAddress) -> Result<(), String> {
        if !self.mail.sends {
            return Err("no mail server is set up: see [mail] in bailee.toml".into());
        }
        let (at, now): (String, Timestamp) = (self.address(), self.now());
        let provider = &self.provider().name;
        let said = Said { kind: Kind::Ticket, reference: "T-0", desk: true, at: &at, provider };
        self.outside.mail(said.mail(&super::id(), to, now)).await
    }
}
