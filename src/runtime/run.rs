//! One run of a workflow: where its events go and under which ids.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::event::EventStream;

/// What all components of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stream: EventStream,
    pub(super) workflow_id: String,
    pub(super) parent_workflow_id: Option<String>,
    numbers: Mutex<HashMap<String, u64>>,
}

impl Run {
    pub(super) fn new(stream: EventStream, workflow_id: String, parent_workflow_id: Option<String>) -> Arc<Self> {
        Arc::new(Self { stream, workflow_id, parent_workflow_id, numbers: Mutex::default() })
    }

    /// Gives `name:N` with the next free N, so that calls of one tool at once are told apart.
    pub(super) fn numbered(&self, name: &str) -> String {
        let mut numbers = self.numbers.lock();
        let number = numbers.entry(name.to_owned()).or_default();
        let id = format!("{name}:{number}");
        *number += 1;
        id
    }
}
