//! Listing 1,000 keys of a bucket of 1,000,000 through the gate: from the beginning, from the middle, by a prefix, by folders.
//! `-- 100000` makes a smaller bucket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails loudly")]

use std::time::Instant;

use bailee_benches::{at_most, figure};
use bailee_rooms::vault::ListObjects;
use bailee_testkit::{Engine, TestHouse, TestTenant, bucket, runtime};

const CALLERS: usize = 64;
const TURNS: usize = 40;

/// A thousand folders, of as many keys each.
fn name(n: usize, keys: usize) -> String {
    let folder = n / (keys / 1000).max(1);
    format!("year/{folder:04}/object-{n:07}")
}

async fn fill(t: &TestHouse, acme: &TestTenant, keys: usize) {
    futures_util::stream::StreamExt::for_each_concurrent(
        futures_util::stream::iter(0..keys),
        CALLERS,
        async |n| acme.put(t, "large", &name(n, keys), vec![7u8; 16]).await,
    )
    .await;
}

/// The median of a page, in milliseconds.
async fn page(t: &TestHouse, acme: &TestTenant, prefix: &str, delimiter: &str, after: &str) -> f64 {
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let list = ListObjects {
            tenant: acme.id.clone(),
            bucket: bucket("large"),
            prefix: prefix.to_owned(),
            delimiter: delimiter.to_owned(),
            after: after.to_owned(),
            entries_max: 1000,
            ticket: None,
        };
        let start = Instant::now();
        let page = t.house.perform(acme.root.clone(), list).await.unwrap();
        took.push(start.elapsed().as_secs_f64() * 1000.0);
        assert!(page.entries.len() >= 100, "{} entries", page.entries.len());
    }
    took.sort_by(f64::total_cmp);
    took[TURNS / 2]
}

fn main() {
    let keys: usize = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    assert!(keys >= 100_000, "at least 100000 keys, so that a folder has 100");
    runtime().block_on(async {
        let t = TestHouse::new(Engine::Sqlite);
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "large").await;
        let start = Instant::now();
        fill(&t, &acme, keys).await;
        figure("keys put by 64 callers", keys as f64 / start.elapsed().as_secs_f64(), "/s");
        let middle = name(keys / 2, keys);
        for (what, prefix, delimiter, after) in [
            ("1,000 keys from the beginning", "", "", ""),
            ("1,000 keys from the middle", "", "", middle.as_str()),
            ("the keys of one folder", "year/0500/", "/", ""),
            ("1,000 folders", "year/", "/", ""),
        ] {
            let ms = page(&t, &acme, prefix, delimiter, after).await;
            at_most(&format!("{what} of {keys}"), ms, "the aim", 10.0, "ms", 100.0);
        }
    });
}
