-- Temporary keys of an operator for the objects of one grant. Nothing secret lies here: the secret is derived, the token sealed.
CREATE TABLE operator_keys (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  key_id TEXT NOT NULL UNIQUE,
  grant_id TEXT NOT NULL,
  ticket_number BIGINT NOT NULL,
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  -- What the grant covers, as it is shown.
  scope TEXT NOT NULL,
  -- Whether they open content, or show names, sizes and settings only.
  content BIGINT NOT NULL CHECK (content IN (0, 1)),
  -- The record of the intent that took them.
  intent_index BIGINT NOT NULL,
  taken_at_ms BIGINT NOT NULL,
  until_ms BIGINT NOT NULL,
  ended_at_ms BIGINT,
  ended_why TEXT,
  PRIMARY KEY (tenant_id, key_id),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id),
  CHECK ((ended_at_ms IS NULL) = (ended_why IS NULL))
);
CREATE UNIQUE INDEX operator_keys_one ON operator_keys (tenant_id, grant_id) WHERE ended_at_ms IS NULL;
CREATE INDEX operator_keys_open ON operator_keys (until_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX operator_keys_newest ON operator_keys (tenant_id, taken_at_ms);
CREATE INDEX operator_keys_operator ON operator_keys (operator_id, taken_at_ms);

-- What they opened: a version is one use of the grant, however many ranges of it are read.
CREATE TABLE operator_keys_opened (
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  -- The record of the read that counted.
  intent_index BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key_id, version_id),
  FOREIGN KEY (tenant_id, key_id) REFERENCES operator_keys (tenant_id, key_id)
);
