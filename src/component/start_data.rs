//! What a component's start says, by its scope.

use super::Run;
use crate::event::{AgentStarted, EventData, EventScope, LlmStarted, StepStarted, ToolStarted, WorkflowStarted};

/// The payload of a Started event.
pub trait StartData: Into<EventData> {
    #[doc(hidden)]
    const SCOPE: EventScope;

    /// Fills in what is known of the place that the component starts in.
    #[doc(hidden)]
    fn complete(&mut self, agent: Option<&str>, run: &Run);
}

impl StartData for WorkflowStarted {
    const SCOPE: EventScope = EventScope::Workflow;

    fn complete(&mut self, _: Option<&str>, run: &Run) {
        self.links.extend_from_slice(run.links());
        self.attempt = run.attempt().or(self.attempt);
    }
}

impl StartData for StepStarted {
    const SCOPE: EventScope = EventScope::WorkflowStep;

    fn complete(&mut self, _: Option<&str>, _: &Run) {}
}

impl StartData for AgentStarted {
    const SCOPE: EventScope = EventScope::Agent;

    fn complete(&mut self, _: Option<&str>, _: &Run) {}
}

impl StartData for LlmStarted {
    const SCOPE: EventScope = EventScope::LlmRequest;

    fn complete(&mut self, _: Option<&str>, _: &Run) {}
}

impl StartData for ToolStarted {
    const SCOPE: EventScope = EventScope::Tool;

    fn complete(&mut self, agent: Option<&str>, _: &Run) {
        if self.agent.is_none() {
            self.agent = agent.map(str::to_owned);
        }
    }
}
