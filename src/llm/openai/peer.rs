//! The server on the other side: how long it is waited for, and what errors may show of it.

use std::time::Duration;

use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName},
};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use crate::llm::ModelError;

/// How much of an answer that cannot be read goes into an error.
const EXCERPT_CHARS: usize = 300;

/// What stands in an error for a secret.
const REDACTED: &str = "[redacted]";

/// The server that a client speaks to.
pub(super) struct Peer {
    /// As `host:port`.
    server: String,
    /// The address that is asked, without credentials and query.
    asked: String,
    /// What no error may show, even if the server sends it back; longest first, so that none hides a part of another.
    secrets: Vec<String>,
    read_timeout: Duration,
}

impl Peer {
    pub(super) fn new(endpoint: &Endpoint, mut secrets: Vec<String>, read_timeout: Duration) -> Self {
        secrets.extend(endpoint.secrets.iter().cloned());
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        let asked = format!("{}/chat/completions", endpoint.shown.trim_end_matches('/'));
        Self { server: endpoint.server.to_string(), asked, secrets, read_timeout }
    }

    pub(super) const fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// The address that is asked, without credentials and query.
    pub(super) fn asked(&self) -> &str {
        &self.asked
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

    /// Reads a body up to its end or, what comes first, up to the limit.
    pub(super) async fn read(&self, response: &mut Response, limit_bytes: usize) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(bytes) = self.wait_for(response.chunk()).await? {
            let room = limit_bytes - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                break;
            }
        }
        Ok(body)
    }

    /// Returns an error that shows the beginning of what the server sent, and its label.
    pub(super) fn unreadable(&self, reason: &str, label: &str, received: &[u8]) -> ModelError {
        // The reason may quote what was received, too.
        let (reason, received) = (self.excerpt(reason, EXCERPT_CHARS), self.excerpt_of_body(received));
        ModelError::Protocol { reason: format!("{reason}{label}: {received:?}") }
    }

    /// Returns how the server labels a body, for an error.
    pub(super) fn label(&self, headers: &HeaderMap) -> String {
        let mut label = String::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = text(headers, &name) {
                let before = if label.is_empty() { " (" } else { ", " };
                label += &format!("{before}{name} {}", self.excerpt(value, EXCERPT_CHARS));
            }
        }
        if label.is_empty() { " (no content-type)".to_owned() } else { label + ")" }
    }

    /// Returns the beginning of a text, without secrets.
    pub(super) fn excerpt(&self, text: &str, most_chars: usize) -> String {
        // Redacted before it is cut, or the cut could leave half a key.
        let text = self.without_secrets(text.trim());
        match text.char_indices().nth(most_chars) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// Returns a text without secrets.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// Returns the beginning of a body, without secrets.
    pub(super) fn excerpt_of_body(&self, body: &[u8]) -> String {
        self.excerpt(&String::from_utf8_lossy(body), EXCERPT_CHARS)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
