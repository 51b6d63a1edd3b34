//! Batches to the server: again until they are taken.

use std::io::Read;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bailee_collect::wire::{Answer, Batch};
use bailee_types::SecretText;
use ureq::config::Config;

use crate::output::Stop;

const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// How often one that does not wait for ever tries: about ten seconds.
const TRIES: usize = 6;

/// The server, and our credential for it.
pub(super) struct Sender {
    agent: ureq::Agent,
    address: String,
    token: SecretText,
    patient: bool,
}

enum Problem {
    /// It may work later.
    Passing(String),
    Stop(Stop),
}

impl Sender {
    /// `patient` tries for ever.
    pub(super) fn new(server: &str, token: SecretText, patient: bool) -> Result<Self, Stop> {
        let address = server.trim_end_matches('/');
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let is_local = local
            .iter()
            .any(|l| address.strip_prefix(l).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')));
        if !address.starts_with("https://") && !is_local {
            return Err(Stop::unable(
                "--server must be an https:// address (http:// on this machine only): the token travels to it",
            ));
        }
        let config = Config::builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent("bailee-collect")
            .proxy(None)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        Ok(Self { agent, address: format!("{address}/collect/v1/events"), token, patient })
    }

    /// Sends a batch until it is answered.
    pub(super) fn send(&self, batch: &Batch) -> Result<Answer, Stop> {
        let body = serde_json::to_vec(batch).map_err(|e| Stop::unable(e.to_string()))?;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(30))
            .with_jitter();
        let mut pauses: Box<dyn Iterator<Item = Duration>> = if self.patient {
            Box::new(backoff.without_max_times().build())
        } else {
            Box::new(backoff.with_max_times(TRIES).build())
        };
        loop {
            let why = match self.try_once(&body, batch.events.len()) {
                Ok(answer) => return Ok(answer),
                Err(Problem::Stop(stop)) => return Err(stop),
                Err(Problem::Passing(why)) => why,
            };
            let Some(pause) = pauses.next() else {
                return Err(Stop::unable(format!(
                    "the server does not take what was collected: {why}; it is kept, and sent when you run this again"
                )));
            };
            eprintln!("bailee: not sent yet: {why}; again in {} ms", pause.as_millis());
            std::thread::sleep(pause);
        }
    }

    fn try_once(&self, body: &[u8], events: usize) -> Result<Answer, Problem> {
        let passing = |e: &dyn std::fmt::Display| Problem::Passing(e.to_string());
        let response = self
            .agent
            .post(&self.address)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .send(body)
            .map_err(|e| passing(&e))?;
        let status = response.status().as_u16();
        let mut said = Vec::new();
        let mut reader = response.into_body().into_reader().take(ANSWER_BYTES_MAX);
        reader.read_to_end(&mut said).map_err(|e| passing(&e))?;
        let message = || {
            let value: Option<serde_json::Value> = serde_json::from_slice(&said).ok();
            let text = value.as_ref().and_then(|v| v.get("message")).and_then(|m| m.as_str());
            text.map_or_else(|| format!("status {status}"), str::to_owned)
        };
        match status {
            200 => {
                let answer: Answer = serde_json::from_slice(&said)
                    .map_err(|e| Problem::Passing(format!("an answer that cannot be read: {e}")))?;
                if answer.verdicts.len() != events {
                    return Err(Problem::Passing("an answer for another number of events".into()));
                }
                Ok(answer)
            }
            401 | 403 => {
                Err(Problem::Stop(Stop { code: 2, text: format!("the server refuses: {}", message()) }))
            }
            408 | 429 | 500..=599 => Err(Problem::Passing(message())),
            _ => Err(Problem::Stop(Stop::unable(format!(
                "the server does not take the batch: {}; nothing of it is lost, it waits in the state folder",
                message()
            )))),
        }
    }
}
