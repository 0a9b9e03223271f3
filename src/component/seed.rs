//! What the ids of a run follow from, so that a run which is taken up again has the same.

use uuid::Uuid;

use crate::event::ids;

/// Which run it is and which attempt at it: what the ids of the run's events and spans follow from.
///
/// A worker that dies in the middle of a run, and another one that takes the run up with the same seed, emit the same ids for
/// the same components, so that a backend which keeps each id once has one whole trace. Another attempt has other ids, in the
/// same trace. For a job of a queue, a Temporal activity or a Restate handler, run and attempt are what that system calls so.
///
/// An id follows from the seed and from the component's position: what it began in, its scope, its name, and how many of that
/// name have begun there before. It depends neither on what else runs nor on what was done before and is left out now. Only
/// equal ones are counted: of those leave out all or none, or name them apart. The same seed is for one run at a time; where an
/// attempt came to an end, also to a bad one, the next one needs another number.
///
/// A component that adopts the span of another `tracing` layer (feature `adopt-spans`) has event ids that follow from the seed
/// and the span id that the layer drew. Taken up again it has the same event ids and another span, so that a backend shows both
/// spans, in the run's one trace.
///
/// ```
/// use agent_runtime::{component::{self, RunOptions, Seed}, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let work = async |done: bool| {
///     let stream = EventStream::new();
///     let steps = async {
///         if !done {
///             component::step("load").run(async { Ok::<_, RunError>(()) }).await?;
///         }
///         component::step("report").run(async { Ok::<_, RunError>(()) }).await
///     };
///     let options = RunOptions::default().with_seed(Seed::new("job-17", 1));
///     component::workflow(&stream, "job").with_options(options).run(steps).await?;
///     Ok::<_, RunError>(stream.get_events(0).await)
/// };
/// let (first, again) = (work(false).await?, work(true).await?);
/// assert_eq!(again[0].event_id, first[0].event_id);
/// assert_eq!(again[1].event_id, first[3].event_id, "the step `report`");
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    run_id: String,
    attempt: u32,
}

impl Seed {
    /// Makes the seed of an attempt at a run. The run's id must be one among all that reach one backend.
    #[must_use]
    pub fn new(run_id: impl Into<String>, attempt: u32) -> Self {
        Self { run_id: run_id.into(), attempt }
    }

    /// The id of the run, which does not change from one attempt to the next.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The attempt.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What the ids of the run's workflow follow from.
    pub(super) fn root(&self) -> Uuid {
        ids::of_attempt(&self.run_id, self.attempt)
    }
}
