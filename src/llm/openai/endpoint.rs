//! Where requests go, and how much of that may be shown.

use std::fmt;

use reqwest::{
    Url,
    header::{HeaderValue, InvalidHeaderValue},
};

use crate::llm::{ModelError, ServerAddress};

/// The address of OpenAI's own API.
pub(super) const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The parameters of a query that are no secrets; the values of all others count as such.
const PUBLIC_PARAMETERS: [&str; 6] = ["alt", "api-version", "api_version", "apiversion", "v", "version"];

/// The length in bytes of the shortest value of a parameter or header that is kept out of errors. To hide a shorter one
/// would hide words of the error instead.
const MIN_SECRET_BYTES: usize = 4;

/// The address of a chat API.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// May hold secrets, so it is never shown.
    pub(super) url: Url,
    /// The base URL without credentials and query.
    pub(super) shown: String,
    pub(super) server: ServerAddress,
    /// What the URL holds that no error may show, in each form in which a server may repeat it.
    pub(super) secrets: Vec<String>,
}

impl Endpoint {
    /// Reads a base URL and adds a query; the credentials in the URL are left out of requests that have a key. No error
    /// shows the URL.
    pub(super) fn new(base_url: &str, query: &[(String, String)], has_key: bool) -> Result<Self, ModelError> {
        let invalid = |reason: &dyn fmt::Display| {
            ModelError::Configuration(format!("the base URL is not like `{OPENAI_BASE_URL}`: {reason}"))
        };
        let mut url = Url::parse(base_url.trim()).map_err(|error| invalid(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(&"it must begin with http:// or https://"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(invalid(&"it has no host"));
        };
        let server = ServerAddress::new(host.trim_matches(['[', ']']), port);
        let shown = format!("{}://{host}:{port}{}", url.scheme(), url.path());
        if url.path().trim_end_matches('/').ends_with("/chat/completions") {
            return Err(invalid(&"`/chat/completions` is added by the client"));
        }
        url.set_fragment(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let secrets = secrets_of(&url);
        // Two `Authorization` headers would be one too many.
        if has_key && (url.set_username("").is_err() || url.set_password(None).is_err()) {
            return Err(invalid(&"it cannot go without credentials"));
        }
        url.path_segments_mut()
            .map_err(|()| invalid(&"it cannot have a path"))?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(Self { url, shown, server, secrets })
    }

    /// Whether the path names a version of the API, as nearly all servers want.
    pub(super) fn has_version(&self) -> bool {
        let mut segments = self.url.path_segments().into_iter().flatten();
        segments
            .any(|segment| segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
    }
}

/// Marks a header's value as a secret, so that HTTP libraries do not log it.
pub(super) fn secret_header(value: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a value of a parameter or header is long enough to be kept out of errors.
pub(super) const fn is_hidden(value: &str) -> bool {
    value.len() >= MIN_SECRET_BYTES
}

/// The credentials and the query's values, as they stand in the URL and as they are meant.
fn secrets_of(url: &Url) -> Vec<String> {
    let mut secrets: Vec<String> = Vec::new();
    // A user name by itself is a token.
    let credential = url.password().or_else(|| Some(url.username()).filter(|name| !name.is_empty()));
    if let Some(credential) = credential {
        secrets.push(credential.to_owned());
        secrets.push(decoded(credential));
    }
    for pair in url.query().into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_public = PUBLIC_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
        if !is_public {
            let forms = [value.to_owned(), decoded(value), decoded(&value.replace('+', " "))];
            secrets.extend(forms.into_iter().filter(|form| is_hidden(form)));
        }
    }
    secrets
}

/// A text of a URL as it is meant.
fn decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [byte, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
