//! Service tokens: fetched by the client's certificate, kept until shortly before they expire.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{Call, Client, Error, Line, limits};

/// The answer of a token's issuer (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

/// A token, until when it is given out, and the connections it is bound to.
type Kept = (Arc<str>, Instant, Arc<Line>);

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
        self.bound().await.map(|(token, _)| token)
    }

    /// Whether an address is the issuer's: a token goes nowhere else.
    pub(crate) fn are_for(&self, url: &Url) -> bool {
        self.issuer.origin() == url.origin()
    }

    /// A token, and the connections it was given on: with another certificate it does not hold.
    pub(crate) async fn bound(&self) -> Result<(Arc<str>, Arc<Line>), Error> {
        let mut kept = self.kept.lock().await;
        let asked = Instant::now();
        let line = self.client.line();
        if let Some((token, until, on)) = kept.as_ref()
            && asked < *until
            && Arc::ptr_eq(on, &line)
        {
            return Ok((Arc::clone(token), line));
        }
        let ask = self
            .client
            .ask(Method::POST, self.issuer.clone(), Some(b"null".to_vec()));
        let answer = self.client.send_on(&line, ask, Call::default()).await?;
        let issued: Issued = serde_json::from_slice(&answer.body)?;
        // Counted from before it was asked for, so never longer than the issuer means.
        let good = Duration::from_secs(issued.expires_in.min(limits::TOKEN_MOST))
            .saturating_sub(limits::TOKEN_EARLY);
        let token: Arc<str> = issued.access_token.into();
        *kept = Some((Arc::clone(&token), asked + good, Arc::clone(&line)));
        Ok((token, line))
    }
}
