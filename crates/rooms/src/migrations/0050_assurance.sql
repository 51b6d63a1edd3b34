-- What checks of the running system found of late. The provider's log has each run, signed; this is to find them.
CREATE TABLE finding (
  check_id TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  answer TEXT NOT NULL CHECK (answer IN ('pass', 'fail', 'unknown', 'na')),
  -- JSON: numbers by their names.
  numbers TEXT NOT NULL,
  why TEXT NOT NULL,
  -- The run's intent in the provider's log.
  record_index BIGINT NOT NULL,
  PRIMARY KEY (check_id, at_ms)
){CLUSTERED};

-- When a check is to be asked again. Who moves the time asks it, so that one of several servers does.
CREATE TABLE check_due (
  check_id TEXT NOT NULL PRIMARY KEY,
  due_at_ms BIGINT NOT NULL
);
CREATE INDEX check_due_at ON check_due (due_at_ms);
