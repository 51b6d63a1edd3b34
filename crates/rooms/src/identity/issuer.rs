//! What OIDC issuers publish, fetched and kept for a while: discovery document and keys.
//!
//! Strangers bring tokens, so that they make us ask. INVARIANT: of one issuer at most one fetch is under way; one that
//! failed is not tried again for a moment; a key that is not known makes us ask again once a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_federation::jwt::{Jwks, TokenError};
use bailee_federation::oidc::{Expect, IdToken, discovery, verify_id_token};
use bailee_types::Timestamp;
use parking_lot::Mutex;

use crate::outside::Outside;
use crate::{Failure, House};

/// How long an issuer's keys are believed without asking again.
const KEEP_MS: i64 = 10 * 60_000;
/// How often they may be asked for when a token names a key that is not among them (rotation).
const AGAIN_MS: i64 = 60_000;
/// How long a fetch that failed stands for those that want the same.
const FAILED: Duration = Duration::from_secs(5);
/// Issuers that are kept, at most.
const KEPT_MAX: usize = 1_000;

/// By issuer.
#[derive(Default)]
pub(super) struct Issuers(Mutex<HashMap<String, Arc<Slot>>>);

/// What is known of one issuer.
#[derive(Default)]
struct Slot {
    fetching: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Arc<Issuer>>,
    failed: Option<(Instant, String)>,
    again_at: Option<Timestamp>,
}

/// What an issuer published.
pub(super) struct Issuer {
    fetched_at: Timestamp,
    pub(super) document: discovery::Document,
    jwks: Jwks,
}

impl Issuer {
    async fn fetch(outside: &dyn Outside, issuer: &str, now: Timestamp) -> Result<Self, String> {
        let failed = |what: &str, why: String| format!("the {what} of the issuer cannot be had: {why}");
        let address = discovery::address(issuer).map_err(|e| failed("address", e.to_string()))?;
        let bytes = outside.get(&address).await.map_err(|e| failed("discovery document", e))?;
        let document = discovery::Document::parse(&bytes, issuer)
            .map_err(|e| failed("discovery document", e.to_string()))?;
        let bytes = outside.get(&document.jwks_uri).await.map_err(|e| failed("key set", e))?;
        let jwks = Jwks::parse(&bytes).map_err(|e| failed("key set", e.to_string()))?;
        Ok(Self { fetched_at: now, document, jwks })
    }
}

impl Issuers {
    fn slot(&self, issuer: &str) -> Arc<Slot> {
        let mut all = self.0.lock();
        if all.len() >= KEPT_MAX && !all.contains_key(issuer) {
            all.clear();
        }
        Arc::clone(all.entry(issuer.to_owned()).or_default())
    }
}

impl State {
    /// What need not be fetched: keys that are young and not those that were of no use, or a failure of just now.
    fn answer(&self, no_use: Option<&Arc<Issuer>>, now: Timestamp) -> Option<Result<Arc<Issuer>, Failure>> {
        let good = |kept: &&Arc<Issuer>| {
            now.ms() - kept.fetched_at.ms() < KEEP_MS && !no_use.is_some_and(|n| Arc::ptr_eq(n, kept))
        };
        if let Some(kept) = self.kept.as_ref().filter(good) {
            return Some(Ok(Arc::clone(kept)));
        }
        let (at, why) = self.failed.as_ref()?;
        (at.elapsed() < FAILED).then(|| Err(Failure::Unavailable(why.clone())))
    }
}

impl House {
    /// An issuer, fetched now unless it was fetched a short while ago.
    pub(super) async fn issuer(&self, issuer: &str) -> Result<Arc<Issuer>, Failure> {
        self.issuer_but(issuer, None).await
    }

    async fn issuer_but(&self, issuer: &str, no_use: Option<&Arc<Issuer>>) -> Result<Arc<Issuer>, Failure> {
        let slot = self.identity.issuers.slot(issuer);
        let known = |now| slot.state.lock().answer(no_use, now);
        if let Some(answer) = known(self.now()) {
            return answer;
        }
        let alone = Arc::clone(&slot.fetching).lock_owned().await;
        let now = self.now();
        if let Some(answer) = known(now) {
            return answer;
        }
        // By itself: whoever goes away meanwhile does not make the next one fetch again.
        let (outside, name, into) = (Arc::clone(&self.outside), issuer.to_owned(), Arc::clone(&slot));
        let fetch = async move {
            let fetched = Issuer::fetch(&*outside, &name, now).await.map(Arc::new);
            let mut state = into.state.lock();
            let answer = match fetched {
                Ok(issuer) => {
                    state.failed = None;
                    state.kept = Some(Arc::clone(&issuer));
                    Ok(issuer)
                }
                Err(why) => {
                    // From its end: one that hung would else be forgotten at once.
                    state.failed = Some((Instant::now(), why.clone()));
                    Err(Failure::Unavailable(why))
                }
            };
            drop(state);
            drop(alone);
            answer
        };
        tokio::spawn(fetch).await.map_err(|e| Failure::Bug(format!("a fetch stopped: {e}")))?
    }

    /// Checks an id token against its issuer's keys; keys that are not known are asked for once more.
    pub(super) async fn check_id_token(
        &self,
        token: &str,
        expect: &Expect<'_>,
        field: &'static str,
    ) -> Result<IdToken, Failure> {
        let issuer = self.issuer(expect.issuer).await?;
        let refused = |e: TokenError| Failure::invalid(field, format!("is refused: {e}"));
        match verify_id_token(token, &issuer.jwks, expect) {
            Err(TokenError::UnknownKey { .. }) if self.may_ask_again(expect.issuer) => {
                let issuer = self.issuer_but(expect.issuer, Some(&issuer)).await?;
                verify_id_token(token, &issuer.jwks, expect).map_err(refused)
            }
            other => other.map_err(refused),
        }
    }

    fn may_ask_again(&self, issuer: &str) -> bool {
        let (slot, now) = (self.identity.issuers.slot(issuer), self.now());
        let mut state = slot.state.lock();
        let may = state.again_at.is_none_or(|at| now.ms() - at.ms() >= AGAIN_MS);
        if may {
            state.again_at = Some(now);
        }
        may
    }
}
