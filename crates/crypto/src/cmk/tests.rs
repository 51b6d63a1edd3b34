use proptest::prelude::*;

use super::*;

fn cmk(name: &str) -> Cmk {
    let spec = Spec::parse(name).unwrap();
    Cmk::open(spec, &generate(spec).unwrap()).unwrap()
}

#[test]
fn names_are_read_back_and_say_what_a_key_is_for() {
    for name in Spec::names() {
        let spec = Spec::parse(name).unwrap();
        assert_eq!(spec.name(), name);
        assert!(spec.can(spec.default_usage()), "{name}");
        assert_eq!(Usage::parse(spec.default_usage().name()), Some(spec.default_usage()));
    }
    assert!(Spec::parse("Aliyun_AES_512").is_none());
}

/// GB/T 32905 by way of HMAC: the published value of HMAC-SM3 over "abc" under a key of zeroes is not in the standard, so
/// the code is checked against RFC 2104 written out with SM3.
#[test]
fn a_mac_is_hmac_written_out() {
    use sm3::{Digest, Sm3};
    let material = SecretBytes::new(vec![7; 64]);
    let key = Cmk::open(Spec::Hmac(MacAlgorithm::Sm3), &material).unwrap();
    let pad = |byte: u8| vec![7 ^ byte; 64];
    let inner = Sm3::digest([&pad(0x36)[..], b"abc"].concat());
    let outer = Sm3::digest([&pad(0x5c)[..], &inner].concat());
    assert_eq!(key.mac(MacAlgorithm::Sm3, b"abc").unwrap(), outer.to_vec());
    assert_eq!(key.mac(MacAlgorithm::Sha256, b"abc"), Err(CmkError::Algorithm));
    for name in ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"] {
        let algorithm = MacAlgorithm::parse(name).unwrap();
        assert_eq!(algorithm.name(), name);
        let bits: usize = name.rsplit('_').next().unwrap().parse().unwrap();
        assert_eq!(cmk(name).mac(algorithm, b"abc").unwrap().len(), bits / 8);
    }
}

#[test]
fn symmetric_keys_seal_for_one_context_and_pairs_do_not() {
    for name in ["Aliyun_AES_256", "Aliyun_SM4"] {
        let key = cmk(name);
        let sealed = key.seal(b"context", b"secret").unwrap();
        assert_eq!(key.unseal(b"context", &sealed).unwrap().expose(), b"secret");
        assert_eq!(key.unseal(b"other", &sealed).unwrap_err(), CmkError::Open);
        assert_eq!(cmk(name).unseal(b"context", &sealed).unwrap_err(), CmkError::Open);
        assert_eq!(key.sign(SignAlgorithm::EcdsaSha256, &[0; 32]), Err(CmkError::Algorithm));
        assert_eq!(format!("{key:?}"), format!("Cmk({name}, [redacted])"));
    }
    assert_eq!(cmk("EC_P256").seal(b"", b"x"), Err(CmkError::Algorithm));
    assert!(Cmk::open(Spec::Sm4, &SecretBytes::new(vec![1; 32])).is_err());
    assert!(Cmk::open(Spec::EcP256, &SecretBytes::new(vec![0; 32])).is_err());
}

#[test]
fn pairs_sign_and_decrypt_with_their_own_algorithms_only() {
    let all = [
        ("EC_P256", vec![SignAlgorithm::EcdsaSha256], vec![]),
        ("EC_P256K", vec![SignAlgorithm::EcdsaSha256], vec![]),
        ("EC_SM2", vec![SignAlgorithm::Sm2], vec![WrapAlgorithm::Sm2]),
        (
            "RSA_2048",
            vec![SignAlgorithm::PssSha256, SignAlgorithm::Pkcs1Sha256],
            vec![WrapAlgorithm::OaepSha1, WrapAlgorithm::OaepSha256],
        ),
    ];
    let signs = [
        SignAlgorithm::EcdsaSha256,
        SignAlgorithm::Sm2,
        SignAlgorithm::PssSha256,
        SignAlgorithm::Pkcs1Sha256,
    ];
    let wraps = [WrapAlgorithm::Sm2, WrapAlgorithm::OaepSha1, WrapAlgorithm::OaepSha256];
    for (name, its_signs, its_wraps) in all {
        let key = cmk(name);
        assert!(key.public_pem().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
        for algorithm in signs {
            if !its_signs.contains(&algorithm) {
                assert_eq!(key.sign(algorithm, &[5; 32]), Err(CmkError::Algorithm), "{name} {algorithm:?}");
                continue;
            }
            let signature = key.sign(algorithm, &[5; 32]).unwrap();
            assert!(key.verify(algorithm, &[5; 32], &signature).unwrap(), "{name} {algorithm:?}");
            assert!(!key.verify(algorithm, &[6; 32], &signature).unwrap());
            for at in 0..signature.len() {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(!key.verify(algorithm, &[5; 32], &changed).unwrap(), "{name} byte {at}");
            }
            assert!(!key.verify(algorithm, &[5; 32], b"").unwrap());
            assert_eq!(key.sign(algorithm, &[5; 31]), Err(CmkError::Length));
        }
        for algorithm in wraps {
            if !its_wraps.contains(&algorithm) {
                assert_eq!(key.encrypt(algorithm, b"x"), Err(CmkError::Algorithm));
                continue;
            }
            let cipher = key.encrypt(algorithm, b"a data key").unwrap();
            assert_eq!(key.decrypt(algorithm, &cipher).unwrap().expose(), b"a data key");
            let mut changed = cipher.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(key.decrypt(algorithm, &changed).unwrap_err(), CmkError::Open);
            assert_eq!(key.decrypt(algorithm, &cipher[..10]).unwrap_err(), CmkError::Open);
        }
    }
}

proptest! {
    #[test]
    fn any_changed_byte_of_a_sealed_text_is_found(plain in proptest::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let key = cmk("Aliyun_SM4");
        let sealed = key.seal(b"x", &plain).unwrap();
        let mut changed = sealed.clone();
        let i = at.index(changed.len());
        changed[i] ^= 1 << bit;
        prop_assert!(key.unseal(b"x", &changed).is_err());
        prop_assert!(key.unseal(b"x", &sealed[..i]).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for spec in ["RSA_2048", "EC_SM2", "EC_P256"] {
            let _ = PublicKey::read(spec, &bytes);
            let _ = Cmk::open(Spec::parse(spec).unwrap(), &SecretBytes::new(bytes.clone()));
        }
        let _ = Cmk::open(Spec::EcSm2, &SecretBytes::new(vec![3; 32])).unwrap().decrypt(WrapAlgorithm::Sm2, &bytes);
    }
}
