//! Passkeys: registering, naming, removing, and signing in with them.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use protocol::Principal;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Gateway,
    account_api::{granted, own_id, prove_again, secret},
};
use crate::{
    Failure,
    access::Route,
    passkeys::{Answer, Asserted, Attested, Passkey, PasskeyError},
};

pub(crate) const ROUTES: &[Route] = &[
    ("POST", "/auth/passkey/begin", "session.begin"),
    ("POST", "/auth/passkey/complete", "session.begin"),
    ("GET", "/v1/me/passkeys", "self.read"),
    ("POST", "/v1/me/passkeys", "self.write"),
    ("POST", "/v1/me/passkeys/begin", "self.write"),
    ("DELETE", "/v1/me/passkeys/{id}", "self.write"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/auth/passkey/begin", post(begin_sign_in))
        .route("/auth/passkey/complete", post(sign_in))
        .route("/v1/me/passkeys", get(passkeys).post(register))
        .route("/v1/me/passkeys/begin", post(begin_registration))
        .route("/v1/me/passkeys/{id}", delete(remove))
}

impl std::convert::From<PasskeyError> for Failure {
    fn from(error: PasskeyError) -> Self {
        let (status, code) = match error {
            PasskeyError::People(error) => return error.into(),
            PasskeyError::Off => (StatusCode::NOT_FOUND, "passkey.off"),
            PasskeyError::Unfit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "passkey.refused"),
            PasskeyError::Refused => (StatusCode::UNAUTHORIZED, "auth.refused"),
            PasskeyError::Unknown => (StatusCode::NOT_FOUND, "passkey.unknown"),
            _ => {
                tracing::error!(%error, "passkeys cannot be read or changed");
                (StatusCode::INTERNAL_SERVER_ERROR, "passkey.unavailable")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

fn shown(passkey: &Passkey) -> Value {
    json!({
        "id": passkey.id, "name": passkey.name, "created_at": passkey.created_at,
        "used_at": passkey.used_at,
    })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasskeyBegin")]
pub(super) struct BeginRequest {
    #[schemars(with = "String")]
    password: Zeroizing<String>,
    #[serde(default)]
    code: Option<String>,
}

async fn begin_registration(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    Json(request): Json<BeginRequest>,
) -> Result<Response, Failure> {
    let code = request.code.as_deref();
    let person = prove_again(&gateway, &principal, request.password, code).await?;
    Ok(secret(gateway.passkeys.begin_registration(&person)?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasskeyRegister")]
pub(super) struct RegisterRequest {
    name: String,
    credential: Answer<Attested>,
}

async fn register(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    Json(request): Json<RegisterRequest>,
) -> Result<Response, Failure> {
    let made = gateway
        .passkeys
        .register(own_id(&principal)?, &request.name, &request.credential)
        .await?;
    Ok((StatusCode::CREATED, Json(shown(&made))).into_response())
}

async fn passkeys(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Failure> {
    let all = gateway.passkeys.of(own_id(&principal)?)?;
    Ok(Json(
        json!({ "passkeys": all.iter().map(shown).collect::<Vec<_>>() }),
    ))
}

async fn remove(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    gateway.passkeys.remove(own_id(&principal)?, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn begin_sign_in(State(gateway): State<Arc<Gateway>>) -> Result<Response, Failure> {
    Ok(secret(gateway.passkeys.begin_sign_in()?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasskeySignIn")]
pub(super) struct SignInRequest {
    credential: Answer<Asserted>,
}

async fn sign_in(
    State(gateway): State<Arc<Gateway>>,
    Json(request): Json<SignInRequest>,
) -> Result<Response, Failure> {
    let person = gateway
        .passkeys
        .sign_in(&request.credential, &gateway.people)
        .await?;
    let (session, refresh) = gateway.sessions.begin(person.id).await?;
    granted(&gateway, &person, session.id, &refresh)
}
