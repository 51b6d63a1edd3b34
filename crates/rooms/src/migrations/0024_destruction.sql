-- Certificates of destruction, sealed under the tenant's key: they name what is gone.

CREATE TABLE destruction (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- The index of the act's intent in the tenant's log.
  record_index BIGINT NOT NULL,
  destroyed_at_ms BIGINT NOT NULL,
  bucket TEXT {BINARY} NOT NULL,
  items BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  -- The certificate as text, compressed.
  sealed {BLOB} NOT NULL,
  PRIMARY KEY (tenant_id, record_index)
){CLUSTERED};
