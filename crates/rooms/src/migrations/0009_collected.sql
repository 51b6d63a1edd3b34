-- Collectors: machines of the provider that hand in what other programs logged.

CREATE TABLE collector (
  name TEXT NOT NULL PRIMARY KEY,
  -- The token itself is only with the collector; here lies its hash.
  token_hash {BLOB} NOT NULL,
  -- Words of sources, parted by commas.
  sources TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
  created_at_ms BIGINT NOT NULL,
  seen_at_ms BIGINT,
  events BIGINT NOT NULL DEFAULT 0,
  unmapped BIGINT NOT NULL DEFAULT 0
);

-- What was taken before: an event comes at least once and stands in the log once.
CREATE TABLE collected_event (
  collector TEXT NOT NULL REFERENCES collector (name),
  event_id {BLOB} NOT NULL,
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  intent_index BIGINT NOT NULL,
  PRIMARY KEY (collector, event_id)
);

-- Answers that may have been lost on their way, so that a batch counts once.
CREATE TABLE collected_batch (
  collector TEXT NOT NULL REFERENCES collector (name),
  batch_id TEXT NOT NULL,
  answer TEXT NOT NULL,
  received_at_ms BIGINT NOT NULL,
  PRIMARY KEY (collector, batch_id)
);
CREATE INDEX collected_batch_age ON collected_batch (received_at_ms);
