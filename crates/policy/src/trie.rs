//! A radix tree that finds all keys which a text begins with, or equals: one walk along the text, however many keys.

/// Values by key. Each key has two places: for texts that begin with it and for the text that equals it.
#[derive(Clone, Debug)]
pub(crate) struct Trie<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// The bytes from the parent to here; empty at the root only.
    label: Box<[u8]>,
    /// In the order of their first bytes, which differ.
    children: Vec<Node<T>>,
    begins: Option<T>,
    equals: Option<T>,
}

/// A key: what a text must begin with, or be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) bytes: Vec<u8>,
    pub(crate) whole: bool,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::new(&[]) }
    }
}

impl<T: Default> Trie<T> {
    /// The place of a key, made if it is not there.
    pub(crate) fn place(&mut self, key: &Prefix) -> &mut T {
        let node = self.root.descend(&key.bytes);
        if key.whole { &mut node.equals } else { &mut node.begins }.get_or_insert_default()
    }
}

impl<T> Trie<T> {
    /// Calls `each` with the values of all keys that fit the text, shortest first.
    pub(crate) fn walk<'t>(&'t self, mut text: impl Iterator<Item = u8>, mut each: impl FnMut(&'t T)) {
        let mut node = &self.root;
        loop {
            if let Some(value) = &node.begins {
                each(value);
            }
            let Some(byte) = text.next() else {
                if let Some(value) = &node.equals {
                    each(value);
                }
                return;
            };
            let Some(child) = node.child(byte) else { return };
            for wanted in child.label.iter().skip(1) {
                if text.next() != Some(*wanted) {
                    return;
                }
            }
            node = child;
        }
    }
}

impl<T> Node<T> {
    fn new(label: &[u8]) -> Self {
        Self { label: label.into(), children: Vec::new(), begins: None, equals: None }
    }

    fn first(&self) -> u8 {
        self.label.first().copied().unwrap_or(0)
    }

    fn child(&self, byte: u8) -> Option<&Self> {
        let at = self.children.binary_search_by_key(&byte, Self::first).ok()?;
        self.children.get(at)
    }

    fn descend(&mut self, key: &[u8]) -> &mut Self {
        let Some(byte) = key.first() else { return self };
        let at = match self.children.binary_search_by_key(byte, Self::first) {
            Ok(at) => at,
            Err(at) => {
                self.children.insert(at, Self::new(key));
                at
            }
        };
        // In bounds: `at` is where the child was found or has just been put.
        let child = &mut self.children[at];
        let common = child.label.iter().zip(key).take_while(|(a, b)| a == b).count();
        if common < child.label.len() {
            child.split(common);
        }
        child.descend(key.get(common..).unwrap_or_default())
    }

    /// Puts a node between this one's parent and itself: it keeps the first `common` bytes.
    fn split(&mut self, common: usize) {
        let (head, tail) = self.label.split_at(common);
        let (upper, tail) = (Self::new(head), Box::from(tail));
        let mut lower = std::mem::replace(self, upper);
        lower.label = tail;
        self.children.push(lower);
    }
}

/// Leaves out keys that a shorter one covers: what remains can fit a text once at most.
pub(crate) fn minimal(mut keys: Vec<Prefix>) -> Vec<Prefix> {
    // A key sorts behind all that begin it, `begins` before `equals`, and what one covers stands together behind it.
    keys.sort();
    let mut kept: Vec<Prefix> = Vec::with_capacity(keys.len());
    for key in keys {
        let covers = |k: &Prefix| if k.whole { *k == key } else { key.bytes.starts_with(&k.bytes) };
        if !kept.last().is_some_and(covers) {
            kept.push(key);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(key: &Prefix, text: &str) -> bool {
        if key.whole { text.as_bytes() == key.bytes } else { text.as_bytes().starts_with(&key.bytes) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_walk_finds_what_fits(keys in proptest::collection::vec(("[abé]{0,5}", any::<bool>()), 0..20), text in "[abé]{0,7}") {
            let keys: Vec<Prefix> = keys.into_iter().map(|(k, whole)| Prefix { bytes: k.into_bytes(), whole }).collect();
            let mut trie = Trie::<Vec<usize>>::default();
            for (i, key) in keys.iter().enumerate() {
                trie.place(key).push(i);
            }
            let mut found: Vec<usize> = Vec::new();
            trie.walk(text.bytes(), |list| found.extend(list));
            found.sort_unstable();
            let wanted: Vec<usize> = (0..keys.len()).filter(|i| fits(&keys[*i], &text)).collect();
            prop_assert_eq!(found, wanted);
            let few = minimal(keys.clone());
            let covered = few.iter().filter(|k| fits(k, &text)).count();
            prop_assert_eq!(covered, usize::from(keys.iter().any(|k| fits(k, &text))), "{:?} {:?}", keys, few);
        }
    }
}
