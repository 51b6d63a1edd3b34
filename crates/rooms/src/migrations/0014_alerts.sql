-- What a tenant should look at, and how far its log was looked through for it.

CREATE TABLE trail_alert (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  alert BIGINT NOT NULL CHECK (alert > 0),
  kind TEXT NOT NULL CHECK (kind IN ('content', 'warning', 'unknown', 'refused', 'behind')),
  record_index BIGINT NOT NULL,
  raised_at_ms BIGINT NOT NULL,
  acknowledged_at_ms BIGINT,
  acknowledged_by TEXT,
  PRIMARY KEY (tenant_id, alert),
  UNIQUE (tenant_id, kind, record_index)
);
CREATE INDEX trail_alert_open ON trail_alert (tenant_id, alert) WHERE acknowledged_at_ms IS NULL;

CREATE TABLE trail_alerting (
  tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenant (tenant_id),
  next_record BIGINT NOT NULL CHECK (next_record >= 0),
  -- Kinds that the tenant does not want, separated by commas.
  muted TEXT NOT NULL DEFAULT ''
);
