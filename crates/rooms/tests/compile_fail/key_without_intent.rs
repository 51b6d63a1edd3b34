//! A data key opens for a release, which only an intent gives.
use bailee_rooms::House;
use bailee_types::TenantId;

async fn open(house: &House, tenant: &TenantId, wrapped: &[u8]) {
    let _ = house.open_data_key(tenant, 1, wrapped).await;
}

fn main() {}
