-- Tags of a bucket, a JSON object of texts. Tags of objects are sealed in their metadata.

ALTER TABLE bucket ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
