-- By what an approval is signed, where the signature was checked: `passkey SHA256:…` or `key <names>`. The signature itself
-- stands in the tenant's log.
ALTER TABLE consent_approval ADD COLUMN signed_with TEXT;
