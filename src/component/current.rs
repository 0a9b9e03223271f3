//! Where the current task stands in the tree of components: set around each poll of a component's future.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use super::{Run, RunOptions};
use crate::stream::{ComponentContext, EventStream};

/// The component whose work is being polled.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) run: Run,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// The component that this is called in, if any.
    pub(super) fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// What is handed to another task: the component, and the nearest context inside it.
    pub(super) fn for_another_task() -> Option<Self> {
        let current = Self::get()?;
        let nearer = current.context.as_ref().and_then(|context| context.nearer());
        Some(Self { context: nearer.or(current.context), ..current })
    }

    /// Polls a future inside this component, always.
    pub(super) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.enter(|| future.as_mut().poll(cx))).await
    }

    /// Calls `work` inside this component.
    pub(super) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut work = Some(work);
        let mut result = None;
        let mut once = || {
            if let Some(work) = work.take() {
                result = Some(work());
            }
        };
        CURRENT.sync_scope(self.clone(), || match &self.context {
            Some(context) => {
                context.run(&mut once);
                // A context that does not run its work costs the trace, never the work.
                once();
            }
            None => once(),
        });
        result.expect("`once` ran, since both arms call it")
    }
}

/// Begins a run on a stream, nested in the run of the current component if the options name no other.
pub(crate) fn begin_run(stream: EventStream, options: RunOptions) -> Run {
    match Current::get() {
        Some(current) => Run::new(stream, options.inside(&current.run)),
        None => Run::new(stream, options),
    }
}
