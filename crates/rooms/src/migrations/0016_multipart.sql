-- Objects that arrive in parts. A part is a blob of its own; all parts of one object are sealed under its one data key.

CREATE TABLE upload (
  tenant_id TEXT NOT NULL,
  bucket TEXT NOT NULL REFERENCES bucket (bucket),
  object_key TEXT NOT NULL {BINARY},
  upload_id TEXT NOT NULL,
  -- The version that the object will have; the data key's wrap is bound to it.
  version_id TEXT NOT NULL,
  key_version BIGINT NOT NULL,
  wrapped_key {BLOB} NOT NULL,
  sealed_meta {BLOB} NOT NULL,
  begun_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, bucket, object_key, upload_id)
){CLUSTERED};

CREATE TABLE upload_part (
  tenant_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  part_number BIGINT NOT NULL CHECK (part_number BETWEEN 1 AND 10000),
  part_id TEXT NOT NULL UNIQUE,
  size BIGINT NOT NULL CHECK (size >= 0),
  header {BLOB} NOT NULL,
  sealed_digests {BLOB} NOT NULL,
  written_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, upload_id, part_number)
);

-- The parts of objects that are whole. Their order is vouched for by a digest in the object's sealed metadata.
CREATE TABLE object_part (
  tenant_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  part_number BIGINT NOT NULL,
  part_id TEXT NOT NULL UNIQUE,
  size BIGINT NOT NULL,
  header {BLOB} NOT NULL,
  PRIMARY KEY (tenant_id, version_id, part_number)
);

ALTER TABLE object ADD COLUMN parts BIGINT NOT NULL DEFAULT 0;
