//! What a request's and an answer's head lose and gain on the way.

use std::{fmt::Write as _, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use protocol::Principal;

use crate::{
    limits::service::MAX_REQUEST_ID_BYTES,
    random::Random,
    traces::{Context, TRACEPARENT, TRACESTATE},
};

/// Fields that are for the next hop alone (RFC 9110, 7.6.1), beside those that `Connection` names;
/// credentials for a proxy are meant for this one (11.7).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const CONSUL_TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who asks, as a service is told; a client cannot say it.
const SUBJECT: HeaderName = HeaderName::from_static("x-neurascale-subject");
const SITE: HeaderName = HeaderName::from_static("x-neurascale-site");
const ROLES: HeaderName = HeaderName::from_static("x-neurascale-roles");
const CONSUMER: HeaderName = HeaderName::from_static("x-neurascale-consumer");

/// This gateway in `Via`.
const PSEUDONYM: &str = "neurascale-gateway";

/// Removes what is for this hop alone.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Few connections name a field besides those that are removed anyway.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .filter(|name| !HOP_BY_HOP.contains(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Removes what a service says of other origins: which of them may read answers is the gateway's to say.
pub(super) fn strip_origins(headers: &mut HeaderMap) {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        headers.remove(name);
    }
}

/// HTTP/2 may split `Cookie` into pieces; what goes on is one field again (RFC 9113, 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let pieces: Vec<_> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}

/// Whether a list field holds a word.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// The protocol that a request asks to change to.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    if !lists(headers, &header::CONNECTION, "upgrade") {
        return None;
    }
    let to = headers.get(header::UPGRADE)?;
    // What is spoken inside would escape every rule here.
    let is_http = to.to_str().ok().is_none_or(|to| {
        to.to_ascii_lowercase().starts_with("h2c") || to.to_ascii_lowercase().starts_with("http")
    });
    (!is_http).then(|| to.clone())
}

/// How often a request came through a gateway like this.
pub(super) fn passages(headers: &HeaderMap) -> usize {
    headers
        .get_all(header::VIA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(|value| value.matches(PSEUDONYM).count())
        .sum()
}

/// What is said of where a request came from.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) peer: Option<IpAddr>,
    pub(super) host: Option<HeaderValue>,
    pub(super) scheme: &'static str,
    pub(super) prefix: Option<&'a str>,
    pub(super) principal: Option<&'a Principal>,
    pub(super) keep_authorization: bool,
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Says where a request came from and who asks. What the client said of that is dropped: this is the edge,
/// and no proxy before it is believed.
pub(super) fn describe(headers: &mut HeaderMap, origin: &Origin<'_>) {
    for name in [
        FORWARDED_FOR,
        FORWARDED_HOST,
        FORWARDED_PROTO,
        FORWARDED_PREFIX,
        FORWARDED_PORT,
        REAL_IP,
        header::FORWARDED,
        SUBJECT,
        SITE,
        ROLES,
        CONSUMER,
        CONSUL_TOKEN,
        // Answered by this hop already.
        header::EXPECT,
    ] {
        headers.remove(name);
    }
    if !origin.keep_authorization {
        // The token is good at the gateway: a service that got it could act as who asks.
        headers.remove(header::AUTHORIZATION);
    }
    let mut forwarded = String::with_capacity(96);
    if let Some(peer) = origin.peer {
        let peer_text = peer.to_string();
        // RFC 7239, section 6: addresses of IPv6 are bracketed and quoted.
        let _ = match peer {
            IpAddr::V4(_) => write!(forwarded, "for={peer_text};"),
            IpAddr::V6(_) => write!(forwarded, "for=\"[{peer_text}]\";"),
        };
        insert(headers, FORWARDED_FOR, &peer_text);
    }
    if let Some(host) = &origin.host {
        if let Ok(host) = host.to_str()
            && !host.contains(['"', '\\'])
        {
            let _ = write!(forwarded, "host=\"{host}\";");
        }
        headers.insert(FORWARDED_HOST, host.clone());
    }
    let _ = write!(forwarded, "proto={}", origin.scheme);
    insert(headers, header::FORWARDED, &forwarded);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(origin.scheme));
    if let Some(prefix) = origin.prefix {
        insert(headers, FORWARDED_PREFIX, prefix);
    }
    if let Some(who) = origin.principal {
        insert(headers, SUBJECT, &who.subject);
        insert(headers, SITE, &who.site);
        insert(headers, CONSUMER, &who.consumer);
        let roles: Vec<_> = who.roles.iter().map(|role| role.as_str()).collect();
        insert(headers, ROLES, &roles.join(","));
    }
    // RFC 9110, 7.6.3.
    headers.append(
        header::VIA,
        HeaderValue::from_static("1.1 neurascale-gateway"),
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The request's id: the one that it has, or a new one.
pub(super) fn request_id(headers: &mut HeaderMap, random: &Random) -> HeaderValue {
    let sound = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let harmless = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        !bytes.is_empty() && bytes.len() <= MAX_REQUEST_ID_BYTES && bytes.iter().all(harmless)
    };
    let id = headers.get(REQUEST_ID).filter(sound).cloned();
    let id = id.unwrap_or_else(|| {
        HeaderValue::from_str(&hex(&random.bytes::<16>())).unwrap_or(HeaderValue::from_static("0"))
    });
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Keeps a trace's context, or begins one where there is none that holds (W3C Trace Context, 3.2 and 4.3): for a
/// proxy that stands alone. Behind the gateway's own routes a request has a span already.
pub(super) fn carry_trace(headers: &mut HeaderMap, random: &Random) {
    if Context::of(headers).is_some() {
        return;
    }
    headers.remove(TRACESTATE);
    let (trace, parent) = (random.bytes::<16>(), random.bytes::<8>());
    insert(
        headers,
        TRACEPARENT,
        &format!("00-{}-{}-00", hex(&trace), hex(&parent)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("keep-alive", "timeout=5"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x-three"]
        );
    }

    #[test]
    fn http_within_http_is_no_upgrade() {
        let of = |to: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::CONNECTION,
                HeaderValue::from_static("keep-alive, Upgrade"),
            );
            headers.insert(header::UPGRADE, HeaderValue::from_static(to));
            upgrade(&headers).is_some()
        };
        assert!(of("websocket"));
        assert!(!of("h2c") && !of("H2C") && !of("HTTP/2.0"));
    }
}
