//! The trail under load and across processes: one history, and every head extends the one before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use bailee_proof::tile::{Tile, TileKind};
use bailee_rooms::trail::{ActFilter, Family, LogPart};
use bailee_testkit::on_each_engine;
use bailee_types::LogId;

#[test]
fn two_processes_grow_one_log() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let second = t.second();
        let mut acts = tokio::task::JoinSet::new();
        for n in 0..40 {
            let house = if n % 2 == 0 { t.house.clone() } else { second.house.clone() };
            let (tenant, root) = (acme.id.clone(), acme.root.clone());
            acts.spawn(async move {
                let open = bailee_rooms::tickets::OpenTicket::titled(tenant.clone(), format!("n {n}"));
                house.perform(root, open).await.unwrap();
                house.head(&tenant).await.unwrap()
            });
        }
        let mut heads = Vec::new();
        while let Some(head) = acts.join_next().await {
            heads.push(head.unwrap());
        }
        // One root for each size, whoever signed it.
        let roots: BTreeSet<_> = heads.iter().map(|h| (h.size, h.root)).collect();
        let sizes: BTreeSet<_> = heads.iter().map(|h| h.size).collect();
        assert_eq!(roots.len(), sizes.len());
        for house in [&t.house, &second.house] {
            let house = house.clone();
            std::thread::spawn(move || house.recheck_logs()).join().unwrap().unwrap();
        }
        let page = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap();
        let opened = page.acts.iter().filter(|a| a.event_name == "OpenTicket").count();
        assert_eq!(opened, 40);
    });
}

#[test]
fn pages_meet_without_gap_or_overlap_while_the_log_grows() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        for _ in 0..30 {
            acme.ticket(&t).await;
        }
        let whole = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap();
        let wanted: Vec<u64> = whole.acts.iter().map(|a| a.record).collect();
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = t.house.acts(&acme.id, &ActFilter::default(), before, 7).await.unwrap();
            seen.extend(page.acts.iter().map(|a| a.record));
            acme.ticket(&t).await;
            match page.next_before {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, wanted);
        let own = ActFilter { family: Some(Family::Platform), ..ActFilter::default() };
        let page = t.house.acts(&acme.id, &own, None, 100).await.unwrap();
        assert!(page.acts.is_empty(), "the platform did nothing here");
    });
}

#[test]
fn tiles_give_the_signed_root() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        for _ in 0..150 {
            acme.ticket(&t).await;
        }
        let head = t.house.head(&acme.id).await.unwrap();
        assert!(head.size > 256, "{}", head.size);
        let id = LogId::parse(head.origin.rsplit('/').next().unwrap()).unwrap();
        let mut tree = bailee_proof::tree::Frontier::new();
        for index in 0..head.size.div_ceil(256) {
            let width = u16::try_from((head.size - index * 256).min(256)).unwrap();
            let path = Tile { kind: TileKind::Hashes(0), index, width }.to_string();
            let LogPart::Immutable(bytes) = t.house.log_part(&id, &path).await.unwrap() else { panic!() };
            for leaf in bytes.chunks_exact(32) {
                tree.append(bailee_proof::hash::Hash(leaf.try_into().unwrap())).unwrap();
            }
        }
        assert_eq!((tree.size(), tree.root().0), (head.size, head.root));
        let LogPart::Growing(note) = t.house.log_part(&id, "checkpoint").await.unwrap() else { panic!() };
        assert_eq!(note, head.note);
        let beyond = Tile { kind: TileKind::Hashes(0), index: 9, width: 256 }.to_string();
        assert!(t.house.log_part(&id, &beyond).await.is_err());
    });
}
