//! Ciphers as Bailee uses them: sealing of small secrets, the envelope of objects, password hashes, the root key.
//!
//! Callers hold handles and say what a sealed thing belongs to; they never see a nonce or choose a cipher.
//! INVARIANT: what was sealed under one purpose, owner or place does not open under another.
//! INVARIANT: key material has no `Display`, a `Debug` that prints `[redacted]`, and is wiped when dropped.
//! The one exception to "no IO" is [`root`], which reads and makes the key file and speaks to an HSM.

pub mod cmk;
pub mod envelope;
pub mod password;
pub mod root;
pub mod seal;
