//! What all requests of one server share: whence it reads, and how many may read.

use std::sync::Arc;

use agent_runtime::store::Disclosure;
use axum::http::StatusCode;
use tokio::{
    sync::{Semaphore, SemaphorePermit, TryAcquireError, watch},
    time::timeout,
};

use crate::{
    Source,
    access::Access,
    feed::{Feed, FeedError},
    limits::Limits,
    refusal::Refusal,
    request::StreamRequest,
    session::Session,
};

/// How many questions are answered at once; others wait.
const MAX_QUERIES: usize = 4;

/// What all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    disclosure: Disclosure,
    access: Access,
    limits: Limits,
    connections: Arc<Semaphore>,
    queries: Semaphore,
    shutdown: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(source: Source, disclosure: Disclosure, access: Access, limits: Limits) -> Self {
        let connections = Arc::new(Semaphore::new(limits.connections));
        let shutdown = watch::Sender::new(false);
        let queries = Semaphore::new(MAX_QUERIES);
        Self(Arc::new(Inner { source, disclosure, access, limits, connections, queries, shutdown }))
    }

    /// How many clients of streams are connected.
    pub(crate) fn connections(&self) -> usize {
        self.0.limits.connections - self.0.connections.available_permits()
    }

    /// Lets nobody in any more, sends all that are there the end, and says whether they have left in time.
    pub(crate) async fn shutdown(&self) -> bool {
        let inner = &self.0;
        inner.shutdown.send_replace(true);
        let all = u32::try_from(inner.limits.connections).unwrap_or(u32::MAX);
        timeout(inner.limits.shutdown_timeout, inner.connections.acquire_many(all)).await.is_ok()
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// A client's session, unless there are too many.
    pub(crate) async fn open(&self, request: StreamRequest) -> Result<Session, Refusal> {
        let inner = &self.0;
        let shutdown = inner.shutdown.subscribe();
        if *shutdown.borrow() {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the server shuts down"));
        }
        let permit = Arc::clone(&inner.connections).try_acquire_owned().map_err(|error| {
            let (TryAcquireError::NoPermits | TryAcquireError::Closed) = error;
            let message =
                format!("there are {} connections, which is the most: come back later", inner.limits.connections);
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message)
        })?;
        let feed = self.feed(request).await?;
        Ok(Session::new(feed, inner.limits.heartbeat, shutdown, permit))
    }

    /// The events that a request asks for.
    pub(crate) async fn feed(&self, request: StreamRequest) -> Result<Feed, Refusal> {
        let StreamRequest { from, filter, window } = request;
        Ok(Feed::new(&self.0.source, self.0.disclosure.clone(), from, filter, window).await?)
    }

    /// Waits for a turn to read for one answer.
    pub(crate) async fn query(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.queries.acquire().await.ok()
    }
}

impl From<FeedError> for Refusal {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Ahead { .. } => {
                Self::malformed("the position", format!("{error}; take an id that this server has sent"))
            }
            FeedError::Closed => Self::new(StatusCode::GONE, "closed", error.to_string()),
            FeedError::Store(error) => {
                tracing::warn!(target: "agent_runtime::server", %error, "a request is refused: the store cannot be read");
                let message = "the store cannot be read now: come back later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message)
            }
        }
    }
}
