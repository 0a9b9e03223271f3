//! The ids of events: random, or of a seeded run, where they follow from positions (RFC 9562, section 5.5: names in the
//! namespace of what they are in).

use std::sync::LazyLock;

use parking_lot::Mutex;
use rand::{Rng as _, rngs::StdRng};
use uuid::Uuid;

use super::{Event, EventScope, EventType};

/// The namespace of all that follows from seeds.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d2c_3a5e_90b1_4f47_8f6a_1b0e_57c9_d214);

/// The version of an id that follows from a position.
#[cfg(any(feature = "otel", test))]
const SEEDED: usize = 5;

/// Not a generator of each thread: the last destructors of a thread may make events too, when that is gone.
static RANDOM: LazyLock<Mutex<StdRng>> = LazyLock::new(|| Mutex::new(rand::make_rng()));

/// The random bytes of an id.
pub(super) fn random() -> [u8; 10] {
    let mut random = [0; 10];
    RANDOM.lock().fill_bytes(&mut random);
    random
}

/// What the ids of an attempt at a run follow from.
pub(crate) fn of_attempt(run_id: &str, attempt: u32) -> Uuid {
    named(NAMESPACE, &format!("attempt {attempt} {run_id}"))
}

/// What the trace of a run follows from, in whichever attempt.
#[cfg(any(feature = "otel", test))]
fn of_trace(run_id: &str) -> Uuid {
    named(NAMESPACE, &format!("trace {run_id}"))
}

/// The id of the start of a component, by the start of the one that it begins in, and how many of its name have begun there.
pub(crate) fn of_start(parent: Uuid, scope: EventScope, name: &str, before: u64) -> Uuid {
    named(parent, &format!("{scope} {before} {name}"))
}

/// The id of what a component reports after its start: of its progress the nth, from 0, or its end.
pub(crate) fn of_report(start: Uuid, event_type: EventType, number: u64) -> Uuid {
    named(start, &format!("{event_type} {number}"))
}

/// What the ids of a nested run follow from, by the start of the component that it begins in, and how many of that workflow
/// have begun there.
pub(crate) fn of_nested_run(parent: Uuid, workflow: &str, before: u64) -> Uuid {
    named(parent, &format!("run {before} {workflow}"))
}

fn named(namespace: Uuid, name: &str) -> Uuid {
    Uuid::new_v5(&namespace, name.as_bytes())
}

impl Event {
    /// Whether the event's id follows from its position in a seeded run, so that the same event may come again.
    #[cfg(feature = "otel")]
    pub(crate) fn is_seeded(&self) -> bool {
        self.event_id.get_version_num() == SEEDED
    }

    /// What the id of a trace follows from that begins with this start: the run's id where that was given with an attempt, so
    /// that all attempts are in one trace, else the event's own.
    #[cfg(feature = "otel")]
    pub(crate) fn trace_seed(&self) -> Uuid {
        let is_seeded_run = self.scope == EventScope::Workflow && self.data.attempt().is_some();
        let run = self.workflow_id.as_deref().filter(|_| is_seeded_run);
        run.map_or(self.event_id, of_trace)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_positions_are_stable_and_distinct() {
        let attempt = of_attempt("job", 1);
        // Written down: stored events and traces refer to them.
        assert_eq!(attempt.to_string(), "2a7d9283-5a0c-5857-86d2-a1c974892501");
        let start = of_start(attempt, EventScope::Workflow, "flow", 0);
        let ids = [
            attempt,
            of_attempt("job", 2),
            of_attempt("1 job", 1),
            of_trace("job"),
            of_trace("1 job"),
            start,
            of_start(attempt, EventScope::Workflow, "flow", 1),
            of_start(attempt, EventScope::Workflow, "0 flow", 0),
            of_start(attempt, EventScope::Agent, "flow", 0),
            of_start(start, EventScope::Workflow, "flow", 0),
            of_report(start, EventType::Progress, 0),
            of_report(start, EventType::Progress, 1),
            of_report(start, EventType::Completed, 0),
            of_report(start, EventType::Failed, 0),
            of_nested_run(start, "flow", 0),
            of_nested_run(start, "flow", 1),
        ];
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.get_version_num() == SEEDED));
    }

    #[cfg(feature = "otel")]
    #[test]
    fn a_trace_follows_from_a_run_only_where_that_was_given_an_attempt() {
        use serde_json::json;
        let run = || Some("job".to_owned());
        let seeded = Event::workflow_started("flow", run(), None, json!({"attempt": 2}));
        assert_eq!(seeded.trace_seed(), of_trace("job"));
        let others = [
            Event::workflow_started("flow", run(), None, json!({})),
            Event::workflow_started("flow", None, None, json!({"attempt": 2})),
            Event::workflow_started("flow", run(), None, json!({"attempt": "second"})),
            Event::tool_started("t", run(), None, json!({"attempt": 2})),
        ];
        assert!(others.iter().all(|event| event.trace_seed() == event.event_id));
    }
}
