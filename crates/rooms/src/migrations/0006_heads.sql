-- The public head log, its cosignatures, key changes of tenants' logs, and what a tenant asks of witnesses.

CREATE TABLE head_log (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  origin TEXT NOT NULL,
  vkey TEXT NOT NULL,
  sealed_signing_seed {BLOB} NOT NULL,
  -- ML-DSA-44, whose line stands second.
  sealed_second_seed {BLOB} NOT NULL,
  size BIGINT NOT NULL CHECK (size >= 0),
  frontier {BLOB} NOT NULL,
  last_time_ms BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  epoch_leaves BIGINT NOT NULL,
  epoch_ended_ms BIGINT NOT NULL
);

CREATE TABLE head_entry (
  entry_index BIGINT NOT NULL PRIMARY KEY,
  entry {BLOB} NOT NULL,
  leaf_hash {BLOB} NOT NULL
);

CREATE TABLE head_node (
  level BIGINT NOT NULL CHECK (level > 0),
  node_index BIGINT NOT NULL CHECK (node_index >= 0),
  hash {BLOB} NOT NULL,
  PRIMARY KEY (level, node_index)
){CLUSTERED};

CREATE TABLE head_checkpoint (
  size BIGINT NOT NULL PRIMARY KEY,
  root {BLOB} NOT NULL,
  note TEXT NOT NULL,
  signed_at_ms BIGINT NOT NULL
);

-- The newest head of each log in the head log; -1: none yet. A log without `enrol_index` is not enrolled.
ALTER TABLE trail_log ADD COLUMN enrol_index BIGINT;
ALTER TABLE trail_log ADD COLUMN head_version BIGINT NOT NULL DEFAULT -1;
ALTER TABLE trail_log ADD COLUMN head_size BIGINT NOT NULL DEFAULT -1;
ALTER TABLE trail_log ADD COLUMN head_commit {BLOB};
ALTER TABLE trail_log ADD COLUMN head_made_at_ms BIGINT NOT NULL DEFAULT 0;
-- Records up to here hold what the head log must have at once: acts of operators, refusals.
ALTER TABLE trail_log ADD COLUMN urgent_size BIGINT NOT NULL DEFAULT 0;
-- What each second is looked for: few among many.
CREATE INDEX trail_log_grown ON trail_log (tenant_id) WHERE size > signed_size;
CREATE INDEX trail_log_unheaded ON trail_log (tenant_id) WHERE signed_size > head_size;
CREATE INDEX trail_log_silent ON trail_log (last_time_ms);

CREATE TABLE trail_head (
  tenant_id TEXT NOT NULL,
  version BIGINT NOT NULL CHECK (version >= 0),
  size BIGINT NOT NULL,
  root {BLOB} NOT NULL,
  entry_index BIGINT NOT NULL,
  made_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, version)
){CLUSTERED};

-- Lines of witnesses over checkpoints of the head log or of a tenant's log.
CREATE TABLE cosignature (
  origin TEXT NOT NULL,
  size BIGINT NOT NULL,
  witness TEXT NOT NULL,
  line TEXT NOT NULL,
  at_s BIGINT NOT NULL,
  PRIMARY KEY (origin, size, witness)
){CLUSTERED};

CREATE TABLE trail_key_change (
  tenant_id TEXT NOT NULL,
  change BIGINT NOT NULL CHECK (change > 0),
  record_index BIGINT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, change)
);

CREATE TABLE trail_witnessing (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  policy TEXT NOT NULL,
  before_act BIGINT NOT NULL CHECK (before_act IN (0, 1))
);
