-- What a tenant demands of a decision about consent: JSON, see consent/policy.rs.
CREATE TABLE consent_policy (
  tenant_id TEXT PRIMARY KEY REFERENCES tenant (tenant_id),
  told TEXT NOT NULL,
  set_by TEXT NOT NULL,
  set_at_ms BIGINT NOT NULL
);

-- Why it is asked: a code, and for a legal request its reference; the request that it follows.
ALTER TABLE consent_request ADD COLUMN code TEXT NOT NULL DEFAULT 'customer_initiated_support'
  CHECK (code IN ('customer_initiated_support', 'provider_initiated_service', 'provider_initiated_review',
                  'response_to_alert', 'legal_request'));
ALTER TABLE consent_request ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE consent_request ADD COLUMN renews TEXT;
-- Whether another of the provider's people must confirm it before the tenant may approve.
ALTER TABLE consent_request ADD COLUMN second_eye BIGINT NOT NULL DEFAULT 0 CHECK (second_eye IN (0, 1));
CREATE INDEX consent_request_second_eye ON consent_request (asked_at_ms) WHERE second_eye = 1;
-- How often an operator was disabled: what he asked for before opens nothing after.
ALTER TABLE operator ADD COLUMN disabled BIGINT NOT NULL DEFAULT 0;
ALTER TABLE consent_request ADD COLUMN operator_disabled BIGINT NOT NULL DEFAULT 0;
-- The newest time in the tenant's log when it was asked or decided: where the log has gone on since, a clock that goes back
-- does not bring back what ended.
ALTER TABLE consent_request ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE consent_decision ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0;

-- What an approval covers, where it is less than what was asked for (columns as in consent_request).
ALTER TABLE consent_decision ADD COLUMN covers TEXT CHECK (covers IN ('object', 'prefix', 'target'));
ALTER TABLE consent_decision ADD COLUMN bucket TEXT;
ALTER TABLE consent_decision ADD COLUMN object_key TEXT;
ALTER TABLE consent_decision ADD COLUMN limits TEXT;
-- Of the row that ends a grant: whether its operator gave it back.
ALTER TABLE consent_decision ADD COLUMN given_back BIGINT NOT NULL DEFAULT 0 CHECK (given_back IN (0, 1));

-- Who may act now is asked of the grants that have not run out.
CREATE INDEX consent_decision_until ON consent_decision (tenant_id, until_ms) WHERE until_ms IS NOT NULL;

-- One row an approval, append-only; a decision `approve` stands when enough of them count.
CREATE TABLE consent_approval (
  tenant_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  -- `root` or a user's id; empty for a session of a role, which counts only where one approval of anybody is enough.
  person TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  approved_at_ms BIGINT NOT NULL,
  -- The circumstances, for the policies that are asked again when it is counted.
  source_ip TEXT NOT NULL,
  secure BIGINT NOT NULL CHECK (secure IN (0, 1)),
  mfa BIGINT NOT NULL CHECK (mfa IN (0, 1)),
  minutes BIGINT NOT NULL,
  uses_max BIGINT NOT NULL,
  covers TEXT NOT NULL CHECK (covers IN ('object', 'prefix', 'target')),
  bucket TEXT NOT NULL,
  object_key TEXT NOT NULL,
  limits TEXT,
  -- What he signed with a key of his own, and until when that says.
  statement TEXT,
  until_ms BIGINT,
  PRIMARY KEY (tenant_id, grant_id, seq),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id),
  CHECK ((statement IS NULL) = (until_ms IS NULL))
);

-- What the provider's second pair of eyes said.
CREATE TABLE consent_confirmation (
  tenant_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  act TEXT NOT NULL CHECK (act IN ('confirm', 'decline')),
  operator_id TEXT NOT NULL REFERENCES operator (operator_id),
  pseudonym TEXT NOT NULL,
  confirmed_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, grant_id),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id)
);

-- What either side wrote on a request, append-only.
CREATE TABLE consent_comment (
  tenant_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('tenant', 'provider')),
  -- A user's name, or an operator's pseudonym.
  writer TEXT NOT NULL,
  written_at_ms BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (tenant_id, grant_id, seq),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES consent_request (tenant_id, grant_id)
);
