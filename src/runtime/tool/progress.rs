//! How a tool reports how far it is.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{component::Reporter, event::ToolProgress};

/// Marks where a progress message was cut.
const CUT_MARKER: &str = "… [cut]";

/// Reports progress: a sentence for people and, if the tool knows it, how far it is in its own measure.
///
/// It is called like a function, from any thread and any number of times; once the tool has ended it does nothing.
///
/// ```
/// # fn report(progress: agent_runtime::runtime::ProgressCallback) {
/// progress("read 3 of 10 pages".to_owned(), Some(3));
/// # }
/// ```
#[derive(Clone)]
pub struct ProgressCallback(Arc<Report>);

type Report = dyn Fn(String, Option<u64>) + Send + Sync;

impl ProgressCallback {
    /// The longest message in bytes; a longer one is cut, with a marker.
    pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

    /// How many bytes of messages one call of a tool may report; what comes after that is dropped, which one last message
    /// says.
    pub const MAX_BYTES_PER_CALL: usize = 1024 * 1024;

    /// Makes a callback of a function, for tests of a tool.
    pub fn new(report: impl Fn(String, Option<u64>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// A callback that reports through a component, within the limits of one call.
    pub(super) fn of(reporter: Reporter, tool_name: String) -> Self {
        let spent = AtomicUsize::new(0);
        Self::new(move |message, progress| {
            let message = cut(message);
            let before = spent.fetch_add(message.len(), Ordering::Relaxed);
            let message = if before + message.len() <= Self::MAX_BYTES_PER_CALL {
                message
            } else if before <= Self::MAX_BYTES_PER_CALL {
                format!("no more progress is shown: {} bytes a call are the limit", Self::MAX_BYTES_PER_CALL)
            } else {
                // Keeps the sum from running over, however long the tool goes on.
                spent.fetch_sub(message.len(), Ordering::Relaxed);
                return;
            };
            reporter.progress(Some(message), ToolProgress { tool_name: tool_name.clone(), progress });
        })
    }
}

impl Deref for ProgressCallback {
    type Target = Report;

    fn deref(&self) -> &Report {
        &*self.0
    }
}

impl fmt::Debug for ProgressCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressCallback").finish_non_exhaustive()
    }
}

fn cut(mut message: String) -> String {
    if message.len() > ProgressCallback::MAX_MESSAGE_BYTES {
        let end = message.floor_char_boundary(ProgressCallback::MAX_MESSAGE_BYTES - CUT_MARKER.len());
        message.truncate(end);
        message.push_str(CUT_MARKER);
    }
    message
}
