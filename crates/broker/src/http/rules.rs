//! What a request asks for, and whether the grant's rules allow it. No IO.
//!
//! INVARIANT: what no rule names is refused, as is a path that this reading of the Kubernetes API does not know.

use ::http::Method;

use super::path::Asked;
use crate::seat::{ClusterRule, ServiceRule};

/// What a request to a Kubernetes API server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Which versions and resources there are.
    Discovery,
    /// Something with objects.
    Objects {
        /// `get`, `list`, `create`, …
        verb: &'static str,
        /// `pods`, `pods/log`, `deployments.apps`.
        resource: String,
        /// Where they lie, unless in none.
        namespace: Option<String>,
        /// Which one.
        name: Option<String>,
    },
}

impl Wanted {
    /// Reads a request as the API server does.
    pub(super) fn read(method: &Method, asked: &Asked) -> Result<Self, String> {
        let path = asked.path.trim_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let (group, rest) = match parts.as_slice() {
            ["version" | "api" | "apis"]
            | ["api", _]
            | ["apis", _]
            | ["apis", _, _]
            | ["openapi", "v2" | "v3", ..]
                if reads =>
            {
                return Ok(Self::Discovery);
            }
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => {
                return Err(format!(
                    "`{}` is no path of the Kubernetes API that a session may ask for",
                    asked.path
                ));
            }
        };
        let (watched, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (resource, mut name, below) = match rest {
            [resource] => (*resource, None, None),
            [resource, name] => (*resource, Some((*name).to_owned()), None),
            [resource, name, below] => (*resource, Some((*name).to_owned()), Some(*below)),
            _ => return Err(format!("`{}` is below a subresource: a session cannot ask for it", asked.path)),
        };
        if matches!(below, Some("portforward" | "proxy")) || resource == "proxy" {
            return Err("ports and proxies lead past the recording: a session cannot ask for them".to_owned());
        }
        let watches = asked.exact("watch")?.is_some_and(|w| !matches!(w, "false" | "0"));
        let selected = asked.exact("fieldSelector")?.and_then(selected_name);
        let verb = match *method {
            Method::GET | Method::HEAD if watched || (name.is_none() && watches) => "watch",
            Method::GET | Method::HEAD if name.is_none() => "list",
            _ if watched => return Err("a watch is read".to_owned()),
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if name.is_none() => "deletecollection",
            Method::DELETE => "delete",
            _ => return Err(format!("the Kubernetes API has no method {method}")),
        };
        if matches!(verb, "list" | "watch") {
            name = name.or(selected);
        }
        let mut full = resource.to_owned();
        if !group.is_empty() {
            full += &format!(".{group}");
        }
        if let Some(below) = below {
            full += &format!("/{below}");
        }
        Ok(Self::Objects { verb, resource: full, namespace, name })
    }

    /// Whether it is a stream to a process in a container.
    pub(super) fn streams(&self) -> bool {
        matches!(self, Self::Objects { resource, .. } if matches!(resource.as_str(), "pods/exec" | "pods/attach"))
    }

    /// The same with the verb `create`.
    pub(super) fn created(&self) -> Self {
        match self.clone() {
            Self::Objects { resource, namespace, name, .. } => {
                Self::Objects { verb: "create", resource, namespace, name }
            }
            Self::Discovery => Self::Discovery,
        }
    }

    /// Whether a rule allows it. Discovery is allowed to everybody who may anything.
    pub(super) fn is_allowed(&self, rules: &[ClusterRule]) -> bool {
        let Self::Objects { verb, resource, namespace, name } = self else { return !rules.is_empty() };
        rules.iter().any(|rule| {
            let place = match namespace {
                None => rule.namespaces.is_empty(),
                Some(namespace) => names(&rule.namespaces, namespace),
            };
            let which = rule.names.is_empty() || name.as_ref().is_some_and(|name| names(&rule.names, name));
            place && which && names(&rule.verbs, verb) && names(&rule.resources, resource)
        })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Objects { verb, resource, namespace, name } = self else { return f.write_str("discovery") };
        write!(f, "{verb} {resource}")?;
        name.iter().try_for_each(|name| write!(f, " `{name}`"))?;
        namespace.iter().try_for_each(|namespace| write!(f, " in namespace `{namespace}`"))
    }
}

fn names(list: &[String], word: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == word)
}

/// The name that a field selector demands, as the API server takes it for the object's name.
fn selected_name(selector: &str) -> Option<String> {
    let mut terms = selector.split(',').filter_map(|term| term.strip_prefix("metadata.name="));
    let name = terms.next()?;
    terms.next().is_none().then(|| name.strip_prefix('=').unwrap_or(name).to_owned())
}

/// Whether a rule allows a request to a service; `op` is that of WebHDFS.
pub(super) fn service_allows(rules: &[ServiceRule], method: &Method, path: &str, op: Option<&str>) -> bool {
    rules.iter().any(|rule| {
        let below = match rule.path.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == rule.path,
        };
        let asks = op.is_none_or(|op| rule.ops.iter().any(|o| o.eq_ignore_ascii_case(op)));
        below && asks && rule.methods.iter().any(|m| m == method.as_str())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(method: &str, target: &str) -> Result<Wanted, String> {
        let asked = Asked::read(&target.parse().unwrap())?;
        Wanted::read(&method.parse().unwrap(), &asked)
    }

    #[test]
    fn a_request_is_read_as_the_api_server_reads_it() {
        for (method, target, says) in [
            ("GET", "/api/v1/namespaces/shop/pods", "list pods shop -"),
            ("GET", "/api/v1/namespaces/shop/pods?watch=true", "watch pods shop -"),
            ("GET", "/api/v1/namespaces/shop/pods?watch=0", "list pods shop -"),
            ("GET", "/api/v1/namespaces/shop/pods?watch=", "watch pods shop -"),
            ("GET", "/api/v1/watch/namespaces/shop/pods/web", "watch pods shop web"),
            ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dweb", "list pods - web"),
            ("GET", "/api/v1/pods?fieldSelector=metadata.name!%3Dweb", "list pods - -"),
            ("GET", "/api/v1/namespaces/shop/pods/web/log", "get pods/log shop web"),
            ("POST", "/api/v1/namespaces/shop/pods/web/exec", "create pods/exec shop web"),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/shop/deployments/web/scale",
                "patch deployments.apps/scale shop web",
            ),
            (
                "DELETE",
                "/apis/apps/v1/namespaces/shop/deployments",
                "deletecollection deployments.apps shop -",
            ),
            ("GET", "/api/v1/namespaces/shop", "get namespaces - shop"),
            ("PUT", "/api/v1/namespaces/shop/finalize", "update namespaces/finalize - shop"),
            ("GET", "/api/v1/namespaces", "list namespaces - -"),
            ("GET", "/api/v1/nodes/n1/", "get nodes - n1"),
        ] {
            let Ok(Wanted::Objects { verb, resource, namespace, name }) = read(method, target) else {
                panic!("{method} {target}")
            };
            let or_none = |text: Option<String>| text.unwrap_or("-".into());
            let got = format!("{verb} {resource} {} {}", or_none(namespace), or_none(name));
            assert_eq!(got, says, "{method} {target}");
        }
        for discovery in
            ["/version", "/api", "/apis/", "/api/v1", "/apis/apps/v1", "/openapi/v3/apis/apps/v1"]
        {
            assert_eq!(read("GET", discovery), Ok(Wanted::Discovery));
            assert!(read("POST", discovery).is_err(), "{discovery}");
        }
    }

    #[test]
    fn what_leads_past_the_rules_is_refused() {
        for (method, target) in [
            ("GET", "/metrics"),
            ("GET", "/logs/kube-apiserver.log"),
            ("GET", "/"),
            ("GET", "/api/v1/proxy/namespaces/shop/pods/web"),
            ("POST", "/api/v1/namespaces/shop/pods/web/portforward"),
            ("GET", "/api/v1/namespaces/shop/services/web/proxy"),
            ("GET", "/api/v1/namespaces/shop/services/web/proxy/admin"),
            ("GET", "/api/v1/nodes/n1/proxy/run"),
            ("DELETE", "/api/v1/watch/namespaces/shop/pods/web"),
            ("GET", "/api/v1/pods?watch=0&watch=1"),
            ("GET", "/api/v1/pods?fieldSelector=a&FieldSelector=b"),
            ("GET", "/api/v1/pods?FieldSelector=metadata.name=web"),
            ("CONNECT", "/api/v1/namespaces/shop/pods/web"),
        ] {
            assert!(read(method, target).is_err(), "{method} {target}");
        }
    }

    fn rule(verbs: &str, resources: &str, namespaces: &str, names: &str) -> ClusterRule {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (verbs, resources) = (words(verbs), words(resources));
        ClusterRule { verbs, resources, namespaces: words(namespaces), names: words(names) }
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let rules = [rule("get list", "pods pods/log", "shop", ""), rule("get", "secrets", "shop", "web")];
        for (target, allowed) in [
            ("/api/v1/namespaces/shop/pods", true),
            ("/api/v1/namespaces/shop/pods/web/log", true),
            ("/api/v1/namespaces/shop/pods?watch=1", false),
            ("/api/v1/namespaces/shop/pods/web/exec", false),
            ("/api/v1/namespaces/bank/pods", false),
            ("/api/v1/pods", false),
            ("/api/v1/namespaces/shop/secrets/web", true),
            ("/api/v1/namespaces/shop/secrets/db", false),
            ("/api/v1/namespaces/shop/secrets", false),
            ("/apis/evil/v1/namespaces/shop/pods", false),
            ("/version", true),
        ] {
            assert_eq!(read("GET", target).unwrap().is_allowed(&rules), allowed, "{target}");
        }
        assert!(!read("GET", "/version").unwrap().is_allowed(&[]));
        // Everywhere is not "in no namespace", and the other way round.
        let everywhere = [rule("*", "*", "*", "")];
        assert!(read("GET", "/api/v1/namespaces/shop/pods").unwrap().is_allowed(&everywhere));
        assert!(!read("GET", "/api/v1/nodes").unwrap().is_allowed(&everywhere));
    }

    #[test]
    fn a_service_is_asked_what_its_rules_name() {
        let rule = |methods: &str, path: &str, ops: &[&str]| ServiceRule {
            methods: methods.split(' ').map(str::to_owned).collect(),
            path: path.to_owned(),
            ops: ops.iter().map(|o| (*o).to_owned()).collect(),
        };
        let rules = [rule("GET", "/ws/v1/cluster/*", &[]), rule("GET PUT", "/webhdfs/v1/logs/*", &["OPEN"])];
        let allows = |method: &str, path, op| service_allows(&rules, &method.parse().unwrap(), path, op);
        assert!(allows("GET", "/ws/v1/cluster/apps", None));
        assert!(!allows("PUT", "/ws/v1/cluster/apps", None));
        assert!(!allows("GET", "/ws/v1/cluster", None));
        assert!(allows("GET", "/webhdfs/v1/logs/a", Some("open")));
        assert!(!allows("GET", "/webhdfs/v1/logs/a", Some("")));
        assert!(!allows("GET", "/ws/v1/cluster/apps", Some("OPEN")));
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_namespace_that_a_rule_names(
            method in prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]),
            parts in prop::collection::vec(
                prop::sample::select(vec!["api", "apis", "v1", "apps", "namespaces", "shop", "bank", "watch", "pods",
                    "log", "proxy", "secrets", "..", "", "%2e%2e", "shop%2fpods"]), 0..9),
            query in prop::sample::select(vec!["", "?watch=1", "?fieldSelector=metadata.name=shop"]),
        ) {
            let target = format!("/{}{query}", parts.join("/"));
            if let Ok(wanted) = target.parse().map_err(|_| String::new()).and_then(|uri| {
                Wanted::read(&method.parse().unwrap(), &Asked::read(&uri)?)
            }) && wanted != Wanted::Discovery && wanted.is_allowed(&[rule("*", "pods", "shop", "")]) {
                let at = parts.iter().position(|p| *p == "namespaces").unwrap();
                prop_assert_eq!((parts[at + 1], parts[at + 2]), ("shop", "pods"));
            }
        }
    }
}
