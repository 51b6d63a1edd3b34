use super::*;
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::note::Signer;
use crate::record::{Entry, Kind, commitment};
use crate::tree::Frontier;
use proptest::prelude::*;

fn signer() -> Signer {
    Signer::from_seed("example.com/trail", &std::array::from_fn(|i| i as u8)).unwrap()
}

fn rows(n: u64) -> Vec<(Entry, [u8; 32], Vec<u8>)> {
    let row = |index: u64| {
        let event = format!("{{\"index\":{index}}}").into_bytes();
        let nonce = [index as u8; 32];
        let commitment = commitment(&nonce, &event);
        (Entry { kind: Kind::Heartbeat, index, time_ms: index, commitment }, nonce, event)
    };
    (0..n).map(row).collect()
}

fn head(rows: &[(Entry, [u8; 32], Vec<u8>)]) -> String {
    let mut frontier = Frontier::new();
    rows.iter().for_each(|(entry, ..)| frontier.append(entry.leaf_hash()).unwrap());
    let head =
        Checkpoint { origin: "example.com/trail".into(), size: frontier.size(), root: frontier.root() };
    head.sign(&signer()).unwrap()
}

fn manifest(records: u64, lead: Hash) -> Manifest {
    Manifest {
        origin: "example.com/trail".into(),
        tenant: "1000000000000001".into(),
        exported: "2026-01-02T03:04:05Z".into(),
        records,
        lead,
        scope: Scope::All,
        key: signer().verifier().clone(),
    }
}

/// A bundle of `n` records; the second is withheld, the third erased.
fn bundle(n: u64) -> Vec<u8> {
    let rows = rows(n);
    let head = head(&rows);
    let lead = lead_digest(head.as_bytes(), b"places", n).unwrap();
    let note = manifest(n, lead).sign(&signer()).unwrap();
    let mut writer = Writer::new(Vec::new(), note.as_bytes(), head.as_bytes(), b"places").unwrap();
    for row in &rows {
        writer.record(&row.0.encode(), opening(row)).unwrap();
    }
    writer.finish().unwrap()
}

fn opening((entry, nonce, event): &(Entry, [u8; 32], Vec<u8>)) -> Opening<'_> {
    match entry.index {
        1 => Opening::Withheld,
        2 => Opening::Erased,
        _ => Opening::Opened { nonce, event },
    }
}

fn read(bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
    let mut reader = Reader::open(bytes)?;
    let mut batch = Vec::new();
    while reader.read_into(&mut batch)? {}
    reader.finish()?;
    Ok(batch)
}

#[test]
fn a_bundle_is_read_back_as_it_was_written() {
    let bytes = bundle(5);
    let reader = Reader::open(bytes.as_slice()).unwrap();
    let signed = Manifest::open(reader.manifest_note(), signer().verifier()).unwrap();
    let head = Checkpoint::open(reader.checkpoint_note(), signer().verifier()).unwrap();
    assert_eq!((reader.count(), signed.records, head.size), (5, 5, 5));
    assert_eq!((reader.places(), *reader.lead()), (b"places".as_slice(), signed.lead));
    let batch = read(&bytes).unwrap();
    let rows = rows(5);
    let found: Vec<_> = records(&batch).map(|r| (Entry::decode(r.entry).unwrap(), r.opening)).collect();
    let wanted: Vec<_> = rows.iter().map(|row| (row.0, opening(row))).collect();
    assert_eq!(found, wanted);
}

#[test]
fn the_manifest_has_these_lines() {
    let text = manifest(5, Hash([0xab; 32])).to_string();
    assert_eq!(
        text,
        format!(
            "bailee-bundle/v2\nexample.com/trail\ntenant 1000000000000001\nexported 2026-01-02T03:04:05Z\nrecords 5\nlead {}\nscope all\nkey example.com/trail+e0a97276+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\n",
            "ab".repeat(32)
        )
    );
    assert_eq!(Manifest::parse(&text), Ok(manifest(5, Hash([0xab; 32]))));
    let error = |from: &str, to: &str| Manifest::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
    assert_eq!(error("/v2", "/v1"), "line 1 of the manifest must be `bailee-bundle/v2`");
    assert_eq!(error("tenant 1", "tenant x"), "line 3 of the manifest must be `tenant` and 16 digits");
    assert_eq!(
        error("T03:", "T24:"),
        "line 4 of the manifest must be `exported` and a time like 2026-01-02T03:04:05Z"
    );
    assert_eq!(error("records 5", "records 05"), "line 5 of the manifest must be `records` and a number");
    assert_eq!(
        error("lead ab", "lead AB"),
        "line 6 of the manifest must be `lead` and 64 lower-case hex digits"
    );
    assert_eq!(error("scope all", "scope ALL"), "line 7 of the manifest must be `scope` and `all` or a part");
    assert_eq!(error("key ", ""), "line 8 of the manifest must be `key` and a verifier key");
    assert_eq!(error("TG4\n", "TG4\nmore\n"), "line 9 of the manifest must be absent");
    assert_eq!(
        error("\nexample.com/trail\n", "\nexample.com/other\n"),
        "the manifest is of the log `example.com/other`, its key is of `example.com/trail`"
    );
    assert!(Manifest::parse(text.trim_end()).is_err());
}

#[test]
fn a_manifest_with_a_second_signature_line_is_refused() {
    let other = Signer::from_seed("other", &[1; 32]).unwrap();
    let text = manifest(0, Hash([0; 32])).to_string();
    let note = crate::note::sign(&text, &[&signer(), &other]).unwrap();
    assert_eq!(
        Manifest::open(note.as_bytes(), signer().verifier()).unwrap_err().to_string(),
        "the manifest has 2 signature lines, it must have one"
    );
    assert!(manifest(0, Hash([0; 32])).sign(&other).is_err());
}

#[test]
fn a_writer_refuses_what_a_reader_would() {
    let rows = rows(2);
    let head = head(&rows);
    let note = manifest(2, lead_digest(head.as_bytes(), b"", 2).unwrap()).sign(&signer()).unwrap();
    let begin = || Writer::new(Vec::new(), note.as_bytes(), head.as_bytes(), b"").unwrap();
    let other = Writer::new(Vec::new(), note.as_bytes(), head.as_bytes(), b"other");
    assert!(matches!(other, Err(WriteError::Changed)));

    let mut short = begin();
    short.record(&rows[0].0.encode(), opening(&rows[0])).unwrap();
    assert_eq!(short.finish().unwrap_err().to_string(), "the bundle was announced with 2 records and got 1");
    let long = vec![b' '; crate::event::EVENT_BYTES_MAX + 1];
    let long = Opening::Opened { nonce: &[0; 32], event: &long };
    assert_eq!(
        begin().record(&rows[0].0.encode(), long).unwrap_err().to_string(),
        "an event has 65537 bytes, more than 65536"
    );
}

#[test]
fn a_file_that_is_not_a_whole_bundle_is_refused_with_the_place() {
    let bytes = bundle(4);
    let text = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(
        text(b"PK\x03\x04"),
        "this is not a bundle: it does not begin with the line `bailee-bundle/v2`"
    );
    assert_eq!(text(&bytes[..5]), "the file ends at byte 5, within the first line");
    assert_eq!(text(&bytes[..20]), "the file ends at byte 20, within the manifest");
    let size = bytes.len();
    assert_eq!(text(&bytes[..size - 1]), format!("the file ends at byte {}, within record 3", size - 1));
    let longer = [bytes.as_slice(), b"\n"].concat();
    assert_eq!(text(&longer), format!("the last record ends at byte {size}, but the file goes on"));
    for cut in 0..size {
        assert!(matches!(read(&bytes[..cut]), Err(BundleError::Cut { at, .. }) if at == cut as u64), "{cut}");
    }
    let mut huge = bytes.clone();
    huge[17] = 1;
    assert!(text(&huge).starts_with("the manifest (byte 17) says that 16777"), "{}", text(&huge));
    let last = size - crate::bundle::RECORD_HEAD_BYTES - 11;
    let mut unmarked = bytes.clone();
    unmarked[last + 50] = 3;
    assert_eq!(
        text(&unmarked),
        format!(
            "record 3 (byte {}) has the mark 3; a record is 0 (erased), 1 (opened) or 2 (withheld)",
            last + 50
        )
    );
    let mut endless = bytes;
    endless[last + 83] = 1;
    assert_eq!(
        text(&endless),
        format!("record 3 (byte {}) says that 16777227 bytes follow, more than 65536", last + 83)
    );
}

#[test]
fn a_source_that_fails_is_told_apart_from_a_bad_bundle() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    assert!(matches!(Reader::open(Broken), Err(BundleError::Io { at: 0, .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&tail);
        let _ = read(&[MAGIC, &tail].concat());
        let mut cut = bundle(1);
        cut.truncate(cut.len() - tail.len().min(cut.len()));
        let _ = read(&[cut, tail.clone()].concat());
        prop_assert!(records(&tail).count() < 8);
        if let Ok(text) = std::str::from_utf8(&tail) {
            let _ = Manifest::parse(text);
        }
    }
}
