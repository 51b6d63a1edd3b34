-- Which resources have a tag is asked by key and value.
CREATE INDEX ram_tag_by_key ON ram_tag (tenant_id, resource_type, tag_key, tag_value, resource_id);
