//! The reverse proxy: requests to registered services, to whichever instance does best.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header, request},
    response::Response,
    routing::any,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use protocol::Principal;
use tokio::sync::Semaphore;

use super::{
    BreakerOptions,
    dispatch::{Asked, failure, unavailable},
    headers::{self, REQUEST_ID},
    pool::{Healthy, InstanceReading, Pool},
    rules::{NoTarget, Rule, Rules},
    stats::EdgeStats,
};
use crate::{access::Route, limits::edge as limits, random::Random};

/// Routes of [`Proxy::router`].
pub const ROUTES: &[Route] = &[
    ("ANY", "/svc/{service}", "service.call"),
    ("ANY", "/svc/{service}/", "service.call"),
    ("ANY", "/svc/{service}/{*path}", "service.call"),
];

/// Options that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A rule.
    #[error(
        "the rule for {0:?}: a path that begins with `/` and is there once, and a service's name, are due"
    )]
    Rule(String),
}

/// How a proxy behaves.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// Site whose services are meant where nobody has proven who they are.
    pub site: String,
    /// Scheme of the listener, as services are told.
    pub scheme: &'static str,
    /// When instances are left alone.
    pub breaker: BreakerOptions,
    /// Largest body of a request, bytes.
    pub max_body_bytes: u64,
    /// A connection is made within this.
    pub connect: Duration,
    /// An answer begins within this after the request's last byte.
    pub response_head: Duration,
    /// A client sends the next bytes of its body within this.
    pub request_idle: Duration,
    /// An answer's body goes on within this.
    pub response_idle: Duration,
    /// An upgraded connection says something within this.
    pub tunnel_idle: Duration,
}

impl ProxyOptions {
    /// The defaults, for a site.
    pub fn new(site: impl Into<String>) -> Self {
        Self {
            site: site.into(),
            scheme: "https",
            breaker: BreakerOptions::default(),
            max_body_bytes: limits::MAX_BODY_BYTES,
            connect: limits::CONNECT,
            response_head: limits::RESPONSE_HEAD,
            request_idle: limits::REQUEST_IDLE,
            response_idle: limits::RESPONSE_IDLE,
            tunnel_idle: limits::TUNNEL_IDLE,
        }
    }
}

pub(super) type HttpClient = Client<HttpConnector, Body>;

pub(super) struct Inner {
    pub(super) options: ProxyOptions,
    pub(super) pool: Pool,
    rules: RwLock<Arc<Rules>>,
    pub(super) http1: HttpClient,
    pub(super) http2: HttpClient,
    pub(super) random: Random,
    pub(super) began: Instant,
    pub(super) tunnels: Arc<Semaphore>,
}

/// Sends requests on to instances of services. Clones are one proxy.
#[derive(Clone)]
pub struct Proxy(pub(super) Arc<Inner>);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy without rules: `/svc/<name>/…` alone. Needs a tokio runtime.
    pub fn new(options: ProxyOptions, healthy: Arc<dyn Healthy>, random: Random) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.connect));
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::IDLE_FOR)
            .pool_max_idle_per_host(limits::IDLE_CONNECTIONS)
            .set_host(false)
            .http1_max_buf_size(limits::MAX_HEAD_BYTES as usize)
            .http2_max_header_list_size(limits::MAX_HEAD_BYTES)
            .http2_keep_alive_interval(limits::IDLE_FOR);
        let http1 = builder.build(connector.clone());
        let http2 = builder.http2_only(true).build(connector);
        Self(Arc::new(Inner {
            pool: Pool::new(healthy, options.breaker),
            options,
            rules: RwLock::default(),
            http1,
            http2,
            random,
            began: Instant::now(),
            tunnels: Arc::new(Semaphore::new(limits::MAX_TUNNELS)),
        }))
    }

    /// Takes over other rules. Requests that are under way keep theirs, and no connection is closed.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), OptionsError> {
        let rules = Arc::new(Rules::new(rules)?);
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    /// What was counted.
    pub fn stats(&self) -> &Arc<EdgeStats> {
        self.0.pool.stats()
    }

    /// How every instance does that requests were sent to.
    pub fn instances(&self) -> Vec<InstanceReading> {
        self.0.pool.instances(self.0.began.elapsed())
    }

    /// [`ROUTES`]. Requests that rules are for are handed to [`Self::call`] by whoever owns the other paths.
    pub fn router(&self) -> Router {
        let handler = || {
            let proxy = self.clone();
            any(move |request: Request| async move { proxy.call(request).await })
        };
        ROUTES.iter().fold(Router::new(), |router, (_, path, _)| {
            router.route(path, handler())
        })
    }

    /// Whether there is somewhere to send a request for this host and path.
    pub fn leads_somewhere(&self, host: Option<&str>, path: &str) -> bool {
        self.rules().find(host, path, None).is_ok()
    }

    /// The service that a request for this host and path goes to.
    pub fn service_for(&self, host: Option<&str>, path: &str) -> Option<String> {
        let target = self.rules().find(host, path, None).ok()?;
        Some(target.service)
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a request on and answers with what comes back.
    ///
    /// Reads the extensions [`Principal`] (whose site's services are meant) and axum's
    /// `ConnectInfo<SocketAddr>`.
    pub async fn call(&self, request: Request) -> Response {
        let began = Instant::now();
        let (mut parts, body) = request.into_parts();
        let id = headers::request_id(&mut parts.headers, &self.0.random);
        let mut response = Box::pin(self.route(parts, body, began)).await;
        response.headers_mut().entry(REQUEST_ID).or_insert(id);
        response
    }

    async fn route(&self, mut parts: request::Parts, body: Body, began: Instant) -> Response {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return failure(
                StatusCode::METHOD_NOT_ALLOWED,
                "route.method",
                "this method is not passed on",
            );
        }
        let host = match parts.uri.authority() {
            Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
            None => parts.headers.get(header::HOST).cloned(),
        };
        let host_text = host.as_ref().and_then(|host| host.to_str().ok());
        let target = match self
            .rules()
            .find(host_text, parts.uri.path(), parts.uri.query())
        {
            Ok(target) => target,
            Err(NoTarget::Unknown) => {
                return failure(
                    StatusCode::NOT_FOUND,
                    "route.unknown",
                    "there is nothing at this path",
                );
            }
            Err(NoTarget::Climbs) => {
                return failure(
                    StatusCode::BAD_REQUEST,
                    "route.path",
                    "the path holds `.` or `..` as a segment",
                );
            }
        };
        if headers::passages(&parts.headers) >= limits::MAX_PASSAGES {
            return failure(
                StatusCode::LOOP_DETECTED,
                "route.loop",
                "the request came through this gateway before",
            );
        }
        let principal = parts.extensions.remove::<Principal>();
        let site = principal
            .as_ref()
            .map_or(&self.0.options.site, |who| &who.site);
        let Some(service) = self.0.pool.service(site, &target.service) else {
            return unavailable(None);
        };
        let asked = Asked {
            parts,
            target,
            host,
            principal,
        };
        let mut upstream = Duration::ZERO;
        let response = self.dispatch(&service, asked, body, &mut upstream).await;
        service
            .stats
            .answered(response.status(), upstream, began.elapsed());
        response
    }
}
