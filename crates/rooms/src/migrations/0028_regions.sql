-- Places for data beside the house's own, and in which of them a tenant lets its buckets lie.

CREATE TABLE region (
  region_id TEXT NOT NULL PRIMARY KEY,
  -- ISO 3166-1 alpha-2.
  jurisdiction TEXT NOT NULL,
  -- Eight hex digits with which the ids of blobs there begin.
  tag TEXT NOT NULL UNIQUE,
  -- Empty: beside the database.
  folder TEXT NOT NULL,
  added_at_ms BIGINT NOT NULL
);

CREATE TABLE tenant_region (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  region_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, region_id)
){CLUSTERED};
