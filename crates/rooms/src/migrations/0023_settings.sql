-- What a bucket's owner has set: retention, encryption, access, quota. JSON; see vault/settings.rs.

ALTER TABLE bucket ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
