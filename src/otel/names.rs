//! The names of spans, attributes, span events and log events.
//!
//! `gen_ai.*` and `error.type` follow the OpenTelemetry GenAI semantic conventions, repository
//! `open-telemetry/semantic-conventions-genai` at v0.1.0 (2026-11), status Development; what they do not cover is ours,
//! under `agent_runtime.*`. The type is in front of each name.

/// The instrumentation scope of our spans and metrics.
#[cfg(feature = "otlp-http")]
pub(super) const INSTRUMENTATION_SCOPE: &str = "agent_runtime";

/// string
pub(super) const OPERATION_NAME: &str = "gen_ai.operation.name";
/// string, only if the application has one
pub(super) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
/// string
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// string, of few values: what the conventions called a workflow before v0.1.0, beside [`AGENT_NAME`] for one release
pub(super) const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// string, of few values: an agent, or a workflow by its operation
pub(super) const AGENT_NAME: &str = "gen_ai.agent.name";
/// string
pub(super) const AGENT_DESCRIPTION: &str = "gen_ai.agent.description";
/// string
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
/// boolean, only ever `true`
pub(super) const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// double
pub(super) const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// double
pub(super) const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
/// int
pub(super) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// string
pub(super) const RESPONSE_ID: &str = "gen_ai.response.id";
/// string
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// list of strings, one for each choice
pub(super) const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// double, seconds
pub(super) const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// int
pub(super) const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// int
pub(super) const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// int, part of the input tokens
pub(super) const USAGE_CACHE_READ_INPUT_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// int, part of the input tokens
pub(super) const USAGE_CACHE_WRITE_INPUT_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// int, part of the output tokens
pub(super) const USAGE_REASONING_OUTPUT_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// string
pub(super) const TOOL_NAME: &str = "gen_ai.tool.name";
/// string
pub(super) const TOOL_TYPE: &str = "gen_ai.tool.type";
/// string
pub(super) const TOOL_DESCRIPTION: &str = "gen_ai.tool.description";
/// string
pub(super) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// JSON: a list of messages
pub(super) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// JSON: a list of messages, one for each choice
pub(super) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// JSON: a list of tools
pub(super) const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// JSON: an object
pub(super) const TOOL_CALL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// JSON: an object
pub(super) const TOOL_CALL_RESULT: &str = "gen_ai.tool.call.result";
/// string
pub(super) const SERVER_ADDRESS: &str = "server.address";
/// int
pub(super) const SERVER_PORT: &str = "server.port";
/// Resource: string
#[cfg(feature = "otlp-http")]
pub(super) const SERVICE_NAME: &str = "service.name";
/// Resource: string, another one for each process
#[cfg(feature = "otlp-http")]
pub(super) const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// string, of few values
pub(super) const ERROR_TYPE: &str = "error.type";
/// string, of few values
pub(super) const EXCEPTION_TYPE: &str = "exception.type";
/// string
pub(super) const EXCEPTION_MESSAGE: &str = "exception.message";

/// string
pub(super) const WORKFLOW_ID: &str = "agent_runtime.workflow.id";
/// int
pub(super) const WORKFLOW_ATTEMPT: &str = "agent_runtime.workflow.attempt";
/// string[]
pub(super) const WORKFLOW_TAGS: &str = "agent_runtime.workflow.tags";
/// string
pub(super) const WORKFLOW_PARENT_ID: &str = "agent_runtime.workflow.parent_id";
/// string
pub(super) const COMPONENT_ID: &str = "agent_runtime.component.id";
/// int, the offset of the Started event
pub(crate) const EVENT_OFFSET: &str = "agent_runtime.event.offset";
/// string
pub(super) const STEP_NAME: &str = "agent_runtime.step.name";
/// string
pub(super) const STEP_TYPE: &str = "agent_runtime.step.type";
/// JSON
pub(super) const STEP_INPUT: &str = "agent_runtime.step.input";
/// JSON
pub(super) const STEP_OUTPUT: &str = "agent_runtime.step.output";
/// boolean, only ever `true`: an attribute with content was cut to size
pub(super) const CONTENT_TRUNCATED: &str = "agent_runtime.content.truncated";
/// int, offset of the event that has the whole of what was asked, if that was cut
pub(super) const CONTENT_INPUT_OFFSET: &str = "agent_runtime.content.input_offset";
/// int, offset of the event that has the whole of what was answered, if that was cut
pub(super) const CONTENT_OUTPUT_OFFSET: &str = "agent_runtime.content.output_offset";
/// int, from 0
pub(super) const STEP_INDEX: &str = "agent_runtime.step.index";
/// int
pub(super) const AGENT_ITERATIONS: &str = "agent_runtime.agent.iterations";
/// int
pub(super) const AGENT_LLM_CALLS: &str = "agent_runtime.agent.llm_calls";
/// int
pub(super) const AGENT_TOOL_CALLS: &str = "agent_runtime.agent.tool_calls";
/// int
pub(super) const AGENT_TOTAL_TOKENS: &str = "agent_runtime.agent.total_tokens";
/// int, the N of `agent:llm:N`
pub(super) const LLM_INDEX: &str = "agent_runtime.llm.index";
/// int, on the span all chunks, on a span event those that it stands for
pub(super) const LLM_CHUNK_COUNT: &str = "agent_runtime.llm.chunk_count";
/// boolean, only ever `true`
pub(super) const CANCELED: &str = "agent_runtime.canceled";
/// boolean, only ever `true`: the end was never reported
pub(super) const INTERRUPTED: &str = "agent_runtime.interrupted";
/// boolean, only ever `true`: the start was never reported
pub(super) const UNMATCHED: &str = "agent_runtime.unmatched";
/// int, the reports that a span event stands for
pub(super) const PROGRESS_COUNT: &str = "agent_runtime.progress.count";
/// string
pub(super) const PROGRESS_MESSAGE: &str = "agent_runtime.progress.message";
/// prefix of the numbers and booleans in a report's data
pub(super) const DATA_PREFIX: &str = "agent_runtime.data.";
/// int, offset of the first event that a span event stands for
pub(super) const FIRST_OFFSET: &str = "agent_runtime.event.first_offset";
/// int, offset of the last event that a span event stands for
pub(super) const LAST_OFFSET: &str = "agent_runtime.event.last_offset";
/// string
pub(super) const SYSTEM_MESSAGE: &str = "agent_runtime.system.message";
/// string, the lifecycle stage of a system event
pub(super) const SYSTEM_EVENT_TYPE: &str = "agent_runtime.system.event_type";
/// int, system events for which the span had no more room
pub(super) const SYSTEM_DROPPED_COUNT: &str = "agent_runtime.system.dropped_count";

/// int, `tracing` events of the user's for which the span had no more room
pub(super) const LOG_DROPPED_COUNT: &str = "agent_runtime.log.dropped_count";
/// string, the level of a `tracing` event
pub(super) const LOG_LEVEL: &str = "level";
/// string, the target of a `tracing` event
pub(super) const LOG_TARGET: &str = "target";

/// Span event: how the component of a span failed or was canceled; the OpenTelemetry specification's name for it.
pub(super) const EVENT_EXCEPTION: &str = "exception";
/// Span event: a `tracing` event of the user's; its message is the attribute of that name.
pub(super) const EVENT_LOG: &str = "log";
/// Span event: pieces of a streamed answer.
pub(super) const EVENT_CHUNK: &str = "agent_runtime.llm.chunk";
/// Span event: progress of anything but a model.
pub(super) const EVENT_PROGRESS: &str = "agent_runtime.progress";
/// Prefix of a span event: the subsystem follows.
pub(super) const EVENT_SYSTEM_PREFIX: &str = "agent_runtime.system.";

/// OpenInference: string, `CHAIN`
pub(super) const OPENINFERENCE_SPAN_KIND: &str = "openinference.span.kind";
/// OpenInference: string
pub(super) const INPUT_VALUE: &str = "input.value";
/// OpenInference: string, `text/plain` or `application/json`
pub(super) const INPUT_MIME_TYPE: &str = "input.mime_type";
/// OpenInference: string
pub(super) const OUTPUT_VALUE: &str = "output.value";
/// OpenInference: string, `text/plain` or `application/json`
pub(super) const OUTPUT_MIME_TYPE: &str = "output.mime_type";

/// Metrics only: string, `text`, `image`, `audio` or `unknown`
pub(super) const TOKEN_MODALITY: &str = "gen_ai.token.modality";
/// Legacy metrics only: string, `input` or `output`
pub(super) const TOKEN_TYPE: &str = "gen_ai.token.type";
/// Metrics only: string, one of the scopes
pub(super) const SCOPE: &str = "agent_runtime.scope";
/// Metrics only: string, one of the types of events
pub(super) const EVENT_TYPE: &str = "agent_runtime.event.type";
/// Metrics only: string, the part of the runtime that a system event is about
pub(super) const SYSTEM_SUBSYSTEM: &str = "agent_runtime.system.subsystem";
/// Metrics only: string, the name of an attribute
pub(super) const METRIC_LABEL: &str = "agent_runtime.metrics.label";
/// Log event: a request to a model, with what was asked and answered.
pub(super) const LOG_INFERENCE_DETAILS: &str = "gen_ai.client.inference.operation.details";
/// Log event: a request to a model failed.
pub(super) const LOG_OPERATION_EXCEPTION: &str = "gen_ai.client.operation.exception";
