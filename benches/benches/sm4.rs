//! SM4-GCM over a segment of 64 KiB on one core: each engine of this machine against RustCrypto's `sm4` under the same GCM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use bailee_benches::{figure, per_second, ratio};
use bailee_sm4::{Engine, Sm4};
use sm4::cipher::{BlockCipherEncrypt, BlockSizeUser};

const SEGMENT: usize = 64 * 1024;
const KEY: [u8; 16] = [7; 16];

/// MB/s of sealing and of opening one segment again and again.
fn speeds<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: C) -> (f64, f64) {
    let gcm = AesGcm::<C, U12>::from(cipher);
    let nonce = [1; 12].into();
    let mut segment = vec![3; SEGMENT];
    let sealed = per_second(|| {
        let tag = gcm.encrypt_inout_detached(&nonce, b"header", InOutBuf::from(&mut segment[..]));
        std::hint::black_box(tag.unwrap());
    });
    let tag = gcm.encrypt_inout_detached(&nonce, b"header", InOutBuf::from(&mut segment[..])).unwrap();
    let sealed_segment = segment.clone();
    let opened = per_second(|| {
        segment.copy_from_slice(&sealed_segment);
        gcm.decrypt_inout_detached(&nonce, b"header", InOutBuf::from(&mut segment[..]), &tag).unwrap();
    });
    let megabytes = SEGMENT as f64 / 1e6;
    (sealed * megabytes, opened * megabytes)
}

fn main() {
    let (seal, open) = speeds(sm4::Sm4::new(&KEY.into()));
    for engine in [Engine::Vaes, Engine::AesNi] {
        let Some(sm4) = Sm4::with(engine, &KEY) else {
            println!("SM4-GCM, {engine:?}: this processor has it not");
            continue;
        };
        let (sealed, opened) = speeds(sm4);
        ratio(&format!("SM4-GCM seal 64 KiB, {engine:?}"), sealed, "RustCrypto's sm4", seal, "MB/s", 500.0);
        ratio(&format!("SM4-GCM open 64 KiB, {engine:?}"), opened, "RustCrypto's sm4", open, "MB/s", 500.0);
    }
    let key_made = per_second(|| {
        std::hint::black_box(Sm4::new(&KEY.into()));
    });
    figure("a key made", 1e9 / key_made, "ns");
}
