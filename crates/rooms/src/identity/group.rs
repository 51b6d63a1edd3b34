//! RAM groups and who is in them.

use bailee_types::{GroupId, GroupName, Timestamp, UserId, UserName};
use serde_json::json;

use super::act::{Act, Cx, Page, Paging, head, short};
use super::rows::{group, policy};
use super::user;
use crate::{Failure, Thing};

/// Groups a tenant may have (contract §5).
pub(super) const PER_TENANT_MAX: u64 = 300;
/// Groups a user may be in (contract §5).
pub(super) const PER_USER_MAX: u64 = 10;

/// A RAM group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Never used again, unlike the name.
    pub id: GroupId,
    /// The name.
    pub name: GroupName,
    /// For people.
    pub display_name: String,
    /// For people.
    pub comments: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A user in a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub name: UserName,
    /// For people.
    pub display_name: String,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Creates a group.
#[derive(Clone, Debug)]
pub struct CreateGroup {
    /// The name.
    pub name: GroupName,
    /// At most 128 characters.
    pub display_name: String,
    /// At most 128 characters.
    pub comments: String,
}

/// One group.
#[derive(Clone, Debug)]
pub struct GetGroup {
    /// The name.
    pub name: GroupName,
}

/// Changes a group; what is `None` stays.
#[derive(Clone, Debug)]
pub struct UpdateGroup {
    /// The present name.
    pub name: GroupName,
    /// A new name. Members and policies go with the group.
    pub new_name: Option<GroupName>,
    /// At most 128 characters.
    pub display_name: Option<String>,
    /// At most 128 characters.
    pub comments: Option<String>,
}

/// Deletes a group that has no members and policies any more.
#[derive(Clone, Debug)]
pub struct DeleteGroup {
    /// The name.
    pub name: GroupName,
}

/// Groups by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListGroups {
    /// Which page.
    pub page: Paging,
}

/// Puts a user into a group.
#[derive(Clone, Debug)]
pub struct AddUserToGroup {
    /// The user.
    pub user: UserName,
    /// The group.
    pub group: GroupName,
}

/// Takes a user out of a group.
#[derive(Clone, Debug)]
pub struct RemoveUserFromGroup {
    /// The user.
    pub user: UserName,
    /// The group.
    pub group: GroupName,
}

/// Members of a group by name, a page at a time.
#[derive(Clone, Debug)]
pub struct ListUsersForGroup {
    /// The group.
    pub group: GroupName,
    /// Which page.
    pub page: Paging,
}

/// The groups that a user is in, with the time he joined.
#[derive(Clone, Debug)]
pub struct ListGroupsForUser {
    /// The user.
    pub user: UserName,
}

pub(super) fn found(cx: &mut Cx<'_, '_, '_>, name: &GroupName) -> Result<Group, Failure> {
    group::by_name(cx.tx, name)?.ok_or_else(|| Failure::not_found(Thing::Group, name))
}

impl Act for CreateGroup {
    type Output = Group;
    head!(
        "ACS::RAM::Group",
        write,
        "ram:CreateGroup",
        |s| [format!("group/{}", s.name)],
        |s| json!({ "GroupName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Group, Failure> {
        short("DisplayName", &self.display_name, 128)?;
        short("Comments", &self.comments, 128)?;
        if group::count(cx.tx)? >= PER_TENANT_MAX {
            return Err(Failure::limit(Thing::Group, "groups", PER_TENANT_MAX));
        }
        if !group::insert(cx.tx, &GroupId::random(), &self, cx.now)? {
            return Err(Failure::exists(Thing::Group, &self.name));
        }
        found(cx, &self.name)
    }
}

impl Act for GetGroup {
    type Output = Group;
    head!(
        "ACS::RAM::Group",
        read,
        "ram:GetGroup",
        |s| [format!("group/{}", s.name)],
        |s| json!({ "GroupName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Group, Failure> {
        found(cx, &self.name)
    }
}

impl Act for UpdateGroup {
    type Output = Group;
    head!(
        "ACS::RAM::Group",
        write,
        "ram:UpdateGroup",
        |s| std::iter::once(&s.name).chain(s.new_name.as_ref()).map(|n| format!("group/{n}")),
        |s| json!({ "GroupName": s.name.as_str(), "NewGroupName": s.new_name.as_ref().map(GroupName::as_str) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Group, Failure> {
        let mut group = found(cx, &self.name)?;
        group.display_name = self.display_name.unwrap_or(group.display_name);
        group.comments = self.comments.unwrap_or(group.comments);
        short("DisplayName", &group.display_name, 128)?;
        short("Comments", &group.comments, 128)?;
        if let Some(new) = self.new_name.filter(|n| *n != group.name) {
            if group::by_name(cx.tx, &new)?.is_some() {
                return Err(Failure::exists(Thing::Group, new));
            }
            group.name = new;
        }
        group::update(cx.tx, &group, cx.now)?;
        found(cx, &group.name)
    }
}

impl Act for DeleteGroup {
    type Output = ();
    head!(
        "ACS::RAM::Group",
        write,
        "ram:DeleteGroup",
        |s| [format!("group/{}", s.name)],
        |s| json!({ "GroupName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let group = found(cx, &self.name)?;
        if group::count_members(cx.tx, group.id.as_str())? > 0 {
            return Err(Failure::in_use(Thing::Group, &self.name, Thing::User, "members"));
        }
        if policy::count_attached(cx.tx, "group", group.id.as_str(), None)? > 0 {
            return Err(Failure::in_use(Thing::Group, &self.name, Thing::Policy, "policies"));
        }
        group::delete(cx.tx, group.id.as_str())?;
        Ok(())
    }
}

impl Act for ListGroups {
    type Output = Page<Group>;
    head!("ACS::RAM::Group", read, "ram:ListGroups", |_s| ["group/*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<Group>, Failure> {
        let max = self.page.max();
        let groups = group::page(cx.tx, self.page.after(), max + 1)?;
        Ok(Page::cut(groups, max, |g| g.name.to_string()))
    }
}

impl Act for AddUserToGroup {
    type Output = ();
    head!(
        "ACS::RAM::Group",
        write,
        "ram:AddUserToGroup",
        |s| [format!("user/{}", s.user), format!("group/{}", s.group)],
        |s| json!({ "UserName": s.user.as_str(), "GroupName": s.group.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let user = user::found(cx, &self.user)?;
        let group = found(cx, &self.group)?;
        if group::count_of_user(cx.tx, user.id.as_str())? >= PER_USER_MAX {
            return Err(Failure::limit(Thing::Membership, "groups of a user", PER_USER_MAX));
        }
        if !group::add(cx.tx, group.id.as_str(), user.id.as_str(), cx.now)? {
            return Err(Failure::exists(Thing::Membership, &self.user));
        }
        Ok(())
    }
}

impl Act for RemoveUserFromGroup {
    type Output = ();
    head!(
        "ACS::RAM::Group",
        write,
        "ram:RemoveUserFromGroup",
        |s| [format!("user/{}", s.user), format!("group/{}", s.group)],
        |s| json!({ "UserName": s.user.as_str(), "GroupName": s.group.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let user = user::found(cx, &self.user)?;
        let group = found(cx, &self.group)?;
        if !group::remove(cx.tx, group.id.as_str(), user.id.as_str())? {
            return Err(Failure::not_found(Thing::Membership, &self.user));
        }
        Ok(())
    }
}

impl Act for ListUsersForGroup {
    type Output = Page<Member>;
    head!(
        "ACS::RAM::Group",
        read,
        "ram:ListUsersForGroup",
        |s| [format!("group/{}", s.group)],
        |s| json!({ "GroupName": s.group.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<Member>, Failure> {
        let group = found(cx, &self.group)?;
        let max = self.page.max();
        let members = group::members(cx.tx, group.id.as_str(), self.page.after(), max + 1)?;
        Ok(Page::cut(members, max, |m| m.name.to_string()))
    }
}

impl Act for ListGroupsForUser {
    type Output = Vec<(Group, Timestamp)>;
    head!(
        "ACS::RAM::Group",
        read,
        "ram:ListGroupsForUser",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<(Group, Timestamp)>, Failure> {
        let user = user::found(cx, &self.user)?;
        Ok(group::of_user(cx.tx, user.id.as_str())?)
    }
}
