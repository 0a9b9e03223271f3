//! What the metrics keep of a component between its start and its end.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::KeyValue;

use super::{
    labels::{LabelGuard, Labels},
    series::Group,
};
use crate::{
    event::{Event, EventScope},
    otel::{mapping, names},
};

/// What the metrics keep of a component.
#[derive(Debug)]
pub(super) struct Measured {
    /// The attributes from its start; shared, so that a chunk makes none anew.
    pub(super) labels: Arc<[KeyValue]>,
    /// Of a tool its name, which a model may have made up and which therefore is no label before its end; of a request the
    /// model asked for, whatever became of the label.
    pub(super) name: Option<String>,
    pub(super) calls: Calls,
    pub(super) chunks: Chunks,
}

/// How often an agent asked its model and ran tools.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) inference: u64,
    pub(super) tool: u64,
}

/// When the pieces of a streamed answer came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    pub(super) first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    /// The answer was asked for in one piece, so the chunks that its end names are not measured.
    pub(super) unwanted: bool,
}

impl Measured {
    pub(super) fn of(started: &Event, guard: &LabelGuard) -> Self {
        let labels = start_labels(started, guard);
        let labels = if started.scope == EventScope::LlmRequest {
            labels.for_instruments(Group::OutputChunk)
        } else {
            labels.into_set()
        };
        Self {
            labels: labels.into(),
            name: name(started).map(str::to_owned),
            calls: Calls::default(),
            chunks: Chunks { unwanted: started.data.stream() == Some(false), ..Chunks::default() },
        }
    }

    /// Counts a request or a tool that began in this agent.
    pub(super) fn count_call(&mut self, child: EventScope) {
        match child {
            EventScope::LlmRequest => self.calls.inference += 1,
            EventScope::Tool => self.calls.tool += 1,
            EventScope::Workflow | EventScope::WorkflowStep | EventScope::Agent | EventScope::System => {}
        }
    }
}

impl Chunks {
    /// Takes in a chunk; returns how long after the previous one it came.
    pub(super) fn add(&mut self, at: DateTime<Utc>) -> Option<TimeDelta> {
        self.first.get_or_insert(at);
        let gap = self.last.map(|last| (at - last).max(TimeDelta::zero()));
        self.last = Some(at);
        gap
    }
}

/// The attributes from a component's start. A tool's name is not among them.
pub(super) fn start_labels<'a>(event: &Event, guard: &'a LabelGuard) -> Labels<'a> {
    let (data, labels) = (&event.data, guard.labels());
    match event.scope {
        EventScope::Workflow => labels.word(names::OPERATION_NAME, mapping::INVOKE_WORKFLOW).name_among(
            names::WORKFLOW_NAME,
            names::AGENT_NAME,
            mapping::workflow_name(event),
        ),
        EventScope::WorkflowStep => {
            let labels = labels.name(names::STEP_NAME, data.step_name());
            match data.step_type() {
                Some(step_type) => labels.word(names::STEP_TYPE, step_type.as_str()),
                None => labels,
            }
        }
        EventScope::Agent => {
            let labels = labels.word(names::OPERATION_NAME, mapping::INVOKE_AGENT);
            labels.name(names::AGENT_NAME, Some(event.component_name())).name(names::REQUEST_MODEL, data.model())
        }
        EventScope::LlmRequest => labels
            .word(names::OPERATION_NAME, mapping::CHAT)
            .name(names::PROVIDER_NAME, Some(mapping::provider(event)))
            .name(names::REQUEST_MODEL, data.model())
            .name(names::SERVER_ADDRESS, data.server_address())
            .number(names::SERVER_PORT, data.server_address().and(data.server_port()).map(i64::from)),
        EventScope::Tool => {
            labels.word(names::TOOL_TYPE, mapping::TOOL_TYPE).name(names::AGENT_NAME, event.data.agent())
        }
        EventScope::System => labels,
    }
}

fn name(started: &Event) -> Option<&str> {
    match started.scope {
        EventScope::Tool => Some(mapping::tool_name(started)),
        EventScope::LlmRequest => started.data.model(),
        EventScope::Workflow | EventScope::WorkflowStep | EventScope::Agent | EventScope::System => None,
    }
}
