//! Enrolment, certificates and tokens over HTTP.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::Principal;
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gateway;
use crate::{
    Failure,
    access::Route,
    limits::trust as limits,
    state::StateError,
    trust::{
        AuthorityError, EnrolmentError, Issued, PeerCertificate, Subject, SubjectKind, TokenError,
    },
};

pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/.well-known/jwks.json", "trust.read"),
    ("GET", "/v1/ca.pem", "trust.read"),
    ("POST", "/v1/enrolment-codes", "enrolment.create"),
    ("GET", "/v1/enrolled", "people.read"),
    ("DELETE", "/v1/enrolled/{kind}/{id}", "certificate.revoke"),
    ("POST", "/v1/enrol", "certificate.enrol"),
    // Open to all: the request proves the enrolled key, also when the last certificate has expired.
    ("POST", "/v1/certificates/renew", "certificate.enrol"),
    ("POST", "/auth/service-token", "token.service"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/.well-known/jwks.json", get(key_set))
        .route("/v1/ca.pem", get(root))
        .route("/v1/enrolment-codes", post(give_code))
        .route("/v1/enrolled", get(enrolled))
        .route("/v1/enrolled/{kind}/{id}", delete(end))
        .route("/v1/enrol", post(enrol))
        .route("/v1/certificates/renew", post(renew))
        .route("/auth/service-token", post(service_token))
}

type Parts = State<Arc<Gateway>>;

impl std::convert::From<EnrolmentError> for Failure {
    fn from(error: EnrolmentError) -> Self {
        let (status, code) = match &error {
            EnrolmentError::Code => (StatusCode::FORBIDDEN, "enrolment.code"),
            EnrolmentError::Unknown => (StatusCode::FORBIDDEN, "enrolment.unknown"),
            EnrolmentError::Refused(_) | EnrolmentError::State(StateError::Refused(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "enrolment.refused")
            }
            EnrolmentError::Authority(AuthorityError::Request(_) | AuthorityError::Name(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "enrolment.request")
            }
            _ => {
                tracing::error!(%error, "enrolment failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "enrolment.unavailable")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

fn unavailable(error: &dyn std::error::Error) -> Failure {
    tracing::error!(%error, "the gateway's keys failed");
    Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "trust.unavailable",
        error.to_string(),
    )
}

async fn key_set(State(gateway): Parts) -> Result<Response, Failure> {
    let keys = gateway
        .tokens
        .keyring()
        .published()
        .map_err(|error| unavailable(&error))?;
    Ok(([(header::CACHE_CONTROL, "max-age=300")], Json(keys)).into_response())
}

async fn root(State(gateway): Parts) -> Result<Response, Failure> {
    let pem = gateway
        .authority
        .root_pem()
        .map_err(|error| unavailable(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnrolmentCodeRequest")]
pub(super) struct CodeRequest {
    kind: SubjectKind,
    name: String,
    #[serde(default)]
    holds_for_s: Option<u64>,
}

async fn give_code(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Json(request): Json<CodeRequest>,
) -> Result<Response, Failure> {
    let what = (principal.site.as_str(), request.kind, request.name.as_str());
    let holds_for = request.holds_for_s.map(Duration::from_secs);
    let (code, expires_at) = gateway
        .enrolment
        .give_code(what, holds_for, &principal.subject)
        .await?;
    let body = json!({ "code": code.reveal(), "expires_at": expires_at });
    Ok((
        StatusCode::CREATED,
        [(header::CACHE_CONTROL, "no-store")],
        Json(body),
    )
        .into_response())
}

async fn enrolled(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Failure> {
    let mut all = gateway.enrolment.all()?;
    all.retain(|enrolled| enrolled.subject.site == principal.site);
    Ok(Json(json!({ "enrolled": all })))
}

async fn end(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Path((kind, id)): Path<(SubjectKind, String)>,
) -> Result<StatusCode, Failure> {
    let subject = Subject {
        site: principal.site.clone(),
        kind,
        id,
    };
    if gateway.enrolment.end(&subject, &principal.subject).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let detail = "nothing of this kind and id is enrolled at this site";
        Err(Failure::new(
            StatusCode::NOT_FOUND,
            "enrolment.unknown",
            detail,
        ))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrolRequest {
    code: String,
    /// Certificate signing request, PEM.
    request: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewRequest {
    /// Certificate signing request with the enrolled key, PEM.
    request: String,
}

fn der(pem: &str) -> Result<CertificateSigningRequestDer<'static>, Failure> {
    CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        let detail = "a certificate signing request in PEM is due";
        Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "enrolment.request",
            detail,
        )
    })
}

fn answer(subject: Option<&Subject>, issued: &Issued) -> Json<Value> {
    let lifetime = limits::CLIENT_CERTIFICATE_FOR.as_nanos();
    // Renewed at two thirds: what is left is a third of its life.
    let third = i64::try_from(lifetime / 3).unwrap_or(0);
    Json(json!({
        "subject": subject, "certificate": issued.pem(), "serial": issued.serial,
        "expires_at": issued.expires_at,
        "renew_at": events::Timestamp(issued.expires_at.0.saturating_sub(third)),
    }))
}

async fn enrol(
    State(gateway): Parts,
    Json(request): Json<EnrolRequest>,
) -> Result<Response, Failure> {
    let der = der(&request.request)?;
    let (enrolled, issued) = gateway.enrolment.enrol(&request.code, &der).await?;
    Ok((
        StatusCode::CREATED,
        answer(Some(&enrolled.subject), &issued),
    )
        .into_response())
}

async fn renew(
    State(gateway): Parts,
    Json(request): Json<RenewRequest>,
) -> Result<Json<Value>, Failure> {
    let issued = gateway.enrolment.renew(&der(&request.request)?).await?;
    Ok(answer(None, &issued))
}

/// A token of minutes for whoever has shown a certificate, bound to it (RFC 8705).
async fn service_token(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    certificate: Option<Extension<PeerCertificate>>,
) -> Result<Response, Failure> {
    let Some(Extension(PeerCertificate(der))) = certificate else {
        let detail = "a token is given to who shows a client certificate";
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "auth.certificate_due",
            detail,
        ));
    };
    let peer = gateway
        .authority
        .peer(&der)
        .map_err(|error| unavailable(&error))?;
    // A person who sits at an enrolled machine has a session of their own, which such a token would outlive.
    if peer.subject.id != principal.subject {
        let detail = "a device or service asks with its certificate alone";
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth.certificate_alone",
            detail,
        ));
    }
    let bound = BASE64_URL_SAFE_NO_PAD.encode(peer.sha256);
    let token = gateway
        .tokens
        .issue(&principal, limits::SERVICE_TOKEN_FOR, None, Some(bound))
        .map_err(|error: TokenError| unavailable(&error))?;
    let body = json!({
        "access_token": token, "token_type": "Bearer",
        "expires_in": limits::SERVICE_TOKEN_FOR.as_secs(),
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
