use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{AeadInOut, AesGcm};
use proptest::prelude::*;

use super::*;

type Gcm<N = U12> = AesGcm<Sm4, N>;
type Theirs<N = U12> = AesGcm<sm4::Sm4, N>;

/// Every engine of this machine under one key.
fn engines(key: [u8; 16]) -> Vec<(Engine, Sm4)> {
    let all: Vec<_> = Engine::ALL.into_iter().filter_map(|e| Some((e, Sm4::with(e, &key)?))).collect();
    assert_eq!(all.last().map(|(e, _)| *e), Some(Engine::Portable));
    all
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// GB/T 32907, appendix A: one block, and the same again and again.
#[test]
fn blocks_are_the_standards() {
    let key = unhex("0123456789abcdeffedcba9876543210");
    for (engine, sm4) in engines(key) {
        let mut block = key.into();
        sm4.encrypt_block(&mut block);
        assert_eq!(hex::encode(block), "681edf34d206965e86b3e94f536e4246", "{engine:?}");
        for _ in 1..1_000_000 {
            sm4.encrypt_block(&mut block);
        }
        assert_eq!(hex::encode(block), "595298c7c6fd271f0402f804c33d3f66", "{engine:?}");
    }
}

/// RFC 8998, appendix A.1.
#[test]
fn gcm_is_the_standards() {
    let plain = hex::decode(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    )
    .unwrap();
    let wanted = "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec";
    let aad = unhex::<20>("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    for (engine, sm4) in engines(unhex("0123456789abcdeffedcba9876543210")) {
        let sealed = Gcm::<U12>::from(sm4)
            .encrypt(&unhex::<12>("00001234567800000000abcd").into(), Payload { msg: &plain, aad: &aad })
            .unwrap();
        assert_eq!(hex::encode(sealed), wanted, "{engine:?}");
    }
}

/// 5,001 messages of 0 to 5,000 bytes, each under the tag of the one before: the last tag proves them all. OpenSSL's SM4-GCM gives
/// the tags that stand here (`tests/oracles/make_sm4.py`).
#[test]
fn every_length_is_openssls() {
    const TAGS: [(usize, &str); 3] = [
        (0, "c68812991948b65a8344bc85378d05b2"),
        (1_000, "d3eb4c42901b2dbe934defb7c0e8c081"),
        (5_000, "0888b45d278d1aefb619bc9d3702503b"),
    ];
    for engine in Engine::ALL {
        let mut tag = [7; 16];
        for len in 0..=5_000 {
            let Some(sm4) = Sm4::with(engine, &tag) else { break };
            let nonce: [u8; 12] = std::array::from_fn(|i| tag[15 - i]);
            let mut content: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            let gcm = Gcm::<U12>::from(sm4);
            let made = gcm
                .encrypt_inout_detached(&nonce.into(), &tag[..len % 17], InOutBuf::from(&mut content[..]))
                .unwrap();
            tag = made.into();
            for (_, wanted) in TAGS.iter().filter(|(at, _)| *at == len) {
                assert_eq!(hex::encode(tag), *wanted, "{engine:?} {len}");
            }
        }
    }
}

/// A nonce of 16 bytes after which the 32 bits of the counter wrap with the sixth block; the tag is OpenSSL's, too.
#[test]
fn a_counter_that_wraps_carries_into_nothing() {
    let (key, nonce) = ([7; 16], unhex::<16>("45519bf108fed16ec1f25cc115c51f7d"));
    for (engine, sm4) in engines(key) {
        let plain = [9; 1_000];
        let sealed = Gcm::<U16>::from(sm4).encrypt(&nonce.into(), &plain[..]).unwrap();
        assert_eq!(sealed, Theirs::<U16>::new(&key.into()).encrypt(&nonce.into(), &plain[..]).unwrap());
        assert_eq!(hex::encode(&sealed[1_000..]), "18aa45471cb95927d08bfb83b6fafd93", "{engine:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_key_is_the_kernels_where_it_can_be() {
    let is_fast = matches!(Sm4::new(&[7; 16].into()).0, Kind::Fast(_));
    assert_eq!(is_fast, is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx2"));
}

#[test]
fn a_key_does_not_print() {
    for (_, sm4) in engines([7; 16]) {
        assert_eq!(format!("{sm4:?}"), "[redacted]");
    }
}

proptest! {
    /// Whatever lies in a batch, and wherever it lies in memory.
    #[test]
    fn what_is_sealed_is_what_rustcrypto_seals(
        key in any::<[u8; 16]>(), nonce in any::<[u8; 12]>(), aad in proptest::collection::vec(any::<u8>(), 0..50),
        content in proptest::collection::vec(any::<u8>(), 0..1_500), from in 0usize..33,
    ) {
        let from = from.min(content.len());
        let plain = &content[from..];
        let theirs = Theirs::<U12>::new(&key.into());
        let mut wanted = plain.to_vec();
        let tag = theirs.encrypt_inout_detached(&nonce.into(), &aad, InOutBuf::from(&mut wanted[..])).unwrap();
        for (engine, sm4) in engines(key) {
            let gcm = Gcm::<U12>::from(sm4);
            let mut place = content.clone();
            let made = gcm.encrypt_inout_detached(&nonce.into(), &aad, InOutBuf::from(&mut place[from..])).unwrap();
            prop_assert_eq!((&place[from..], made), (&wanted[..], tag), "{:?} in place", engine);
            prop_assert_eq!(&place[..from], &content[..from], "{:?} keeps to its place", engine);
            let mut other = vec![0; plain.len()];
            let made = gcm.encrypt_inout_detached(&nonce.into(), &aad, InOutBuf::new(plain, &mut other).unwrap()).unwrap();
            prop_assert_eq!((&other, made), (&wanted, tag), "{:?} elsewhere", engine);
            gcm.decrypt_inout_detached(&nonce.into(), &aad, InOutBuf::from(&mut other[..]), &tag).unwrap();
            prop_assert_eq!(&other[..], plain, "{:?} back", engine);
            prop_assert!(gcm.decrypt_inout_detached(&nonce.into(), b"x", InOutBuf::from(&mut other[..]), &tag).is_err());
        }
    }
}
