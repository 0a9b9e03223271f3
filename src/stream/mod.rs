//! The log of events and its readers.
//!
//! In flows an [`Event`](crate::event::Event); [`EventStream::append`] numbers it, keeps it in a bounded log and hands it on.
//! Out it flows through [`Subscription`]s (live and from any kept offset, filtered, [merged](Batched)) and through one
//! `tracing` event, by which a bridge such as the OpenTelemetry layer sees it. Nothing here knows who listens.

mod batch;
mod blocking;
#[cfg(feature = "ingest")]
mod callback;
mod clock;
mod contain;
mod dispatcher;
mod emission;
mod epoch;
mod error;
mod event_stream;
mod filter;
mod from_layers;
mod log;
mod placement;
mod shared;
mod subscription;
mod timeline;
mod waiters;
mod within;

pub use batch::{BatchWindow, Batched};
#[cfg(feature = "ingest")]
pub(crate) use callback::Callbacks;
#[cfg(all(feature = "ingest", feature = "otel"))]
pub(crate) use callback::{Bridge, register as register_bridge};
pub(crate) use clock::monotonic_now;
pub(crate) use contain::{contain, discard};
pub(crate) use dispatcher::Dispatcher;
#[cfg(feature = "otel")]
pub(crate) use emission::leave;
#[cfg(feature = "otlp-http")]
pub(crate) use emission::unseen_events_in_process;
pub use emission::{ComponentContext, Emission, TRACING_TARGET};
pub use epoch::{Epoch, EpochError};
pub use error::{Lagged, RecvError, TryRecvError};
pub(crate) use event_stream::WeakEventStream;
pub use event_stream::{EventStream, EventStreamBuilder};
pub(crate) use from_layers::{OpenFlag, Origin};
#[cfg(feature = "otel")]
pub(crate) use placement::find_carried_by;
pub(crate) use placement::{Carried, StreamId, carried, put_events_by};
#[cfg(feature = "otel")]
pub(crate) use shared::lagged_events_in_process;
pub(crate) use subscription::EndOfRun;
pub use subscription::Subscription;
