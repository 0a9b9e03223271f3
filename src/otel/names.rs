//! The names of spans, attributes and span events.
//!
//! `gen_ai.*` and `error.type` follow the OpenTelemetry GenAI semantic conventions, repository
//! `open-telemetry/semantic-conventions-genai` at `fe5608e` (2026-08-03), status Development; what they do not cover is
//! ours, under `agent_runtime.*`. The type is in front of each name.

/// The instrumentation scope of our spans.
pub(super) const INSTRUMENTATION_SCOPE: &str = "agent_runtime";

/// string
pub(super) const OPERATION_NAME: &str = "gen_ai.operation.name";
/// string, only if the application has one
pub(super) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
/// string
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// string, of few values
pub(super) const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// string
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
/// string
pub(super) const SERVER_ADDRESS: &str = "server.address";
/// int
pub(super) const SERVER_PORT: &str = "server.port";
/// string, of few values
pub(super) const ERROR_TYPE: &str = "error.type";

/// string
pub(super) const WORKFLOW_ID: &str = "agent_runtime.workflow.id";
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
/// boolean, only ever `true`: the end was never told
pub(super) const INTERRUPTED: &str = "agent_runtime.interrupted";
/// boolean, only ever `true`: the start was never told
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

/// Span event: a `tracing` event of the user's; its message is the attribute of that name.
pub(super) const EVENT_LOG: &str = "log";
/// Span event: pieces of a streamed answer.
pub(super) const EVENT_CHUNK: &str = "agent_runtime.llm.chunk";
/// Span event: progress of anything but a model.
pub(super) const EVENT_PROGRESS: &str = "agent_runtime.progress";
/// Prefix of a span event: the subsystem follows.
pub(super) const EVENT_SYSTEM_PREFIX: &str = "agent_runtime.system.";
