//! The pieces of an answer as servers write them, and what they mean.
//!
//! The strict types of client libraries refuse what compatible servers send: an unknown `finish_reason`, an empty
//! `usage`, a field that is missing, `null` or of another type. Here every field is read leniently but the text, since
//! losing it in silence would be a wrong answer.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value as JsonValue;

use super::lenient::{count, lenient, not_empty};
use super::tool_calls::{CallPiece, ToolCalls};
use crate::event::Usage;
use crate::llm::ChatDelta;

/// One event of the stream; also the whole answer of a server that does not stream.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<TokenCounts>,
    /// What went wrong, instead of all else.
    #[serde(default)]
    pub(super) error: Option<JsonValue>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    /// The next piece, in a stream.
    #[serde(default)]
    delta: Option<Message>,
    /// All of it, in a whole answer.
    #[serde(default)]
    message: Option<Message>,
    #[serde(default, deserialize_with = "lenient")]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// As Mistral's reasoning models write it; a part without text is reasoning.
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TokenCounts {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    prompt_tokens_details: Option<TokenDetails>,
    #[serde(default, deserialize_with = "lenient")]
    completion_tokens_details: Option<TokenDetails>,
}

#[derive(Debug, Deserialize)]
struct TokenDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

/// Turns chunks into deltas; knows what came before.
#[derive(Debug, Default)]
pub(super) struct ChunkReader {
    id: Option<String>,
    model: Option<String>,
    is_finished: bool,
    tool_calls: ToolCalls,
}

impl Chunk {
    /// Whether the chunk holds an answer, or a part of one.
    pub(super) fn has_choices(&self) -> bool {
        self.choices.as_ref().is_some_and(|choices| !choices.is_empty())
    }
}

impl ChunkReader {
    /// Whether the model has said why it stopped.
    pub(super) const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Adds a chunk's deltas to the queue.
    pub(super) fn read(&mut self, chunk: Chunk, deltas: &mut VecDeque<ChatDelta>) {
        deltas.extend(news(&mut self.id, chunk.id).map(ChatDelta::Id));
        deltas.extend(news(&mut self.model, chunk.model).map(ChatDelta::Model));
        // One choice is asked for.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            if let Some(message) = choice.delta.or(choice.message) {
                let text = message.content.map(Content::into_text);
                deltas.extend(not_empty(text).map(ChatDelta::Text));
                let calls = message.tool_calls.into_iter().flatten();
                deltas.extend(calls.filter_map(|piece| self.tool_calls.read(piece)));
            }
            if let Some(reason) = not_empty(choice.finish_reason) {
                self.is_finished = true;
                deltas.push_back(ChatDelta::Finish(reason));
            }
        }
        deltas.extend(chunk.usage.and_then(TokenCounts::into_usage).map(ChatDelta::Usage));
    }
}

/// What is said now and was not said before.
fn news(known: &mut Option<String>, said: Option<String>) -> Option<String> {
    let said = not_empty(said).filter(|said| known.as_ref() != Some(said))?;
    *known = Some(said.clone());
    Some(said)
}

impl Content {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

impl TokenCounts {
    /// `None` if nothing was counted: some servers write `{}`.
    fn into_usage(self) -> Option<Usage> {
        self.prompt_tokens.or(self.completion_tokens).or(self.total_tokens)?;
        let prompt_tokens = self.prompt_tokens.unwrap_or_default();
        let completion_tokens = self.completion_tokens.unwrap_or_default();
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: self.total_tokens.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens)),
            cached_tokens: self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens),
            cache_write_tokens: self.prompt_tokens_details.and_then(|details| details.cache_write_tokens),
            reasoning_tokens: self.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(chunk: &JsonValue, expected: &[ChatDelta]) {
        let mut deltas = VecDeque::new();
        let text = chunk.to_string();
        ChunkReader::default().read(serde_json::from_str(&text).unwrap(), &mut deltas);
        assert_eq!(deltas, expected, "{text}");
    }

    #[test]
    fn an_empty_word_says_nothing() {
        check(&json!({}), &[]);
        check(&json!({"choices": [], "usage": null, "error": null, "id": "", "model": ""}), &[]);
        check(&json!({"choices": null, "usage": {}, "id": 7, "model": null, "timings": {"n": 1}}), &[]);
        check(&json!({"choices": [{}]}), &[]);
        check(&json!({"choices": [{"index": 0, "delta": null, "finish_reason": ""}]}), &[]);
        check(&json!({"choices": [{"delta": {"content": null, "tool_calls": null, "role": "assistant"}}]}), &[]);
        check(&json!({"choices": [{"delta": {"content": "", "tool_calls": []}, "finish_reason": null}]}), &[]);
        check(&json!({"choices": [{"index": 1, "delta": {"content": "another choice"}}]}), &[]);
        check(&json!({"usage": "free", "choices": [{"finish_reason": 3, "logprobs": []}]}), &[]);
    }

    #[test]
    fn what_is_said_comes_in_order() {
        let chunk = json!({
            "id": "c1", "model": "m", "object": "chat.completion.chunk", "system_fingerprint": "f",
            "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "eos_token"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1.0},
        });
        let usage = Usage { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4, ..Usage::default() };
        check(
            &chunk,
            &[
                ChatDelta::Id("c1".to_owned()),
                ChatDelta::Model("m".to_owned()),
                ChatDelta::Text("hi".to_owned()),
                ChatDelta::Finish("eos_token".to_owned()),
                ChatDelta::Usage(usage),
            ],
        );
    }

    #[test]
    fn text_in_parts_is_text_without_the_reasoning() {
        let parts = json!([
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "yes"},
        ]);
        check(&json!({"choices": [{"delta": {"content": parts}}]}), &[ChatDelta::Text("yes".to_owned())]);
    }

    #[test]
    fn text_of_an_unknown_shape_is_an_error() {
        let chunk = json!({"choices": [{"delta": {"content": 7}}]}).to_string();
        assert!(serde_json::from_str::<Chunk>(&chunk).is_err());
    }

    #[test]
    fn usage_comes_with_its_details() {
        let usage = json!({
            "prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 19,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 6},
        });
        let expected = Usage {
            prompt_tokens: 10,
            completion_tokens: 8,
            total_tokens: 19,
            cached_tokens: Some(4),
            cache_write_tokens: Some(2),
            reasoning_tokens: Some(6),
        };
        check(&json!({"choices": [], "usage": usage}), &[ChatDelta::Usage(expected)]);
        let usage =
            json!({"total_tokens": 5, "prompt_tokens": null, "prompt_tokens_details": 1, "completion_tokens": -1});
        check(&json!({"usage": usage}), &[ChatDelta::Usage(Usage { total_tokens: 5, ..Usage::default() })]);
    }
}
