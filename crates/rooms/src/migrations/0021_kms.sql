-- Keys that tenants use through KMS. Material is sealed under the tenant's key and bound to key and version.

CREATE TABLE cmk (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  key_id TEXT NOT NULL,
  spec TEXT NOT NULL,
  key_usage TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('Aliyun_KMS', 'EXTERNAL')),
  state TEXT NOT NULL CHECK (state IN ('Enabled', 'Disabled', 'PendingDeletion', 'PendingImport')),
  description TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  delete_at_ms BIGINT,
  protected BIGINT NOT NULL DEFAULT 0 CHECK (protected IN (0, 1)),
  protected_text TEXT NOT NULL DEFAULT '',
  rotation_s BIGINT,
  rotated_at_ms BIGINT,
  rotate_at_ms BIGINT,
  primary_version TEXT NOT NULL,
  -- Of material that the tenant brought: a fingerprint, so that nothing else is brought for it, and its end.
  material_print TEXT,
  material_until_ms BIGINT,
  -- Raised by each change: whoever holds the key opened sees that it is not the same any more.
  revision BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, key_id),
  CHECK ((state = 'PendingDeletion') = (delete_at_ms IS NOT NULL))
){CLUSTERED};
CREATE INDEX cmk_deletion ON cmk (delete_at_ms) WHERE delete_at_ms IS NOT NULL;
CREATE INDEX cmk_rotation ON cmk (rotate_at_ms) WHERE rotate_at_ms IS NOT NULL;
CREATE INDEX cmk_material ON cmk (material_until_ms) WHERE material_until_ms IS NOT NULL;

CREATE TABLE cmk_version (
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  -- Null once it is destroyed.
  sealed_material {BLOB},
  tenant_key_version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key_id, version_id)
){CLUSTERED};

CREATE TABLE cmk_alias (
  tenant_id TEXT NOT NULL,
  alias TEXT {BINARY} NOT NULL,
  key_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, alias)
){CLUSTERED};
CREATE INDEX cmk_alias_key ON cmk_alias (tenant_id, key_id);

CREATE TABLE cmk_tag (
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  tag_key TEXT {BINARY} NOT NULL,
  tag_value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, key_id, tag_key)
){CLUSTERED};

-- How often a key was used, by day (days since 1970) and operation.
CREATE TABLE cmk_use (
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  operation TEXT NOT NULL,
  uses BIGINT NOT NULL,
  -- So many of them stand in the tenant's log.
  noted BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, key_id, day, operation)
){CLUSTERED};
CREATE INDEX cmk_use_pending ON cmk_use (tenant_id) WHERE uses > noted;
