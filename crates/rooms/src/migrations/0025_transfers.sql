-- The register of transfers: under which legal basis content may leave its jurisdiction, and what left under it.

CREATE TABLE transfer (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  transfer_id TEXT {BINARY} NOT NULL,
  from_place TEXT NOT NULL,
  to_place TEXT NOT NULL,
  -- A JSON list of `bucket/prefix`.
  resources TEXT NOT NULL,
  basis TEXT NOT NULL,
  -- What the tenant told of it: JSON, see residency/register.rs.
  told TEXT NOT NULL,
  valid_from_ms BIGINT NOT NULL,
  valid_until_ms BIGINT NOT NULL,
  registered_at_ms BIGINT NOT NULL,
  registered_by TEXT NOT NULL,
  -- When it was stopped for now, and when for good.
  suspended_at_ms BIGINT,
  ended_at_ms BIGINT,
  stop_reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, transfer_id)
){CLUSTERED};

CREATE TABLE transfer_move (
  tenant_id TEXT NOT NULL,
  transfer_id TEXT {BINARY} NOT NULL,
  -- The intent's record in the tenant's log.
  record_index BIGINT NOT NULL,
  moved_at_ms BIGINT NOT NULL,
  resource TEXT NOT NULL,
  who TEXT NOT NULL,
  -- Bytes of content that were given out; null until the act ended.
  bytes BIGINT,
  PRIMARY KEY (tenant_id, transfer_id, record_index)
){CLUSTERED};
