//! Into a bucket of the tenant: gzip JSON lines under ActionTrail's path (contract §6).

use std::io::Write;
use std::sync::Arc;

use bailee_types::{ObjectKey, TenantId, Timestamp};
use bytes::Bytes;
use flate2::{Compression, GzBuilder};

use super::Batch;
use crate::House;
use crate::gate::Caller;
use crate::trail::trails::{Trail, TrailFamily};
use crate::vault::{ObjectMeta, PutObject, WholeBody};

/// Writes a batch as one object, whose name says which records it is: a repeat overwrites itself.
pub(super) async fn write(
    house: &Arc<House>,
    tenant: &TenantId,
    trail: &Trail,
    batch: &Batch,
) -> Result<(), String> {
    let region = house.provider().region.clone();
    let at = batch.acts.first().map_or_else(|| house.now(), |act| act.at);
    let name =
        path(&trail.settings.prefix, trail.family, region.as_str(), tenant, at, (batch.from, batch.to));
    let put = PutObject {
        customer_key: None,
        tenant: tenant.clone(),
        bucket: trail.settings.bucket.clone(),
        key: ObjectKey::parse(&name).map_err(|e| format!("the path `{name}`: {e}"))?,
        meta: ObjectMeta { content_type: "application/x-gzip".into(), ..ObjectMeta::default() },
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(Bytes::from(lines(trail.family, batch)?))),
    };
    house.perform(Caller::delivery(tenant), put).await.map(drop).map_err(|e| e.to_string())
}

/// One event a line, in the trail's shape, compressed. The same batch gives the same bytes.
fn lines(family: TrailFamily, batch: &Batch) -> Result<Vec<u8>, String> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    for act in &batch.acts {
        let event = match family {
            TrailFamily::Management => act.management_event(),
            TrailFamily::Inner => act.platform_event(),
        };
        let Some(event) = event else { continue };
        let line = serde_json::to_vec(&event).map_err(|e| e.to_string())?;
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(|e| e.to_string())?;
    }
    out.finish().map_err(|e| e.to_string())
}

fn path(
    prefix: &str,
    family: TrailFamily,
    region: &str,
    tenant: &TenantId,
    at: Timestamp,
    (from, to): (u64, u64),
) -> String {
    let iso = at.iso();
    let (day, clock) = (iso.get(..10).unwrap_or_default(), iso.get(11..19).unwrap_or_default());
    let (year, month, date) = (
        day.get(..4).unwrap_or_default(),
        day.get(5..7).unwrap_or_default(),
        day.get(8..).unwrap_or_default(),
    );
    let clock: String = clock.chars().filter(char::is_ascii_digit).collect();
    let folder = match family {
        TrailFamily::Management => "Actiontrail",
        TrailFamily::Inner => "InnerActiontrail",
    };
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    format!(
        "{prefix}{slash}AliyunLogs/{folder}/{region}/{year}/{month}/{date}/\
         {folder}_{region}_{year}{month}{date}{clock}_{tenant}_{from:012}-{:012}.gz",
        to.saturating_sub(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_actiontrails_and_names_its_records() {
        let tenant = TenantId::parse("1000000000000001").unwrap();
        let at = Timestamp::parse_iso("2026-11-25T08:09:10Z").unwrap();
        let of = |prefix| path(prefix, TrailFamily::Management, "cn-hangzhou", &tenant, at, (7, 12));
        let tail = "AliyunLogs/Actiontrail/cn-hangzhou/2026/11/25/\
                    Actiontrail_cn-hangzhou_20261125080910_1000000000000001_000000000007-000000000011.gz";
        assert_eq!(of(""), tail);
        assert_eq!(of("audit"), format!("audit/{tail}"));
        assert_eq!(of("audit/"), format!("audit/{tail}"));
    }
}
