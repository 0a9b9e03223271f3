//! One connection that is made again when it has ended, and what runs on it: one piece of work at a time, none for ever.

use std::sync::Arc;

use agent_runtime::store::StoreError;
use tokio::{
    runtime::Handle,
    sync::{MappedMutexGuard, Mutex, MutexGuard},
    time::error::Elapsed,
};
use tokio_postgres::Client;

use super::{
    connector::{Connector, Wakers},
    failure::Failure,
};

/// A connection of a handle.
#[derive(Debug)]
pub(super) struct Link {
    connector: Arc<Connector>,
    wakers: Wakers,
    /// What is said first in each session.
    greeting: String,
    live: Mutex<Option<Live>>,
}

/// The connection while some work has it.
#[derive(Debug)]
pub(super) struct Session<'a> {
    link: &'a Link,
    live: MappedMutexGuard<'a, Live>,
}

#[derive(Debug)]
struct Live {
    client: Client,
    /// Something did not end in time, so nobody knows what the session is at.
    is_lost: bool,
}

impl Link {
    pub(super) fn new(connector: Arc<Connector>, wakers: Wakers, greeting: String) -> Self {
        Self { connector, wakers, greeting, live: Mutex::new(None) }
    }

    /// Takes the connection, and makes it if there is none or it has ended.
    pub(super) async fn session(&self) -> Result<Session<'_>, StoreError> {
        Handle::try_current().map_err(|_| StoreError::NoRuntime)?;
        let mut guard = self.live.lock().await;
        if guard.as_ref().is_some_and(|live| live.is_lost || live.client.is_closed()) {
            *guard = None;
        }
        let live = match MutexGuard::try_map(guard, Option::as_mut) {
            Ok(live) => live,
            Err(guard) => {
                let client = self.connector.connect(&self.wakers, &self.greeting).await?;
                MutexGuard::map(guard, |live| live.insert(Live { client, is_lost: false }))
            }
        };
        Ok(Session { link: self, live })
    }
}

impl Session<'_> {
    /// The connection, for work that is then [settled](Self::settle). A transaction that is dropped is rolled back.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.live.client
    }

    /// Ends the work: what came of it within the limit.
    pub(super) fn settle<R>(mut self, doing: &str, done: Result<Result<R, Failure>, Elapsed>) -> Result<R, StoreError> {
        self.live.is_lost |= done.is_err();
        self.link.connector.settle(doing, done)
    }
}
