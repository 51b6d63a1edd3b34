//! Resources: `acs:service:region:account:relative`, matched part by part so that a star never swallows a part (rule P2);
//! an empty region or account means any; `*` alone is everything.
//!
//! INVARIANT: what is one thing for its room is one resource here. RAM roles are found by their names in any case, so a
//! pattern fits a role in any case; else `role/ADMIN` would walk past a Deny of `role/admin`.

use bailee_types::Arn;

use crate::context::Eval;
use crate::error::shown;
use crate::pattern::{Pattern, Stars, enclosed};

#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) list: Vec<ResourcePattern>,
}

/// The four parts behind `acs:`; no region or account means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourcePattern {
    pub(crate) service: Pattern,
    pub(crate) region: Option<Pattern>,
    pub(crate) account: Option<Pattern>,
    pub(crate) relative: Pattern,
    /// The same in lower case, for roles.
    folded: Pattern,
    /// As it was written.
    pub(crate) text: Box<str>,
}

impl Resources {
    pub(crate) fn covers(&self, eval: &Eval<'_, '_>) -> bool {
        self.list.iter().any(|r| r.matches(eval)) != self.negated
    }
}

impl ResourcePattern {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let pattern = |t: &str| Pattern::parse(t, Stars::Wild);
        if text == "*" {
            let any = pattern("*")?;
            return Ok(Self {
                service: any.clone(),
                region: None,
                account: None,
                folded: any.clone(),
                relative: any,
                text: text.into(),
            });
        }
        let Some([service, region, account, relative]) = parts(text) else {
            return Err(format!(
                "the resource `{}` has not the five parts acs:service:region:account:resource",
                shown(text)
            ));
        };
        if service.is_empty() || relative.is_empty() {
            return Err(format!("the resource `{}` has an empty service or resource part", shown(text)));
        }
        let optional = |t: &str| if t.is_empty() { Ok(None) } else { pattern(t).map(Some) };
        let resource = Self {
            service: pattern(service)?,
            region: optional(region)?.filter(|p| !p.is_any()),
            account: optional(account)?.filter(|p| !p.is_any()),
            relative: pattern(relative)?,
            folded: pattern(relative)?.lower(),
            text: text.into(),
        };
        if resource.service.vars().is_empty() {
            Ok(resource)
        } else {
            Err(format!("the resource `{}` has a variable where its service belongs", shown(text)))
        }
    }

    pub(crate) fn matches(&self, eval: &Eval<'_, '_>) -> bool {
        let arn = eval.request.resource;
        let part = |p: &Pattern, text: &str| {
            if p.vars().is_empty() {
                p.matches(text)
            } else {
                eval.inserted(p).is_some_and(|values| p.matches_with(text, &values))
            }
        };
        let any = |p: &Option<Pattern>, text: &str| p.as_ref().is_none_or(|p| part(p, text));
        self.service.matches(arn.service())
            && any(&self.account, arn.account())
            && any(&self.region, arn.region())
            && if is_role(arn) { self.fits_role(eval) } else { part(&self.relative, arn.relative()) }
    }

    fn fits_role(&self, eval: &Eval<'_, '_>) -> bool {
        let (pattern, text) = (&self.folded, eval.request.resource.relative());
        if pattern.vars().is_empty() {
            pattern.matches_lower(text)
        } else {
            eval.inserted(pattern).is_some_and(|values| pattern.matches_lower_with(text, &values))
        }
    }

    /// Whether the resource matches for some values of the variables.
    pub(crate) fn may_match(&self, arn: &Arn) -> bool {
        let any = |p: &Option<Pattern>, text: &str| p.as_ref().is_none_or(|p| p.widened().matches(text));
        self.service.matches(arn.service())
            && any(&self.account, arn.account())
            && any(&self.region, arn.region())
            && if is_role(arn) {
                self.folded.widened().matches_lower(arn.relative())
            } else {
                self.relative.widened().matches(arn.relative())
            }
    }

    /// Whether every resource of `other` is one of this pattern. No is also the answer when that is not easily seen.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let any = |outer: &Option<Pattern>, inner: &Option<Pattern>| match (outer, inner) {
            (None, _) => true,
            (Some(outer), Some(inner)) => outer.covers(inner),
            (Some(_), None) => false,
        };
        self.service.covers(&other.service)
            && any(&self.region, &other.region)
            && any(&self.account, &other.account)
            && self.relative.covers(&other.relative)
    }

    pub(crate) fn has_vars(&self) -> bool {
        [self.account.as_ref(), self.region.as_ref(), Some(&self.relative)]
            .into_iter()
            .flatten()
            .any(|p| !p.vars().is_empty())
    }

    /// Whether everything is a resource of this pattern.
    pub(crate) fn is_any(&self) -> bool {
        self.service.is_any() && self.region.is_none() && self.account.is_none() && self.relative.is_any()
    }
}

/// Whether a resource is a RAM role, whose name is the same in any case.
pub(crate) fn is_role(arn: &Arn) -> bool {
    arn.service() == "ram" && arn.relative().get(..ROLE.len()).is_some_and(|r| r.eq_ignore_ascii_case(ROLE))
}

/// What a role's resource begins with.
pub(crate) const ROLE: &str = "role/";

/// What stands between the first four colons that are not in a `${…}`, without the `acs`.
fn parts(text: &str) -> Option<[&str; 4]> {
    let mut rest = text.strip_prefix("acs:")?;
    let mut out = [""; 4];
    for part in out.iter_mut().take(3) {
        let at = colon(rest)?;
        *part = rest.get(..at)?;
        rest = rest.get(at + 1..)?;
    }
    let [.., last] = &mut out;
    *last = rest;
    Some(out)
}

fn colon(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        if let Some(inner) = rest.strip_prefix("${") {
            at += 2 + enclosed(inner)?.0.len() + 1;
        } else if rest.starts_with(':') {
            return Some(at);
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}
