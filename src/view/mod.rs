//! Views of what happened: pure folds over events.
//!
//! Events go in by `observe` or `extend`, in the order of their stream; a value comes out that can be asked and that prints
//! itself. A view holds no terminal, no page and no connection, its memory has a documented bound, and it counts what it did
//! not keep.
//!
//! | view | what it shows |
//! | --- | --- |
//! | [`Tree`] | every component in its place, with status, duration and tokens |
//! | [`StatusBoard`] | for each run what is open and how the rest ended |
//! | [`UsageReport`] | requests, tokens and cost, by model, by agent and in total |
//! | [`Live`] | lines for people, as the events come |
//!
//! A run on the screen, without a backend:
//!
//! ```
//! use agent_runtime::{prelude::*, view::Tree};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let tidy = TransformStep::new("tidy", |text: JsonValue| async move { Ok::<_, ToolError>(text) });
//! let runtime = Runtime::new();
//! runtime.execute(&Workflow::new("report").add_step(tidy).build(), "a question").await?;
//!
//! let events = runtime.event_stream().get_events(0).await;
//! println!("{}", Tree::of(&events));
//! assert_eq!(Tree::of(&events).outline(), "invoke_workflow report\n  workflow_step tidy\n");
//! # Ok::<(), RunError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod drawing;
mod live;
mod node;
mod status;
mod text;
mod tree;
mod usage;

pub use drawing::{Drawing, DrawingNode};
pub use live::Live;
pub use node::TreeNode;
pub use status::{RunStatus, StatusBoard};
pub use tree::Tree;
pub use usage::{UsageReport, UsageTotals};
