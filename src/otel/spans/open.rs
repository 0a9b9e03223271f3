//! The spans whose end has not come yet, and those that have just ended.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use foldhash::fast::RandomState;
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use uuid::Uuid;

use super::{context::Place, span::ComponentSpan};
use crate::{
    event::{Event, EventScope, Open, SharedIds, SpanId, TraceContext},
    otel::bounded::{Bounded, Bounds, Found, Seen},
};

/// How many ended workflows are remembered, and how many ended components of other scopes.
const MAX_ENDED: usize = 1_024;

/// A component's span between its start and its end.
#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) span: Arc<ComponentSpan>,
    pub(super) trace: TraceContext,
    /// The span that the component had when its events were recorded, if they come from a store.
    pub(super) recorded: Option<SpanId>,
    /// Whether another layer made the span and ends it.
    pub(super) is_adopted: bool,
}

/// A component with an open span.
pub(super) type OpenComponent = Open<Seen<OpenSpan>>;

/// All open spans, oldest first, and by workflow.
#[derive(Debug, Default)]
pub(super) struct OpenSpans {
    open: Bounded<OpenSpan>,
    ended: Ended,
}

/// The components that ended last, for what belongs in them and comes late.
#[derive(Debug, Default)]
struct Ended {
    workflows: Recent<(Option<Arc<str>>, SpanContext)>,
    /// The start of the newest workflow of each id.
    newest: HashMap<Arc<str>, Uuid>,
    others: Recent<SpanContext>,
}

/// The last [`MAX_ENDED`] of something, by the ids of starts.
#[derive(Debug)]
struct Recent<V> {
    by_start: HashMap<Uuid, V, RandomState>,
    order: VecDeque<Uuid>,
}

impl OpenSpans {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.open.is_closed()
    }

    /// Whether a Started event was seen before.
    pub(super) fn knows(&self, started: &Event) -> bool {
        self.open.knows(started)
    }

    /// Adds a span, unless it is closed; returns those that are too many or too old with it.
    pub(super) fn insert(
        &mut self,
        started: &Event,
        ids: SharedIds,
        span: OpenSpan,
        bounds: Bounds,
    ) -> Vec<OpenComponent> {
        let overdue = self.open.insert(started, ids, span, bounds);
        overdue.iter().for_each(|span| self.ended.add(span));
        overdue
    }

    /// The span of the event's component. Components that collide in their ids are taken oldest first.
    pub(super) fn of(&mut self, event: &Event) -> Option<&mut OpenSpan> {
        self.open.open_mut().of(event).map(|component| &mut component.kept.of)
    }

    /// Takes out the span of an end's component.
    pub(super) fn take(&mut self, event: &Event) -> Found<OpenComponent> {
        let found = self.open.take(event);
        // Nobody names a component made by hand as a parent, so of those only the workflows are remembered.
        if let Found::Open(span) = &found
            && (event.start_id.is_some() || span.scope == EventScope::Workflow)
        {
            self.ended.add(span);
        }
        found
    }

    /// Takes out all spans, the newest first, and takes in no more.
    pub(super) fn close(&mut self) -> Vec<OpenComponent> {
        self.open.close()
    }

    /// The span that a new component belongs under: that of the one that it names if that is open, else by the ids.
    pub(super) fn parent_of(&self, event: &Event) -> Option<&OpenSpan> {
        self.open.open().parent_of(event).map(|component| &component.kept.of)
    }

    /// The open workflows that a component may belong into by its ids, the newest first.
    pub(super) fn workflows_of(&self, event: &Event) -> impl Iterator<Item = &OpenSpan> {
        let workflow_id = event.workflow_id.as_deref();
        let open = workflow_id.map(|id| self.open.open().all_of(id, EventScope::Workflow));
        open.into_iter().flatten().map(|component| &component.kept.of)
    }

    /// The span of the workflow of this id that has just ended.
    pub(super) fn ended(&self, workflow_id: Option<&str>) -> Option<&SpanContext> {
        self.ended.workflow(*self.ended.newest.get(workflow_id?)?)
    }

    /// The span of the component that an event names as its parent, if that has just ended.
    pub(super) fn ended_parent(&self, event: &Event) -> Option<&SpanContext> {
        let start_id = event.parent_start_id?;
        self.ended.others.by_start.get(&start_id).or_else(|| self.ended.workflow(start_id))
    }

    /// The span that had a given id when the event was recorded, in the event's workflow or the one around it.
    pub(super) fn recorded(&self, event: &Event, span_id: SpanId) -> Option<&OpenSpan> {
        let workflows = [event.workflow_id.as_deref(), event.parent_workflow_id.as_deref()];
        let around = workflows.into_iter().flat_map(|workflow_id| self.open.open().in_workflow(workflow_id));
        around.map(|(_, component)| &component.kept.of).find(|span| span.recorded == Some(span_id))
    }

    /// The span that a system event concerns: that of the component that it names, else the one that it was recorded with,
    /// else the one that it was said in, else the newest of its workflow.
    pub(super) fn concerned(&mut self, event: &Event, ambient: Option<Place>) -> Option<&mut OpenSpan> {
        if event.parent_start_id.is_some() && self.open.open().parent_of(event).is_some() {
            return self.open.open_mut().parent_of_mut(event).map(|component| &mut component.kept.of);
        }
        let own = event.workflow_id.as_deref();
        let recorded = recorded(event).map(|trace| trace.span_id);
        let said_in = ambient.filter(|ambient| own.is_none() || own == ambient.workflow_id.as_deref());
        let workflow_id = said_in.as_ref().map_or(own, |said_in| said_in.workflow_id.as_deref());
        let said_in = said_in.as_ref().map(|said_in| SpanId::from_bytes(said_in.span_id.to_bytes()));
        let find = |is_it: &dyn Fn(&OpenSpan) -> bool| {
            self.open.open().in_workflow(workflow_id).find_map(|(number, open)| is_it(&open.kept.of).then_some(number))
        };
        let number = find(&|span| recorded.is_some() && span.recorded == recorded)
            .or_else(|| find(&|span| Some(span.trace.span_id) == said_in))
            .or_else(|| self.open.open().newest_in(workflow_id))?;
        self.open.open_mut().get_mut(number).map(|component| &mut component.kept.of)
    }
}

impl Ended {
    fn add(&mut self, component: &OpenComponent) {
        let span = component.kept.of.context().span().span_context().clone();
        if component.scope != EventScope::Workflow {
            self.others.add(component.start_id, span);
            return;
        }
        let forgotten = self.workflows.add(component.start_id, (component.workflow_id.clone(), span));
        if let Some((start_id, (Some(workflow_id), _))) = forgotten
            && self.newest.get(&workflow_id) == Some(&start_id)
        {
            self.newest.remove(&workflow_id);
        }
        if let Some(workflow_id) = &component.workflow_id {
            self.newest.insert(Arc::clone(workflow_id), component.start_id);
        }
    }

    fn workflow(&self, start_id: Uuid) -> Option<&SpanContext> {
        self.workflows.by_start.get(&start_id).map(|(_, span)| span)
    }
}

impl<V> Recent<V> {
    /// Adds one; returns the oldest if that has to go.
    fn add(&mut self, start_id: Uuid, value: V) -> Option<(Uuid, V)> {
        if self.by_start.insert(start_id, value).is_none() {
            self.order.push_back(start_id);
        }
        let beyond = self.order.len() > MAX_ENDED;
        beyond.then(|| self.order.pop_front().and_then(|oldest| self.by_start.remove_entry(&oldest))).flatten()
    }
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { by_start: HashMap::default(), order: VecDeque::new() }
    }
}

/// The span that a stored event was recorded with. What is in a workflow that was not sampled may have had none of its own.
pub(super) fn recorded(event: &Event) -> Option<TraceContext> {
    let is_root = event.scope == EventScope::Workflow && event.parent_workflow_id.is_none();
    event.trace.filter(|trace| trace.sampled || is_root)
}

impl OpenSpan {
    pub(super) fn context(&self) -> &Context {
        self.span.context()
    }

    /// Whether it is a span of ours that does not record.
    pub(super) fn is_unsampled(&self) -> bool {
        !self.is_adopted && self.span.notes().is_none()
    }
}
