//! Engines for the event stores of [`agent_runtime::store`]: what a [`Recorder`](agent_runtime::store::Recorder) writes
//! outlives the process.
//!
//! [`SqliteStore`] is a file on this machine, for any number of processes. What an acknowledgment is worth:
//!
//! | store | an acknowledged event survives | unless |
//! | --- | --- | --- |
//! | `MemoryStore` of the runtime | nothing: it is for tests | |
//! | [`SqliteStore`], [`Durability::Process`], the default | the process's end, also by SIGKILL (`synchronous = NORMAL`) | the machine loses power: the last ones may be gone, those that are left are whole |
//! | [`SqliteStore`], [`Durability::Machine`] | the machine's loss of power (`synchronous = FULL`: `fsync` before each acknowledgment) | the disk says that it has written what it has not |
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use agent_runtime::{prelude::*, store::{Recorder, recover}};
//! use agent_runtime_store::SqliteStore;
//!
//! # async fn run(runtime: Runtime) -> Result<(), agent_runtime::store::StoreError> {
//! let store = Arc::new(SqliteStore::open("events.db").await?);
//! // What a process before this one left open is ended as interrupted.
//! recover(&*store).await?;
//! let recorder = Recorder::builder(store).start(runtime.event_stream()).await?;
//! // … run workflows …
//! assert!(recorder.stop().await.is_complete());
//! # Ok(())
//! # }
//! ```

mod sqlite;

/// The README's program, compiled as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use sqlite::{Durability, Repaired, SqliteStore, SqliteStoreBuilder, Verified};
