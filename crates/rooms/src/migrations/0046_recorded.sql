-- The record of the act in which an approval was given: what the log does not say was given counts for nothing.
ALTER TABLE consent_approval ADD COLUMN record BIGINT;
