-- Secrets that hold the AccessKey of a user and rotate, and rotations that are under way.

-- Whose AccessKey it holds, and which one is current; null for a secret of the type Generic.
ALTER TABLE secret ADD COLUMN user_id TEXT;
ALTER TABLE secret ADD COLUMN access_key_id TEXT;
-- Seconds between rotations; null for none by itself.
ALTER TABLE secret ADD COLUMN rotation_s BIGINT;
ALTER TABLE secret ADD COLUMN rotated_at_ms BIGINT;
ALTER TABLE secret ADD COLUMN rotate_at_ms BIGINT;
-- Whether the last try by itself failed.
ALTER TABLE secret ADD COLUMN rotation_failed BIGINT NOT NULL DEFAULT 0;
-- Two secrets would take each other's AccessKey away.
CREATE UNIQUE INDEX secret_user ON secret (tenant_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX secret_rotate ON secret (rotate_at_ms) WHERE rotate_at_ms IS NOT NULL;

CREATE TABLE secret_rotation (
  tenant_id TEXT NOT NULL,
  name TEXT {BINARY} NOT NULL,
  -- The version that it makes, and the AccessKey in it.
  version_id TEXT {BINARY} NOT NULL,
  access_key_id TEXT NOT NULL,
  prepared_at_ms BIGINT NOT NULL,
  -- Its value, until it is the current version.
  sealed {BLOB},
  key_version TEXT,
  tenant_key_version BIGINT NOT NULL,
  -- From then on: what was current before.
  old_version_id TEXT {BINARY},
  old_access_key_id TEXT,
  -- When it goes on: at once while the version is made, then when the old AccessKey ends.
  due_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name),
  CHECK ((sealed IS NULL) = (old_version_id IS NOT NULL AND old_access_key_id IS NOT NULL))
){CLUSTERED};
CREATE INDEX secret_rotation_due ON secret_rotation (due_at_ms);
