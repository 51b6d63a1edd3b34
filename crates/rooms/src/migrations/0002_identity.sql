-- Who calls and what he may do, in full. What is held (passwords, keys, memberships, attachments, sessions) hangs on
-- ids that are never used again, so that a name which is given a second time inherits nothing.

-- What the customer calls his account at sign-in; his to change, unlike `alias`.
ALTER TABLE tenant ADD COLUMN account_alias TEXT;
UPDATE tenant SET account_alias = alias WHERE tenant_id <> '0000000000000000';
CREATE UNIQUE INDEX tenant_account_alias ON tenant (account_alias);

CREATE TABLE tenant_setting (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE login_profile (
  tenant_id TEXT NOT NULL,
  user_id TEXT NOT NULL PRIMARY KEY REFERENCES ram_user (user_id),
  password_hash TEXT NOT NULL,
  -- Hashes of passwords before this one, newest first, one a line.
  previous_hashes TEXT NOT NULL,
  must_reset BIGINT NOT NULL CHECK (must_reset IN (0, 1)),
  mfa_required BIGINT NOT NULL CHECK (mfa_required IN (0, 1)),
  status TEXT NOT NULL CHECK (status IN ('Active', 'Inactive')),
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  password_set_at_ms BIGINT NOT NULL
);
INSERT INTO login_profile
  SELECT tenant_id, user_id, password_hash, '', 0, 0, 'Active', updated_at_ms, updated_at_ms, updated_at_ms
  FROM ram_user WHERE password_hash IS NOT NULL;
ALTER TABLE ram_user DROP COLUMN password_hash;
ALTER TABLE ram_user ADD COLUMN last_active_at_ms BIGINT;

CREATE TABLE ram_group (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  group_name TEXT NOT NULL {BINARY},
  group_id TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  comments TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, group_name)
);

CREATE TABLE ram_membership (
  tenant_id TEXT NOT NULL,
  group_id TEXT NOT NULL REFERENCES ram_group (group_id),
  user_id TEXT NOT NULL REFERENCES ram_user (user_id),
  joined_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, group_id, user_id)
);
CREATE INDEX ram_membership_user ON ram_membership (tenant_id, user_id);

CREATE TABLE ram_role (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- In lower case: role names differ by more than case.
  role_key TEXT NOT NULL {BINARY},
  role_name TEXT NOT NULL,
  role_id TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  trust_document TEXT NOT NULL,
  session_max_s BIGINT NOT NULL CHECK (session_max_s BETWEEN 3600 AND 43200),
  allows_console BIGINT NOT NULL CHECK (allows_console IN (0, 1)),
  -- The service that the role is linked to, if one.
  service TEXT,
  -- Sessions that began before this instant are revoked.
  void_before_ms BIGINT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, role_key)
);

ALTER TABLE ram_policy ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE ram_policy ADD COLUMN default_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE ram_policy ADD COLUMN last_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE ram_policy ADD COLUMN updated_at_ms BIGINT NOT NULL DEFAULT 0;
UPDATE ram_policy SET updated_at_ms = created_at_ms;

CREATE TABLE ram_policy_version (
  tenant_id TEXT NOT NULL,
  policy_name TEXT NOT NULL {BINARY},
  version BIGINT NOT NULL CHECK (version > 0),
  document TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, policy_name, version),
  FOREIGN KEY (tenant_id, policy_name) REFERENCES ram_policy (tenant_id, policy_name)
);
INSERT INTO ram_policy_version SELECT tenant_id, policy_name, 1, document, created_at_ms FROM ram_policy;
ALTER TABLE ram_policy DROP COLUMN document;

CREATE TABLE ram_attached (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  entity_kind TEXT NOT NULL CHECK (entity_kind IN ('user', 'group', 'role')),
  entity_id TEXT NOT NULL,
  policy_type TEXT NOT NULL CHECK (policy_type IN ('System', 'Custom')),
  policy_name TEXT NOT NULL {BINARY},
  attached_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, entity_kind, entity_id, policy_type, policy_name)
);
CREATE INDEX ram_attached_policy ON ram_attached (tenant_id, policy_type, policy_name);
INSERT INTO ram_attached
  SELECT a.tenant_id, 'user', u.user_id, a.policy_type, a.policy_name, a.attached_at_ms
  FROM ram_attachment a JOIN ram_user u ON u.tenant_id = a.tenant_id AND u.user_name = a.user_name;
DROP TABLE ram_attachment;

-- `owner` is `root` or a user's id; an empty one belongs to nobody.
ALTER TABLE access_key ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE access_key SET owner = CASE WHEN user_name IS NULL THEN 'root' ELSE coalesce(
  (SELECT u.user_id FROM ram_user u WHERE u.tenant_id = access_key.tenant_id AND u.user_name = access_key.user_name),
  '') END;
DROP INDEX access_key_owner;
ALTER TABLE access_key DROP COLUMN user_name;
ALTER TABLE access_key ADD COLUMN updated_at_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE access_key ADD COLUMN last_used_at_ms BIGINT;
ALTER TABLE access_key ADD COLUMN last_used_service TEXT;
ALTER TABLE access_key ADD COLUMN last_used_scheme TEXT;
CREATE INDEX access_key_owner ON access_key (tenant_id, owner);

CREATE TABLE ram_tag (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  resource_type TEXT NOT NULL CHECK (resource_type IN ('user', 'role', 'policy')),
  resource_id TEXT NOT NULL,
  tag_key TEXT NOT NULL {BINARY},
  tag_value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, resource_type, resource_id, tag_key)
);

CREATE TABLE ram_provider (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  kind TEXT NOT NULL CHECK (kind IN ('oidc', 'saml')),
  provider_name TEXT NOT NULL {BINARY},
  description TEXT NOT NULL,
  -- OIDC: JSON with issuer, client ids, fingerprints, hours. SAML: the metadata document.
  document TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, kind, provider_name)
);

-- SAML assertions and id tokens that were used: each is good once.
CREATE TABLE sts_used (
  tenant_id TEXT NOT NULL,
  token_id TEXT NOT NULL,
  until_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, token_id)
);
CREATE INDEX sts_used_until ON sts_used (until_ms);


-- `holder` is `root`, `user/<id>` or, under the provider's tenant id, `operator/<id>`.
CREATE TABLE mfa_device (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  device_name TEXT NOT NULL {BINARY},
  sealed_seed {BLOB} NOT NULL,
  holder TEXT,
  -- The last 30-second step whose code was used: a code works once.
  last_step BIGINT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  activated_at_ms BIGINT,
  PRIMARY KEY (tenant_id, device_name),
  CHECK ((holder IS NULL) = (activated_at_ms IS NULL))
);
CREATE UNIQUE INDEX mfa_device_holder ON mfa_device (tenant_id, holder);

CREATE TABLE passkey (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  credential_id TEXT NOT NULL,
  holder TEXT NOT NULL,
  label TEXT NOT NULL,
  record TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  last_used_at_ms BIGINT,
  PRIMARY KEY (tenant_id, credential_id)
);
CREATE INDEX passkey_holder ON passkey (tenant_id, holder);

CREATE TABLE recovery_code (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  holder TEXT NOT NULL,
  code_mac {BLOB} NOT NULL,
  used_at_ms BIGINT,
  PRIMARY KEY (tenant_id, holder, code_mac)
);

CREATE TABLE operator_role (
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  role TEXT NOT NULL CHECK (role IN
    ('support', 'stability', 'compliance', 'approver', 'portal-editor', 'auditor-liaison')),
  PRIMARY KEY (operator_id, role)
);
INSERT INTO operator_role SELECT operator_id, role FROM operator;
ALTER TABLE operator DROP COLUMN role;
ALTER TABLE operator ADD COLUMN mfa_required BIGINT NOT NULL DEFAULT 0;

-- Sessions of before ended with their names; people sign in again.
DROP TABLE web_session;
CREATE TABLE web_session (
  -- The token itself is only in the browser; here lies its hash.
  token_hash {BLOB} NOT NULL PRIMARY KEY,
  -- Names the session in lists; opens nothing.
  session_id TEXT NOT NULL UNIQUE,
  -- `password`: he must choose a new one first. `mfa`: the second factor is due. `enrol`: he must bind one first.
  stage TEXT NOT NULL CHECK (stage IN ('full', 'mfa', 'enrol', 'password')),
  tenant_id TEXT NOT NULL,
  holder TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  seen_at_ms BIGINT NOT NULL,
  ends_at_ms BIGINT NOT NULL,
  -- The last time that a second factor was shown in this session.
  mfa_at_ms BIGINT,
  source_ip TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  -- What a ceremony that is under way must remember (a passkey's challenge, a seed that is not yet bound).
  sealed_pending {BLOB}
);
CREATE INDEX web_session_holder ON web_session (tenant_id, holder);
