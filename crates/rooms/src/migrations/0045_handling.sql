-- What a legal order takes away from the public. The state is the newest deciding step's.
CREATE TABLE handling (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  handling_id TEXT NOT NULL,
  bucket TEXT NOT NULL,
  covers TEXT NOT NULL CHECK (covers IN ('bucket', 'prefix', 'object')),
  -- The prefix or the key; of a bucket nothing.
  name TEXT NOT NULL,
  -- Whether addresses that the tenant's own people signed are blocked, too.
  presigned BIGINT NOT NULL CHECK (presigned IN (0, 1)),
  authority TEXT NOT NULL,
  document TEXT NOT NULL,
  dated TEXT NOT NULL,
  reason TEXT NOT NULL,
  filed_at_ms BIGINT NOT NULL,
  until_ms BIGINT,
  state TEXT NOT NULL CHECK (state IN ('filed', 'declined', 'in_force', 'lifted')),
  -- When the tenant is told again; nothing when it has acknowledged the newest step.
  notice_at_ms BIGINT,
  PRIMARY KEY (tenant_id, handling_id)
);
CREATE INDEX handling_block ON handling (tenant_id, bucket) WHERE state = 'in_force';
CREATE INDEX handling_notice ON handling (notice_at_ms) WHERE notice_at_ms IS NOT NULL;
CREATE INDEX handling_filed ON handling (filed_at_ms);
CREATE INDEX handling_of ON handling (tenant_id, filed_at_ms);
-- Asked for each page of the console.
CREATE INDEX handling_open ON handling (tenant_id, filed_at_ms) WHERE notice_at_ms IS NOT NULL;

-- Who did what about it, append-only; 1 files.
CREATE TABLE handling_step (
  tenant_id TEXT NOT NULL,
  handling_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  act TEXT NOT NULL CHECK (act IN ('file', 'confirm', 'decline', 'lift', 'acknowledge')),
  -- Who of the provider; of the tenant nobody.
  operator_id TEXT REFERENCES operator (operator_id),
  -- An operator's pseudonym, or a user's name.
  writer TEXT NOT NULL,
  note TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, handling_id, seq),
  FOREIGN KEY (tenant_id, handling_id) REFERENCES handling (tenant_id, handling_id),
  CHECK ((act = 'acknowledge') = (operator_id IS NULL))
);

-- Stability work on a tenant's things, announced before it is done.
CREATE TABLE provider_change (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  change_id TEXT NOT NULL,
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  work TEXT NOT NULL CHECK (work IN ('quota', 'scrub', 'rewrap')),
  bucket TEXT,
  bytes_max BIGINT,
  reason TEXT NOT NULL,
  announced_at_ms BIGINT NOT NULL,
  planned_at_ms BIGINT NOT NULL,
  -- The last run.
  ended TEXT CHECK (ended IN ('done', 'failed')),
  ended_at_ms BIGINT,
  said TEXT,
  PRIMARY KEY (tenant_id, change_id),
  CHECK ((ended IS NULL) = (ended_at_ms IS NULL) AND (ended IS NULL) = (said IS NULL))
);
CREATE INDEX provider_change_planned ON provider_change (planned_at_ms);
CREATE INDEX provider_change_of ON provider_change (tenant_id, planned_at_ms);
