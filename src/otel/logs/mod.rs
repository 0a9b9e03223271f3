//! Events to log events: one for each request to a model, and one more for each that failed.

mod emitter;
mod open;

pub use emitter::LogEmitter;
