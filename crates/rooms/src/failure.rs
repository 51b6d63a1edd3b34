//! What can go wrong in a room, said to three readers: the caller, the operator of the service, the code.
//!
//! The variants say whose fault it is. A thing you may not know of is `NotFound`, the same as one that is not there.

use bailee_crypto::envelope::EnvelopeError;
use bailee_store::{BlobError, StoreError};

use crate::gate::Refusal;

/// Whose fault a failure is. Only [`Fault::Ours`] is a status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request was wrong.
    Caller,
    /// A rule said no.
    Policy,
    /// Disk, database or network; try again.
    World,
    /// A bug or damaged data.
    Ours,
}

/// What a missing or existing thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A tenant.
    Tenant,
    /// A RAM user.
    User,
    /// An AccessKey.
    AccessKey,
    /// A console password and its rules.
    LoginProfile,
    /// A group.
    Group,
    /// A user's place in a group.
    Membership,
    /// A role.
    Role,
    /// A policy.
    Policy,
    /// A version of a policy.
    PolicyVersion,
    /// A policy on a user.
    UserPolicy,
    /// A policy on a group.
    GroupPolicy,
    /// A policy on a role.
    RolePolicy,
    /// A virtual MFA device.
    MfaDevice,
    /// A user's bound MFA device.
    UserMfa,
    /// The user that an MFA device is bound to.
    MfaUser,
    /// An OIDC identity provider.
    OidcProvider,
    /// A SAML identity provider.
    SamlProvider,
    /// What the account is called at sign-in.
    AccountAlias,
    /// A tag of a resource.
    Tag,
    /// A session at the console.
    Session,
    /// A takedown of public data.
    Handling,
    /// A glass that was to be broken.
    Glass,
    /// A change of the provider's own.
    Change,
    /// A system that brokers reach.
    Target,
    /// A session with such a system.
    BrokerSession,
    /// A device that somebody signed in with before.
    Device,
    /// A passkey.
    Passkey,
    /// An operator.
    Operator,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
    /// An upload in parts.
    Upload,
    /// A version of an object.
    Version,
    /// Retention of everything in a bucket.
    Worm,
    /// A certificate of destruction.
    Destruction,
    /// A transfer across a border.
    Transfer,
    /// A document that is attached to something.
    Document,
    /// An operator's request for a transfer.
    TransferRequest,
    /// A ticket.
    Ticket,
    /// A consent request or grant.
    Grant,
    /// A standing right.
    StandingRight,
    /// A log or a part of it.
    Log,
    /// A trail: where events are delivered.
    Trail,
    /// A collector.
    Collector,
    /// A legal hold over a log.
    Hold,
    /// A webhook or syslog server that gets events.
    Sink,
    /// A key of KMS.
    Key,
    /// A version of such a key.
    KeyVersion,
    /// Another name of such a key.
    Alias,
    /// A secret of KMS.
    Secret,
    /// A version of such a secret.
    SecretVersion,
    /// A key service of a tenant's.
    KeyStore,
    /// A place for data.
    Region,
    /// A check of the running system.
    Check,
    /// A claim of the provider.
    Claim,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::AccessKey => "AccessKey",
            Self::LoginProfile => "login profile of",
            Self::Group => "group",
            Self::Membership => "membership of",
            Self::Role => "role",
            Self::Policy => "policy",
            Self::PolicyVersion => "policy version",
            Self::UserPolicy => "policy on the user:",
            Self::GroupPolicy => "policy on the group:",
            Self::RolePolicy => "policy on the role:",
            Self::MfaDevice => "MFA device",
            Self::UserMfa => "MFA device of",
            Self::MfaUser => "user of the MFA device",
            Self::OidcProvider => "OIDC provider",
            Self::SamlProvider => "SAML provider",
            Self::AccountAlias => "account alias",
            Self::Tag => "tag",
            Self::Session => "session",
            Self::Handling => "takedown",
            Self::Glass => "glass",
            Self::Change => "change",
            Self::Target => "target",
            Self::BrokerSession => "session",
            Self::Device => "device",
            Self::Passkey => "passkey",
            Self::Operator => "operator",
            Self::Bucket => "bucket",
            Self::Object => "object",
            Self::Upload => "upload",
            Self::Version => "version",
            Self::Worm => "WORM",
            Self::Destruction => "certificate of destruction",
            Self::Transfer => "transfer",
            Self::Document => "document",
            Self::TransferRequest => "request for a transfer",
            Self::Ticket => "ticket",
            Self::Grant => "consent request",
            Self::StandingRight => "standing right",
            Self::Log => "log",
            Self::Trail => "trail",
            Self::Collector => "collector",
            Self::Hold => "legal hold",
            Self::Sink => "sink",
            Self::Key => "key",
            Self::KeyVersion => "key version",
            Self::Alias => "alias",
            Self::Secret => "secret",
            Self::SecretVersion => "secret version",
            Self::KeyStore => "key store",
            Self::Region => "region",
            Self::Check => "check",
            Self::Claim => "claim",
        })
    }
}

/// Why somebody is not signed in. Only who knew the password learns more than [`SignInProblem::Wrong`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInProblem {
    /// The name or the password; which of them is not said.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The session is over.
    #[error("the session has ended; sign in again")]
    Ended,
    /// An administrator switched the login profile off.
    #[error("this user may not sign in to the console; ask your administrator")]
    Inactive,
    /// The tenant allows some networks only.
    #[error("this account does not allow to sign in from your network")]
    Network,
    /// Nobody signs on elsewhere here, or there is no such account.
    #[error("single sign-on is not set up for this account")]
    NoSingleSignOn,
    /// The answer of the issuer does not belong to this browser, or came too late.
    #[error("the sign-on was broken off or began in another browser; begin again")]
    SignOnBroken,
    /// The issuer vouches for somebody whom nobody here knows.
    #[error("the issuer vouches for you, but no user here has your name")]
    Unknown,
    /// A passkey that is not known, or that the account does not take for a password.
    #[error("this passkey signs nobody in here; use your password")]
    Passkey,
    /// The issuer did not redeem the code that it gave, or gave no good token for it.
    #[error("your identity provider refused the sign-on; begin again, or ask your administrator")]
    IssuerRefused,
    /// The issuer cannot be reached, or is broken.
    #[error("your identity provider does not answer; try again in a while")]
    IssuerSilent,
    /// The password is older than the tenant's policy allows.
    #[error("the password has expired; ask your administrator for a new one")]
    Expired,
}

/// Why an act did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A rule said no, and the no is recorded.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no such thing, or the caller may not know of it.
    #[error("the {thing} `{name}` does not exist")]
    NotFound {
        /// The kind of thing.
        thing: Thing,
        /// Its name as the caller gave it.
        name: String,
    },
    /// A delete marker stands where content was asked for.
    #[error("the object `{key}` is deleted; a delete marker stands in its place")]
    DeleteMarker {
        /// The object's key.
        key: String,
        /// The marker.
        marker: crate::vault::Marker,
    },
    /// The name is taken.
    #[error("the {thing} `{name}` exists already")]
    Exists {
        /// The kind of thing.
        thing: Thing,
        /// Its name.
        name: String,
    },
    /// A field cannot be accepted.
    #[error("the {field} {why}")]
    Invalid {
        /// The field's name on the wire.
        field: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A limit is reached.
    #[error("{what}: at most {max}")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        max: u64,
        /// The kind of thing that is limited.
        thing: Thing,
    },
    /// It is in use, so it cannot be deleted.
    #[error("the {thing} `{name}` still has {what}; remove that first")]
    InUse {
        /// The kind of thing.
        thing: Thing,
        /// Its name.
        name: String,
        /// What it still has: the kind of thing that is in the way.
        by: Thing,
        /// The same in words, e.g. `AccessKeys`.
        what: &'static str,
    },
    /// The state forbids it now (bucket not empty, request already decided).
    #[error("{0}")]
    Conflict(String),
    /// The state of a bucket forbids it.
    #[error("{0}")]
    BucketState(String),
    /// An object is not appendable, or ends elsewhere.
    #[error("{}", .0.map_or_else(|| "the object is not appendable".to_owned(), |end| format!("the object ends at {end}")))]
    Append(
        /// Where it ends.
        Option<u64>,
    ),
    /// What may be stored is stored.
    #[error("the {of} may hold {max} bytes; with this there would be {used}")]
    Quota {
        /// Of what.
        of: String,
        /// Bytes that it may hold.
        max: u64,
        /// Bytes that there would be.
        used: u64,
    },
    /// An object's storage type does not allow it.
    #[error("{0}")]
    ObjectState(String),
    /// Public access to the bucket is blocked, and this would let everybody in.
    #[error(
        "{0} that lets everybody in needs public access, which is blocked; unblock it first (`?publicAccessBlock`)"
    )]
    PublicBlocked(&'static str),
    /// It is retained: nobody may destroy or shorten it yet.
    #[error("{0}")]
    Retained(String),
    /// A condition of the request does not hold (`If-Match`).
    #[error("the condition {0} does not hold")]
    Precondition(&'static str),
    /// The body ended early, was too long, or its checksum differs; nothing was stored.
    #[error("{0}")]
    Body(String),
    /// What is claimed of the checksum of an object of parts does not fit.
    #[error("{0}")]
    Checksum(crate::vault::ChecksumProblem),
    /// A request was sent twice.
    #[error("the signature nonce was used before")]
    Replayed,
    /// Why nobody is signed in.
    #[error("{0}")]
    SignIn(SignInProblem),
    /// The one-time code is wrong, was used, or the two codes do not follow each other.
    #[error("the code is wrong or was used; wait for the next one")]
    WrongCode,
    /// The act needs a second factor that was shown just now.
    #[error("this needs a second factor that you showed within the last five minutes; show it again")]
    FreshMfa,
    /// A key of KMS does not do this.
    #[error("{0}")]
    Key(crate::keys::cmk::KeyProblem),
    /// Too many attempts; seconds to wait.
    #[error("too many attempts; try again in {0} seconds")]
    Throttled(u64),
    /// Disk, database or network.
    #[error("the service cannot do this now: {0}")]
    Unavailable(String),
    /// Stored data is damaged or was changed: nothing of it is given out.
    #[error("stored data did not verify: {0}")]
    Damaged(String),
    /// A bug.
    #[error("an internal error: {0}")]
    Bug(String),
}

impl Failure {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::Policy,
            Self::Unavailable(_) => Fault::World,
            Self::Damaged(_) | Self::Bug(_) => Fault::Ours,
            _ => Fault::Caller,
        }
    }

    /// A short stable code for outcome records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(r) => r.code(),
            Self::NotFound { .. } | Self::DeleteMarker { .. } => "NotFound",
            Self::Exists { .. } => "AlreadyExists",
            Self::Invalid { .. } => "InvalidParameter",
            Self::Limit { .. } => "LimitExceeded",
            Self::InUse { .. } => "DeleteConflict",
            Self::Conflict(_) | Self::BucketState(_) => "Conflict",
            Self::Retained(_) => "Retained",
            Self::ObjectState(_) => "ObjectState",
            Self::PublicBlocked(_) => "PublicAccessBlocked",
            Self::Quota { .. } => "QuotaExceeded",
            Self::Append(_) => "Conflict",
            Self::Precondition(_) => "PreconditionFailed",
            Self::Body(_) | Self::Checksum(_) => "BadBody",
            Self::Replayed => "SignatureNonceUsed",
            Self::SignIn(_) => "SignInFailed",
            Self::WrongCode => "CheckAuthenticationCodeFail",
            Self::FreshMfa => "FreshMfaRequired",
            Self::Key(_) => "KeyRefused",
            Self::Throttled(_) => "Throttled",
            Self::Unavailable(_) => "ServiceUnavailable",
            Self::Damaged(_) => "DataDamaged",
            Self::Bug(_) => "InternalError",
        }
    }

    pub(crate) fn not_found(thing: Thing, name: impl std::fmt::Display) -> Self {
        Self::NotFound { thing, name: name.to_string() }
    }

    pub(crate) fn exists(thing: Thing, name: impl std::fmt::Display) -> Self {
        Self::Exists { thing, name: name.to_string() }
    }

    pub(crate) fn in_use(thing: Thing, name: impl std::fmt::Display, by: Thing, what: &'static str) -> Self {
        Self::InUse { thing, name: name.to_string(), by, what }
    }

    pub(crate) fn limit(thing: Thing, what: &'static str, max: u64) -> Self {
        Self::Limit { what, max, thing }
    }

    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Unavailable(_) => Self::Unavailable(e.to_string()),
            StoreError::Corrupt(why) => Self::Damaged(why),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<BlobError> for Failure {
    fn from(e: BlobError) -> Self {
        match e {
            BlobError::Missing(_) => Self::Damaged(e.to_string()),
            BlobError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<EnvelopeError> for Failure {
    fn from(e: EnvelopeError) -> Self {
        Self::Damaged(e.to_string())
    }
}
