//! What a component's start says, by its scope.

use crate::event::{
    AgentStarted, EventData, EventScope, LlmStarted, StepStarted, ToolStarted, TraceContext, WorkflowStarted,
};

/// The payload of a Started event.
pub trait StartData: Into<EventData> {
    #[doc(hidden)]
    const SCOPE: EventScope;

    /// Fills in what is known of the place that the component starts in.
    #[doc(hidden)]
    fn complete(&mut self, agent: Option<&str>, links: &[TraceContext]);
}

impl StartData for WorkflowStarted {
    const SCOPE: EventScope = EventScope::Workflow;

    fn complete(&mut self, _: Option<&str>, links: &[TraceContext]) {
        self.links.extend_from_slice(links);
    }
}

impl StartData for StepStarted {
    const SCOPE: EventScope = EventScope::WorkflowStep;

    fn complete(&mut self, _: Option<&str>, _: &[TraceContext]) {}
}

impl StartData for AgentStarted {
    const SCOPE: EventScope = EventScope::Agent;

    fn complete(&mut self, _: Option<&str>, _: &[TraceContext]) {}
}

impl StartData for LlmStarted {
    const SCOPE: EventScope = EventScope::LlmRequest;

    fn complete(&mut self, _: Option<&str>, _: &[TraceContext]) {}
}

impl StartData for ToolStarted {
    const SCOPE: EventScope = EventScope::Tool;

    fn complete(&mut self, agent: Option<&str>, _: &[TraceContext]) {
        if self.agent.is_none() {
            self.agent = agent.map(str::to_owned);
        }
    }
}
