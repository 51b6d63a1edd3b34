-- Digests of the parts of an object that is whole, sealed as they were in its upload. Parts from before have none.

ALTER TABLE object_part ADD COLUMN sealed_digests {BLOB};
