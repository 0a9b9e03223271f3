//! Events onto OpenTelemetry: nested spans and metrics, exported over OTLP.
//!
//! In flows each native event, through [`OtelLayer`], in the order of its stream; out flow the spans that [`SpanMapper`]
//! makes of Started → end pairs, through an SDK tracer, and the measurements that [`MetricsRecorder`] makes, into the
//! instruments of a meter. [`Telemetry`] sets all of it up in one call.
//!
//! # The mapping
//!
//! Names follow the OpenTelemetry GenAI semantic conventions (repository `semantic-conventions-genai` at `fe5608e`,
//! 2026-08-03, status Development); what they do not cover is under `agent_runtime.*`.
//!
//! | scope | span | kind | at its start | at its end |
//! | --- | --- | --- | --- | --- |
//! | workflow | `invoke_workflow {name}` | internal | `gen_ai.operation.name`, `gen_ai.workflow.name` | |
//! | step | `workflow_step {step name}` | internal | `agent_runtime.step.name`, `.type`, `.index` | |
//! | agent | `invoke_agent {name}` | internal | `gen_ai.operation.name`, `gen_ai.agent.name`, `.description`, `gen_ai.request.model` | `agent_runtime.agent.iterations`, `.llm_calls`, `.tool_calls`, `.total_tokens` |
//! | LLM request | `chat {model}` | client | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `.stream`, `.temperature`, `.top_p`, `.max_tokens`, `server.address`, `server.port`, `gen_ai.agent.name`, `agent_runtime.llm.index` | `gen_ai.response.id`, `.model`, `.finish_reasons`, `.time_to_first_chunk`, `gen_ai.usage.input_tokens`, `.output_tokens`, `.cache_read.input_tokens`, `.cache_write.input_tokens`, `.reasoning.output_tokens`, `agent_runtime.llm.chunk_count` |
//! | tool | `execute_tool {name}` | internal | `gen_ai.operation.name`, `gen_ai.tool.name`, `.type`, `.description`, `.call.id`, `gen_ai.agent.name` | |
//! | system | none: a span event `agent_runtime.system.{subsystem}` on the span that it concerns | | | |
//!
//! Every span also has `agent_runtime.component.id`, `agent_runtime.workflow.id`, `agent_runtime.workflow.parent_id` and
//! `agent_runtime.event.offset`.
//!
//! | event | becomes |
//! | --- | --- |
//! | progress of a request | span events `agent_runtime.llm.chunk`, merged in time windows; `agent_runtime.llm.chunk_count` says of how many |
//! | other progress | span events `agent_runtime.progress` with the message and the numbers of its data, merged likewise |
//! | completed | status unset |
//! | failed | status error with the message; `error.type` from `error_code`, else `_OTHER`; for a request the finish reason `error` |
//! | canceled | as failed, with `error.type` `canceled` and `agent_runtime.canceled` |
//! | an end without a start | a span without length, `agent_runtime.unmatched` |
//! | a start without an end | at shutdown, by age or number: status error, `error.type` `interrupted`, `agent_runtime.interrupted` |
//!
//! # Sampling
//!
//! The standard samplers of `OTEL_TRACES_SAMPLER` keep or leave whole traces. A sampler is asked with the span's name and
//! kind, its links, and the attributes that the conventions call important for it: `gen_ai.operation.name`, the names of
//! workflow, agent, tool and step, provider, model and server, and `gen_ai.conversation.id`; all others are set after it
//! has said yes. [`Telemetry`] asks once for a workflow and not for its components, see
//! [`SpanMapper::with_whole_workflows_sampled`].
//!
//! # Metrics
//!
//! | metric | instrument | unit | boundaries | labels |
//! | --- | --- | --- | --- | --- |
//! | `gen_ai.client.inference.duration` | histogram | `s` | call | *request*, `error.type` |
//! | `gen_ai.client.inference.time_to_first_chunk` | histogram | `s` | call | *request* |
//! | `gen_ai.client.inference.time_per_output_chunk` | histogram | `s` | call | *request* without `gen_ai.response.model` |
//! | `gen_ai.client.inference.usage.input_tokens`, `.output_tokens`, `.cache_read.input_tokens`, `.cache_write.input_tokens`, `.reasoning.output_tokens` | counter | `{token}` | | *request*, `gen_ai.token.modality` (`unknown`) |
//! | `gen_ai.client.inference.operation.input_tokens`, `.output_tokens` | histogram | `{token}` | tokens | *request* |
//! | `gen_ai.invoke_agent.duration` | histogram | `s` | agent | `gen_ai.agent.name`, `gen_ai.request.model`, `error.type` |
//! | `gen_ai.invoke_agent.inference_calls`, `.tool_calls` | histogram | `{inference_call}`, `{tool_call}` | calls | `gen_ai.agent.name` |
//! | `gen_ai.execute_tool.duration` | histogram | `s` | call | `gen_ai.tool.name`, `.type`, `gen_ai.agent.name`, `error.type` |
//! | `gen_ai.invoke_workflow.duration` | histogram | `s` | workflow | `gen_ai.workflow.name`, `error.type` |
//! | `agent_runtime.workflow_step.duration` | histogram | `s` | agent | `agent_runtime.step.name`, `.type`, `error.type` |
//! | `agent_runtime.llm.cost` | counter | the currency | | *request*, `gen_ai.agent.name` |
//! | `agent_runtime.llm.unpriced_requests` | counter | `{request}` | | *request*, `gen_ai.agent.name` |
//! | `agent_runtime.components.active` | up-down counter | `{component}` | | `agent_runtime.scope` |
//! | `agent_runtime.events` | counter | `{event}` | | `agent_runtime.scope`, `agent_runtime.event.type` |
//! | `agent_runtime.system.events` | counter | `{event}` | | `agent_runtime.system.subsystem` |
//! | `agent_runtime.subscriber.lagged` | counter | `{event}` | | |
//! | `agent_runtime.spans.ended`, `.exported`, `.failed`, `.dropped`, `.interrupted` | counter | `{span}` | | |
//! | `agent_runtime.metrics.overflowed_labels` | counter | `{label}` | | `agent_runtime.metrics.label` |
//!
//! The labels of a *request* are `gen_ai.operation.name` (`chat`), `gen_ai.provider.name` (`unknown` where no event says),
//! `gen_ai.request.model`, `gen_ai.response.model`, `server.address` and `server.port`, as far as they are known. The
//! boundaries are those of the conventions: *call* from 0.01 to 81.92 s, *agent* from 0.1 to 409.6 s, *workflow* from 1 s to
//! 2 h, *tokens* from 1 to 4^13, *calls* from 1 to 128.
//!
//! - A duration is that of the component's span, with the same `error.type`. Sampling changes nothing.
//! - Tokens are counted if the provider told them, also of a request that failed; their histograms are of requests that
//!   went well. A failure before any usage was told counts no tokens, since none is known to have been used.
//! - The calls of an agent are those that its end tells, else those that were seen.
//! - Costs need [prices](TelemetryBuilder::with_prices), of which there are none by default.
//! - An end without a start has no duration; what it tells of tokens and calls is counted.
//! - Each label takes at most [`DEFAULT_MAX_LABEL_VALUES`] values, each of at most 256 bytes; what comes after that becomes
//!   `_OTHER`, which `agent_runtime.metrics.overflowed_labels` counts. A tool that its agent does not have is `_OTHER`, since the model
//!   made its name up. The SDK bounds the combinations of labels to 2,000 for each metric.
//! - [`with_legacy_metrics`](TelemetryBuilder::with_legacy_metrics) adds the names that dashboards for the conventions up
//!   to v1.41 ask for: `gen_ai.client.token.usage`, `gen_ai.client.operation.duration`, `.time_to_first_chunk` and
//!   `.time_per_output_chunk`.
//!
//! # Content
//!
//! What was asked and answered (messages, chunks, arguments, results) is in none of them, unless the user
//! [captures](TelemetryBuilder::with_content_capture) it, by the builder or by
//! `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`. Without it an error's message goes without what it quotes,
//! because errors quote what they cannot read.
//!
//! | content | on spans, as JSON strings | in log events, as structured values |
//! | --- | --- | --- |
//! | chat history; input of a workflow or an agent | `gen_ai.input.messages` | `gen_ai.input.messages`, of requests |
//! | answer, also a part of one; output of a workflow or an agent | `gen_ai.output.messages` | `gen_ai.output.messages`, of requests |
//! | the tools that a model may call | `gen_ai.tool.definitions` | `gen_ai.tool.definitions` |
//! | arguments and result of a tool | `gen_ai.tool.call.arguments`, `gen_ai.tool.call.result` | |
//! | input and output of a step | `agent_runtime.step.input`, `agent_runtime.step.output` | |
//!
//! The log events are `gen_ai.client.inference.operation.details`, one for each request, with all attributes of its span,
//! and `gen_ai.client.operation.exception`, one for each request that failed; see [`LogEmitter`]. System messages stay in
//! the history, in their place, so there is no `gen_ai.system_instructions`. The pieces of a streamed answer are not
//! exported one by one, since a redactor could not know half of a key.
//!
//! An attribute with content that is longer than [`DEFAULT_MAX_CONTENT_BYTES`] is cut, to valid JSON of the same schema:
//! the longest texts first, each with the marker `… [truncated]`. The span then has `agent_runtime.content.truncated`
//! and, as `agent_runtime.content.input_offset` or `.output_offset`, the offset of the event that has the whole, for
//! [`EventStream::get_events`](crate::stream::EventStream::get_events) or a store. Content of a trace that is not sampled
//! is neither serialized nor exported.
//!
//! Every text of an event, content or not, passes the [`Redactor`], if one is set, before a span, a log event or a metric
//! gets it. [`PatternRedactor`] is a ready one.

mod content;
#[cfg(feature = "otlp-http")]
mod export;
mod layer;
mod logs;
mod mapping;
mod metrics;
mod names;
mod open_components;
mod propagation;
mod spans;
mod trace_url;

#[cfg(feature = "redaction")]
pub use content::PatternRedactor;
pub use content::{
    CAPTURE_VARIABLE, ContentCapture, ContentPolicy, DEFAULT_MAX_CONTENT_BYTES, MAX_TEXT_BYTES, MIN_CONTENT_BYTES,
    Redactor, UnknownContentCapture,
};
#[cfg(feature = "otlp-http")]
pub use export::{
    Delivery, ExportError, ExportFailure, ExportReport, MetricsReport, SignalReport, Telemetry, TelemetryBuilder,
    TelemetrySetupError, to_otlp_json,
};
pub use layer::OtelLayer;
pub use logs::LogEmitter;
pub use metrics::{
    DEFAULT_MAX_COMPONENT_AGE, DEFAULT_MAX_LABEL_VALUES, DEFAULT_MAX_OPEN_COMPONENTS, MetricsRecorder, Price,
    PriceError, PriceTable,
};
#[cfg(feature = "testing")]
pub(crate) use names::EVENT_OFFSET;
pub use propagation::extract_context;
pub use spans::{
    DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_PROGRESS_EVENTS, DEFAULT_MAX_SPAN_AGE, EventIdGenerator, Observed, SpanMapper,
};
pub use trace_url::{TraceUrl, TraceUrlError};
