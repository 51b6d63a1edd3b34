//! Tags on users, roles and policies.

use bailee_types::{PolicyName, RoleName, UserName};
use serde_json::{Value, json};

use super::act::{Act, Cx};
use super::rows::tag;
use super::{policy, role, user};
use crate::{Failure, Thing};

/// Tags that one resource may have.
pub(super) const PER_RESOURCE_MAX: usize = 20;
/// Resources that one call may name.
const RESOURCES_MAX: usize = 50;

/// A tagged resource.
#[derive(Clone, Debug)]
pub enum Tagged {
    /// A user.
    User(UserName),
    /// A role.
    Role(RoleName),
    /// A custom policy.
    Policy(PolicyName),
}

impl Tagged {
    fn relative(&self) -> String {
        match self {
            Self::User(n) => format!("user/{n}"),
            Self::Role(n) => format!("role/{n}"),
            Self::Policy(n) => format!("policy/{n}"),
        }
    }

    fn key(&self, cx: &mut Cx<'_, '_, '_>) -> Result<(&'static str, String), Failure> {
        Ok(match self {
            Self::User(n) => ("user", user::found(cx, n)?.id.to_string()),
            Self::Role(n) => ("role", role::found(cx, n)?.id.to_string()),
            Self::Policy(n) => ("policy", policy::found(cx, policy::PolicyType::Custom, n)?.name),
        })
    }
}

/// One tag of one resource.
#[derive(Clone, Debug)]
pub struct TagRow {
    /// `user`, `role` or `policy`.
    pub kind: String,
    /// The resource's name.
    pub name: String,
    /// The resource's id (a policy's is its name).
    pub id: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Sets tags; a key that is there gets the new value.
#[derive(Clone, Debug)]
pub struct TagResources {
    /// On what.
    pub resources: Vec<Tagged>,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

/// Takes tags off.
#[derive(Clone, Debug)]
pub struct UntagResources {
    /// Off what.
    pub resources: Vec<Tagged>,
    /// Which keys; none for all of them.
    pub keys: Option<Vec<String>>,
}

/// Tags of resources, or resources of tags.
#[derive(Clone, Debug)]
pub struct ListTagResources {
    /// `user`, `role` or `policy`.
    pub kind: &'static str,
    /// Of these; all of the kind when empty.
    pub resources: Vec<Tagged>,
    /// Only resources with these tags; an empty value means any.
    pub tags: Vec<(String, String)>,
    /// Only what comes after this id and key, in their order.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub rows_max: u32,
}

/// Sets tags inside of another act.
pub(super) fn put(
    cx: &mut Cx<'_, '_, '_>,
    kind: &str,
    id: &str,
    tags: &[(String, String)],
) -> Result<(), Failure> {
    for (key, value) in tags {
        let ok = |t: &str, max| t.chars().count() <= max && !t.chars().any(char::is_control);
        if key.is_empty() || !ok(key, 128) || !ok(value, 128) {
            return Err(Failure::invalid(
                "Tag",
                "needs a key of 1 to 128 characters and a value of at most 128",
            ));
        }
        let lower = key.to_lowercase();
        if lower.starts_with("aliyun") || lower.starts_with("acs:") {
            return Err(Failure::invalid("Tag", "keys must not begin with aliyun or acs:"));
        }
        tag::put(cx.tx, kind, id, key, value)?;
    }
    if tag::count(cx.tx, kind, id)? > PER_RESOURCE_MAX as u64 {
        return Err(Failure::limit(Thing::Tag, "tags of one resource", PER_RESOURCE_MAX as u64));
    }
    Ok(())
}

fn few(resources: &[Tagged]) -> Result<(), Failure> {
    if (1..=RESOURCES_MAX).contains(&resources.len()) {
        Ok(())
    } else {
        Err(Failure::invalid("ResourceNames", format!("must name 1 to {RESOURCES_MAX} resources")))
    }
}

impl Act for TagResources {
    type Output = ();
    const TYPE: &'static str = "ACS::RAM::Tag";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "ram:TagResources"
    }

    fn on(&self) -> Vec<String> {
        self.resources.iter().map(Tagged::relative).collect()
    }

    fn detail(&self) -> Value {
        json!({ "Keys": self.tags.iter().map(|(k, _)| k.chars().take(128).collect::<String>()).collect::<Vec<_>>() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        few(&self.resources)?;
        if self.tags.is_empty() || self.tags.len() > PER_RESOURCE_MAX {
            return Err(Failure::invalid("Tag", format!("must name 1 to {PER_RESOURCE_MAX} tags")));
        }
        for resource in &self.resources {
            let (kind, id) = resource.key(cx)?;
            put(cx, kind, &id, &self.tags)?;
        }
        Ok(())
    }
}

impl Act for UntagResources {
    type Output = ();
    const TYPE: &'static str = "ACS::RAM::Tag";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "ram:UntagResources"
    }

    fn on(&self) -> Vec<String> {
        self.resources.iter().map(Tagged::relative).collect()
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        few(&self.resources)?;
        for resource in &self.resources {
            let (kind, id) = resource.key(cx)?;
            match &self.keys {
                None => tag::delete_all(cx.tx, kind, &id)?,
                Some(keys) => {
                    for key in keys {
                        tag::delete(cx.tx, kind, &id, key)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Act for ListTagResources {
    type Output = Vec<TagRow>;
    const TYPE: &'static str = "ACS::RAM::Tag";
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        "ram:ListTagResources"
    }

    fn on(&self) -> Vec<String> {
        if self.resources.is_empty() {
            vec![format!("{}/*", self.kind)]
        } else {
            self.resources.iter().map(Tagged::relative).collect()
        }
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<TagRow>, Failure> {
        if !self.resources.is_empty() {
            few(&self.resources)?;
        }
        let after = self.after.unwrap_or_default();
        let mut named = Vec::new();
        for resource in &self.resources {
            named.push(resource.key(cx)?.1);
        }
        let of = (named.as_slice(), self.tags.as_slice());
        tag::page(cx.tx, self.kind, of, (&after.0, &after.1), self.rows_max).map_err(Failure::from)
    }
}

impl crate::House {
    /// Tags of these resources of a kind, to be shown with an answer that was allowed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tags_of(
        &self,
        tenant: &bailee_types::TenantId,
        kind: &'static str,
        ids: Vec<String>,
    ) -> Result<Vec<TagRow>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = tenant.clone();
        let read = move |tx: &mut bailee_store::Tx<'_>| {
            tag::of(&mut tx.tenant(&tenant), kind, ids.iter().map(String::as_str)).map_err(Failure::from)
        };
        self.db.read(read).await
    }
}
