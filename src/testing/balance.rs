//! Whether a sequence of events is one of whole lives: everything that began also ended, once, inner parts first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt::Write as _,
};

use thiserror::Error;

use crate::event::{Event, EventScope, EventType, SpanId};

/// An event that does not fit into a sequence of whole lives.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("event {index} ({scope} {component_id:?} {event_type}, workflow {workflow_id:?}): {problem}")]
#[non_exhaustive]
pub struct Imbalance {
    /// The event's place in the sequence.
    pub index: usize,
    /// Its scope.
    pub scope: EventScope,
    /// Its type.
    pub event_type: EventType,
    /// Its component.
    pub component_id: String,
    /// Its workflow.
    pub workflow_id: Option<String>,
    /// What is wrong with it.
    pub problem: BalanceProblem,
}

/// What is wrong with an event among others.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BalanceProblem {
    /// A component that began has no end.
    #[error("it never ended")]
    NoEnd,
    /// A component ended that was not open.
    #[error("it ended without a start, or twice")]
    NoStart,
    /// A component reported progress while it was not open.
    #[error("it was not running")]
    NotRunning,
    /// A component began while another one of its scope, id and workflow was open, so that an end may be that of either.
    #[error("one of that id was running already")]
    SharedId,
    /// Something of a workflow comes after the workflow's end.
    #[error("the workflow was over already")]
    AfterWorkflow,
    /// A component ended while one below it, by the spans that a bridge made, was open.
    #[error("{inner:?} below it was still running")]
    #[non_exhaustive]
    InnerOpen {
        /// The component that should have ended first.
        inner: String,
    },
    /// The offset is not higher than that of the event before.
    #[error("its offset is not higher than that of the event before")]
    OffsetOrder,
    /// The time is before that of the event before.
    #[error("its time is before that of the event before")]
    TimeOrder,
    /// The status does not follow from the type.
    #[error("its status does not follow from its type")]
    Status,
}

/// Finds all that is wrong with a sequence of events, in the order of the events; nothing if it balances.
///
/// It balances if every component begins before anything else is said of it, ends exactly once and after what lies inside it,
/// and if nothing of a workflow comes after the workflow's end. Events that a stream has numbered must be in the order of
/// their offsets and times. System events stand for themselves. It takes time in proportion to the events.
#[must_use]
pub fn balance_faults<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Imbalance> {
    let mut check = Check::default();
    for (index, event) in events.into_iter().enumerate() {
        check.add(index, event);
    }
    check.finish()
}

/// Checks that [`balance_faults`] finds nothing.
///
/// # Errors
///
/// The first fault; for a component that never ends, its Started event.
pub fn check_balance<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(), Imbalance> {
    balance_faults(events).into_iter().next().map_or(Ok(()), Err)
}

/// Asserts that [`balance_faults`] finds nothing.
///
/// # Panics
///
/// If it does; the message has every fault and a line for each event.
#[track_caller]
pub fn assert_balanced<'a>(events: impl IntoIterator<Item = &'a Event>) {
    let events: Vec<_> = events.into_iter().collect();
    let faults = balance_faults(events.iter().copied());
    if !faults.is_empty() {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("{}\nin these events:\n{}", faults.join("\n"), event_list(events));
    }
}

/// Writes a line for each event, for the message of a failed assertion.
///
/// ```
/// use agent_runtime::{prelude::*, testing::event_list};
///
/// let failed = Event::tool_failed("search:0", "no network", Some("wf".into()), None, json!({}));
/// assert_eq!(event_list([&failed]), "    - failed    tool          search:0 in wf: no network\n");
/// ```
#[must_use]
pub fn event_list<'a>(events: impl IntoIterator<Item = &'a Event>) -> String {
    let mut text = String::new();
    for event in events {
        let Event { offset, scope, event_type, component_id, workflow_id, message, .. } = event;
        let offset = offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        let of_run = workflow_id.as_ref().map(|id| format!(" in {id}")).unwrap_or_default();
        let message = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        writeln!(text, "{offset:>5} {event_type:9} {scope:13} {component_id}{of_run}{message}")
            .expect("writing to a string does not fail");
    }
    text
}

/// The workflow, the scope and the id of a component.
type Identity<'a> = (Option<&'a str>, EventScope, &'a str);

/// The sequence so far.
#[derive(Default)]
struct Check<'a> {
    /// The Started events without an end, oldest first.
    open: HashMap<Identity<'a>, VecDeque<(usize, &'a Event)>>,
    /// The Started events of the open components below a span, by their places.
    inside: HashMap<SpanId, BTreeMap<usize, &'a Event>>,
    over: BTreeSet<&'a str>,
    last: Option<&'a Event>,
    faults: Vec<Imbalance>,
}

impl<'a> Check<'a> {
    fn add(&mut self, index: usize, event: &'a Event) {
        self.check_order(index, event);
        if event.status != event.event_type.status() {
            self.fault(index, event, BalanceProblem::Status);
        }
        if event.scope == EventScope::System {
            return;
        }
        if event.workflow_id.as_deref().is_some_and(|workflow_id| self.over.contains(workflow_id)) {
            self.fault(index, event, BalanceProblem::AfterWorkflow);
        }
        let identity = (event.workflow_id.as_deref(), event.scope, event.component_id.as_str());
        match event.event_type {
            EventType::Started => self.start(index, event, identity),
            EventType::Progress => {
                if !self.open.contains_key(&identity) {
                    self.fault(index, event, BalanceProblem::NotRunning);
                }
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => self.end(index, event, identity),
        }
    }

    fn check_order(&mut self, index: usize, event: &'a Event) {
        if event.offset.is_none() {
            return;
        }
        if let Some(last) = self.last.replace(event) {
            if event.offset <= last.offset {
                self.fault(index, event, BalanceProblem::OffsetOrder);
            }
            if event.timestamp < last.timestamp {
                self.fault(index, event, BalanceProblem::TimeOrder);
            }
        }
    }

    fn start(&mut self, index: usize, event: &'a Event, identity: Identity<'a>) {
        let starts = self.open.entry(identity).or_default();
        starts.push_back((index, event));
        if starts.len() > 1 {
            self.fault(index, event, BalanceProblem::SharedId);
        }
        if let Some(parent) = parent_span(event) {
            self.inside.entry(parent).or_default().insert(index, event);
        }
    }

    fn end(&mut self, index: usize, event: &'a Event, identity: Identity<'a>) {
        let starts = self.open.entry(identity).or_default();
        let start = starts.pop_front();
        if starts.is_empty() {
            self.open.remove(&identity);
        }
        let Some((place, start)) = start else {
            self.fault(index, event, BalanceProblem::NoStart);
            return;
        };
        if let Some(siblings) = parent_span(start).and_then(|parent| self.inside.get_mut(&parent)) {
            siblings.remove(&place);
        }
        let below = start.trace.filter(|trace| trace.sampled).and_then(|trace| self.inside.remove(&trace.span_id));
        for inner in below.into_iter().flat_map(BTreeMap::into_values) {
            self.fault(index, event, BalanceProblem::InnerOpen { inner: inner.component_id.clone() });
        }
        if event.scope == EventScope::Workflow {
            self.over.extend(event.workflow_id.as_deref());
        }
    }

    fn finish(mut self) -> Vec<Imbalance> {
        let open: Vec<_> = self.open.values().flatten().copied().collect();
        for (index, event) in open {
            self.fault(index, event, BalanceProblem::NoEnd);
        }
        self.faults.sort_by_key(|fault| fault.index);
        self.faults
    }

    fn fault(&mut self, index: usize, event: &Event, problem: BalanceProblem) {
        self.faults.push(Imbalance {
            index,
            scope: event.scope,
            event_type: event.event_type,
            component_id: event.component_id.clone(),
            workflow_id: event.workflow_id.clone(),
            problem,
        });
    }
}

/// The span above a component's. Components that are not sampled may share one, so theirs say nothing.
fn parent_span(event: &Event) -> Option<SpanId> {
    event.trace.filter(|trace| trace.sampled)?.parent_span_id
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::{BalanceProblem::*, *};
    use crate::event::{ComponentStatus, TraceContext};

    fn id() -> Option<String> {
        Some("w".to_owned())
    }

    fn started(name: &str) -> Event {
        Event::tool_started(name, id(), None, json!({}))
    }

    fn completed(name: &str) -> Event {
        Event::tool_completed(name, id(), None, json!({}))
    }

    #[track_caller]
    fn check(events: &[Event], expected: &[(usize, BalanceProblem)]) {
        let found: Vec<_> = balance_faults(events).into_iter().map(|fault| (fault.index, fault.problem)).collect();
        assert_eq!(found, expected, "{}", event_list(events));
        assert_eq!(check_balance(events).err().map(|fault| fault.index), expected.first().map(|(index, _)| *index));
    }

    #[test]
    fn each_kind_of_imbalance_is_named() {
        let workflow = || Event::workflow_started("f", id(), None, json!({}));
        let workflow_done = || Event::workflow_completed("f", id(), None, json!({}));
        let progress = || Event::tool_progress("t", None, id(), None, json!({}));
        let system = || Event::system_progress("system:x", None, id(), None, json!({}));
        check(&[], &[]);
        check(&[workflow(), started("t"), progress(), completed("t"), workflow_done(), system()], &[]);
        check(&[started("t"), completed("t"), started("t")], &[(2, NoEnd)]);
        check(&[started("t"), completed("t"), completed("t")], &[(2, NoStart)]);
        check(&[started("t"), started("t"), completed("t"), completed("t")], &[(1, SharedId)]);
        check(&[progress(), started("a"), started("b")], &[(0, NotRunning), (1, NoEnd), (2, NoEnd)]);
        check(&[workflow(), workflow_done(), started("t"), completed("t")], &[(2, AfterWorkflow), (3, AfterWorkflow)]);
        let contradiction = Event { status: ComponentStatus::Failed, ..completed("t") };
        check(&[started("t"), contradiction], &[(1, Status)]);
    }

    #[test]
    fn numbered_events_must_be_in_the_order_of_offsets_and_times() {
        let (start, end) = (started("t"), completed("t"));
        let numbered = |event: &Event, offset, seconds| Event {
            offset: Some(offset),
            timestamp: start.timestamp + TimeDelta::seconds(seconds),
            ..event.clone()
        };
        check(&[numbered(&start, 3, 0), numbered(&end, 7, 0)], &[]);
        check(&[numbered(&start, 3, 0), numbered(&end, 3, 0)], &[(1, OffsetOrder)]);
        check(&[numbered(&start, 3, 0), numbered(&end, 2, -1)], &[(1, OffsetOrder), (1, TimeOrder)]);
        // Made by hand and never appended, so there is no order yet.
        check(&[numbered(&start, 3, 0), Event { timestamp: start.timestamp - TimeDelta::seconds(1), ..end }], &[]);
    }

    #[test]
    fn what_lies_inside_ends_first_by_the_spans() {
        let span = |event: Event, own: u8, parent: Option<u8>, sampled| {
            let id = |byte| SpanId::from_bytes([byte; 8]);
            let trace_id = crate::event::TraceId::from_bytes([1; 16]);
            let trace = TraceContext { trace_id, span_id: id(own), parent_span_id: parent.map(id), sampled };
            Event { trace: Some(trace), ..event }
        };
        let lives = |sampled| {
            [
                span(started("outer"), 1, None, sampled),
                span(started("inner"), 2, Some(1), sampled),
                span(completed("outer"), 1, None, sampled),
                span(completed("inner"), 2, Some(1), sampled),
            ]
        };
        check(&lives(true), &[(2, InnerOpen { inner: "inner".to_owned() })]);
        check(&lives(false), &[]);
        let mut ordered = lives(true);
        ordered.swap(2, 3);
        check(&ordered, &[]);
    }

    /// Quadratic work over these would take minutes.
    #[test]
    fn many_workflows_that_ended_and_many_open_at_once_take_no_longer_each() {
        let mut events = Vec::new();
        for number in 0..100_000 {
            let id = || Some(format!("wf_{number}"));
            events.push(Event::workflow_started("f", id(), None, json!({})));
            events.push(Event::workflow_completed("f", id(), None, json!({})));
        }
        events.extend((0..100_000).map(|number| started(&format!("t:{number}"))));
        events.extend((0..100_000).rev().map(|number| completed(&format!("t:{number}"))));
        assert_eq!(balance_faults(&events), []);
    }
}
