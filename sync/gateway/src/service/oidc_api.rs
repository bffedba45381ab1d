//! Signing in at a provider: where it begins and where it ends.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use events::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Gateway,
    account_api::{granted, secret},
};
use crate::{
    Failure,
    access::Route,
    limits::oidc as limits,
    oidc::{OidcError, Returned},
};

pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/auth/providers", "session.begin"),
    ("POST", "/auth/providers/{name}/begin", "session.begin"),
    ("POST", "/auth/providers/{name}/complete", "session.begin"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/auth/providers", get(providers))
        .route("/auth/providers/{name}/begin", post(begin))
        .route("/auth/providers/{name}/complete", post(complete))
}

impl std::convert::From<OidcError> for Failure {
    fn from(error: OidcError) -> Self {
        let (status, code) = match &error {
            OidcError::UnknownProvider => (StatusCode::NOT_FOUND, "provider.unknown"),
            OidcError::Redirect => (StatusCode::UNPROCESSABLE_ENTITY, "provider.redirect"),
            OidcError::Refused => (StatusCode::UNAUTHORIZED, "auth.refused"),
            OidcError::NothingGranted => (StatusCode::FORBIDDEN, "provider.nothing_granted"),
            OidcError::Provider(error) => {
                tracing::warn!(%error, "a provider was asked in vain");
                (StatusCode::BAD_GATEWAY, "provider.unavailable")
            }
            _ => {
                tracing::error!(%error, "signing in at a provider failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "provider.failed")
            }
        };
        let detail = match &error {
            OidcError::Provider(_) => "the provider cannot be asked now".to_owned(),
            other => other.to_string(),
        };
        Self::new(status, code, detail)
    }
}

async fn providers(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let names = gateway.oidc.names().map(|name| json!({ "name": name }));
    Json(json!({ "providers": names.collect::<Vec<_>>() }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProviderBegin")]
pub(super) struct BeginRequest {
    redirect_uri: String,
}

async fn begin(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Json(request): Json<BeginRequest>,
) -> Result<Response, Failure> {
    let begun = gateway.oidc.begin(&name, &request.redirect_uri).await?;
    Ok(secret(json!({
        "authorization_url": begun.authorization_url, "state": begun.state,
        "binding": begun.binding.as_str(), "expires_in": limits::FLOW_FOR.as_secs(),
    })))
}

/// What the provider sent to the redirect address, and the binding that came with the beginning.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProviderComplete")]
pub(super) struct CompleteRequest {
    state: String,
    #[schemars(with = "String")]
    binding: Zeroizing<String>,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    code: Option<Zeroizing<String>>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    iss: Option<String>,
}

async fn complete(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Json(request): Json<CompleteRequest>,
) -> Result<Response, Failure> {
    let returned = Returned {
        state: &request.state,
        binding: &request.binding,
        code: request.code.as_deref().map(String::as_str),
        error: request.error.as_deref(),
        iss: request.iss.as_deref(),
    };
    let person = gateway
        .oidc
        .complete(&name, &returned, &gateway.people)
        .await?;
    let longest = i64::try_from(limits::SESSION_FOR.as_nanos()).unwrap_or(i64::MAX);
    let until = Timestamp(gateway.clock.now().0.saturating_add(longest));
    let (session, refresh) = gateway.sessions.begin_until(person.id, Some(until)).await?;
    granted(&gateway, &person, session.id, &refresh)
}
