//! What we sign, prove and lay out is read by implementations that are not ours, and theirs by us: `signed_note` and
//! `tlog_tiles` (Cloudflare, after Go's `sumdb`) for notes, checkpoints, tiles and proofs, `fips204` for ML-DSA-44.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::note::{Note, Signer, VerifierKey, cosign, sign};
use bailee_proof::tile::{Tile, new_entry_bundles, new_tiles, parent, subtrees, tile_bytes};
use bailee_proof::tree::{
    ProofError, consistency_proof, from_leaves, inclusion_proof, root_of, verify_consistency,
    verify_inclusion,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog_tiles::HashReader;

const SIZE: u64 = 600;

/// Their tree: all hashes in the order in which they store them.
struct Theirs(Vec<tlog_tiles::Hash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
    }
}

fn entry(i: u64) -> Vec<u8> {
    format!("leaf {i}").into_bytes()
}

fn theirs(size: u64) -> Theirs {
    let mut tree = Theirs(Vec::new());
    for i in 0..size {
        let new = tlog_tiles::stored_hashes(i, &entry(i), &tree).unwrap();
        tree.0.extend(new);
    }
    tree
}

fn ours(size: u64) -> Vec<Hash> {
    (0..size).map(|i| leaf_hash(&entry(i))).collect()
}

fn to_theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|h| tlog_tiles::Hash(h.0)).collect()
}

fn to_ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|h| Hash(h.0)).collect()
}

#[test]
fn roots_and_proofs_agree_in_both_directions() {
    let (tree, leaves) = (theirs(SIZE), ours(SIZE));
    let leaf = |i: u64| Ok::<_, ProofError>(leaves[i as usize]);
    for size in [1, 2, 3, 7, 255, 256, 257, 511, SIZE] {
        let root = root_of(&leaves[..size as usize]);
        let their_root = tlog_tiles::tree_hash(size, &tree).unwrap();
        assert_eq!(their_root.0, root.0, "size {size}");
        for index in [0, size / 2, size - 1] {
            let (their_leaf, our_leaf) = (tlog_tiles::record_hash(&entry(index)), leaves[index as usize]);
            let proof = inclusion_proof(index, size, from_leaves(leaf)).unwrap();
            tlog_tiles::check_record(&to_theirs(&proof), size, their_root, index, their_leaf).unwrap();
            let theirs = tlog_tiles::prove_record(size, index, &tree).unwrap();
            verify_inclusion(index, size, &our_leaf, &to_ours(&theirs), &root).unwrap();
            assert_eq!(to_ours(&theirs), proof);
        }
        for old in [1, size / 2, size - 1].into_iter().filter(|old| (1..size).contains(old)) {
            let old_root = root_of(&leaves[..old as usize]);
            let proof = consistency_proof(old, size, from_leaves(leaf)).unwrap();
            let their_old = tlog_tiles::tree_hash(old, &tree).unwrap();
            tlog_tiles::check_tree(&to_theirs(&proof), size, their_root, old, their_old).unwrap();
            let theirs = tlog_tiles::prove_tree(size, old, &tree).unwrap();
            verify_consistency(old, size, &to_ours(&theirs), &old_root, &root).unwrap();
            assert_eq!(to_ours(&theirs), proof);
        }
    }
}

#[test]
fn tiles_have_the_same_paths_and_bytes_and_our_proofs_come_out_of_theirs() {
    let tree = theirs(SIZE);
    let mut their_tiles = tlog_tiles::Tile::new_tiles(8, 0, SIZE);
    their_tiles.sort_by_key(|t| (t.level(), t.level_index()));
    let our_tiles: Vec<Tile> = new_tiles(0, SIZE).collect();
    // Their path begins with the height; the specification's has none.
    let their_paths: Vec<String> =
        their_tiles.iter().map(|t| t.path().replacen("tile/8/", "tile/", 1)).collect();
    let our_paths: Vec<String> = our_tiles.iter().map(ToString::to_string).collect();
    assert_eq!(our_paths, their_paths);
    let leaves = ours(SIZE);
    let level1: Vec<Hash> = leaves.chunks(256).filter_map(parent).collect();
    for (our, their) in our_tiles.iter().zip(&their_tiles) {
        let level = if our.level() == 0 { &leaves } else { &level1 };
        let begin = our.index as usize * 256;
        let bytes = tile_bytes(&level[begin..begin + usize::from(our.width)]);
        assert_eq!(bytes, their.read_data(&tree).unwrap(), "{our}");
    }
    let fetch = |tile: Tile| {
        let their = tlog_tiles::Tile::new(8, tile.level(), tile.index, u32::from(tile.width), false);
        let bytes = their.read_data(&tree).unwrap();
        Ok::<_, ProofError>(bailee_proof::tile::read_tile(&bytes, tile.width).unwrap())
    };
    let proof = inclusion_proof(300, SIZE, subtrees(SIZE, fetch)).unwrap();
    verify_inclusion(300, SIZE, &leaves[300], &proof, &root_of(&leaves)).unwrap();
    for tile in new_entry_bundles(0, 70_000) {
        let their = tlog_tiles::Tile::new(8, 0, tile.index, u32::from(tile.width), true);
        assert_eq!(tile.to_string().replace("entries", "data"), their.path().replacen("tile/8/", "tile/", 1));
    }
}

#[test]
fn notes_are_read_in_both_directions() {
    let seed = [7; 32];
    let signer = Signer::from_seed("example.com/trail", &seed).unwrap();
    let vkey = signer.verifier().to_string();
    let checkpoint = Checkpoint { origin: "example.com/trail".into(), size: 7, root: root_of(&ours(7)) };
    let mut note = checkpoint.sign(&signer).unwrap();
    // A cosignature and an ML-DSA line are lines by unknown keys to them.
    let witness = Signer::witness_from_seed("witness.example/w1", &[8; 32]).unwrap();
    let second = Signer::mldsa44_from_seed("example.com/trail", &[9; 32]).unwrap();
    note.push_str(&cosign(&checkpoint.to_string(), &witness, 1_700_000_000).unwrap());
    note.push_str(&cosign(&checkpoint.to_string(), &second, 1_700_000_000).unwrap());
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let known =
        signed_note::VerifierList::new(vec![Box::new(signed_note::StandardVerifier::new(&vkey).unwrap())]);
    let (verified, unverified) = theirs.verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 2));
    let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((read.origin(), read.size(), read.hash().0), ("example.com/trail", 7, checkpoint.root.0));
    assert_eq!(theirs.to_bytes(), note.as_bytes());

    let secret = STANDARD.encode([&[1], seed.as_slice()].concat());
    let skey = format!("PRIVATE+KEY+example.com/trail+{:08x}+{secret}", signer.verifier().id());
    let their_signer = signed_note::StandardSigner::new(&skey).unwrap();
    let mut theirs = signed_note::Note::new(b"first\n\nlast\n", &[]).unwrap();
    theirs.add_sigs(&[&their_signer]).unwrap();
    let bytes = theirs.to_bytes();
    let read = Note::parse(&bytes).unwrap();
    assert_eq!(read.verify(&[&VerifierKey::parse(&vkey).unwrap()]).unwrap().len(), 1);
    assert_eq!(bytes, sign("first\n\nlast\n", &[&signer]).unwrap().into_bytes());
}

#[test]
fn an_mldsa_line_holds_for_another_implementation_over_the_message_as_the_specification_spells_it() {
    use fips204::ml_dsa_44::{KG, PublicKey};
    use fips204::traits::{KeyGen, SerDes, Signer as _, Verifier as _};

    let seed = [0x55; 32];
    let ours = Signer::mldsa44_from_seed("witness.example/pq", &seed).unwrap();
    let (their_public, their_secret) = KG::keygen_from_seed(&seed);
    assert_eq!(their_public.clone().into_bytes().as_slice(), ours.verifier().public());
    let checkpoint =
        Checkpoint { origin: "example.com/trail".into(), size: 7, root: root_of(&self::ours(7)) };
    let time = 1_700_000_000u64;
    let line = cosign(&checkpoint.to_string(), &ours, time).unwrap();
    let note = format!("{checkpoint}\n{line}");
    let payload = Note::parse(note.as_bytes()).unwrap().lines()[0].signature().to_vec();
    let mut message = b"subtree/v1\n\0\x12witness.example/pq".to_vec();
    message.extend(time.to_be_bytes());
    message.extend(b"\x11example.com/trail");
    message.extend(0u64.to_be_bytes());
    message.extend(7u64.to_be_bytes());
    message.extend(checkpoint.root.0);
    let public = PublicKey::try_from_bytes(ours.verifier().public().try_into().unwrap()).unwrap();
    assert!(public.verify(&message, payload[8..].try_into().unwrap(), &[]));
    // And theirs for us.
    let theirs = their_secret.try_sign_with_seed(&[3; 32], &message, &[]).unwrap();
    let bytes = [ours.verifier().id().to_be_bytes().as_slice(), &time.to_be_bytes(), &theirs].concat();
    let note = format!("{checkpoint}\n\u{2014} witness.example/pq {}\n", STANDARD.encode(bytes));
    let verified = Note::parse(note.as_bytes()).unwrap().verify(&[ours.verifier()]).unwrap();
    assert_eq!(verified[0].timestamp, Some(time));
}
