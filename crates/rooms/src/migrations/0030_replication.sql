-- Versions that wait to be copied into another bucket, as the owner of theirs wants it.

CREATE TABLE replication (
  tenant_id TEXT NOT NULL,
  bucket TEXT {BINARY} NOT NULL,
  object_key TEXT {BINARY} NOT NULL,
  version_id TEXT NOT NULL,
  rule TEXT {BINARY} NOT NULL,
  queued_at_ms BIGINT NOT NULL,
  -- When it is tried next.
  due_at_ms BIGINT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0,
  -- Why it was not copied the last time.
  failed TEXT,
  PRIMARY KEY (tenant_id, bucket, version_id, rule)
){CLUSTERED};
CREATE INDEX replication_due ON replication (due_at_ms);
CREATE INDEX replication_key ON replication (tenant_id, bucket, object_key, rule, queued_at_ms);
CREATE INDEX replication_rule ON replication (tenant_id, bucket, rule, queued_at_ms);
