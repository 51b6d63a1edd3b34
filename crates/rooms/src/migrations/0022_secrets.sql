-- Secrets of KMS: values in versions, sealed under a key of the tenant's choice or under the tenant's own.

CREATE TABLE secret (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  name TEXT {BINARY} NOT NULL,
  description TEXT NOT NULL,
  -- The key of KMS whose versions seal it; null for the tenant's own.
  key_id TEXT,
  config TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  delete_at_ms BIGINT,
  PRIMARY KEY (tenant_id, name)
){CLUSTERED};
CREATE INDEX secret_deletion ON secret (delete_at_ms) WHERE delete_at_ms IS NOT NULL;

CREATE TABLE secret_version (
  tenant_id TEXT NOT NULL,
  name TEXT {BINARY} NOT NULL,
  version_id TEXT {BINARY} NOT NULL,
  -- In the order of their making.
  number BIGINT NOT NULL,
  data_type TEXT NOT NULL CHECK (data_type IN ('text', 'binary')),
  -- A JSON list; empty for a version that nobody names any more.
  stages TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  sealed {BLOB} NOT NULL,
  -- Which version of the key, or of the tenant's own.
  key_version TEXT,
  tenant_key_version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name, version_id)
){CLUSTERED};

CREATE TABLE secret_tag (
  tenant_id TEXT NOT NULL,
  name TEXT {BINARY} NOT NULL,
  tag_key TEXT {BINARY} NOT NULL,
  tag_value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name, tag_key)
){CLUSTERED};
