//! A layer installed for the whole process. `tracing` guards a thread's own subscriber against being entered twice, but
//! not the global one; so what a layer appends must be kept from the layers by the stream itself. The global subscriber
//! can be set only once, hence a process of its own.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use agent_runtime::{
    prelude::*,
    stream::{Emission, TRACING_TARGET},
};
use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use crate::support::process::run_module;

/// The streams that the layer appends to, whichever stream it is shown an event of.
static STREAMS: OnceLock<[EventStream; 2]> = OnceLock::new();

/// A layer that answers every event, and every question whether it wants one, with events of its own.
struct Auditor {
    shown: &'static AtomicU64,
}

fn append_everywhere() {
    for stream in STREAMS.get().expect("set first") {
        stream.append(Event::system_progress("system:auditor", None, None, None, json!({}))).expect("valid");
    }
}

impl<S: Subscriber> Layer<S> for Auditor {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.target() == TRACING_TARGET {
            append_everywhere();
        }
        true
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TRACING_TARGET && Emission::with_current(|_| ()).is_some() {
            self.shown.fetch_add(1, Ordering::Relaxed);
            append_everywhere();
        }
    }
}

#[test]
fn the_case_holds_in_a_process_of_its_own() {
    run_module(module_path!());
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn a_global_layer_that_appends_is_shown_each_event_once() {
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    let streams = STREAMS.get_or_init(|| [EventStream::new(), EventStream::new()]);
    tracing::subscriber::set_global_default(Registry::default().with(Auditor { shown: &SHOWN })).unwrap();
    for _ in 0..10 {
        streams[0].append(Event::agent_started("lead", None, None, json!({}))).unwrap();
    }
    assert_eq!(SHOWN.load(Ordering::Relaxed), 10);
    for stream in streams {
        let offsets: Vec<_> = stream.get_events(0).await.iter().map(|event| event.offset).collect();
        assert_eq!(offsets, (0..stream.next_offset()).map(Some).collect::<Vec<_>>());
    }
}
