//! What the bridge makes of a tool and of a chunk, made by the peers: the same names and attributes.

use std::hint::black_box;

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tracing::{info_span, span::EnteredSpan};

use crate::WORKFLOW_ID;

/// A tool's span by the SDK, with the parent handed on by hand and no context made current.
#[must_use]
pub fn sdk_tool(tracer: &SdkTracer, parent: &Context) -> Span {
    let text = |text: &'static str| black_box(text).to_owned();
    let attributes = vec![
        KeyValue::new("gen_ai.operation.name", "execute_tool"),
        KeyValue::new("gen_ai.tool.name", text("search")),
        KeyValue::new("gen_ai.tool.type", "function"),
        KeyValue::new("agent_runtime.component.id", text("search:0")),
        KeyValue::new("agent_runtime.workflow.id", text(WORKFLOW_ID)),
        KeyValue::new("agent_runtime.event.offset", black_box(3)),
    ];
    let builder = SpanBuilder::from_name(text("execute_tool search")).with_attributes(attributes);
    tracer.build_with_context(builder, parent)
}

/// The same by a macro of `tracing`, entered as `#[instrument]` would.
#[must_use]
pub fn tracing_tool() -> EnteredSpan {
    info_span!(
        "execute_tool search",
        "gen_ai.operation.name" = "execute_tool",
        "gen_ai.tool.name" = black_box("search"),
        "gen_ai.tool.type" = "function",
        "agent_runtime.component.id" = black_box("search:0"),
        "agent_runtime.workflow.id" = black_box(WORKFLOW_ID),
        "agent_runtime.event.offset" = black_box(3),
    )
    .entered()
}

/// A chunk of an answer as an event of the current span.
pub fn tracing_chunk(offset: u64) {
    tracing::info!(
        "agent_runtime.llm.chunk_count" = 1,
        "agent_runtime.event.offset" = black_box(offset),
        "agent_runtime.llm.chunk"
    );
}
