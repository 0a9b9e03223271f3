//! The names of the fields of `data` that this crate defines; no other file writes or reads them by hand.

pub(super) const AGENT: &str = "agent";
pub(super) const ARGUMENTS: &str = "arguments";
pub(super) const ATTEMPT: &str = "attempt";
pub(super) const CACHED_TOKENS: &str = "cached_tokens";
pub(super) const CACHE_WRITE_TOKENS: &str = "cache_write_tokens";
pub(super) const CALL_COUNT: &str = "call_count";
pub(super) const CHUNK: &str = "chunk";
pub(super) const CHUNK_COUNT: &str = "chunk_count";
pub(super) const COMPLETION_TOKENS: &str = "completion_tokens";
pub(super) const CONVERSATION_ID: &str = "conversation_id";
pub(super) const DESCRIPTION: &str = "description";
pub(super) const DURATION_MS: &str = "duration_ms";
pub(super) const ERROR: &str = "error";
pub(super) const ERROR_CODE: &str = "error_code";
pub(super) const ERROR_SUMMARY: &str = "error_summary";
pub(super) const FINISH_REASON: &str = "finish_reason";
pub(super) const FIRST_OFFSET: &str = "first_offset";
pub(super) const INPUT: &str = "input";
pub(super) const ITERATION: &str = "iteration";
pub(super) const ITERATIONS: &str = "iterations";
pub(super) const LAST_OFFSET: &str = "last_offset";
pub(super) const LINKS: &str = "links";
pub(super) const LLM_CALLS: &str = "llm_calls";
pub(super) const MAX_ALLOWED: &str = "max_allowed";
pub(super) const MAX_ITERATIONS: &str = "max_iterations";
pub(super) const MAX_TOKENS: &str = "max_tokens";
pub(super) const MERGED: &str = "merged";
pub(super) const MESSAGES: &str = "messages";
pub(super) const MISSED: &str = "missed";
pub(super) const MODEL: &str = "model";
pub(super) const OUTPUT: &str = "output";
pub(super) const PROGRESS: &str = "progress";
pub(super) const PROMPT_TOKENS: &str = "prompt_tokens";
pub(super) const PROVIDER: &str = "provider";
pub(super) const REASONING: &str = "reasoning";
pub(super) const REASONING_TOKENS: &str = "reasoning_tokens";
pub(super) const RESPONSE: &str = "response";
pub(super) const RESPONSE_ID: &str = "response_id";
pub(super) const RESPONSE_MODEL: &str = "response_model";
pub(super) const RESULT: &str = "result";
pub(super) const RETRY_AFTER: &str = "retry_after";
pub(super) const RETRY_AFTER_MS: &str = "retry_after_ms";
pub(super) const SERVER_ADDRESS: &str = "server_address";
pub(super) const SERVER_PORT: &str = "server_port";
pub(super) const STEP_NAME: &str = "step_name";
pub(super) const STEP_TYPE: &str = "step_type";
pub(super) const STREAM: &str = "stream";
pub(super) const TAGS: &str = "tags";
pub(super) const TEMPERATURE: &str = "temperature";
pub(super) const TIME_TO_FIRST_CHUNK_MS: &str = "time_to_first_chunk_ms";
pub(super) const TOOLS: &str = "tools";
pub(super) const TOOL_CALLS: &str = "tool_calls";
pub(super) const TOOL_CALL_ID: &str = "tool_call_id";
pub(super) const TOOL_NAME: &str = "tool_name";
pub(super) const TOP_P: &str = "top_p";
pub(super) const TOTAL_TOKENS: &str = "total_tokens";
pub(super) const UNKNOWN: &str = "unknown";
pub(super) const UPDATES: &str = "updates";
pub(super) const USAGE: &str = "usage";

/// The fields whose number or flag measures what was done, and never is what was asked or answered.
const MEASURES: [&str; 13] = [
    ATTEMPT,
    CALL_COUNT,
    DURATION_MS,
    FIRST_OFFSET,
    ITERATION,
    LAST_OFFSET,
    MAX_ALLOWED,
    MAX_ITERATIONS,
    MISSED,
    PROGRESS,
    RETRY_AFTER,
    RETRY_AFTER_MS,
    UNKNOWN,
];

/// Whether a number or a flag of this field is a measure of this crate's.
pub(crate) fn is_measure(field: &str) -> bool {
    MEASURES.contains(&field)
}
