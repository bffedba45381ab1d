//! The shell's end of the engine: finds it, starts it when none runs, finds it again when it was
//! restarted, and keeps the sign-in token out of the page.

use engine_client::{Client, ClientError, Feed, Start};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ui_types::{
    ApiError, AuthBreakGlass, AuthFirstAdministrator, AuthSignIn, AuthSignOut, AuthStatus, Call,
    Doctor, EmergencyStop, EmergencyStopReply, EngineStatus, EngineStatusReply, ErrorCode,
    FeedRequest, PageRequest, Progress,
};

/// Calls whose reply carries a token.
const SIGN_IN: [&str; 3] = [
    AuthFirstAdministrator::NAME,
    AuthSignIn::NAME,
    AuthBreakGlass::NAME,
];

/// Calls of a page at which nobody is signed in. A call without a token is made in the name of the
/// system's user, who may do everything: that is right for the command line, not for a page that
/// anyone may stand before.
const BEFORE_SIGN_IN: [&str; 6] = [
    AuthStatus::NAME,
    AuthFirstAdministrator::NAME,
    AuthSignIn::NAME,
    AuthBreakGlass::NAME,
    EngineStatus::NAME,
    Doctor::NAME,
];

/// The engine, and who is signed in at this window.
#[derive(Debug)]
pub(crate) struct Link {
    data_dir: PathBuf,
    start: Start,
    client: Mutex<Option<Client>>,
    token: Mutex<Option<String>>,
}

impl Link {
    /// The engine of this data folder.
    pub(crate) fn new(data_dir: PathBuf, start: Start) -> Self {
        Self {
            data_dir,
            start,
            client: Mutex::new(None),
            token: Mutex::new(None),
        }
    }

    /// Makes a call for the page.
    pub(crate) async fn call(
        &self,
        name: &str,
        body: &Value,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Value, ApiError> {
        if name == EmergencyStop::NAME {
            let stop = EmergencyStop {
                id: body["id"].as_str().map(str::to_owned),
            };
            let reply = self.emergency_stop(&stop).await?;
            return serde_json::to_value(reply).map_err(internal);
        }
        let token = self.token();
        if token.is_none() && !BEFORE_SIGN_IN.contains(&name) {
            return Err(nobody());
        }
        // A failed sign-in changes nothing: whoever was signed in stays it.
        let token = token.filter(|_| !SIGN_IN.contains(&name));
        let mut client = self.client(token.as_deref()).await?;
        let mut result = client.call_json(name, body, &mut on_progress).await;
        if let Err(ClientError::NotRunning(_)) = result {
            // The engine has left or was restarted, and has not seen this call.
            client = self.reconnect(token.as_deref()).await?;
            result = client.call_json(name, body, &mut on_progress).await;
        }
        let mut reply = result?;
        if SIGN_IN.contains(&name) {
            self.keep_token(&mut reply);
        } else if name == AuthSignOut::NAME {
            *lock(&self.token) = None;
        }
        Ok(reply)
    }

    /// Opens a session's feed.
    pub(crate) async fn feed(&self, request: &FeedRequest) -> Result<Feed, ClientError> {
        let token = self.signed_in()?;
        let client = self.client(Some(&token)).await?;
        match client.feed(request).await {
            Err(ClientError::NotRunning(_)) => {
                self.reconnect(Some(&token)).await?.feed(request).await
            }
            other => other,
        }
    }

    /// Opens a stretch of a recording.
    pub(crate) async fn page(&self, request: &PageRequest) -> Result<Feed, ClientError> {
        let token = self.signed_in()?;
        let client = self.client(Some(&token)).await?;
        match client.page(request).await {
            Err(ClientError::NotRunning(_)) => {
                self.reconnect(Some(&token)).await?.page(request).await
            }
            other => other,
        }
    }

    /// The emergency stop, for whoever presses it: signed in, locked out, or nobody.
    pub(crate) async fn emergency_stop(
        &self,
        stop: &EmergencyStop,
    ) -> Result<EmergencyStopReply, ApiError> {
        let token = self.token();
        let client = self.client(token.as_deref()).await?;
        let result = match client.call(stop).await {
            Err(ClientError::NotRunning(_)) => {
                self.reconnect(token.as_deref()).await?.call(stop).await
            }
            Err(ClientError::Api(error)) if error.code == ErrorCode::NotAllowed => {
                self.client(None).await?.call(stop).await
            }
            other => other,
        };
        Ok(result?)
    }

    /// How the engine is, without starting one.
    pub(crate) async fn status(&self) -> Result<EngineStatusReply, ClientError> {
        Client::connect(&self.data_dir, &Start::Never)
            .await?
            .call(&EngineStatus {})
            .await
    }

    async fn client(&self, token: Option<&str>) -> Result<Client, ClientError> {
        let kept = lock(&self.client).clone();
        match kept {
            Some(client) => Ok(in_name_of(client, token)),
            None => self.reconnect(token).await,
        }
    }

    async fn reconnect(&self, token: Option<&str>) -> Result<Client, ClientError> {
        let client = Client::connect(&self.data_dir, &self.start).await?;
        *lock(&self.client) = Some(client.clone());
        Ok(in_name_of(client, token))
    }

    fn token(&self) -> Option<String> {
        lock(&self.token).clone()
    }

    fn signed_in(&self) -> Result<String, ClientError> {
        self.token().ok_or_else(|| ClientError::Api(nobody()))
    }

    /// Takes the token out of a reply: a page that is tricked into running someone's script has none to
    /// give away.
    fn keep_token(&self, reply: &mut Value) {
        if let Some(slot) = reply.get_mut("token") {
            if let Value::String(token) = slot.take()
                && !token.is_empty()
            {
                *lock(&self.token) = Some(token);
            }
            *slot = Value::String(String::new());
        }
    }
}

fn in_name_of(client: Client, token: Option<&str>) -> Client {
    match token {
        Some(token) => client.with_token(token),
        None => client,
    }
}

fn nobody() -> ApiError {
    ApiError::new(
        ErrorCode::NotAllowed,
        "nobody is signed in at this window",
        "Sign in. The emergency stop works without it.",
    )
}

pub(crate) fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string(), "")
}

/// Nothing here panics while it holds a lock, and what a lock guards is whole at every instant.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(PathBuf::from("/nowhere"), Start::Never)
    }

    #[tokio::test]
    async fn a_page_at_which_nobody_is_signed_in_reaches_no_patient() {
        let link = link();
        for name in ["patient.list", "session.start", "user.add", "engine.stop"] {
            let error = link.call(name, &Value::Null, |_| ()).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::NotAllowed, "{name}");
        }
        // These get as far as the engine, which does not run here.
        for name in ["auth.status", "auth.sign_in", "session.emergency_stop"] {
            let error = link.call(name, &Value::Null, |_| ()).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Unavailable, "{name}");
        }
    }

    #[test]
    fn the_page_never_sees_a_token() {
        let link = link();
        let mut reply = serde_json::json!({ "token": "secret", "user": { "login": "ada" } });
        link.keep_token(&mut reply);
        assert_eq!(
            reply,
            serde_json::json!({ "token": "", "user": { "login": "ada" } })
        );
        assert_eq!(link.token().as_deref(), Some("secret"));
        assert!(!format!("{:?}", link.client).contains("secret"));
    }
}
