-- Whom a policy is on, and which groups a user is in, are found by these alone.

DROP INDEX ram_attached_policy;
CREATE INDEX ram_attached_policy ON ram_attached (tenant_id, policy_type, policy_name, entity_kind);

DROP INDEX ram_membership_user;
CREATE INDEX ram_membership_user ON ram_membership (tenant_id, user_id, group_id);
