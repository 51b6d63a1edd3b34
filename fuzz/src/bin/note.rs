//! Notes, checkpoints, keys and tiles of a log, published totals, statements that passkeys sign: nothing panics, and what is read prints as it was.
#![no_main]

use bailee_proof::approval::ApprovalStatement;
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::note::{Note, Signer, VerifierKey};
use bailee_proof::passkey::{Assertion, fingerprint};
use bailee_proof::tile::{Tile, read_bundle, read_tile};
use bailee_proof::totals::Totals;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let signer = Signer::from_seed("trust.example/trail/0", &[3; 32]).expect("a signer");
    if let Ok(note) = Note::parse(bytes) {
        // Nobody signs without the key.
        assert!(note.verify(&[signer.verifier()]).is_err());
    }
    assert!(Checkpoint::open(bytes, signer.verifier()).is_err());
    assert!(Totals::open(bytes, signer.verifier()).is_err());
    let _ = (read_tile(bytes, 3), read_bundle(bytes, 3));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(statement) = ApprovalStatement::parse(text) {
        assert_eq!(statement.to_string(), text);
    }
    if let Ok(totals) = Totals::parse(text) {
        assert_eq!(totals.to_string(), text);
        assert!(Checkpoint::parse(text).is_err());
    }
    let part = |n: usize| text.split('.').nth(n).unwrap_or_default();
    let (public_key, authenticator_data, client_data, signature) = (part(0), part(1), part(2), part(3));
    let _ = (fingerprint(public_key), Assertion { public_key, authenticator_data, client_data, signature }.open());
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.to_string(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        let signed = checkpoint.sign(&signer);
        if let Ok(signed) = signed {
            assert_eq!(Checkpoint::open(signed.as_bytes(), signer.verifier()), Ok(checkpoint));
        }
    }
});
