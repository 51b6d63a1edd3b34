//! The object envelope (DESIGN §6): content in segments of 64 KiB, each authenticated, under a data key of its own.
//!
//! ```text
//! header, 88 bytes:  "BLEV" · u8 version=1 · u8 suite (1 AES-256-GCM, 2 SM4-GCM) · u8 segment log2=16 · u8 0
//!                    · object version id[16] · salt[32] · commitment[32]
//! segment i:         ciphertext ‖ tag[16], nonce = prefix[7] · u32 i · u8 last (1 for the last segment, else 0)
//! ```
//! Key, nonce prefix and commitment come from HKDF-SHA-256(data key, salt) with the first 24 bytes of the header and
//! the hash of tenant, bucket and object version as info; the header's hash is each segment's associated data.
//! An empty object has one empty segment, so that "empty" is proven too.
//!
//! INVARIANT: no cut, swap, reorder or splice passes: position and end are in the nonce, place and owner in the key.
//! INVARIANT: the header commits to the data key: no two keys open one object (GCM alone does not promise that).
//! INVARIANT: a data key seals one object version: whole, or part by part, each under an id and a salt of its own and so under a
//! key of its own; a [`Sealer`] cannot be copied or rewound.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use bailee_sm4::Sm4;
use bailee_types::{SecretBytes, random_bytes};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hkdf};
use subtle::ConstantTimeEq;

use crate::seal::{KeyLenError, aad};

/// Bytes of content in each segment but the last.
pub const SEGMENT_LEN: usize = 64 * 1024;
/// Bytes of a full segment when sealed.
pub const SEALED_SEGMENT_LEN: usize = SEGMENT_LEN + TAG_LEN;
/// Bytes of the header.
pub const HEADER_LEN: usize = PREFIX_LEN + 64;

const TAG_LEN: usize = 16;
const PREFIX_LEN: usize = 24;
const MAGIC: [u8; 8] = *b"BLEV\x01\x01\x10\x00";
/// Where the suite stands in the header.
const SUITE_AT: usize = 5;

/// With which cipher segments are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Suite {
    /// AES-256-GCM.
    #[default]
    Aes256Gcm,
    /// SM4-GCM (GB/T 32907; RFC 8998 names the mode), the cipher of Chinese commercial cryptography.
    Sm4Gcm,
}

impl Suite {
    const fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::Sm4Gcm => 2,
        }
    }

    fn magic(self) -> [u8; 8] {
        let mut magic = MAGIC;
        magic[SUITE_AT] = self.number();
        magic
    }

    /// The suite of an envelope's header; nothing when it is none.
    pub fn of_header(header: &[u8]) -> Option<Self> {
        Self::of_magic(header.get(..8)?).filter(|_| header.len() == HEADER_LEN)
    }

    /// The suite of a header that begins so.
    fn of_magic(magic: &[u8]) -> Option<Self> {
        [Self::Aes256Gcm, Self::Sm4Gcm].into_iter().find(|s| s.magic() == magic)
    }
}

/// A segment key of either suite.
enum SegmentKey {
    Aes(LessSafeKey),
    Sm4(Box<AesGcm<Sm4, U12>>),
}

impl SegmentKey {
    #[expect(
        clippy::expect_used,
        reason = "HKDF gave the 32 bytes that AES-256 takes, and the 16 that SM4 does"
    )]
    fn new(suite: Suite, key: &SecretBytes) -> Self {
        match suite {
            Suite::Aes256Gcm => {
                let unbound = UnboundKey::new(&AES_256_GCM, key.expose()).expect("a key of 32 bytes");
                Self::Aes(LessSafeKey::new(unbound))
            }
            Suite::Sm4Gcm => {
                let half = key.expose().first_chunk::<16>().expect("32 bytes have 16 first ones");
                Self::Sm4(Box::new(AesGcm::new_from_slice(half).expect("a key of 16 bytes")))
            }
        }
    }

    /// Seals in place and gives the tag.
    fn seal(&self, nonce: [u8; 12], header_hash: &[u8; 32], segment: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let mut tag = [0; TAG_LEN];
        match self {
            Self::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(header_hash), segment).ok()?;
                tag.copy_from_slice(made.as_ref());
            }
            Self::Sm4(key) => {
                let made =
                    key.encrypt_inout_detached(&nonce.into(), header_hash, InOutBuf::from(segment)).ok()?;
                tag.copy_from_slice(&made);
            }
        }
        Some(tag)
    }

    /// Opens the sealed segment that begins at `from` of `window`; its plain bytes then stand at the window's front.
    fn open(&self, nonce: [u8; 12], header_hash: &[u8; 32], window: &mut [u8], from: usize) -> Option<usize> {
        match self {
            Self::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_within(nonce, Aad::from(header_hash), window, from..).ok().map(|plain| plain.len())
            }
            Self::Sm4(key) => {
                let (cipher, tag) = window.get_mut(from..)?.split_last_chunk_mut::<TAG_LEN>()?;
                let (tag, len) = ((*tag).into(), cipher.len());
                key.decrypt_inout_detached(&nonce.into(), header_hash, InOutBuf::from(cipher), &tag).ok()?;
                window.copy_within(from..from + len, 0);
                Some(len)
            }
        }
    }
}

/// Bytes of `plain` bytes of content when sealed, without the header.
pub const fn sealed_len(plain: u64) -> u64 {
    let segment = SEGMENT_LEN as u64;
    let segments = if plain == 0 { 1 } else { plain.div_ceil(segment) };
    plain + segments * TAG_LEN as u64
}

/// The key of one object version: 32 bytes.
pub struct DataKey(SecretBytes);

impl DataKey {
    /// A new random key.
    pub fn random() -> Self {
        Self(SecretBytes::new(random_bytes::<32>().to_vec()))
    }

    /// A key of these 32 bytes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyLenError> {
        if bytes.len() == 32 { Ok(Self(SecretBytes::new(bytes.to_vec()))) } else { Err(KeyLenError) }
    }

    /// The bytes, to be wrapped under the tenant's key.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What an object version belongs to. An envelope moved to another place does not open.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// The bucket's name.
    pub bucket: &'a str,
    /// The object version's id.
    pub version: [u8; 16],
}

/// Why an envelope did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The header has another length or names another format, segment size or suite.
    #[error("the header of an object is not one that this version reads")]
    Header,
    /// The header was changed, or belongs to another key, tenant, bucket or object version.
    #[error("the header of an object does not belong to its key and place")]
    Commitment,
    /// A segment was changed, cut, moved, or is not the last though it should be (or the reverse).
    #[error("segment {0} of an object does not verify")]
    Segment(u32),
    /// More segments than an object can have.
    #[error("an object has too many segments")]
    TooLong,
    /// The sealer saw its last segment already.
    #[error("an object was sealed beyond its end")]
    Ended,
}

struct Streams {
    key: SegmentKey,
    nonce_prefix: [u8; 7],
    header_hash: [u8; 32],
    commitment: [u8; 32],
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

impl Streams {
    /// Everything that data key, place, header prefix and salt determine.
    fn derive(
        key: &DataKey,
        suite: Suite,
        context: &Context<'_>,
        prefix: &[u8; PREFIX_LEN],
        salt: &[u8; 32],
    ) -> Self {
        let place = aad(&[
            b"bailee/envelope/v1",
            prefix,
            context.tenant.as_bytes(),
            context.bucket.as_bytes(),
            &context.version,
        ]);
        let place = digest::digest(&digest::SHA256, &place);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.expose());
        let segment_key = SecretBytes::new(expand::<32>(&prk, b"bailee/segments", place.as_ref()).to_vec());
        let commitment = expand::<32>(&prk, b"bailee/commitment", place.as_ref());
        let mut whole = digest::Context::new(&digest::SHA256);
        for part in [&prefix[..], salt, &commitment] {
            whole.update(part);
        }
        let mut header_hash = [0; 32];
        header_hash.copy_from_slice(whole.finish().as_ref());
        Self {
            key: SegmentKey::new(suite, &segment_key),
            nonce_prefix: expand::<7>(&prk, b"bailee/nonce-prefix", place.as_ref()),
            header_hash,
            commitment,
        }
    }

    fn nonce(&self, index: u32, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.nonce_prefix);
        nonce[7..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }
}

fn expand<const N: usize>(prk: &hkdf::Prk, label: &[u8], place: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8,160 bytes; 32 are asked for at most")]
    prk.expand(&[label, b"\0", place], Len(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF gives 32 bytes");
    out
}

/// Seals one object version, segment by segment, in order.
pub struct Sealer {
    streams: Streams,
    next: Option<u32>,
}

impl Sealer {
    /// A sealer with a fresh salt, and the header to keep.
    pub fn new(key: &DataKey, suite: Suite, context: &Context<'_>) -> (Self, [u8; HEADER_LEN]) {
        let mut prefix = [0; PREFIX_LEN];
        prefix[..8].copy_from_slice(&suite.magic());
        prefix[8..].copy_from_slice(&context.version);
        let salt = random_bytes::<32>();
        let streams = Streams::derive(key, suite, context, &prefix, &salt);
        let mut header = [0; HEADER_LEN];
        header[..PREFIX_LEN].copy_from_slice(&prefix);
        header[PREFIX_LEN..PREFIX_LEN + 32].copy_from_slice(&salt);
        header[PREFIX_LEN + 32..].copy_from_slice(&streams.commitment);
        (Self { streams, next: Some(0) }, header)
    }

    /// Seals the next segment in place and appends its tag. All but the last must be [`SEGMENT_LEN`] bytes.
    ///
    /// # Errors
    /// After the last segment, for a segment of a wrong length, or beyond 2^32 - 1 segments.
    pub fn seal_segment<B>(&mut self, segment: &mut B, last: bool) -> Result<(), EnvelopeError>
    where
        B: AsMut<[u8]> + for<'t> Extend<&'t u8>,
    {
        let index = self.next.take().ok_or(EnvelopeError::Ended)?;
        let len = segment.as_mut().len();
        if len > SEGMENT_LEN || (!last && len != SEGMENT_LEN) {
            return Err(EnvelopeError::Segment(index));
        }
        let (nonce, header_hash) = (self.streams.nonce(index, last), &self.streams.header_hash);
        let tag = self.streams.key.seal(nonce, header_hash, segment.as_mut());
        segment.extend(&tag.ok_or(EnvelopeError::Segment(index))?);
        if !last {
            self.next = Some(index.checked_add(1).ok_or(EnvelopeError::TooLong)?);
        }
        Ok(())
    }
}

/// Opens segments of one object version, in any order.
pub struct Opener {
    streams: Streams,
}

impl Opener {
    /// Checks the header against key and place before anything is opened.
    ///
    /// # Errors
    /// When the header has another form, was changed, or belongs elsewhere.
    pub fn new(key: &DataKey, context: &Context<'_>, header: &[u8]) -> Result<Self, EnvelopeError> {
        let header: &[u8; HEADER_LEN] = header.try_into().map_err(|_| EnvelopeError::Header)?;
        let (prefix, rest) = header.split_first_chunk::<PREFIX_LEN>().ok_or(EnvelopeError::Header)?;
        let (salt, commitment) = rest.split_first_chunk::<32>().ok_or(EnvelopeError::Header)?;
        let suite = Suite::of_magic(&prefix[..8]).ok_or(EnvelopeError::Header)?;
        if prefix[8..] != context.version {
            return Err(EnvelopeError::Commitment);
        }
        let streams = Streams::derive(key, suite, context, prefix, salt);
        if !bool::from(streams.commitment.as_slice().ct_eq(commitment)) {
            return Err(EnvelopeError::Commitment);
        }
        Ok(Self { streams })
    }

    /// Opens a run of consecutive sealed segments in place, from number `first`; `to_end` says that the run ends
    /// with the object's last segment. Answers the number of plain bytes, which then stand at the front of `run`.
    ///
    /// # Errors
    /// When a segment does not verify: nothing of the run may be used then.
    pub fn open_run(&self, first: u32, to_end: bool, run: &mut [u8]) -> Result<usize, EnvelopeError> {
        let total = run.len();
        let (mut from, mut plain, mut index) = (0, 0, first);
        loop {
            let len = SEALED_SEGMENT_LEN.min(total - from);
            let ends = from + len == total;
            if len < TAG_LEN || (len < SEALED_SEGMENT_LEN && !(ends && to_end)) {
                return Err(EnvelopeError::Segment(index));
            }
            let window = run.get_mut(plain..from + len).ok_or(EnvelopeError::Segment(index))?;
            let opened = self
                .streams
                .key
                .open(
                    self.streams.nonce(index, ends && to_end),
                    &self.streams.header_hash,
                    window,
                    from - plain,
                )
                .ok_or(EnvelopeError::Segment(index))?;
            plain += opened;
            from += len;
            if ends {
                return Ok(plain);
            }
            index = index.checked_add(1).ok_or(EnvelopeError::TooLong)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Context<'_> = Context { tenant: "1000000000000001", bucket: "invoices", version: [9; 16] };

    const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::Sm4Gcm];

    fn seal(key: &DataKey, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        seal_with(key, Suite::Aes256Gcm, content)
    }

    fn seal_with(key: &DataKey, suite: Suite, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut sealer, header) = Sealer::new(key, suite, &HERE);
        let mut out = Vec::new();
        let mut rest = content;
        loop {
            let (now, later) = rest.split_at(rest.len().min(SEGMENT_LEN));
            let mut segment = now.to_vec();
            sealer.seal_segment(&mut segment, later.is_empty()).unwrap();
            out.extend_from_slice(&segment);
            rest = later;
            if rest.is_empty() {
                assert_eq!(sealer.seal_segment(&mut Vec::new(), true), Err(EnvelopeError::Ended));
                return (header.to_vec(), out);
            }
        }
    }

    fn open(
        key: &DataKey,
        context: &Context<'_>,
        header: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, EnvelopeError> {
        let mut run = sealed.to_vec();
        let n = Opener::new(key, context, header)?.open_run(0, true, &mut run)?;
        run.truncate(n);
        Ok(run)
    }

    #[test]
    fn lengths_around_a_segment_read_back() {
        let key = DataKey::random();
        for len in [0, 1, SEGMENT_LEN - 1, SEGMENT_LEN, SEGMENT_LEN + 1, 3 * SEGMENT_LEN, 3 * SEGMENT_LEN + 7]
        {
            for suite in SUITES {
                let content: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
                let (header, sealed) = seal_with(&key, suite, &content);
                assert_eq!(sealed.len() as u64, sealed_len(len as u64), "{len}");
                assert_eq!(open(&key, &HERE, &header, &sealed), Ok(content), "{len}");
            }
        }
    }

    #[test]
    fn a_segment_opens_at_its_own_place_only() {
        let key = DataKey::random();
        let content = vec![1u8; 2 * SEGMENT_LEN + 10];
        let (header, sealed) = seal(&key, &content);
        let opener = Opener::new(&key, &HERE, &header).unwrap();
        let middle = &sealed[SEALED_SEGMENT_LEN..2 * SEALED_SEGMENT_LEN];
        assert_eq!(opener.open_run(1, false, &mut middle.to_vec()), Ok(SEGMENT_LEN));
        assert_eq!(opener.open_run(0, false, &mut middle.to_vec()), Err(EnvelopeError::Segment(0)));
        assert_eq!(opener.open_run(1, true, &mut middle.to_vec()), Err(EnvelopeError::Segment(1)));
        // Cut at a segment's end: the last segment there is does not say that it is the last.
        let cut = &sealed[..2 * SEALED_SEGMENT_LEN];
        assert_eq!(opener.open_run(0, true, &mut cut.to_vec()), Err(EnvelopeError::Segment(1)));
        let swapped = [middle, &sealed[..SEALED_SEGMENT_LEN], &sealed[2 * SEALED_SEGMENT_LEN..]].concat();
        assert_eq!(opener.open_run(0, true, &mut swapped.clone()), Err(EnvelopeError::Segment(0)));
        let spliced = [&sealed[..SEALED_SEGMENT_LEN], &seal(&key, &content).1[SEALED_SEGMENT_LEN..]].concat();
        assert_eq!(opener.open_run(0, true, &mut spliced.clone()), Err(EnvelopeError::Segment(1)));
        assert_eq!(opener.open_run(0, true, &mut []), Err(EnvelopeError::Segment(0)));
    }

    #[test]
    fn another_place_or_key_is_refused_before_anything_opens() {
        let key = DataKey::random();
        let (header, sealed) = seal(&key, b"content");
        let elsewhere = [
            Context { tenant: "1000000000000002", ..HERE },
            Context { bucket: "invoice", ..HERE },
            Context { version: [8; 16], ..HERE },
        ];
        for context in &elsewhere {
            assert_eq!(open(&key, context, &header, &sealed), Err(EnvelopeError::Commitment));
        }
        assert_eq!(open(&DataKey::random(), &HERE, &header, &sealed), Err(EnvelopeError::Commitment));
        assert_eq!(open(&key, &HERE, &header[1..], &sealed), Err(EnvelopeError::Header));
    }

    #[test]
    fn a_short_segment_in_the_middle_is_not_sealed() {
        let (mut sealer, _) = Sealer::new(&DataKey::random(), Suite::Aes256Gcm, &HERE);
        assert_eq!(sealer.seal_segment(&mut vec![0; 5], false), Err(EnvelopeError::Segment(0)));
        // After a mistake nothing more is sealed: the object is given up.
        assert_eq!(sealer.seal_segment(&mut vec![0; 5], true), Err(EnvelopeError::Ended));
    }

    /// An object sealed by RustCrypto's `sm4`, before there was a kernel of our own: the header, and SHA-256 of its two segments.
    #[test]
    fn an_object_of_the_portable_cipher_is_sealed_and_opened_the_same() {
        const HEADER: &str = "424c455601021000090909090909090909090909090909099141d7cc570fc513527492272a3256abed416db3b092d7826d2b66cc6a62ab078df10c5b9b3fab0d4a016d907322056bbd75a73516c071abba8c88c5d547f27e";
        const SEALED: &str = "f3a6ea64a299b3d0573d1df1a989db271e3dd339166e99f24d983f2c75508778";
        let (key, header) = (DataKey::from_bytes(&[5; 32]).unwrap(), hex::decode(HEADER).unwrap());
        let content: Vec<u8> = (0..SEGMENT_LEN + 100).map(|i| (i % 251) as u8).collect();
        let (prefix, rest) = header.split_first_chunk().unwrap();
        let streams = Streams::derive(&key, Suite::Sm4Gcm, &HERE, prefix, rest.first_chunk().unwrap());
        let mut sealer = Sealer { streams, next: Some(0) };
        let (mut sealed, mut last) = (content[..SEGMENT_LEN].to_vec(), content[SEGMENT_LEN..].to_vec());
        sealer.seal_segment(&mut sealed, false).unwrap();
        sealer.seal_segment(&mut last, true).unwrap();
        sealed.extend_from_slice(&last);
        assert_eq!(hex::encode(digest::digest(&digest::SHA256, &sealed)), SEALED);
        assert_eq!(open(&key, &HERE, &header, &sealed), Ok(content));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_changed_byte_is_found(len in 0usize..(SEGMENT_LEN + 200), at in any::<prop::sample::Index>(), bit in 0u8..8, sm4 in any::<bool>()) {
            let key = DataKey::random();
            let (header, sealed) = seal_with(&key, SUITES[usize::from(sm4)], &vec![3u8; len]);
            let mut all = [header, sealed].concat();
            let i = at.index(all.len());
            all[i] ^= 1 << bit;
            prop_assert!(open(&key, &HERE, &all[..HEADER_LEN], &all[HEADER_LEN..]).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(header in proptest::collection::vec(any::<u8>(), 0..120), run in proptest::collection::vec(any::<u8>(), 0..60)) {
            let key = DataKey::random();
            prop_assert!(Opener::new(&key, &HERE, &header).is_err());
            let (good, _) = seal(&key, b"");
            prop_assert!(Opener::new(&key, &HERE, &good).unwrap().open_run(0, true, &mut run.clone()).is_err());
        }
    }
}
