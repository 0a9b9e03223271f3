//! Engines for the event stores of [`agent_runtime::store`]: what a [`Recorder`](agent_runtime::store::Recorder) writes
//! outlives the process.
//!
//! [`SqliteStore`] is a file on this machine, for any number of processes. `PostgresStore` is a schema of a database, for
//! processes on any number of machines. `SegmentStore` is an archive of compressed, immutable objects. What an acknowledgment is worth:
//!
//! | store | an acknowledged event survives | unless |
//! | --- | --- | --- |
//! | `MemoryStore` of the runtime | nothing: it is for tests | |
//! | [`SqliteStore`], [`Durability::Process`], the default | the process's end, also by SIGKILL (`synchronous = NORMAL`) | the machine loses power: the last ones may be gone, those that are left are whole |
//! | [`SqliteStore`], [`Durability::Machine`] | the machine's loss of power (`synchronous = FULL`: `fsync` before each acknowledgment) | the disk says that it has written what it has not |
//! | `PostgresStore` | the end of the process, of the server and of its machine (`synchronous_commit = on`: in the server's log on disk, and on its synchronous standbys if it has any) | the server runs with `fsync = off`, or fails over to a standby that is not synchronous |
//! | `SegmentStore` in a folder | the machine's loss of power (`fsync` of object and folder before each acknowledgment) | the disk says that it has written what it has not |
//! | `SegmentStore` in a bucket | whatever an object of the bucket survives, once its put was answered | |
//!
//! | feature | adds |
//! | --- | --- |
//! | `sqlite`, on by default | [`SqliteStore`] |
//! | `postgres` | `PostgresStore` |
//! | `object-store` | `SegmentStore` in a folder |
//! | `s3` | `SegmentStore` in a bucket too |
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

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod nanos;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "object-store")]
mod segments;
#[cfg(feature = "sqlite")]
mod sqlite;

/// The README's program, compiled as a documentation test.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "object-store")]
pub use segments::{RepairedSegments, SegmentStore, SegmentStoreBuilder, VerifiedSegments};
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, Repaired, SqliteStore, SqliteStoreBuilder, Verified};
