//! Typed calls: the operations that are built. Every other one is known by name and refused by name.

use bailee_types::{SecretText, UserName};

use super::error::RpcError;
use super::request::RpcRequest;

/// One call with its arguments.
#[derive(Clone)]
pub enum Call {
    /// Sts `GetCallerIdentity`.
    GetCallerIdentity,
    /// Ram `CreateUser`.
    CreateUser {
        /// `UserName`.
        name: UserName,
        /// `DisplayName`.
        display_name: String,
        /// `Comments`.
        comments: String,
        /// `Email`.
        email: String,
        /// `MobilePhone`.
        mobile_phone: String,
    },
    /// Ram `GetUser`.
    GetUser {
        /// `UserName`.
        name: UserName,
    },
    /// Ram `ListUsers`.
    ListUsers {
        /// `Marker`.
        marker: Option<String>,
        /// `MaxItems`, 1 to 1,000; 100 by default.
        items_max: u32,
    },
    /// Ram `CreateAccessKey`; without a user, for the caller himself.
    CreateAccessKey {
        /// `UserName`.
        user: Option<UserName>,
    },
    /// Ram `ListAccessKeys`; without a user, of the caller himself.
    ListAccessKeys {
        /// `UserName`.
        user: Option<UserName>,
    },
    /// Ram `CreateLoginProfile`.
    CreateLoginProfile {
        /// `UserName`.
        name: UserName,
        /// `Password`.
        password: SecretText,
    },
    /// Ram `CreatePolicy`.
    CreatePolicy {
        /// `PolicyName`.
        name: String,
        /// `PolicyDocument`.
        document: String,
        /// `Description`.
        description: String,
    },
    /// Ram `AttachPolicyToUser`.
    AttachPolicyToUser {
        /// `PolicyName`.
        policy: String,
        /// `PolicyType`: whether `System`.
        system: bool,
        /// `UserName`.
        user: UserName,
    },
}

impl Call {
    /// Reads the arguments of a request's operation.
    ///
    /// # Errors
    /// An argument that is missing or wrong; `InvalidAction.NotFound` for operations that are not built yet.
    pub fn parse(request: &RpcRequest<'_>) -> Result<Self, RpcError> {
        let operation = request.operation();
        let text = |name: &str| request.argument(name).unwrap_or_default().to_owned();
        Ok(match (operation.product.name, operation.name) {
            ("Sts", "GetCallerIdentity") => Self::GetCallerIdentity,
            ("Ram", "CreateUser") => Self::CreateUser {
                name: user(request)?,
                display_name: text("DisplayName"),
                comments: text("Comments"),
                email: text("Email"),
                mobile_phone: text("MobilePhone"),
            },
            ("Ram", "GetUser") => Self::GetUser { name: user(request)? },
            ("Ram", "ListUsers") => Self::ListUsers {
                marker: request.argument("Marker").filter(|m| !m.is_empty()).map(str::to_owned),
                items_max: items_max(request)?,
            },
            ("Ram", "CreateAccessKey") => Self::CreateAccessKey { user: optional_user(request)? },
            ("Ram", "ListAccessKeys") => Self::ListAccessKeys { user: optional_user(request)? },
            ("Ram", "CreateLoginProfile") => Self::CreateLoginProfile {
                name: user(request)?,
                password: SecretText::new(request.required("Password")?.to_owned()),
            },
            ("Ram", "CreatePolicy") => Self::CreatePolicy {
                name: request.required("PolicyName")?.to_owned(),
                document: request.required("PolicyDocument")?.to_owned(),
                description: text("Description"),
            },
            ("Ram", "AttachPolicyToUser") => Self::AttachPolicyToUser {
                policy: request.required("PolicyName")?.to_owned(),
                system: match request.required("PolicyType")? {
                    "System" => true,
                    "Custom" => false,
                    _ => return Err(RpcError::invalid("PolicyType", "PolicyType must be System or Custom.")),
                },
                user: user(request)?,
            },
            (product, name) => {
                return Err(RpcError::new(
                    404,
                    "InvalidAction.NotFound",
                    format!(
                        "Specified api is not found: {product} {name} is not offered by this server yet."
                    ),
                ));
            }
        })
    }
}

fn user(request: &RpcRequest<'_>) -> Result<UserName, RpcError> {
    parse_user(request.required("UserName")?)
}

fn optional_user(request: &RpcRequest<'_>) -> Result<Option<UserName>, RpcError> {
    request.argument("UserName").filter(|n| !n.is_empty()).map(parse_user).transpose()
}

fn parse_user(text: &str) -> Result<UserName, RpcError> {
    UserName::parse(text).map_err(|_| {
        let kind = if (1..=64).contains(&text.len()) { "InvalidChars" } else { "Length" };
        RpcError::invalid(
            &format!("UserName.{kind}"),
            "The parameter UserName must have 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`.",
        )
    })
}

fn items_max(request: &RpcRequest<'_>) -> Result<u32, RpcError> {
    let Some(text) = request.argument("MaxItems").filter(|t| !t.is_empty()) else { return Ok(100) };
    text.parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| RpcError::invalid("MaxItems", "The parameter MaxItems must be 1 to 1000."))
}
