-- Delivery: who is at it, when to try again, and where else events go.

ALTER TABLE trail ADD COLUMN lease_by TEXT NOT NULL DEFAULT '';
ALTER TABLE trail ADD COLUMN lease_until_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trail ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trail ADD COLUMN retry_at_ms BIGINT NOT NULL DEFAULT 0;

-- Webhooks and syslog servers of a tenant. `next_record` as in `trail`.
CREATE TABLE trail_sink (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  name TEXT NOT NULL {BINARY},
  kind TEXT NOT NULL CHECK (kind IN ('webhook', 'syslog')),
  address TEXT NOT NULL,
  format TEXT NOT NULL CHECK (format IN ('cloudevents', 'ocsf', 'bailee')),
  family TEXT NOT NULL CHECK (family IN ('own', 'platform', 'all')),
  sealed_secret {BLOB} NOT NULL,
  -- PEM of roots that are trusted in place of the public list; '' for that list.
  roots TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  next_record BIGINT NOT NULL CHECK (next_record >= 0),
  delivered_at_ms BIGINT,
  failed_at_ms BIGINT,
  last_error TEXT,
  lease_by TEXT NOT NULL DEFAULT '',
  lease_until_ms BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  retry_at_ms BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, name)
);
