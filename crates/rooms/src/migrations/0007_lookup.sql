-- Searching a log without opening each record, and the trails that a tenant makes.

-- What is said in 512 records, as a sealed filter. Derived from trail_record in the background and never trusted to be
-- there: a block without a row is read record by record. Not clustered, so that counting rows reads no summaries.
CREATE TABLE trail_block (
  tenant_id TEXT NOT NULL,
  block_index BIGINT NOT NULL CHECK (block_index >= 0),
  sealed_summary {BLOB} NOT NULL,
  PRIMARY KEY (tenant_id, block_index)
);

-- A trail says where events go. `next_record`, `delivered_at_ms`, `failed_at_ms` and `last_error` are written by
-- whoever delivers; everything else by the tenant's acts.
CREATE TABLE trail (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  family TEXT NOT NULL CHECK (family IN ('management', 'inner')),
  name TEXT NOT NULL {BINARY},
  status TEXT NOT NULL CHECK (status IN ('Fresh', 'Enable', 'Disable')),
  event_rw TEXT NOT NULL CHECK (event_rw IN ('Write', 'Read', 'All')),
  trail_region TEXT NOT NULL,
  oss_bucket TEXT NOT NULL,
  oss_prefix TEXT NOT NULL,
  oss_role_arn TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  started_at_ms BIGINT,
  stopped_at_ms BIGINT,
  next_record BIGINT NOT NULL CHECK (next_record >= 0),
  delivered_at_ms BIGINT,
  failed_at_ms BIGINT,
  last_error TEXT,
  PRIMARY KEY (tenant_id, family, name),
  CHECK ((status = 'Fresh') = (started_at_ms IS NULL)),
  CHECK ((failed_at_ms IS NULL) = (last_error IS NULL))
);
