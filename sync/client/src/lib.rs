//! The resilient client of the gateway and its services.
//!
//! A request has one deadline over all attempts. What may be repeated is repeated: GET, and POST with
//! an idempotency key, after exponential backoff with full jitter, within a budget. A target that
//! fails repeatedly is left alone for a while.

mod breaker;
mod limits;
mod tokens;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use breaker::BreakerState;
use breaker::{Breakers, Budget};
use protocol::Problem;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode, Url, header};
use serde::{Serialize, de::DeserializeOwned};
pub use tokens::ServiceTokens;

/// When to repeat and when to give up.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Attempts at one request, the first included.
    pub attempts: u32,
    /// All attempts and the waiting between them.
    pub deadline: Duration,
    /// One attempt.
    pub attempt: Duration,
    /// The longest wait before the first retry.
    pub backoff: Duration,
    /// Failures in a row that open a target's breaker.
    pub failures: u32,
    /// How long the breaker stays open.
    pub open: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: limits::ATTEMPTS,
            deadline: limits::DEADLINE,
            attempt: limits::ATTEMPT,
            backoff: limits::BACKOFF,
            failures: limits::FAILURES,
            open: limits::OPEN,
        }
    }
}

/// What a request carries besides its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// The caller's trace (W3C Trace Context, `traceparent`).
    pub traceparent: Option<&'a str>,
    /// The same in every attempt. A POST is repeated only with one.
    pub idempotency_key: Option<&'a str>,
    /// A bearer token (RFC 6750).
    pub token: Option<&'a str>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target failed repeatedly and is left alone for now.
    #[error("{0} is not being asked: it failed repeatedly")]
    Open(String),
    /// Time ran out.
    #[error("no answer before the deadline")]
    Deadline,
    /// No connection, or one that broke.
    #[error("the request failed")]
    Transport(#[from] reqwest::Error),
    /// The target refused or failed.
    #[error(transparent)]
    Refused(Problem),
    /// The answer is larger than the client takes.
    #[error("the answer is larger than {} bytes", limits::ANSWER)]
    TooLarge,
    /// Not the JSON that was expected.
    #[error("not the expected JSON")]
    Json(#[from] serde_json::Error),
    /// An address without a host.
    #[error("the address has no host")]
    Address,
}

/// Clones share connections, breakers and the budget.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: Policy,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    breakers: Breakers,
    budget: Budget,
    rng: StdRng,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// One attempt that brought no answer, and whether another may.
struct Failed {
    error: Error,
    again: bool,
    /// The target says when (`Retry-After` in seconds, RFC 9110, section 10.2.3).
    after: Option<Duration>,
}

impl Client {
    /// With trust, identity and connections as the builder has them. Redirects are not followed: they
    /// would carry a token to where nobody sent it. The seed is that of the jitter.
    pub fn new(http: reqwest::ClientBuilder, policy: Policy, seed: u64) -> Result<Self, Error> {
        Ok(Self {
            http: http.redirect(reqwest::redirect::Policy::none()).build()?,
            policy,
            shared: Arc::new(Mutex::new(Shared {
                breakers: Breakers::new(policy.failures, policy.open),
                budget: Budget::new(),
                rng: StdRng::seed_from_u64(seed),
            })),
        })
    }

    /// The targets and whether they are being asked.
    pub fn breakers(&self) -> BTreeMap<String, BreakerState> {
        self.shared().breakers.states(Instant::now())
    }

    /// Gets JSON.
    pub async fn get<T: DeserializeOwned>(&self, url: Url, call: Call<'_>) -> Result<T, Error> {
        let answer = self.send(Method::GET, url, None, call).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Posts JSON and gets JSON.
    pub async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        url: Url,
        body: &B,
        call: Call<'_>,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body)?;
        let answer = self.send(Method::POST, url, Some(body), call).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
        call: Call<'_>,
    ) -> Result<Vec<u8>, Error> {
        if !url.has_host() {
            return Err(Error::Address);
        }
        let target = url.origin().ascii_serialization();
        let repeatable = method == Method::GET || call.idempotency_key.is_some();
        let end = Instant::now() + self.policy.deadline;
        self.shared().budget.request();
        let mut attempt = 1;
        loop {
            if !self.shared().breakers.admit(&target, Instant::now()) {
                return Err(Error::Open(target));
            }
            let left = end.saturating_duration_since(Instant::now());
            let request = self.request(&method, &url, body.clone(), call);
            let outcome = tokio::time::timeout(left.min(self.policy.attempt), once(request)).await;
            let outcome = outcome.unwrap_or(Err(Failed {
                error: Error::Deadline,
                again: true,
                after: None,
            }));
            let well = match &outcome {
                Err(Failed {
                    error: Error::Refused(problem),
                    ..
                }) => problem.status < 500,
                Err(Failed {
                    error: Error::TooLarge,
                    ..
                })
                | Ok(_) => true,
                Err(_) => false,
            };
            self.shared().breakers.report(&target, well, Instant::now());
            let failed = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if !(repeatable && failed.again && attempt < self.policy.attempts) {
                return Err(failed.error);
            }
            let pause = self.pause(attempt).max(failed.after.unwrap_or_default());
            // A wait beyond the deadline would only make the caller learn later what is known now.
            if pause >= end.saturating_duration_since(Instant::now())
                || !self.shared().budget.retry()
            {
                return Err(failed.error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    fn request(
        &self,
        method: &Method,
        url: &Url,
        body: Option<Vec<u8>>,
        call: Call<'_>,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(traceparent) = call.traceparent {
            request = request.header("traceparent", traceparent);
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = call.token {
            request = request.bearer_auth(token);
        }
        match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body),
            None => request,
        }
    }

    /// Anything up to a bound that doubles: callers that failed together do not come back together.
    fn pause(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let most = self
            .policy
            .backoff
            .saturating_mul(doubled)
            .min(limits::BACKOFF_MOST);
        most.mul_f64(self.shared().rng.random::<f64>())
    }
}

async fn once(request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failed> {
    let broken = |error: reqwest::Error| Failed {
        again: !error.is_builder(),
        error: Error::Transport(error),
        after: None,
    };
    let mut response = request.send().await.map_err(broken)?;
    let status = response.status();
    let after = response.headers().get(header::RETRY_AFTER);
    let after = after
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if answer.len() + chunk.len() > limits::ANSWER {
            return Err(Failed {
                error: Error::TooLarge,
                again: false,
                after: None,
            });
        }
        answer.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(answer);
    }
    let mut problem = serde_json::from_slice(&answer).unwrap_or_else(|_| {
        Problem::new(
            status.as_u16(),
            "client.refused",
            "The target gave no reason.",
        )
    });
    // What the status line says holds, whatever the body claims.
    problem.status = status.as_u16();
    Err(Failed {
        again: matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        error: Error::Refused(problem),
        after,
    })
}
