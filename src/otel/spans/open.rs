//! The spans whose end has not come yet, and the workflows that have just ended.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, TraceContextExt as _},
};

use super::{
    coalesce::Coalescer,
    context::{OtelContext, Place},
};
use crate::{
    event::{Event, EventScope, Open, OpenComponents, SharedIds, SpanId, TraceContext},
    otel::content::PartialAnswer,
};

/// How many ended workflows are remembered.
const MAX_ENDED: usize = 1_024;

/// A component's span between its start and its end.
#[derive(Debug)]
pub(super) struct OpenSpan {
    /// Holds the span.
    pub(super) inside: Arc<OtelContext>,
    pub(super) trace: TraceContext,
    /// The span that the component had when its events were recorded, if they come from a store.
    pub(super) recorded: Option<SpanId>,
    /// `None` for a span that does not record, since it is not sampled.
    pub(super) notes: Option<Notes>,
}

/// What is gathered for a span until its end.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) progress: Coalescer,
    /// Only gathered for content on the span.
    pub(super) answer: PartialAnswer,
    pub(super) system_events: u32,
    /// What the start said beyond what the span was started with, which is written last.
    pub(super) details: Vec<KeyValue>,
}

/// All open spans, oldest first, and by workflow.
#[derive(Debug, Default)]
pub(super) struct OpenSpans {
    open: OpenComponents<OpenSpan>,
    /// The workflows that ended last, for those that are nested in them and come late.
    ended: VecDeque<(Arc<str>, SpanContext)>,
}

impl OpenSpans {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn insert(&mut self, started: &Event, ids: SharedIds, span: OpenSpan) {
        self.open.insert_with_ids(started, ids, span);
    }

    /// The span of the event's component. Components that collide in their ids are taken oldest first.
    pub(super) fn of(&mut self, event: &Event) -> Option<&mut OpenSpan> {
        self.open.of(event).map(|component| &mut component.kept)
    }

    /// Takes out the span of the event's component, oldest first.
    pub(super) fn take(&mut self, event: &Event) -> Option<Open<OpenSpan>> {
        let span = self.open.take(event)?;
        self.remember(&span);
        Some(span)
    }

    /// Takes out the spans that are too many or too old, now that another one starts.
    pub(super) fn take_overdue(
        &mut self,
        max_open: usize,
        max_age: TimeDelta,
        now: DateTime<Utc>,
    ) -> Vec<Open<OpenSpan>> {
        let overdue = self.open.take_overdue(max_open, max_age, now);
        overdue.iter().for_each(|span| self.remember(span));
        overdue
    }

    /// Takes out the span that was opened last.
    pub(super) fn take_newest(&mut self) -> Option<Open<OpenSpan>> {
        self.open.take_newest()
    }

    /// The span that a new component belongs under, by the ids alone.
    pub(super) fn parent_of(&self, event: &Event) -> Option<&OpenSpan> {
        self.open.parent_of(event).map(|component| &component.kept)
    }

    /// The workflow that a component belongs into, if that one is open.
    pub(super) fn workflow_of(&self, event: &Event) -> Option<&OpenSpan> {
        self.open.newest_of(event.workflow_id.as_deref()?, EventScope::Workflow).map(|component| &component.kept)
    }

    /// The span of a workflow that has just ended.
    pub(super) fn ended(&self, workflow_id: Option<&str>) -> Option<&SpanContext> {
        let workflow_id = workflow_id?;
        self.ended.iter().rev().find(|(ended, _)| **ended == *workflow_id).map(|(_, span)| span)
    }

    /// The span that had a given id when the event was recorded, in the event's workflow or the one around it.
    pub(super) fn recorded(&self, event: &Event, span_id: SpanId) -> Option<&OpenSpan> {
        let workflows = [event.workflow_id.as_deref(), event.parent_workflow_id.as_deref()];
        let around = workflows.into_iter().flat_map(|workflow_id| self.open.in_workflow(workflow_id));
        around.map(|(_, component)| &component.kept).find(|span| span.recorded == Some(span_id))
    }

    /// The span that a system event concerns: the one that it was recorded with, else the one that it was said in, else
    /// the newest of its workflow.
    pub(super) fn concerned(&mut self, event: &Event, ambient: Option<Place>) -> Option<&mut OpenSpan> {
        let own = event.workflow_id.as_deref();
        let recorded = recorded(event).map(|trace| trace.span_id);
        let said_in = ambient.filter(|ambient| own.is_none() || own == ambient.workflow_id.as_deref());
        let workflow_id = said_in.as_ref().map_or(own, |said_in| said_in.workflow_id.as_deref());
        let said_in = said_in.as_ref().map(|said_in| SpanId::from_bytes(said_in.span_id.to_bytes()));
        let find = |is_it: &dyn Fn(&OpenSpan) -> bool| {
            self.open.in_workflow(workflow_id).find_map(|(number, component)| is_it(&component.kept).then_some(number))
        };
        let number = find(&|span| recorded.is_some() && span.recorded == recorded)
            .or_else(|| find(&|span| Some(span.trace.span_id) == said_in))
            .or_else(|| self.open.newest_in(workflow_id))?;
        self.open.get_mut(number).map(|component| &mut component.kept)
    }

    fn remember(&mut self, component: &Open<OpenSpan>) {
        if let (EventScope::Workflow, Some(workflow_id)) = (component.scope, &component.workflow_id) {
            if self.ended.len() == MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((workflow_id.clone(), component.kept.context().span().span_context().clone()));
        }
    }
}

/// The span that a stored event was recorded with. What is in a workflow that was not sampled may have had none of its own.
pub(super) fn recorded(event: &Event) -> Option<TraceContext> {
    let is_root = event.scope == EventScope::Workflow && event.parent_workflow_id.is_none();
    event.trace.filter(|trace| trace.sampled || is_root)
}

impl OpenSpan {
    pub(super) fn context(&self) -> &Context {
        self.inside.context()
    }
}

impl Notes {
    pub(super) fn new(scope: EventScope, max_progress_events: u32) -> Self {
        let progress = Coalescer::new(scope, max_progress_events);
        Self { progress, answer: PartialAnswer::default(), system_events: 0, details: Vec::new() }
    }
}
