//! What metrics must be like.

use super::{Field, Instrument, Is, MetricRule, When, always, field, sometimes};

/// Seconds of one call.
const B1: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Seconds of an agent.
const B2: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Seconds of a workflow.
/// Tokens.
const B4: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];
/// Calls.
const B5: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

const OF_REQUEST: &[Field] = &[
    always("gen_ai.operation.name", Is::Exactly("chat")),
    always("gen_ai.provider.name", Is::Word),
    always("gen_ai.request.model", Is::Word),
];
const SERVER: &[Field] =
    &[sometimes("server.address", Is::Text), field("server.port", Is::Int, When::With("server.address"))];
const SERVER_NOT_IN_THE_EXAMPLES: &[Field] = &[SERVER[0].not_in_the_examples(), SERVER[1].not_in_the_examples()];
const OF_ANSWER: &[Field] = &[sometimes("gen_ai.response.model", Is::Word)];
const ERROR: &[Field] = &[sometimes("error.type", Is::Word)];
const FAILED: &[Field] = &[sometimes("error.type", Is::OneOf(&["_OTHER", "queue_full"])).not_in_the_examples()];
const MODALITY: &[Field] = &[always("gen_ai.token.modality", Is::Exactly("unknown"))];
const AGENT: &[Field] = &[always("gen_ai.agent.name", Is::Word)];
const SCOPES: &[&str] = &["workflow", "workflow_step", "agent", "llm_request", "tool", "system"];
const OF_SCOPE: &[Field] = &[always("agent_runtime.scope", Is::OneOf(SCOPES))];

const fn metric(
    name: &'static str,
    instrument: Instrument,
    unit: &'static str,
    labels: &'static [&'static [Field]],
) -> MetricRule {
    MetricRule { name, instrument, unit, labels, is_shown: true }
}

const fn tokens(name: &'static str, labels: &'static [&'static [Field]]) -> MetricRule {
    metric(name, Instrument::Counter, "{token}", labels)
}

const fn spans(name: &'static str) -> MetricRule {
    metric(name, Instrument::Counter, "{span}", &[])
}

/// What OpenTelemetry names for every SDK.
const fn of_the_sdk(
    name: &'static str,
    instrument: Instrument,
    unit: &'static str,
    labels: &'static [&'static [Field]],
) -> MetricRule {
    metric(name, instrument, unit, labels)
}

pub(crate) const METRICS: &[MetricRule] = &[
    metric("gen_ai.client.inference.duration", Instrument::Durations(B1), "s", &[OF_REQUEST, SERVER, OF_ANSWER, ERROR]),
    metric(
        "gen_ai.client.inference.time_to_first_chunk",
        Instrument::Durations(B1),
        "s",
        &[OF_REQUEST, SERVER, OF_ANSWER],
    ),
    metric(
        "gen_ai.client.inference.time_per_output_chunk",
        Instrument::Durations(B1),
        "s",
        &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES],
    ),
    tokens("gen_ai.client.inference.usage.input_tokens", &[OF_REQUEST, SERVER, OF_ANSWER, MODALITY]),
    tokens("gen_ai.client.inference.usage.output_tokens", &[OF_REQUEST, SERVER, OF_ANSWER, MODALITY]),
    tokens(
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES, OF_ANSWER, MODALITY],
    ),
    MetricRule {
        is_shown: false,
        ..tokens(
            "gen_ai.client.inference.usage.cache_write.input_tokens",
            &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES, OF_ANSWER, MODALITY],
        )
    },
    tokens(
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES, OF_ANSWER, MODALITY],
    ),
    metric(
        "gen_ai.client.inference.operation.input_tokens",
        Instrument::Numbers(B4),
        "{token}",
        &[OF_REQUEST, SERVER, OF_ANSWER],
    ),
    metric(
        "gen_ai.client.inference.operation.output_tokens",
        Instrument::Numbers(B4),
        "{token}",
        &[OF_REQUEST, SERVER, OF_ANSWER],
    ),
    metric(
        "gen_ai.invoke_agent.duration",
        Instrument::Durations(B2),
        "s",
        &[
            AGENT,
            &[
                always("gen_ai.operation.name", Is::OneOf(&["invoke_workflow", "invoke_agent"])),
                // An agent has one model, a workflow none.
                sometimes("gen_ai.request.model", Is::Word),
            ],
            ERROR,
        ],
    ),
    metric("gen_ai.invoke_agent.inference_calls", Instrument::Numbers(B5), "{inference_call}", &[AGENT]),
    metric("gen_ai.invoke_agent.tool_calls", Instrument::Numbers(B5), "{tool_call}", &[AGENT]),
    metric(
        "gen_ai.execute_tool.duration",
        Instrument::Durations(B1),
        "s",
        &[
            &[
                always("gen_ai.tool.name", Is::Word),
                always("gen_ai.tool.type", Is::Exactly("function")),
                // Where an agent calls it.
                sometimes("gen_ai.agent.name", Is::Word),
            ],
            ERROR,
        ],
    ),
    metric(
        "agent_runtime.workflow_step.duration",
        Instrument::Durations(B2),
        "s",
        &[&[always("agent_runtime.step.name", Is::Word), always("agent_runtime.step.type", Is::Word)], ERROR],
    ),
    metric(
        "agent_runtime.llm.cost",
        Instrument::Amount,
        "USD",
        &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES, OF_ANSWER, AGENT],
    ),
    metric(
        "agent_runtime.llm.unpriced_requests",
        Instrument::Counter,
        "{request}",
        &[OF_REQUEST, SERVER_NOT_IN_THE_EXAMPLES, OF_ANSWER, AGENT],
    ),
    metric("agent_runtime.components.active", Instrument::UpDownCounter, "{component}", &[OF_SCOPE]),
    metric(
        "agent_runtime.events",
        Instrument::Counter,
        "{event}",
        &[
            OF_SCOPE,
            &[always(
                "agent_runtime.event.type",
                Is::OneOf(&["started", "progress", "completed", "failed", "canceled"]),
            )],
        ],
    ),
    metric(
        "agent_runtime.system.events",
        Instrument::Counter,
        "{event}",
        &[&[always("agent_runtime.system.subsystem", Is::Exactly("tool_loop_detection"))]],
    ),
    metric("agent_runtime.subscriber.lagged", Instrument::Counter, "{event}", &[]),
    spans("agent_runtime.spans.ended"),
    spans("agent_runtime.spans.exported"),
    spans("agent_runtime.spans.failed"),
    spans("agent_runtime.spans.dropped"),
    spans("agent_runtime.spans.interrupted"),
    of_the_sdk("otel.sdk.exporter.span.exported", Instrument::Counter, "{span}", &[FAILED]),
    of_the_sdk("otel.sdk.exporter.span.inflight", Instrument::UpDownCounter, "{span}", &[]),
    of_the_sdk("otel.sdk.processor.span.processed", Instrument::Counter, "{span}", &[FAILED]),
    of_the_sdk("otel.sdk.exporter.log.exported", Instrument::Counter, "{log_record}", &[FAILED]),
    of_the_sdk("otel.sdk.exporter.log.inflight", Instrument::UpDownCounter, "{log_record}", &[]),
    of_the_sdk("otel.sdk.processor.log.processed", Instrument::Counter, "{log_record}", &[FAILED]),
    MetricRule {
        is_shown: false,
        ..metric(
            "agent_runtime.metrics.overflowed_labels",
            Instrument::Counter,
            "{label}",
            &[&[always("agent_runtime.metrics.label", Is::Word)]],
        )
    },
];
