//! Where requests go, and how much of that may be shown.

use std::fmt;

use reqwest::Url;

use crate::llm::{ModelError, ServerAddress};

/// The address of OpenAI's own API.
pub(super) const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The address of a chat API.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// May hold credentials, so it is never shown.
    pub(super) url: Url,
    /// The base URL without credentials and query.
    pub(super) shown: String,
    pub(super) server: ServerAddress,
    /// The password that the base URL holds.
    pub(super) password: Option<String>,
}

impl Endpoint {
    /// Reads a base URL; the credentials in it are left out of requests that have a key. No error shows the URL.
    pub(super) fn from_base_url(base_url: &str, has_key: bool) -> Result<Self, ModelError> {
        let invalid = |reason: &dyn fmt::Display| {
            ModelError::Configuration(format!("the base URL is not like `{OPENAI_BASE_URL}`: {reason}"))
        };
        let mut url = Url::parse(base_url).map_err(|error| invalid(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(&"it must begin with http:// or https://"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(invalid(&"it has no host"));
        };
        let server = ServerAddress::new(host.trim_matches(['[', ']']), port);
        let shown = format!("{}://{host}:{port}{}", url.scheme(), url.path());
        let password = url.password().map(str::to_owned);
        // Two `Authorization` headers would be one too many.
        if has_key && (url.set_username("").is_err() || url.set_password(None).is_err()) {
            return Err(invalid(&"it cannot go without credentials"));
        }
        url.path_segments_mut()
            .map_err(|()| invalid(&"it cannot have a path"))?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(Self { url, shown, server, password })
    }
}
