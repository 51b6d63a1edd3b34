//! An operation acts only with an intent at hand; a clearance is none.
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::gate::{Cleared, Operation};
use bailee_rooms::vault::ReadObject;

async fn act(house: &Arc<House>, read: ReadObject, cleared: Cleared) {
    let _ = read.act(house, &cleared).await;
}

fn main() {}
