//! What a store holds, held against what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::{
    event::{EventScope, EventType},
    store::{Position, StoredEvent},
};
use uuid::Uuid;

/// What writers have said.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The events that were sent, by their positions.
    pub(crate) sent: BTreeMap<String, Uuid>,
    /// Those that were acknowledged.
    pub(crate) acknowledged: BTreeSet<String>,
}

impl History {
    /// Everything that is wrong with a store after all that was open has been recovered.
    pub(crate) fn faults(&self, stored: &[StoredEvent]) -> Vec<String> {
        let mut faults = self.faults_of_positions(stored);
        faults.extend(one_end_each(stored));
        faults
    }

    /// What is lost, doubled, swapped or out of order.
    pub(crate) fn faults_of_positions(&self, stored: &[StoredEvent]) -> Vec<String> {
        let mut faults = Vec::new();
        let by_position: BTreeMap<String, &StoredEvent> =
            stored.iter().map(|stored| (stored.position.to_string(), stored)).collect();
        if by_position.len() != stored.len() {
            faults.push("a position is there twice".to_owned());
        }
        for position in &self.acknowledged {
            match by_position.get(position) {
                None => faults.push(format!("{position} was acknowledged and is not stored")),
                Some(stored) if self.sent.get(position) != Some(&stored.event.event_id) => {
                    faults.push(format!("{position} is another event than the one sent"));
                }
                Some(_) => {}
            }
        }
        let mut last: BTreeMap<Uuid, Position> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for stored in stored {
            let before = last.insert(stored.position.epoch.as_uuid(), stored.position);
            if before.is_some_and(|before| before >= stored.position) {
                faults.push(format!("{} does not lie behind the one before", stored.position));
            }
            if !ids.insert(stored.event.event_id) {
                faults.push(format!("{}: its event is stored twice", stored.position));
            }
        }
        faults
    }
}

/// Each component has one end, behind its start.
pub(crate) fn one_end_each<'a>(stored: impl IntoIterator<Item = &'a StoredEvent>) -> Vec<String> {
    let mut ends: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for stored in stored.into_iter().filter(|stored| stored.event.scope != EventScope::System) {
        let event = &stored.event;
        match event.event_type {
            EventType::Started => drop(ends.insert(event.event_id, 0)),
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                match event.start_id.and_then(|start| ends.get_mut(&start)) {
                    Some(count) => *count += 1,
                    None => faults.push(format!("{} ends what has not begun", stored.position)),
                }
            }
            EventType::Progress => {}
        }
    }
    let odd = ends.iter().filter(|(_, count)| **count != 1);
    faults.extend(odd.map(|(start, count)| format!("the component of start {start} has {count} ends")));
    faults
}
