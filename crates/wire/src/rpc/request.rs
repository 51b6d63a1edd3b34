//! Reading a request: parameters out of query and form, action and version out of headers or parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::request::Parts;

use super::error::RpcError;
use super::table::{Operation, operation, product};
use crate::object::encode::percent_decode;

/// Parameters of one request, at most.
pub const PARAMETERS_MAX: usize = 1_000;

const FORM: &str = "application/x-www-form-urlencoded";

/// A request, decoded and not yet believed.
pub struct RpcRequest<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) query: BTreeMap<String, String>,
    pub(super) form: BTreeMap<String, String>,
    operation: &'static Operation,
}

/// Whether a request on the shared listener speaks RPC (contract §1): on `/`, and it names an action, a version or a
/// signature, or posts a form.
pub fn looks_like_rpc(parts: &Parts) -> bool {
    if parts.uri.path() != "/" {
        return false;
    }
    let headers =
        ["x-acs-action", "x-acs-version", "x-acs-date"].iter().any(|h| parts.headers.contains_key(*h));
    let acs =
        parts.headers.get(http::header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"ACS"));
    let named = parts.uri.query().unwrap_or_default().split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        matches!(name, "Action" | "Version" | "Signature" | "AccessKeyId" | "SignatureNonce")
    });
    headers || acs || named || parts.method == http::Method::POST
}

impl<'a> RpcRequest<'a> {
    /// Reads a request and finds its operation.
    ///
    /// # Errors
    /// When it cannot be decoded, names no operation, or names one that does not exist.
    pub fn read(parts: &'a Parts, body: &'a [u8]) -> Result<Self, RpcError> {
        if parts.method != http::Method::POST && parts.method != http::Method::GET {
            return Err(RpcError::new(405, "UnsupportedHTTPMethod", "Only GET and POST are served."));
        }
        let query = pairs(parts.uri.query().unwrap_or_default())?;
        let form = if is_form(parts) && !body.is_empty() {
            let text = std::str::from_utf8(body)
                .map_err(|_| RpcError::new(400, "InvalidParameter", "The form in the body is not UTF-8."))?;
            pairs(text)?
        } else {
            BTreeMap::new()
        };
        if let Some(name) = form.keys().find(|name| query.contains_key(*name)) {
            return Err(twice(name));
        }
        let named = |header: &str, name: &'static str| -> Result<Option<Cow<'_, str>>, RpcError> {
            let in_header = match parts.headers.get(header) {
                None => None,
                Some(v) => Some(v.to_str().map_err(|_| RpcError::invalid(name, "The header is not text."))?),
            };
            let in_params = query.get(name).or_else(|| form.get(name)).map(String::as_str);
            match (in_header, in_params) {
                (Some(a), Some(b)) if a != b => Err(RpcError::new(
                    400,
                    format!("InvalidParameter.{name}"),
                    format!("The header {header} and the parameter {name} name different values."),
                )),
                (a, b) => Ok(a.or(b).map(|t| Cow::Owned(t.to_owned()))),
            }
        };
        let action = named("x-acs-action", "Action")?.ok_or_else(|| RpcError::missing("Action"))?;
        let version = named("x-acs-version", "Version")?.ok_or_else(|| RpcError::missing("Version"))?;
        if product(&version).is_none() {
            return Err(RpcError::new(404, "InvalidVersion", "Specified parameter Version is not valid."));
        }
        let operation = operation(&version, &action).ok_or_else(|| {
            RpcError::new(
                404,
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
            )
        })?;
        let format = query.get("Format").or_else(|| form.get("Format"));
        if format.is_some_and(|f| !f.eq_ignore_ascii_case("json")) {
            return Err(RpcError::invalid(
                "Format",
                "This server answers JSON; leave Format out or say JSON.",
            ));
        }
        Ok(Self { parts, body, query, form, operation })
    }

    /// The operation.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// An argument by its wire name, from query or form.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.query.get(name).or_else(|| self.form.get(name)).map(String::as_str)
    }

    /// An argument that must be there and not be empty.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, RpcError> {
        self.argument(name).filter(|v| !v.is_empty()).ok_or_else(|| RpcError::missing(name))
    }

    pub(super) fn header(&self, name: &str) -> Result<Option<&'a str>, RpcError> {
        header(self.parts, name)
    }
}

pub(super) fn header<'a>(parts: &'a Parts, name: &str) -> Result<Option<&'a str>, RpcError> {
    let mut all = parts.headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(v), None) => v
            .to_str()
            .map(|t| Some(t.trim()))
            .map_err(|_| RpcError::new(400, "InvalidHeader", format!("The header {name} is not text."))),
        (Some(_), Some(_)) => {
            Err(RpcError::new(400, "InvalidHeader", format!("The header {name} is given twice.")))
        }
    }
}

fn is_form(parts: &Parts) -> bool {
    parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|t| t.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM))
}

pub(super) fn pairs(text: &str) -> Result<BTreeMap<String, String>, RpcError> {
    let mut out = BTreeMap::new();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |t| {
            percent_decode(t, true).map(Cow::into_owned).ok_or_else(|| {
                RpcError::new(400, "InvalidParameter", "A parameter is not percent-encoded UTF-8.")
            })
        };
        let name = decode(name)?;
        if out.len() >= PARAMETERS_MAX {
            return Err(RpcError::new(
                400,
                "InvalidParameter",
                format!("More than {PARAMETERS_MAX} parameters."),
            ));
        }
        let value = decode(value)?;
        // No text of a database holds it.
        if value.contains('\0') {
            let name = shown(&name);
            return Err(RpcError::new(
                400,
                "InvalidParameter",
                format!("The parameter {name} holds a NUL character."),
            ));
        }
        // Two readers that pick different ones of two values would see two requests.
        if out.insert(name.clone(), value).is_some() {
            return Err(twice(&name));
        }
    }
    Ok(out)
}

fn twice(name: &str) -> RpcError {
    RpcError::new(400, "InvalidParameter", format!("The parameter {} is given twice.", shown(name)))
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_with_a_nul_is_refused() {
        assert_eq!(pairs("Marker=a%0A").unwrap()["Marker"], "a\n");
        assert!(pairs("Action=CreateKey&Description=a%00b").is_err());
    }
}
