//! Why a model stopped, in the conventions' words.

/// A finish reason in the conventions' word, where providers have another for it. Which reasons leave without content is
/// decided by the policy.
pub(in crate::otel) fn finish_reason(reason: &str) -> &str {
    match reason {
        "tool_calls" | "function_call" => "tool_call",
        other => other,
    }
}

/// The reason of an answer whose provider names none, by whether there are calls in it. A backend drops an answer without one.
pub(super) const fn implied(has_calls: bool) -> &'static str {
    if has_calls { "tool_call" } else { "stop" }
}
