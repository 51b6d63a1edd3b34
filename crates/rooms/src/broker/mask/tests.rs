//! No cut of a text into frames lets a secret through; what is covered keeps its length.

use std::sync::LazyLock;

use bailee_types::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::super::recording::{RecordedFrame, Side};
use super::*;

fn frame(side: Side, channel: u32, bytes: &[u8]) -> RecordedFrame {
    RecordedFrame { at: Timestamp::from_ms(1_767_323_045_000), side, channel, bytes: bytes.to_vec() }
}

static OURS: LazyLock<Cover> = LazyLock::new(|| Cover::new(&Masks::default()).unwrap());

fn text(frames: &[RecordedFrame], side: Side) -> String {
    let all: Vec<u8> =
        frames.iter().filter(|f| f.side == side).flat_map(|f| f.bytes.iter().copied()).collect();
    String::from_utf8_lossy(&all).into_owned()
}

/// What a target shows, masked.
fn shown(bytes: &[u8]) -> String {
    let mut frames = [frame(Side::Target, 2, bytes)];
    OURS.lay(&mut frames, false);
    assert_eq!(frames[0].bytes.len(), bytes.len());
    text(&frames, Side::Target)
}

fn own(pattern: &str) -> Masks {
    Masks { builtin: Vec::new(), own: vec![OwnMask { name: "mine".into(), pattern: pattern.into() }] }
}

/// Text around a secret, and the secret.
const SECRETS: &[(&str, &str, &str)] = &[
    ("key ", "LTAI5tFakeFakeFakeFake12", " is on"),
    ("AccessKeySecret: ", "q8Wz0aQ1Xy2Bc3De4Fg5Hi6Jk7Lm8N", "\n"),
    ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\n"),
    ("alone ", "q8Wz0aQ1Xy2Bc3De4Fg5Hi6Jk7Lm8N", " there"),
    ("ALTER ROLE x PASSWORD '", "hunter2''s; --", "';"),
    ("alter user a identified by '", "gr8 pass", "' account lock"),
    ("CREATE ROLE x PASSWORD $q$", "it's", "$q$;"),
    ("export PGPASSWORD=", "s3cr3t-enough", " && psql"),
    ("{\"password\": \"", "pa ss\\\"wd", "\", \"user\": \"a\"}"),
    ("tool --password ", "open-sesame", " -v"),
    ("mysql -u root -p", "tops3cret", " shop"),
    ("curl -u lin:", "f00bar", " http://x/"),
    ("git clone https://lin:", "t0pf00", "@git.example/x"),
    ("数据库密码：", "chrysanth", "\n"),
    ("Authorization: Bearer ", "abcdefghijk.lmn-op_q", "\n"),
    ("jwt ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", " end"),
    ("gh ", "ghp_0123456789abcdefghijABCDEFGHIJ", " end"),
    ("id ", "11010519491231002X", ", born"),
    ("tel ", "13812345678", ", call"),
    ("tel ", "138-1234-5678", ", call"),
    ("abroad +", "49 30 1234567", ", call"),
    ("card ", "4111111111111111", ", expires"),
    ("cards ", "4111 1111 1111 1111 5500 0000 0000 0004", ", expire"),
    ("amex ", "3782-822463-10005", "."),
];

#[test]
fn masks_of_ours_cover_what_they_name_and_no_more() {
    for (before, secret, after) in SECRETS {
        let seen = shown(format!("{before}{secret}{after}").as_bytes());
        let covered: String = secret.chars().map(|c| if c.is_control() { c } else { '*' }).collect();
        let is_number = secret.starts_with(|c: char| c.is_ascii_digit()) && before.len() < 10;
        match is_number {
            // Between groups there may be a rest of what joins them.
            true => assert!(!seen.chars().any(|c| c.is_ascii_digit()), "{seen}"),
            false => assert_eq!(seen, format!("{before}{covered}{after}")),
        }
        assert!(seen.starts_with(before) && seen.ends_with(after), "{seen}");
    }
    for harmless in [
        "the password of the day is not here",
        "order 4111111111111112, row 12345678901234",
        "2026-11-28 09:31:13 commit 4b9016bdfe0a4b9016bdfe0a4b9016bdfe0a4b90",
        "uid=0(root) gid=0(root) 10.0.0.7 1767323045000",
        "110105194912310021 and 12345678901",
        "SELECT passwd_changed FROM pg_shadow",
    ] {
        assert_eq!(shown(harmless.as_bytes()), harmless);
    }
}

#[test]
fn a_private_key_is_covered_line_by_line() {
    let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNza\r\nQyNTUxOQ==\r\n-----END OPENSSH PRIVATE KEY-----\r\n$ ";
    let seen = shown(pem.as_bytes());
    assert_eq!(
        seen,
        "-----BEGIN OPENSSH PRIVATE KEY-----\r\n*********\r\n**********\r\n-----END OPENSSH PRIVATE KEY-----\r\n$ "
    );
    assert!(!shown(b"-----BEGIN RSA PRIVATE KEY-----\nMIIEow").contains("MIIE"), "cut off in the middle");
}

#[test]
fn what_a_terminal_does_to_a_secret_hides_it_from_nobody() {
    for (shows, secret) in [
        // Colours, a taken-back character, the wrap of a line editor, a word rubbed out after it was shown.
        (&b"--password=hu\x1b[31mnt\x1b[0mer2 "[..], "hunter2"),
        (b"--password=hunX\x08 \x08ter2 ", "ter2"),
        (b"curl -u lin:hun \rter2 x", "ter2"),
        (b"LTAI5tFakeFakeFakeFake12\x08\x08\x08\x08   ", "Fake"),
    ] {
        let seen = shown(shows);
        assert!(!seen.contains(secret) && !seen.contains("hun"), "{seen:?}");
        assert_eq!(
            seen.bytes().filter(u8::is_ascii_control).collect::<Vec<_>>(),
            shows.iter().copied().filter(u8::is_ascii_control).collect::<Vec<_>>(),
            "what moves the cursor stays"
        );
    }
    assert_eq!(shown(b"\x1b[31m--password=x1\x1b[0m"), "\x1b[31m--password=**\x1b[0m");
}

#[test]
fn what_is_typed_at_a_prompt_is_covered_until_the_line_ends() {
    let mut frames = vec![
        frame(Side::Client, 2, b"sudo id\r"),
        frame(Side::Target, 2, b"sudo id\r\n[sudo] passw"),
        frame(Side::Target, 2, b"ord for lin: "),
    ];
    frames.extend(b"tops\x7f!\rid\r".iter().map(|b| frame(Side::Client, 2, &[*b])));
    frames.push(frame(Side::Client, 4, b"other"));
    OURS.lay(&mut frames, false);
    assert_eq!(text(&frames, Side::Client), "sudo id\r****\x7f*\rid\rother");
    assert!(frames.iter().all(|f| f.bytes.len() == 1 || f.side == Side::Target || f.bytes.len() > 4));
}

#[test]
fn notes_are_covered_in_their_texts() {
    let note = json!({
        "kind": "statement", "sql": "ALTER ROLE a PASSWORD 'hunter2'", "rows": 4_111_111_111_111_111_u64,
        "parameters": ["4111111111111111", {"hex": hex::encode("4111111111111111")}, null],
    });
    let mut frames =
        [frame(Side::Note, 1, note.to_string().as_bytes()), frame(Side::Note, 1, b"{\"kind\":\"x\"}")];
    assert_eq!(OURS.lay(&mut frames, true), 7 + 16 + 16);
    let seen: Value = serde_json::from_slice(&frames[0].bytes).unwrap();
    assert_eq!(seen["sql"], "ALTER ROLE a PASSWORD '*******'");
    assert_eq!(seen["parameters"], json!(["*".repeat(16), {"hex": hex::encode("*".repeat(16))}, null]));
    assert_eq!(frames[1].bytes, b"{\"kind\":\"x\"}");
}

/// A WebSocket's frame; a client's is scrambled.
fn socket(body: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![0x82];
    let bit = if key.is_some() { 0x80 } else { 0 };
    match body.len() {
        n @ 0..126 => bytes.push(bit | n as u8),
        n => bytes.extend([bit | 126, (n >> 8) as u8, n as u8]),
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(body.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    bytes
}

#[test]
fn the_frames_of_a_web_socket_and_the_messages_of_a_database_are_opened() {
    let key = [7, 200, 33, 90];
    let typed = b"--password=hunter2 x";
    let mut frames = vec![frame(Side::Note, 5, br#"{"kind":"response","status":101}"#)];
    for byte in typed {
        frames.push(frame(Side::Client, 5, &socket(&[0, *byte], Some(key))));
        frames.push(frame(Side::Target, 5, &socket(&[1, *byte], None)));
    }
    let long = [&[1; 1][..], &b"-".repeat(200), b" LTAI5tFakeFakeFakeFake12"].concat();
    frames.push(frame(Side::Target, 5, &socket(&long, None)));
    let mut covered = frames.clone();
    OURS.lay(&mut covered, false);
    for (side, scramble) in [(Side::Client, Some(key)), (Side::Target, None)] {
        let mut wanted: Vec<u8> = b"--password=******* x"
            .iter()
            .flat_map(|b| socket(&[u8::from(side == Side::Target), *b], scramble))
            .collect();
        if side == Side::Target {
            let hidden = [&[1; 1][..], &b"-".repeat(200), b" ", &b"*".repeat(24)].concat();
            wanted.extend(socket(&hidden, None));
        }
        let got: Vec<u8> = covered.iter().filter(|f| f.side == side).flat_map(|f| f.bytes.clone()).collect();
        assert_eq!(got, wanted, "{side:?}");
    }

    let message =
        |kind: u8, body: &[u8]| [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat();
    // A row of COPY that goes on in the next message; its length is a digit.
    let one = message(b'd', &[&b"x".repeat(35)[..], b"card 4111 1111"].concat());
    let copy = [one, message(b'd', b" 1111 1111 is a card of some length, that is it")].concat();
    let mut frames = [frame(Side::Client, 1, &copy)];
    OURS.lay(&mut frames, true);
    assert!(!text(&frames, Side::Client).contains("1111"), "{:?}", text(&frames, Side::Client));
    let row = message(b'D', &[&[0, 1, 0, 0, 0, b'0'][..], b"4111111111111111", &b"x".repeat(32)].concat());
    let mut frames = [frame(Side::Target, 1, &row)];
    OURS.lay(&mut frames, true);
    assert!(!text(&frames, Side::Target).contains("4111"), "a length that looks like a digit");
}

#[test]
fn patterns_of_a_tenant_cover_their_first_group_and_bad_ones_are_refused_with_the_reason() {
    for (pattern, covered) in [
        ("PRJ-[0-9]+", "of ******* now"),
        ("PRJ-([0-9]+)", "of PRJ-*** now"),
        ("(?i)nix|(prj)", "of ***-042 now"),
    ] {
        let mut frames = [frame(Side::Target, 2, b"of PRJ-042 now")];
        Cover::new(&own(pattern)).unwrap().lay(&mut frames, false);
        assert_eq!(text(&frames, Side::Target), covered);
    }
    for (pattern, why) in [
        ("(", "unclosed group"),
        ("(?=x)", "look-around"),
        (r"\p{L}{400}{400}", "too large"),
        ("", "no pattern"),
        (&"x".repeat(501), "at most 500"),
    ] {
        let refused = own(pattern).check().unwrap_err().to_string();
        assert!(refused.contains(why) && refused.contains("mine") && !refused.contains('\n'), "{refused}");
    }
    let many =
        Masks { builtin: Vec::new(), own: vec![OwnMask { name: "a".into(), pattern: "a".into() }; 21] };
    assert!(many.check().is_err());
    let nameless =
        Masks { own: vec![OwnMask { name: "\n".into(), pattern: "a".into() }], ..Masks::default() };
    assert!(nameless.check().is_err());
}

#[test]
fn a_secret_at_the_border_of_what_is_looked_at_together_is_found() {
    for shift in 0..30 {
        let mut bytes = vec![b'.'; 256 * 1024 - shift];
        bytes.extend_from_slice(b" LTAI5tFakeFakeFakeFake12 ");
        bytes.resize(700 * 1024, b'.');
        assert!(!shown(&bytes).contains("Fake"), "{shift}");
    }
}

proptest! {
    #[test]
    fn no_cut_into_frames_lets_a_secret_through(
        which in 0..SECRETS.len(),
        noise in "[a-z .\n]{0,40}",
        cuts in proptest::collection::vec(0usize..200, 0..12),
        is_typed in any::<bool>(),
    ) {
        let (before, secret, after) = SECRETS[which];
        let whole = format!("{noise} {before}{secret}{after} {noise}").into_bytes();
        let mut cuts: Vec<_> = match is_typed {
            true => (0..=whole.len()).collect(),
            false => cuts.into_iter().map(|c| c.min(whole.len())).chain([0, whole.len()]).collect(),
        };
        cuts.sort_unstable();
        let mut one = [frame(Side::Target, 2, &whole)];
        let mut many: Vec<_> = cuts.windows(2).flat_map(|w| [
            frame(Side::Target, 2, &whole[w[0]..w[1]]),
            // What passes on other channels, and notes, stand between.
            frame(Side::Target, 3, b"PASSWORD '"),
            frame(Side::Note, 2, b"{}"),
        ]).collect();
        let before = many.clone();
        OURS.lay(&mut one, false);
        OURS.lay(&mut many, false);
        let seen: Vec<u8> =
            many.iter().filter(|f| f.channel == 2 && f.side == Side::Target).flat_map(|f| f.bytes.clone()).collect();
        prop_assert_eq!(&seen, &one[0].bytes);
        prop_assert!(!String::from_utf8_lossy(&seen).contains(secret));
        for (was, is) in before.iter().zip(&many) {
            prop_assert_eq!((was.at, was.side, was.channel, was.bytes.len()), (is.at, is.side, is.channel, is.bytes.len()));
        }
    }

    #[test]
    fn any_bytes_are_read(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(8), Just(b'4')], 0..300),
        cut in 0usize..300,
        is_database in any::<bool>(),
    ) {
        let (one, two) = bytes.split_at(cut.min(bytes.len()));
        for start in [&b"{}"[..], br#"{"kind":"response","status":101}"#] {
            let mut frames = [
                frame(Side::Note, 2, start), frame(Side::Target, 2, one), frame(Side::Client, 2, one),
                frame(Side::Target, 2, two), frame(Side::Client, 2, two), frame(Side::Note, 2, one),
            ];
            OURS.lay(&mut frames, is_database);
            prop_assert_eq!(frames[3].bytes.len() + frames[1].bytes.len(), bytes.len());
        }
    }
}
