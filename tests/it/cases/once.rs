//! One event seen twice, and other clocks: an event counts once, and its time decides nothing about other components.

use std::collections::BTreeSet;

use agent_runtime::{otel::MetricsRecorder, prelude::*};
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData},
};
use tracing::dispatcher;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{Recording, Spans, dispatch_of, spans};

fn start(id: &str) -> Event {
    Event::tool_started(id, Some("w".to_owned()), None, json!({}))
}

fn end(id: &str) -> Event {
    Event::tool_completed(id, Some("w".to_owned()), None, json!({}))
}

fn marked(spans: &Spans, mark: &str) -> usize {
    spans.iter().filter(|span| spans::attribute(span, mark) == true).count()
}

/// C49.
#[test]
fn a_component_of_last_week_is_no_older_than_one_of_now() {
    let recording = Recording::new();
    let last_week = |mut event: Event| {
        event.timestamp -= TimeDelta::weeks(1);
        event
    };
    let spans = recording.replay(&[last_week(start("old")), start("live"), last_week(end("old")), end("live")]);
    assert_eq!((spans.len(), marked(&spans, "agent_runtime.interrupted")), (2, 0), "{}", spans.tree());
    assert_eq!(marked(&spans, "agent_runtime.unmatched"), 0);
}

/// C50.
#[test]
fn a_start_from_the_future_interrupts_nothing() {
    let recording = Recording::new();
    let metrics = MetricsRecorder::new(SdkMeterProvider::default().meter("test"));
    let mut events: Vec<_> = (0..101).map(|number| start(&format!("t:{number}"))).collect();
    events[100].timestamp += TimeDelta::days(2);
    events.iter().for_each(|event| metrics.observe(event));
    assert!(recording.replay(&events).is_empty());
    assert_eq!((recording.mapper().open_spans(), metrics.open_components()), (101, 101));
}

/// C42, C46: what was abandoned by number takes its end in silence; what ends twice is over once.
#[test]
fn a_component_that_was_abandoned_has_one_span_and_one_end() {
    let recording = Recording::with_mapper(|mapper| mapper.with_max_open_spans(2));
    let ids = ["t:0", "t:1", "t:2"];
    let spans = recording.replay(&[ids.map(start), ids.map(end)].concat());
    assert_eq!((spans.len(), marked(&spans, "agent_runtime.unmatched")), (3, 0));
    assert_eq!((marked(&spans, "agent_runtime.interrupted"), recording.mapper().open_spans()), (1, 0));

    let metrics = MetricsRecorder::new(SdkMeterProvider::default().meter("test")).with_max_open_components(4);
    let ids: Vec<_> = (0..10).map(|number| format!("t:{number}")).collect();
    ids.iter().for_each(|id| metrics.observe(&start(id)));
    assert_eq!(metrics.open_components(), 4);
    ids.iter().chain(&ids).for_each(|id| metrics.observe(&end(id)));
    assert_eq!(metrics.open_components(), 0);
}

/// C55, with one of two alike abandoned: its end is the first.
#[test]
fn ends_of_one_identity_go_to_the_oldest_start_abandoned_ones_included() {
    let recording = Recording::with_mapper(|mapper| mapper.with_max_open_spans(2));
    let failed = |why: &str| Event::tool_failed("t", why, Some("w".to_owned()), None, json!({}));
    let spans =
        recording.replay(&[start("t"), start("t"), start("t"), failed("1"), failed("2"), failed("3"), failed("4")]);
    let mut outcomes: Vec<_> = spans.iter().map(spans::outcome).collect();
    outcomes.sort();
    let interrupted = "error(interrupted): the end of the component was never reported";
    assert_eq!(outcomes, ["error(_OTHER): 2", "error(_OTHER): 3", "error(_OTHER): 4", interrupted]);
    assert_eq!(marked(&spans, "agent_runtime.unmatched"), 1, "only the fourth end has no start");
}

/// C47: a mapper and a recorder that are closed take in nothing more, whosever the provider is.
#[test]
fn after_the_close_there_are_no_spans() {
    let recording = Recording::new();
    dispatcher::with_default(&recording.dispatch(), || {
        let stream = EventStream::new();
        stream.append(start("before")).expect("valid");
        recording.mapper().close();
        for number in 0..100 {
            let appended = stream.append(start(&format!("t:{number}"))).expect("valid");
            assert_eq!(appended.trace, None);
            stream.append(end(&format!("t:{number}"))).expect("valid");
        }
        stream.append(end("before")).expect("valid");
    });
    assert_eq!((recording.spans().len(), recording.mapper().open_spans()), (1, 0));
}

/// C51, C52, C86: an event that was appended before is for the subscribers alone.
#[test]
fn an_event_that_goes_through_two_streams_counts_once() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let metrics = std::sync::Arc::new(MetricsRecorder::new(meters.meter("test")));
    let recording = Recording::new();
    let usage = json!({"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}});
    let (a, b) = (EventStream::new(), EventStream::new());
    let mut reader_of_b = b.subscribe();
    let layer = recording.layer().with_metrics(metrics);
    dispatcher::with_default(&dispatch_of(registry().with(layer)), || {
        a.append(Event::llm_started("x:llm:0", None, None, json!({}))).expect("valid");
        a.append(Event::llm_completed("x:llm:0", None, None, usage)).expect("valid");
        for event in a.get_events(0).now_or_never().expect("never awaits") {
            let trace = event.trace;
            let forwarded = b.append(event).expect("valid");
            assert!(trace.is_some() && forwarded.trace == trace, "it still names its span");
        }
    });
    assert_eq!(recording.spans().len(), 1);
    let received: Vec<_> = std::iter::from_fn(|| reader_of_b.try_recv().ok()).map(|event| event.offset).collect();
    assert_eq!(received, [Some(0), Some(1)], "with offsets of the stream that they are in now");
    meters.force_flush().expect("it flushes");
    let tokens: u64 = exporter
        .get_finished_metrics()
        .expect("it is not poisoned")
        .iter()
        .flat_map(|resource| resource.scope_metrics())
        .flat_map(|scope| scope.metrics())
        .filter(|metric| metric.name() == "gen_ai.client.inference.usage.input_tokens")
        .map(|metric| match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().map(|point| point.value()).sum::<u64>(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(tokens, 100);
}

/// C52.
#[test]
fn copies_of_one_start_have_spans_with_ids_of_their_own() {
    for ends_between in [true, false] {
        let recording = Recording::new();
        dispatcher::with_default(&recording.dispatch(), || {
            let stream = EventStream::new();
            let started = start("t");
            let append = |event: Event| drop(stream.append(event).expect("valid"));
            append(started.clone());
            if ends_between {
                append(end("t"));
            }
            append(started);
            append(end("t"));
            if !ends_between {
                append(end("t"));
            }
        });
        let spans = recording.spans();
        spans.assert_well_formed();
        assert_eq!((spans.len(), recording.mapper().open_spans()), (2, 0));
    }
}

/// C56.
#[test]
fn no_two_of_many_workflows_have_an_id_in_common() {
    let recording = Recording::new();
    let mut ids = BTreeSet::new();
    for number in 0..50_000 {
        let event = Event::workflow_started("f", Some(format!("w{number}")), None, json!({}));
        let trace = recording.mapper().observe(&event).expect("it becomes a span").trace;
        assert!(ids.insert(trace.trace_id.to_string()) && ids.insert(trace.span_id.to_string()));
        recording.mapper().observe(&Event::workflow_completed("f", Some(format!("w{number}")), None, json!({})));
    }
    assert_eq!(recording.mapper().open_spans(), 0);
}
