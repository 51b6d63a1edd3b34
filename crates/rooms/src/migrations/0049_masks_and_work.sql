-- What a tenant has covered in its recordings when they are read: JSON, see broker/mask.
CREATE TABLE recording_masks (
  tenant_id TEXT PRIMARY KEY REFERENCES tenant (tenant_id),
  told TEXT NOT NULL,
  set_by TEXT NOT NULL,
  set_at_ms BIGINT NOT NULL
);

-- Work that came later: repairs, and workers that stand still for a while. SQLite changes no check in place.
ALTER TABLE provider_change RENAME TO provider_change_before;
CREATE TABLE provider_change (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  change_id TEXT NOT NULL,
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  work TEXT NOT NULL CHECK (work IN ('quota', 'scrub', 'rewrap', 'repair', 'suspend-replication', 'suspend-lifecycle')),
  bucket TEXT,
  bytes_max BIGINT,
  reason TEXT NOT NULL,
  announced_at_ms BIGINT NOT NULL,
  planned_at_ms BIGINT NOT NULL,
  -- Of a worker that stands still: since when.
  began_at_ms BIGINT,
  -- The last run.
  ended TEXT CHECK (ended IN ('done', 'failed')),
  ended_at_ms BIGINT,
  said TEXT,
  PRIMARY KEY (tenant_id, change_id),
  CHECK ((ended IS NULL) = (ended_at_ms IS NULL) AND (ended IS NULL) = (said IS NULL))
);
INSERT INTO provider_change (tenant_id, change_id, operator_id, pseudonym, work, bucket, bytes_max, reason, announced_at_ms,
  planned_at_ms, ended, ended_at_ms, said)
SELECT tenant_id, change_id, operator_id, pseudonym, work, bucket, bytes_max, reason, announced_at_ms, planned_at_ms, ended,
  ended_at_ms, said FROM provider_change_before;
DROP TABLE provider_change_before;
CREATE INDEX provider_change_planned ON provider_change (planned_at_ms);
CREATE INDEX provider_change_of ON provider_change (tenant_id, planned_at_ms);
