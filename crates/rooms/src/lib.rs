//! The rooms of the house: what Bailee does, one module a room, all behind the gate.
//!
//! Every act goes `Caller → Permit → Cleared → Intent → outcome` (see [`gate`]). Rooms call each other's
//! functions and never each other's tables.

pub mod assurance;
pub mod broker;
pub mod closure;
pub mod consent;
mod failure;
mod fresh;
pub mod gate;
pub mod handling;
mod house;
pub mod identity;
pub mod keys;
pub mod notices;
pub mod outside;
pub mod rekey;
pub mod residency;
pub mod tickets;
pub mod trail;
pub mod vault;

pub use failure::{Failure, Fault, SignInProblem, Thing};
pub use house::{Counters, House, HouseConfig, MailConfig, Provider, USERS_MAX};

use bailee_store::Migration;

/// The schema, step by step. Never edited after a release: a change is a new step.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "foundation", sql: include_str!("migrations/0001_foundation.sql") },
    Migration { number: 2, name: "identity", sql: include_str!("migrations/0002_identity.sql") },
    Migration { number: 3, name: "devices", sql: include_str!("migrations/0003_devices.sql") },
    Migration { number: 6, name: "heads", sql: include_str!("migrations/0006_heads.sql") },
    Migration { number: 7, name: "lookup", sql: include_str!("migrations/0007_lookup.sql") },
    Migration { number: 9, name: "collected", sql: include_str!("migrations/0009_collected.sql") },
    Migration { number: 10, name: "erasure", sql: include_str!("migrations/0010_erasure.sql") },
    Migration { number: 11, name: "tags", sql: include_str!("migrations/0011_tags.sql") },
    Migration { number: 12, name: "delivery", sql: include_str!("migrations/0012_delivery.sql") },
    Migration { number: 13, name: "cosigning", sql: include_str!("migrations/0013_cosigning.sql") },
    Migration { number: 14, name: "alerts", sql: include_str!("migrations/0014_alerts.sql") },
    Migration { number: 15, name: "shortcuts", sql: include_str!("migrations/0015_shortcuts.sql") },
    Migration { number: 16, name: "multipart", sql: include_str!("migrations/0016_multipart.sql") },
    Migration { number: 17, name: "versions", sql: include_str!("migrations/0017_versions.sql") },
    Migration { number: 18, name: "scrub", sql: include_str!("migrations/0018_scrub.sql") },
    Migration { number: 19, name: "bucket_tags", sql: include_str!("migrations/0019_bucket_tags.sql") },
    Migration { number: 20, name: "lifecycle", sql: include_str!("migrations/0020_lifecycle.sql") },
    Migration { number: 21, name: "kms", sql: include_str!("migrations/0021_kms.sql") },
    Migration { number: 22, name: "secrets", sql: include_str!("migrations/0022_secrets.sql") },
    Migration { number: 23, name: "settings", sql: include_str!("migrations/0023_settings.sql") },
    Migration { number: 24, name: "destruction", sql: include_str!("migrations/0024_destruction.sql") },
    Migration { number: 25, name: "transfers", sql: include_str!("migrations/0025_transfers.sql") },
    Migration { number: 26, name: "usage", sql: include_str!("migrations/0026_usage.sql") },
    Migration { number: 27, name: "key_stores", sql: include_str!("migrations/0027_key_stores.sql") },
    Migration { number: 28, name: "regions", sql: include_str!("migrations/0028_regions.sql") },
    Migration { number: 29, name: "closure", sql: include_str!("migrations/0029_closure.sql") },
    Migration { number: 30, name: "replication", sql: include_str!("migrations/0030_replication.sql") },
    Migration { number: 31, name: "key_policy", sql: include_str!("migrations/0031_key_policy.sql") },
    Migration {
        number: 32,
        name: "secret_rotation",
        sql: include_str!("migrations/0032_secret_rotation.sql"),
    },
    Migration { number: 33, name: "checksums", sql: include_str!("migrations/0033_checksums.sql") },
    Migration { number: 34, name: "papers", sql: include_str!("migrations/0034_papers.sql") },
    Migration { number: 35, name: "rekey", sql: include_str!("migrations/0035_rekey.sql") },
    Migration { number: 36, name: "tickets", sql: include_str!("migrations/0036_tickets.sql") },
    Migration { number: 37, name: "scope", sql: include_str!("migrations/0037_scope.sql") },
    Migration { number: 38, name: "notices", sql: include_str!("migrations/0038_notices.sql") },
    Migration { number: 39, name: "broker", sql: include_str!("migrations/0039_broker.sql") },
    Migration { number: 40, name: "consent", sql: include_str!("migrations/0040_consent.sql") },
    Migration { number: 41, name: "uncovered", sql: include_str!("migrations/0041_uncovered.sql") },
    Migration { number: 42, name: "signed", sql: include_str!("migrations/0042_signed.sql") },
    Migration { number: 43, name: "standing", sql: include_str!("migrations/0043_standing.sql") },
    Migration { number: 44, name: "operator_keys", sql: include_str!("migrations/0044_operator_keys.sql") },
    Migration { number: 45, name: "handling", sql: include_str!("migrations/0045_handling.sql") },
    Migration { number: 46, name: "recorded", sql: include_str!("migrations/0046_recorded.sql") },
    Migration { number: 47, name: "figures", sql: include_str!("migrations/0047_figures.sql") },
    Migration { number: 48, name: "glass", sql: include_str!("migrations/0048_glass.sql") },
    Migration { number: 49, name: "masks_and_work", sql: include_str!("migrations/0049_masks_and_work.sql") },
    Migration { number: 50, name: "assurance", sql: include_str!("migrations/0050_assurance.sql") },
    Migration { number: 51, name: "moved", sql: include_str!("migrations/0051_moved.sql") },
];

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn each_file_of_migrations_is_one_in_its_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|f| f.file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS.iter().map(|m| format!("{:04}_{}.sql", m.number, m.name)).collect();
        assert_eq!(listed, files);
    }
}
