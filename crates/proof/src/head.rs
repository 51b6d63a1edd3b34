//! Entries of the public head log: blinded, labelled heads of the tenants' logs (facts/trail.md §5).
//!
//! A stranger sees that a label never repeats, and nothing else; who holds the log's watch key finds his own heads.
//! INVARIANT: a label depends on watch key and version only, so two heads for one version have one label and show.

use ring::hmac;

use crate::hash::{Hash, sha256};

/// The secret that labels and blinds the heads of one log: 32 random bytes, shown to the tenant at enrolment.
/// Its `Debug` shows nothing.
#[derive(Clone)]
pub struct WatchKey(hmac::Key, [u8; 32]);

/// Bytes of an enrol entry and of a head entry.
pub const HEAD_BYTES: usize = 65;

/// Bytes of an epoch entry.
pub const EPOCH_BYTES: usize = 53;

/// A head, before it is blinded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// 0 for the first head of the log, then one more each time.
    pub version: u64,
    /// Number of records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The commitment of the version before; for version 0 that of the enrolment.
    pub previous: Hash,
}

impl WatchKey {
    /// From its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes)
    }

    /// The label of the head with this version: what to look for in the head log.
    pub fn label(&self, version: u64) -> Hash {
        self.tagged(b"bailee/head-label/v1\0", version)
    }

    fn blind(&self, version: u64) -> Hash {
        self.tagged(b"bailee/head-blind/v1\0", version)
    }

    fn tagged(&self, domain: &[u8], version: u64) -> Hash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain);
        context.update(&version.to_be_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        Hash(out)
    }
}

impl std::fmt::Debug for WatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The commitment by which a log enrols: to its watch key and its first public key (Ed25519).
pub fn enrol_commit(key: &WatchKey, log_key: &[u8; 32]) -> Hash {
    sha256(&[b"bailee/enrol-key/v1\0", &key.1, &[1], log_key])
}

/// The entry (type 2) by which a log enrols.
pub fn enrol_entry(origin: &str, key: &WatchKey, log_key: &[u8; 32]) -> [u8; HEAD_BYTES] {
    two_hashes(2, &sha256(&[b"bailee/enrol/v1\0", origin.as_bytes()]), &enrol_commit(key, log_key))
}

/// The commitment to a head; the next version names it as its previous one.
pub fn head_commit(key: &WatchKey, head: &Head<'_>) -> Hash {
    sha256(&[
        b"bailee/head/v1\0",
        &key.blind(head.version).0,
        &sha256(&[head.origin.as_bytes()]).0,
        &head.version.to_be_bytes(),
        &head.size.to_be_bytes(),
        &head.root.0,
        &head.previous.0,
    ])
}

/// The entry (type 1) of a head.
pub fn head_entry(key: &WatchKey, head: &Head<'_>) -> [u8; HEAD_BYTES] {
    two_hashes(1, &key.label(head.version), &head_commit(key, head))
}

/// The entry (type 3) that ends an epoch; the index root is zeros until there is a label index.
pub fn epoch_entry(epoch: u64, time_ms: u64, leaves: u32, index_root: &[u8; 32]) -> [u8; EPOCH_BYTES] {
    let mut bytes = [0; EPOCH_BYTES];
    bytes[0] = 3;
    bytes[1..9].copy_from_slice(&epoch.to_be_bytes());
    bytes[9..17].copy_from_slice(&time_ms.to_be_bytes());
    bytes[17..21].copy_from_slice(&leaves.to_be_bytes());
    bytes[21..].copy_from_slice(index_root);
    bytes
}

fn two_hashes(code: u8, first: &Hash, second: &Hash) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[0] = code;
    bytes[1..33].copy_from_slice(&first.0);
    bytes[33..].copy_from_slice(&second.0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn the_known_enrolment_and_first_head_are_encoded() {
        let key = WatchKey::new(std::array::from_fn(|i| 0x60 + i as u8));
        let signer =
            crate::note::Signer::from_seed("example.com/trail", &std::array::from_fn(|i| i as u8)).unwrap();
        let public = signer.verifier().ed25519().unwrap();
        assert_eq!(
            hex::encode(enrol_entry("example.com/trail", &key, public)),
            "02cba8f2226b3ee5fe7d9b1d0cd82b4fa49ad7542d38fd8dca23b6047f54cae0f719f4fc8ebf8fc55d8748fcb7c03f9a006f76cabad4514551331a0bb50b85538d"
        );
        let entry = "010100000000000000000000018bcfe56800b03e1351927ea920fbfcf51b4c35c7f3ac73bc7483570cbe1fdd615f18b5acff";
        let head = Head {
            origin: "example.com/trail",
            version: 0,
            size: 1,
            root: leaf_hash(&hex::decode(entry).unwrap()),
            previous: enrol_commit(&key, public),
        };
        assert_eq!(
            hex::encode(head_entry(&key, &head)),
            "01c2bcc317a24ad7b92f2585108e002f9f606fa985d5736c2debfbb2dfc31eca1cd802862ca4960c289dc096f49e15d1e6a5e413a352b1795b5e20687d6fba0d8f"
        );
        assert_eq!(format!("{key:?}"), "[redacted]");
        assert_ne!(key.label(0), key.label(1));
    }

    #[test]
    fn an_epoch_entry_has_its_fields_in_order() {
        let bytes = epoch_entry(1, 2, 3, &[4; 32]);
        assert_eq!(hex::encode(bytes), format!("03{:016x}{:016x}{:08x}{}", 1, 2, 3, "04".repeat(32)));
    }
}
