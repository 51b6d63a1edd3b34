use super::*;
use proptest::prelude::*;

/// The vectors of facts/tlog.md §8: log seed 00..1f, witness seed 20..3f.
const LOG_VKEY: &str = "example.com/trail+e0a97276+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const WITNESS_VKEY: &str = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";
const TEXT: &str = "example.com/trail\n7\nWmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=\n";
const CHECKPOINT: &str = "example.com/trail
7
WmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=

— example.com/trail 4KlydpiHX3zHwqOEIBVP+UI1rWZPnAtQ3Y6AE77YNf8m560xDW3e6iLfFzXgta8/ciyF47d0uvuOa0y0hI8YbnBxnQg=
— witness.example/w1 IDJKvgAAAABlU/EAfnVNI/ptGg6zEqqoMHJxUAbgpMrHX0EHB8LAqwnxbhOwvmeIbXNRM8ZLMzoL7/KK3+IAmBTRij24fKYYro8YAw==
";

fn seed(first: u8) -> [u8; 32] {
    std::array::from_fn(|i| first + i as u8)
}

fn log() -> Signer {
    Signer::from_seed("example.com/trail", &seed(0)).unwrap()
}

fn witness() -> Signer {
    Signer::witness_from_seed("witness.example/w1", &seed(0x20)).unwrap()
}

#[test]
fn the_known_keys_print_and_read() {
    assert_eq!(log().verifier().to_string(), LOG_VKEY);
    assert_eq!(witness().verifier().to_string(), WITNESS_VKEY);
    assert_eq!(VerifierKey::parse(LOG_VKEY).as_ref(), Ok(log().verifier()));
    assert_eq!(VerifierKey::parse(WITNESS_VKEY).as_ref(), Ok(witness().verifier()));
    let public = hex::encode(log().verifier().public());
    assert_eq!(public, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    assert!(log().verifier().fingerprint().to_string().starts_with("e0a97276"));
    assert_eq!(format!("{:?}", log()), format!("Signer({LOG_VKEY})"));
}

#[test]
fn the_known_checkpoint_is_signed_cosigned_and_verified() {
    let mut note = sign(TEXT, &[&log()]).unwrap();
    note.push_str(&cosign(TEXT, &witness(), 1_700_000_000).unwrap());
    assert_eq!(note, CHECKPOINT);
    let read = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(read.text(), TEXT);
    let keys = [log(), witness()];
    assert_eq!(
        read.verify(&[keys[0].verifier(), keys[1].verifier()]),
        Ok(vec![Verified { key: 0, timestamp: None }, Verified { key: 1, timestamp: Some(1_700_000_000) }])
    );
    assert_eq!(cosign(TEXT, &log(), 1), Err(NoteError::Unsignable));
    assert_eq!(cosign(TEXT, &witness(), 1 << 63), Err(NoteError::Unsignable));
}

#[test]
fn the_example_of_the_specification_opens() {
    let key =
        VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(&[&key]).map(|v| v.len()), Ok(1));
}

#[test]
fn a_line_by_an_unknown_key_is_ignored_and_a_wrong_one_by_a_known_key_rejects() {
    let other = Signer::from_seed("example.com/trail", &[9; 32]).unwrap();
    let both = sign("a\n", &[&other, &log()]).unwrap();
    let note = Note::parse(both.as_bytes()).unwrap();
    assert_eq!(note.verify(&[log().verifier()]), Ok(vec![Verified { key: 0, timestamp: None }]));

    let changed = both.replacen("a\n", "b\n", 1);
    let error = Note::parse(changed.as_bytes()).unwrap().verify(&[log().verifier()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the signature by `example.com/trail` does not verify: the text or the signature was changed"
    );

    let error = note.verify(&[witness().verifier()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the note is not signed by a known key (it names `example.com/trail+{:08x}`, `example.com/trail+e0a97276`)",
            other.verifier().id()
        )
    );
    // A good line does not outweigh a bad one by another known key.
    let cosigned = CHECKPOINT.replace("IDJKvgAAAABlU/EA", "IDJKvgAAAABlU/EB");
    let keys = [log(), witness()];
    let verdict = Note::parse(cosigned.as_bytes()).unwrap().verify(&[keys[0].verifier(), keys[1].verifier()]);
    assert_eq!(verdict, Err(NoteError::Wrong { name: "witness.example/w1".into() }));
}

#[test]
fn a_text_with_blank_lines_is_split_at_the_last_one() {
    let text = "a\n\n\nb\n";
    let note = sign(text, &[&log()]).unwrap();
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(note.text(), text);
    assert!(note.verify(&[log().verifier()]).is_ok());
}

#[test]
fn another_form_of_a_note_is_refused() {
    let good = sign("a\n", &[&log()]).unwrap();
    let cases: Vec<(String, NoteError)> = vec![
        (String::new(), NoteError::NoSignatures),
        ("a\n".into(), NoteError::NoSignatures),
        ("a\n\n".into(), NoteError::NoSignatures),
        (good.trim_end().into(), NoteError::NoSignatures),
        (format!("{good}\n"), NoteError::NoSignatures),
        (good.replace('\u{2014}', "-"), NoteError::Line(1)),
        (good.replace("\u{2014} ", "\u{2014}  "), NoteError::Line(1)),
        (good.replace("a\n\n", "a\r\n\r\n"), NoteError::NotText),
        (good.replace("trail ", "trail\t"), NoteError::NotText),
        (good.replace("trail", "tra+il"), NoteError::Line(1)),
        (good.replace("trail", "tra\u{3000}il"), NoteError::Line(1)),
        (good.replace("=\n", "\n"), NoteError::Line(1)),
        (good.replace("=\n", "=x\n"), NoteError::Line(1)),
        ("a\n\n\u{2014} n AAAAAA==\n".into(), NoteError::Line(1)),
        (format!("a\n\n{}", "\u{2014} n AAAAAAAA\n".repeat(65)), NoteError::TooManyLines),
        (format!("{}\n\n\u{2014} n AAAAAAAA\n", "a".repeat(NOTE_BYTES_MAX)), NoteError::TooLong(262_161)),
    ];
    for (note, error) in cases {
        assert_eq!(
            Note::parse(note.as_bytes()).unwrap_err(),
            error,
            "{:?}",
            note.chars().take(90).collect::<String>()
        );
    }
    assert_eq!(Note::parse(b"a\xff\n\n").unwrap_err(), NoteError::NotText);
    assert_eq!(sign("a", &[&log()]), Err(NoteError::Unsignable));
    assert_eq!(sign("a\tb\n", &[&log()]), Err(NoteError::Unsignable));
}

#[test]
fn stray_bits_in_base64_are_refused() {
    // 68 bytes leave 16 bits for three characters: the last two bits of `g` must be 0, as they are; `h` sets one.
    let changed = CHECKPOINT.replacen("nQg=\n", "nQh=\n", 1);
    assert_ne!(changed, CHECKPOINT);
    assert_eq!(Note::parse(changed.as_bytes()).unwrap_err(), NoteError::Line(1));
}

#[test]
fn another_form_of_a_key_is_refused() {
    let text = |vkey: &str| VerifierKey::parse(vkey).unwrap_err().to_string();
    assert_eq!(text("example.com"), "`example.com` is not a verifier key of the form name+hex8+base64");
    assert_eq!(
        text(&LOG_VKEY.replace("e0a9", "e0a8")),
        "the id in the verifier key `example.com/trail` is e0a87276, its name and key give e0a97276: a character was changed"
    );
    assert!(VerifierKey::parse(&LOG_VKEY.replace("e0a97276", "E0A97276")).is_err());
    assert!(VerifierKey::parse(&LOG_VKEY.replace("example", "exam ple")).is_err());
    assert!(VerifierKey::parse(&format!("{LOG_VKEY} ")).is_err());
    assert_eq!(
        text("+00000000+AQ=="),
        "`` cannot name a key: 1 to 256 bytes without spaces, control characters and plus signs"
    );
    let short = sha256_id("n", &[1, 2]);
    assert!(VerifierKey::parse(&format!("n+{short}+AQI=")).is_err());
    let rfc6962 = sha256_id("n", &[5, 2]);
    assert_eq!(
        text(&format!("n+{rfc6962}+BQI=")),
        "the verifier key `n` has type 05: only 01 (Ed25519), 04 (Ed25519 cosignature) and 06 (ML-DSA-44 cosignature) are understood"
    );
    assert!(Signer::from_seed("a b", &[0; 32]).is_err());
}

fn sha256_id(name: &str, payload: &[u8]) -> String {
    crate::hash::sha256(&[name.as_bytes(), b"\n", payload]).to_string()[..8].to_owned()
}

#[test]
fn each_changed_byte_of_a_signed_note_is_refused_or_ignored_never_accepted_as_another_text() {
    let log = log();
    let good = sign(TEXT, &[&log]).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let accepted = Note::parse(&bytes).is_ok_and(|note| note.verify(&[log.verifier()]).is_ok());
            assert!(!accepted, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn an_mldsa_line_covers_origin_size_root_time_and_the_signers_name() {
    let second = Signer::mldsa44_from_seed("example.com/trail", &seed(0x80)).unwrap();
    let vkey = second.verifier().to_string();
    assert_eq!(VerifierKey::parse(&vkey).as_ref(), Ok(second.verifier()));
    assert_eq!(second.verifier().public().len(), 1312);
    let line = cosign(TEXT, &second, 1_700_000_000).unwrap();
    let note = format!("{}{line}", sign(TEXT, &[&log()]).unwrap());
    let read = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(read.lines()[1].signature().len(), 8 + 2420);
    let verified = read.verify(&[second.verifier()]);
    assert_eq!(verified, Ok(vec![Verified { key: 0, timestamp: Some(1_700_000_000) }]));
    // Another size, root, origin or time: the line does not hold.
    for (from, to) in
        [("\n7\n", "\n8\n"), ("\nWmH8", "\nWmH9"), ("example.com/trail\n7", "example.com/trial\n7")]
    {
        let changed = note.replacen(from, to, 1);
        assert_ne!(changed, note);
        assert!(Note::parse(changed.as_bytes()).unwrap().verify(&[second.verifier()]).is_err(), "{from}");
    }
    let mut payload = read.lines()[1].signature().to_vec();
    payload[7] ^= 1;
    assert_eq!(second.verifier().check(TEXT, &payload), None);
    let renamed = Signer::mldsa44_from_seed("example.com/other", &seed(0x80)).unwrap();
    assert!(renamed.verifier().same_public(second.verifier()));
    assert_eq!(renamed.verifier().check(TEXT, read.lines()[1].signature()), None);
    // It signs checkpoints only, and no key of this type makes a plain line.
    assert_eq!(cosign("hello\n", &second, 1), Err(NoteError::Unsignable));
    assert_eq!(sign(TEXT, &[&second]), Err(NoteError::Unsignable));
    assert_eq!(sign(TEXT, &[&witness()]), Err(NoteError::Unsignable));
    assert!(Signer::mldsa44_from_seed(&"n".repeat(256), &seed(0)).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Note::parse(&bytes);
    }

    #[test]
    fn any_text_below_a_blank_line_is_read_without_a_panic(lines in "(\u{2014} [a-z+ ]{0,3} ?[A-Za-z0-9+/=]{0,12}\n?){0,3}", key in "[a-z]{0,2}\\+?[0-9a-f]{0,8}\\+?[A-Za-z0-9+/=]{0,8}") {
        let note = format!("t\n\n{lines}");
        if let Ok(read) = Note::parse(note.as_bytes()) {
            let printed: String = read.lines().iter().map(ToString::to_string).collect();
            prop_assert_eq!(format!("{}\n{printed}", read.text()), note);
        }
        let _ = VerifierKey::parse(&key);
    }
}
