//! Signing in, one's own account, and other people's.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use protocol::{Principal, Role};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Gateway, guard::InSession};
use crate::{
    Failure,
    access::Route,
    limits::people as limits,
    people::{NewPerson, PeopleError, Person, Refreshed, SignIn, otpauth_url},
    state::StateError,
};

pub(crate) const ROUTES: &[Route] = &[
    ("POST", "/v1/set-up", "session.begin"),
    ("POST", "/auth/sign-in", "session.begin"),
    ("POST", "/auth/refresh", "session.begin"),
    ("POST", "/auth/sign-out", "session.end"),
    ("POST", "/auth/sign-out-everywhere", "session.end"),
    ("GET", "/v1/me", "self.read"),
    ("PUT", "/v1/me/password", "self.write"),
    ("POST", "/v1/me/second-factor", "self.write"),
    ("PUT", "/v1/me/second-factor", "self.write"),
    ("DELETE", "/v1/me/second-factor", "self.write"),
    ("GET", "/v1/people", "people.read"),
    ("POST", "/v1/people", "people.write"),
    ("GET", "/v1/people/{id}", "people.read"),
    ("PUT", "/v1/people/{id}", "people.write"),
    ("POST", "/v1/people/{id}/sign-out", "people.write"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/set-up", post(set_up))
        .route("/auth/sign-in", post(sign_in))
        .route("/auth/refresh", post(refresh))
        .route("/auth/sign-out", post(sign_out))
        .route("/auth/sign-out-everywhere", post(sign_out_everywhere))
        .route("/v1/me", get(me))
        .route("/v1/me/password", put(set_password))
        .route(
            "/v1/me/second-factor",
            post(begin_second_factor)
                .put(confirm_second_factor)
                .delete(remove_second_factor),
        )
        .route("/v1/people", get(people).post(enter))
        .route("/v1/people/{id}", get(person).put(change))
        .route("/v1/people/{id}/sign-out", post(sign_out_other))
}

impl std::convert::From<PeopleError> for Failure {
    fn from(error: PeopleError) -> Self {
        let (status, code) = match &error {
            PeopleError::Refused(_)
            | PeopleError::Password(_)
            | PeopleError::State(StateError::Refused(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "people.refused")
            }
            PeopleError::Taken => (StatusCode::CONFLICT, "people.taken"),
            PeopleError::Unknown => (StatusCode::NOT_FOUND, "people.unknown"),
            PeopleError::Changed => (StatusCode::CONFLICT, "people.changed"),
            PeopleError::Last => (StatusCode::CONFLICT, "people.last"),
            _ => {
                tracing::error!(%error, "people cannot be read or changed");
                (StatusCode::INTERNAL_SERVER_ERROR, "people.unavailable")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

type Parts = State<Arc<Gateway>>;

fn shown(person: &Person) -> Value {
    json!({
        "id": person.id, "login": person.login, "display_name": person.display_name,
        "site": person.site, "roles": person.roles, "disabled": person.disabled,
        "created_at": person.created_at, "second_factor": person.has_second_factor(),
        "provider": person.provider(),
    })
}

/// Who asks, as somebody with an account: a device has none.
pub(super) fn own_id(principal: &Principal) -> Result<Uuid, Failure> {
    Uuid::parse_str(&principal.subject).map_err(|_| {
        Failure::new(
            StatusCode::FORBIDDEN,
            "people.no_account",
            "only people have an account",
        )
    })
}

/// Answers that carry a secret are kept by nobody on the way (RFC 6749, section 5.1).
pub(super) fn secret(body: Value) -> Response {
    ([("cache-control", "no-store")], Json(body)).into_response()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetUpRequest {
    code: String,
    login: String,
    #[serde(default)]
    display_name: String,
    #[schemars(with = "String")]
    password: Zeroizing<String>,
}

async fn set_up(
    State(gateway): Parts,
    Json(request): Json<SetUpRequest>,
) -> Result<Response, Failure> {
    let first = NewPerson {
        display_name: if request.display_name.is_empty() {
            request.login.clone()
        } else {
            request.display_name
        },
        login: request.login,
        site: gateway.config.site.clone(),
        roles: vec![Role::SuperAdmin],
        password: request.password,
    };
    match gateway
        .set_up
        .use_code(&request.code, first, &gateway.people)
        .await?
    {
        Some(person) => Ok((StatusCode::CREATED, Json(shown(&person))).into_response()),
        None => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "set_up.code",
            "this is not the set-up code, or somebody was set up already",
        )),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInRequest {
    login: String,
    #[schemars(with = "String")]
    password: Zeroizing<String>,
    #[serde(default)]
    code: Option<String>,
}

async fn sign_in(
    State(gateway): Parts,
    Json(request): Json<SignInRequest>,
) -> Result<Response, Failure> {
    let outcome = gateway
        .people
        .sign_in(&request.login, request.password, request.code.as_deref())
        .await?;
    match outcome {
        SignIn::Accepted(person) => {
            let (session, refresh) = gateway.sessions.begin(person.id).await?;
            granted(&gateway, &person, session.id, &refresh)
        }
        SignIn::CodeDue => Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "auth.code_due",
            "a code of the second factor is due as `code`",
        )),
        SignIn::Refused(_) => Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "auth.refused",
            "login, password or code is wrong",
        )),
    }
}

pub(super) fn granted(
    gateway: &Gateway,
    person: &Person,
    session: Uuid,
    refresh: &str,
) -> Result<Response, Failure> {
    let principal = Principal {
        subject: person.id.to_string(),
        site: person.site.clone(),
        roles: person.roles.clone(),
        consumer: format!("own:{}", person.id),
    };
    let token = gateway
        .tokens
        .issue(&principal, limits::ACCESS_FOR, Some(session), None)
        .map_err(|error| {
            tracing::error!(%error, "no token can be signed");
            Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "token.unavailable",
                error.to_string(),
            )
        })?;
    Ok(secret(json!({
        "access_token": token, "token_type": "Bearer",
        "expires_in": limits::ACCESS_FOR.as_secs(), "refresh_token": refresh,
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    #[schemars(with = "String")]
    refresh_token: Zeroizing<String>,
}

async fn refresh(
    State(gateway): Parts,
    Json(request): Json<RefreshRequest>,
) -> Result<Response, Failure> {
    let refused = || {
        let detail = "the refresh token does not hold; sign in again";
        Failure::new(StatusCode::UNAUTHORIZED, "auth.refused", detail)
    };
    match gateway.sessions.refresh(&request.refresh_token).await? {
        Refreshed::On(session, refresh) => {
            let person = gateway.people.by_id(session.person)?;
            let Some(person) = person.filter(|person| !person.disabled) else {
                gateway.sessions.end_all(session.person).await?;
                return Err(refused());
            };
            granted(&gateway, &person, session.id, &refresh)
        }
        Refreshed::Refused => Err(refused()),
    }
}

async fn sign_out(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    session: Option<Extension<InSession>>,
) -> Result<StatusCode, Failure> {
    if let Some(Extension(InSession(session))) = session {
        gateway.sessions.end(own_id(&principal)?, session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_out_everywhere(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
) -> Result<StatusCode, Failure> {
    gateway.sessions.end_all(own_id(&principal)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Failure> {
    let account = match Uuid::parse_str(&principal.subject) {
        Ok(id) => gateway.people.by_id(id)?,
        Err(_) => None,
    };
    Ok(Json(json!({
        "subject": principal.subject, "site": principal.site, "roles": principal.roles,
        "account": account.as_ref().map(shown),
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    #[schemars(with = "String")]
    old: Zeroizing<String>,
    #[schemars(with = "String")]
    new: Zeroizing<String>,
    #[serde(default)]
    code: Option<String>,
}

/// Asks for the old password, and ends every session.
async fn set_password(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Json(request): Json<PasswordRequest>,
) -> Result<StatusCode, Failure> {
    let code = request.code.as_deref();
    let id = prove_again(&gateway, &principal, request.old, code)
        .await?
        .id;
    gateway
        .people
        .set_password(id, request.new, &principal.subject)
        .await?;
    gateway.sessions.end_all(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who asks, once they have given their password again: an unattended screen is not to be enough.
pub(super) async fn prove_again(
    gateway: &Gateway,
    principal: &Principal,
    password: Zeroizing<String>,
    code: Option<&str>,
) -> Result<Person, Failure> {
    let id = own_id(principal)?;
    let person = gateway.people.by_id(id)?.ok_or(PeopleError::Unknown)?;
    let outcome = gateway
        .people
        .sign_in(&person.login, password, code)
        .await?;
    match outcome {
        SignIn::Accepted(person) => Ok(*person),
        SignIn::CodeDue => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth.code_due",
            "a code of the second factor is due as `code`",
        )),
        SignIn::Refused(_) => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth.refused",
            "the old password is wrong",
        )),
    }
}

async fn begin_second_factor(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
) -> Result<Response, Failure> {
    let (totp, person) = gateway
        .people
        .begin_second_factor(own_id(&principal)?)
        .await?;
    Ok(secret(json!({
        "secret": totp.to_base32().as_str(), "otpauth_url": otpauth_url(&totp, &person.login),
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    code: String,
}

async fn confirm_second_factor(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Json(request): Json<CodeRequest>,
) -> Result<StatusCode, Failure> {
    if gateway
        .people
        .confirm_second_factor(own_id(&principal)?, &request.code)
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth.refused",
            "this is not a code that is due",
        ))
    }
}

/// Takes a code, so that who finds a screen unlocked cannot take the second factor off.
async fn remove_second_factor(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Json(request): Json<CodeRequest>,
) -> Result<StatusCode, Failure> {
    let id = own_id(&principal)?;
    if !gateway
        .people
        .confirm_second_factor(id, &request.code)
        .await?
    {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth.refused",
            "this is not a code that is due",
        ));
    }
    gateway
        .people
        .remove_second_factor(id, &principal.subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn people(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Failure> {
    let people = gateway.people.all(Some(&principal.site))?;
    Ok(Json(
        json!({ "people": people.iter().map(shown).collect::<Vec<_>>() }),
    ))
}

/// What somebody may give to others: never more than their own.
fn may_give(principal: &Principal, roles: &[Role]) -> Result<(), Failure> {
    if roles.contains(&Role::SuperAdmin) && !principal.has(Role::SuperAdmin) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "access.denied",
            "only who runs the gateway makes others run it",
        ));
    }
    Ok(())
}

/// A person of the site that is asked for: of another there is nobody, not even by id.
fn of_site(gateway: &Gateway, principal: &Principal, id: Uuid) -> Result<Person, Failure> {
    let person = gateway.people.by_id(id)?;
    let person = person.filter(|person| person.site == principal.site);
    let person = person.ok_or(PeopleError::Unknown)?;
    may_give(principal, &person.roles)?;
    Ok(person)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnterRequest {
    login: String,
    display_name: String,
    #[schemars(schema_with = "crate::openapi::roles")]
    roles: Vec<Role>,
    #[schemars(with = "String")]
    password: Zeroizing<String>,
}

async fn enter(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Json(request): Json<EnterRequest>,
) -> Result<Response, Failure> {
    may_give(&principal, &request.roles)?;
    let new = NewPerson {
        login: request.login,
        display_name: request.display_name,
        site: principal.site.clone(),
        roles: request.roles,
        password: request.password,
    };
    let person = gateway
        .people
        .enter(new, &principal.subject, Vec::new())
        .await?;
    Ok((StatusCode::CREATED, Json(shown(&person))).into_response())
}

async fn person(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Path(id): Path<Uuid>,
) -> Result<Json<Value>, Failure> {
    let person = gateway.people.by_id(id)?;
    let person = person.filter(|person| person.site == principal.site);
    Ok(Json(shown(&person.ok_or(PeopleError::Unknown)?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    #[serde(default)]
    #[schemars(schema_with = "crate::openapi::roles")]
    roles: Option<Vec<Role>>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    password: Option<Zeroizing<String>>,
    #[serde(default)]
    remove_second_factor: bool,
}

async fn change(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Path(id): Path<Uuid>,
    Json(request): Json<ChangeRequest>,
) -> Result<Json<Value>, Failure> {
    of_site(&gateway, &principal, id)?;
    may_give(&principal, request.roles.as_deref().unwrap_or_default())?;
    let by = &principal.subject;
    let mut person = gateway
        .people
        .change(id, request.roles, request.disabled, by)
        .await?;
    if let Some(password) = request.password {
        person = gateway.people.set_password(id, password, by).await?;
        gateway.sessions.end_all(id).await?;
    }
    if request.remove_second_factor {
        person = gateway.people.remove_second_factor(id, by).await?;
        gateway.passkeys.remove_all(id).await?;
    }
    if person.disabled {
        gateway.sessions.end_all(id).await?;
    }
    Ok(Json(shown(&person)))
}

async fn sign_out_other(
    State(gateway): Parts,
    Extension(principal): Extension<Principal>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Failure> {
    of_site(&gateway, &principal, id)?;
    gateway.sessions.end_all(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
