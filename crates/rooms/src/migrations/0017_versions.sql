-- Versions of objects. What is current stays in `object`; older versions and delete markers lie apart, so that a bucket
-- with a long history lists as fast as one without.

ALTER TABLE bucket ADD COLUMN versioning TEXT NOT NULL DEFAULT 'Off' CHECK (versioning IN ('Off', 'Enabled', 'Suspended'));

-- 1 for the version that a bucket without versions has of each key: clients call it `null`.
ALTER TABLE object ADD COLUMN is_null BIGINT NOT NULL DEFAULT 1;
-- The place among the versions of its key; the least is the newest.
ALTER TABLE object ADD COLUMN place BIGINT NOT NULL DEFAULT 0;

CREATE TABLE object_version (
  tenant_id TEXT NOT NULL,
  bucket TEXT NOT NULL REFERENCES bucket (bucket),
  object_key TEXT NOT NULL {BINARY},
  place BIGINT NOT NULL,
  version_id TEXT NOT NULL UNIQUE,
  is_null BIGINT NOT NULL CHECK (is_null IN (0, 1)),
  -- 1 for a delete marker, which has no content and no key.
  is_marker BIGINT NOT NULL CHECK (is_marker IN (0, 1)),
  size BIGINT NOT NULL CHECK (size >= 0),
  modified_at_ms BIGINT NOT NULL,
  key_version BIGINT NOT NULL,
  wrapped_key {BLOB} NOT NULL,
  sealed_meta {BLOB} NOT NULL,
  header {BLOB} NOT NULL,
  is_inline BIGINT NOT NULL CHECK (is_inline IN (0, 1)),
  parts BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, bucket, object_key, place)
){CLUSTERED};

-- The cleaner asks for the oldest.
CREATE INDEX blob_garbage_since ON blob_garbage (since_ms);
