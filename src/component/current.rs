//! Where the current task stands in the tree of components: set around each poll of a component's future.

use std::sync::Arc;

use super::{Run, RunOptions, place::Place, reporter::Reporter};
#[cfg(feature = "ingest")]
use crate::event::EventScope;
use crate::{
    event::{Event, EventError},
    stream::{Dispatcher, EventStream},
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
    pub(crate) const fn at(place: Place) -> Self {
        Self(Some(place))
    }

    /// The component that this is called in, whatever is nearest in it.
    #[cfg(feature = "ingest")]
    pub(crate) fn here() -> Self {
        Self(Place::get())
    }

    #[cfg(feature = "ingest")]
    pub(crate) fn place(self) -> Option<Place> {
        self.0
    }

    /// The component's run, unless its stream is closed.
    pub(super) fn its_run(&self) -> Option<Run> {
        self.0.as_ref().and_then(|place| Run::of(&place.voice.run))
    }

    #[cfg(feature = "ingest")]
    pub(crate) fn scope(&self) -> Option<EventScope> {
        self.0.as_ref().map(|place| place.voice.scope)
    }

    /// Whether the component is of a scope and called so.
    #[cfg(feature = "ingest")]
    pub(crate) fn is_called(&self, scope: EventScope, name: &str) -> bool {
        self.0.as_ref().is_some_and(|place| place.is_called(scope, name))
    }

    /// Whether it is the same component.
    #[cfg(feature = "ingest")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (Some(own), Some(other)) = (&self.0, &other.0) else { return false };
        Arc::ptr_eq(&own.voice, &other.voice)
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

    /// Begins a run of a workflow inside this one.
    pub(crate) fn nested(&self, workflow: &str, options: RunOptions) -> Self {
        let lineage = self.lineage();
        let options = options.inside(lineage, Place::around(lineage));
        Self::new(self.stream().clone(), workflow, options, lineage.dispatcher.clone())
    }

    /// Appends an event of this run that is of none of its components; a bad id is refused.
    pub(crate) fn emit(&self, mut event: Event) -> Result<Arc<Event>, EventError> {
        let lineage = self.lineage();
        lineage.adopt(&mut event);
        if let Some(around) = Place::around(lineage) {
            event.parent_start_id = Some(around.start_id());
            if around.is_seeded() {
                event.event_id = around.id_of_start(event.scope, &event.component_id);
            }
        }
        lineage.dispatcher.enter(|| self.stream().append(event))
    }
}

/// Begins a run of a workflow on a stream, nested in the run of the current component if the options name no other.
pub(crate) fn begin_run(stream: EventStream, workflow: &str, options: RunOptions) -> Run {
    let options = match Place::get().map(|place| place.voice) {
        Some(around) => options.inside(&around.run, Some(around.position.clone())),
        None => options,
    };
    Run::new(stream, workflow, options, Dispatcher::current())
}
