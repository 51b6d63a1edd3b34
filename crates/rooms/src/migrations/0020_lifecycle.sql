-- What a bucket's owner wants to end by itself: a JSON list of rules.

ALTER TABLE bucket ADD COLUMN lifecycle TEXT NOT NULL DEFAULT '[]';
