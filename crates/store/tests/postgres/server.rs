//! A running Postgres, which ends with its guard.

use std::{fs, sync::Arc, time::Duration};

use agent_runtime::{
    event::Event,
    prelude::json,
    store::{EpochState, EventStore, StoreError, StoredEvent},
    stream::{Epoch, EventStream},
};
use agent_runtime_store::PostgresStore;

pub(crate) use crate::events::append;
use crate::{events, stack::Stack};

/// How long a test waits for what must come, so that it fails and does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Server(Stack);

impl Server {
    /// Starts a server, or says why the test is skipped.
    pub(crate) fn up(test: &str) -> Option<Self> {
        Stack::up(test, &["postgres"]).map(Self)
    }

    /// A connection string without TLS.
    pub(crate) fn url(&self) -> String {
        format!("{}?sslmode=disable", self.0.get("POSTGRES"))
    }

    /// One that insists on it.
    pub(crate) fn url_with_tls(&self) -> String {
        format!("{}?sslmode=require", self.0.get("POSTGRES"))
    }

    /// The certificate of the server.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        fs::read(self.0.file("postgres/server.crt")).expect("`up` has made it")
    }

    /// A new handle.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.url()).await.expect("the server takes the user")
    }

    /// Does `kill` (SIGKILL), `stop` or `start`; returns when it is gone, or ready again.
    pub(crate) fn part(&self, action: &str) {
        self.0.part(action, "postgres");
    }
}

/// Events as a stream has numbered them.
pub(crate) fn events(stream: &EventStream, count: usize) -> Vec<Arc<Event>> {
    let event = |index: usize| {
        let data = json!({ "chunk": format!("piece {index} ") });
        let event = Event::llm_progress("agent:llm:0", None, Some("run".to_owned()), None, data);
        stream.append(event).expect("it is valid")
    };
    (0..count).map(event).collect()
}

pub(crate) async fn read_all(store: &dyn EventStore) -> Vec<StoredEvent> {
    events::read_all(store).await.expect("the store can be read")
}

/// Waits until an epoch is in a state.
pub(crate) async fn until(store: &dyn EventStore, epoch: Epoch, wanted: EpochState) {
    let wait = async {
        loop {
            let records = store.epochs().await.unwrap_or_default();
            if records.iter().any(|record| record.epoch == epoch && record.state == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("epoch {epoch} is never {wanted:?}"));
}

/// What a call has brought; nothing, after a moment, if the same call may succeed later.
pub(crate) async fn or_later<R>(done: Result<R, StoreError>) -> Option<R> {
    match done {
        Ok(done) => Some(done),
        Err(error) => {
            assert!(error.is_retryable(), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}
