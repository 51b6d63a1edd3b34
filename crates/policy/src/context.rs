//! What is asked, by whom and under which circumstances.

use std::cell::OnceCell;
use std::fmt::Write;
use std::net::IpAddr;

use bailee_types::{Arn, Timestamp};

use crate::condition::{Key, Known, truth};
use crate::pattern::{Inserted, Pattern, VARS_MAX};

/// What is asked: may this action touch this resource, now?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `service:Name`, e.g. `oss:GetObject`; case does not matter.
    pub action: &'a str,
    /// The resource.
    pub resource: &'a Arn,
    /// The circumstances.
    pub context: &'a Context<'a>,
}

/// The circumstances of a request: what conditions and variables read.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// `acs:CurrentTime`.
    pub now: Timestamp,
    /// `acs:SourceIp`; missing when the request comes from inside.
    pub source_ip: Option<IpAddr>,
    /// `acs:SecureTransport`.
    pub secure_transport: bool,
    /// `acs:MFAPresent`; missing for callers that cannot have one.
    pub mfa_present: Option<bool>,
    /// Who asks; gives `acs:PrincipalARN`.
    pub subject: Subject<'a>,
    /// Other keys with their values, e.g. `oss:Prefix`, `sts:ExternalId`, `acs:RequestTag/team`, `oidc:sub`. A key's case
    /// does not matter; the first entry of a key counts; one without values is missing. The five keys above are not read
    /// from here.
    pub extra: &'a [(&'a str, &'a [&'a str])],
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Nobody that we know.
    Anonymous,
    /// The account's owner.
    Root {
        /// The account's id.
        account: &'a str,
    },
    /// A user.
    User {
        /// The account's id.
        account: &'a str,
        /// The user's id.
        id: &'a str,
        /// The user's name.
        name: &'a str,
    },
    /// A session of a role.
    Role {
        /// The role's account.
        account: &'a str,
        /// The role's id.
        role_id: &'a str,
        /// The role's name.
        role: &'a str,
        /// The session's name.
        session: &'a str,
    },
    /// A service of the platform, e.g. `ecs.aliyuncs.com`.
    Service(&'a str),
    /// Somebody that an identity provider vouches for.
    Federated {
        /// `acs:ram::<account>:oidc-provider/<name>` or `…:saml-provider/<name>`.
        provider_arn: &'a str,
    },
}

impl<'a> Subject<'a> {
    /// The account, for those that have one.
    pub fn account(&self) -> Option<&'a str> {
        match *self {
            Self::Root { account } | Self::User { account, .. } | Self::Role { account, .. } => Some(account),
            Self::Anonymous | Self::Service(_) | Self::Federated { .. } => None,
        }
    }

    /// Whether the resource is of the subject's own account; one without account (empty, `*`) and one of the platform
    /// (`system`, its policies) is everybody's own.
    pub(crate) fn owns(&self, resource: &Arn) -> bool {
        self.account()
            .is_some_and(|own| matches!(resource.account(), "" | "*" | "system") || resource.account() == own)
    }

    /// Writes `acs:PrincipalARN`: for a session its role's, as RAM does. False when there is none.
    fn write_arn(&self, out: &mut Text) -> bool {
        let written = match *self {
            Self::Anonymous | Self::Service(_) => return false,
            Self::Root { account } => write!(out, "acs:ram::{account}:root"),
            Self::User { account, name, .. } => write!(out, "acs:ram::{account}:user/{name}"),
            // In lower case, as the role's ARN is shown.
            Self::Role { account, role, .. } => write!(out, "acs:ram::{account}:role/")
                .and_then(|()| role.chars().try_for_each(|c| out.write_char(c.to_ascii_lowercase()))),
            Self::Federated { provider_arn } => out.write_str(provider_arn),
        };
        written.is_ok()
    }
}

/// One value of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    Text(&'v str),
    Time(Timestamp),
    Flag(bool),
    Address(IpAddr),
}

/// The values of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'v> {
    Missing,
    One(Value<'v>),
    Many(&'v [&'v str]),
}

impl<'v> Value<'v> {
    /// As text: instants as `2026-01-02T03:04:05Z`, flags as `true` and `false`.
    pub(crate) fn text(self) -> Shown<'v> {
        let mut text = Text::default();
        let _ = match self {
            Self::Text(t) => return Shown::Theirs(t),
            Self::Flag(true) => return Shown::Theirs("true"),
            Self::Flag(false) => return Shown::Theirs("false"),
            Self::Time(t) => text.write_str(&t.iso()),
            Self::Address(a) => write!(text, "{}", a.to_canonical()),
        };
        Shown::Ours(text)
    }

    pub(crate) fn time(self) -> Option<Timestamp> {
        match self {
            Self::Time(t) => Some(t),
            Self::Text(t) => Timestamp::parse_iso_offset(t).ok(),
            _ => None,
        }
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self {
            Self::Flag(f) => Some(f),
            Self::Text(t) => truth(t),
            _ => None,
        }
    }

    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(a) => Some(a),
            Self::Text(t) => t.parse().ok(),
            _ => None,
        }
    }
}

/// A request while it is decided: what must be put together first is put together once, and only if a policy asks.
pub(crate) struct Eval<'r, 'a> {
    pub(crate) request: &'r Request<'a>,
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    arn: OnceCell<Option<Text>>,
    address: OnceCell<Text>,
    time: OnceCell<Text>,
}

impl<'r, 'a> Eval<'r, 'a> {
    /// None when the action has no service: nothing can match it.
    pub(crate) fn new(request: &'r Request<'a>) -> Option<Self> {
        let (service, name) = request.action.split_once(':')?;
        Some(Self {
            request,
            service,
            name,
            arn: OnceCell::new(),
            address: OnceCell::new(),
            time: OnceCell::new(),
        })
    }

    /// The values of a key.
    pub(crate) fn find(&self, key: &Key) -> Found<'_> {
        let context = self.request.context;
        let one = |value: Option<Value<'a>>| value.map_or(Found::Missing, Found::One);
        match key.known {
            Known::CurrentTime => Found::One(Value::Time(context.now)),
            Known::SecureTransport => Found::One(Value::Flag(context.secure_transport)),
            Known::SourceIp => one(context.source_ip.map(Value::Address)),
            Known::MfaPresent => one(context.mfa_present.map(Value::Flag)),
            Known::PrincipalArn => self.arn().map_or(Found::Missing, |arn| Found::One(Value::Text(arn))),
            Known::Listed => match context.extra.iter().find(|(k, _)| k.eq_ignore_ascii_case(&key.name)) {
                None | Some((_, [])) => Found::Missing,
                Some((_, [only])) => Found::One(Value::Text(only)),
                Some((_, many)) => Found::Many(many),
            },
        }
    }

    /// The values of a pattern's variables; none when one is missing or has several values, and no default.
    pub(crate) fn inserted<'s>(&'s self, pattern: &'s Pattern) -> Option<Inserted<'s>> {
        let mut values = [""; VARS_MAX];
        for (place, var) in values.iter_mut().zip(pattern.vars()) {
            *place = self.variable(&var.key).or(var.default.as_deref())?;
        }
        Some(values)
    }

    fn variable(&self, key: &str) -> Option<&str> {
        let context = self.request.context;
        match Known::of(key) {
            Known::CurrentTime => Some(self.time.get_or_init(|| Text::of(&context.now.iso())).as_str()),
            Known::SecureTransport => Some(if context.secure_transport { "true" } else { "false" }),
            Known::MfaPresent => Some(if context.mfa_present? { "true" } else { "false" }),
            Known::PrincipalArn => self.arn(),
            Known::SourceIp => {
                let address = context.source_ip?.to_canonical();
                let text = self.address.get_or_init(|| {
                    let mut text = Text::default();
                    let _ = write!(text, "{address}");
                    text
                });
                Some(text.as_str())
            }
            Known::Listed => match context.extra.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)) {
                Some((_, [only])) => Some(only),
                _ => None,
            },
        }
    }

    fn arn(&self) -> Option<&str> {
        let made = self.arn.get_or_init(|| {
            let mut text = Text::default();
            self.request.context.subject.write_arn(&mut text).then_some(text)
        });
        made.as_ref().map(Text::as_str)
    }
}

/// A short text that is put together without the heap; a long one goes there.
pub(crate) enum Text {
    Short { bytes: [u8; 192], len: usize },
    Long(String),
}

impl Text {
    fn of(text: &str) -> Self {
        let mut made = Self::default();
        let _ = made.write_str(text);
        made
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short { bytes, len } => {
                bytes.get(..*len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
            }
            Self::Long(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Short { bytes: [0; 192], len: 0 }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        match self {
            Self::Short { bytes, len } => match bytes.get_mut(*len..*len + text.len()) {
                Some(place) => {
                    place.copy_from_slice(text.as_bytes());
                    *len += text.len();
                }
                None => *self = Self::Long(format!("{}{text}", self.as_str())),
            },
            Self::Long(long) => long.push_str(text),
        }
        Ok(())
    }
}

/// A text of the request's, or one put together from it.
pub(crate) enum Shown<'v> {
    Theirs(&'v str),
    Ours(Text),
}

impl std::ops::Deref for Shown<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Theirs(text) => text,
            Self::Ours(text) => text.as_str(),
        }
    }
}
