//! What the words mean by which providers say why a model stopped.

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model had nothing to add.
    Complete,
    /// A limit of tokens cut the answer.
    Cut,
    /// The provider withheld the answer, or a part of it.
    Filtered,
    /// Any other reason: the server gave up, or a word that nobody knows.
    Failed,
}

const COMPLETE: [&str; 17] = [
    "complete",
    "completed",
    "done",
    "end",
    "end_turn",
    "eos",
    "eos_token",
    "eot",
    "finished",
    "function_call",
    "function_calls",
    "stop",
    "stop_sequence",
    "stop_token",
    "tool_call",
    "tool_calls",
    "tool_use",
];

const CUT: [&str; 8] = [
    "length",
    "max_length",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "model_context_window_exceeded",
    "model_length",
    "token_limit",
];

/// Parts of the words for an answer that is withheld.
const FILTERED: [&str; 6] = ["blocklist", "content_filter", "guardrail", "prohibited_content", "recitation", "safety"];

impl Finish {
    /// Reads a provider's word, in whatever case and with whatever prefix it comes.
    pub(crate) fn of(reason: &str) -> Self {
        let word = reason.trim().to_ascii_lowercase().replace('-', "_");
        let word = word.strip_prefix("finish_reason_").unwrap_or(&word);
        if COMPLETE.contains(&word) {
            Self::Complete
        } else if CUT.contains(&word) {
            Self::Cut
        } else if FILTERED.iter().any(|part| word.contains(part)) {
            Self::Filtered
        } else {
            Self::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_no_good_end_is_a_bad_one() {
        for (reason, expected) in [
            ("stop", Finish::Complete),
            ("STOP", Finish::Complete),
            ("FINISH_REASON_STOP", Finish::Complete),
            ("eos_token", Finish::Complete),
            ("tool-calls", Finish::Complete),
            ("length", Finish::Cut),
            ("MAX_TOKENS", Finish::Cut),
            ("content_filter", Finish::Filtered),
            ("SAFETY", Finish::Filtered),
            ("abort", Finish::Failed),
            ("network_error", Finish::Failed),
            ("stopped by an error", Finish::Failed),
        ] {
            assert_eq!(Finish::of(reason), expected, "{reason}");
        }
    }
}
