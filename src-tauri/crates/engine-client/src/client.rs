//! Calls.

use crate::limits::MAX_LINE_BYTES;
use crate::{ClientError, Feed, Start, locate, start, transport};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ui_types::{
    ApiError, Call, EngineStatus, FeedRequest, Line, PROTOCOL_VERSION, PageRequest, Progress,
};

/// A client of one engine. Cheap to clone; every call has a connection of its own, so that a slow
/// one holds up no other.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    token: Option<Token>,
}

/// In whose name calls are made; a secret, never printed.
#[derive(Clone)]
struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Client {
    /// A client of the engine of `data_dir`, started as `how` says when none runs.
    ///
    /// # Errors
    /// No engine and none wanted, or it could not be started.
    pub async fn connect(data_dir: &Path, how: &Start) -> Result<Self, ClientError> {
        match (Self::attach(data_dir).await, how) {
            (Ok(client), _) => Ok(client),
            (Err(ClientError::NotRunning(_)), Start::OnDemand) => {
                start::start(data_dir, start::engine_program()).await
            }
            (Err(ClientError::NotRunning(_)), Start::Program(program)) => {
                start::start(data_dir, program.clone()).await
            }
            (Err(error), _) => Err(error),
        }
    }

    /// A client of an engine that already runs.
    pub(crate) async fn attach(data_dir: &Path) -> Result<Self, ClientError> {
        let client = Self {
            socket: locate::endpoint(data_dir)?,
            token: None,
        };
        let status = client
            .call(&EngineStatus::default())
            .await
            .map_err(|error| match error {
                ClientError::NotRunning(_) => ClientError::NotRunning(data_dir.to_owned()),
                other => other,
            })?;
        if status.protocol != PROTOCOL_VERSION {
            return Err(ClientError::Protocol(format!(
                "it speaks version {} of the protocol, this program version {PROTOCOL_VERSION}",
                status.protocol
            )));
        }
        Ok(client)
    }

    /// The same client, whose calls are made in the name of the person that `token` belongs to
    /// (see [`ui_types::SignedInReply`]). Without one they are made in the name of the system's user,
    /// who may do everything: a window in which nobody is signed in carries the empty token, which
    /// opens only what needs nobody (signing in, break-glass, the emergency stop, the status).
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self {
            token: Some(Token(token.into())),
            ..self
        }
    }

    /// Makes a call and waits for its reply.
    ///
    /// # Errors
    /// The engine's own error, or a broken connection.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, ClientError> {
        self.call_with_progress(call, |_| ()).await
    }

    /// Makes a call and tells `on_progress` how far it is.
    ///
    /// # Errors
    /// As for [`Self::call`].
    pub async fn call_with_progress<C: Call>(
        &self,
        call: &C,
        on_progress: impl FnMut(Progress),
    ) -> Result<C::Reply, ClientError> {
        self.exchange(C::NAME, call, on_progress).await
    }

    /// Makes the call of this name for a client that only passes it on, body and reply as JSON.
    ///
    /// # Errors
    /// As for [`Self::call`]; [`ui_types::ErrorCode::Invalid`] when no call can have that name.
    pub async fn call_json(
        &self,
        name: &str,
        body: &serde_json::Value,
        on_progress: impl FnMut(Progress),
    ) -> Result<serde_json::Value, ClientError> {
        let letters = |b: u8| b.is_ascii_lowercase() || b == b'_' || b == b'.';
        if name.is_empty() || !name.bytes().all(letters) {
            return Err(ClientError::Api(ApiError::new(
                ui_types::ErrorCode::Invalid,
                "a call's name has only small letters, '_' and '.'",
                "",
            )));
        }
        self.exchange(name, body, on_progress).await
    }

    async fn exchange<R: DeserializeOwned>(
        &self,
        name: &str,
        body: &impl Serialize,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(protocol)?;
        let response = self.post(name, body).await?;
        let mut lines = Lines::new(response.into_body());
        while let Some(line) = lines.next().await? {
            match serde_json::from_slice::<Line<R>>(&line).map_err(protocol)? {
                Line::Progress(progress) => on_progress(progress),
                Line::Result(reply) => return Ok(reply),
                Line::Error(error) => return Err(ClientError::Api(error)),
            }
        }
        Err(ClientError::Broken(
            "the reply ended before its result".to_owned(),
        ))
    }

    /// The display feed of a running session.
    ///
    /// # Errors
    /// No such session, or a broken connection.
    pub async fn feed(&self, request: &FeedRequest) -> Result<Feed, ClientError> {
        self.messages("feed", request).await
    }

    /// A stretch of a recording, as the messages of a feed closed by an end.
    ///
    /// # Errors
    /// No such recording, or a broken connection.
    pub async fn page(&self, request: &PageRequest) -> Result<Feed, ClientError> {
        self.messages("page", request).await
    }

    async fn messages(&self, name: &str, request: &impl Serialize) -> Result<Feed, ClientError> {
        let body = serde_json::to_vec(request).map_err(protocol)?;
        let response = self.post(name, body).await?;
        if response.status() != StatusCode::OK {
            let mut lines = Lines::new(response.into_body());
            let line = lines.next().await?.unwrap_or_default();
            return Err(match serde_json::from_slice::<Line<()>>(&line) {
                Ok(Line::Error(error)) => ClientError::Api(error),
                _ => ClientError::Protocol(String::from_utf8_lossy(&line).into_owned()),
            });
        }
        Ok(Feed::new(response.into_body()))
    }

    async fn post(&self, name: &str, body: Vec<u8>) -> Result<Response<Incoming>, ClientError> {
        let stream = transport::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the engine ended");
            }
        });
        let mut request = Request::post(format!("/v{PROTOCOL_VERSION}/{name}"))
            .header("host", "engine")
            .header("content-type", "application/json");
        if let Some(Token(token)) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(protocol)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(ClientError::Api(ApiError::new(
                ui_types::ErrorCode::Unavailable,
                format!("this engine does not know '{name}'"),
                "Client and engine are of different versions: update both.",
            )));
        }
        Ok(response)
    }
}

pub(crate) fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

fn protocol(error: impl std::fmt::Display) -> ClientError {
    ClientError::Protocol(error.to_string())
}

/// Splits a body into lines as they come.
struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            ended: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let rest = self.buffer.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                return Ok((!line.is_empty()).then_some(line));
            }
            if searched > MAX_LINE_BYTES {
                return Err(ClientError::Protocol(
                    "a line of the reply is too long".to_owned(),
                ));
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
