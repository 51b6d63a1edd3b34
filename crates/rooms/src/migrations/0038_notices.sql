-- Whom a tenant wants told that something waits for it, and what is still to be said.

CREATE TABLE notice_target (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  target_id TEXT NOT NULL,
  channel TEXT NOT NULL CHECK (channel IN ('mail', 'webhook')),
  -- Of what it hears.
  ticket BIGINT NOT NULL CHECK (ticket IN (0, 1)),
  consent BIGINT NOT NULL CHECK (consent IN (0, 1)),
  alert BIGINT NOT NULL CHECK (alert IN (0, 1)),
  -- The address, and of a webhook the secret that signs.
  sealed {BLOB} NOT NULL,
  -- The last failure since it was last told something.
  failed_at_ms BIGINT,
  last_error TEXT,
  PRIMARY KEY (tenant_id, target_id),
  CHECK ((failed_at_ms IS NULL) = (last_error IS NULL))
);

-- One row for each target and thing, however much happens to the thing before it is said.
CREATE TABLE notice (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- Of notice_target; `provider`: the address that the provider's configuration names.
  target_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('ticket', 'consent', 'alert')),
  reference TEXT NOT NULL,
  -- The same at each try, so that a receiver knows a repetition.
  notice_id TEXT NOT NULL,
  since_ms BIGINT NOT NULL,
  -- Counts what happened since: what happens while it is being said is said once more.
  again BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  retry_at_ms BIGINT NOT NULL,
  lease_by TEXT NOT NULL DEFAULT '',
  lease_until_ms BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, target_id, kind, reference)
);
CREATE INDEX notice_due ON notice (retry_at_ms);
