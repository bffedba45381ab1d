//! The gateway's own routes, as its OpenAPI document describes them.

use super::{account_api as account, oidc_api as oidc, passkey_api as passkey, trust_api as trust};
use crate::openapi::{Kind, Operation, delete, get, post, put};

pub(crate) fn describe() -> Vec<Operation> {
    let mut all = accounts();
    all.extend(providers());
    all.extend(passkeys());
    all.extend(people());
    all.extend(trusted());
    all.extend(status());
    all
}

const PERSON: (&str, Kind, &str) = ("id", Kind::Uuid, "The person.");

fn accounts() -> Vec<Operation> {
    const TOKENS: &str = "Access and refresh token.";
    vec![
        post(
            "/v1/set-up",
            "Enter the first person, once, with the code that the gateway printed",
        )
        .takes::<account::SetUpRequest>()
        .json(201, "The person."),
        post("/auth/sign-in", "Begin a session")
            .takes::<account::SignInRequest>()
            .json(200, TOKENS),
        post(
            "/auth/refresh",
            "Go on with a session; a refresh token that comes twice ends it",
        )
        .takes::<account::RefreshRequest>()
        .json(200, TOKENS),
        post("/auth/sign-out", "End the session").empty(204, "It has ended."),
        post(
            "/auth/sign-out-everywhere",
            "End every session of one's own",
        )
        .empty(204, "They have ended."),
        get("/v1/me", "Who asks").json(
            200,
            "Subject, site, roles, and the account if there is one.",
        ),
        put(
            "/v1/me/password",
            "Change one's password; every session ends",
        )
        .takes::<account::PasswordRequest>()
        .empty(204, "It is changed."),
        post(
            "/v1/me/second-factor",
            "Begin with a second factor (RFC 6238)",
        )
        .json(200, "Its secret, shown once."),
        put(
            "/v1/me/second-factor",
            "Turn the second factor on with a first code",
        )
        .takes::<account::CodeRequest>()
        .empty(204, "It is on."),
        delete(
            "/v1/me/second-factor",
            "Remove the second factor with a code",
        )
        .takes::<account::CodeRequest>()
        .empty(204, "It is gone."),
    ]
}

fn providers() -> Vec<Operation> {
    const NAME: (&str, &str) = ("name", "The provider, as the configuration calls it.");
    vec![
        get(
            "/auth/providers",
            "Identity providers at which people sign in",
        )
        .json(200, "Their names and titles."),
        post(
            "/auth/providers/{name}/begin",
            "Begin to sign in at a provider (OpenID Connect, code flow with PKCE)",
        )
        .with(NAME.0, Kind::Text, NAME.1)
        .takes::<oidc::BeginRequest>()
        .json(200, "Where to go, and what to keep until the way back."),
        post(
            "/auth/providers/{name}/complete",
            "Begin a session with what the provider sent back",
        )
        .with(NAME.0, Kind::Text, NAME.1)
        .takes::<oidc::CompleteRequest>()
        .json(200, "Access and refresh token."),
    ]
}

fn passkeys() -> Vec<Operation> {
    vec![
        post(
            "/auth/passkey/begin",
            "Begin to sign in with a passkey (Web Authentication)",
        )
        .json(200, "Options for `navigator.credentials.get`."),
        post("/auth/passkey/complete", "Begin a session with its answer")
            .takes::<passkey::SignInRequest>()
            .json(200, "Access and refresh token."),
        get("/v1/me/passkeys", "One's own passkeys").json(200, "Their ids and names."),
        post("/v1/me/passkeys/begin", "Begin to register a passkey")
            .takes::<passkey::BeginRequest>()
            .json(200, "Options for `navigator.credentials.create`."),
        post("/v1/me/passkeys", "Register a passkey under a name")
            .takes::<passkey::RegisterRequest>()
            .json(201, "The passkey."),
        delete("/v1/me/passkeys/{id}", "Remove a passkey of one's own")
            .with("id", Kind::Text, "Its id.")
            .empty(204, "It is gone."),
    ]
}

fn people() -> Vec<Operation> {
    let (id, kind, what) = PERSON;
    vec![
        get("/v1/people", "Everybody of the site").json(200, "People."),
        post("/v1/people", "Enter a person")
            .takes::<account::EnterRequest>()
            .json(201, "The person."),
        get("/v1/people/{id}", "One person")
            .with(id, kind, what)
            .json(200, "The person."),
        put(
            "/v1/people/{id}",
            "Change what a person may be, or keep them out",
        )
        .with(id, kind, what)
        .takes::<account::ChangeRequest>()
        .json(200, "The person."),
        post("/v1/people/{id}/sign-out", "End every session of a person")
            .with(id, kind, what)
            .empty(204, "They have ended."),
    ]
}

fn trusted() -> Vec<Operation> {
    vec![
        get(
            "/.well-known/jwks.json",
            "Keys that the gateway's tokens are checked with (RFC 7517)",
        )
        .json(200, "The key set."),
        get("/v1/ca.pem", "The root certificate").gives(
            200,
            Some("application/x-pem-file"),
            "PEM.",
        ),
        post(
            "/v1/enrolment-codes",
            "Give out a code that enrols one device or service",
        )
        .takes::<trust::CodeRequest>()
        .json(201, "The code, and until when it holds."),
        get("/v1/enrolled", "What is enrolled at the site").json(200, "Devices and services."),
        delete(
            "/v1/enrolled/{kind}/{id}",
            "End an enrolment; its certificates hold no more",
        )
        .with("kind", Kind::Choice(&["device", "service"]), "What it is.")
        .with("id", Kind::Text, "Its id.")
        .empty(204, "It has ended."),
        post("/v1/enrol", "Enrol a key with a code")
            .takes::<trust::EnrolRequest>()
            .json(201, "A certificate."),
        post(
            "/v1/certificates/renew",
            "Renew the certificate of an enrolled key",
        )
        .takes::<trust::RenewRequest>()
        .json(200, "A certificate."),
        post(
            "/auth/service-token",
            "A token of minutes for who shows a certificate, bound to it (RFC 8705)",
        )
        .json(200, "The token."),
    ]
}

fn status() -> Vec<Operation> {
    vec![
        get("/healthz", "Whether the gateway runs").json(200, "It does."),
        get("/readyz", "Whether the gateway can write").json(200, "It can."),
        get("/status", "How the gateway and what it depends on are")
            .json(200, "All is well.")
            .json(503, "Something is not, and what."),
        get("/metrics", "Metrics as Prometheus reads them").gives(
            200,
            Some("text/plain"),
            "Metrics.",
        ),
        get("/openapi.json", "This document").json(200, "This document."),
        get("/v1/audit/entries", "Entries of the gateway's ledger")
            .with("from", Kind::Whole, "The first sequence.")
            .with("limit", Kind::Whole, "How many at most.")
            .json(200, "Entries."),
        get(
            "/v1/audit/checkpoint",
            "The ledger's state, signed, and the key to check it with",
        )
        .json(200, "A checkpoint (tlog-checkpoint)."),
        get(
            "/v1/audit/entries/{sequence}/proof",
            "That an entry stands in the ledger",
        )
        .with("sequence", Kind::Whole, "Its sequence.")
        .json(200, "The proof, which is checked without the gateway."),
        get(
            "/v1/audit/consistency",
            "That the ledger of `old` entries is the beginning of that of `new`",
        )
        .with("old", Kind::Whole, "Entries then.")
        .with("new", Kind::Whole, "Entries later.")
        .json(200, "The proof."),
        get("/v1/map", "Who calls which service").json(200, "Dependencies and services."),
        get("/v1/map.svg", "The same as a picture").gives(
            200,
            Some("image/svg+xml"),
            "The picture.",
        ),
    ]
}
