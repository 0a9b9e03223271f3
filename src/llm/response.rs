//! What comes back from a model: the pieces, and the whole that they make.

use crate::event::{ToolCall, Usage};

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatDelta {
    /// The next piece of the text.
    Text(String),
    /// The next piece of a tool call.
    ToolCall {
        /// Which of the answer's calls, from 0.
        index: usize,
        /// The provider's id, with the call's first piece.
        id: Option<String>,
        /// The tool's name, with the call's first piece.
        name: Option<String>,
        /// The next piece of the arguments' JSON text.
        arguments: String,
    },
    /// Who answers, as the provider tells it.
    Identity {
        /// The provider's id for the answer.
        id: Option<String>,
        /// The model that answers.
        model: Option<String>,
    },
    /// Why the model stopped, in the provider's word.
    Finish(String),
    /// What the request cost.
    Usage(Usage),
}

/// An answer, gathered from its pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatResponse {
    /// The text.
    pub text: String,
    /// The tools that the model wants run, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped; `None` if it did not say.
    pub finish_reason: Option<String>,
    /// What the request cost; `None` if the provider did not say.
    pub usage: Option<Usage>,
    /// The provider's id for the answer.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// How the pieces' indexes map onto `tool_calls`: providers may skip or reorder them.
    indexes: Vec<usize>,
}

impl ChatResponse {
    /// Adds a piece.
    pub fn push(&mut self, delta: ChatDelta) {
        match delta {
            ChatDelta::Text(text) => self.text.push_str(&text),
            ChatDelta::ToolCall { index, id, name, arguments } => {
                let call = self.call_at(index);
                if let Some(id) = id {
                    call.id = id;
                }
                if let Some(name) = name {
                    call.name = name;
                }
                call.arguments.push_str(&arguments);
            }
            ChatDelta::Identity { id, model } => {
                self.id = id.or(self.id.take());
                self.model = model.or(self.model.take());
            }
            ChatDelta::Finish(reason) => self.finish_reason = Some(reason),
            ChatDelta::Usage(usage) => self.usage = Some(usage),
        }
    }

    fn call_at(&mut self, index: usize) -> &mut ToolCall {
        let place = self.indexes.iter().position(|known| *known == index).unwrap_or_else(|| {
            self.indexes.push(index);
            self.tool_calls.push(ToolCall { id: String::new(), name: String::new(), arguments: String::new() });
            self.indexes.len() - 1
        });
        &mut self.tool_calls[place]
    }
}
