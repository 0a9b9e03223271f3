//! How an [`OpenAiClient`] is set up: by hand or from the environment.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value as JsonValue};

use super::{
    client::OpenAiClient,
    dialect::{Dialect, Known},
    endpoint::{Endpoint, OPENAI_BASE_URL, is_hidden, secret_header},
    peer::Peer,
};
use crate::{
    environment::{self, EnvironmentError},
    http,
    llm::{ModelError, ServerAddress},
};

const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";
const API_KEY_VARIABLE: &str = "OPENAI_API_KEY";
const MODEL_VARIABLE: &str = "OPENAI_MODEL";

/// Sets up an [`OpenAiClient`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct OpenAiClientBuilder {
    model: String,
    provider: String,
    base_url: Option<String>,
    api_key: Option<String>,
    connect_timeout: Duration,
    read_timeout: Duration,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    extra_body: Map<String, JsonValue>,
    token_limit: Option<String>,
    carried: Vec<String>,
    left_out: Vec<String>,
    http: Option<Client>,
}

impl OpenAiClient {
    /// Sets up a client for a model.
    pub fn builder(model: impl Into<String>) -> OpenAiClientBuilder {
        OpenAiClientBuilder {
            model: model.into(),
            provider: Self::DEFAULT_PROVIDER.to_owned(),
            base_url: None,
            api_key: None,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            read_timeout: Self::DEFAULT_READ_TIMEOUT,
            query: Vec::new(),
            headers: Vec::new(),
            extra_body: Map::new(),
            token_limit: None,
            carried: Self::CARRIED_FIELDS.iter().map(|name| (*name).to_owned()).collect(),
            left_out: Vec::new(),
            http: None,
        }
    }

    /// Makes a client from the environment.
    ///
    /// `OPENAI_MODEL` names the model. `OPENAI_BASE_URL` is the address of the API, by default
    /// [`DEFAULT_BASE_URL`](Self::DEFAULT_BASE_URL). `OPENAI_API_KEY` is the key, required only by that default. An empty
    /// variable counts as not set.
    ///
    /// # Errors
    ///
    /// [`ModelError::Configuration`]
    ///
    /// - if a required variable is not set, or one is not UTF-8; the error names it,
    /// - if [`build`](OpenAiClientBuilder::build) refuses the values.
    pub fn from_env() -> Result<Self, ModelError> {
        from_lookup(environment::text)
    }
}

impl OpenAiClientBuilder {
    /// Sets the address of the API, up to and without `/chat/completions`: `http://localhost:8080/v1`.
    ///
    /// A query is kept. A user name and password in it are sent as basic authentication, unless there is an API key.
    /// By default, this is [`OpenAiClient::DEFAULT_BASE_URL`].
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Sets the key, sent as bearer token and never shown.
    ///
    /// By default, there is none, which local servers accept; only without a base URL it is required.
    pub fn with_api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = Some(api_key.into());
        self
    }

    /// Sets who answers, in the words of the OpenTelemetry attribute `gen_ai.provider.name`.
    ///
    /// By default, this is [`OpenAiClient::DEFAULT_PROVIDER`], `openai`, whatever the base URL.
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Sets how long to wait for a connection, name resolution and TLS included.
    ///
    /// By default, this is [`OpenAiClient::DEFAULT_CONNECT_TIMEOUT`], 10 seconds. Has no effect beside
    /// [`with_http_client`](Self::with_http_client).
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long to wait for the answer to begin and, once it has, for each of its next bytes.
    ///
    /// It limits a silence, not the answer, which may take as long as the server keeps sending. By default, this is
    /// [`OpenAiClient::DEFAULT_READ_TIMEOUT`], 5 minutes.
    pub const fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Adds a parameter to the query of each request, such as `api-version`.
    ///
    /// By default, there are those of the base URL. Errors show no values, apart from those of versions.
    pub fn with_query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header to each request, such as `api-key`, in the place of one of the same name. Errors show no values.
    ///
    /// By default, there is none.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a field to the body of each request, in the place of one of the same name: `top_k`, `reasoning_effort`, ….
    ///
    /// By default, there is none.
    pub fn with_extra_body(mut self, name: impl Into<String>, value: impl Into<JsonValue>) -> Self {
        self.extra_body.insert(name.into(), value.into());
        self
    }

    /// Sets the name under which the server knows the limit of tokens.
    ///
    /// By default, this is `max_completion_tokens` for OpenAI's own server and `max_tokens` for all others; a server that
    /// refuses one of these is asked with the other.
    pub fn with_token_limit_field(mut self, name: impl Into<String>) -> Self {
        self.token_limit = Some(name.into());
        self
    }

    /// Adds a field that goes back to the server with the message or the call that it came with.
    ///
    /// By default, these are [`OpenAiClient::CARRIED_FIELDS`].
    pub fn with_carried_field(mut self, name: impl Into<String>) -> Self {
        self.carried.push(name.into());
        self
    }

    /// Asks for answers without the usage at their end, for servers that refuse `stream_options`.
    ///
    /// By default, it is asked for until the server refuses it.
    pub fn without_stream_options(mut self) -> Self {
        self.left_out.push("stream_options".to_owned());
        self
    }

    /// Leaves a field out of each request, for servers that refuse it: `temperature`, say, or a field that goes back with
    /// messages.
    ///
    /// By default, a field is left out once the server has refused it by its name.
    pub fn without_field(mut self, name: impl Into<String>) -> Self {
        self.left_out.push(name.into());
        self
    }

    /// Asks for whole answers, for servers that refuse `stream`: each answer is one piece.
    ///
    /// By default, answers are streamed until the server refuses to.
    pub fn without_streaming(mut self) -> Self {
        self.left_out.push("stream".to_owned());
        self
    }

    /// Sets the HTTP client, for another proxy, certificates or connection pool.
    ///
    /// By default, a client is made that follows no redirects, since these would carry the chat to another server, and
    /// that uses the system's proxies, though not for a server on this machine.
    pub fn with_http_client(mut self, http: Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Makes the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ModelError::Configuration`]
    ///
    /// - if the model's name is empty,
    /// - if the base URL is not an `http` or `https` URL with a host,
    /// - if there is neither a base URL nor a key,
    /// - if the key or a header cannot be sent over HTTP,
    /// - if the HTTP client cannot be made, for lack of the system's certificates, say.
    pub fn build(self) -> Result<OpenAiClient, ModelError> {
        if self.model.trim().is_empty() {
            return Err(ModelError::Configuration("the model's name is empty".to_owned()));
        }
        if self.base_url.is_none() && self.api_key.is_none() {
            return Err(ModelError::Configuration(format!("{OPENAI_BASE_URL} needs an API key")));
        }
        if let Some(key) = &self.api_key {
            check_key(key)?;
        }
        let base_url = self.base_url.as_deref().unwrap_or(OPENAI_BASE_URL);
        let endpoint = Endpoint::new(base_url, &self.query, self.api_key.is_some())?;
        let headers = header_map(&self.headers)?;
        let http = match self.http {
            Some(http) => http,
            None => http_client(&endpoint.server, self.connect_timeout)?,
        };
        let of_headers = self.headers.into_iter().map(|(_, value)| value).filter(|value| is_hidden(value));
        let mut secrets: Vec<_> = self.api_key.iter().cloned().chain(of_headers).collect();
        secrets.extend(credentials(&http, &endpoint));
        let peer = Peer::new(&endpoint, secrets, self.read_timeout);
        let known = Known::default();
        known.set(Dialect::without(self.left_out));
        Ok(OpenAiClient {
            model: self.model,
            provider: self.provider,
            api_key: self.api_key,
            endpoint,
            headers,
            extra_body: self.extra_body,
            token_limit: self.token_limit,
            carried: self.carried,
            http,
            known: Arc::new(known),
            peer: Arc::new(peer),
        })
    }
}

impl fmt::Debug for OpenAiClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL is not parsed yet, so a password may stand anywhere in it.
        f.debug_struct("OpenAiClientBuilder")
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("base_url", &self.base_url.as_ref().map(|_| "…"))
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}

/// Builds a client from variables; an empty one counts as not set, as deployment tools like to leave them.
fn from_lookup(
    lookup: impl Fn(&'static str) -> Result<Option<String>, EnvironmentError>,
) -> Result<OpenAiClient, ModelError> {
    let read = |name| lookup(name).map_err(|error| ModelError::Configuration(error.to_string()));
    let model = read(MODEL_VARIABLE)?.ok_or_else(|| {
        ModelError::Configuration(format!("{MODEL_VARIABLE} is not set: it names the model, `gpt-4o-mini`, say"))
    })?;
    let mut builder = OpenAiClient::builder(model);
    builder.base_url = read(BASE_URL_VARIABLE)?;
    builder.api_key = read(API_KEY_VARIABLE)?;
    if builder.base_url.is_none() && builder.api_key.is_none() {
        return Err(ModelError::Configuration(format!(
            "{API_KEY_VARIABLE} is not set, which {OPENAI_BASE_URL} needs; for a server without keys set \
             {BASE_URL_VARIABLE}"
        )));
    }
    builder.build()
}

fn check_key(key: &str) -> Result<(), ModelError> {
    let sendable = !key.is_empty() && HeaderValue::from_str(key).is_ok();
    let error = "the API key is empty or has characters that an HTTP header cannot carry";
    if sendable { Ok(()) } else { Err(ModelError::Configuration(error.to_owned())) }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, ModelError> {
    let headers = headers.iter().map(|(name, value)| {
        let invalid = || ModelError::Configuration(format!("the header {name:?} cannot be sent over HTTP"));
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        Ok((name, secret_header(value).map_err(|_| invalid())?))
    });
    headers.collect()
}

/// What the HTTP client makes of a user name and a password in the URL.
fn credentials(http: &Client, endpoint: &Endpoint) -> Option<String> {
    let request = http.post(endpoint.url.clone()).build().ok()?;
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    value.split_once(' ').map(|(_, credentials)| credentials.to_owned())
}

fn http_client(server: &ServerAddress, connect_timeout: Duration) -> Result<Client, ModelError> {
    let builder = http::client(Some(&server.host)).connect_timeout(connect_timeout);
    builder.build().map_err(|error| ModelError::Configuration(format!("no HTTP client can be made: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{ChatModel, ChatRequest, GenerationOptions, ServerAddress};

    fn from_variables(variables: &[(&str, &str)]) -> Result<OpenAiClient, ModelError> {
        from_lookup(|name| {
            let value = variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.trim());
            Ok(value.filter(|value| !value.is_empty()).map(str::to_owned))
        })
    }

    #[test]
    fn the_environment_names_what_is_missing() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let error = from_variables(variables).unwrap_err();
            assert_eq!(error.code(), "configuration");
            assert!(error.to_string().contains(expected), "{variables:?}: {error}");
        };
        check(&[], "OPENAI_MODEL is not set");
        check(&[("OPENAI_MODEL", " ")], "OPENAI_MODEL is not set");
        check(&[("OPENAI_MODEL", "m")], "OPENAI_API_KEY is not set");
        check(&[("OPENAI_MODEL", "m"), ("OPENAI_API_KEY", "")], "OPENAI_API_KEY is not set");
        check(&[("OPENAI_MODEL", "m"), ("OPENAI_BASE_URL", "localhost:8080")], "http:// or https://");
    }

    #[test]
    fn the_environment_sets_up_a_client() {
        let local = from_variables(&[("OPENAI_MODEL", "m"), ("OPENAI_BASE_URL", "http://localhost:8080/v1")]).unwrap();
        assert_eq!((local.model(), local.provider()), ("m", "openai"));
        assert_eq!(local.server(), Some(ServerAddress::new("localhost", 8080)));
        assert_eq!(local.api_key, None);

        let openai = from_variables(&[("OPENAI_MODEL", "m"), ("OPENAI_API_KEY", " sk-1\n")]).unwrap();
        assert_eq!(openai.api_key.as_deref(), Some("sk-1"));
        assert_eq!(openai.endpoint.url.as_str(), "https://api.openai.com/v1/chat/completions");
    }

    #[test]
    fn a_variable_that_is_not_text_is_named() {
        let error = from_lookup(|name| Err(EnvironmentError::new(name, "…", "UTF-8"))).unwrap_err();
        assert!(error.to_string().contains("OPENAI_MODEL=\"…\" is not UTF-8"), "{error}");
    }

    #[test]
    fn the_endpoint_follows_from_the_base_url() {
        let check = |base_url: &str, endpoint: &str, host: &str, port: u16| {
            let client = OpenAiClient::builder("m").with_base_url(base_url).build().unwrap();
            assert_eq!(client.endpoint.url.as_str(), endpoint);
            assert_eq!(client.server(), Some(ServerAddress::new(host, port)));
        };
        check("https://a.example/v1", "https://a.example/v1/chat/completions", "a.example", 443);
        check("https://a.example/v1/", "https://a.example/v1/chat/completions", "a.example", 443);
        check("http://a.example", "http://a.example/chat/completions", "a.example", 80);
        check("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions", "::1", 8080);
        check("https://a.example/v1?v=2", "https://a.example/v1/chat/completions?v=2", "a.example", 443);
        check("http://u:p@a.example", "http://u:p@a.example/chat/completions", "a.example", 80);
    }

    #[test]
    fn a_setting_that_cannot_work_is_an_error_without_secrets() {
        let builder = OpenAiClient::builder;
        for (builder, expected) in [
            (builder("").with_api_key("hush"), "the model's name is empty"),
            (builder("m"), "needs an API key"),
            (builder("m").with_api_key("hush\n"), "the API key is empty or has"),
            (builder("m").with_api_key(""), "the API key is empty or has"),
            (builder("m").with_base_url("http://u:hush@ho st/v1"), "the base URL is not like"),
            (builder("m").with_base_url("u:hush@host/v1"), "the base URL is not like"),
            (builder("m").with_base_url("ftp://u:hush@host/v1"), "http:// or https://"),
            (builder("m").with_base_url("http://host/v1/chat/completions?key=hush"), "is added by the client"),
            (builder("m").with_base_url("http://host/v1").with_header("a b", "hush"), "the header \"a b\" cannot"),
            (builder("m").with_base_url("http://host/v1").with_header("a", "hush\n"), "the header \"a\" cannot"),
        ] {
            assert!(!format!("{builder:?}").contains("hush"), "{builder:?}");
            let error = builder.build().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_secrets() {
        let client = OpenAiClient::builder("m")
            .with_base_url("https://u:hush@a.example/v1?api-key=hush")
            .with_api_key("hush")
            .build()
            .unwrap();
        let shown = format!("{client:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("https://a.example:443/v1"), "{shown}");
        assert_eq!(client.endpoint.url.as_str(), "https://a.example/v1/chat/completions?api-key=hush");
    }

    #[test]
    fn the_key_travels_once_and_as_a_secret() {
        let builder = OpenAiClient::builder("m").with_base_url("http://user:hush@a.example/v1");
        let check = |builder: OpenAiClientBuilder, expected: &str| {
            let request = {
                let client = builder.build().unwrap();
                client.post(&ChatRequest::default(), &Map::new()).build().unwrap()
            };
            let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
            assert!(values.iter().all(|value| value.is_sensitive()));
            assert_eq!(values, [expected]);
            assert!(!format!("{request:?}").contains("hush"), "{request:?}");
        };
        check(builder.clone().with_api_key("hush"), "Bearer hush");
        check(builder, "Basic dXNlcjpodXNo");
    }

    #[test]
    fn the_limit_of_tokens_goes_by_the_name_that_the_server_knows() {
        let check = |base_url: &str, name: &str| {
            let client = OpenAiClient::builder("m").with_base_url(base_url).build().unwrap();
            let options = GenerationOptions::default().with_max_tokens(5);
            let body = client.body(&ChatRequest::default().with_options(options), &Dialect::default());
            assert_eq!(body[name], 5, "{body:?}");
            let names = ["max_tokens", "max_completion_tokens"];
            assert_eq!(names.iter().filter(|name| body.contains_key(**name)).count(), 1, "{body:?}");
        };
        check("https://api.openai.com/v1", "max_completion_tokens");
        check("http://localhost:11434/v1", "max_tokens");
    }
}
