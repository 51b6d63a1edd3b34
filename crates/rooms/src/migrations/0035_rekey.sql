-- Since when nothing was found under an older version of a tenant's key; null while what is sealed is being sealed anew.
ALTER TABLE tenant_key ADD COLUMN settled_at_ms BIGINT;
