//! Service tokens: fetched by the client's certificate, kept until shortly before they expire.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{Call, Client, Error, limits};

/// The answer of a token's issuer (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

/// A token and until when it is given out.
type Kept = (Arc<str>, Instant);

/// One token for all callers. Clones share it.
#[derive(Clone)]
pub struct ServiceTokens {
    client: Client,
    issuer: Url,
    kept: Arc<Mutex<Option<Kept>>>,
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokens").finish_non_exhaustive()
    }
}

impl ServiceTokens {
    /// From this address, asked by a client whose certificate says who it is.
    pub fn new(client: Client, issuer: Url) -> Self {
        Self {
            client,
            issuer,
            kept: Arc::default(),
        }
    }

    /// A token that is still good for a while. Callers that come while one is being fetched wait for it.
    pub async fn token(&self) -> Result<Arc<str>, Error> {
        let mut kept = self.kept.lock().await;
        let asked = Instant::now();
        if let Some((token, _)) = kept.as_ref().filter(|(_, until)| asked < *until) {
            return Ok(token.clone());
        }
        let issued: Issued = self
            .client
            .post(self.issuer.clone(), &(), Call::default())
            .await?;
        // Counted from before it was asked for, so never longer than the issuer means.
        let good = Duration::from_secs(issued.expires_in.min(limits::TOKEN_MOST))
            .saturating_sub(limits::TOKEN_EARLY);
        let token: Arc<str> = issued.access_token.into();
        *kept = Some((token.clone(), asked + good));
        Ok(token)
    }
}
