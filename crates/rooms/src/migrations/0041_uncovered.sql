-- Alerts of a further kind: an act of an operator that a log of the platform shows and nothing let in.

ALTER TABLE trail_alert RENAME TO trail_alert_before;
CREATE TABLE trail_alert (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  alert BIGINT NOT NULL CHECK (alert > 0),
  kind TEXT NOT NULL CHECK (kind IN ('content', 'uncovered', 'warning', 'unknown', 'refused', 'behind')),
  record_index BIGINT NOT NULL,
  raised_at_ms BIGINT NOT NULL,
  acknowledged_at_ms BIGINT,
  acknowledged_by TEXT,
  PRIMARY KEY (tenant_id, alert),
  UNIQUE (tenant_id, kind, record_index)
);
INSERT INTO trail_alert (tenant_id, alert, kind, record_index, raised_at_ms, acknowledged_at_ms, acknowledged_by)
  SELECT tenant_id, alert, kind, record_index, raised_at_ms, acknowledged_at_ms, acknowledged_by FROM trail_alert_before;
DROP TABLE trail_alert_before;
CREATE INDEX trail_alert_open ON trail_alert (tenant_id, alert) WHERE acknowledged_at_ms IS NULL;
