//! The object envelope: what was sealed opens, what was changed or moved does not.
#![no_main]

use bailee_crypto::envelope::{Context, DataKey, HEADER_LEN, Opener, SEGMENT_LEN, Sealer, Suite};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let key = DataKey::from_bytes(&[7; 32]).expect("32 bytes");
    let here = Context { tenant: "1000000000000001", bucket: "acme", version: [1; 16] };
    // Straight from outside: never anything but an error.
    if let Some((header, sealed)) = bytes.split_at_checked(HEADER_LEN) {
        assert!(Opener::new(&key, &here, header).is_err());
        let _ = sealed;
    }
    let Some((&[a, b, c, last], plain)) = bytes.split_first_chunk::<4>() else { return };
    let plain = &plain[..plain.len().min(SEGMENT_LEN)];
    let suite = if last & 2 == 0 { Suite::Aes256Gcm } else { Suite::Sm4Gcm };
    let (mut sealer, header) = Sealer::new(&key, suite, &here);
    let mut sealed = plain.to_vec();
    sealer.seal_segment(&mut sealed, true).expect("one segment");
    let opener = Opener::new(&key, &here, &header).expect("our own header");
    let mut same = sealed.clone();
    let len = opener.open_run(0, true, &mut same).expect("our own segment");
    assert_eq!(&same[..len], plain);

    let at = usize::from(u16::from_le_bytes([a, b]));
    let mut changed = sealed.clone();
    let at_segment = at % changed.len();
    changed[at_segment] ^= c | 1;
    assert!(opener.open_run(0, true, &mut changed).is_err());
    let mut changed = header;
    changed[at % HEADER_LEN] ^= c | 1;
    assert!(Opener::new(&key, &here, &changed).is_err());
    assert!(opener.open_run(u32::from(last) + 1, true, &mut sealed.clone()).is_err(), "another place");
    assert!(opener.open_run(0, false, &mut sealed.clone()).is_err(), "an end that is not the end");
    let mut cut = sealed[..sealed.len() - 1 - at % sealed.len()].to_vec();
    assert!(opener.open_run(0, true, &mut cut).is_err());
    let elsewhere = Context { bucket: "acmf", ..here };
    assert!(Opener::new(&key, &elsewhere, &header).is_err());
});
