//! Signing in at a hospital's own identity provider: OpenID Connect Core 1.0, the authorization code flow
//! with PKCE (RFC 7636), as RFC 9700 advises.
//!
//! Whoever signs in begins here and gets an address to open, and a secret of their own (`binding`). The
//! provider sends them back to their page or program with a code and the state, which they bring here with
//! that secret: a code that somebody else slipped them opens nothing. The state is a sealed note of the
//! gateway's to itself, so that nothing is kept of those who begin and never come back; that it was used is
//! kept until it would have expired.
//!
//! Not done: what a provider says by itself afterwards (back-channel sign-out). Who loses their place there
//! loses it here when they sign in again, which is due after a shift at most; until then an administrator
//! signs them out here. Signing out here does not sign out at the provider.

mod provider;
mod provider_config;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use events::Clock;
use ledger::{CanonicalJson, Draft};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use provider::ProviderError;
use provider::{Known, Provider, is_word};
pub(crate) use provider_config::is_safe;
pub use provider_config::{GrantConfig, ProviderConfig};

use crate::{
    limits::oidc as limits,
    people::{External, People, PeopleError, Person, SignIn},
    random::Random,
    state::{Space, State, StateError},
    tickets::{Ticket, TicketError, Tickets},
    trust::{Due, Identity, has_key, verify_id_token},
};

/// States that were used, and when they would have expired.
pub(crate) const USED: Space = "oidc_used";

/// Why somebody is not signed in by a provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    /// No provider is called so.
    #[error("no provider is called so")]
    UnknownProvider,
    /// The redirect address is none of those that are configured.
    #[error("this redirect address is not among those that are configured")]
    Redirect,
    /// The sign-in does not hold. Who asks is told no reason; the ledger says it.
    #[error("this sign-in does not hold; begin again")]
    Refused,
    /// The provider has proven somebody whom nothing is granted here.
    #[error("your provider does not say that you may be here; ask who runs it")]
    NothingGranted,
    /// The provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A sealed state was not made.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// People.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// A text was not made.
    #[error("a text was not made ({0})")]
    Text(String),
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// The address to open.
    pub authorization_url: String,
    /// What the provider sends back.
    pub state: String,
    /// What is due beside it, and goes nowhere else.
    pub binding: Zeroizing<String>,
}

/// What comes back from a provider by way of who signs in.
#[derive(Debug)]
pub struct Returned<'a> {
    /// The state.
    pub state: &'a str,
    /// The secret that came with [`Begun`].
    pub binding: &'a str,
    /// The code, if the provider gave one.
    pub code: Option<&'a str>,
    /// Its error, if not.
    pub error: Option<&'a str>,
    /// Who it says it is (RFC 9207).
    pub iss: Option<&'a str>,
}

/// The note in a state.
#[derive(Serialize, Deserialize)]
struct Note {
    redirect_uri: String,
    nonce: String,
    verifier: Zeroizing<String>,
    /// SHA-256 of the binding.
    binding: String,
}

/// The providers that are configured.
#[derive(Debug)]
pub struct Providers {
    all: Vec<Provider>,
    state: State,
    clock: Arc<dyn Clock>,
    tickets: Tickets,
    random: Random,
}

fn hash(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// A refusal and its reason, on the way to the ledger.
enum Refusal {
    Reason(String),
    Nothing,
    Failed(OidcError),
}

impl<E: Into<OidcError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn because<T>(reason: &str) -> Result<T, Refusal> {
    Err(Refusal::Reason(reason.to_owned()))
}

impl Providers {
    /// Of these, asked by `client`.
    pub(crate) fn new(
        configs: &[ProviderConfig],
        client: &reqwest::Client,
        state: State,
        clock: Arc<dyn Clock>,
        tickets: Tickets,
        random: Random,
    ) -> Self {
        let provider = |config: &ProviderConfig| {
            Provider::new(config.clone(), client.clone(), Arc::clone(&clock))
        };
        Self {
            all: configs.iter().map(provider).collect(),
            state,
            clock,
            tickets,
            random,
        }
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all
            .iter()
            .map(|provider| provider.config.name.as_str())
    }

    fn find(&self, name: &str) -> Result<&Provider, OidcError> {
        self.all
            .iter()
            .find(|provider| provider.config.name == name)
            .ok_or(OidcError::UnknownProvider)
    }

    fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.random.bytes::<32>()))
    }

    /// Begins a sign-in whose outcome goes to `redirect_uri`.
    pub async fn begin(&self, name: &str, redirect_uri: &str) -> Result<Begun, OidcError> {
        let provider = self.find(name)?;
        let config = &provider.config;
        if !config.redirect_uris.iter().any(|uri| uri == redirect_uri) {
            self.record(name, "the redirect address is not configured")
                .await?;
            return Err(OidcError::Redirect);
        }
        let document = match provider.known().await {
            Ok(known) => known.document,
            Err(error) => {
                self.record(name, &error.to_string()).await?;
                return Err(error.into());
            }
        };
        let binding = self.secret();
        let (nonce, verifier) = (self.secret(), self.secret());
        let note = Note {
            redirect_uri: redirect_uri.to_owned(),
            nonce: nonce.to_string(),
            verifier: verifier.clone(),
            binding: hash(&binding),
        };
        let text = |error: &dyn std::fmt::Display| OidcError::Text(error.to_string());
        let sealed = self.tickets.issue(&purpose(name), note, limits::FLOW_FOR)?;
        let state = BASE64_URL_SAFE_NO_PAD.encode(sealed);
        let (scopes, challenge) = (config.scopes.join(" "), hash(&verifier));
        let mut url = Url::parse(&document.authorization_endpoint).map_err(|error| text(&error))?;
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", config.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("scope", scopes.as_str()),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        Ok(Begun {
            authorization_url: url.into(),
            state,
            binding,
        })
    }

    /// Ends a sign-in: whoever it is, they are one of `people` afterwards.
    pub async fn complete(
        &self,
        name: &str,
        returned: &Returned<'_>,
        people: &People,
    ) -> Result<Box<Person>, OidcError> {
        let provider = self.find(name)?;
        match self.identity(provider, returned).await {
            Ok((identity, site, roles)) => {
                let display_name = identity.claims.get("name").and_then(|name| name.as_str());
                let external = External {
                    provider: name,
                    issuer: &provider.config.issuer,
                    sub: &identity.sub,
                    display_name: display_name
                        .filter(|name| !name.trim().is_empty())
                        .map(|name| name.chars().take(limits::MAX_DISPLAY_NAME_CHARS).collect()),
                    site,
                    roles,
                };
                match people.sign_in_external(external).await? {
                    SignIn::Accepted(person) => Ok(person),
                    // On record already, with the person.
                    SignIn::CodeDue | SignIn::Refused(_) => Err(OidcError::Refused),
                }
            }
            Err(Refusal::Reason(reason)) => {
                self.record(name, &reason).await?;
                Err(OidcError::Refused)
            }
            Err(Refusal::Nothing) => {
                self.record(name, "nothing is granted to them").await?;
                Err(OidcError::NothingGranted)
            }
            Err(Refusal::Failed(OidcError::Provider(ProviderError::Code(word)))) => {
                let reason = format!("the provider does not take the code ({word})");
                self.record(name, &reason).await?;
                Err(OidcError::Refused)
            }
            Err(Refusal::Failed(error)) => {
                self.record(name, &error.to_string()).await?;
                Err(error)
            }
        }
    }

    async fn identity(
        &self,
        provider: &Provider,
        returned: &Returned<'_>,
    ) -> Result<(Identity, String, Vec<protocol::Role>), Refusal> {
        let config = &provider.config;
        let ticket = self.ticket(&config.name, returned.state)?;
        let note = &ticket.what;
        if self.tickets.is_late(&ticket) {
            return because("the state has expired");
        }
        // Both are hashes of what only one side knows: comparing them tells nothing about either.
        if note.binding != hash(returned.binding) {
            return because("the state was begun by somebody else");
        }
        // Used up before anything is asked: whatever comes of it, it comes once.
        if !self.tickets.use_up(&ticket).await? {
            return because("the state was used before");
        }
        if let Some(error) = returned.error {
            let word = if is_word(error) { error } else { "…" };
            return because(&format!("the provider says {word}"));
        }
        let Some(code) = returned.code else {
            return because("there is no code");
        };
        if code.is_empty() || code.len() > limits::MAX_CODE_BYTES {
            return because("the code has no length that codes have");
        }
        let Known { document, keys, .. } = provider.known().await?;
        let says = document.authorization_response_iss_parameter_supported;
        if returned.iss.map_or(says, |iss| iss != config.issuer) {
            return because("the answer is another issuer's");
        }
        let token = provider
            .exchange(&document, code, &note.redirect_uri, &note.verifier)
            .await?;
        if !has_key(&token, &keys) {
            // A provider that has new keys since.
            provider.refresh(&keys).await?;
        }
        let due = Due {
            issuer: &config.issuer,
            client_id: &config.client_id,
            nonce: &note.nonce,
            now_s: self.clock.now().0.div_euclid(1_000_000_000),
        };
        let identity = match verify_id_token(&token, &keys, &due) {
            Ok(identity) => identity,
            Err(error) => return because(&error.to_string()),
        };
        match config.granted(&identity.claims) {
            Some((site, roles)) => Ok((identity, site, roles)),
            None => Err(Refusal::Nothing),
        }
    }

    /// The note in a state, if it is one of the gateway's for this provider.
    fn ticket(&self, name: &str, state: &str) -> Result<Ticket<Note>, Refusal> {
        let opened = || {
            if state.len() > limits::MAX_STATE_BYTES {
                return None;
            }
            let sealed = BASE64_URL_SAFE_NO_PAD.decode(state).ok()?;
            self.tickets.open(&purpose(name), &sealed)
        };
        match opened() {
            Some(ticket) => Ok(ticket),
            None => because("the state is none of the gateway's for this provider"),
        }
    }

    async fn record(&self, name: &str, reason: &str) -> Result<(), OidcError> {
        let what = json!({ "provider": name, "reason": reason });
        let entry = Draft {
            kind: "people.sign_in_refused".to_owned(),
            time_ns: self.clock.now().as_nanos(),
            actor: "anonymous".to_owned(),
            payload: CanonicalJson::from_value(&what)
                .map_err(|error| OidcError::Text(error.to_string()))?,
        };
        self.state.commit_with(Vec::new(), vec![entry]).await?;
        Ok(())
    }

    /// Forgets which states were used, of those that would have expired anyway.
    pub async fn sweep(&self) -> Result<usize, StateError> {
        self.tickets.sweep().await
    }
}

/// What a state is sealed for: that of one provider opens at no other.
fn purpose(name: &str) -> String {
    format!("signing in at {name}")
}
