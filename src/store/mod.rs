//! Events beyond the process: kept, read back, followed, shown again.
//!
//! In flow the events of an [`EventStream`](crate::stream::EventStream): a [`Recorder`] tails it in batches into an
//! [`EventStore`] and never slows it. Out they flow by [`EventStore::read`] and live by [`Follow`], from any [`Position`], which
//! means the same after a restart; [`Replay`] shows them again at their own pace. [`recover`] ends what a dead process left
//! open. The engines are crates of their own; [`MemoryStore`] is the reference that they are held against.
//!
//! ```
//! use std::sync::Arc;
//!
//! use agent_runtime::{prelude::*, store::{Cursor, EventStore, MemoryStore, Query, Recorder}};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new());
//! let runtime = Runtime::new();
//! let recorder = Recorder::builder(store.clone()).start(runtime.event_stream()).await?;
//! runtime.execute(&Workflow::new("empty").build(), "input").await?;
//! let report = recorder.stop().await;
//! assert_eq!((report.stored(), report.is_complete()), (2, true));
//!
//! let page = store.read(Cursor::Beginning, &Query::default().with_scope(EventScope::Workflow), 10).await?;
//! assert_eq!(page.events[0].event.event_type, EventType::Started);
//! // What was asked and answered is stored only if asked for.
//! assert_eq!(page.events[0].event.data["input"], JsonValue::Null);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backoff;
mod batch;
mod disclosure;
mod epochs;
mod error;
mod event_store;
mod follow;
mod memory;
mod position;
mod query;
mod recorder;
mod recovery;
mod replay;
mod retention;
mod stored_event;

pub use batch::{Batch, Gap, GapReason};
pub use disclosure::Disclosure;
pub use epochs::{EpochRecord, EpochState};
pub use error::StoreError;
pub use event_store::{EventStore, Page};
pub use follow::Follow;
pub use memory::MemoryStore;
pub use position::{Cursor, Position, PositionError};
pub use query::Query;
pub use recorder::{Recorder, RecorderBuilder, RecorderReport};
pub use recovery::{RECOVERY_STRIDE, Recovered, recover};
pub use replay::{Replay, ReplayControl, ReplayReport, Speed};
pub use retention::{Retention, Trimmed};
pub use stored_event::StoredEvent;
