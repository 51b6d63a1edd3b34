-- Tickets with a thread. The state is read off four columns, so that no two of them can disagree: closed_at_ms, then
-- solved_at_ms, then who wrote last (nobody since it was opened: open).
ALTER TABLE ticket ADD COLUMN category TEXT NOT NULL DEFAULT 'other'
  CHECK (category IN ('customer_initiated_support', 'incident', 'security', 'compliance', 'billing', 'other'));
ALTER TABLE ticket ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal'
  CHECK (priority IN ('low', 'normal', 'high', 'urgent'));
ALTER TABLE ticket ADD COLUMN said TEXT CHECK (said IN ('tenant', 'provider'));
ALTER TABLE ticket ADD COLUMN solved_at_ms BIGINT;
ALTER TABLE ticket ADD COLUMN assigned TEXT REFERENCES operator (operator_id);
-- How often it was reopened. What was asked for before opens nothing after.
ALTER TABLE ticket ADD COLUMN reopened BIGINT NOT NULL DEFAULT 0;
ALTER TABLE consent_request ADD COLUMN ticket_reopened BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ticket_solved ON ticket (solved_at_ms) WHERE solved_at_ms IS NOT NULL AND closed_at_ms IS NULL;

-- What happened on a ticket, append-only.
CREATE TABLE ticket_entry (
  tenant_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('message', 'assign', 'solve', 'reopen', 'close')),
  side TEXT NOT NULL CHECK (side IN ('tenant', 'provider', 'house')),
  -- A user's name, an operator's id, a worker's name.
  writer TEXT NOT NULL,
  -- Whom it was assigned to.
  assignee TEXT,
  -- Whether the clocks stand still from here to the next entry.
  pauses BIGINT NOT NULL CHECK (pauses IN (0, 1)),
  -- The text of a message, sealed under the tenant's key.
  sealed {BLOB},
  PRIMARY KEY (tenant_id, number, seq),
  FOREIGN KEY (tenant_id, number) REFERENCES ticket (tenant_id, number),
  CHECK ((kind = 'message') = (sealed IS NOT NULL)),
  CHECK ((kind = 'assign') = (assignee IS NOT NULL))
);
CREATE INDEX ticket_entry_newest ON ticket_entry (tenant_id, at_ms, number, seq) WHERE kind = 'message';
