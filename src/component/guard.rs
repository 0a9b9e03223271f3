//! A component that is running: whatever becomes of it, its end is reported exactly once.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    Run, by_hand,
    cause::{Cause, Described, with_sources},
    completion::Completion,
    current::Current,
    place::Place,
    position::Position,
    reporter::{Reporter, Voice},
    tally::Calls,
};
use crate::{
    event::{Event, EventData, EventError, EventScope, EventType, FailureDetails, TraceContext, Usage},
    stream::{ComponentContext, OpenFlag, Origin, contain, monotonic_now, put_events_by},
};

/// The guard of a started component: a workflow, a step, an agent, a request to a model or a tool.
///
/// Consumed by [`complete`](Self::complete), [`fail`](Self::fail) or [`cancel`](Self::cancel); dropped, it reports Canceled,
/// or Failed while the thread is unwinding from a panic. Started outside every run it is inert: it reports nothing, and work
/// runs as it would without it.
///
/// ```
/// use agent_runtime::{component, event::ToolCompleted, prelude::*, view::Tree};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = EventStream::new();
/// let workflow = component::workflow(&stream, "research").start()?;
/// let hits = workflow
///     .run(async {
///         let search = component::tool("search").with_arguments(json!({"query": "otters"})).start()?;
///         search.progress("2 of 3 pages");
///         search.complete(json!({"hits": 7}));
///         Ok::<_, EventError>(7)
///     })
///     .await?;
/// workflow.complete(());
/// assert_eq!(hits, 7);
/// let tree = Tree::of(&stream.get_events(0).await);
/// assert_eq!(tree.outline(), "invoke_workflow research\n  execute_tool search\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropped, the component says that it was canceled"]
pub struct Component(Option<Live>);

#[derive(Debug)]
struct Live {
    voice: Arc<Voice>,
    /// Keeps the stream open until the end.
    run: Run,
    context: Option<Arc<dyn ComponentContext>>,
    trace: Option<TraceContext>,
}

/// What a component begins as.
pub(super) struct Beginning {
    pub(super) scope: EventScope,
    pub(super) component_id: String,
    /// The name as it was given, of a step or a tool.
    pub(super) name: Option<String>,
    /// The nearest agent of the run around it.
    pub(super) agent: Option<Arc<Voice>>,
    pub(super) data: EventData,
}

impl Component {
    /// Reports the start of a component.
    pub(crate) fn start(
        run: &Run,
        scope: EventScope,
        component_id: impl Into<String>,
        data: impl Into<EventData>,
    ) -> Result<Self, EventError> {
        let (component_id, agent) = (component_id.into(), Place::agent_around(run.lineage()));
        Self::begin(run, Beginning { scope, component_id, name: None, agent, data: data.into() })
    }

    pub(super) fn begin(run: &Run, beginning: Beginning) -> Result<Self, EventError> {
        let Beginning { scope, component_id, name, agent, data } = beginning;
        let data = match run.conversation_id() {
            Some(id) => data.in_conversation(id),
            None => data,
        };
        let lineage = run.lineage();
        let mut event = Event::unstamped(scope, EventType::Started, component_id.clone(), None, data);
        lineage.adopt(&mut event);
        event.validate()?;
        lineage.tags.validate()?;
        let around = Place::around(lineage);
        event.parent_start_id = around.as_ref().map(Position::start_id);
        let ids_of = if scope == EventScope::Workflow {
            lineage.root.clone().or(around)
        } else {
            around.or_else(|| lineage.root.clone())
        };
        if let Some(ids_of) = &ids_of {
            event.event_id = ids_of.id_of_start(scope, name_in_position(&event, name.as_deref()));
        }
        let dispatcher = lineage.dispatcher.or_current();
        let emitted = dispatcher.enter(|| run.stream().emit(event, Origin::Start));
        let emitted = match emitted {
            Ok(emitted) => emitted,
            Err(refused) => {
                return Err(refused.outcome().expect_err("only what follows a start can come too late"));
            }
        };
        put_events_by(by_hand::put);
        let position = Position::of(&emitted.event, ids_of.is_some_and(|ids_of| ids_of.is_seeded()));
        match (scope, &agent) {
            (EventScope::Workflow, _) => drop(lineage.workflow.set((component_id.as_str().into(), position.clone()))),
            (EventScope::LlmRequest, Some(agent)) => drop(agent.calls.llm.fetch_add(1, Ordering::Relaxed)),
            (EventScope::Tool, Some(agent)) => drop(agent.calls.tool.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        let voice = Voice {
            run: Arc::clone(lineage),
            scope,
            component_id,
            name,
            agent,
            position,
            started: monotonic_now(),
            open: OpenFlag::new(),
            dispatcher: emitted.shown.then_some(dispatcher),
            seen: emitted.seen,
            calls: Calls::default(),
            tally: Mutex::default(),
        };
        let (voice, trace) = (Arc::new(voice), emitted.event.trace);
        if let Some(context) = &emitted.context {
            let component = Arc::clone(&voice);
            contain(|| context.carry(component));
        }
        Ok(Self(Some(Live { voice, run: run.clone(), context: emitted.context, trace })))
    }

    /// A component of no run.
    pub(super) const fn inert() -> Self {
        Self(None)
    }

    /// Calls work inside the component: what it starts nests below the component.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        self.current().enter(work)
    }

    /// The component as a place, for work that goes on elsewhere.
    #[must_use]
    pub fn current(&self) -> Current {
        self.0.as_ref().map_or_else(Current::nowhere, |live| {
            Current::at(Place { voice: Arc::clone(&live.voice), context: live.context.clone() })
        })
    }

    /// Reports how far it is, as [`Reporter::progress`] does.
    pub fn progress(&self, message: impl Into<String>) {
        self.reporter().progress(message);
    }

    /// Reports a piece of a streamed answer, as [`Reporter::chunk`] does.
    pub fn chunk(&self, text: impl Into<String>) {
        self.reporter().chunk(text);
    }

    /// Sets the tokens of a request, as [`Reporter::usage`] does.
    pub fn usage(&self, usage: Usage) {
        self.reporter().usage(usage);
    }

    /// A voice for others to report with, which falls silent when the component ends.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        self.0.as_ref().map_or_else(Reporter::default, |live| Reporter::of(Arc::clone(&live.voice)))
    }

    /// Whether it belongs to a run. One that was started outside every run reports nothing.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The id of the run, which all its events carry.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.0.as_ref().map(|live| live.run.workflow_id())
    }

    /// The headers that carry the component's trace into another process, without the caller's baggage, which may name
    /// customers; none without a bridge.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        self.context().map(ComponentContext::headers).unwrap_or_default()
    }

    /// The headers that carry the component's trace into another process, and the caller's baggage as well.
    #[must_use]
    pub fn headers_with_baggage(&self) -> Vec<(String, String)> {
        self.headers().into_iter().chain(self.context().and_then(ComponentContext::baggage_header)).collect()
    }

    /// The span that a bridge made of the component.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(|live| live.trace)
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.as_ref().map(|live| live.voice.elapsed()).unwrap_or_default()
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.0.as_ref().map(|live| live.voice.elapsed_ms()).unwrap_or_default()
    }

    /// Reports a good end: with the payload of the scope, such as [`LlmCompleted`](crate::event::LlmCompleted), with JSON, or
    /// with `()` for what the component knows itself.
    pub fn complete(mut self, outcome: impl Completion) {
        if let Some(live) = self.0.take() {
            live.voice.complete(outcome);
        }
    }

    /// Reports a failure: the error with its sources, and its type as the kind.
    pub fn fail<E, Kind>(self, error: &E)
    where
        E: Cause<Kind>,
    {
        if self.is_recording() {
            self.fail_described(error.describe());
        }
    }

    pub(super) fn fail_described(mut self, described: Described) {
        if let Some(live) = self.0.take() {
            let Described { message, code } = described;
            let code = code.unwrap_or_else(|| failed_code(live.voice.scope));
            live.fail(message, code, FailureDetails::default());
        }
    }

    /// Reports a failure: the error with its sources, one of few fixed words for its kind, and what else is known.
    pub fn fail_with(mut self, error: &dyn Error, code: &str, details: FailureDetails) {
        if let Some(live) = self.0.take() {
            live.fail(with_sources(error), code, details);
        }
    }

    /// Reports that the component was canceled, and why.
    pub fn cancel(mut self, reason: impl Into<String>) {
        if let Some(live) = self.0.take() {
            live.voice.fail(EventType::Canceled, reason.into(), "canceled", FailureDetails::default());
        }
    }

    fn context(&self) -> Option<&dyn ComponentContext> {
        self.0.as_ref()?.context.as_deref()
    }
}

impl Live {
    /// Reports a failure. What a request failed with is in the words of others, also where an error around it repeats them.
    fn fail(&self, message: String, code: &str, mut details: FailureDetails) {
        let foreign = &self.voice.run.foreign;
        if self.voice.scope == EventScope::LlmRequest {
            foreign.keep(&message);
        } else {
            details.error_summary = details.error_summary.or_else(|| foreign.summary_of(&message));
        }
        self.voice.fail(EventType::Failed, message, code, details);
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let Some(live) = self.0.take() else { return };
        let (event_type, code, message) = if std::thread::panicking() {
            (EventType::Failed, "panic", "panicked")
        } else {
            (EventType::Canceled, "canceled", "dropped before its end")
        };
        live.voice.fail(event_type, message.to_owned(), code, FailureDetails::default());
    }
}

/// What distinguishes a component from others that begin in the same one. Numbers count over the whole run, so they are left
/// out where the runtime sets them.
fn name_in_position<'a>(started: &'a Event, name: Option<&'a str>) -> &'a str {
    name.unwrap_or_else(|| match started.scope {
        EventScope::LlmRequest | EventScope::Tool => started.component_name(),
        EventScope::Workflow | EventScope::WorkflowStep | EventScope::Agent | EventScope::System => {
            &started.component_id
        }
    })
}

/// The word for a failure whose error's type is not known.
const fn failed_code(scope: EventScope) -> &'static str {
    match scope {
        EventScope::Workflow => "workflow_failed",
        EventScope::WorkflowStep => "step_failed",
        EventScope::Agent => "agent_failed",
        EventScope::LlmRequest => "request_failed",
        EventScope::Tool => "tool_failed",
        EventScope::System => "failed",
    }
}
