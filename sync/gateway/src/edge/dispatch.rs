//! One request to the instances of its service: attempts, and the answer.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header, request,
        uri::Scheme,
    },
    response::{IntoResponse as _, Response},
};
use hyper::{
    body::{Body as _, Incoming},
    upgrade::OnUpgrade,
};
use protocol::Principal;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    body::{ClientFault, Payload, Progress, ResponseBody},
    headers::{self, Origin},
    pool::{Lease, Outcome, Service},
    proxy::Proxy,
    rate_limit::peer_of,
    rules::{Protocol, Target},
    tunnel,
};
use crate::{
    Failure,
    limits::edge as limits,
    random::Random,
    traces::{Current, Kind, Open, TRACEPARENT},
};

/// Why an attempt brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missed {
    /// No connection: nothing was sent.
    Connect,
    /// The connection broke before an answer.
    Broke,
    /// There was no answer in time.
    Late,
    /// The client's own doing.
    Client(ClientFault),
}

/// What was asked, and what for.
pub(super) struct Asked {
    pub(super) parts: request::Parts,
    pub(super) target: Target,
    pub(super) host: Option<HeaderValue>,
    pub(super) principal: Option<Principal>,
}

/// What goes to an instance.
struct Call {
    method: Method,
    headers: HeaderMap,
    path_and_query: String,
    protocol: Protocol,
    payload: Payload,
    upgrade: Option<(OnUpgrade, OwnedSemaphorePermit)>,
    /// The request's span, where it has one.
    trace: Option<Current>,
}

pub(super) fn failure(status: StatusCode, code: &str, detail: &str) -> Response {
    Failure::new(status, code, detail).into_response()
}

/// Nobody is there who could answer.
pub(super) fn unavailable(again_in: Option<Duration>) -> Response {
    let detail = "the service has no instance that can answer now";
    let mut response = failure(
        StatusCode::SERVICE_UNAVAILABLE,
        "service.unavailable",
        detail,
    );
    if let Some(wait) = again_in {
        let seconds = wait.as_secs().max(1);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn client_failure(fault: ClientFault) -> Response {
    let (status, code) = match fault {
        ClientFault::Broke => (StatusCode::BAD_REQUEST, "request.broken"),
        ClientFault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request.too_large"),
        ClientFault::Stalled => (StatusCode::REQUEST_TIMEOUT, "request.timeout"),
    };
    let mut response = failure(status, code, &fault.to_string());
    // What is left of the body is not read.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn missed(missed: Missed) -> Response {
    match missed {
        Missed::Client(fault) => client_failure(fault),
        Missed::Late => failure(
            StatusCode::GATEWAY_TIMEOUT,
            "service.timeout",
            "the service did not answer in time",
        ),
        Missed::Connect | Missed::Broke => failure(
            StatusCode::BAD_GATEWAY,
            "service.unreachable",
            "the service broke off before it answered",
        ),
    }
}

/// Those that may be made twice (RFC 9110, 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(method)
}

/// Answers that say that another instance may do better.
fn cannot_serve(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

fn outcome(sent: &Result<Response<Incoming>, Missed>) -> Option<Outcome> {
    match sent {
        Err(Missed::Client(_)) => None,
        Err(_) => Some(Outcome::Failed),
        Ok(response) if cannot_serve(response.status()) => Some(Outcome::Failed),
        Ok(response) if response.status().is_server_error() => Some(Outcome::ServerError),
        Ok(_) => Some(Outcome::Good),
    }
}

fn draw(random: &Random) -> u64 {
    u64::from_ne_bytes(random.bytes::<8>())
}

impl Proxy {
    pub(super) async fn dispatch(
        &self,
        service: &Arc<Service>,
        asked: Asked,
        body: Body,
        upstream: &mut Duration,
    ) -> Response {
        let mut call = match self.prepare(service, asked, body).await {
            Ok(call) => call,
            Err(refused) => return *refused,
        };
        service.count_request(self.0.began.elapsed());
        let mut tried = Vec::new();
        let now = self.0.began.elapsed();
        let Some(mut lease) = service.choose(now, draw(&self.0.random), &tried) else {
            return unavailable(service.opens_again_in(now));
        };
        loop {
            tried.push(Arc::clone(&lease.upstream));
            let progress = Progress::new();
            let began = Instant::now();
            let body = call
                .payload
                .take(&progress, &service.stats, self.0.options.max_body_bytes);
            let mut span = call.attempt(&lease, tried.len());
            let sent = match call.request(&lease, body, span.as_ref()) {
                Ok(request) => self.send(request, call.protocol, &progress).await,
                Err(error) => {
                    tracing::debug!(%error, "a request could not be made");
                    return failure(
                        StatusCode::BAD_REQUEST,
                        "request.invalid",
                        "the path cannot be passed on",
                    );
                }
            };
            let took = began.elapsed();
            if let Some(span) = span.as_mut() {
                said(span, &sent);
            }
            drop(span);
            *upstream += took;
            let now = self.0.began.elapsed();
            if let Some(outcome) = outcome(&sent) {
                // A client that sends slowly does not make the instance slow.
                lease.record(outcome, progress.still_for().min(took), now);
            }
            let idempotent = is_idempotent(&call.method);
            let again = match &sent {
                Err(Missed::Connect) => true,
                Err(Missed::Broke) => idempotent,
                Ok(response) => idempotent && cannot_serve(response.status()),
                Err(Missed::Late | Missed::Client(_)) => false,
            };
            if again
                && call.payload.can_be_sent()
                && tried.len() < limits::ATTEMPTS
                && let Some(next) = service.choose(now, draw(&self.0.random), &tried)
                && service.may_retry(now)
            {
                lease = next;
                continue;
            }
            return match sent {
                Ok(response) => self.answer(service, call, lease, response),
                Err(why) => missed(why),
            };
        }
    }

    /// What goes to an instance of what a client asked.
    async fn prepare(
        &self,
        service: &Service,
        asked: Asked,
        body: Body,
    ) -> Result<Call, Box<Response>> {
        let Asked {
            mut parts,
            target,
            host,
            principal,
        } = asked;
        if body.size_hint().lower() > self.0.options.max_body_bytes {
            return Err(Box::new(client_failure(ClientFault::TooLarge)));
        }
        let is_grpc = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let protocol = match target.protocol {
            Protocol::Auto if is_grpc => Protocol::Http2,
            Protocol::Auto => Protocol::Http1,
            told => told,
        };
        let upgrade = match headers::upgrade(&parts.headers).filter(|_| protocol == Protocol::Http1)
        {
            None => None,
            Some(to) => {
                let Ok(place) = Arc::clone(&self.0.tunnels).try_acquire_owned() else {
                    return Err(Box::new(unavailable(Some(Duration::from_secs(1)))));
                };
                let client = parts.extensions.remove::<OnUpgrade>();
                client.map(|client| (to, client, place))
            }
        };
        let payload = Payload::of(
            body,
            upgrade.is_none(),
            self.0.options.request_idle,
            &service.stats,
        )
        .await
        .map_err(|fault| Box::new(client_failure(fault)))?;
        let trailers = headers::lists(&parts.headers, &header::TE, "trailers");
        let own = &mut parts.headers;
        headers::strip_hop_by_hop(own);
        headers::join_cookies(own);
        // The length is said anew, of the body that is really sent.
        own.remove(header::CONTENT_LENGTH);
        own.remove(header::HOST);
        let origin = Origin {
            peer: peer_of(&parts.extensions),
            host: host.clone(),
            scheme: self.0.options.scheme,
            prefix: target.prefix.as_deref(),
            principal: principal.as_ref(),
            keep_authorization: target.keep_authorization,
        };
        headers::describe(own, &origin);
        let trace = parts.extensions.remove::<Current>();
        if trace.is_none() {
            headers::carry_trace(own, &self.0.random);
        }
        if trailers {
            own.insert(header::TE, HeaderValue::from_static("trailers"));
            if protocol == Protocol::Http1 {
                own.insert(header::CONNECTION, HeaderValue::from_static("te"));
            }
        }
        if let (Protocol::Http1, Some(host)) = (protocol, host) {
            own.insert(header::HOST, host);
        }
        let upgrade = upgrade.map(|(to, client, place)| {
            own.insert(header::UPGRADE, to);
            own.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            (client, place)
        });
        Ok(Call {
            method: parts.method,
            headers: parts.headers,
            path_and_query: target.path_and_query,
            protocol,
            payload,
            upgrade,
            trace,
        })
    }

    /// Sends it, and waits for the head of the answer as long as bytes move.
    async fn send(
        &self,
        request: Request<Body>,
        protocol: Protocol,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Missed> {
        let client = match protocol {
            Protocol::Http2 => &self.0.http2,
            Protocol::Http1 | Protocol::Auto => &self.0.http1,
        };
        let (patience, head) = (self.0.options.request_idle, self.0.options.response_head);
        let mut sent = pin!(client.request(request));
        loop {
            let still = progress.still_for();
            let awaits_client = progress.awaits_client();
            if awaits_client && still >= patience {
                return Err(Missed::Client(ClientFault::Stalled));
            }
            if still >= head {
                return Err(Missed::Late);
            }
            // Whom the body waits for may change meanwhile.
            let bound = if still < patience {
                patience.min(head)
            } else {
                head
            };
            match timeout(bound.saturating_sub(still), &mut sent).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "an instance did not answer");
                    return Err(match progress.fault() {
                        Some(fault) => Missed::Client(fault),
                        None if error.is_connect() => Missed::Connect,
                        None => Missed::Broke,
                    });
                }
                Err(_) => {}
            }
        }
    }

    fn answer(
        &self,
        service: &Arc<Service>,
        call: Call,
        lease: Lease,
        response: Response<Incoming>,
    ) -> Response {
        let stats = &service.stats;
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let to = parts.headers.get(header::UPGRADE).cloned();
            let instance = parts.extensions.remove::<OnUpgrade>();
            let (Some((client, place)), Some(to), Some(instance)) = (call.upgrade, to, instance)
            else {
                return missed(Missed::Broke);
            };
            headers::strip_hop_by_hop(&mut parts.headers);
            parts.headers.insert(header::UPGRADE, to);
            parts
                .headers
                .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            stats.tunnel();
            let (stats, idle) = (Arc::clone(stats), self.0.options.tunnel_idle);
            tokio::spawn(async move {
                let _held = (lease, place);
                match tokio::try_join!(client, instance) {
                    Ok((client, instance)) => tunnel::carry(client, instance, idle, &stats).await,
                    Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
                }
            });
            return Response::from_parts(parts, Body::empty());
        }
        headers::strip_hop_by_hop(&mut parts.headers);
        headers::strip_origins(&mut parts.headers);
        let idle = self.0.options.response_idle;
        let body = ResponseBody::new(body, lease, Arc::clone(stats), idle);
        Response::from_parts(parts, Body::new(body))
    }
}

/// What an attempt came to, in its span.
fn said(span: &mut Open, sent: &Result<Response<Incoming>, Missed>) {
    match sent {
        Ok(response) => {
            let status = response.status();
            span.number("http.response.status_code", status.as_u16());
            // To who calls, a refusal is a failure as well (OpenTelemetry, HTTP spans).
            if status.is_client_error() || status.is_server_error() {
                span.fail();
            }
        }
        Err(why) => {
            let why = match why {
                Missed::Connect => "connect",
                Missed::Broke => "broke",
                Missed::Late => "timeout",
                Missed::Client(_) => "client",
            };
            span.text("error.type", why);
            span.fail();
        }
    }
}

impl Call {
    /// The span of an attempt, which the instance goes on with.
    fn attempt(&self, lease: &Lease, attempt: usize) -> Option<Open> {
        let mut span = self.trace.as_ref()?.begin(Kind::Client);
        span.name(|| self.method.to_string());
        span.text("http.request.method", self.method.as_str());
        let instance = &lease.upstream.authority;
        span.text("server.address", instance.host());
        if let Some(port) = instance.port_u16() {
            span.number("server.port", port);
        }
        if attempt > 1 {
            let again = i64::try_from(attempt - 1).unwrap_or(i64::MAX);
            span.number("http.request.resend_count", again);
        }
        Some(span)
    }

    /// For the instance that was chosen.
    fn request(
        &self,
        lease: &Lease,
        body: Body,
        span: Option<&Open>,
    ) -> Result<Request<Body>, axum::http::Error> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(lease.upstream.authority.clone())
            .path_and_query(self.path_and_query.as_str())
            .build()?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = match self.protocol {
            Protocol::Http2 => Version::HTTP_2,
            Protocol::Http1 | Protocol::Auto => Version::HTTP_11,
        };
        *request.headers_mut() = self.headers.clone();
        let context = span.and_then(|span| HeaderValue::try_from(span.context().to_string()).ok());
        if let Some(context) = context {
            request.headers_mut().insert(TRACEPARENT, context);
        }
        if self.protocol != Protocol::Http2 && !self.headers.contains_key(header::HOST) {
            // HTTP/1.0 asks without a host; HTTP/1.1 must have one.
            if let Ok(host) = HeaderValue::from_str(lease.upstream.authority.as_str()) {
                request.headers_mut().insert(header::HOST, host);
            }
        }
        Ok(request)
    }
}
