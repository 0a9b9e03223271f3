//! Events onto OpenTelemetry: nested spans, exported over OTLP.
//!
//! In flows each native event, through [`OtelLayer`], in the order of its stream; out flow the spans that [`SpanMapper`]
//! makes of Started → end pairs, through an SDK tracer. [`Telemetry`] sets all of it up in one call.
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
//! | LLM request | `chat {model}` | client | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `.stream`, `.temperature`, `.top_p`, `.max_tokens`, `server.address`, `server.port`, `gen_ai.agent.name`, `agent_runtime.llm.index` | `gen_ai.response.id`, `.model`, `.finish_reasons`, `.time_to_first_chunk`, `gen_ai.usage.input_tokens`, `.output_tokens`, `.cache_read.input_tokens`, `.reasoning.output_tokens`, `agent_runtime.llm.chunk_count` |
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
//! What was asked and answered (messages, chunks, arguments, results) is in none of them.

#[cfg(feature = "otlp")]
mod builder;
mod coalesce;
#[cfg(feature = "otlp")]
mod delivery;
mod ids;
mod layer;
mod logs;
mod mapper;
mod mapping;
mod names;
mod open_spans;
#[cfg(feature = "otlp")]
mod otlp_json;
mod propagation;
mod scope;
#[cfg(feature = "otlp")]
mod telemetry;
#[cfg(feature = "otlp")]
mod transport;

#[cfg(feature = "otlp")]
pub use builder::{DEFAULT_QUEUE_SIZE, TelemetryBuilder};
pub use coalesce::DEFAULT_MAX_PROGRESS_EVENTS;
#[cfg(feature = "otlp")]
pub use delivery::Delivery;
pub use ids::EventIdGenerator;
pub use layer::OtelLayer;
pub use mapper::{DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_SPAN_AGE, Observed, SpanMapper};
#[cfg(feature = "testing")]
pub(crate) use names::EVENT_OFFSET;
#[cfg(feature = "otlp")]
pub use otlp_json::to_otlp_json;
pub use propagation::extract_context;
#[cfg(feature = "otlp")]
pub use telemetry::{DEFAULT_SHUTDOWN_TIMEOUT, Telemetry, TelemetryError};
