//! A component as a view remembers it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    DrawingNode,
    text::{MAX_CHARS, one_line, title},
};
use crate::event::{ComponentStatus, Event, EventScope, TraceContext};

/// A component in a [`Tree`](super::Tree): what is known of it so far.
#[derive(Clone, Debug)]
pub struct TreeNode {
    start_id: Uuid,
    scope: EventScope,
    component_id: String,
    workflow_id: Option<String>,
    title: String,
    status: ComponentStatus,
    message: Option<String>,
    started: DateTime<Utc>,
    ended: Option<DateTime<Utc>>,
    progress: u64,
    tokens: (Option<u64>, Option<u64>),
    trace: Option<TraceContext>,
}

impl TreeNode {
    pub(super) fn of(started: &Event) -> Self {
        Self {
            start_id: started.event_id,
            scope: started.scope,
            component_id: started.component_id.clone(),
            workflow_id: started.workflow_id.clone(),
            title: title(started),
            status: ComponentStatus::Running,
            message: None,
            started: started.timestamp,
            ended: None,
            progress: 0,
            tokens: (None, None),
            trace: started.trace,
        }
    }

    pub(super) const fn add_progress(&mut self) {
        self.progress = self.progress.saturating_add(1);
    }

    pub(super) fn end(&mut self, event: &Event) {
        self.status = event.event_type.status();
        self.message = event.message.as_deref().map(|message| one_line(message, MAX_CHARS));
        self.ended = Some(event.timestamp.max(self.started));
        if self.scope == EventScope::LlmRequest {
            self.tokens = (event.data.input_tokens(), event.data.output_tokens());
        }
    }

    /// The id of its Started event, which no other component has.
    #[must_use]
    pub const fn start_id(&self) -> Uuid {
        self.start_id
    }

    /// Which kind of component it is.
    #[must_use]
    pub const fn scope(&self) -> EventScope {
        self.scope
    }

    /// The component's id.
    #[must_use]
    pub fn component_id(&self) -> &str {
        &self.component_id
    }

    /// The run that it belongs to.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.workflow_id.as_deref()
    }

    /// What its span is called: `invoke_agent researcher`.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether it still runs, and how it ended if it does not.
    #[must_use]
    pub const fn status(&self) -> ComponentStatus {
        self.status
    }

    /// The error of a failure or the reason of a cancellation, on one line and shortened.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// When it began.
    #[must_use]
    pub const fn started(&self) -> DateTime<Utc> {
        self.started
    }

    /// From its beginning to its end; `None` while it runs.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.ended.map(|ended| (ended - self.started).to_std().unwrap_or_default())
    }

    /// How many progress events it had; a merged one counts once.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// The tokens of a model request, as far as its end reports them.
    #[must_use]
    pub const fn input_tokens(&self) -> Option<u64> {
        self.tokens.0
    }

    /// The tokens of a model's answer, as far as its end reports them.
    #[must_use]
    pub const fn output_tokens(&self) -> Option<u64> {
        self.tokens.1
    }

    /// The span that a bridge made of it.
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// The component as a line; one that still runs is as long as the view has seen.
    pub(super) fn drawn(&self, number: u64, latest: DateTime<Utc>) -> DrawingNode<u64> {
        DrawingNode::new(number, self.title.clone())
            .with_times(self.started, self.ended.unwrap_or(latest))
            .with_rank(number)
    }

    /// How it stands, in words.
    pub(super) fn outcome(&self) -> String {
        let message = self.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
        match self.status {
            ComponentStatus::Pending | ComponentStatus::Running => "running".to_owned(),
            ComponentStatus::Completed => {
                let (Some(input), Some(output)) = self.tokens else { return "ok".to_owned() };
                format!("ok  {input} → {output} tokens")
            }
            ComponentStatus::Failed => format!("error{message}"),
            ComponentStatus::Canceled => format!("canceled{message}"),
        }
    }
}
