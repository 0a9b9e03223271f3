//! The event model and the event stream: one file for each promise.

mod batched;
mod constructors;
mod data;
mod determinism;
mod filters;
mod json;
mod lag;
mod layers;
mod order;
mod reentrancy;
mod resume;
mod subscription;
mod support;
