//! Tiles: how a log is laid out as static files (C2SP tlog-tiles; facts/tlog.md §4).
//!
//! Paths are read strictly: one tile has one path, every other spelling is refused, and so are the tile that cannot
//! exist (width 0, width 256 written as a partial tile, a level above 63).
//! INVARIANT: only full tiles feed the level above, so a hash in a tile is the root of a complete subtree.

use crate::hash::{Hash, node_hash};

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u16 = 256;

/// Bytes of an entry, at most (its length is a 16-bit number).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// What a tile holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TileKind {
    /// Hashes of the complete subtrees of 256^level leaves; level 0 to 63.
    Hashes(u8),
    /// Entries, each behind its length.
    Entries,
}

/// One tile: `tile/0/x001/x234/067.p/8`, `tile/entries/000`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Its number within its level.
    pub index: u64,
    /// Number of hashes or entries in it, 1 to 256; below 256 it is a partial tile.
    pub width: u16,
}

/// Why a tile or its path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The path is not the one spelling of a tile.
    #[error(
        "`{0}` is not the path of a tile (`tile/<level>/<number>` or `tile/entries/<number>`, then maybe `.p/<width>`)"
    )]
    Path(String),
    /// The bytes of a tile of hashes have the wrong length.
    #[error("a tile of {width} hashes has {wanted} bytes, not {got}")]
    HashBytes {
        /// Hashes that should be in it.
        width: u16,
        /// Bytes that many hashes have.
        wanted: usize,
        /// Bytes given.
        got: usize,
    },
    /// An entry bundle is cut, or has something after its last entry.
    #[error("the entry bundle does not end after {width} entries: {got} were whole, {left} bytes are left")]
    Entries {
        /// Entries that should be in it.
        width: u16,
        /// Whole entries found.
        got: usize,
        /// Bytes after them.
        left: usize,
    },
    /// An entry is too long for its length field.
    #[error("an entry of {0} bytes does not fit into a bundle (at most 65535)")]
    EntryTooLong(usize),
}

impl Tile {
    /// Reads the path of a tile, without a leading slash.
    ///
    /// # Errors
    /// [`TileError::Path`] when it is not exactly what [`Tile`] prints.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        read(path)
            .ok_or_else(|| TileError::Path(path.chars().take(120).filter(|c| !c.is_control()).collect()))
    }

    /// The full tile in whose place a client may look when this partial one is gone.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// Whether a tree of `size` leaves has published this tile (a partial tile counts when the tree has at least its
    /// hashes).
    pub fn exists(&self, size: u64) -> bool {
        let hashes = hashes_at(self.level(), size);
        let begin = self.index.checked_mul(u64::from(TILE_WIDTH));
        begin.and_then(|b| b.checked_add(u64::from(self.width))).is_some_and(|end| end <= hashes)
            && self.width != 0
    }

    /// The level for hashes; 0 for entries, which are numbered like leaves.
    pub const fn level(&self) -> u8 {
        match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        }
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// Number of hashes at a level of a tree of `size` leaves: floor(size / 256^level).
pub fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * 8).unwrap_or(0)
}

/// Every tile of hashes that a tree of `new` leaves has and one of `old` leaves had not: the tiles to publish, level
/// by level, full ones first and the partial one of the level last.
pub fn new_tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..8u8).flat_map(move |level| {
        level_tiles(TileKind::Hashes(level), hashes_at(level, old), hashes_at(level, new))
    })
}

/// As [`new_tiles`], for the bundles of entries.
pub fn new_entry_bundles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    level_tiles(TileKind::Entries, old, new)
}

/// The bytes of a tile: its hashes one after the other.
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(hashes.len() * 32);
    hashes.iter().for_each(|h| bytes.extend_from_slice(&h.0));
    bytes
}

/// Reads the bytes of a tile of `width` hashes.
///
/// # Errors
/// [`TileError::HashBytes`] when they have another length.
pub fn read_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let wanted = usize::from(width) * 32;
    let (hashes, _) = bytes.as_chunks::<32>();
    if bytes.len() != wanted {
        return Err(TileError::HashBytes { width, wanted, got: bytes.len() });
    }
    Ok(hashes.iter().map(|h| Hash(*h)).collect())
}

/// The hash one level of tiles up: the root of the 256 hashes of a full tile; `None` for any other number.
pub fn parent(hashes: &[Hash]) -> Option<Hash> {
    (hashes.len() == usize::from(TILE_WIDTH)).then(|| crate::tree::root_of(hashes))
}

/// The bytes of an entry bundle: each entry behind its length in two bytes, big-endian.
///
/// # Errors
/// [`TileError::EntryTooLong`].
pub fn bundle_bytes<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileError> {
    let mut out = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(entry.len()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// Reads an entry bundle of `width` entries.
///
/// # Errors
/// [`TileError::Entries`] when an entry is cut, missing or left over.
pub fn read_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while entries.len() < usize::from(width) {
        let next = rest
            .split_first_chunk::<2>()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, after)) = next else { break };
        entries.push(entry);
        rest = after;
    }
    if entries.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::Entries { width, got: entries.len(), left: rest.len() });
    }
    Ok(entries)
}

/// Turns an accessor of tiles into one of complete subtrees for [`crate::tree`]'s proofs over a tree of `size` leaves.
///
/// `fetch(tile)` returns the hashes of a tile of hashes, as many as its width says; the partial tiles asked for are
/// those that a tree of `size` leaves has. The last tile of each level is kept, so a proof fetches two tiles a level at
/// most.
///
/// # Errors
/// What the accessor returns.
pub fn subtrees<E>(
    size: u64,
    mut fetch: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
) -> impl FnMut(u32, u64) -> Result<Hash, E> {
    let mut kept: Vec<(Tile, Vec<Hash>)> = Vec::new();
    move |level, index| {
        // A level of tiles is eight levels of the tree.
        let tile_level = u8::try_from(level / 8).unwrap_or(u8::MAX);
        let height = level % 8;
        let first = index << height;
        let number = first / u64::from(TILE_WIDTH);
        let there = hashes_at(tile_level, size).saturating_sub(number * u64::from(TILE_WIDTH));
        let width = u16::try_from(there.min(u64::from(TILE_WIDTH))).unwrap_or(TILE_WIDTH);
        let tile = Tile { kind: TileKind::Hashes(tile_level), index: number, width };
        if !kept.iter().any(|(known, _)| *known == tile) {
            kept.retain(|(known, _)| known.level() != tile_level);
            kept.push((tile, fetch(tile)?));
        }
        let hashes = kept.iter().find(|(known, _)| *known == tile).map(|(_, hashes)| hashes.as_slice());
        let begin = usize::try_from(first % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
        let mut row: Vec<Hash> =
            hashes.unwrap_or_default().iter().skip(begin).take(1 << height).copied().collect();
        while row.len() > 1 {
            row = row.chunks(2).map(fold).collect();
        }
        Ok(row.first().copied().unwrap_or_else(crate::hash::empty_root))
    }
}

fn fold(pair: &[Hash]) -> Hash {
    match pair {
        [left, right] => node_hash(left, right),
        [lone] => *lone,
        _ => crate::hash::empty_root(),
    }
}

fn level_tiles(kind: TileKind, old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let width = u64::from(TILE_WIDTH);
    let full = (old / width..new / width).map(move |index| Tile { kind, index, width: TILE_WIDTH });
    let rest = u16::try_from(new % width).unwrap_or(0);
    let partial = (rest != 0 && new > old).then_some(Tile { kind, index: new / width, width: rest });
    full.chain(partial)
}

fn read(path: &str) -> Option<Tile> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match level {
        "entries" => TileKind::Entries,
        digits => TileKind::Hashes(u8::try_from(decimal(digits, 2)?).ok().filter(|level| *level <= 63)?),
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => {
            let width = u16::try_from(decimal(width, 3)?).ok()?;
            (number, Some(width).filter(|w| (1..TILE_WIDTH).contains(w))?)
        }
        None => (rest, TILE_WIDTH),
    };
    Some(Tile { kind, index: tile_number(number)?, width })
}

/// A number without sign or leading zero, of at most `digits` digits.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let canonical = (1..=digits).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

fn tile_number(text: &str) -> Option<u64> {
    let (front, last) = text.rsplit_once('/').map_or((None, text), |(front, last)| (Some(front), last));
    let mut number = 0u64;
    let front = front.map(|front| front.split('/').map(|group| group.strip_prefix('x')));
    for (place, group) in front.into_iter().flatten().chain([Some(last)]).enumerate() {
        let group = group.filter(|g| g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit()))?;
        if place == 0 && group == "000" && group.len() != text.len() {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(group.parse().ok()?)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::tree::{consistency_proof, from_leaves, inclusion_proof, root_at, root_of};
    use proptest::prelude::*;

    fn full(level: u8, index: u64) -> Tile {
        Tile { kind: TileKind::Hashes(level), index, width: 256 }
    }

    #[test]
    fn a_path_prints_and_reads_as_one_spelling() {
        let known = [
            (full(0, 999), "tile/0/999"),
            (full(0, 1000), "tile/0/x001/000"),
            (full(63, 1_234_067), "tile/63/x001/x234/067"),
            (Tile { width: 8, ..full(1, 0) }, "tile/1/000.p/8"),
            (
                Tile { kind: TileKind::Entries, index: 1_000_000, width: 255 },
                "tile/entries/x001/x000/000.p/255",
            ),
            (full(0, u64::MAX), "tile/0/x018/x446/x744/x073/x709/x551/615"),
        ];
        for (tile, path) in known {
            assert_eq!(tile.to_string(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
        }
    }

    #[test]
    fn another_spelling_of_a_path_is_refused() {
        let bad = [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/00/000",
            "tile/01/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/x001/x000",
            "tile/0/X001/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000.p/1/",
            "tile/0/000/",
            "tile/0/000.p/1.p/1",
            "tile/entries/",
            "tile/entries/000.p/+1",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x001/x018/x446/x744/x073/x709/x551/615",
            "tile/0/00\u{0661}",
            "tile/../000",
        ];
        for path in bad {
            assert!(Tile::parse(path).is_err(), "{path:?}");
        }
        assert_eq!(
            Tile::parse("tile/0/1").unwrap_err().to_string(),
            "`tile/0/1` is not the path of a tile (`tile/<level>/<number>` or `tile/entries/<number>`, then maybe `.p/<width>`)"
        );
    }

    #[test]
    fn a_tree_of_70000_has_exactly_the_known_tiles() {
        let tiles: Vec<String> = new_tiles(0, 70_000).map(|t| t.to_string()).collect();
        let mut wanted: Vec<String> = (0..=272).map(|i| format!("tile/0/{i:03}")).collect();
        wanted.extend(
            ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"].map(String::from),
        );
        assert_eq!(tiles, wanted);
        assert!(new_tiles(0, 70_000).all(|tile| tile.exists(70_000)));
        assert!(!full(0, 273).exists(70_000) && !full(1, 1).exists(70_000) && !full(8, 0).exists(u64::MAX));
    }

    #[test]
    fn a_tree_of_256_has_one_full_tile_and_one_hash_above() {
        let tiles: Vec<String> = new_tiles(0, 256).map(|t| t.to_string()).collect();
        assert_eq!(tiles, ["tile/0/000", "tile/1/000.p/1"]);
        let next: Vec<String> = new_tiles(255, 257).map(|t| t.to_string()).collect();
        assert_eq!(next, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
        assert_eq!(new_tiles(256, 256).count(), 0);
        assert_eq!(
            new_entry_bundles(3, 5).map(|t| t.to_string()).collect::<Vec<_>>(),
            ["tile/entries/000.p/5"]
        );
    }

    #[test]
    fn an_entry_bundle_is_read_back_and_not_when_cut_or_longer() {
        let bytes = bundle_bytes([b"leaf 0".as_slice(), b"leaf 1"]).unwrap();
        assert_eq!(hex::encode(&bytes), "00066c656166203000066c6561662031");
        assert_eq!(read_bundle(&bytes, 2), Ok(vec![b"leaf 0".as_slice(), b"leaf 1"]));
        for cut in 0..bytes.len() {
            assert!(read_bundle(&bytes[..cut], 2).is_err(), "{cut}");
        }
        assert_eq!(
            read_bundle(&bytes, 1).unwrap_err().to_string(),
            "the entry bundle does not end after 1 entries: 1 were whole, 8 bytes are left"
        );
        assert_eq!(bundle_bytes([vec![0; 65_536].as_slice()]), Err(TileError::EntryTooLong(65_536)));
    }

    #[test]
    fn proofs_out_of_tiles_are_those_out_of_leaves() {
        let size = 70_000u64;
        let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let level1: Vec<Hash> = leaves.chunks(256).filter_map(parent).collect();
        let level2: Vec<Hash> = level1.chunks(256).filter_map(parent).collect();
        let levels = [&leaves, &level1, &level2];
        let fetch = |tile: Tile| {
            assert!(tile.exists(size), "{tile}");
            let all = levels[usize::from(tile.level())];
            let bytes = tile_bytes(&all[tile.index as usize * 256..][..usize::from(tile.width)]);
            Ok::<_, crate::tree::ProofError>(read_tile(&bytes, tile.width).unwrap())
        };
        let leaf = |i: u64| Ok::<_, crate::tree::ProofError>(leaves[i as usize]);
        assert_eq!(root_at(size, subtrees(size, fetch)), Ok(root_of(&leaves)));
        for index in [0, 255, 256, 65_535, 65_536, 69_999] {
            assert_eq!(
                inclusion_proof(index, size, subtrees(size, fetch)),
                inclusion_proof(index, size, from_leaves(leaf))
            );
        }
        for old in [1, 256, 65_536, 65_537, 69_999] {
            assert_eq!(
                consistency_proof(old, size, subtrees(size, fetch)),
                consistency_proof(old, size, from_leaves(leaf))
            );
        }
    }

    proptest! {
        #[test]
        fn a_path_that_reads_prints_the_same(path in "tile/([0-9]{1,2}|entries)/(x[0-9]{3}/){0,7}[0-9x]{3,4}(\\.p/[0-9]{1,3})?") {
            if let Ok(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.to_string(), path);
            }
        }

        #[test]
        fn each_tile_reads_back(level in 0..64u8, index: u64, width in 1..=256u16) {
            let tile = Tile { kind: TileKind::Hashes(level), index, width };
            prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), width: u16, path in "\\PC{0,40}") {
            let _ = (read_bundle(&bytes, width), read_tile(&bytes, width), Tile::parse(&path));
        }
    }
}
