//! What every request passes before its route: a request id, who asks, whether they may, the audit.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::{Principal, Role};
use uuid::Uuid;

use super::{Asked, Gateway, observe::seen};
use crate::{
    Failure,
    access::{ANONYMOUS, Matched},
    config::is_site,
    limits::service as limits,
    trust::{Peer, PeerCertificate, SubjectKind, TokenError},
};

/// Name of the header that carries a request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Name of the header in which Consul's clients bring their token.
const CONSUL_TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// Name of the header in which who runs the gateway names another site than their own.
const SITE: HeaderName = HeaderName::from_static("x-neurascale-site");

/// The session that a request's token belongs to: an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InSession(pub(crate) Uuid);

/// Who asks, and in which session.
struct Known {
    principal: Principal,
    session: Option<Uuid>,
}

fn refused(detail: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "auth.invalid", detail)
}

/// The token of a request, from whichever header its client uses.
fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer
        .or_else(|| headers.get(CONSUL_TOKEN)?.to_str().ok())
        .filter(|token| !token.is_empty())
}

/// The host that a request is for.
fn host(request: &Request) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

impl Gateway {
    /// Which route a request is for: one of the gateway's own, or what a rule of the edge says.
    fn matched(&self, request: &Request) -> Option<Matched> {
        let path = request.uri().path();
        self.routes
            .find(request.method().as_str(), path)
            .or_else(|| {
                self.proxy
                    .leads_somewhere(host(request), path)
                    .then_some(Matched {
                        path: "rule",
                        action: Some("service.call"),
                    })
            })
    }

    /// Why a request is for nothing: no such path or method, or a site that is none.
    fn astray(
        &self,
        matched: Option<Matched>,
        action: Option<&str>,
    ) -> (Failure, Option<HeaderValue>) {
        match (matched, action) {
            (None, _) => {
                let detail = "there is nothing at this path";
                let failure = Failure::new(StatusCode::NOT_FOUND, "route.unknown", detail);
                (failure, None)
            }
            (Some(matched), None) => {
                let detail = "this path has no such method";
                let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "route.method", detail);
                let allow = HeaderValue::from_str(&self.routes.allowed(&matched));
                (failure, allow.ok())
            }
            (Some(_), Some(_)) => {
                let detail = "no site is called so";
                let failure = Failure::new(StatusCode::BAD_REQUEST, "access.site", detail);
                (failure, None)
            }
        }
    }

    /// Who calls which service, as the map names them.
    fn called(&self, request: &Request, site: &str) -> Option<(String, String)> {
        let caller = request.extensions().get::<Principal>()?.consumer.clone();
        let service = self
            .proxy
            .service_for(host(request), request.uri().path())?;
        Some((caller, format!("{site}/{service}")))
    }

    /// The peer of a connection, if its certificate is one that still counts.
    fn peer(&self, certificate: Option<&PeerCertificate>) -> Result<Option<Peer>, Failure> {
        let Some(PeerCertificate(der)) = certificate else {
            return Ok(None);
        };
        let peer = self
            .authority
            .peer(der)
            .map_err(|_| refused("the client certificate is not one of this gateway's"))?;
        // A connection may live longer than what its certificate was good for.
        if self.authority.is_revoked(&peer.serial) || !self.enrolment.is_enrolled(&peer.subject) {
            return Err(refused("the client certificate was revoked; enrol again"));
        }
        Ok(Some(peer))
    }

    fn known(
        &self,
        headers: &HeaderMap,
        certificate: Option<&PeerCertificate>,
    ) -> Result<Option<Known>, Failure> {
        let peer = self.peer(certificate)?;
        let Some(token) = token(headers) else {
            return Ok(peer.map(|peer| Known {
                principal: of_peer(&peer),
                session: None,
            }));
        };
        let (principal, claims) = self.tokens.check(token).map_err(|error| {
            if let TokenError::Keyring(error) = &error {
                tracing::error!(%error, "the signing keys failed");
            }
            refused(&error.to_string())
        })?;
        if let Some(bound) = &claims.cnf {
            let shown = peer.map(|peer| BASE64_URL_SAFE_NO_PAD.encode(peer.sha256));
            if shown.as_ref() != Some(&bound.certificate_sha256) {
                return Err(refused(
                    "the token is bound to a certificate that was not shown",
                ));
            }
        }
        if let Some(session) = claims.sid {
            let person =
                Uuid::parse_str(&principal.subject).map_err(|_| refused("no such person"))?;
            if !self.sessions.is_on(person, session) {
                return Err(refused("the session has ended; sign in again"));
            }
            let person = self.people.by_id(person).map_err(|error| {
                tracing::error!(%error, "a person cannot be read");
                Failure::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "state.damaged",
                    error.to_string(),
                )
            })?;
            let Some(person) = person.filter(|person| !person.disabled) else {
                return Err(refused("the account is closed"));
            };
            // What somebody may be is looked up, not taken from a token that was made minutes ago.
            let principal = Principal {
                site: person.site,
                roles: person.roles,
                ..principal
            };
            return Ok(Some(Known {
                principal,
                session: Some(session),
            }));
        }
        Ok(Some(Known {
            principal,
            session: None,
        }))
    }
}

fn of_peer(peer: &Peer) -> Principal {
    let role = match peer.subject.kind {
        SubjectKind::Device => Role::Device,
        SubjectKind::Service => Role::Service,
    };
    Principal {
        subject: peer.subject.id.clone(),
        site: peer.subject.site.clone(),
        roles: vec![role],
        consumer: format!("{}:{}", role, peer.subject.id),
    }
}

/// A client's own id is taken over where it is harmless in a log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (!id.is_empty() && id.len() <= limits::MAX_REQUEST_ID_BYTES && id.bytes().all(sound))
        .then(|| id.to_owned())
}

/// What the guard has found out about a request: an extension that [`enforce`] acts on.
#[derive(Debug, Clone)]
enum Verdict {
    /// It has a route, and the audit is told of it.
    Asked {
        asked: Box<Asked>,
        refusal: Option<Failure>,
    },
    /// There is nothing to be asked: no such path, method or site. Counted like any other, and in no audit,
    /// which has no action for it.
    Astray {
        id: String,
        failure: Failure,
        /// What the path takes, where it is the method that does not exist.
        allow: Option<HeaderValue>,
    },
}

/// Finds out who asks for what and whether they may; what comes of it is [`enforce`]'s. Between the two stands
/// the limit on requests, so that who is refused is counted as well, and nobody fills the ledger with refusals.
pub(crate) async fn guard(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers())
        .unwrap_or_else(|| gateway.ids.next(gateway.clock.now()).to_string());
    let method = request.method().as_str().to_owned();
    let matched = gateway.matched(&request);
    let from = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|from| from.0.ip());
    let certificate = request.extensions().get::<PeerCertificate>().cloned();
    let (known, invalid) = match gateway.known(request.headers(), certificate.as_ref()) {
        Ok(known) => (known, None),
        Err(failure) => (None, Some(failure)),
    };
    let named = request
        .headers()
        .get(SITE)
        .map(|site| site.to_str().unwrap_or_default());
    let named_well = named.is_none_or(is_site);
    let (matched, action) = match (matched, matched.and_then(|matched| matched.action)) {
        (Some(matched), Some(action)) if named_well => (matched, action),
        (matched, action) => {
            let (failure, allow) = gateway.astray(matched, action);
            if let Some(Known { principal, .. }) = known {
                request.extensions_mut().insert(principal);
            }
            let route = matched.map(|matched| matched.path);
            let who = request.extensions().get::<Principal>().cloned();
            let own_id = id.clone();
            let verdict = Verdict::Astray { id, failure, allow };
            request.extensions_mut().insert(verdict);
            let response = with_id(&own_id, next.run(request).await);
            return match route {
                Some(route) => seen(response, route, who.as_ref()),
                None => response,
            };
        }
    };
    let own_site = known
        .as_ref()
        .map_or(&gateway.config.site, |known| &known.principal.site);
    let site = named.unwrap_or(own_site).to_owned();
    let principal = known.as_ref().map(|known| &known.principal);
    let decision = gateway
        .live
        .now()
        .access
        .decide(principal, action, &site, None);
    // A token that does not hold is a refusal also where nobody need be known: whoever brings one means to be
    // somebody, and has to learn that they are not.
    let refusal = invalid.or_else(|| {
        (!decision.allowed).then(|| {
            if known.is_some() {
                let detail = "your role may not do this, or not at this site";
                Failure::new(StatusCode::FORBIDDEN, "access.denied", detail)
            } else {
                let detail = "sign in, or show a certificate of this gateway's";
                Failure::new(StatusCode::UNAUTHORIZED, "auth.required", detail)
            }
        })
    });
    let asked = Asked {
        at: gateway.clock.now(),
        request_id: id.clone(),
        who: principal
            .map_or(ANONYMOUS, |principal| &principal.subject)
            .to_owned(),
        site: site.clone(),
        action,
        method,
        route: matched.path,
        allowed: refusal.is_none(),
        policies: decision.policies,
        status: None,
        from,
    };
    if let Some(Known {
        mut principal,
        session,
    }) = known
    {
        principal.site = site;
        request.extensions_mut().insert(principal);
        if let Some(session) = session {
            request.extensions_mut().insert(InSession(session));
        }
    }
    let asked = Box::new(asked);
    request
        .extensions_mut()
        .insert(Verdict::Asked { asked, refusal });
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let who = request.extensions().get::<Principal>().cloned();
    let response = with_id(&id, next.run(request).await);
    seen(response, matched.path, who.as_ref())
}

/// Does what the guard has found to be due, and puts it on record before the answer is given.
pub(crate) async fn enforce(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (mut asked, refusal) = match request.extensions_mut().remove::<Verdict>() {
        Some(Verdict::Asked { asked, refusal }) => (asked, refusal),
        Some(Verdict::Astray { id, failure, allow }) => {
            let mut response = answered(&id, failure);
            if let Some(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            return response;
        }
        None => {
            tracing::error!("a request has passed no guard");
            let detail = "the request was not looked at";
            return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "access.unknown", detail)
                .into_response();
        }
    };
    let id = asked.request_id.clone();
    let called = (asked.action == "service.call" && refusal.is_none())
        .then(|| gateway.called(&request, &asked.site))
        .flatten();
    let begun = Instant::now();
    let response = match refusal {
        Some(failure) => answered(&id, failure),
        None => next.run(request).await,
    };
    if let Some((caller, service)) = called {
        let failed = response.status().is_server_error();
        gateway
            .map
            .count(&caller, &service, failed, begun.elapsed());
    }
    asked.status = Some(response.status().as_u16());
    if let Err(error) = gateway.audit.tell(*asked).await {
        tracing::error!(%error, "the audit was not written");
        // What cannot be put on record is not done in silence.
        let detail = "the audit cannot be written; nothing is answered until it can";
        return answered(
            &id,
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "audit.unavailable", detail),
        );
    }
    response
}

fn answered(id: &str, mut failure: Failure) -> Response {
    failure.0.request_id = Some(id.to_owned());
    let unauthorized = failure.0.status == StatusCode::UNAUTHORIZED.as_u16();
    let mut response = failure.into_response();
    if unauthorized {
        let challenge = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    with_id(id, response)
}

fn with_id(id: &str, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
