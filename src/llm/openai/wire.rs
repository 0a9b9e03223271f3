//! The pieces of an answer as servers write them, and what they mean.
//!
//! The strict types of client libraries refuse what compatible servers send: an unknown `finish_reason`, an empty
//! `usage`, a field that is missing, `null` or of another type. Here every field is read leniently but the text, since
//! losing it in silence would be a wrong answer.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Map, Value as JsonValue};

use super::{
    lenient::{count, lenient, not_empty},
    surrogates::{Halves, replace_halves},
    tool_calls::{CallPiece, Function, ToolCalls},
};
use crate::{event::Usage, llm::ChatDelta};

/// The fields in which servers send a reasoning model's thoughts as text, the first of them that is there.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

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
    /// Where Groq counts.
    #[serde(default, deserialize_with = "lenient")]
    x_groq: Option<Counted>,
    /// What went wrong, instead of all else.
    #[serde(default)]
    error: JsonValue,
}

#[derive(Debug, Deserialize)]
struct Counted {
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<TokenCounts>,
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
    /// The text, from servers of the API ahead of chats.
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    finish_reason: Option<String>,
    /// Where Moonshot counts.
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<TokenCounts>,
    #[serde(default)]
    error: JsonValue,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
    /// A call in the form that came before `tool_calls`.
    #[serde(default, deserialize_with = "lenient")]
    function_call: Option<Function>,
    #[serde(default, deserialize_with = "lenient")]
    refusal: Option<String>,
    #[serde(default, rename = "role")]
    _role: JsonValue,
    /// What stands beside text and calls.
    #[serde(flatten)]
    extra: Map<String, JsonValue>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// As Mistral's reasoning models write it.
    Parts(Vec<Part>),
    One(Part),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
    /// Reasoning: a text or parts with texts.
    #[serde(default)]
    thinking: JsonValue,
}

#[derive(Debug, Deserialize)]
struct TokenCounts {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    /// The names of OpenAI's other API.
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
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
    usage: Option<Usage>,
    is_finished: bool,
    has_choices: bool,
    /// Whether a part of the answer came as the piece of a stream.
    has_pieces: bool,
    tool_calls: ToolCalls,
    text: Halves,
    reasoning: Halves,
    refusal: Halves,
}

impl Chunk {
    /// What went wrong, in the server's words. An error that says nothing is none.
    pub(super) fn error(&self) -> Option<&JsonValue> {
        let of_choices = self.choices.iter().flatten().map(|choice| &choice.error);
        [&self.error].into_iter().chain(of_choices).find(|error| says_something(error))
    }

    /// Whether the chunk holds a part of an answer, or what describes one.
    pub(super) fn is_of_answer(&self) -> bool {
        self.choices.as_ref().is_some_and(|choices| !choices.is_empty()) || self.usage.is_some()
    }

    /// Whether the chunk holds the whole answer: not its next piece, but all of it.
    pub(super) fn is_whole_answer(&self) -> bool {
        let choices = self.choices.as_deref().unwrap_or_default();
        !choices.is_empty() && choices.iter().all(|choice| choice.delta.is_none())
    }
}

impl ChunkReader {
    /// Begins an answer to a request that offered tools of these names.
    pub(super) fn new(tools: Vec<String>) -> Self {
        Self { tool_calls: ToolCalls::new(tools), ..Self::default() }
    }

    /// Whether the model has said why it stopped.
    pub(super) const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether any part of an answer has come.
    pub(super) const fn has_choices(&self) -> bool {
        self.has_choices
    }

    /// Adds a chunk's deltas to the queue.
    pub(super) fn read(&mut self, chunk: Chunk, deltas: &mut VecDeque<ChatDelta>) {
        deltas.extend(news(&mut self.id, chunk.id).map(ChatDelta::Id));
        deltas.extend(news(&mut self.model, chunk.model).map(ChatDelta::Model));
        self.has_choices |= chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        let mut counts = Vec::new();
        // One choice is asked for.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            counts.extend(choice.usage);
            self.has_pieces |= choice.delta.is_some();
            // Some servers send all of the answer again behind its pieces.
            let whole = choice.message.filter(|_| !self.has_pieces);
            let text = choice.text.filter(|_| !self.has_pieces && whole.is_none());
            self.add_text(text, deltas);
            if let Some(message) = choice.delta.or(whole) {
                self.read_message(message, deltas);
            }
            // A server that writes `null` as a text says nothing, too.
            if let Some(reason) = not_empty(choice.finish_reason).filter(|reason| reason != "null") {
                self.is_finished = true;
                self.finish(deltas);
                deltas.push_back(ChatDelta::Finish(reason));
            }
        }
        counts.extend(chunk.x_groq.and_then(|counted| counted.usage));
        counts.extend(chunk.usage);
        for counts in counts {
            if let Some(usage) = counts.into_usage(self.usage) {
                self.usage = Some(usage);
                deltas.push_back(ChatDelta::Usage(usage));
            }
        }
    }

    /// Adds what was held back until the answer is whole.
    pub(super) fn finish(&mut self, deltas: &mut VecDeque<ChatDelta>) {
        deltas.extend(self.reasoning.end().map(|c| ChatDelta::Reasoning(c.into())));
        deltas.extend(self.text.end().map(|c| ChatDelta::Text(c.into())));
        deltas.extend(self.refusal.end().map(|c| ChatDelta::Refusal(c.into())));
        deltas.extend(self.tool_calls.finish());
    }

    fn read_message(&mut self, message: Message, deltas: &mut VecDeque<ChatDelta>) {
        let reasoning = REASONING.iter().find_map(|name| message.extra.get(*name)?.as_str().map(str::to_owned));
        let (text, thoughts) = message.content.map(Content::into_text).unwrap_or_default();
        let reasoning = self.reasoning.join(reasoning.unwrap_or(thoughts));
        deltas.extend(not_empty(Some(reasoning)).map(ChatDelta::Reasoning));
        let extra = message.extra.into_iter().filter(|(_, value)| says_something(value));
        deltas.extend(extra.map(|(name, mut value)| {
            replace_halves(&mut value);
            ChatDelta::Extra(name, value)
        }));
        self.add_text(Some(text), deltas);
        let refusal = self.refusal.join(message.refusal.unwrap_or_default());
        deltas.extend(not_empty(Some(refusal)).map(ChatDelta::Refusal));
        let calls = message.tool_calls.into_iter().flatten();
        let calls = calls.chain(message.function_call.map(CallPiece::of_function));
        deltas.extend(calls.filter_map(|piece| self.tool_calls.read(piece)));
    }

    fn add_text(&mut self, text: Option<String>, deltas: &mut VecDeque<ChatDelta>) {
        let text = self.text.join(text.unwrap_or_default());
        deltas.extend(not_empty(Some(text)).map(ChatDelta::Text));
    }
}

/// Whether a value is more than a form of nothing.
fn says_something(value: &JsonValue) -> bool {
    match value {
        JsonValue::Null | JsonValue::Bool(false) => false,
        JsonValue::Bool(true) => true,
        JsonValue::Number(number) => number.as_f64() != Some(0.0),
        JsonValue::String(text) => !text.is_empty(),
        JsonValue::Array(values) => values.iter().any(says_something),
        JsonValue::Object(fields) => fields.values().any(says_something),
    }
}

/// What is said now and was not said before.
fn news(known: &mut Option<String>, said: Option<String>) -> Option<String> {
    let said = not_empty(said).filter(|said| known.as_ref() != Some(said))?;
    *known = Some(said.clone());
    Some(said)
}

impl Content {
    /// The text and the thoughts beside it.
    fn into_text(self) -> (String, String) {
        let parts = match self {
            Self::Text(text) => return (text, String::new()),
            Self::Parts(parts) => parts,
            Self::One(part) => vec![part],
        };
        let (mut text, mut thoughts) = (String::new(), String::new());
        for part in parts {
            match &part.thinking {
                JsonValue::String(thought) => thoughts.push_str(thought),
                JsonValue::Array(parts) => {
                    thoughts.extend(parts.iter().filter_map(|part| part.get("text")?.as_str()));
                }
                _ => text.push_str(&part.text.unwrap_or_default()),
            }
        }
        (text, thoughts)
    }
}

impl TokenCounts {
    /// The counts of this chunk over those of earlier ones; `None` if nothing was counted: some servers write `{}`.
    fn into_usage(self, before: Option<Usage>) -> Option<Usage> {
        let (prompt, completion) =
            (self.prompt_tokens.or(self.input_tokens), self.completion_tokens.or(self.output_tokens));
        let said = prompt.or(completion).or(self.total_tokens)?;
        let is_zero = said.max(completion.unwrap_or(0)).max(self.total_tokens.unwrap_or(0)) == 0;
        let before = match before {
            Some(_) if is_zero => return None,
            before => before.unwrap_or_default(),
        };
        let prompt_tokens = prompt.unwrap_or(before.prompt_tokens);
        let completion_tokens = completion.unwrap_or(before.completion_tokens);
        let (prompt, completion) = (self.prompt_tokens_details, self.completion_tokens_details);
        let prompt = prompt.map(|details| (details.cached_tokens, details.cache_write_tokens)).unwrap_or_default();
        let reasoning_tokens = completion.and_then(|details| details.reasoning_tokens);
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: self.total_tokens.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens)),
            cached_tokens: prompt.0.or(before.cached_tokens),
            cache_write_tokens: prompt.1.or(before.cache_write_tokens),
            reasoning_tokens: reasoning_tokens.or(before.reasoning_tokens),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::ToolCallDelta;

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
    fn text_in_parts_is_kept_apart_from_the_reasoning() {
        let parts = json!([
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "yes"},
        ]);
        let expected = [ChatDelta::Reasoning("hm".to_owned()), ChatDelta::Text("yes".to_owned())];
        check(&json!({"choices": [{"delta": {"content": parts}}]}), &expected);
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

    #[test]
    fn what_stands_beside_the_text_is_told_apart() {
        let delta = json!({
            "reasoning": "hm", "reasoning_content": "hm", "refusal": "No.", "annotations": [], "audio": null,
            "function_call": {"name": "now", "arguments": "{\"a\":1}"},
        });
        let extra = |name: &str| ChatDelta::Extra(name.to_owned(), json!("hm"));
        let call = ToolCallDelta::new(0).with_name("now").with_arguments("{\"a\":1}");
        check(
            &json!({"choices": [{"delta": delta}]}),
            &[
                ChatDelta::Reasoning("hm".to_owned()),
                extra("reasoning"),
                extra("reasoning_content"),
                ChatDelta::Refusal("No.".to_owned()),
                call.into(),
            ],
        );
        check(&json!({"choices": [{"text": "old", "index": 0}]}), &[ChatDelta::Text("old".to_owned())]);
    }

    #[test]
    fn each_count_is_the_last_that_was_said() {
        let mut reader = ChunkReader::default();
        let mut deltas = VecDeque::new();
        for usage in [
            json!({"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}),
            json!({"output_tokens": 3}),
            json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
            json!({}),
        ] {
            reader.read(serde_json::from_value(json!({"usage": usage})).unwrap(), &mut deltas);
        }
        let usage = Usage { prompt_tokens: 100, completion_tokens: 3, total_tokens: 103, ..Usage::default() };
        assert_eq!(deltas.pop_back(), Some(ChatDelta::Usage(usage)));
    }

    #[test]
    fn an_error_is_found_in_any_wrapping_and_an_empty_one_is_none() {
        let check = |chunk: JsonValue, expected: Option<JsonValue>| {
            let chunk: Chunk = serde_json::from_value(chunk).unwrap();
            assert_eq!(chunk.error(), expected.as_ref(), "{chunk:?}");
        };
        for empty in [json!(null), json!(""), json!({}), json!(false), json!({"message": "", "code": null})] {
            check(json!({"error": empty, "choices": [{"delta": {"content": "hi"}}]}), None);
        }
        check(json!({"error": "no"}), Some(json!("no")));
        check(json!({"choices": [{"delta": {}, "error": {"code": 502}}]}), Some(json!({"code": 502})));
        check(json!({"message": "all is well", "choices": [{"delta": {"content": "hi"}}]}), None);
        check(json!({"type": "ping"}), None);
    }
}
