//! All operations of the contract by product, from `operations.txt`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A product of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `Ram`, `Sts`, ….
    pub name: &'static str,
    /// `2015-05-01`; unique among our products.
    pub version: &'static str,
    /// The service code of policies and ARNs, `ram`.
    pub service: &'static str,
}

/// An operation of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The product.
    pub product: &'static Product,
    /// `CreateUser`.
    pub name: &'static str,
    /// The method that the SDKs send: `POST`, for a few `GET`.
    pub method: &'static str,
}

struct Table {
    products: Vec<Product>,
    names: Vec<(usize, &'static str, &'static str)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { products: Vec::new(), names: Vec::new() };
    for line in include_str!("operations.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("="), Some(name), Some(version), Some(service)) => {
                table.products.push(Product { name, version, service });
            }
            (Some(name), method, None, None) if !name.is_empty() => {
                let product = table.products.len().saturating_sub(1);
                table.names.push((product, name, method.unwrap_or("POST")));
            }
            _ => {}
        }
    }
    table
});

/// By version, then by name.
static INDEX: LazyLock<BTreeMap<&'static str, BTreeMap<&'static str, Operation>>> = LazyLock::new(|| {
    let mut index: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (product, name, method) in &TABLE.names {
        if let Some(product) = TABLE.products.get(*product) {
            index.entry(product.version).or_default().insert(*name, Operation { product, name, method });
        }
    }
    index
});

/// All operations, by version and name.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    INDEX.values().flat_map(BTreeMap::values)
}

pub(super) fn product(version: &str) -> Option<&'static Product> {
    TABLE.products.iter().find(|p| p.version == version)
}

pub(super) fn operation(version: &str, name: &str) -> Option<&'static Operation> {
    INDEX.get(version)?.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_whole_contract() {
        // And of ours four for the platform's events and seven for key stores.
        assert_eq!(operations().count(), 446 + 4 + 7);
        let count = |p: &str| operations().filter(|o| o.product.name == p).count();
        assert_eq!([count("Ram"), count("Sts"), count("Kms"), count("Cloudfw")], [69, 4, 62 + 7, 101]);
        assert_eq!(operation("2015-05-01", "CreateUser").map(|o| o.method), Some("POST"));
        assert!(operation("2015-05-01", "NoSuch").is_none() && product("1999-01-01").is_none());
    }
}
