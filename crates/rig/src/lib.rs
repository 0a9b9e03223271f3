#![doc = include_str!("../README.md")]

use agent_runtime::component;
use rig_agent::{
    agent::{
        AgentHook, DispatchAction, DispatchEvent, HookContext, ObservationAction, OutcomeAction, OutcomeEvent,
        ReasoningDelta, RunSettled, SettledOutcome, StepEventKind, TextDelta,
    },
    core::effect::EffectKind,
};
use tracing::Span;

/// The field by which rig marks the span of a request.
const REQUEST_MARK: &str = "rig.completion_parent";

/// Reports what the spans of a rig agent do not say: the pieces of an answer as they come, that a request or a run failed,
/// and what the agent returned.
///
/// It changes nothing about a run. Without a subscriber that [`ingest`](agent_runtime::ingest::ingest) is part of it does
/// nothing, since there is no component of the request then.
///
/// ```no_run
/// use agent_runtime_rig::Report;
/// use rig_agent::agent::AgentBuilder;
/// use rig_core::providers::openai::OpenAI;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = AgentBuilder::new(OpenAI::from_env()?.chat("gpt-5-mini")).name("writer").add_hook(Report).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Report;

/// The span of the request that is being answered.
#[derive(Clone, Debug)]
struct RequestSpan(Span);

impl AgentHook for Report {
    async fn on_dispatch(&self, context: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let span = Span::current();
        let is_request = span.metadata().is_some_and(|metadata| metadata.fields().field(REQUEST_MARK).is_some());
        if event.completion_request().is_some() && is_request {
            drop(context.scratchpad().insert(RequestSpan(span)));
        }
        DispatchAction::Proceed
    }

    async fn on_text_delta(&self, context: &HookContext, event: TextDelta<'_>) -> ObservationAction {
        in_request(context, || component::reporter().chunk(event.delta));
        ObservationAction::Continue
    }

    async fn on_reasoning_delta(&self, context: &HookContext, event: ReasoningDelta<'_>) -> ObservationAction {
        in_request(context, || component::reporter().reasoning(event.delta));
        ObservationAction::Continue
    }

    async fn on_outcome(&self, context: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        if matches!(event.kind, EffectKind::Completion { .. }) {
            // Kept no longer, or the span would not close.
            drop(context.scratchpad().remove::<RequestSpan>());
        }
        OutcomeAction::Proceed
    }

    async fn on_run_settled(&self, context: &HookContext, event: RunSettled<'_>) {
        match event.outcome {
            SettledOutcome::Response(response) => component::reporter().output(response.output()),
            // No more than that: every layer reads it, and the error may quote what was asked.
            SettledOutcome::Error(_) => {
                in_request(context, || tracing::error!(error.type = "request_failed", "the request failed"));
                tracing::error!(error.type = "agent_failed", "the run failed");
            }
        }
        drop(context.scratchpad().remove::<RequestSpan>());
    }

    fn observes(&self, kind: StepEventKind) -> bool {
        matches!(
            kind,
            StepEventKind::RunSettled
                | StepEventKind::TextDelta
                | StepEventKind::ReasoningDelta
                | StepEventKind::CompletionDispatch
        )
    }
}

/// Does something in the span of the request that is being answered, if there is one.
fn in_request(context: &HookContext, work: impl FnOnce()) {
    if let Some(RequestSpan(span)) = context.scratchpad().get::<RequestSpan>() {
        span.in_scope(work);
    }
}
