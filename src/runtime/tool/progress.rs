//! How a tool reports how far it is.

use std::{fmt, ops::Deref, sync::Arc};

use parking_lot::Mutex;

use crate::{
    component::{CUT_MARKER, Reporter},
    event::ToolProgress,
};

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

    /// How many reports one call of a tool may make; what comes after that is dropped, which one last message says. Far fewer
    /// than a stream keeps, so that a call that never awaits makes no reader miss anything.
    pub const MAX_REPORTS_PER_CALL: usize = 2_048;

    /// Makes a callback of a function, for tests of a tool.
    pub fn new(report: impl Fn(String, Option<u64>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// A callback that reports through a component, within the limits of one call.
    pub(super) fn of(reporter: Reporter, tool_name: String) -> Self {
        let spent = Mutex::new(Spent::default());
        Self::new(move |message, progress| {
            let message = cut(message);
            let Some(message) = spent.lock().admit(message) else { return };
            reporter.progress_with(Some(message), ToolProgress { tool_name: tool_name.clone(), progress });
        })
    }
}

/// What one call has reported so far.
#[derive(Default)]
struct Spent {
    reports: usize,
    bytes: usize,
    is_over: bool,
}

impl Spent {
    /// The message to show for a report: its own, for the first one too many what the limit is, and none after that.
    fn admit(&mut self, message: String) -> Option<String> {
        if self.is_over {
            return None;
        }
        let (reports, bytes) = (self.reports + 1, self.bytes + message.len());
        let limits = [
            (reports > ProgressCallback::MAX_REPORTS_PER_CALL, ProgressCallback::MAX_REPORTS_PER_CALL, "reports"),
            (bytes > ProgressCallback::MAX_BYTES_PER_CALL, ProgressCallback::MAX_BYTES_PER_CALL, "bytes"),
        ];
        if let Some((_, limit, unit)) = limits.into_iter().find(|(is_over, ..)| *is_over) {
            self.is_over = true;
            return Some(format!("no more progress is shown: {limit} {unit} a call are the limit"));
        }
        (self.reports, self.bytes) = (reports, bytes);
        Some(message)
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
