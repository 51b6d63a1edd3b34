-- Events whose text is gone, how long a tenant keeps events, and what must be kept whatever is asked.

-- The opening in trail_record is empty then; who erased it and why stands in the record `erasure_index` of the log.
CREATE TABLE trail_erased (
  tenant_id TEXT NOT NULL,
  record_index BIGINT NOT NULL CHECK (record_index >= 0),
  erasure_index BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, record_index)
){CLUSTERED};

-- No row: nothing is erased by age. `next_record`: all before it that may go by age are gone.
CREATE TABLE trail_retention (
  tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenant (tenant_id),
  days BIGINT NOT NULL CHECK (days >= 180),
  next_record BIGINT NOT NULL CHECK (next_record >= 0)
);

CREATE TABLE trail_hold (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  hold BIGINT NOT NULL CHECK (hold > 0),
  placed_by TEXT NOT NULL,
  by_provider BIGINT NOT NULL CHECK (by_provider IN (0, 1)),
  reference TEXT NOT NULL,
  reason TEXT NOT NULL,
  -- Records from the first to before the second instant; a resource, or a beginning before `*`; '' for all.
  from_ms BIGINT NOT NULL,
  to_ms BIGINT NOT NULL,
  resource TEXT NOT NULL,
  placed_at_ms BIGINT NOT NULL,
  lifted_at_ms BIGINT,
  PRIMARY KEY (tenant_id, hold)
);
