-- Key services that tenants run themselves, keys that lie there, and grants that were signed for them.

CREATE TABLE key_store (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  store_id TEXT NOT NULL,
  name TEXT {BINARY} NOT NULL,
  address TEXT NOT NULL,
  credential_id TEXT NOT NULL,
  sealed_secret {BLOB} NOT NULL,
  tenant_key_version BIGINT NOT NULL,
  -- PEM; empty for the public list.
  roots TEXT NOT NULL,
  lease_s BIGINT NOT NULL,
  -- A JSON list of verification keys.
  approvers TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, store_id)
){CLUSTERED};
CREATE UNIQUE INDEX key_store_name ON key_store (tenant_id, name);

ALTER TABLE cmk ADD COLUMN store_id TEXT;
ALTER TABLE cmk ADD COLUMN external_key TEXT;
-- Two keys of KMS are never one key of a store.
CREATE UNIQUE INDEX cmk_external ON cmk (tenant_id, store_id, external_key) WHERE store_id IS NOT NULL;

-- The grant as the tenant's approver signed it.
ALTER TABLE consent_decision ADD COLUMN statement TEXT;
