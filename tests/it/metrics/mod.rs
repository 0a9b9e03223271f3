//! Metrics: what is measured, under which names and labels, and how it leaves the process.

mod cardinality;
mod conformance;
#[cfg(feature = "otlp-http")]
mod export;
mod harness;
mod lifecycle;
mod money;
mod progress;
mod scenario;
mod sums;
