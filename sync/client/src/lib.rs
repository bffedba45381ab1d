//! The resilient client of the gateway and its services.
//!
//! A request has one deadline over all attempts. What may be repeated is repeated: GET, and POST with
//! an idempotency key, after exponential backoff with full jitter, within a budget. A target that
//! fails repeatedly is left alone for a while; its state and counters are there to be shown. Calls carry
//! the caller's trace on. [`Registry`] enters and finds services and watches configuration.

mod breaker;
mod configuration;
mod discovery;
mod identity;
mod limits;
mod registration;
mod tokens;
mod trace;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

pub use breaker::{BreakerCounts, BreakerState};
use breaker::{Breakers, Budget};
pub use configuration::{ConfigValue, ConfigWatch, Watching};
pub use discovery::{Credentials, Instance, Registry};
pub use identity::{Clock, Enrolled, Identity, IdentityError};
use protocol::Problem;
use rand::{RngExt, SeedableRng, rngs::StdRng};
pub use registration::{Health, Registered, Registration};
use reqwest::{Method, StatusCode, Url, header};
use serde::{Serialize, de::DeserializeOwned};
pub use tokens::ServiceTokens;
pub use trace::TraceContext;

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
    /// The caller's trace; without one, that of the [`TraceContext::scope`] the call is made in.
    pub trace: Option<&'a TraceContext>,
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
    /// No instance of the service is passing.
    #[error("no instance of {0} is passing")]
    NoInstance(String),
    /// More services are being looked up than the client keeps.
    #[error("more than {} services are looked up", limits::SERVICES)]
    TooMany,
    /// An answer that a blocking query cannot go on from.
    #[error("the answer lacks a usable {0}")]
    Lacks(&'static str),
    /// An address without a host.
    #[error("the address has no host")]
    Address,
}

/// Clones share connections, breakers and the budget.
#[derive(Clone)]
pub struct Client {
    line: Arc<RwLock<Arc<Line>>>,
    policy: Policy,
    shared: Arc<Mutex<Shared>>,
    tokens: Option<Arc<ServiceTokens>>,
}

/// Connections under one certificate. A token that is bound to it is used on no others.
struct Line(reqwest::Client);

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

/// What is asked, and for how long.
struct Ask {
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    attempts: u32,
    attempt: Duration,
    deadline: Duration,
    /// What is not there may be waited for, so its absence is an answer.
    absent: bool,
    /// Waits at the target. That such a connection breaks says little: the question after it tells.
    waits: bool,
}

/// An answer that was no failure.
struct Answer {
    body: Vec<u8>,
    /// Where the next blocking query goes on from (`X-Consul-Index`).
    index: Option<u64>,
}

/// One attempt that brought no answer, and whether another may.
struct Failed {
    error: Error,
    again: bool,
    /// The target says when (`Retry-After` in seconds, RFC 9110, section 10.2.3).
    after: Option<Duration>,
}

impl Line {
    /// Redirects are not followed: they would carry a token to where nobody sent it.
    fn new(http: reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        let http = http.redirect(reqwest::redirect::Policy::none());
        Ok(Self(http.build()?))
    }
}

impl Client {
    /// With trust, identity and connections as the builder has them. The seed is that of the
    /// jitter.
    pub fn new(http: reqwest::ClientBuilder, policy: Policy, seed: u64) -> Result<Self, Error> {
        Ok(Self {
            line: Arc::new(RwLock::new(Arc::new(Line::new(http)?))),
            tokens: None,
            policy,
            shared: Arc::new(Mutex::new(Shared {
                breakers: Breakers::new(policy.failures, policy.open),
                budget: Budget::new(),
                rng: StdRng::seed_from_u64(seed),
            })),
        })
    }

    /// With a token of these in every request to their issuer that brings none of its own.
    #[must_use]
    pub fn with_service_tokens(&self, tokens: ServiceTokens) -> Self {
        Self {
            tokens: Some(Arc::new(tokens)),
            ..self.clone()
        }
    }

    /// Later requests, of clones too, go over connections of this builder; those under way are not disturbed.
    pub(crate) fn replace(&self, http: reqwest::ClientBuilder) -> Result<(), Error> {
        let line = Arc::new(Line::new(http)?);
        *self.line.write().unwrap_or_else(PoisonError::into_inner) = line;
        Ok(())
    }

    fn line(&self) -> Arc<Line> {
        let line = self.line.read();
        Arc::clone(&line.unwrap_or_else(PoisonError::into_inner))
    }

    /// How often each target failed and was left alone, since the client began to ask it.
    pub fn breaker_counts(&self) -> BTreeMap<String, BreakerCounts> {
        self.shared().breakers.counts()
    }

    /// The targets and whether they are being asked.
    pub fn breakers(&self) -> BTreeMap<String, BreakerState> {
        self.shared().breakers.states(Instant::now())
    }

    /// Gets JSON.
    pub async fn get<T: DeserializeOwned>(&self, url: Url, call: Call<'_>) -> Result<T, Error> {
        let answer = self.send(self.ask(Method::GET, url, None), call).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Posts JSON and gets JSON.
    pub async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        url: Url,
        body: &B,
        call: Call<'_>,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body)?;
        let ask = self.ask(Method::POST, url, Some(body));
        let answer = self.send(ask, call).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Ask {
        Ask {
            method,
            url,
            body,
            attempts: self.policy.attempts,
            attempt: self.policy.attempt,
            deadline: self.policy.deadline,
            absent: false,
            waits: false,
        }
    }

    async fn send(&self, ask: Ask, call: Call<'_>) -> Result<Answer, Error> {
        match &self.tokens {
            Some(tokens) if call.token.is_none() && tokens.are_for(&ask.url) => {
                let (token, line) = tokens.bound().await?;
                let call = Call {
                    token: Some(&token),
                    ..call
                };
                self.send_on(&line, ask, call).await
            }
            _ => self.send_on(&self.line(), ask, call).await,
        }
    }

    async fn send_on(&self, line: &Line, ask: Ask, call: Call<'_>) -> Result<Answer, Error> {
        if !ask.url.has_host() {
            return Err(Error::Address);
        }
        let target = ask.url.origin().ascii_serialization();
        // GET and PUT are idempotent (RFC 9110, section 9.2.2).
        let repeatable = ask.method != Method::POST || call.idempotency_key.is_some();
        let end = Instant::now() + ask.deadline;
        let scoped = trace::current();
        let trace = call.trace.or(scoped.as_ref());
        self.shared().budget.request();
        let mut attempt = 1;
        loop {
            if !self.shared().breakers.admit(&target, Instant::now()) {
                return Err(Error::Open(target));
            }
            let left = end.saturating_duration_since(Instant::now());
            let request = request(line, &ask, call, trace);
            let outcome =
                tokio::time::timeout(left.min(ask.attempt), once(request, ask.absent)).await;
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
            if well || !ask.waits {
                self.shared().breakers.report(&target, well, Instant::now());
            }
            let failed = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if !(repeatable && failed.again && attempt < ask.attempts) {
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

fn request(
    line: &Line,
    ask: &Ask,
    call: Call<'_>,
    trace: Option<&TraceContext>,
) -> reqwest::RequestBuilder {
    let mut request = line.0.request(ask.method.clone(), ask.url.clone());
    if let Some(trace) = trace {
        request = request.header("traceparent", trace.traceparent());
        if let Some(state) = trace.tracestate() {
            request = request.header("tracestate", state);
        }
    }
    if let Some(key) = call.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    if let Some(token) = call.token {
        request = request.bearer_auth(token);
    }
    match &ask.body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.clone()),
        None => request,
    }
}

async fn once(request: reqwest::RequestBuilder, absent: bool) -> Result<Answer, Failed> {
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
    let index = response.headers().get("x-consul-index");
    let index = index.and_then(|value| value.to_str().ok()?.parse().ok());
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
        return Ok(Answer {
            body: answer,
            index,
        });
    }
    if absent && status == StatusCode::NOT_FOUND && index.is_some() {
        return Ok(Answer {
            body: Vec::new(),
            index,
        });
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
