//! A runtime for AI-agent workflows that shows what it does, live and in the tools that you already run.
//!
//! Every part of a run (workflow, step, agent, model request, tool) says when it starts, how far it is and how it ended,
//! as a typed [`Event`](event::Event). In-process subscribers get the events live and in order; a `tracing` layer makes
//! nested OpenTelemetry spans of them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use agent_runtime::prelude::*;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("Hello there")));
//! let greeter = Agent::builder("greeter", model).with_system_prompt("You greet people.").build();
//! let workflow = Workflow::new("greeting").add_step(AgentStep::new(greeter)).build();
//!
//! let runtime = Runtime::new();
//! let mut events = runtime.event_stream().subscribe().filter(EventScope::LlmRequest);
//! let run = runtime.execute(&workflow, "Hi!").await?;
//! assert_eq!(run.output, "Hello there");
//!
//! let started = events.recv().await?;
//! assert_eq!((started.event_type, started.component_id.as_str()), (EventType::Started, "greeter:llm:0"));
//! assert_eq!(events.recv().await?.data["chunk"], "Hello ");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To see the run in Jaeger, set up [`Telemetry`](otel::Telemetry) before it:
//!
//! ```no_run
//! # #[cfg(feature = "otlp-http")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use agent_runtime::otel::Telemetry;
//!
//! let telemetry = Telemetry::from_env("my-agents")?.install()?;
//! // … run workflows …
//! telemetry.shutdown()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "otlp-http"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `ingest` | yes | [`ingest`], which makes components of the spans of other libraries |
//! | `openai` | yes | [`OpenAiClient`](llm::OpenAiClient), for OpenAI and every server that speaks its chat API |
//! | `otel` | yes | [`otel`]: events onto OpenTelemetry, for providers of the user's |
//! | `otlp-http` | yes | [`Telemetry`](otel::Telemetry), the set-up call that exports over OTLP by HTTP; with it comes `otel` |
//! | `otlp-grpc` | no | `OTEL_EXPORTER_OTLP_PROTOCOL=grpc` for `Telemetry`; with it comes `otlp-http` |
//! | `redaction` | yes | [`PatternRedactor`](otel::PatternRedactor), which takes keys, e-mail addresses and the like out of telemetry; with it comes `otel` |
//! | `adopt-spans` | no | `ingest` beside a `tracing-opentelemetry` layer: the components have its spans; with it come `ingest` and `otel` |
//! | `testing` | no | the module `testing`, for tests of agents; with it comes `otel` |
//!
//! The crates whose types signatures here name are re-exported in [`reexports`].
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod component;
#[cfg(any(feature = "openai", feature = "otel"))]
mod environment;
pub mod event;
#[cfg(any(feature = "openai", feature = "otlp-http"))]
mod http;
#[cfg(feature = "ingest")]
pub mod ingest;
pub mod llm;
#[cfg(feature = "otel")]
pub mod otel;
pub mod prelude;
pub mod reexports;
pub mod runtime;
pub mod store;
pub mod stream;
#[cfg(feature = "testing")]
pub mod testing;
pub mod view;
mod wording;

#[cfg(any(feature = "openai", feature = "otel"))]
pub use environment::EnvironmentError;

/// The README's programs, compiled as documentation tests.
#[cfg(all(doctest, feature = "openai", feature = "otlp-http"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's programs, compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
