//! Where the current task stands in the tree of components: set around each poll of a component's future.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use super::{
    Run, RunOptions,
    lineage::Lineage,
    position::Position,
    reporter::{Reporter, Voice},
};
use crate::{
    event::EventScope,
    stream::{ComponentContext, Dispatcher, EventStream, contain},
};

/// The component that code runs in, for code that goes on elsewhere: in another task, on another thread. Cheap to clone.
///
/// Outside every component it is empty, and work runs as it would without it. It keeps no stream open.
///
/// ```
/// use agent_runtime::{component, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = EventStream::new();
/// let work = async {
///     let here = component::current();
///     std::thread::spawn(move || here.enter(|| drop(component::tool("count").start()))).join()
/// };
/// component::workflow(&stream, "report").run(async { work.await.map_err(|_| "the thread panicked") }).await?;
/// assert_eq!(stream.get_events(0).await[1].component_id, "count:0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Current(Option<Place>);

/// The component whose work is being polled. It keeps no stream open, since tasks that outlive the run carry it too.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) voice: Arc<Voice>,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
}

tokio::task_local! {
    static CURRENT: Place;
}

/// The component that this is called in, and the user's span inside it if that is the nearest.
#[must_use]
pub fn current() -> Current {
    Current(Place::get().map(Place::nearest))
}

/// The voice of the component that this is called in; a silent one outside every component.
#[must_use]
pub fn reporter() -> Reporter {
    Place::get().map_or_else(Reporter::default, |place| Reporter::of(place.voice))
}

impl Current {
    pub(super) const fn at(place: Place) -> Self {
        Self(Some(place))
    }

    pub(super) const fn nowhere() -> Self {
        Self(None)
    }

    /// Calls work inside the component: what it starts nests there.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(place) => place.enter(work),
            None => work(),
        }
    }

    /// The component's voice.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        self.0.as_ref().map_or_else(Reporter::default, |place| Reporter::of(Arc::clone(&place.voice)))
    }

    /// Whether there is a component.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The id of the component's run.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.0.as_ref().map(|place| place.voice.run.workflow_id.as_str())
    }
}

impl Place {
    /// The component that this is called in, if any.
    pub(super) fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Looks at the component that this is called in, if any.
    pub(super) fn with<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        CURRENT.try_with(look).ok()
    }

    /// The position that something of a run begins in: the current component if that is of the run, else the run's workflow,
    /// else, as the run begins, the current component if that is of the run around, else the workflow of that.
    pub(super) fn around(run: &Arc<Lineage>) -> Option<Position> {
        let current_if = |is_it: &dyn Fn(&Arc<Lineage>) -> bool| {
            Self::with(|place| is_it(&place.voice.run).then(|| place.voice.position.clone())).flatten()
        };
        current_if(&|current| Arc::ptr_eq(current, run))
            .or_else(|| run.workflow.get().map(|(_, position)| position.clone()))
            .or_else(|| current_if(&|current| Some(&current.workflow_id) == run.parent_workflow_id.as_ref()))
            .or_else(|| run.around.clone())
    }

    /// The nearest agent around what starts here in a run.
    pub(super) fn agent_in(&self, run: &Arc<Lineage>) -> Option<Arc<Voice>> {
        let around = &self.voice;
        if !Arc::ptr_eq(&around.run, run) {
            return None;
        }
        if around.scope == EventScope::Agent { Some(Arc::clone(around)) } else { around.agent.clone() }
    }

    /// The component, and the nearest context inside it: what is handed to another task.
    fn nearest(self) -> Self {
        let nearer = self.context.as_ref().and_then(|context| contain(|| context.nearer()).flatten());
        Self { context: nearer.or(self.context), ..self }
    }

    /// Calls `work` inside this component, under the subscriber that its run began under.
    fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let inside = || CURRENT.sync_scope(self.clone(), || self.in_context(work));
        self.voice.run.dispatcher.enter(inside)
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

impl Run {
    /// The run of the component that this is called in: a tool, a step, a model's client, or a task that one of them
    /// [spawned](super::spawn). `None` outside a component, and once the run's stream is closed.
    ///
    /// ```
    /// use agent_runtime::{component::Run, prelude::*};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let name = TransformStep::map("name", |_| json!(Run::current().map(|run| run.workflow_id().to_owned())));
    /// let run = Runtime::new().execute(&Workflow::new("names").add_step(name).build(), 1).await?;
    /// assert_eq!(run.output, run.workflow_id);
    /// assert!(Run::current().is_none());
    /// # Ok::<(), RunError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        Place::with(|place| Self::of(&place.voice.run)).flatten()
    }
}

/// Begins a run on a stream, nested in the run of the current component if the options name no other.
pub(crate) fn begin_run(stream: EventStream, options: RunOptions) -> Run {
    match Place::get() {
        Some(place) => Run::new(stream, options.inside(&place.voice.run), Dispatcher::current()),
        None => Run::new(stream, options, Dispatcher::current()),
    }
}
