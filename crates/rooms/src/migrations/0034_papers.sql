-- Documents that are attached to something, and requests of operators for transfers.

CREATE TABLE paper (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- What it is attached to: `transfer` and the transfer's id.
  holder TEXT {BINARY} NOT NULL,
  holder_id TEXT {BINARY} NOT NULL,
  number BIGINT NOT NULL,
  -- The blob.
  version_id TEXT NOT NULL UNIQUE,
  size BIGINT NOT NULL,
  key_version BIGINT NOT NULL,
  wrapped_key {BLOB} NOT NULL,
  -- Name, type, SHA-256, by whom.
  sealed_meta {BLOB} NOT NULL,
  header {BLOB} NOT NULL,
  sealed_crc BIGINT NOT NULL,
  row_crc BIGINT NOT NULL,
  attached_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, holder, holder_id, number)
);

CREATE TABLE transfer_request (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  request_id TEXT {BINARY} NOT NULL,
  ticket TEXT NOT NULL,
  -- For the provider's own pages only; the tenant sees the pseudonym.
  operator_id TEXT NOT NULL,
  pseudonym TEXT NOT NULL,
  place TEXT NOT NULL,
  from_place TEXT NOT NULL,
  to_place TEXT NOT NULL,
  -- A JSON list of `bucket/prefix`.
  resources TEXT NOT NULL,
  basis TEXT NOT NULL,
  importer TEXT NOT NULL,
  reason TEXT NOT NULL,
  valid_days BIGINT NOT NULL,
  asked_at_ms BIGINT NOT NULL,
  lapses_at_ms BIGINT NOT NULL,
  -- The answer: accepted with a transfer, or declined without one.
  answered_at_ms BIGINT,
  answered_by TEXT,
  note TEXT NOT NULL DEFAULT '',
  transfer_id TEXT {BINARY},
  PRIMARY KEY (tenant_id, request_id),
  CHECK ((answered_at_ms IS NULL) = (answered_by IS NULL)),
  CHECK (transfer_id IS NULL OR answered_at_ms IS NOT NULL)
);
CREATE INDEX transfer_request_operator ON transfer_request (operator_id, asked_at_ms);
