-- Standing rights: what a tenant has decided before it is asked (consent/standing.rs). A row is never edited; its end is a row of
-- its own.
CREATE TABLE standing_right (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  right_id TEXT NOT NULL UNIQUE,
  -- On what: columns as in consent_request.
  covers TEXT NOT NULL CHECK (covers IN ('object', 'prefix', 'target')),
  bucket TEXT NOT NULL,
  object_key TEXT NOT NULL,
  limits TEXT,
  -- Pseudonyms of operators, a JSON list; an empty one: any operator of an open ticket.
  operators TEXT NOT NULL,
  -- Codes of requests, a JSON list.
  codes TEXT NOT NULL,
  minutes BIGINT NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
  uses_max BIGINT NOT NULL CHECK (uses_max BETWEEN 1 AND 1000),
  day_uses_max BIGINT NOT NULL CHECK (day_uses_max BETWEEN 1 AND 1000),
  until_ms BIGINT NOT NULL,
  why TEXT NOT NULL,
  set_by TEXT NOT NULL,
  -- Who set it and the circumstances, for the policies that are asked again when it opens something (as in consent_approval).
  person TEXT NOT NULL,
  source_ip TEXT NOT NULL,
  secure BIGINT NOT NULL CHECK (secure IN (0, 1)),
  mfa BIGINT NOT NULL CHECK (mfa IN (0, 1)),
  set_at_ms BIGINT NOT NULL,
  -- The record of the act that set it: it holds once that act's outcome stands in the log.
  record BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, right_id)
);
CREATE INDEX standing_right_until ON standing_right (tenant_id, until_ms);

CREATE TABLE standing_end (
  tenant_id TEXT NOT NULL,
  right_id TEXT NOT NULL,
  ended_by TEXT NOT NULL,
  ended_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, right_id),
  FOREIGN KEY (tenant_id, right_id) REFERENCES standing_right (tenant_id, right_id)
);

-- Of an approval by a standing right: which, and the record of the act in which it opened. It allows something once that act's
-- outcome stands in the log.
ALTER TABLE consent_decision ADD COLUMN right_id TEXT;
ALTER TABLE consent_decision ADD COLUMN record BIGINT;
CREATE INDEX consent_decision_right ON consent_decision (tenant_id, right_id, decided_at_ms) WHERE right_id IS NOT NULL;

-- Lists of a tenant's requests, newest first, page by page.
CREATE INDEX consent_request_asked ON consent_request (tenant_id, asked_at_ms);
