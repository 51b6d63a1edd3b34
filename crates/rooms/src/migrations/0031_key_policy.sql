-- Policies of keys and secrets; what has none here has the usual one.

CREATE TABLE key_policy (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- `key/…` or `secret/…`.
  resource TEXT {BINARY} NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (tenant_id, resource)
){CLUSTERED};
