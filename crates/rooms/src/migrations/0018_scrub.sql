-- CRC-64 of what is stored, so that damage is found without a key: of the sealed bytes, and of the row's own secrets.
-- Objects from before have none.

ALTER TABLE object ADD COLUMN sealed_crc BIGINT;
ALTER TABLE object ADD COLUMN row_crc BIGINT;
ALTER TABLE object_version ADD COLUMN sealed_crc BIGINT;
ALTER TABLE object_version ADD COLUMN row_crc BIGINT;
ALTER TABLE upload_part ADD COLUMN sealed_crc BIGINT;
ALTER TABLE object_part ADD COLUMN sealed_crc BIGINT;

-- Parts of an object are asked for by its version alone.
CREATE INDEX object_part_version ON object_part (version_id, part_number);
