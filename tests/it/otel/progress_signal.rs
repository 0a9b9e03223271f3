//! Progress as span events, as log events or as both, merged alike and under the same rules for content.

use std::sync::Arc;

use agent_runtime::{
    otel::{ContentCapture, ProgressSignal, Telemetry},
    prelude::*,
};
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter, SdkLogRecord},
    trace::{InMemorySpanExporter, SpanData},
};
use parking_lot::Mutex;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::set_default;

const SECRET: &str = "Zebra";

/// Keeps log events, also after its end, as the SDK's own exporter in memory does not.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SdkLogRecord>>>);

impl LogExporter for Kept {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.lock().extend(batch.iter().map(|(record, _)| record.clone()));
        Ok(())
    }
}

/// What was exported of a request with chunks and of a tool with reports, too many to stay single.
fn exported(signal: ProgressSignal, capture: ContentCapture) -> (Vec<SpanData>, Vec<SdkLogRecord>) {
    let (spans, logs) = (InMemorySpanExporter::default(), Kept::default());
    let telemetry = Telemetry::builder("test")
        .with_span_exporter(spans.clone())
        .with_log_exporter(logs.clone())
        .with_progress(signal)
        .with_content_capture(capture)
        .build()
        .expect("nothing in the environment is wrong");
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let stream = EventStream::new();
    let append = |event| stream.append(event).expect("it is valid");
    append(Event::llm_started("a:llm:0", None, None, json!({"model": "m"})));
    append(Event::tool_started("t:0", None, None, json!({})));
    for number in 0..300 {
        append(Event::llm_progress("a:llm:0", None, None, None, json!({"chunk": SECRET})));
        let message = format!("read \"{SECRET}\"");
        append(Event::tool_progress("t:0", Some(message), None, None, json!({"progress": number})));
    }
    append(Event::tool_completed("t:0", None, None, json!({})));
    append(Event::llm_completed("a:llm:0", None, None, json!({})));
    // Its end never comes.
    append(Event::tool_started("open:0", None, None, json!({})));
    append(Event::tool_progress("open:0", Some("begun".to_owned()), None, None, json!({})));
    telemetry.flush().expect("all arrive");
    let spans = spans.get_finished_spans().expect("the exporter is not shut down");
    telemetry.shutdown().expect("all arrive");
    let mut logs = std::mem::take(&mut *logs.0.lock());
    logs.retain(|record| record.event_name().is_some_and(|name| name.starts_with("agent_runtime.")));
    (spans, logs)
}

fn count_in(log: &SdkLogRecord, name: &str) -> i64 {
    let found = log.attributes_iter().find(|(key, _)| key.as_str() == name);
    match found.map(|(_, value)| value) {
        Some(AnyValue::Int(count)) => *count,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn progress_goes_where_it_is_asked_for_with_exact_sums() {
    for (signal, on_spans, in_logs) in [
        (ProgressSignal::SpanEvents, true, false),
        (ProgressSignal::LogEvents, false, true),
        (ProgressSignal::Both, true, true),
    ] {
        let (spans, logs) = exported(signal, ContentCapture::NoContent);
        for (span, event, count) in [
            ("chat m", "agent_runtime.llm.chunk", "agent_runtime.llm.chunk_count"),
            ("execute_tool t", "agent_runtime.progress", "agent_runtime.progress.count"),
        ] {
            let span = spans.iter().find(|found| found.name == span).unwrap_or_else(|| panic!("no span {span}"));
            let events: Vec<_> = span.events.iter().filter(|found| found.name == event).collect();
            assert_eq!(!events.is_empty(), on_spans, "{signal:?}: {event}");
            let of_span = |log: &&SdkLogRecord| {
                log.trace_context().is_some_and(|context| context.span_id == span.span_context.span_id())
            };
            let logs: Vec<_> = logs.iter().filter(of_span).collect();
            assert_eq!(!logs.is_empty(), in_logs, "{signal:?}: {event}");
            if in_logs {
                assert!(logs.len() <= 96, "{signal:?}: {} log events", logs.len());
                assert_eq!(logs.iter().map(|log| count_in(log, count)).sum::<i64>(), 300, "{signal:?}: {event}");
                assert!(logs.iter().all(|log| log.event_name() == Some(event)));
                assert!(logs.iter().all(|log| log.severity_number() == Some(Severity::Debug)));
            }
            if on_spans && in_logs {
                assert_eq!(logs.len(), events.len(), "{event}: merged alike");
                for (log, event) in logs.iter().zip(events) {
                    let said: Vec<_> = log.attributes_iter().map(|(key, _)| key.as_str().to_owned()).collect();
                    let on_span: Vec<_> = event.attributes.iter().map(|kept| kept.key.as_str().to_owned()).collect();
                    assert_eq!(said, on_span);
                    assert_eq!(log.timestamp(), Some(event.timestamp));
                }
            }
        }
        let chunks = spans.iter().find(|span| span.name == "chat m").unwrap();
        let total = chunks.attributes.iter().find(|kept| kept.key.as_str() == "agent_runtime.llm.chunk_count");
        assert_eq!(total.map(|kept| kept.value.to_string()).as_deref(), Some("300"), "{signal:?}: the count stays");
        let begun = logs.iter().filter(|log| format!("{log:?}").contains("begun")).count();
        assert_eq!(begun, usize::from(in_logs), "{signal:?}: what is left of the open one");
    }
}

#[test]
fn content_of_progress_goes_where_content_may_go() {
    for (capture, on_spans, in_logs) in [
        (ContentCapture::NoContent, false, false),
        (ContentCapture::SpanOnly, true, false),
        (ContentCapture::EventOnly, false, true),
        (ContentCapture::SpanAndEvent, true, true),
    ] {
        let (spans, logs) = exported(ProgressSignal::Both, capture);
        let tool = spans.iter().find(|span| span.name == "execute_tool t").unwrap();
        assert_eq!(format!("{:?}", tool.events).contains(SECRET), on_spans, "{capture}");
        let reports = logs.iter().filter(|log| log.event_name() == Some("agent_runtime.progress"));
        assert_eq!(format!("{:?}", reports.collect::<Vec<_>>()).contains(SECRET), in_logs, "{capture}");
        let chunks = logs.iter().filter(|log| log.event_name() == Some("agent_runtime.llm.chunk"));
        assert!(
            !format!("{:?}", chunks.collect::<Vec<_>>()).contains(SECRET),
            "{capture}: pieces of an answer never go"
        );
    }
}
