//! One reply of a scripted model: what it says, in which pieces, and what keeps it from its end.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, future, stream};
use serde_json::Value as JsonValue;

use crate::{
    event::{ToolCall, Usage},
    llm::{ChatDelta, ChatRequest, ChatStream, ModelError},
};

type ErrorFn = Arc<dyn Fn() -> ModelError + Send + Sync>;

/// One reply of a [`ScriptedModel`](super::ScriptedModel).
#[derive(Clone, Default)]
#[must_use = "a reply is only sent if a script has it"]
pub struct ScriptedReply {
    chunks: Vec<String>,
    tool_calls: Vec<(String, String)>,
    delay: Duration,
    usage: ScriptedUsage,
    finish_reason: Option<String>,
    interruption: Option<Interruption>,
}

#[derive(Clone, Copy, Debug, Default)]
enum ScriptedUsage {
    #[default]
    Counted,
    Fixed(Option<Usage>),
}

/// What keeps a reply from its end.
#[derive(Clone)]
struct Interruption {
    /// After how many pieces of text and tool calls; `None` for before the answer begins.
    after_chunks: Option<usize>,
    /// `None` if nothing follows, and the stream stays open.
    error: Option<ErrorFn>,
}

/// What a stream does next.
enum Step {
    Chunk(ChatDelta),
    Aside(ChatDelta),
    Fail(ErrorFn),
    Hang,
}

impl ScriptedReply {
    /// Replies with a text, cut after each word and the white space that follows it.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::default().with_chunks(words(text.as_ref()))
    }

    /// Replies with tool calls, each a name and its arguments; the arguments' JSON text comes in pieces.
    ///
    /// The ids are `call_0_0`, `call_0_1`, … for the script's first reply, `call_1_0`, … for its second.
    pub fn tool_calls(calls: impl IntoIterator<Item = (impl Into<String>, JsonValue)>) -> Self {
        Self::default().and_tool_calls(calls)
    }

    /// Refuses the request.
    pub fn error(error: impl Fn() -> ModelError + Send + Sync + 'static) -> Self {
        let interruption = Interruption { after_chunks: None, error: Some(Arc::new(error)) };
        Self { interruption: Some(interruption), ..Self::default() }
    }

    /// Never answers: the request stays open until it is dropped.
    pub fn pending() -> Self {
        Self { interruption: Some(Interruption { after_chunks: None, error: None }), ..Self::default() }
    }

    /// Adds tool calls to a text.
    pub fn and_tool_calls(mut self, calls: impl IntoIterator<Item = (impl Into<String>, JsonValue)>) -> Self {
        self.tool_calls.extend(calls.into_iter().map(|(name, arguments)| (name.into(), arguments.to_string())));
        self
    }

    /// Sets the text's pieces.
    ///
    /// By default, they are its words.
    pub fn with_chunks(mut self, chunks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.chunks = chunks.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long to wait before each piece of text or tool call.
    ///
    /// By default, nothing waits.
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the usage that the answer reports; `None` reports none.
    ///
    /// By default, words are counted, see [`ScriptedModel`](super::ScriptedModel).
    pub fn with_usage(mut self, usage: impl Into<Option<Usage>>) -> Self {
        self.usage = ScriptedUsage::Fixed(usage.into());
        self
    }

    /// Sets the finish reason.
    ///
    /// By default, this is `tool_calls` if there are any, and otherwise `stop`.
    pub fn with_finish_reason(mut self, reason: impl Into<String>) -> Self {
        self.finish_reason = Some(reason.into());
        self
    }

    /// Interrupts the answer with an error, after so many pieces of text and tool calls, or at its end if it has fewer.
    pub fn then_error(mut self, after_chunks: usize, error: impl Fn() -> ModelError + Send + Sync + 'static) -> Self {
        self.interruption = Some(Interruption { after_chunks: Some(after_chunks), error: Some(Arc::new(error)) });
        self
    }

    /// Falls silent after so many pieces of text and tool calls, or after all if it has fewer: the stream stays open.
    pub fn then_pending(mut self, after_chunks: usize) -> Self {
        self.interruption = Some(Interruption { after_chunks: Some(after_chunks), error: None });
        self
    }

    /// Sends the reply to a request, piece by piece; its ids begin with a number.
    pub(super) async fn play(
        self,
        request: &ChatRequest,
        model: &str,
        number: usize,
    ) -> Result<ChatStream, ModelError> {
        if let Some(Interruption { after_chunks: None, error }) = &self.interruption {
            return match error {
                Some(error) => Err(error()),
                None => future::pending().await,
            };
        }
        let delay = self.delay;
        let steps = self.into_steps(request, model, number);
        let next = move |mut steps: VecDeque<Step>| async move {
            let item = match steps.pop_front()? {
                Step::Chunk(delta) => {
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    Ok(delta)
                }
                Step::Aside(delta) => Ok(delta),
                Step::Fail(error) => Err(error()),
                Step::Hang => future::pending().await,
            };
            Some((item, steps))
        };
        Ok(stream::unfold(steps, next).fuse().boxed())
    }

    fn into_steps(self, request: &ChatRequest, model: &str, number: usize) -> VecDeque<Step> {
        let identity = [ChatDelta::Id(format!("scripted-{number}")), ChatDelta::Model(model.to_owned())];
        let usage = match self.usage {
            ScriptedUsage::Counted => Some(self.count(request)),
            ScriptedUsage::Fixed(usage) => usage,
        };
        let default_reason = if self.tool_calls.is_empty() { "stop" } else { "tool_calls" };
        let reason = self.finish_reason.unwrap_or_else(|| default_reason.to_owned());

        let mut chunks: Vec<_> = self.chunks.into_iter().map(ChatDelta::Text).collect();
        for (index, (name, arguments)) in self.tool_calls.into_iter().enumerate() {
            chunks.push(ChatDelta::call(index, format!("call_{number}_{index}"), name));
            chunks.extend(pieces(&arguments).map(|piece| ChatDelta::arguments(index, piece)));
        }
        let end = match self.interruption {
            Some(Interruption { after_chunks, error }) => {
                chunks.truncate(after_chunks.unwrap_or_default());
                vec![error.map_or(Step::Hang, Step::Fail)]
            }
            None => {
                let usage = usage.map(|usage| Step::Aside(ChatDelta::Usage(usage)));
                [Step::Aside(ChatDelta::Finish(reason))].into_iter().chain(usage).collect()
            }
        };
        let identity = identity.into_iter().map(Step::Aside);
        identity.chain(chunks.into_iter().map(Step::Chunk)).chain(end).collect()
    }

    fn count(&self, request: &ChatRequest) -> Usage {
        let of_call = |name: &str, arguments: &str| count_words(name).max(1) + count_words(arguments);
        let prompt_tokens = request.messages.iter().map(|message| {
            let calls = message.tool_calls.iter().map(|ToolCall { name, arguments, .. }| of_call(name, arguments));
            count_words(&message.content) + calls.sum::<u64>()
        });
        let calls = self.tool_calls.iter().map(|(name, arguments)| of_call(name, arguments));
        let (prompt_tokens, completion_tokens) =
            (prompt_tokens.sum(), count_words(&self.chunks.concat()) + calls.sum::<u64>());
        let total_tokens = prompt_tokens + completion_tokens;
        Usage { prompt_tokens, completion_tokens, total_tokens, ..Usage::default() }
    }
}

impl fmt::Debug for ScriptedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedReply")
            .field("chunks", &self.chunks)
            .field("tool_calls", &self.tool_calls)
            .field("delay", &self.delay)
            .field("usage", &self.usage)
            .field("finish_reason", &self.finish_reason)
            .field("interruption", &self.interruption)
            .finish()
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.as_ref().map(|error| error());
        f.debug_struct("Interruption").field("after_chunks", &self.after_chunks).field("error", &error).finish()
    }
}

/// The words, each with the white space that follows it; what precedes the first is a piece of its own.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut was_space = false;
    for (place, character) in text.char_indices() {
        if was_space && !character.is_whitespace() {
            words.push(text[start..place].to_owned());
            start = place;
        }
        was_space = character.is_whitespace();
    }
    words.push(text[start..].to_owned());
    words.retain(|word| !word.is_empty());
    words
}

fn count_words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// A text in two halves, as models cut arguments at places that mean nothing.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let middle = text.ceil_char_boundary(text.len() / 2);
    let (first, second) = text.split_at(middle);
    [first, second].map(str::to_owned).into_iter().filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_nothing() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(words(text), expected);
            assert_eq!(words(text).concat(), text);
        };
        check("", &[]);
        check("one", &["one"]);
        check("one two\n three ", &["one ", "two\n ", "three "]);
        check("  lead", &["  ", "lead"]);
        check("žluťoučký 馬\u{3000}kůň", &["žluťoučký ", "馬\u{3000}", "kůň"]);
    }

    #[test]
    fn arguments_come_in_two_pieces_cut_between_characters() {
        let halves = |text| pieces(text).collect::<Vec<_>>();
        assert_eq!(halves("{}"), ["{", "}"]);
        assert_eq!(halves("馬馬馬"), ["馬馬", "馬"]);
        assert_eq!(halves(""), [""; 0]);
    }
}
