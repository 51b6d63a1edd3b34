//! Listing by prefix and delimiter: seeks past a common prefix instead of reading what lies under it.

use std::sync::Arc;

use bailee_types::{Arn, BucketName, TenantId, TicketId};
use serde_json::json;

use super::get::info_of;
use super::{ObjectInfo, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

const BATCH: i64 = 1_001;

/// Lists a bucket.
#[derive(Clone, Debug)]
pub struct ListObjects {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that start with it.
    pub prefix: String,
    /// Folds keys that share what stands before it, after the prefix; empty for none.
    pub delimiter: String,
    /// Only what sorts after it.
    pub after: String,
    /// Keys and common prefixes together, 0 to 1,000.
    pub entries_max: u32,
    /// For operators: the tenant's ticket they work on.
    pub ticket: Option<TicketId>,
}

/// One entry of a listing.
#[derive(Clone, Debug)]
pub enum Listed {
    /// An object.
    Object(Box<ObjectInfo>),
    /// A common prefix.
    Prefix(String),
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct ObjectPage {
    /// In order of their names.
    pub entries: Vec<Listed>,
    /// The last name of the page; none when the listing is complete.
    pub next_after: Option<String>,
}

impl Operation for ListObjects {
    type Output = ObjectPage;

    const MAY_STOP_ANYWHERE: bool = true;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "oss:ListObjects",
            resource: Arn::bucket(&self.tenant, &self.bucket),
            resource_type: "ACS::OSS::Bucket",
            class: Class::Data,
            touches: Touches::Metadata,
            ticket: self.ticket.clone(),
            parameters: parameters(json!({
                "bucket": self.bucket.as_str(),
                "prefix": self.prefix.chars().take(1023).collect::<String>(),
            })),
            continues: None,
            also: Vec::new(),
            conditions: vec![
                ("oss:Prefix".into(), vec![self.prefix.clone()]),
                ("oss:Delimiter".into(), vec![self.delimiter.clone()]),
            ],
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<ObjectPage, Failure> {
        let tenant_key = house.tenant_key(&self.tenant).await?;
        // Operators see names, sizes and dates; an MD5 would tell them about content.
        let with_meta = intent.is_tenants(&self.tenant);
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::bucket(&mut tx, &self.bucket)?.is_none() {
                    return Err(Failure::not_found(Thing::Bucket, &self.bucket));
                }
                let max = self.entries_max.min(1000) as usize;
                let mut entries = Vec::new();
                let mut last_name: Option<String> = None;
                // The first name that may come: behind `after`, and behind a common prefix that `after` is in.
                let mut from = self.first_name();
                let end = successor(&self.prefix);
                loop {
                    let rows = rows::page(&mut tx, &self.bucket, &from, end.as_deref(), BATCH)?;
                    let full = rows.len() as i64 == BATCH;
                    let mut sought = None;
                    for (key, row) in rows {
                        let folded = self.fold(key.as_str());
                        if entries.len() == max {
                            return Ok(ObjectPage {
                                entries,
                                next_after: if max == 0 { None } else { last_name },
                            });
                        }
                        if let Some(prefix) = folded {
                            last_name = Some(prefix.clone());
                            sought = Some(successor(&prefix));
                            entries.push(Listed::Prefix(prefix));
                            break;
                        }
                        from = format!("{key}\u{1}");
                        last_name = Some(key.to_string());
                        let info = if with_meta {
                            info_of(&tenant_key, &self.bucket, &key, &row)?
                        } else {
                            ObjectInfo {
                                key,
                                version: row.version,
                                is_null: row.is_null,
                                size: row.size,
                                modified_at: row.modified_at,
                                meta: super::ObjectMeta::default(),
                            }
                        };
                        entries.push(Listed::Object(Box::new(info)));
                    }
                    match sought {
                        Some(Some(next)) => from = next,
                        Some(None) => return Ok(ObjectPage { entries, next_after: None }),
                        None if full => {}
                        None => return Ok(ObjectPage { entries, next_after: None }),
                    }
                }
            })
            .await
    }
}

impl ListObjects {
    fn first_name(&self) -> String {
        if self.after.is_empty() || self.after.as_str() < self.prefix.as_str() {
            return self.prefix.clone();
        }
        match self.fold(&self.after) {
            // `after` lies in a common prefix that was listed already: go behind all of it.
            Some(prefix) if !self.delimiter.is_empty() => {
                successor(&prefix).unwrap_or_else(|| format!("{}\u{1}", self.after))
            }
            // PostgreSQL text has no NUL, so "behind" is said with the smallest character that keys cannot hold.
            _ => format!("{}\u{1}", self.after),
        }
    }

    fn fold(&self, name: &str) -> Option<String> {
        fold(name, &self.prefix, &self.delimiter)
    }
}

/// The common prefix that a name folds into.
pub(super) fn fold(name: &str, prefix: &str, delimiter: &str) -> Option<String> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = name.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    Some(format!("{prefix}{}{delimiter}", rest.get(..at)?))
}

/// The least text that sorts behind every text with this prefix; none when there is none (empty prefix).
pub(super) fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Code points and UTF-8 bytes sort alike; the surrogates' gap is skipped.
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            n => char::from_u32(n),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_sorts_behind_everything_with_the_prefix() {
        assert_eq!(successor("a/"), Some("a0".into()));
        assert_eq!(successor("a\u{D7FF}"), Some("a\u{E000}".into()));
        assert_eq!(successor("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(successor(""), None);
        assert!("a/z" < successor("a/").unwrap().as_str());
    }
}
