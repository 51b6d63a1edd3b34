//! A release ends with its intent: it cannot be kept for later.
use bailee_rooms::gate::{Intent, KeyRelease};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, Timestamp};

fn keep<'k>(
    intent: Intent,
    bucket: &'k BucketName,
    key: &ObjectKey,
    version: &'k ObjectVersionId,
    now: Timestamp,
) -> KeyRelease<'k> {
    intent.release(bucket, key, version, now).unwrap()
}

fn main() {}
