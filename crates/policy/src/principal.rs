//! Principals: whom a trust, bucket or key policy means.
//!
//! `{"RAM": […]}` holds account ids (everybody of the account; in bucket policies also ids of users and roles), ARNs
//! `acs:ram::<account>:root` (everybody of the account), `…:user/<name>`, `…:role/<name>` (its sessions),
//! `…:assumed-role/<role>/<session>` with wildcards in names, or `*`: every RAM identity and callers without a name.
//! A role's name is the same in any case.
//! `{"Service": […]}` and `{"Federated": […]}` hold exact names. A plain list (bucket policies) is as `RAM`, but its `*`
//! is everybody, services and federated callers too.

use crate::context::Subject;
use crate::error::shown;
use crate::pattern::{Pattern, Stars};

#[derive(Clone, Debug)]
pub(crate) struct Principals {
    pub(crate) negated: bool,
    pub(crate) list: Vec<Principal>,
}

/// One entry, with its text.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) who: Who,
    pub(crate) text: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everybody.
    Anyone,
    /// Every RAM identity, and callers without a name.
    AnyIdentity,
    /// Everybody of an account, or the user or role of this id.
    Id(Box<str>),
    Account(Pattern),
    User {
        account: Pattern,
        name: Pattern,
    },
    Role {
        account: Pattern,
        name: Pattern,
    },
    Session {
        account: Pattern,
        role: Pattern,
        session: Pattern,
    },
    Service(Box<str>),
    Federated(Box<str>),
}

impl Principals {
    pub(crate) fn cover(&self, subject: &Subject<'_>) -> bool {
        self.list.iter().any(|p| p.who.is(subject)) != self.negated
    }
}

impl Who {
    pub(crate) fn is(&self, subject: &Subject<'_>) -> bool {
        match (self, *subject) {
            (Self::Anyone, _) => true,
            (Self::AnyIdentity, subject) => {
                !matches!(subject, Subject::Service(_) | Subject::Federated { .. })
            }
            (Self::Id(id), Subject::Root { account }) => **id == *account,
            (Self::Id(wanted), Subject::User { account, id, .. }) => **wanted == *account || **wanted == *id,
            (Self::Id(wanted), Subject::Role { account, role_id, .. }) => {
                **wanted == *account || **wanted == *role_id
            }
            (Self::Account(pattern), subject) => subject.account().is_some_and(|a| pattern.matches(a)),
            (Self::User { account, name }, Subject::User { account: a, name: n, .. }) => {
                account.matches(a) && name.matches(n)
            }
            (Self::Role { account, name }, Subject::Role { account: a, role, .. }) => {
                account.matches(a) && name.matches_lower(role)
            }
            (
                Self::Session { account, role, session },
                Subject::Role { account: a, role: r, session: s, .. },
            ) => account.matches(a) && role.matches_lower(r) && session.matches(s),
            (Self::Service(wanted), Subject::Service(name)) => wanted.eq_ignore_ascii_case(name),
            (Self::Federated(wanted), Subject::Federated { provider_arn }) => **wanted == *provider_arn,
            _ => false,
        }
    }

    /// An entry of `RAM` or of a plain list.
    pub(crate) fn read_ram(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::AnyIdentity);
        }
        if (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Id(text.into()));
        }
        let wrong = || {
            format!(
                "the principal `{}` is neither an id nor `*` nor acs:ram::account:root, user/…, role/… or \
                 assumed-role/…/…",
                shown(text)
            )
        };
        if text.contains('$') {
            return Err(format!("the principal `{}` holds a `$`; principals have no variables", shown(text)));
        }
        let pattern = |t: &str| Pattern::parse(t, Stars::Wild);
        let rest =
            text.strip_prefix("acs:ram::").or_else(|| text.strip_prefix("acs:ram:*:")).ok_or_else(wrong)?;
        let (account, relative) =
            rest.split_once(':').filter(|(a, r)| !a.is_empty() && !r.is_empty()).ok_or_else(wrong)?;
        let account = pattern(account)?;
        let (kind, name) = relative.split_once('/').unwrap_or((relative, ""));
        match (kind, name) {
            ("root" | "*", "") if !relative.contains('/') => Ok(Self::Account(account)),
            ("user", name) if !name.is_empty() => Ok(Self::User { account, name: pattern(name)? }),
            ("role", name) if !name.is_empty() => Ok(Self::Role { account, name: pattern(name)?.lower() }),
            ("assumed-role", name) => {
                let (role, session) =
                    name.split_once('/').filter(|(r, s)| !r.is_empty() && !s.is_empty()).ok_or_else(wrong)?;
                Ok(Self::Session { account, role: pattern(role)?.lower(), session: pattern(session)? })
            }
            _ => Err(wrong()),
        }
    }

    /// An entry of `Service`.
    pub(crate) fn read_service(text: &str) -> Result<Self, String> {
        let ok = text.contains('.')
            && text
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        if ok {
            Ok(Self::Service(text.into()))
        } else {
            Err(format!("the service `{}` is not a name such as `ecs.aliyuncs.com`", shown(text)))
        }
    }

    /// An entry of `Federated`.
    pub(crate) fn read_federated(text: &str) -> Result<Self, String> {
        let provider = || {
            let (account, relative) = text.strip_prefix("acs:ram::")?.split_once(':')?;
            let name = relative
                .strip_prefix("oidc-provider/")
                .or_else(|| relative.strip_prefix("saml-provider/"))?;
            let literal = |t: &str| !t.is_empty() && !t.contains(['*', '?', '$', ':']);
            (literal(account) && literal(name)).then_some(())
        };
        match provider() {
            Some(()) => Ok(Self::Federated(text.into())),
            None => Err(format!(
                "the provider `{}` is not acs:ram::account:oidc-provider/name or …:saml-provider/name",
                shown(text)
            )),
        }
    }
}
