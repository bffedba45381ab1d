//! The limit on requests as middleware: who is asking, and what the answer says of the limit.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use protocol::Principal;

use super::rate::{Decision, HOUR_S, MINUTE_S, RateLimiter, RateOptions};
use crate::Failure;

// draft-ietf-httpapi-ratelimit-headers-10.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// State of [`rate_limit`].
#[derive(Debug)]
pub struct RateLimit {
    limiter: RateLimiter,
    began: Instant,
    policy: RwLock<HeaderValue>,
}

fn policy_of(options: RateOptions) -> HeaderValue {
    let policy = format!(
        "\"minute\";q={};w={MINUTE_S}, \"hour\";q={};w={HOUR_S}",
        options.per_minute, options.per_hour
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(""))
}

impl RateLimit {
    /// Begins to count.
    pub fn new(options: RateOptions) -> Arc<Self> {
        Arc::new(Self {
            limiter: RateLimiter::new(options),
            began: Instant::now(),
            policy: RwLock::new(policy_of(options)),
        })
    }

    /// Takes over another limit; what was counted stays counted.
    pub fn set_options(&self, options: RateOptions) {
        self.limiter.set_options(options);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy_of(options);
    }

    fn decide(&self, request: &Request) -> Option<Decision> {
        let now = self.began.elapsed();
        if let Some(who) = request.extensions().get::<Principal>() {
            return Some(self.limiter.of_consumer(&who.consumer, now));
        }
        Some(self.limiter.of_peer(peer_of(request.extensions())?, now))
    }

    fn describe(&self, decision: &Decision, headers: &mut HeaderMap) {
        let tighter = decision.tighter();
        let mut standing = String::with_capacity(48);
        let _ = write!(
            standing,
            "\"minute\";r={};t={}, \"hour\";r={};t={}",
            decision.minute.remaining,
            seconds(decision.minute.eases_in),
            decision.hour.remaining,
            seconds(decision.hour.eases_in),
        );
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        headers.insert(POLICY, policy.clone());
        drop(policy);
        if let Ok(standing) = HeaderValue::from_str(&standing) {
            headers.insert(STANDING, standing);
        }
        headers.insert(LIMIT, tighter.limit.into());
        headers.insert(REMAINING, tighter.remaining.into());
        headers.insert(RESET, seconds(tighter.eases_in).into());
    }
}

/// Whole seconds, never fewer than there are.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The address that a request came from, as axum's `ConnectInfo` says it.
pub(super) fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    let info = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip().to_canonical())
}

/// Middleware that refuses with `429` who has used up their requests, and tells everybody where they stand.
///
/// A request is its [`Principal`]'s, or its peer's (axum's `ConnectInfo<SocketAddr>`). One with neither
/// cannot be counted and is refused, so that a forgotten extension does not take the limit away.
pub async fn rate_limit(
    State(limit): State<Arc<RateLimit>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(decision) = limit.decide(&request) else {
        tracing::error!("a request without principal and peer cannot be counted");
        let detail = "the request cannot be counted";
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "rate.unknown", detail)
            .into_response();
    };
    let mut response = if decision.allowed {
        next.run(request).await
    } else {
        let wait = seconds(decision.retry_in());
        let detail = format!("the limit of requests is reached; try again in {wait} s");
        let mut response =
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "rate.exceeded", detail).into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, wait.into());
        response
    };
    limit.describe(&decision, response.headers_mut());
    response
}
