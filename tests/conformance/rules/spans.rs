//! What spans, their events and log events must be like.

use super::{EventRule, Field, Is, LogRule, SpanRule, When, always, field, ok, sometimes};

/// On every span.
const COMMON: &[Field] = &[
    always("agent_runtime.component.id", Is::Text),
    always("agent_runtime.workflow.id", Is::Word),
    field("agent_runtime.workflow.parent_id", Is::Word, When::Nested),
    always("agent_runtime.event.offset", Is::Int),
    field("error.type", Is::Word, When::Failed),
    field("agent_runtime.canceled", Is::True, When::Canceled),
    sometimes("agent_runtime.interrupted", Is::True).not_in_the_examples(),
    sometimes("agent_runtime.unmatched", Is::True).not_in_the_examples(),
    sometimes("agent_runtime.content.truncated", Is::True).content().not_in_the_examples(),
    sometimes("agent_runtime.content.input_offset", Is::Int).content().not_in_the_examples(),
    sometimes("agent_runtime.content.output_offset", Is::Int).content().not_in_the_examples(),
    sometimes("agent_runtime.system.dropped_count", Is::Int).not_in_the_examples(),
    sometimes("agent_runtime.log.dropped_count", Is::Int).not_in_the_examples(),
];

/// On every span but that of a step, for which the conventions have nothing.
const CONVERSATION: &[Field] = &[sometimes("gen_ai.conversation.id", Is::Text).not_in_the_examples()];

const MESSAGES_ASKED: Field = always("gen_ai.input.messages", Is::JsonList).content();

const REQUEST: &[Field] = &[
    always("gen_ai.operation.name", Is::Exactly("chat")),
    always("gen_ai.provider.name", Is::Word),
    always("gen_ai.request.model", Is::Word),
    // The runtime streams every answer.
    always("gen_ai.request.stream", Is::True),
    sometimes("gen_ai.request.temperature", Is::Double).not_in_the_examples(),
    sometimes("gen_ai.request.top_p", Is::Double).not_in_the_examples(),
    sometimes("gen_ai.request.max_tokens", Is::Int),
    sometimes("server.address", Is::Text),
    field("server.port", Is::Int, When::With("server.address")),
    field("gen_ai.response.id", Is::Text, When::OkAtLeast),
    field("gen_ai.response.model", Is::Word, When::OkAtLeast),
    always("gen_ai.response.finish_reasons", Is::Texts),
    field("gen_ai.response.time_to_first_chunk", Is::Double, When::OkAtLeast),
    field("gen_ai.usage.input_tokens", Is::Int, When::OkAtLeast),
    field("gen_ai.usage.output_tokens", Is::Int, When::OkAtLeast),
    sometimes("gen_ai.usage.cache_read.input_tokens", Is::Int),
    sometimes("gen_ai.usage.cache_write.input_tokens", Is::Int).not_in_the_examples(),
    sometimes("gen_ai.usage.reasoning.output_tokens", Is::Int),
    MESSAGES_ASKED,
    field("gen_ai.output.messages", Is::JsonList, When::OkAtLeast).content(),
    sometimes("gen_ai.tool.definitions", Is::JsonList).content(),
    always("gen_ai.agent.name", Is::Text),
    always("agent_runtime.llm.index", Is::Int),
    field("agent_runtime.llm.chunk_count", Is::Int, When::OkAtLeast),
];

/// How the component of a span failed or was canceled.
const EXCEPTION: EventRule = EventRule {
    name: "exception",
    fields: &[always("exception.type", Is::Word), sometimes("exception.message", Is::Text)],
    is_shown: true,
};

/// What a `tracing` event of the user's becomes.
const LOG: EventRule = EventRule {
    name: "log",
    fields: &[always("level", Is::Word), always("target", Is::Word), sometimes("*", Is::Text)],
    is_shown: false,
};

const CHUNKS: &[Field] = &[
    always("agent_runtime.llm.chunk_count", Is::Int),
    always("agent_runtime.event.first_offset", Is::Int),
    always("agent_runtime.event.last_offset", Is::Int),
];

const PROGRESS: &[Field] = &[
    always("agent_runtime.progress.count", Is::Int),
    sometimes("agent_runtime.progress.message", Is::Text),
    sometimes("agent_runtime.data.*", Is::Measure),
    always("agent_runtime.event.first_offset", Is::Int),
    always("agent_runtime.event.last_offset", Is::Int),
];

const PROGRESS_SHOWN: EventRule = EventRule { name: "agent_runtime.progress", fields: PROGRESS, is_shown: true };

const PROGRESS_NOT_IN_THE_EXAMPLES: EventRule = EventRule { is_shown: false, ..PROGRESS_SHOWN };

pub(crate) const SPANS: &[SpanRule] = &[
    SpanRule {
        operation: "invoke_workflow",
        named_by: "gen_ai.agent.name",
        is_client: false,
        under: &["", "workflow_step", "execute_tool"],
        fields: &[
            COMMON,
            CONVERSATION,
            &[
                always("gen_ai.operation.name", Is::Exactly("invoke_workflow")),
                always("gen_ai.agent.name", Is::Word),
                // The older name beside it, for one release.
                always("gen_ai.workflow.name", Is::Word),
                sometimes("agent_runtime.workflow.attempt", Is::Int),
                sometimes("agent_runtime.workflow.tags", Is::Texts).not_in_the_examples(),
                MESSAGES_ASKED,
                ok("gen_ai.output.messages", Is::JsonList).content(),
            ],
        ],
        events: &[PROGRESS_NOT_IN_THE_EXAMPLES, EXCEPTION, LOG],
    },
    SpanRule {
        operation: "workflow_step",
        named_by: "agent_runtime.step.name",
        is_client: false,
        under: &["invoke_workflow"],
        fields: &[
            COMMON,
            &[
                always("agent_runtime.step.name", Is::Word),
                always("agent_runtime.step.type", Is::OneOf(&["agent", "transform", "subworkflow", "custom"])),
                always("agent_runtime.step.index", Is::Int),
                always("agent_runtime.step.input", Is::Json).content(),
                ok("agent_runtime.step.output", Is::Json).content(),
            ],
        ],
        events: &[PROGRESS_NOT_IN_THE_EXAMPLES, EXCEPTION, LOG],
    },
    SpanRule {
        operation: "invoke_agent",
        named_by: "gen_ai.agent.name",
        is_client: false,
        under: &["workflow_step"],
        fields: &[
            COMMON,
            CONVERSATION,
            &[
                always("gen_ai.operation.name", Is::Exactly("invoke_agent")),
                always("gen_ai.agent.name", Is::Word),
                sometimes("gen_ai.agent.description", Is::Text),
                // Each agent has one model.
                always("gen_ai.request.model", Is::Word),
                MESSAGES_ASKED,
                ok("gen_ai.output.messages", Is::JsonList).content(),
                field("agent_runtime.agent.iterations", Is::Int, When::OkAtLeast),
                ok("agent_runtime.agent.llm_calls", Is::Int),
                ok("agent_runtime.agent.tool_calls", Is::Int),
                ok("agent_runtime.agent.total_tokens", Is::Int),
            ],
        ],
        events: &[
            EventRule {
                name: "agent_runtime.system.tool_loop_detection",
                fields: &[
                    always("agent_runtime.system.event_type", Is::Exactly("progress")),
                    sometimes("agent_runtime.system.message", Is::Text),
                    always("gen_ai.tool.name", Is::Word),
                    always("agent_runtime.event.offset", Is::Int),
                    sometimes("agent_runtime.data.*", Is::Measure),
                ],
                is_shown: true,
            },
            PROGRESS_SHOWN,
            EXCEPTION,
            LOG,
        ],
    },
    SpanRule {
        operation: "chat",
        named_by: "gen_ai.request.model",
        is_client: true,
        under: &["invoke_agent"],
        fields: &[COMMON, CONVERSATION, REQUEST],
        events: &[EventRule { name: "agent_runtime.llm.chunk", fields: CHUNKS, is_shown: true }, EXCEPTION, LOG],
    },
    SpanRule {
        operation: "execute_tool",
        named_by: "gen_ai.tool.name",
        is_client: false,
        under: &["invoke_agent", "workflow_step", "invoke_workflow"],
        fields: &[
            COMMON,
            CONVERSATION,
            &[
                always("gen_ai.operation.name", Is::Exactly("execute_tool")),
                always("gen_ai.tool.name", Is::Word),
                always("gen_ai.tool.type", Is::Exactly("function")),
                field("gen_ai.tool.description", Is::Text, When::InAgent),
                field("gen_ai.tool.call.id", Is::Word, When::InAgent),
                field("gen_ai.agent.name", Is::Word, When::InAgent),
                always("gen_ai.tool.call.arguments", Is::JsonObject).content(),
                ok("gen_ai.tool.call.result", Is::JsonObject).content(),
            ],
        ],
        events: &[PROGRESS_SHOWN, EXCEPTION, LOG],
    },
];

pub(crate) const LOGS: &[LogRule] = &[
    LogRule {
        name: "agent_runtime.llm.chunk",
        severity: (5, "DEBUG"),
        under: &["chat"],
        repeats_span: false,
        fields: CHUNKS,
    },
    LogRule {
        name: "agent_runtime.progress",
        severity: (5, "DEBUG"),
        under: &["invoke_workflow", "workflow_step", "invoke_agent", "execute_tool"],
        repeats_span: false,
        fields: PROGRESS,
    },
    LogRule {
        name: "gen_ai.client.inference.operation.details",
        severity: (5, "DEBUG"),
        under: &["chat"],
        repeats_span: true,
        fields: &[],
    },
    LogRule {
        name: "gen_ai.client.operation.exception",
        severity: (13, "WARN"),
        under: &["chat"],
        repeats_span: false,
        fields: &[always("exception.type", Is::Word), always("exception.message", Is::Text)],
    },
];
