-- What lies in each bucket, kept with each write: versions and bytes of content, parts of uploads under way among the bytes.

CREATE TABLE bucket_usage (
  tenant_id TEXT NOT NULL,
  bucket TEXT {BINARY} NOT NULL,
  objects BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, bucket)
){CLUSTERED};

INSERT INTO bucket_usage (tenant_id, bucket, objects, bytes)
SELECT b.tenant_id, b.bucket,
  (SELECT count(*) FROM object o WHERE o.tenant_id = b.tenant_id AND o.bucket = b.bucket)
  + (SELECT count(*) FROM object_version v WHERE v.tenant_id = b.tenant_id AND v.bucket = b.bucket AND v.is_marker = 0),
  (SELECT CAST(coalesce(sum(o.size), 0) AS BIGINT) FROM object o WHERE o.tenant_id = b.tenant_id AND o.bucket = b.bucket)
  + (SELECT CAST(coalesce(sum(v.size), 0) AS BIGINT) FROM object_version v
     WHERE v.tenant_id = b.tenant_id AND v.bucket = b.bucket AND v.is_marker = 0)
  + (SELECT CAST(coalesce(sum(p.size), 0) AS BIGINT) FROM upload_part p
     JOIN upload u ON u.tenant_id = p.tenant_id AND u.upload_id = p.upload_id
     WHERE u.tenant_id = b.tenant_id AND u.bucket = b.bucket)
FROM bucket b;

-- What the provider lets a tenant store; no row: as much as there is room.
CREATE TABLE tenant_quota (
  tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenant (tenant_id),
  bytes_max BIGINT NOT NULL,
  -- Written by whoever checks it, so that two who write at once check one after the other.
  checks BIGINT NOT NULL DEFAULT 0
);
