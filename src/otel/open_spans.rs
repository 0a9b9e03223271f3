//! The spans whose end has not come yet, and which of them is the parent of a new one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};

use super::{
    coalesce::Coalescer,
    scope::{Inside, Logs},
};
use crate::event::{Event, EventScope, SpanId, TraceContext};

/// A component's span between its start and its end.
#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) scope: EventScope,
    pub(super) component_id: String,
    pub(super) workflow_id: Option<String>,
    pub(super) started: DateTime<Utc>,
    /// Holds the span.
    pub(super) context: Context,
    pub(super) trace: TraceContext,
    /// The span that the component had when its events were recorded, if they come from a store.
    pub(super) recorded: Option<SpanId>,
    pub(super) progress: Coalescer,
    pub(super) system_events: u32,
    pub(super) logs: Logs,
}

/// All open spans, oldest first, and by workflow.
#[derive(Debug, Default)]
pub(super) struct OpenSpans {
    next: u64,
    spans: BTreeMap<u64, OpenSpan>,
    by_workflow: HashMap<Option<String>, Vec<u64>>,
    /// The workflows that ended last, for those that are nested in them and come late.
    ended: VecDeque<(String, SpanContext)>,
}

/// How many ended workflows are remembered.
const MAX_ENDED: usize = 1_024;

impl OpenSpans {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn insert(&mut self, span: OpenSpan) {
        self.by_workflow.entry(span.workflow_id.clone()).or_default().push(self.next);
        self.spans.insert(self.next, span);
        self.next += 1;
    }

    /// The span of the event's component. Components that collide in their ids are taken oldest first.
    pub(super) fn of(&mut self, event: &Event) -> Option<&mut OpenSpan> {
        let number = self.number_of(event)?;
        self.spans.get_mut(&number)
    }

    /// Takes out the span of the event's component, oldest first.
    pub(super) fn take(&mut self, event: &Event) -> Option<OpenSpan> {
        let number = self.number_of(event)?;
        self.remove(number)
    }

    /// Takes out the span that has been open for longest.
    pub(super) fn take_oldest(&mut self) -> Option<OpenSpan> {
        let number = *self.spans.keys().next()?;
        self.remove(number)
    }

    /// Takes out the span that was opened last.
    pub(super) fn take_newest(&mut self) -> Option<OpenSpan> {
        let number = *self.spans.keys().next_back()?;
        self.remove(number)
    }

    /// When the span that has been open for longest was started.
    pub(super) fn oldest_start(&self) -> Option<DateTime<Utc>> {
        self.spans.values().next().map(|span| span.started)
    }

    /// The span that a new component belongs under, by the ids alone.
    pub(super) fn parent_of(&self, event: &Event) -> Option<&OpenSpan> {
        use EventScope::{Agent, LlmRequest, System, Tool, Workflow, WorkflowStep};
        let named = |scope: EventScope, name: &str| {
            let is_it = move |span: &&OpenSpan| span.scope == scope && span.component_id == name;
            self.newest(&event.workflow_id).find(is_it)
        };
        let newest = |scope: EventScope| self.newest(&event.workflow_id).find(move |span| span.scope == scope);
        let name = event.component_name();
        match event.scope {
            Workflow => self.newest_of_parent(event),
            WorkflowStep => named(Workflow, name).or_else(|| newest(Workflow)),
            Agent => newest(WorkflowStep).or_else(|| newest(Workflow)),
            LlmRequest => named(Agent, name)
                .or_else(|| newest(Agent))
                .or_else(|| newest(WorkflowStep))
                .or_else(|| newest(Workflow)),
            Tool => event
                .data
                .agent()
                .and_then(|agent| named(Agent, agent))
                .or_else(|| newest(Agent))
                .or_else(|| newest(LlmRequest))
                .or_else(|| newest(WorkflowStep))
                .or_else(|| newest(Workflow)),
            System => None,
        }
    }

    /// The span that had a given id when the event was recorded, in the event's workflow or the one around it.
    pub(super) fn recorded(&self, event: &Event, span_id: SpanId) -> Option<&OpenSpan> {
        let mut around = self.newest(&event.workflow_id).chain(self.newest(&event.parent_workflow_id));
        around.find(|span| span.recorded == Some(span_id))
    }

    /// The span that a system event concerns: the one that it was recorded with, else the one that it was said in, else
    /// the newest of its workflow.
    pub(super) fn concerned(&mut self, event: &Event, ambient: Option<Inside>) -> Option<&mut OpenSpan> {
        let recorded = event.trace.map(|trace| trace.span_id);
        let said_in = ambient.filter(|inside| {
            event.workflow_id.is_none() || event.workflow_id.as_deref() == inside.workflow_id.as_deref()
        });
        let workflow_id = match &said_in {
            Some(inside) => &inside.workflow_id.as_deref().map(str::to_owned),
            None => &event.workflow_id,
        };
        let said_in = said_in.map(|inside| SpanId::from_bytes(inside.span_id.to_bytes()));
        let numbers = self.by_workflow.get(workflow_id)?;
        let find = |is_it: &dyn Fn(&OpenSpan) -> bool| {
            numbers.iter().copied().find(|number| self.spans.get(number).is_some_and(is_it))
        };
        let number = find(&|span| recorded.is_some() && span.recorded == recorded)
            .or_else(|| find(&|span| Some(span.trace.span_id) == said_in))
            .or_else(|| numbers.last().copied())?;
        self.spans.get_mut(&number)
    }

    /// The span of the workflow that the event's is nested in, if that one is over.
    pub(super) fn ended_parent_of(&self, event: &Event) -> Option<SpanContext> {
        let parent = event.parent_workflow_id.as_ref()?;
        let (_, span) = self.ended.iter().rev().find(|(workflow_id, _)| workflow_id == parent)?;
        Some(span.clone())
    }

    fn newest_of_parent(&self, event: &Event) -> Option<&OpenSpan> {
        event.parent_workflow_id.as_ref()?;
        self.newest(&event.parent_workflow_id).next()
    }

    fn newest(&self, workflow_id: &Option<String>) -> impl Iterator<Item = &OpenSpan> {
        let numbers = self.by_workflow.get(workflow_id).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().rev().filter_map(|number| self.spans.get(number))
    }

    fn number_of(&self, event: &Event) -> Option<u64> {
        let is_it = |number: &&u64| {
            let span = self.spans.get(*number);
            span.is_some_and(|span| span.scope == event.scope && span.component_id == event.component_id)
        };
        self.by_workflow.get(&event.workflow_id)?.iter().find(is_it).copied()
    }

    fn remove(&mut self, number: u64) -> Option<OpenSpan> {
        let span = self.spans.remove(&number)?;
        if let (EventScope::Workflow, Some(workflow_id)) = (span.scope, &span.workflow_id) {
            if self.ended.len() == MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((workflow_id.clone(), span.context.span().span_context().clone()));
        }
        if let Some(numbers) = self.by_workflow.get_mut(&span.workflow_id) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_workflow.remove(&span.workflow_id);
            }
        }
        Some(span)
    }
}
