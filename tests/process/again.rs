//! Spans of stored events over OTLP: the same bytes as live, however often they are sent.

use std::{collections::BTreeMap, sync::Arc};

use agent_runtime::{
    otel::{StoredExportError, Telemetry, TelemetrySetupError},
    prelude::*,
    store::{Cursor, MemoryStore, Query, Recorder},
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::process::run_child;
use crate::support::sink::{Answer, Sink};
use crate::support::{FULL_TREE, full_flow};

#[test]
fn the_trace_again_has_the_bytes_of_the_live_one_each_time() {
    for (protocol, sink) in [("http/protobuf", Sink::http()), ("grpc", Sink::grpc())] {
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url())];
        let finished = run_child("child_sends_live_and_twice_again", &variables);
        assert!(finished.success, "{}{}", finished.stdout, finished.stderr);
        let mut by_id: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
        for span in sink.spans().iter() {
            // Whether a parent was in the process is what a replay cannot know.
            let plain = Span { flags: span.flags & 0xff, ..span.clone() };
            by_id.entry(span.span_id.clone()).or_default().push(plain);
        }
        assert_eq!(by_id.len(), FULL_TREE.lines().count());
        for spans in by_id.into_values() {
            assert_eq!(spans.len(), 3, "live and twice again");
            assert!(spans.iter().all(|span| *span == spans[0]), "{spans:#?}");
        }
    }
}

#[test]
fn a_collector_that_refuses_is_an_error_that_says_how_much_is_missing() {
    let sink = Sink::http_answering([Answer::Refuse(400)]);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let finished = run_child("child_is_refused_and_sends_again", &variables);
    assert!(finished.success, "{}{}", finished.stdout, finished.stderr);
    assert_eq!(sink.spans().len(), FULL_TREE.lines().count());
}

/// A store with one run in it, which goes to the current subscriber as well.
async fn stored() -> MemoryStore {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store.clone()).start(runtime.event_stream()).await.expect("the store is open");
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    assert!(recorder.stop().await.is_complete());
    Arc::into_inner(store).expect("the recorder is gone")
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_sends_live_and_twice_again() {
    let telemetry = Telemetry::builder("test").with_otlp_from_env().build().expect("the variables are right");
    let store = {
        let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
        stored().await
    };
    let live = telemetry.shutdown().expect("the collector takes it");
    let export = Telemetry::builder("test").with_otlp_from_env().build_for_store().expect("the variables are right");
    for _ in 0..2 {
        let again = export.send(&store, Cursor::Beginning, &Query::default()).await.expect("the collector takes it");
        assert_eq!((again.sent, again.rejected, again.still_open), (live.spans.delivery.exported, 0, 0));
    }
    let other = export.send(&store, Cursor::Beginning, &Query::default().with_workflow("another")).await;
    assert_eq!(other.expect("there is nothing to send").sent, 0);
    let nowhere = Telemetry::builder("test").build_for_store();
    assert!(matches!(nowhere, Err(TelemetrySetupError::NoCollector)), "{nowhere:?}");
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_is_refused_and_sends_again() {
    let store = stored().await;
    let export = Telemetry::builder("test").with_otlp_from_env().build_for_store().expect("the variables are right");
    let every = Query::default();
    let send = || export.send(&store, Cursor::Beginning, &every);
    let refused = send().await.expect_err("it is refused");
    let StoredExportError::Collector { spans, .. } = refused else { panic!("{refused}") };
    assert_eq!(spans, FULL_TREE.lines().count() as u64);
    assert_eq!(send().await.expect("it is taken").sent, spans);
}
