//! A component as a place that others start in.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use super::{lineage::Lineage, reporter::Voice};
#[cfg(feature = "ingest")]
use crate::event::name_of;
use crate::{
    event::EventScope,
    stream::{ComponentContext, contain},
};

/// A component whose work is being polled, or can be. It keeps no stream open, since tasks that outlive the run carry it too.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) voice: Arc<Voice>,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
}

impl Place {
    /// The nearest agent around what starts here in a run.
    pub(super) fn agent_in(&self, run: &Arc<Lineage>) -> Option<Arc<Voice>> {
        let around = &self.voice;
        if !Arc::ptr_eq(&around.run, run) {
            return None;
        }
        if around.scope == EventScope::Agent { Some(Arc::clone(around)) } else { around.agent.clone() }
    }

    /// The component, and the nearest context inside it: what is handed to another task.
    pub(super) fn nearest(self) -> Self {
        let nearer = self.context.as_ref().and_then(|context| contain(|| context.nearer()).flatten());
        Self { context: nearer.or(self.context), ..self }
    }

    /// Whether the component is of a scope and called so.
    #[cfg(feature = "ingest")]
    pub(super) fn is_called(&self, scope: EventScope, name: &str) -> bool {
        let own = self.voice.name.as_deref();
        self.voice.scope == scope && own.map_or_else(|| self.voice.component_id == name_of(name), |own| own == name)
    }

    /// Calls `work` with the component's span as the active one.
    pub(super) fn in_context<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(context) = &self.context else { return work() };
        let mut work = Some(work);
        let mut result = None;
        let mut once = || {
            if let Some(work) = work.take() {
                result = Some(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        // A context that panics, or does not run its work, costs the trace and never the work.
        contain(|| context.run(&mut once));
        once();
        match result.expect("`once` ran, since it was called") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}
