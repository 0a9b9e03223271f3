//! The event stream and its readers: one file for each promise.

mod batched;
mod blocking;
mod determinism;
mod filters;
mod lag;
mod layers;
mod order;
mod reentrancy;
mod resume;
mod subscription;
pub(crate) mod support;
mod waiting;
