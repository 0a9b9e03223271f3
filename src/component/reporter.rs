//! A component's voice: what it reports while it runs, and its one end.

use std::{mem, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value as JsonValue;
use tokio::time::Instant;

use super::{
    completion::Completion,
    lineage::Lineage,
    position::Position,
    tally::{self, Calls, Ended, Outcome, Tally},
};
use crate::{
    event::{Event, EventData, EventScope, EventType, Failure, FailureDetails, ToolProgress, Usage},
    stream::{Dispatcher, OpenFlag, Origin, monotonic_now},
};

/// Reports how far a component is. Cheap to clone, and for any thread.
///
/// It keeps no stream open and falls silent when the component ends. That of code outside every run is silent from the
/// beginning.
///
/// ```
/// use agent_runtime::{component, event::Usage, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = EventStream::new();
/// let answer = async {
///     let request = component::reporter();
///     for piece in ["Hello", " there"] {
///         request.chunk(piece);
///     }
///     request.usage(Usage::new(3, 2));
///     Ok::<_, std::io::Error>("Hello there")
/// };
/// component::workflow(&stream, "greeting").run(component::request("acme", "small").run(answer)).await?;
///
/// let completed = &stream.get_events(0).await[4];
/// assert_eq!(completed.data["response"], "Hello there");
/// assert_eq!((&completed.data["chunk_count"], &completed.data["usage"]["total_tokens"]), (&json!(2), &json!(5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<Arc<Voice>>);

/// What all that speaks for one component shares.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) run: Arc<Lineage>,
    pub(super) scope: EventScope,
    pub(super) component_id: String,
    /// The name as it was given, of a step or a tool.
    pub(super) name: Option<String>,
    /// The nearest agent of the run around it.
    pub(super) agent: Option<Arc<Self>>,
    /// By which an end finds its start.
    pub(super) position: Position,
    pub(super) started: Instant,
    pub(super) open: OpenFlag,
    /// The subscriber that saw the start and sees all that follows; none if no layer was shown it.
    pub(super) dispatcher: Option<Dispatcher>,
    /// Whether a bridge looked at the start.
    pub(super) seen: bool,
    pub(super) calls: Calls,
    pub(super) tally: Mutex<Tally>,
}

impl Reporter {
    /// How much of a streamed answer the end of a request repeats, in bytes: 1 MiB. The rest is in the chunks alone.
    pub const MAX_RESPONSE_BYTES: usize = tally::MAX_RESPONSE_BYTES;

    pub(super) const fn of(voice: Arc<Voice>) -> Self {
        Self(Some(voice))
    }

    /// Whether the component is there and has not ended, so that what is reported has a reader.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.open().is_some()
    }

    /// Reports how far the component is, in a sentence for people.
    pub fn progress(&self, message: impl Into<String>) {
        let Some(voice) = self.open() else { return };
        let data = match (voice.scope, &voice.name) {
            (EventScope::Tool, Some(name)) => ToolProgress { tool_name: name.clone(), progress: None }.into(),
            _ => EventData::default(),
        };
        voice.append(EventType::Progress, Some(message.into()), data);
    }

    /// Reports how far the component is, in a sentence for people if there is one, and in data: the payload of its scope,
    /// such as [`ToolProgress`], or JSON.
    pub fn progress_with(&self, message: Option<String>, data: impl Into<EventData>) {
        if let Some(voice) = self.open() {
            voice.append(EventType::Progress, message, data);
        }
    }

    /// Reports a piece of a streamed answer; an empty one is none.
    ///
    /// The end of the component repeats how many pieces there were, when the first one came and, up to
    /// [`MAX_RESPONSE_BYTES`](Self::MAX_RESPONSE_BYTES), the text.
    pub fn chunk(&self, text: impl Into<String>) {
        let text = text.into();
        let Some(voice) = self.open().filter(|_| !text.is_empty()) else { return };
        let mut tally = voice.tally.lock();
        tally.count_chunk(voice.elapsed_ms());
        tally.keep(&text);
        drop(tally);
        voice.append(EventType::Progress, Some(text.clone()), EventData::chunk(text));
    }

    /// Reports a piece of a model's reasoning, which counts as a piece of its answer; an empty one is none.
    pub fn reasoning(&self, text: impl Into<String>) {
        let text = text.into();
        let Some(voice) = self.open().filter(|_| !text.is_empty()) else { return };
        voice.tally.lock().count_chunk(voice.elapsed_ms());
        voice.append(EventType::Progress, None, EventData::reasoning(text));
    }

    /// Sets the tokens of a request; the last ones count. The end of the request has them, and its agent's in their sum.
    pub fn usage(&self, usage: Usage) {
        if let Some(voice) = self.open() {
            voice.tally.lock().usage = Some(usage);
        }
    }

    /// Sets what came out: the output of a workflow, a step or an agent, a tool's result, a request's answer. The component
    /// says it if it ends well.
    pub fn output(&self, output: impl Into<JsonValue>) {
        if let Some(voice) = self.open() {
            let before = voice.tally.lock().output.replace(output.into());
            drop(before);
        }
    }

    /// Sets all that the component says if it ends well, where that is reported for the code: after
    /// [`run`](super::ComponentBuilder::run), or at the end of a [stream](super::ComponentStream).
    pub fn outcome(&self, outcome: impl Completion) {
        if let Some(voice) = self.open() {
            let outcome: Outcome = Box::new(move |ended| outcome.into_end(ended));
            let before = voice.tally.lock().outcome.replace(outcome);
            drop(before);
        }
    }

    fn open(&self) -> Option<&Voice> {
        self.0.as_deref().filter(|voice| voice.open.is_open())
    }
}

impl Voice {
    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        monotonic_now().saturating_duration_since(self.started)
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reports a good end.
    pub(super) fn complete(&self, outcome: impl Completion) {
        let mut ended = self.ended();
        let data = outcome.into_end(&mut ended);
        self.end(EventType::Completed, None, data, &ended);
    }

    /// Reports another end, with what else is known.
    pub(super) fn fail(&self, event_type: EventType, message: String, code: &str, mut details: FailureDetails) {
        let mut ended = self.ended();
        ended.complete_failure(&mut details);
        if (self.scope, event_type) == (EventScope::Workflow, EventType::Failed) {
            details.error.get_or_insert_with(|| message.clone());
        }
        let failure = Failure { error_code: code.to_owned(), duration_ms: ended.duration_ms, details };
        self.end(event_type, Some(message), failure, &ended);
    }

    fn ended(&self) -> Ended<'_> {
        Ended {
            scope: self.scope,
            name: self.name.as_deref(),
            calls: &self.calls,
            duration_ms: self.elapsed_ms(),
            tally: mem::take(&mut *self.tally.lock()),
        }
    }

    fn end(&self, event_type: EventType, message: Option<String>, data: impl Into<EventData>, ended: &Ended<'_>) {
        if let (EventScope::LlmRequest, Some(agent), Some(usage)) = (self.scope, &self.agent, ended.tally.usage) {
            agent.calls.add_tokens(usage);
        }
        self.append(event_type, message, data);
    }

    fn append(&self, event_type: EventType, message: Option<String>, data: impl Into<EventData>) {
        // Asked again when the event is numbered; what comes long after the end is not even built.
        if !self.open.is_open() {
            return;
        }
        let Some(stream) = self.run.stream.upgrade() else { return };
        let mut event = Event::unstamped(self.scope, event_type, self.component_id.clone(), message, data);
        self.run.adopt(&mut event);
        event.event_id = self.position.id_of_report(event_type);
        event.start_id = Some(self.position.start_id());
        let origin = Origin::Guard { open: &self.open, shown: self.dispatcher.is_some(), seen: self.seen };
        let append = || drop(stream.emit(event, origin));
        match &self.dispatcher {
            Some(dispatcher) => dispatcher.enter(append),
            None => append(),
        }
    }
}
