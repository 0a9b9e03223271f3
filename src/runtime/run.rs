//! One run of a workflow: where its events go and under which ids.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::RunOptions;
use crate::event::{EventStream, TraceContext};

/// What all components of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stream: EventStream,
    pub(super) workflow_id: String,
    pub(super) parent_workflow_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) links: Vec<TraceContext>,
    numbers: Mutex<HashMap<String, u64>>,
}

impl Run {
    /// Begins a run on a stream.
    pub(super) fn new(stream: EventStream, options: RunOptions) -> Arc<Self> {
        let RunOptions { workflow_id, parent_workflow_id, conversation_id, links } = options;
        let workflow_id = workflow_id.unwrap_or_else(|| format!("wf_{}", stream.new_id().simple()));
        Arc::new(Self { stream, workflow_id, parent_workflow_id, conversation_id, links, numbers: Mutex::default() })
    }

    /// Begins a run inside of this one.
    pub(super) fn nested(&self) -> Arc<Self> {
        let options = RunOptions {
            workflow_id: None,
            parent_workflow_id: Some(self.workflow_id.clone()),
            conversation_id: self.conversation_id.clone(),
            links: Vec::new(),
        };
        Self::new(self.stream.clone(), options)
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
