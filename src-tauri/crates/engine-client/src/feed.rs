//! The display feed as messages.

use crate::ClientError;
use crate::client::broken;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ui_types::feed::{self, Message};

/// Messages of a session's display feed, as they come.
#[derive(Debug)]
pub struct Feed {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Feed {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: Vec::new(),
        }
    }

    /// The next message; `None` when the engine closed the feed.
    ///
    /// # Errors
    /// A broken connection, or bytes that are no message.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            let decoded = Message::decode(&self.buffer)
                .map_err(|error| ClientError::Protocol(error.to_string()))?;
            if let Some((message, used)) = decoded {
                self.buffer.drain(..used);
                return Ok(Some(message));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The bytes of the next message, for a client that only passes them on; `None` when the engine
    /// closed the feed.
    ///
    /// # Errors
    /// A broken connection, or a length that no message has.
    pub async fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let length = feed::message_length(&self.buffer)
                .map_err(|error| ClientError::Protocol(error.to_string()))?;
            if let Some(length) = length.filter(|length| *length <= self.buffer.len()) {
                let rest = self.buffer.split_off(length);
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Takes more bytes off the connection; false when it has ended.
    async fn fill(&mut self) -> Result<bool, ClientError> {
        let Some(frame) = self.body.frame().await else {
            return Ok(false);
        };
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            self.buffer.extend_from_slice(&data);
        }
        Ok(true)
    }
}
