//! A tool: what a model can have done, and one call of it as one component.

mod arguments;
mod call;
mod definition;
mod fn_tool;
mod progress;

pub(super) use arguments::{object_text, parse_arguments};
pub(super) use call::{UNNAMED_TOOL, call};
pub use definition::Tool;
pub use fn_tool::FnTool;
pub use progress::ProgressCallback;
