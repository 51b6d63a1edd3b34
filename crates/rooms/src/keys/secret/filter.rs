//! Which secrets a list shows.

use bailee_store::Value;
use serde::Deserialize;

use super::{Holds, SecretName};
use crate::Failure;

/// Filters of one list, and values of one of them.
const MAX: usize = 10;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Field {
    SecretName,
    Description,
    TagKey,
    TagValue,
    SecretType,
}

/// One condition: the field has one of the values. All conditions of a list must hold; those on a tag's key and on a
/// tag's value, of one tag.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Filter {
    key: Field,
    values: Vec<String>,
}

impl Filter {
    /// Reads `[{"Key": "SecretName", "Values": ["a", "b"]}]`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Failure> {
        let all: Vec<Self> = serde_json::from_str(text).map_err(|_| {
            let why = "must be a JSON list of {\"Key\": …, \"Values\": […]} with the keys SecretName, Description, TagKey, \
                       TagValue or SecretType";
            Failure::invalid("Filters", why)
        })?;
        if all.len() > MAX || all.iter().any(|f| f.values.len() > MAX) {
            return Err(Failure::invalid(
                "Filters",
                format!("must have at most {MAX} keys with {MAX} values each"),
            ));
        }
        for filter in &all {
            if filter.key == Field::SecretName {
                // An asterisk would find nothing and look as if nothing were there.
                for name in &filter.values {
                    SecretName::parse(name)?;
                }
            }
        }
        Ok(all)
    }

    /// Conditions on rows of `secret`; their values go behind those that are there.
    pub(super) fn sql<'v>(filters: &'v [Self], values: &mut Vec<Value<'v>>) -> String {
        let mut sql = String::new();
        let mut of_tag = String::new();
        // The list before already has the tenant as `$1`.
        let mut one_of = |column: &str, wanted: &mut dyn Iterator<Item = &'v str>| {
            let marks: Vec<_> = wanted
                .map(|value| {
                    values.push(value.into());
                    format!("${}", values.len() + 1)
                })
                .collect();
            // A key without values asks for nothing.
            if marks.is_empty() { String::new() } else { format!(" AND {column} IN ({})", marks.join(", ")) }
        };
        for Self { key, values } in filters {
            let mut wanted = values.iter().map(String::as_str);
            match key {
                Field::SecretName => sql.push_str(&one_of("name", &mut wanted)),
                Field::Description => sql.push_str(&one_of("description", &mut wanted)),
                Field::TagKey => of_tag.push_str(&one_of("t.tag_key", &mut wanted)),
                Field::TagValue => of_tag.push_str(&one_of("t.tag_value", &mut wanted)),
                Field::SecretType if values.is_empty() => {}
                Field::SecretType => {
                    let has = |word: &str| wanted.clone().any(|v| v.eq_ignore_ascii_case(word));
                    let anything = has(Holds::Anything.word());
                    sql.push_str(match (anything, has(Holds::ACCESS_KEY)) {
                        (true, true) => "",
                        (true, false) => " AND user_id IS NULL",
                        (false, true) => " AND user_id IS NOT NULL",
                        (false, false) => " AND user_id IS NULL AND user_id IS NOT NULL",
                    });
                }
            }
        }
        if !of_tag.is_empty() {
            sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM secret_tag t WHERE t.tenant_id = $1 AND t.name = secret.name{of_tag})"
            ));
        }
        sql
    }
}
