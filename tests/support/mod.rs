//! What the tests share: checks with a failure text that says what is wrong, a recording of spans, and collectors.

pub(crate) mod history;
pub(crate) mod process;
pub(crate) mod recording;
pub(crate) mod running;
pub(crate) mod scenes;
pub(crate) mod scripted_server;
pub(crate) mod sink;
pub(crate) mod spans;
pub(crate) mod story;

pub(crate) use agent_runtime::testing::{assert_balanced, dispatch as dispatch_of, set_default};
pub(crate) use recording::Recording;
pub(crate) use scenes::*;
pub(crate) use scripted_server::{HttpReply, RecordedRequest, ScriptedServer};
pub(crate) use spans::Spans;
