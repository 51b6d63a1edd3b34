-- Browsers that a person signed in with before. They are spared the waiting that strangers cause, and may be spared the
-- second factor for a while.
CREATE TABLE known_device (
  -- The token itself is only in the browser; here lies its hash.
  token_hash {BLOB} NOT NULL PRIMARY KEY,
  -- Names the device in lists; opens nothing.
  device_id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  holder TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  seen_at_ms BIGINT NOT NULL,
  ends_at_ms BIGINT NOT NULL,
  -- Until then the second factor is not asked for, where the account allows that.
  mfa_until_ms BIGINT,
  source_ip TEXT NOT NULL,
  user_agent TEXT NOT NULL
);
CREATE INDEX known_device_holder ON known_device (tenant_id, holder);

-- Challenges of sign-ins by passkey that were answered: each is good once. What was asked travels sealed in the browser,
-- so that strangers who ask write nothing here.
CREATE TABLE used_challenge (
  challenge_hash {BLOB} NOT NULL PRIMARY KEY,
  ends_at_ms BIGINT NOT NULL
);

-- Who signs in with a passkey alone does not say who he is.
CREATE INDEX passkey_credential ON passkey (credential_id);
