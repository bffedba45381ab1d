//! The display feed as messages.

use crate::ClientError;
use crate::client::broken;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ui_types::feed::Message;

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
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
