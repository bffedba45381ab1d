//! Which service a request is for.

use super::OptionsError;

/// The protocol that a service's instances speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/2 for gRPC, HTTP/1.1 for everything else.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, known beforehand (RFC 9113, 3.3).
    Http2,
}

/// Sends requests for a host and below a path to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The host, without port, in lower case; any where `None`.
    pub host: Option<String>,
    /// Path that the request's begins with, whole segments; `/` is every path.
    pub prefix: String,
    /// Name of the service.
    pub service: String,
    /// Whether the instance sees the path without the prefix.
    pub strip_prefix: bool,
    /// What its instances speak.
    pub protocol: Protocol,
    /// Whether the client's `Authorization` goes on to the service, where it is not the gateway's own.
    pub keep_authorization: bool,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: String,
    /// The path and query that the instance sees.
    pub(super) path_and_query: String,
    /// What of the path it does not see.
    pub(super) prefix: Option<String>,
    pub(super) protocol: Protocol,
    pub(super) keep_authorization: bool,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTarget {
    /// No rule is for it.
    Unknown,
    /// It steps upwards, and an instance might take it for one that another rule is for.
    Climbs,
}

/// The rules, the most particular first.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn new(mut rules: Vec<Rule>) -> Result<Self, OptionsError> {
        for rule in &mut rules {
            if !rule.prefix.starts_with('/') || climbs(&rule.prefix) || !is_name(&rule.service) {
                return Err(OptionsError::Rule(rule.prefix.clone()));
            }
            while rule.prefix.ends_with('/') {
                rule.prefix.pop();
            }
            if let Some(host) = &mut rule.host {
                host.make_ascii_lowercase();
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse((rule.host.is_some(), rule.prefix.len())));
        let same = |pair: &[Rule]| pair[0].host == pair[1].host && pair[0].prefix == pair[1].prefix;
        let mut by_place: Vec<Rule> = rules.clone();
        by_place.sort_by(|a, b| (&a.host, &a.prefix).cmp(&(&b.host, &b.prefix)));
        if let Some(pair) = by_place.windows(2).find(|pair| same(pair)) {
            return Err(OptionsError::Rule(pair[0].prefix.clone()));
        }
        Ok(Self(rules))
    }

    /// `/svc/<name>/…`, or what the first rule that fits says.
    pub(super) fn find(
        &self,
        host: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Result<Target, NoTarget> {
        if climbs(path) {
            return Err(NoTarget::Climbs);
        }
        if let Some(rest) = path.strip_prefix("/svc/") {
            let name = rest.split('/').next().unwrap_or_default();
            if !is_name(name) {
                return Err(NoTarget::Unknown);
            }
            return Ok(Target {
                service: name.to_owned(),
                path_and_query: joined(&rest[name.len()..], query),
                prefix: Some(format!("/svc/{name}")),
                protocol: Protocol::Auto,
                keep_authorization: false,
            });
        }
        let host = host.map(without_port).map(str::to_ascii_lowercase);
        let rule = self
            .0
            .iter()
            .find(|rule| {
                let below = path
                    .strip_prefix(rule.prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                below && (rule.host.is_none() || rule.host == host)
            })
            .ok_or(NoTarget::Unknown)?;
        let stripped = rule.strip_prefix && !rule.prefix.is_empty();
        let seen = if stripped {
            &path[rule.prefix.len()..]
        } else {
            path
        };
        Ok(Target {
            service: rule.service.clone(),
            path_and_query: joined(seen, query),
            prefix: stripped.then(|| rule.prefix.clone()),
            protocol: rule.protocol,
            keep_authorization: rule.keep_authorization,
        })
    }
}

fn joined(path: &str, query: Option<&str>) -> String {
    let path = if path.is_empty() { "/" } else { path };
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a service can be called so.
fn is_name(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(sound)
}

/// Whether a path holds `.` or `..` as a segment, in whatever spelling an instance might read so.
fn climbs(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let plain = lower
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace('\\', "/");
    plain.split('/').any(|segment| {
        // A path parameter (`..;x`) is cut off by some servers before they look.
        let segment = segment.split(';').next().unwrap_or_default();
        segment == "." || segment == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(host: Option<&str>, prefix: &str, service: &str, strip_prefix: bool) -> Rule {
        Rule {
            host: host.map(str::to_owned),
            prefix: prefix.to_owned(),
            service: service.to_owned(),
            strip_prefix,
            protocol: Protocol::Auto,
            keep_authorization: false,
        }
    }

    #[test]
    fn the_most_particular_rule_decides() {
        let rules = Rules::new(vec![
            rule(None, "/", "all", false),
            rule(None, "/api", "api", true),
            rule(None, "/api/v2/", "second", true),
            rule(Some("Films.example"), "/", "films", false),
        ])
        .unwrap();
        let find = |host: &str, path: &str, query| {
            let found = rules.find(Some(host), path, query).unwrap();
            (found.service, found.path_and_query)
        };
        let of = |service: &str, path: &str| (service.to_owned(), path.to_owned());
        assert_eq!(
            find("x", "/api/a%2Fb", Some("q=1")),
            of("api", "/a%2Fb?q=1")
        );
        assert_eq!(find("x", "/api", None), of("api", "/"));
        assert_eq!(find("x", "/apis", None), of("all", "/apis"));
        assert_eq!(find("x", "/api/v2/c", None), of("second", "/c"));
        assert_eq!(
            find("films.EXAMPLE:8702", "/api/x", None),
            of("films", "/api/x")
        );
        assert_eq!(find("x", "/svc/lab/x/", Some("")), of("lab", "/x/?"));
        assert_eq!(find("x", "/svc/lab", None), of("lab", "/"));
        assert_eq!(
            rules.find(None, "/svc/a%20b/x", None),
            Err(NoTarget::Unknown)
        );
        assert_eq!(
            Rules::default().find(None, "/x", None),
            Err(NoTarget::Unknown)
        );
    }

    #[test]
    fn a_path_that_steps_upwards_leads_nowhere() {
        for path in [
            "/svc/a/../b",
            "/svc/a/%2e%2E/b",
            "/svc/a/.%2e/b",
            "/svc/a/..",
            "/svc/a/./b",
            "/svc/a/..%2fb",
            "/svc/a/..%5Cb",
            "/svc/a/..;x/b",
        ] {
            assert_eq!(
                Rules::default().find(None, path, None),
                Err(NoTarget::Climbs),
                "{path}"
            );
        }
        assert!(
            Rules::default()
                .find(None, "/svc/a/..b/c.d/...", None)
                .is_ok()
        );
    }

    #[test]
    fn two_rules_for_one_place_are_a_fault() {
        let twice = vec![rule(None, "/a", "x", true), rule(None, "/a/", "y", true)];
        assert!(Rules::new(twice).is_err());
        assert!(Rules::new(vec![rule(None, "a", "x", true)]).is_err());
    }
}
