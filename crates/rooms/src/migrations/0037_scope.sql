-- What a request is about: one object (`object_key`), all objects whose key begins so (`object_key` is the beginning), or a system
-- that brokers reach (`object_key` is its name, `limits` what is allowed there, as JSON).
ALTER TABLE consent_request ADD COLUMN covers TEXT NOT NULL DEFAULT 'object' CHECK (covers IN ('object', 'prefix', 'target'));
ALTER TABLE consent_request ADD COLUMN limits TEXT;
