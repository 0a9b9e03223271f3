//! Events to log events: one for each request to a model, one more for each that failed, and progress on request.

mod emitter;
mod open;
mod progress;

pub use emitter::LogEmitter;
