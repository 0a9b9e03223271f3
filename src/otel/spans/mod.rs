//! Events onto spans: what is open, what its progress is merged to, and the context that its work runs in.

mod context;
mod ids;
mod mapper;
mod open;
mod parents;
mod span;
mod user_events;
mod writer;

pub(super) use context::of_the_caller;
pub use ids::EventIdGenerator;
pub use mapper::{DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_SPAN_AGE, Observed, SpanMapper};
pub(super) use user_events::is_taken as takes_user_event;
