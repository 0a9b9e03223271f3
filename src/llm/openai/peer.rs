//! The server on the other side: how long it is waited for, and what errors may show of it.

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use crate::llm::{ModelError, ServerAddress};

/// How much of an answer that cannot be read goes into an error.
const EXCERPT_CHARS: usize = 300;

/// What stands in an error for the key or the password.
const REDACTED: &str = "[redacted]";

/// The server that a client speaks to.
pub(super) struct Peer {
    /// As `host:port`.
    server: String,
    /// What no error may show, even if the server sends it back.
    secrets: Vec<String>,
    read_timeout: Duration,
}

impl Peer {
    pub(super) fn new(server: &ServerAddress, secrets: Vec<String>, read_timeout: Duration) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        Self { server: server.to_string(), secrets, read_timeout }
    }

    pub(super) const fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Waits for the server's next sign, at most for the read timeout.
    pub(super) async fn wait_for<T>(&self, sign: impl Future<Output = reqwest::Result<T>>) -> Result<T, ModelError> {
        match timeout(self.read_timeout, sign).await {
            Ok(Ok(sign)) => Ok(sign),
            Ok(Err(error)) => {
                // The URL may hold credentials.
                let source = Box::new(error.without_url());
                Err(ModelError::Connection { server: self.server.clone(), source })
            }
            Err(_) => Err(ModelError::Timeout { server: self.server.clone(), after: self.read_timeout }),
        }
    }

    /// Reads a body up to its end or, what comes first, up to the limit; the second value is whether it is whole.
    pub(super) async fn read(
        &self,
        response: &mut Response,
        limit_bytes: usize,
    ) -> Result<(Vec<u8>, bool), ModelError> {
        let mut body = Vec::new();
        while let Some(bytes) = self.wait_for(response.chunk()).await? {
            let room = limit_bytes - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                return Ok((body, false));
            }
        }
        Ok((body, true))
    }

    /// Returns an error that shows the beginning of what the server sent.
    pub(super) fn unreadable(&self, reason: &str, received: &str) -> ModelError {
        // The reason may quote what was received, too.
        let (reason, received) = (self.excerpt(reason, EXCERPT_CHARS), self.excerpt(received, EXCERPT_CHARS));
        ModelError::Protocol { reason: format!("{reason}: {received:?}") }
    }

    /// Returns the beginning of a text, without secrets.
    pub(super) fn excerpt(&self, text: &str, most_chars: usize) -> String {
        // Redacted before it is cut, or the cut could leave half a key.
        let text = self.secrets.iter().fold(text.trim().to_owned(), |text, secret| text.replace(secret, REDACTED));
        match text.char_indices().nth(most_chars) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// Returns the beginning of a body, without secrets.
    pub(super) fn excerpt_of_body(&self, body: &[u8]) -> String {
        self.excerpt(&String::from_utf8_lossy(body), EXCERPT_CHARS)
    }
}
