//! A server as its user holds it: set up, mounted, ended.

use std::time::Duration;

use agent_runtime::{event::Event, store::Disclosure};
use axum::{Router, middleware, routing::get};
use tokio::sync::Semaphore;

use crate::{Source, access::Access, guard, limits::Limits, rest, shared::Shared, socket, sse};

/// Serves the events of a stream, a store or both. A clone is the same server.
///
/// ```
/// use agent_runtime::prelude::*;
/// use agent_runtime_server::EventServer;
///
/// let runtime = Runtime::new();
/// let events = EventServer::builder(runtime.event_stream().clone()).with_token("s3cret").build();
/// // Below a path of an application that has other routes.
/// let app: axum::Router = axum::Router::new().nest("/agents", events.router());
/// # drop(app);
/// ```
#[derive(Clone, Debug)]
pub struct EventServer {
    shared: Shared,
}

/// How an [`EventServer`] is set up.
#[derive(Clone, Debug)]
#[must_use]
pub struct EventServerBuilder {
    source: Source,
    disclosure: Disclosure,
    access: Access,
    limits: Limits,
}

/// The routes of a stream with every default, to be mounted in an application. For more, see [`EventServer::builder`].
pub fn router(source: impl Into<Source>) -> Router {
    EventServer::builder(source).build().router()
}

impl EventServer {
    /// How many clients of streams there may be at once by default.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 1_024;

    /// How many bytes a message of a client may have by default: 16 KiB. None is expected.
    pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 16 * 1024;

    /// How long it is quiet by default before a client is sent where it stands.
    pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

    /// How long a client may take by default to read a message before it is cut off.
    pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long clients may take by default to leave when the server ends.
    pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

    /// Sets up a server.
    pub fn builder(source: impl Into<Source>) -> EventServerBuilder {
        EventServerBuilder {
            source: source.into(),
            disclosure: Disclosure::default(),
            access: Access::default(),
            limits: Limits {
                connections: Self::DEFAULT_MAX_CONNECTIONS,
                message_bytes: Self::DEFAULT_MAX_MESSAGE_BYTES,
                heartbeat: Self::DEFAULT_HEARTBEAT,
                send_timeout: Self::DEFAULT_SEND_TIMEOUT,
                shutdown_timeout: Self::DEFAULT_SHUTDOWN_TIMEOUT,
            },
        }
    }

    /// The routes, to be mounted in an application, at its root or below a path.
    ///
    /// Every check of host, origin and token is part of them, and none of it touches the application's other routes.
    pub fn router(&self) -> Router {
        let shared = &self.shared;
        Router::new()
            .route("/stream", get(sse::get))
            .route("/socket", get(socket::get))
            .route("/events", get(rest::page))
            .route("/runs", get(rest::list))
            .route("/runs/{workflow_id}", get(rest::run))
            .route("/openapi.json", get(rest::description))
            .layer(middleware::from_fn_with_state(shared.clone(), guard::check))
            .with_state(shared.clone())
    }

    /// How many clients of streams are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Takes no more clients, sends all that there are the end, and waits until they have left, as long as
    /// [`with_shutdown_timeout`](EventServerBuilder::with_shutdown_timeout) says. Returns whether all have.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled, clients are sent the end.
    pub async fn shutdown(&self) -> bool {
        self.shared.shutdown().await
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits()
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.shared.access().token.is_some()
    }
}

impl EventServerBuilder {
    /// Sets whether what was asked and answered is handed out. By default, it is not: of an event's data only numbers and names
    /// stay, and of its message the application's words. See [`Disclosure::with_content`].
    pub fn with_content(mut self, disclosed: bool) -> Self {
        self.disclosure = self.disclosure.with_content(disclosed);
        self
    }

    /// Sets what every event passes before it is handed out, such as `move |event| policy.redact_event(event)`. By default,
    /// nothing is redacted. See [`Disclosure::with_redaction`].
    pub fn with_redaction(mut self, redaction: impl Fn(&mut Event) + Send + Sync + 'static) -> Self {
        self.disclosure = self.disclosure.with_redaction(redaction);
        self
    }

    /// Sets a token that every request has to bring, as `Authorization: Bearer TOKEN`. By default, there is none.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.access.token = Some(token.into());
        self
    }

    /// Sets whether the token may also be the parameter `access_token`, for `EventSource` and `WebSocket` in browsers, which
    /// cannot send it otherwise. By default, it may not: addresses are written to logs.
    pub const fn with_token_in_query(mut self, allowed: bool) -> Self {
        self.access.token_in_query = allowed;
        self
    }

    /// Adds a name, with a port or without, under which the server is reached: `agents.example.com`. By default, the names and
    /// addresses of the machine itself, so that no foreign name that is pointed at it (DNS rebinding) reaches it.
    pub fn with_allowed_host(mut self, host: impl Into<String>) -> Self {
        self.access.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// Adds an origin whose pages may read: `https://console.example.com`. By default, only pages of the server's own origin.
    pub fn with_allowed_origin(mut self, origin: impl Into<String>) -> Self {
        self.access.origins.push(origin.into().trim_end_matches('/').to_ascii_lowercase());
        self
    }

    /// Sets how many clients of streams there may be at once; more are refused with 503. By default,
    /// [`DEFAULT_MAX_CONNECTIONS`](EventServer::DEFAULT_MAX_CONNECTIONS).
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.limits.connections = connections.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many bytes a message of a client may have; one that sends more is cut off. By default,
    /// [`DEFAULT_MAX_MESSAGE_BYTES`](EventServer::DEFAULT_MAX_MESSAGE_BYTES).
    pub const fn with_max_message_bytes(mut self, bytes: usize) -> Self {
        self.limits.message_bytes = bytes;
        self
    }

    /// Sets how long it is quiet before a client is sent where it stands. By default,
    /// [`DEFAULT_HEARTBEAT`](EventServer::DEFAULT_HEARTBEAT).
    pub const fn with_heartbeat(mut self, heartbeat: Duration) -> Self {
        self.limits.heartbeat = heartbeat;
        self
    }

    /// Sets how long a client may take to read a message before it is cut off. By default,
    /// [`DEFAULT_SEND_TIMEOUT`](EventServer::DEFAULT_SEND_TIMEOUT).
    ///
    /// For Server-Sent Events of a mounted router the application's server has to see to it, which alone holds the socket.
    pub const fn with_send_timeout(mut self, timeout: Duration) -> Self {
        self.limits.send_timeout = timeout;
        self
    }

    /// Sets how long clients may take to leave when the server ends. By default,
    /// [`DEFAULT_SHUTDOWN_TIMEOUT`](EventServer::DEFAULT_SHUTDOWN_TIMEOUT).
    pub const fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.limits.shutdown_timeout = timeout;
        self
    }

    /// Makes the server.
    #[must_use]
    pub fn build(self) -> EventServer {
        let Self { source, disclosure, access, limits } = self;
        EventServer { shared: Shared::new(source, disclosure, access, limits) }
    }
}
