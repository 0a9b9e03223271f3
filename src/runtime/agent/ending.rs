//! Whether an answer is one.

use crate::llm::{ChatResponse, Finish, ModelError};

/// Judges an answer that came to its end.
///
/// A failure never passes for an answer: a refusal, a finish reason that is no good end, an answer without text and
/// calls, and what a limit of tokens cut before it was of any use. Cut text is an answer, whose finish reason says so.
pub(super) fn check(response: &ChatResponse) -> Result<(), ModelError> {
    if !response.refusal.trim().is_empty() {
        return Err(ModelError::Refused { message: response.refusal.trim().to_owned() });
    }
    let has_text = !response.text.trim().is_empty();
    let has_calls = !response.tool_calls.is_empty();
    if let Some(reason) = &response.finish_reason {
        let is_of_use = match Finish::of(reason) {
            Finish::Complete => true,
            // The last call may lack its end, and those before it may have been meant to follow on it.
            Finish::Cut => has_text && !has_calls,
            Finish::Filtered | Finish::Failed => false,
        };
        if !is_of_use {
            return Err(ModelError::Unfinished { reason: reason.clone() });
        }
    }
    if has_text || has_calls { Ok(()) } else { Err(ModelError::Empty { reason: response.finish_reason.clone() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::ChatDelta;

    #[test]
    fn a_failure_never_passes_for_an_answer() {
        let check = |text: &str, refusal: &str, has_call: bool, reason: Option<&str>, expected: Option<&str>| {
            let mut deltas = vec![ChatDelta::Text(text.to_owned()), ChatDelta::Refusal(refusal.to_owned())];
            deltas.extend(has_call.then(|| ChatDelta::call(0, "a", "look")));
            deltas.extend(reason.map(|reason| ChatDelta::Finish(reason.to_owned())));
            let code = check(&deltas.into_iter().collect()).err().map(|error| error.code());
            assert_eq!(code, expected, "{text:?} {refusal:?} {has_call} {reason:?}");
        };
        for good in [None, Some("stop"), Some("tool_calls"), Some("eos_token")] {
            check("yes", "", false, good, None);
            check("", "", true, good, None);
            check("yes", "", true, good, None);
            check(" \n", "", false, good, Some("empty_response"));
            check("yes", "No.", false, good, Some("refusal"));
        }
        check("yes", "", false, Some("length"), None);
        check("", "", false, Some("length"), Some("length"));
        check("yes", "", true, Some("length"), Some("length"));
        check("yes", "", false, Some("content_filter"), Some("content_filter"));
        check("yes", "", true, Some("abort"), Some("unfinished"));
    }
}
