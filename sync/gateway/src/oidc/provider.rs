//! What is asked of a provider: its discovery document, its keys, what a code stands for.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::{Clock, Timestamp};
use reqwest::{Url, header};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{ProviderConfig, provider_config::is_safe};
use crate::{
    limits::oidc as limits,
    trust::{KeySet, KeySource},
};

/// Why a provider did not say what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// It does not answer, or not as it should.
    #[error("the provider cannot be asked ({0})")]
    Unreachable(String),
    /// Its discovery document is another's, or lacks something.
    #[error("the provider's discovery document does not hold ({0})")]
    Discovery(&'static str),
    /// The file with the client's secret.
    #[error("the client's secret cannot be read")]
    Secret(#[source] std::io::Error),
    /// It does not take the code.
    #[error("the provider does not take the code ({0})")]
    Code(String),
}

/// A provider's discovery document (OpenID Connect Discovery 1.0, section 3): what is used of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Document {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207, section 3: whether its answers name it.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// A document, and the keys it leads to.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) document: Document,
    pub(super) keys: KeySet,
    since: Timestamp,
}

/// A provider and what is known of it.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) config: ProviderConfig,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Known>>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Provider {
    pub(super) fn new(
        config: ProviderConfig,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            config,
            client,
            clock,
            known: Mutex::new(None),
        }
    }

    /// What is known of it; asks where that is nothing, or too old. A document that cannot be had again is
    /// used on: those who sign in notice soon enough where it does not hold any more.
    pub(super) async fn known(&self) -> Result<Known, ProviderError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        let for_ns = i64::try_from(limits::DISCOVERY_FOR.as_nanos()).unwrap_or(i64::MAX);
        if let Some(fresh) = known
            .as_ref()
            .filter(|known| now.0.saturating_sub(known.since.0) < for_ns)
        {
            return Ok(fresh.clone());
        }
        match self.discover(now).await {
            Ok(found) => {
                *known = Some(found.clone());
                Ok(found)
            }
            Err(error @ ProviderError::Unreachable(_)) => match known.as_ref() {
                Some(old) => {
                    tracing::warn!(%error, provider = %self.config.name, "discovery is as it was");
                    Ok(old.clone())
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn discover(&self, now: Timestamp) -> Result<Known, ProviderError> {
        let base = self.config.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let (status, text) = answer(self.client.get(url)).await?;
        if !status.is_success() {
            return Err(ProviderError::Unreachable(status.to_string()));
        }
        let document: Document = parsed(&text)?;
        // Section 4.3: else anybody could speak for another.
        if document.issuer != self.config.issuer {
            return Err(ProviderError::Discovery("it names another issuer"));
        }
        let addresses = [
            &document.authorization_endpoint,
            &document.token_endpoint,
            &document.jwks_uri,
        ];
        if !addresses.iter().all(|url| is_safe(url)) {
            return Err(ProviderError::Discovery("an address in it is not safe"));
        }
        let keys = KeySet::new(KeySource::Url(document.jwks_uri.clone()));
        self.refresh(&keys).await?;
        Ok(Known {
            document,
            keys,
            since: now,
        })
    }

    /// Fetches its keys again.
    pub(super) async fn refresh(&self, keys: &KeySet) -> Result<(), ProviderError> {
        keys.refresh(&self.client)
            .await
            .map_err(|error| ProviderError::Unreachable(error.to_string()))
    }

    /// The ID token that a code stands for (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(super) async fn exchange(
        &self,
        document: &Document,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Zeroizing<String>, ProviderError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        let secret = match &self.config.client_secret_file {
            None => None,
            Some(path) => {
                let text = tokio::fs::read_to_string(path).await;
                let text = Zeroizing::new(text.map_err(ProviderError::Secret)?);
                Some(Zeroizing::new(text.trim().to_owned()))
            }
        };
        let id = self.config.client_id.as_str();
        let mut request = self.client.post(&document.token_endpoint);
        // Basic is what a provider takes that says nothing of it (Discovery, section 3).
        let methods = document.token_endpoint_auth_methods_supported.as_deref();
        let basic = methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
        match &secret {
            Some(secret) if basic => {
                let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()));
                let mut value = header::HeaderValue::try_from(value)
                    .map_err(|error| ProviderError::Unreachable(error.to_string()))?;
                value.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, value);
            }
            Some(secret) => form.extend([("client_id", id), ("client_secret", secret.as_str())]),
            None => form.push(("client_id", id)),
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form_of(&form));
        let (status, text) = answer(request).await?;
        if status.is_success() {
            let granted: Granted = parsed(&text)?;
            return Ok(Zeroizing::new(granted.id_token));
        }
        // The word for the ledger alone, and only one that can do no harm there.
        match serde_json::from_slice::<Refusal>(&text) {
            Ok(Refusal { error }) if is_word(&error) => Err(ProviderError::Code(error)),
            _ => Err(ProviderError::Unreachable(status.to_string())),
        }
    }
}

/// Whether a provider's error is one of the words that there are (RFC 6749, section 5.2), by its letters.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// `application/x-www-form-urlencoded`.
fn form_of(pairs: &[(&str, &str)]) -> String {
    // Any address: its query is what is wanted.
    let Ok(mut url) = Url::parse("https://localhost/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// A value as RFC 6749, section 2.3.1 wants it within Basic.
fn encoded(text: &str) -> String {
    form_of(&[("", text)]).trim_start_matches('=').to_owned()
}

fn parsed<T: DeserializeOwned>(text: &[u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(text).map_err(|error| ProviderError::Unreachable(error.to_string()))
}

/// Status and body, no larger than it may be.
async fn answer(
    request: reqwest::RequestBuilder,
) -> Result<(reqwest::StatusCode, Zeroizing<Vec<u8>>), ProviderError> {
    // Without the address, which can hold more than the log is to have.
    let failed =
        |error: reqwest::Error| ProviderError::Unreachable(error.without_url().to_string());
    let request = request.timeout(limits::TIMEOUT);
    let mut answer = request.send().await.map_err(failed)?;
    let mut text = Zeroizing::new(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if text.len() + chunk.len() > limits::ANSWER_BYTES {
            return Err(ProviderError::Unreachable(
                "its answer is too large".to_owned(),
            ));
        }
        text.extend_from_slice(&chunk);
    }
    Ok((answer.status(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_written_as_the_standard_says() {
        assert_eq!(form_of(&[("a", "b c"), ("d&", "e=f")]), "a=b+c&d%26=e%3Df");
        assert_eq!(encoded("=a:b%"), "%3Da%3Ab%25");
    }
}
