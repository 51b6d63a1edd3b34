CREATE TABLE setting (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- Processes that may have acts in flight; one whose `seen_at_ms` is old has died.
CREATE TABLE instance (
  instance_id TEXT NOT NULL PRIMARY KEY,
  started_at_ms BIGINT NOT NULL,
  seen_at_ms BIGINT NOT NULL
);

CREATE TABLE tenant (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  alias TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
  root_password_hash TEXT,
  created_at_ms BIGINT NOT NULL
);

CREATE TABLE tenant_key (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  version BIGINT NOT NULL CHECK (version > 0),
  sealed_key {BLOB} NOT NULL,
  created_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, version)
);

CREATE TABLE trail_log (
  tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenant (tenant_id),
  log_id TEXT NOT NULL UNIQUE,
  origin TEXT NOT NULL UNIQUE,
  vkey TEXT NOT NULL,
  sealed_signing_seed {BLOB} NOT NULL,
  sealed_watch_key {BLOB} NOT NULL,
  sealed_event_key {BLOB} NOT NULL,
  size BIGINT NOT NULL CHECK (size >= 0),
  last_time_ms BIGINT NOT NULL,
  frontier {BLOB} NOT NULL,
  signed_size BIGINT NOT NULL CHECK (signed_size BETWEEN 0 AND size)
);

CREATE TABLE trail_record (
  tenant_id TEXT NOT NULL,
  record_index BIGINT NOT NULL CHECK (record_index >= 0),
  entry {BLOB} NOT NULL,
  leaf_hash {BLOB} NOT NULL,
  sealed_opening {BLOB} NOT NULL,
  PRIMARY KEY (tenant_id, record_index)
){CLUSTERED};

-- Roots of complete subtrees of 256^level records, level 1 and up: the hashes of the tiles above level 0.
-- Derived from trail_record when a head is signed, so that a tile is one short read.
CREATE TABLE trail_node (
  tenant_id TEXT NOT NULL,
  level BIGINT NOT NULL CHECK (level > 0),
  node_index BIGINT NOT NULL CHECK (node_index >= 0),
  hash {BLOB} NOT NULL,
  PRIMARY KEY (tenant_id, level, node_index)
){CLUSTERED};

CREATE TABLE trail_checkpoint (
  tenant_id TEXT NOT NULL,
  size BIGINT NOT NULL,
  root {BLOB} NOT NULL,
  note TEXT NOT NULL,
  signed_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, size)
);

CREATE TABLE access_intent (
  tenant_id TEXT NOT NULL,
  intent_index BIGINT NOT NULL,
  instance_id TEXT NOT NULL,
  grant_id TEXT,
  counts_as_use BIGINT NOT NULL CHECK (counts_as_use IN (0, 1)),
  event_name TEXT NOT NULL,
  opened_at_ms BIGINT NOT NULL,
  outcome_index BIGINT,
  result TEXT CHECK (result IN ('done', 'refused', 'failed', 'unknown')),
  PRIMARY KEY (tenant_id, intent_index),
  CHECK ((outcome_index IS NULL) = (result IS NULL))
);
CREATE INDEX access_intent_open ON access_intent (instance_id) WHERE outcome_index IS NULL;
CREATE INDEX access_intent_grant ON access_intent (tenant_id, grant_id) WHERE grant_id IS NOT NULL;

CREATE TABLE rpc_nonce (
  access_key_id TEXT NOT NULL,
  nonce TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (access_key_id, nonce)
){CLUSTERED};
CREATE INDEX rpc_nonce_expiry ON rpc_nonce (expires_at_ms);

CREATE TABLE ram_user (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  user_name TEXT NOT NULL {BINARY},
  user_id TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  comments TEXT NOT NULL,
  email TEXT NOT NULL,
  mobile_phone TEXT NOT NULL,
  password_hash TEXT,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  last_login_at_ms BIGINT,
  PRIMARY KEY (tenant_id, user_name)
);

-- A policy's text never changes here: a new text is a new name until versions come with the identity issue.
CREATE TABLE ram_policy (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  policy_name TEXT NOT NULL {BINARY},
  document TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, policy_name)
);

CREATE TABLE ram_attachment (
  tenant_id TEXT NOT NULL,
  user_name TEXT NOT NULL {BINARY},
  policy_type TEXT NOT NULL CHECK (policy_type IN ('System', 'Custom')),
  policy_name TEXT NOT NULL {BINARY},
  attached_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, user_name, policy_type, policy_name),
  FOREIGN KEY (tenant_id, user_name) REFERENCES ram_user (tenant_id, user_name)
);

-- `user_name` is null for the root's own keys.
CREATE TABLE access_key (
  access_key_id TEXT NOT NULL PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  user_name TEXT,
  sealed_secret {BLOB} NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('Active', 'Inactive')),
  created_at_ms BIGINT NOT NULL
);
CREATE INDEX access_key_owner ON access_key (tenant_id, user_name);

CREATE TABLE operator (
  operator_id TEXT NOT NULL PRIMARY KEY,
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('support', 'stability', 'compliance')),
  place TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
  created_at_ms BIGINT NOT NULL
);

-- The token itself is only in the browser; here lies its hash.
CREATE TABLE web_session (
  token_hash {BLOB} NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('root', 'user', 'operator')),
  tenant_id TEXT,
  name TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  seen_at_ms BIGINT NOT NULL,
  ends_at_ms BIGINT NOT NULL,
  CHECK ((kind = 'operator') = (tenant_id IS NULL))
);

CREATE TABLE bucket (
  bucket TEXT NOT NULL PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  region TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL
);
CREATE INDEX bucket_owner ON bucket (tenant_id, bucket);

CREATE TABLE object (
  tenant_id TEXT NOT NULL,
  bucket TEXT NOT NULL REFERENCES bucket (bucket),
  object_key TEXT NOT NULL {BINARY},
  version_id TEXT NOT NULL,
  size BIGINT NOT NULL CHECK (size >= 0),
  modified_at_ms BIGINT NOT NULL,
  key_version BIGINT NOT NULL,
  wrapped_key {BLOB} NOT NULL,
  sealed_meta {BLOB} NOT NULL,
  header {BLOB} NOT NULL,
  is_inline BIGINT NOT NULL CHECK (is_inline IN (0, 1)),
  PRIMARY KEY (tenant_id, bucket, object_key)
){CLUSTERED};

-- The bytes of small objects lie apart, so that pages of keys stay dense.
CREATE TABLE object_inline (
  version_id TEXT NOT NULL PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  sealed_bytes {BLOB} NOT NULL
);
CREATE INDEX object_by_version ON object (version_id);

-- Blobs that no row names any more; the sweeper removes the file first and the row after.
CREATE TABLE blob_garbage (
  version_id TEXT NOT NULL PRIMARY KEY,
  since_ms BIGINT NOT NULL
);

CREATE TABLE ticket (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  number BIGINT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  opened_by TEXT NOT NULL,
  opened_at_ms BIGINT NOT NULL,
  closed_at_ms BIGINT,
  PRIMARY KEY (tenant_id, number)
);

-- What an operator asked for. Never edited: what was decided stands in consent_decision.
CREATE TABLE consent_request (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  grant_id TEXT NOT NULL UNIQUE,
  ticket_number BIGINT NOT NULL,
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  place TEXT NOT NULL,
  action TEXT NOT NULL,
  bucket TEXT NOT NULL,
  object_key TEXT NOT NULL,
  reason TEXT NOT NULL,
  minutes BIGINT NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
  uses_max BIGINT NOT NULL CHECK (uses_max BETWEEN 1 AND 1000),
  asked_at_ms BIGINT NOT NULL,
  lapses_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, grant_id)
);

-- One row an act, append-only. `seq` 1 decides (approve, deny, withdraw), `seq` 2 may revoke an approval.
CREATE TABLE consent_decision (
  tenant_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  seq BIGINT NOT NULL CHECK (seq IN (1, 2)),
  act TEXT NOT NULL CHECK (act IN ('approve', 'deny', 'withdraw', 'revoke')),
  decided_by TEXT NOT NULL,
  decided_at_ms BIGINT NOT NULL,
  until_ms BIGINT,
  uses_max BIGINT,
  PRIMARY KEY (tenant_id, grant_id, seq),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id),
  CHECK ((act = 'approve') = (until_ms IS NOT NULL AND uses_max IS NOT NULL)),
  CHECK ((seq = 2) = (act = 'revoke'))
);
