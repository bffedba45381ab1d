//! Which action a request is.

use std::collections::BTreeMap;

use matchit::Router;

/// A method, a path as axum writes it (`/v1/kv/{*key}`), and the action that its use is.
pub type Route = (&'static str, &'static str, &'static str);

/// A route that cannot be told from another.
#[derive(Debug, thiserror::Error)]
#[error("the route {path}: {reason}")]
pub struct RoutesError {
    path: &'static str,
    reason: String,
}

/// What a request matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// The path as its route writes it: what requests are counted by.
    pub path: &'static str,
    /// The action; `None` where the path exists, and the method does not.
    pub action: Option<&'static str>,
}

/// Every route of the gateway and its action.
#[derive(Debug)]
pub struct Routes {
    router: Router<usize>,
    paths: Vec<(&'static str, BTreeMap<&'static str, &'static str>)>,
}

impl Routes {
    /// Over the routes of every part.
    pub fn new(parts: &[&[Route]]) -> Result<Self, RoutesError> {
        let mut by_path: BTreeMap<&'static str, BTreeMap<_, _>> = BTreeMap::new();
        for &(method, path, action) in parts.iter().copied().flatten() {
            by_path.entry(path).or_default().insert(method, action);
        }
        let paths: Vec<_> = by_path.into_iter().collect();
        let mut router = Router::new();
        for (at, (path, _)) in paths.iter().enumerate() {
            router.insert(*path, at).map_err(|error| RoutesError {
                path,
                reason: error.to_string(),
            })?;
        }
        Ok(Self { router, paths })
    }

    /// What a request is; `None` where there is no such path.
    pub fn find(&self, method: &str, path: &str) -> Option<Matched> {
        let at = *self.router.at(path).ok()?.value;
        let (path, methods) = &self.paths[at];
        // HEAD is a GET whose answer has no body (RFC 9110, 9.3.2); `ANY` is what a proxied path takes.
        let known = |method| methods.get(method).copied();
        let action = known(method)
            .or_else(|| known("GET").filter(|_| method == "HEAD"))
            .or_else(|| known("ANY"));
        Some(Matched { path, action })
    }

    /// What a path that was matched takes, as the `Allow` header says it (RFC 9110, 10.2.1).
    pub fn allowed(&self, matched: &Matched) -> String {
        let found = self.paths.iter().find(|(path, _)| *path == matched.path);
        let mut methods: Vec<_> = found
            .into_iter()
            .flat_map(|(_, methods)| methods.keys().copied())
            .collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    /// Every route, by path and method.
    pub fn all(&self) -> impl Iterator<Item = Route> {
        self.paths.iter().flat_map(|(path, methods)| {
            methods
                .iter()
                .map(|(method, action)| (*method, *path, *action))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_action_of_its_route() {
        let routes = Routes::new(&[
            &[
                ("GET", "/v1/kv/{*key}", "kv.read"),
                ("PUT", "/v1/kv/{*key}", "kv.write"),
            ],
            &[("ANY", "/svc/{service}/{*path}", "service.call")],
        ])
        .unwrap();
        let action = |method, path| routes.find(method, path).map(|matched| matched.action);
        assert_eq!(action("GET", "/v1/kv/a/b"), Some(Some("kv.read")));
        assert_eq!(action("HEAD", "/v1/kv/a/b"), Some(Some("kv.read")));
        assert_eq!(action("PUT", "/v1/kv/a/b"), Some(Some("kv.write")));
        assert_eq!(action("DELETE", "/v1/kv/a/b"), Some(None));
        assert_eq!(action("PATCH", "/svc/x/y"), Some(Some("service.call")));
        assert_eq!(action("GET", "/v2"), None);
        let kv = routes.find("DELETE", "/v1/kv/a").unwrap();
        assert_eq!(routes.allowed(&kv), "GET, PUT, HEAD");
        assert_eq!(
            routes.find("GET", "/v1/kv/a").unwrap().path,
            "/v1/kv/{*key}"
        );
    }

    #[test]
    fn two_routes_for_one_path_are_a_fault() {
        assert!(Routes::new(&[&[("GET", "/a/{x}", "x")], &[("GET", "/a/{y}", "y")]]).is_err());
    }
}
