-- Broken glass: metadata and sealed bytes of a tenant for an hour at most, by two operators and without its consent.
CREATE TABLE glass (
  tenant_id TEXT NOT NULL REFERENCES tenant (tenant_id),
  handling_id TEXT NOT NULL,
  incident TEXT NOT NULL,
  reason TEXT NOT NULL,
  minutes BIGINT NOT NULL CHECK (minutes BETWEEN 1 AND 60),
  -- Who asked, and acts. Of both: as whom the tenant sees him, the record of the act, how often he had been disabled by then.
  asked_by TEXT NOT NULL REFERENCES operator (operator_id),
  asked_as TEXT NOT NULL,
  asked_at_ms BIGINT NOT NULL,
  asked_record BIGINT NOT NULL,
  asked_disabled BIGINT NOT NULL,
  -- The other person.
  broken_by TEXT REFERENCES operator (operator_id),
  broken_as TEXT,
  broken_at_ms BIGINT,
  broken_record BIGINT,
  broken_disabled BIGINT,
  until_ms BIGINT,
  -- By whom it ended before its time: a pseudonym, a user, a worker.
  ended_by TEXT,
  ended_at_ms BIGINT,
  verdict TEXT CHECK (verdict IN ('accepted', 'disputed')),
  note TEXT,
  reviewed_by TEXT,
  reviewed_at_ms BIGINT,
  -- The number of the ticket in which it is disputed.
  ticket BIGINT,
  -- When the tenant is told again; nothing when it has acknowledged the newest step.
  notice_at_ms BIGINT,
  PRIMARY KEY (tenant_id, handling_id),
  CHECK (broken_by <> asked_by),
  CHECK ((broken_by IS NULL) = (broken_as IS NULL) AND (broken_by IS NULL) = (broken_at_ms IS NULL)
     AND (broken_by IS NULL) = (broken_record IS NULL) AND (broken_by IS NULL) = (broken_disabled IS NULL)
     AND (broken_by IS NULL) = (until_ms IS NULL)),
  CHECK ((ended_by IS NULL) = (ended_at_ms IS NULL)),
  CHECK (verdict IS NULL OR broken_by IS NOT NULL),
  CHECK ((verdict IS NULL) = (reviewed_by IS NULL) AND (verdict IS NULL) = (reviewed_at_ms IS NULL)
     AND (verdict IS NULL) = (note IS NULL)),
  CHECK (ticket IS NULL OR verdict = 'disputed')
);
CREATE INDEX glass_asked ON glass (asked_at_ms);
CREATE INDEX glass_of ON glass (tenant_id, asked_at_ms);
CREATE INDEX glass_by ON glass (asked_by, asked_at_ms);
CREATE INDEX glass_notice ON glass (notice_at_ms) WHERE notice_at_ms IS NOT NULL;
-- Asked for each page of the console.
CREATE INDEX glass_open ON glass (tenant_id, asked_at_ms) WHERE notice_at_ms IS NOT NULL;

-- What was done under it: records of the tenant's log.
CREATE TABLE glass_act (
  tenant_id TEXT NOT NULL,
  handling_id TEXT NOT NULL,
  record BIGINT NOT NULL,
  name TEXT NOT NULL,
  resource TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, handling_id, record),
  FOREIGN KEY (tenant_id, handling_id) REFERENCES glass (tenant_id, handling_id)
);
