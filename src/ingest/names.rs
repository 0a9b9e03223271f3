//! What spans of the GenAI conventions say, by the names that libraries use for it today.

use tracing::{Metadata, callsite::Identifier, field::Field};

use crate::event::EventScope;

/// The attribute that makes a span one of ours.
pub(super) const OPERATION: &str = "gen_ai.operation.name";

/// Something that a span may say of its component: first what is said of a start, then what only of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Operation,
    Provider,
    Model,
    Stream,
    Temperature,
    TopP,
    MaxTokens,
    ServerAddress,
    ServerPort,
    SystemInstructions,
    InputMessages,
    ToolDefinitions,
    Conversation,
    Workflow,
    Agent,
    AgentDescription,
    Prompt,
    Tool,
    ToolCallId,
    ToolDescription,
    Arguments,
    TimeToFirstChunk,
    OutputMessages,
    Completion,
    ToolResult,
    ResponseId,
    ResponseModel,
    FinishReasons,
    InputTokens,
    OutputTokens,
    CacheReadTokens,
    CacheWriteTokens,
    ReasoningTokens,
    Outcome,
    ErrorType,
    Status,
    StatusMessage,
}

/// What a span is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Component(EventScope),
    /// One that is no component.
    Other,
}

/// A set of names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names(u64);

/// What the fields of one kind of span say.
#[derive(Debug)]
pub(super) struct Declared {
    callsite: Identifier,
    /// By the index of the field.
    by_field: Box<[Option<Name>]>,
    names: Names,
}

impl Name {
    /// What a field of a span says, if it is one of these. Names of earlier conventions count as those that replaced them.
    pub(super) fn of(field: &str) -> Option<Self> {
        Some(match field {
            OPERATION => Self::Operation,
            "gen_ai.provider.name" | "gen_ai.system" => Self::Provider,
            "gen_ai.request.model" => Self::Model,
            "gen_ai.request.stream" => Self::Stream,
            "gen_ai.request.temperature" => Self::Temperature,
            "gen_ai.request.top_p" => Self::TopP,
            "gen_ai.request.max_tokens" => Self::MaxTokens,
            "server.address" => Self::ServerAddress,
            "server.port" => Self::ServerPort,
            "gen_ai.system_instructions" => Self::SystemInstructions,
            "gen_ai.input.messages" => Self::InputMessages,
            "gen_ai.tool.definitions" => Self::ToolDefinitions,
            "gen_ai.conversation.id" => Self::Conversation,
            "gen_ai.workflow.name" => Self::Workflow,
            "gen_ai.agent.name" => Self::Agent,
            "gen_ai.agent.description" => Self::AgentDescription,
            "gen_ai.prompt" => Self::Prompt,
            "gen_ai.tool.name" => Self::Tool,
            "gen_ai.tool.call.id" => Self::ToolCallId,
            "gen_ai.tool.description" => Self::ToolDescription,
            "gen_ai.tool.call.arguments" => Self::Arguments,
            "gen_ai.response.id" => Self::ResponseId,
            "gen_ai.response.model" => Self::ResponseModel,
            "gen_ai.response.finish_reasons" => Self::FinishReasons,
            "gen_ai.output.messages" => Self::OutputMessages,
            "gen_ai.completion" => Self::Completion,
            "gen_ai.usage.input_tokens" | "gen_ai.usage.prompt_tokens" => Self::InputTokens,
            "gen_ai.usage.output_tokens" | "gen_ai.usage.completion_tokens" => Self::OutputTokens,
            "gen_ai.usage.cache_read.input_tokens" => Self::CacheReadTokens,
            "gen_ai.usage.cache_write.input_tokens" | "gen_ai.usage.cache_creation.input_tokens" => {
                Self::CacheWriteTokens
            }
            "gen_ai.usage.reasoning.output_tokens" | "gen_ai.usage.reasoning_tokens" => Self::ReasoningTokens,
            "gen_ai.response.time_to_first_chunk" => Self::TimeToFirstChunk,
            "gen_ai.tool.call.result" => Self::ToolResult,
            "gen_ai.tool.call.outcome" => Self::Outcome,
            "error.type" | "gen_ai.tool.error.type" => Self::ErrorType,
            "otel.status_code" => Self::Status,
            "otel.status_description" | "otel.status_message" | "exception.message" => Self::StatusMessage,
            _ => return None,
        })
    }

    /// What names a component of a scope.
    pub(super) const fn identity(scope: EventScope) -> Self {
        match scope {
            EventScope::LlmRequest => Self::Model,
            EventScope::Tool => Self::Tool,
            EventScope::Workflow => Self::Workflow,
            EventScope::Agent | EventScope::WorkflowStep | EventScope::System => Self::Agent,
        }
    }
}

impl Declared {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        let by_field: Box<[_]> = metadata.fields().iter().map(|field| Name::of(field.name())).collect();
        let mut names = Names::default();
        by_field.iter().flatten().for_each(|name| names.insert(*name));
        Self { callsite: metadata.callsite(), by_field, names }
    }

    /// Those that the fields name, whether or not they are recorded.
    pub(super) const fn names(&self) -> Names {
        self.names
    }

    /// What a field says, which may be one of another kind of span.
    pub(super) fn name_of(&self, field: &Field) -> Option<Name> {
        if field.callsite() == self.callsite {
            self.by_field.get(field.index()).copied().flatten()
        } else {
            Name::of(field.name())
        }
    }
}

impl Names {
    pub(super) const fn insert(&mut self, name: Name) {
        self.0 |= 1 << name as u8;
    }

    pub(super) const fn has(self, name: Name) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that are said of a component's start.
    pub(super) const fn of_start(self) -> Self {
        Self(self.0 & ((1 << (Name::Arguments as u8 + 1)) - 1))
    }

    /// Those that are said only of a component that came to its end.
    pub(super) const fn of_outcome(self) -> Self {
        self.between(Name::OutputMessages, Name::Outcome)
    }

    /// Those of them that are said of each such component, also where no content is.
    pub(super) const fn of_every_outcome(self) -> Self {
        self.between(Name::ResponseId, Name::Outcome)
    }

    const fn between(self, first: Name, last: Name) -> Self {
        Self(self.0 & ((1 << (last as u8 + 1)) - (1 << first as u8)))
    }
}

impl Operation {
    pub(super) fn of(text: &str) -> Self {
        Self::Component(match text {
            "chat" | "text_completion" | "generate_content" | "embeddings" => EventScope::LlmRequest,
            "invoke_agent" | "create_agent" => EventScope::Agent,
            "execute_tool" => EventScope::Tool,
            "invoke_workflow" => EventScope::Workflow,
            _ => return Self::Other,
        })
    }

    /// The scope of the component that the span is, if it is one.
    pub(super) const fn scope(self) -> Option<EventScope> {
        match self {
            Self::Component(scope) => Some(scope),
            Self::Other => None,
        }
    }
}
