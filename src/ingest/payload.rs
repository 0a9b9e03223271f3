//! What a component's start and end say, from what its span has recorded.

use std::time::Duration;

use serde_json::Value as JsonValue;
use thiserror::Error;

use super::{
    facts::{Facts, LoggedError},
    messages::{self, Answer},
    names::{Name, Names},
};
use crate::{
    component::{self, Component, ComponentBuilder, Current, Run},
    event::{
        AgentCompleted, AgentStarted, EventError, EventScope, FailureDetails, LlmCompleted, LlmStarted, ToolCompleted,
        ToolStarted, Usage, WorkflowStarted,
    },
    wording::Summary,
};

/// What stands for a provider or a model that a span does not name.
const UNKNOWN: &str = "unknown";

/// The kind of a failure of which a span says no more than that it is one.
const FAILED: &str = "failed";

/// What a library said of a failure.
#[derive(Debug, Error)]
#[error("{0}")]
struct ForeignError(String);

/// How a component ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Completed,
    Failed { code: String, message: String },
    Canceled,
}

/// Where a component starts: in another, or in a run of its own.
pub(super) enum Start<'a> {
    In(&'a Current),
    Root(&'a Run),
}

/// Starts a component.
pub(super) fn start(scope: EventScope, facts: &Facts, place: &Start<'_>) -> Result<Component, EventError> {
    match scope {
        EventScope::Workflow => match place {
            Start::In(around) => component::nested_workflow(name(scope, facts)).with_parent(*around).start(),
            Start::Root(run) => component::workflow_in(run, name(scope, facts), WorkflowStarted::new(JsonValue::Null)),
        },
        EventScope::LlmRequest => place.parent(ComponentBuilder::new(String::new(), request(facts))).start(),
        EventScope::Tool => place.parent(ComponentBuilder::new(name(scope, facts).to_owned(), tool(facts))).start(),
        EventScope::Agent | EventScope::WorkflowStep | EventScope::System => {
            place.parent(ComponentBuilder::new(name(scope, facts).to_owned(), agent(facts))).start()
        }
    }
}

/// Ends a component, by what its span recorded and what it could have.
pub(super) fn end(
    component: Component,
    scope: EventScope,
    facts: &Facts,
    declared: Names,
    error: Option<LoggedError>,
    duration: Duration,
) {
    if std::thread::panicking() && facts.names().of_outcome().is_empty() {
        drop(component);
        return;
    }
    match end_of(facts, declared, error) {
        End::Completed => complete(component, scope, facts, duration),
        End::Failed { code, message } => {
            let details = failure(facts).with_error_summary(Summary::new(&code).with_foreign(&message).into_text());
            component.fail_with(&ForeignError(message), &code, details);
        }
        End::Canceled => component.cancel("its span closed before an outcome was recorded"),
    }
}

/// The tokens of a request.
pub(super) fn usage(facts: &Facts) -> Option<Usage> {
    let (input, output) = (facts.int(Name::InputTokens), facts.int(Name::OutputTokens));
    if input.is_none() && output.is_none() {
        return None;
    }
    let mut usage = Usage::new(input.unwrap_or(0), output.unwrap_or(0));
    usage.cached_tokens = facts.int(Name::CacheReadTokens);
    usage.cache_write_tokens = facts.int(Name::CacheWriteTokens);
    usage.reasoning_tokens = facts.int(Name::ReasoningTokens);
    Some(usage)
}

/// What a component is called; a workflow has had two names for its name.
pub(super) fn name(scope: EventScope, facts: &Facts) -> &str {
    let or_agent = || facts.text(Name::Agent).filter(|_| scope == EventScope::Workflow);
    facts.text(Name::identity(scope)).or_else(or_agent).unwrap_or_default()
}

impl Start<'_> {
    fn parent<D: component::StartData>(
        &self,
        builder: component::ComponentBuilder<D>,
    ) -> component::ComponentBuilder<D> {
        match self {
            Self::In(around) => builder.with_parent(*around),
            Self::Root(run) => builder.with_parent(*run),
        }
    }
}

fn request(facts: &Facts) -> LlmStarted {
    let text = |name| facts.text(name).unwrap_or(UNKNOWN);
    let history =
        messages::history(facts.json(Name::SystemInstructions).as_ref(), facts.json(Name::InputMessages).as_ref());
    let mut started = LlmStarted::new(text(Name::Provider), text(Name::Model), history);
    started.stream = facts.flag(Name::Stream).unwrap_or_default();
    started.temperature = facts.float(Name::Temperature);
    started.top_p = facts.float(Name::TopP);
    started.max_tokens = facts.int(Name::MaxTokens);
    started.server_address = facts.text(Name::ServerAddress).map(str::to_owned);
    started.server_port = facts.int(Name::ServerPort).and_then(|port| u16::try_from(port).ok());
    if let Some(JsonValue::Array(tools)) = facts.json(Name::ToolDefinitions) {
        started.tools = tools;
    }
    started
}

fn tool(facts: &Facts) -> ToolStarted {
    let mut started = ToolStarted::new(name(EventScope::Tool, facts), facts.json(Name::Arguments).unwrap_or_default());
    started.tool_call_id = facts.text(Name::ToolCallId).map(str::to_owned);
    started.description = facts.text(Name::ToolDescription).map(str::to_owned);
    started
}

fn agent(facts: &Facts) -> AgentStarted {
    let mut started = AgentStarted::new(facts.json(Name::Prompt).unwrap_or_default());
    started.model = facts.text(Name::Model).map(str::to_owned);
    started.description = facts.text(Name::AgentDescription).map(str::to_owned);
    started
}

/// An explicit outcome counts most, then what only a component says that came to its end, then an error that was logged. A
/// span with room for an outcome, not counting content, that closes without one was dropped on the way.
fn end_of(facts: &Facts, declared: Names, error: Option<LoggedError>) -> End {
    let says = |name, word: &str| facts.text(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    let failed = |error: Option<LoggedError>| {
        let (logged, kind) = error.map(|error| (error.message, error.kind)).unwrap_or_default();
        let code = facts.text(Name::ErrorType).map(str::to_owned).or(kind).unwrap_or_else(|| FAILED.to_owned());
        let message = facts.text(Name::StatusMessage).map(str::to_owned).or(logged).unwrap_or_else(|| code.clone());
        End::Failed { code, message }
    };
    if facts.text(Name::ErrorType).is_some() || says(Name::Status, "error") || says(Name::Outcome, "error") {
        failed(error)
    } else if says(Name::Status, "ok") || !facts.names().of_outcome().is_empty() {
        End::Completed
    } else if error.is_some() {
        failed(error)
    } else if declared.of_every_outcome().is_empty() {
        End::Completed
    } else {
        End::Canceled
    }
}

fn complete(component: Component, scope: EventScope, facts: &Facts, duration: Duration) {
    match scope {
        EventScope::LlmRequest => component.complete(completed(facts, duration)),
        EventScope::Tool => {
            let result = facts.json(Name::ToolResult).unwrap_or_default();
            component.complete(ToolCompleted::new(name(scope, facts), result, duration));
        }
        EventScope::Workflow => component.complete(()),
        EventScope::Agent | EventScope::WorkflowStep | EventScope::System => match facts.json(Name::Completion) {
            Some(output) => component.complete(AgentCompleted::new(output, duration)),
            // What others have reported of it.
            None => component.complete(()),
        },
    }
}

fn completed(facts: &Facts, duration: Duration) -> LlmCompleted {
    let Answer { text, calls, finish_reason } =
        facts.json(Name::OutputMessages).map(|messages| messages::answer(&messages)).unwrap_or_default();
    let mut completed = LlmCompleted::new(text, duration);
    completed.tool_calls = calls;
    completed.finish_reason = finish(facts).or(finish_reason);
    completed.usage = usage(facts);
    completed.response_id = facts.text(Name::ResponseId).map(str::to_owned);
    completed.response_model = facts.text(Name::ResponseModel).map(str::to_owned);
    completed.time_to_first_chunk_ms = first_chunk_ms(facts);
    completed
}

fn failure(facts: &Facts) -> FailureDetails {
    FailureDetails {
        usage: usage(facts),
        response_id: facts.text(Name::ResponseId).map(str::to_owned),
        response_model: facts.text(Name::ResponseModel).map(str::to_owned),
        time_to_first_chunk_ms: first_chunk_ms(facts),
        ..FailureDetails::default()
    }
}

/// The first of the finish reasons: a list in JSON or as its code writes it, or one word.
fn finish(facts: &Facts) -> Option<String> {
    match facts.json(Name::FinishReasons)? {
        JsonValue::Array(reasons) => reasons.first().and_then(JsonValue::as_str).map(str::to_owned),
        JsonValue::String(reason) => Some(reason),
        _ => None,
    }
}

fn first_chunk_ms(facts: &Facts) -> Option<u64> {
    let seconds = facts.float(Name::TimeToFirstChunk)?;
    u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()
}
