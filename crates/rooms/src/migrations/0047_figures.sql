-- Figures of consent: what was asked within a span, of all tenants; what was used within it.
CREATE INDEX consent_request_when ON consent_request (asked_at_ms);
CREATE INDEX access_intent_used ON access_intent (tenant_id, opened_at_ms) WHERE counts_as_use = 1;

-- The weekly digest: notices of a further kind.
ALTER TABLE notice_target ADD COLUMN digest BIGINT NOT NULL DEFAULT 0 CHECK (digest IN (0, 1));
CREATE INDEX notice_target_digest ON notice_target (tenant_id) WHERE digest = 1;
ALTER TABLE notice RENAME TO notice_before;
CREATE TABLE notice (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  -- Of notice_target; `provider`: the address that the provider's configuration names.
  target_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('ticket', 'consent', 'alert', 'digest')),
  reference TEXT NOT NULL,
  -- The same at each try, so that a receiver knows a repetition.
  notice_id TEXT NOT NULL,
  since_ms BIGINT NOT NULL,
  -- Counts what happened since: what happens while it is being said is said once more.
  again BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  retry_at_ms BIGINT NOT NULL,
  lease_by TEXT NOT NULL DEFAULT '',
  lease_until_ms BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, target_id, kind, reference)
);
INSERT INTO notice (tenant_id, target_id, kind, reference, notice_id, since_ms, again, failures, retry_at_ms, lease_by, lease_until_ms)
  SELECT tenant_id, target_id, kind, reference, notice_id, since_ms, again, failures, retry_at_ms, lease_by, lease_until_ms FROM notice_before;
DROP TABLE notice_before;
CREATE INDEX notice_due ON notice (retry_at_ms);

-- Weeks that were looked at for a tenant, by their Monday: each once, whether there was something to tell or not.
CREATE TABLE digest (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  week_ms BIGINT NOT NULL,
  told BIGINT NOT NULL CHECK (told IN (0, 1)),
  PRIMARY KEY (tenant_id, week_ms)
);

-- Totals over all tenants that the portal publishes: a signed note for each day, never made anew.
CREATE TABLE portal_totals (
  day TEXT NOT NULL PRIMARY KEY,
  note TEXT NOT NULL,
  signed_at_ms BIGINT NOT NULL
);
