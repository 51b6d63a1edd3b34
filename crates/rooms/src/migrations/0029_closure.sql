-- Accounts that their owners close.

CREATE TABLE account_closure (
  tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenant (tenant_id),
  asked_at_ms BIGINT NOT NULL,
  due_at_ms BIGINT NOT NULL,
  -- waiting: it can be called back; ending: what could be destroyed is, and something is retained; closed.
  state TEXT NOT NULL CHECK (state IN ('waiting', 'ending', 'closed')),
  -- Of the receipt that the owner keeps.
  receipt_hash {BLOB} NOT NULL,
  -- The report, sealed under the tenant's key.
  sealed_report {BLOB}
);
CREATE INDEX account_closure_due ON account_closure (due_at_ms) WHERE state <> 'closed';
CREATE UNIQUE INDEX account_closure_receipt ON account_closure (receipt_hash);
