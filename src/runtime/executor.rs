//! Runs workflows on an event stream.

use serde_json::{Value as JsonValue, json};
use tokio::{runtime::Handle, sync::mpsc};

use super::{RunError, Workflow, run::Run, scope::Current};
use crate::event::{
    Event, EventError, EventScope, EventStream, EventType, Lagged, RecvError, Subscription, TraceContext,
};

/// Runs workflows whose events all go to one stream. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    stream: EventStream,
}

/// What one run is to be like.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RunOptions {
    pub(super) workflow_id: Option<String>,
    pub(super) parent_workflow_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) links: Vec<TraceContext>,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutput {
    /// The run's id, which all its events carry.
    pub workflow_id: String,
    /// What the last step gave.
    pub output: JsonValue,
    /// The run's span, if a bridge made one.
    pub trace: Option<TraceContext>,
}

impl Runtime {
    /// Makes a runtime with an event stream of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a runtime whose events go to a given stream.
    #[must_use]
    pub const fn with_event_stream(stream: EventStream) -> Self {
        Self { stream }
    }

    /// The stream of all events of this runtime.
    #[must_use]
    pub const fn event_stream(&self) -> &EventStream {
        &self.stream
    }

    /// Runs a workflow. Called from inside of a component (a tool, a transform), the run is nested in that one's.
    ///
    /// # Errors
    ///
    /// - [`RunError::Name`] if a component's name cannot be an id; nothing was run then.
    /// - Any other [`RunError`] if a step failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run: every component that is open says Canceled, innermost first.
    pub async fn execute(&self, workflow: &Workflow, input: impl Into<JsonValue>) -> Result<RunOutput, RunError> {
        self.execute_with(workflow, input, RunOptions::default()).await
    }

    /// Runs a workflow as [`execute`](Self::execute) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    ///
    /// # Cancel safety
    ///
    /// That of [`execute`](Self::execute).
    pub async fn execute_with(
        &self,
        workflow: &Workflow,
        input: impl Into<JsonValue>,
        options: RunOptions,
    ) -> Result<RunOutput, RunError> {
        execute(workflow, input.into(), self.stream.clone(), options).await
    }
}

impl RunOptions {
    /// Sets the run's id, which should not be that of another run. By default, `wf_` and a UUID of version 7.
    pub fn with_workflow_id(mut self, id: impl Into<String>) -> Self {
        self.workflow_id = Some(id.into());
        self
    }

    /// Nests the run in another one, which may run in another process. By default, the run in whose component this one
    /// is started, if any.
    pub fn with_parent_workflow_id(mut self, id: impl Into<String>) -> Self {
        self.parent_workflow_id = Some(id.into());
        self
    }

    /// Puts the run, and all that is nested in it, into a conversation of the application's. By default, none: the
    /// conventions forbid to make one up.
    pub fn with_conversation_id(mut self, id: impl Into<String>) -> Self {
        self.conversation_id = Some(id.into());
        self
    }

    /// Links the run to a span that it has to do with and that is not above it: the run that it repeats, say.
    pub fn with_link(mut self, to: TraceContext) -> Self {
        self.links.push(to);
        self
    }
}

pub(super) async fn execute(
    workflow: &Workflow,
    input: JsonValue,
    stream: EventStream,
    mut options: RunOptions,
) -> Result<RunOutput, RunError> {
    workflow.validate()?;
    if let Some(around) = Current::get() {
        options.parent_workflow_id.get_or_insert_with(|| around.run.workflow_id.clone());
        options.conversation_id = options.conversation_id.or_else(|| around.run.conversation_id.clone());
    }
    workflow.run(input, &Run::new(stream, options)).await
}

pub(super) fn check_id(scope: EventScope, id: &str) -> Result<(), EventError> {
    Event::unstamped(scope, EventType::Started, id, None, JsonValue::Null).validate()
}

/// Checks that a name also leaves room for the number that is put behind it, however high that gets.
pub(super) fn check_numbered(scope: EventScope, name: &str) -> Result<(), EventError> {
    check_id(scope, &format!("{name}:{}", u64::MAX))
}

/// Makes a stream whose events a task moves into a channel.
pub(super) fn stream_into(events: mpsc::Sender<Event>) -> Result<EventStream, RunError> {
    let tokio = Handle::try_current().map_err(|_| RunError::NoTokioRuntime)?;
    let stream = EventStream::new();
    tokio.spawn(forward(stream.subscribe(), events));
    Ok(stream)
}

async fn forward(mut subscription: Subscription, events: mpsc::Sender<Event>) {
    loop {
        let event = match subscription.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(lagged)) => gap(&lagged),
            Err(RecvError::Closed) => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The event that stands for those that a slow receiver missed.
fn gap(lagged: &Lagged) -> Event {
    let missing = lagged.missing();
    let data = json!({"missed": lagged.count(), "first_offset": missing.start, "last_offset": missing.end - 1});
    Event::system_progress("system:event_stream", Some(lagged.to_string()), None, None, data)
}
