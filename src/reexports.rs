//! The crates whose types this crate's signatures name, in the versions that it names.
//!
//! A program that depends on another version of one of them has types of the same names that do not fit. The path through
//! here always fits:
//!
//! ```
//! # #[cfg(feature = "otel")] {
//! use agent_runtime::{
//!     otel::SpanMapper,
//!     reexports::{opentelemetry::trace::TracerProvider, opentelemetry_sdk::trace::SdkTracerProvider},
//! };
//!
//! let provider = SdkTracerProvider::builder().build();
//! let mapper = SpanMapper::new(provider.tracer("mine"));
//! # drop(mapper);
//! # }
//! ```
//!
//! A release that goes on to another major version of one of these crates is one of this crate's.

pub use async_trait;
pub use chrono;
pub use futures_util;
#[cfg(feature = "otel")]
pub use opentelemetry;
#[cfg(feature = "otel")]
pub use opentelemetry_sdk;
#[cfg(feature = "redaction")]
pub use regex;
#[cfg(feature = "openai")]
pub use reqwest;
pub use serde;
pub use serde_json;
pub use tokio;
pub use tracing;
#[cfg(feature = "otel")]
pub use tracing_subscriber;
pub use uuid;
