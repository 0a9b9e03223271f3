//! For tests of agents: runs that come out the same every time, and what they left behind.
//!
//! A [`Recorder`] has a [`Runtime`](crate::runtime::Runtime) whose ids are drawn from a seed and whose clock starts at a
//! fixed time; in a test with Tokio's time paused two runs then have the same events and spans, to the byte. It returns the
//! events, the spans and a drawing of the span tree, which [`assert_tree`](Recorder::assert_tree) compares with a file.
//! [`assert_balanced`] checks that every component that began also ended. A [`Recording`] has the spans alone, of runs on
//! whatever threads. [`assert_store_contract`] checks an engine for [`store`](crate::store). With [`ScriptedModel`](crate::llm::ScriptedModel) in the model's place no network is needed.
//!
//! Paused time needs `#[tokio::test(start_paused = true)]`, and that needs Tokio's feature `test-util`:
//!
//! ```toml
//! [dev-dependencies]
//! agent-runtime-otel = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use agent_runtime::{prelude::*, testing::{Recorder, assert_balanced}};
//!
//! #[tokio::test(start_paused = true)]
//! # async fn in_documentation() {}
//! async fn the_writer_takes_two_seconds() {
//!     let recorder = Recorder::new(1);
//!     let reply = ScriptedReply::text("two words").with_delay(Duration::from_secs(1));
//!     let model = Arc::new(ScriptedModel::new("script").with_reply(reply));
//!     let writer = AgentStep::new(Agent::builder("writer", model).build());
//!     recorder.runtime().execute(&Workflow::new("report").add_step(writer).build(), "write").await.unwrap();
//!
//!     assert_balanced(&recorder.events().await);
//!     # assert!(recorder.span_tree(&[]).contains("chat script 2s"), "{}", recorder.span_tree(&[]));
//!     # #[cfg(any())]
//!     recorder.assert_tree("tests/golden/report.tree", &["gen_ai.usage.output_tokens"]);
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
//! #     .block_on(the_writer_takes_two_seconds());
//! ```
//!
//! The file is written, and later updated, by `AGENT_RUNTIME_UPDATE_GOLDEN=1 cargo test`.

mod balance;
mod dispatch;
mod golden;
mod recorder;
mod recording;
mod spans;
mod store_contract;
mod tree;

pub use balance::{BalanceProblem, Imbalance, assert_balanced, balance_faults, check_balance, event_list};
pub use dispatch::{dispatch, set_default};
pub use golden::assert_golden;
pub use recorder::{Recorder, RecorderBuilder};
pub use recording::Recording;
pub use spans::{SpanPlace, Spans, attribute};
pub use store_contract::assert_store_contract;
pub use tree::span_tree;
