//! Where the current task stands in the tree of components: set around each poll of a component's future.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use super::{Run, RunOptions, lineage::Lineage};
use crate::stream::{ComponentContext, Dispatcher, EventStream, contain};

/// The component whose work is being polled. It keeps no stream open, since tasks that outlive the run carry it too.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) run: Arc<Lineage>,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
}

/// The future of a component's work, which is dropped inside the component as well: what its destructors trace and ask
/// for belongs there.
struct Work<'a, F: Future> {
    current: Current,
    future: Pin<&'a mut Option<F>>,
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
        let nearer = current.context.as_ref().and_then(|context| contain(|| context.nearer()).flatten());
        Some(Self { context: nearer.or(current.context), ..current })
    }

    /// Polls a future inside this component, always, and drops it there.
    pub(super) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut work = Work { current: self, future: pin!(Some(future)) };
        poll_fn(|cx| work.poll(cx)).await
    }

    /// Calls `work` inside this component, under the subscriber that its run began under.
    pub(super) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let inside = || CURRENT.sync_scope(self.clone(), || self.in_context(work));
        self.run.dispatcher.enter(inside)
    }

    fn in_context<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(context) = &self.context else { return work() };
        let mut work = Some(work);
        let mut result = None;
        let mut once = || {
            if let Some(work) = work.take() {
                result = Some(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        // A context that panics, or does not run its work, costs the trace and never the work.
        contain(|| context.run(&mut once));
        once();
        match result.expect("`once` ran, since it was called") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl<F: Future> Work<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { current, future } = self;
        let future = future.as_mut().as_pin_mut().expect("the future is there until the drop");
        current.enter(|| future.poll(cx))
    }
}

impl<F: Future> Drop for Work<'_, F> {
    fn drop(&mut self) {
        let Self { current, future } = self;
        current.enter(|| future.set(None));
    }
}

/// Begins a run on a stream, nested in the run of the current component if the options name no other.
pub(crate) fn begin_run(stream: EventStream, options: RunOptions) -> Run {
    match Current::get() {
        Some(current) => Run::new(stream, options.inside(&current.run), Dispatcher::current()),
        None => Run::new(stream, options, Dispatcher::current()),
    }
}
