//! The enrolment receipt: what a tenant keeps, and gives to its auditors itself, so that the provider cannot give them
//! another log or another watch key.
//!
//! ```text
//! bailee-watch/v1
//! log <vkey of the log's first key>
//! watch <watch key, 64 lower-case hex digits>
//! ```
//! INVARIANT: its `Debug` does not show the watch key, its `Display` does: it is the file.

use super::{HeadChain, WatchKey};
use crate::note::{KeyError, VerifierKey};

/// See the module. The watch key lets its holder recognise and open the log's heads; it signs nothing.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The log's first key; its name is the log's origin.
    pub log: VerifierKey,
    /// The watch key.
    pub watch: WatchKey,
}

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Other lines.
    #[error(
        "an enrolment receipt has three lines: `bailee-watch/v1`, `log <vkey>` and `watch <64 lower-case hex digits>`"
    )]
    Form,
    /// The key in it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not an Ed25519 key of a log.
    #[error("the log's first key must have type 01 (Ed25519)")]
    Kind,
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let (Some("bailee-watch/v1"), Some(log), Some(watch), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(ReceiptError::Form);
        };
        let log = VerifierKey::parse(log.strip_prefix("log ").ok_or(ReceiptError::Form)?)?;
        if log.kind() != crate::note::KeyKind::Ed25519 {
            return Err(ReceiptError::Kind);
        }
        let watch = watch.strip_prefix("watch ").and_then(crate::hash::from_hex).ok_or(ReceiptError::Form)?;
        Ok(Self { log, watch: WatchKey::new(watch.0) })
    }

    /// The chain of the log's heads, before the first.
    pub fn chain(&self) -> Option<HeadChain> {
        Some(HeadChain::new(self.log.name(), self.watch.clone(), self.log.ed25519()?))
    }
}

/// The file, with the watch key.
impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "bailee-watch/v1\nlog {}\nwatch {}", self.log, crate::hash::Hash(self.watch.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Signer;

    #[test]
    fn a_receipt_reads_and_prints_and_hides_its_key_from_debug() {
        let log = Signer::from_seed("example.com/trail", &[1; 32]).unwrap().verifier().clone();
        let receipt = Receipt { log, watch: WatchKey::new([0xab; 32]) };
        let text = receipt.to_string();
        let read = Receipt::parse(&text).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.watch.label(1), receipt.watch.label(1));
        assert_eq!(read.chain().unwrap().next_label(), receipt.watch.label(0));
        assert!(!format!("{read:?}").contains("abab"));
        for other in [
            String::new(),
            text.replace("v1", "v2"),
            text.replace("ab\n", "a\n"),
            text.replace("abab", "ABAB"),
            format!("{text}\n"),
        ] {
            assert!(Receipt::parse(&other).is_err(), "{other}");
        }
        let witness = Signer::witness_from_seed("w", &[1; 32]).unwrap();
        let other = text.replace(&receipt.log.to_string(), &witness.verifier().to_string());
        assert_eq!(Receipt::parse(&other).unwrap_err(), ReceiptError::Kind);
    }
}
