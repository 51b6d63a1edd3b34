-- When a system was last given another place: what was asked for before leads nowhere.
ALTER TABLE target ADD COLUMN moved_at_ms BIGINT NOT NULL DEFAULT 0;
