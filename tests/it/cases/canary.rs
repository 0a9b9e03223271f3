//! Secrets of twenty kinds in every place that a run has, and every way out of the process, with neighbors installed: none
//! gets out.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use agent_runtime::{
    llm::OpenAiClient,
    otel::{
        ContentCapture, ContentPolicy, LogEmitter, MetricsRecorder, OtelLayer, PatternRedactor, SpanMapper,
        to_otlp_json,
    },
    prelude::*,
    stream::EventStream,
};
use opentelemetry::{logs::LoggerProvider as _, metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    Resource,
    logs::{InMemoryLogExporter, SdkLoggerProvider},
    metrics::{InMemoryMetricExporter, SdkMeterProvider},
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use tracing::Instrument as _;
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

use crate::support::{self, HttpReply, ScriptedServer};

/// One secret of each kind, and what of it must be nowhere.
const SECRETS: [(&str, &str); 20] = [
    ("sk-proj-Canary0123456789abcdef", "Canary0123456789abcdef"),
    ("sk-ant-api03-Canary0123456789abcd", "api03-Canary"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F"),
    ("glpat-abcdefghij0123456789", "abcdefghij0123456789"),
    ("xoxb-123456789012-abcdef", "123456789012-abcdef"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "SyA1234567890"),
    ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyj"),
    ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123456789"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "eyJzdWIiOiIxMjM0In0"),
    ("Authorization: Bearer canary-of-a-header", "canary-of-a-header"),
    ("Cookie: session=canary-of-a-cookie-7", "canary-of-a-cookie-7"),
    ("https://ann:canary-pw@db.example/x", "canary-pw"),
    ("https://a.example/?token=canaryparameter1", "canaryparameter1"),
    ("password=\"canary horse battery\"", "canary horse"),
    ("ann.canary@example.com", "ann.canary@"),
    ("4111 1111 1111 1111", "4111 1111"),
    ("DE89 3704 0044 0532 0130 00", "3704 0044"),
    ("+49 170 1234567", "170 1234567"),
    ("-----BEGIN PRIVATE KEY-----\nMIICanary\n-----END PRIVATE KEY-----", "MIICanary"),
];

/// Content without a form of its own, which leaves only if it is asked for.
const CONTENT: &str = "Zebra crossing at midnight";

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything by which something gets out.
struct Ways {
    stream: EventStream,
    spans: InMemorySpanExporter,
    logs: InMemoryLogExporter,
    metrics: InMemoryMetricExporter,
    meters: SdkMeterProvider,
    page: Page,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Ways {
    fn under(policy: ContentPolicy) -> Self {
        let (spans, logs) = (InMemorySpanExporter::default(), InMemoryLogExporter::default());
        let (metrics, page) = (InMemoryMetricExporter::default(), Page::default());
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let loggers = SdkLoggerProvider::builder().with_simple_exporter(logs.clone()).build();
        let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
        let layer = OtelLayer::new(Arc::new(SpanMapper::new(tracers.tracer("ours")).with_content(policy.clone())))
            .with_log_events(Arc::new(LogEmitter::new(loggers.logger("ours"), policy.clone())))
            .with_metrics(Arc::new(MetricsRecorder::new(meters.meter("ours")).with_content(policy)));
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("theirs")))
            .with(OpenTelemetryTracingBridge::new(&loggers))
            .with(tracing_subscriber::fmt::layer().with_writer(page.clone()).with_ansi(false));
        let _subscriber = support::set_default(subscriber);
        Self { stream: EventStream::new(), spans, logs, metrics, meters, page, _subscriber }
    }

    fn all(&self) -> [(&'static str, String); 4] {
        self.meters.force_flush().expect("the provider is not shut down");
        let spans = self.spans.get_finished_spans().expect("the exporter is not shut down");
        let logs = self.logs.get_emitted_logs().expect("the exporter is not shut down");
        let page = String::from_utf8_lossy(&self.page.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        [
            ("spans", to_otlp_json(spans, &Resource::builder_empty().build()).expect("spans have a JSON form")),
            ("logs", format!("{:?}", logs.into_iter().map(|log| log.record).collect::<Vec<_>>())),
            ("metrics", format!("{:?}", self.metrics.get_finished_metrics().unwrap_or_default())),
            ("page", page),
        ]
    }
}

/// Runs that have the secret in the prompt, in arguments, results, progress, errors of tools, steps and providers, a panic
/// and answers.
async fn run_with(ways: &Ways, secret: &'static str) {
    let runtime = Runtime::with_event_stream(ways.stream.clone());
    let find = FnTool::new("find", "Finds.", json!({"type": "object"}), move |_, progress| async move {
        progress(format!("looking for {secret}"), Some(1));
        Ok(json!({"found": secret, "text": CONTENT}))
    });
    let fail =
        FnTool::new("fail", "Fails.", json!({}), move |_, _| async move { Err(format!("refused: {secret}").into()) });
    let explode =
        FnTool::new("explode", "Panics.", json!({}), move |_, _| async move { panic!("{secret}, {CONTENT}") });
    let arguments = json!({"what": secret, "text": CONTENT});
    let calls = [
        ("c1", "find", arguments.clone()),
        ("c2", "fail", arguments.clone()),
        ("c3", "explode", arguments.clone()),
        ("c4", "there_is_none", arguments),
    ];
    let server = ScriptedServer::answering(move |number, _| {
        if number == 0 { HttpReply::tool_calls(&calls) } else { HttpReply::chat(&[secret, " ", CONTENT]) }
    })
    .await;
    let agent = |url: String| {
        let model = OpenAiClient::builder("m").with_base_url(url).with_api_key("sk-canary-of-the-client-0123456789");
        Agent::builder("helper", Arc::new(model.build().expect("the settings are right")))
            .with_system_prompt(format!("{secret} {CONTENT}"))
            .with_tool(find.clone())
            .with_tool(fail.clone())
            .with_tool(explode.clone())
            .build()
    };
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent(server.base_url()))).build();
    let prompt = format!("{secret}: {CONTENT}");
    let request = tracing::info_span!("request");
    runtime.execute(&workflow, prompt.as_str()).instrument(request).await.expect("the model answers");

    // A provider that says in its refusal what it was asked, without a quote around it.
    let body = json!({"error": {"message": format!("cannot answer {CONTENT} of {secret}"), "code": CONTENT}});
    let server = ScriptedServer::start([HttpReply::json(400, &body)]).await;
    let refused = Workflow::new("refused").add_step(AgentStep::new(agent(server.base_url()))).build();
    runtime.execute(&refused, prompt.as_str()).await.expect_err("the model refuses");

    let step = TransformStep::new("step", move |_: JsonValue| async move {
        Err::<JsonValue, ToolError>(ToolError::new(format!("cannot file \"{CONTENT}\" of {secret}")))
    });
    runtime.execute(&Workflow::new("fails").add_step(step).build(), prompt.as_str()).await.expect_err("the step fails");
}

#[tokio::test]
async fn no_secret_gets_out_by_any_way() {
    for capture in [ContentCapture::NoContent, ContentCapture::SpanAndEvent] {
        let policy = ContentPolicy::default().with_capture(capture).with_redactor(PatternRedactor::new());
        let ways = Ways::under(policy);
        for (secret, _) in SECRETS {
            run_with(&ways, secret).await;
        }
        for (way, text) in ways.all() {
            assert!(!text.is_empty(), "{way} has something");
            for (secret, sign) in SECRETS.into_iter().chain([("the client's key", "canary-of-the-client")]) {
                // A key in PEM has line feeds, which are escaped in JSON.
                assert!(!text.contains(sign), "{capture}, {way}: {secret}: {}", around(&text, sign));
            }
            let is_out = text.contains(CONTENT);
            let may_be_out = capture == ContentCapture::SpanAndEvent && matches!(way, "spans" | "logs");
            assert!(may_be_out || !is_out, "{capture}, {way}: {}", around(&text, CONTENT));
        }
        let shown = ways.stream.get_events(0).await;
        assert!(shown.iter().any(|event| event.data.to_string().contains(CONTENT)), "subscribers see everything");
    }
}

fn around<'a>(text: &'a str, needle: &str) -> &'a str {
    let Some(at) = text.find(needle) else { return "" };
    &text[text.floor_char_boundary(at.saturating_sub(300))..text.floor_char_boundary((at + 100).min(text.len()))]
}
