//! SM4 (GB/T 32907) for modes that encipher many blocks at once, such as GCM.
//!
//! With AES-NI and AVX2 blocks are enciphered sixteen at a time, with VAES by half as many AES instructions; elsewhere by
//! RustCrypto's `sm4`. Which it is, is found out when a key is made. Only the encrypting direction is here: counter modes
//! need no other.
//!
//! INVARIANT: in our kernel no branch and no address depends on key or content. RustCrypto's looks bytes up in a table.
//! INVARIANT: the bytes are the same whoever enciphers them.
//! INVARIANT: round keys do not print and are wiped when dropped.

use sm4::cipher::consts::U16;
use sm4::cipher::{BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, Key, KeyInit, KeySizeUser};

#[cfg(any(target_arch = "x86_64", test))]
mod maps;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Who enciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Our kernel, 32 bytes an AES instruction.
    Vaes,
    /// Our kernel, 16 bytes an AES instruction.
    AesNi,
    /// RustCrypto's `sm4`.
    Portable,
}

impl Engine {
    /// All, the fastest first.
    pub const ALL: [Self; 3] = [Self::Vaes, Self::AesNi, Self::Portable];
}

/// A key.
///
/// ```
/// use aes_gcm::{AesGcm, KeyInit, aead::consts::U12};
/// let key = AesGcm::<bailee_sm4::Sm4, U12>::new(&[7; 16].into());
/// ```
pub struct Sm4(Kind);

enum Kind {
    #[cfg(target_arch = "x86_64")]
    Fast(x86::Kernel),
    Portable(sm4::Sm4),
}

impl Sm4 {
    /// The key in the hands of one engine; none where the processor has not what it takes.
    #[must_use]
    pub fn with(engine: Engine, key: &[u8; 16]) -> Option<Self> {
        match engine {
            Engine::Portable => Some(Self(Kind::Portable(sm4::Sm4::new(key.into())))),
            #[cfg(target_arch = "x86_64")]
            Engine::Vaes | Engine::AesNi => {
                x86::Kernel::new(engine == Engine::Vaes, key).map(|kernel| Self(Kind::Fast(kernel)))
            }
            #[cfg(not(target_arch = "x86_64"))]
            Engine::Vaes | Engine::AesNi => None,
        }
    }
}

impl KeySizeUser for Sm4 {
    type KeySize = U16;
}

impl KeyInit for Sm4 {
    fn new(key: &Key<Self>) -> Self {
        #[expect(clippy::expect_used, reason = "the portable engine is everywhere")]
        Engine::ALL.into_iter().find_map(|engine| Self::with(engine, key.as_ref())).expect("an engine")
    }
}

impl BlockSizeUser for Sm4 {
    type BlockSize = U16;
}

impl BlockCipherEncrypt for Sm4 {
    fn encrypt_with_backend(&self, f: impl BlockCipherEncClosure<BlockSize = U16>) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Fast(kernel) => f.call(kernel),
            Kind::Portable(key) => key.encrypt_with_backend(f),
        }
    }
}

impl std::fmt::Debug for Sm4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
