//! What the log events keep of the progress of components between their starts and their ends.

use parking_lot::Mutex;

use crate::{
    event::{Event, EventType, Open, SharedIds, TraceContext},
    otel::{
        bounded::{Bounded, Bounds, Found, Seen},
        coalesce::{Coalescer, ProgressEvent},
    },
};

/// The progress of the components that are open, merged as on spans.
#[derive(Debug)]
pub(super) struct ProgressLog {
    max_events: u32,
    bounds: Bounds,
    open: Mutex<Bounded<Reported>>,
}

/// The progress of one component.
#[derive(Debug)]
struct Reported {
    trace: TraceContext,
    progress: Coalescer,
}

/// Progress that is to be a log event of a span.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) trace: TraceContext,
    pub(super) progress: ProgressEvent,
}

impl ProgressLog {
    pub(super) fn new(max_events: u32, bounds: Bounds) -> Self {
        Self { max_events, bounds, open: Mutex::default() }
    }

    /// Takes in an event of a component; returns what is complete with it.
    pub(super) fn observe(&self, event: &Event, trace: TraceContext) -> Vec<Merged> {
        match event.event_type {
            EventType::Started => {
                let reported = Reported { trace, progress: Coalescer::new(event.scope, self.max_events) };
                let overdue = self.open.lock().insert(event, SharedIds::of(event), reported, self.bounds);
                rest(overdue)
            }
            EventType::Progress => {
                let mut open = self.open.lock();
                let reported = open.open_mut().of(event).map(|component| &mut component.kept.of);
                let merged = reported.and_then(|reported| {
                    let progress = reported.progress.add(event)?;
                    Some(Merged { trace: reported.trace, progress })
                });
                merged.into_iter().collect()
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => match self.open.lock().take(event) {
                Found::Open(component) => rest([component]),
                Found::Abandoned | Found::Ended | Found::Unknown => Vec::new(),
            },
        }
    }

    /// Takes out what is left of all components, and takes in no more.
    pub(super) fn close(&self) -> Vec<Merged> {
        rest(self.open.lock().close())
    }
}

fn rest(components: impl IntoIterator<Item = Open<Seen<Reported>>>) -> Vec<Merged> {
    let merged = components.into_iter().filter_map(|mut component| {
        let Reported { trace, progress } = &mut component.kept.of;
        Some(Merged { trace: *trace, progress: progress.finish()? })
    });
    merged.collect()
}
