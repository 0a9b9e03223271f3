//! The log of events and its readers.
//!
//! In flows an [`Event`](crate::event::Event); [`EventStream::append`] numbers it, keeps it in a bounded log and hands it on.
//! Out it flows through [`Subscription`]s (live and from any kept offset, filtered, [merged](Batched)) and through one
//! `tracing` event, by which a bridge such as the OpenTelemetry layer sees it. Nothing here knows who listens.

mod batch;
mod clock;
mod emission;
mod error;
mod event_stream;
mod filter;
mod log;
mod subscription;
mod waiters;

pub use batch::{BatchWindow, Batched};
#[cfg(feature = "otlp-http")]
pub(crate) use emission::unseen_events_in_process;
pub use emission::{ComponentContext, Emission, TRACING_TARGET};
pub use error::{Lagged, RecvError, TryRecvError};
pub(crate) use event_stream::Emitted;
#[cfg(feature = "otel")]
pub(crate) use event_stream::lagged_events_in_process;
pub use event_stream::{EventStream, EventStreamBuilder};
pub use subscription::Subscription;
