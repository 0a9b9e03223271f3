//! One trace across everything that a trace crosses: a CI job, a program with `TRACEPARENT`, a child process, an HTTP service, and a
//! worker that is killed and whose job another one takes up.

use std::collections::BTreeSet;

use opentelemetry::{
    Context, KeyValue,
    trace::{TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use crate::{
    example,
    jaeger::Jaeger,
    stack::Stack,
    traces::{arrived, tree},
};

const CHAIN: &str = "\
ci job
  invoke_workflow queue
    execute_tool worker: tool_failed
    execute_tool worker
      invoke_workflow ship_order
        workflow_step load_order
          execute_tool shop
            invoke_workflow answer
              workflow_step clerk
                invoke_agent clerk
                  chat scripted
        workflow_step charge_card
          execute_tool approval
        workflow_step send_mail
";

#[test]
fn a_job_that_is_killed_and_taken_up_again_is_one_tree_from_ci_to_the_service() {
    let test = "a_job_that_is_killed_and_taken_up_again_is_one_tree_from_ci_to_the_service";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    let mut variables = stack.otlp("http/protobuf");
    variables.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "200".to_owned()));
    let mut service = example::start("service", &["127.0.0.1:0"], &variables);
    let url = service.wait_for("where it listens", |line| line.strip_prefix("listening on ").map(str::to_owned));

    let endpoint = format!("{}/v1/traces", stack.get("OTLP_HTTP"));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().expect("an address");
    let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "ci")).build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).with_resource(resource).build();
    let job = Context::new().with_span(provider.tracer("ci").start("ci job"));
    let (trace, span) = (job.span().span_context().trace_id(), job.span().span_context().span_id());
    variables.push(("TRACEPARENT".to_owned(), format!("00-{trace}-{span}-01")));
    let lines = example::run("resumed_job", &[&url], &variables);
    assert!(lines.iter().any(|line| line == "worker 1: killed"), "{lines:#?}");
    job.span().end();
    provider.shutdown().expect("the collector takes it");

    let (jaeger, trace) = (Jaeger::of(&stack), trace.to_string());
    let spans = arrived(&jaeger, &trace, CHAIN.lines().count());
    assert_eq!(tree(&spans), CHAIN);
    let ids: Vec<_> = jaeger.trace(&trace).into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "each span once: {ids:#?}");
    assert_eq!(spans.len(), ids.len());
    // The workflow's span is that of the worker that ended it, and what the first one did lies before its start.
    let warned: Vec<_> =
        spans.values().filter(|span| !span.warnings.is_empty()).map(|span| span.name.as_str()).collect();
    assert_eq!(warned, ["workflow_step load_order"]);
    let services: BTreeSet<_> = spans.values().map(|span| span.service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(["ci", "resumed_job", "service"]));
}
