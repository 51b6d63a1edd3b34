-- Systems of a tenant that brokers reach.
CREATE TABLE target (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  name TEXT NOT NULL,
  family TEXT NOT NULL CHECK (family IN ('host', 'database', 'cluster', 'service')),
  -- Where it is and how it is spoken to, as JSON; nothing secret.
  settings TEXT NOT NULL,
  -- What opens it (a password, a token, the seed of an authority), sealed under the tenant's key.
  sealed {BLOB},
  changed_at_ms BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

-- Sessions of operators with such systems. What a session may do is what its grant said when it was opened.
CREATE TABLE broker_session (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  session_id TEXT NOT NULL UNIQUE,
  grant_id TEXT NOT NULL,
  ticket_number BIGINT NOT NULL,
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  target TEXT NOT NULL,
  limits TEXT NOT NULL,
  -- SHA-256 of its secret, hex.
  secret_hash TEXT NOT NULL,
  -- The record of the intent that opened it.
  intent_index BIGINT NOT NULL,
  opened_at_ms BIGINT NOT NULL,
  until_ms BIGINT NOT NULL,
  ended_at_ms BIGINT,
  ended_why TEXT,
  PRIMARY KEY (tenant_id, session_id),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id),
  CHECK ((ended_at_ms IS NULL) = (ended_why IS NULL))
);
CREATE INDEX broker_session_open ON broker_session (until_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX broker_session_newest ON broker_session (tenant_id, opened_at_ms);
CREATE INDEX broker_session_in_now ON broker_session (tenant_id, opened_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX broker_session_operator ON broker_session (operator_id, opened_at_ms);

-- The recording of a session: a file for each process that had connections of it.
CREATE TABLE recording_part (
  tenant_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  part BIGINT NOT NULL,
  instance_id TEXT NOT NULL,
  -- The key of its frames, sealed under the tenant's.
  sealed_key {BLOB} NOT NULL,
  opened_at_ms BIGINT NOT NULL,
  -- What the record in the log says of it: set when it is closed.
  frames BIGINT,
  bytes BIGINT,
  head TEXT,
  PRIMARY KEY (tenant_id, session_id, part),
  FOREIGN KEY (tenant_id, session_id) REFERENCES broker_session (tenant_id, session_id),
  CHECK ((frames IS NULL) = (head IS NULL) AND (frames IS NULL) = (bytes IS NULL))
);
CREATE INDEX recording_part_open ON recording_part (instance_id) WHERE frames IS NULL;
