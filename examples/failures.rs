//! Run `cargo run --example failures`: a tool fails and the agent goes on without it, a model is too slow and its request
//! is canceled, the answer of another is interrupted and the workflow fails; each is printed, then what became of its spans.
//!
//! With `OTEL_EXPORTER_OTLP_ENDPOINT` set the trace is exported there: in Jaeger the three are red, each with its reason.
//! The models are scripts, so the failures come every time.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    llm::{ChatRequest, Role, StatusError},
    otel::Telemetry,
    prelude::*,
};

const PATIENCE: Duration = Duration::from_millis(300);
const CHUNK_DELAY: Duration = Duration::from_millis(15);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let telemetry = Telemetry::builder("failures").with_content_capture_from_env().with_otlp_if_endpoint_set();
    let telemetry = telemetry.build()?.install()?;

    let runtime = Runtime::new();
    let events = runtime.event_stream().subscribe();
    let result = runtime.execute(&workflow(&runtime), "Where is order 1007?").await;
    drop(runtime);
    print_ends(events).await?;
    match result {
        Ok(output) => println!("\nThe workflow returned: {}", output.output),
        Err(error) => println!("\nThe workflow failed, as it should here: {error}"),
    }
    match telemetry.shutdown() {
        Ok(report) if report.spans.delivery.ended > 0 => {
            println!("{} spans exported over OTLP", report.spans.delivery.exported);
        }
        Ok(_) => println!("Set OTEL_EXPORTER_OTLP_ENDPOINT to export this trace, to Jaeger for example."),
        Err(error) => println!("Not everything was exported: {error}"),
    }
    Ok(())
}

/// Prints how each component ended, and the trace that they are in.
async fn print_ends(mut events: Subscription) -> Result<(), RecvError> {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Closed) => return Ok(()),
            Err(lagged) => return Err(lagged),
        };
        if let (Some(0), Some(trace)) = (event.offset, event.trace) {
            println!("trace {}\n", trace.trace_id);
        }
        if event.event_type.is_terminal() {
            let message = event.message.as_deref().unwrap_or_default();
            let id = format!("{} {}", event.scope, event.component_id);
            println!("{id:<44} {:<9} {message}", event.event_type);
        }
    }
}

fn workflow(runtime: &Runtime) -> Workflow {
    let order_desk = Agent::builder("order_desk", Arc::new(order_desk_model()))
        .with_description("Finds the order")
        .with_tool(FnTool::new("order_by_number", "Looks up an order.", json!({}), |_args, _progress| async move {
            Err(ToolError::with_code("order 1007 is in the archive, which is offline", "ARCHIVE_OFFLINE").into())
        }))
        .with_tool(FnTool::new("orders_by_customer", "Lists open orders.", json!({}), |_args, progress| async move {
            tokio::time::sleep(Duration::from_millis(80)).await;
            progress("asked the shop".to_owned(), Some(50));
            tokio::time::sleep(Duration::from_millis(80)).await;
            Ok(json!([{"order": 1007, "state": "shipped"}]))
        }))
        .build();
    let writer = Agent::builder("writer", Arc::new(breaking_model())).with_description("Writes the answer").build();
    Workflow::new("answer_ticket")
        .add_step(AgentStep::new(order_desk).with_name("find_order"))
        .add_step(translate_in_time(runtime.clone()))
        .add_step(AgentStep::new(writer).with_name("write_answer"))
        .build()
}

/// A step that abandons its nested workflow when time is up: dropping a run cancels all that is open in it.
fn translate_in_time(runtime: Runtime) -> TransformStep {
    let slow = ScriptedModel::new("slow-model")
        .with_reply(ScriptedReply::text("Your order").with_delay(CHUNK_DELAY).then_pending(2));
    let translator = Agent::builder("translator", Arc::new(slow)).with_description("Translates").build();
    let translate = Workflow::new("translate").add_step(AgentStep::new(translator)).build();
    TransformStep::new("translate_in_time", move |text: JsonValue| {
        let (runtime, translate) = (runtime.clone(), translate.clone());
        async move {
            let run = runtime.execute(&translate, text.clone());
            tokio::time::timeout(PATIENCE, run).await.map_or(Ok(text), |run| run.map(|run| run.output))
        }
    })
}

fn order_desk_model() -> ScriptedModel {
    let reply = |request: &ChatRequest| {
        let results = request.messages.iter().filter(|message| message.role == Role::Tool).count();
        let reply = match results {
            0 => ScriptedReply::tool_calls([("order_by_number", json!({"order": 1007}))]),
            1 => ScriptedReply::tool_calls([("orders_by_customer", json!({"customer": 12}))]),
            _ => ScriptedReply::text("Order 1007 was shipped on Monday."),
        };
        reply.with_delay(CHUNK_DELAY)
    };
    ScriptedModel::answering(reply).with_name("small-model")
}

/// Says a few words and then what an overloaded server says.
fn breaking_model() -> ScriptedModel {
    let overloaded = || {
        let refusal = StatusError::new(503, "the server is overloaded").with_code("overloaded");
        refusal.with_retry_after(Duration::from_secs(5)).into()
    };
    let reply = ScriptedReply::text("Good news: your order is on its way.").with_delay(CHUNK_DELAY);
    ScriptedModel::new("large-model").with_reply(reply.then_error(4, overloaded))
}
