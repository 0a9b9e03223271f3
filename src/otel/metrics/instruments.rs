//! Every instrument: name, unit, description and boundaries.
//!
//! `gen_ai.*` follows the OpenTelemetry GenAI semantic conventions, repository
//! `open-telemetry/semantic-conventions-genai` at v0.1.0 (2026-11), status Development; the legacy names are those
//! of `open-telemetry/semantic-conventions` v1.41.0. What they do not cover is ours, under `agent_runtime.*`.

use std::borrow::Cow;

use opentelemetry::metrics::{Counter, Histogram, Meter};

/// Seconds that one call takes, of a model or of a tool.
const CALL_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Seconds that an agent or a step takes.
const AGENT_SECONDS: [f64; 13] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];

/// Seconds that a workflow takes.
const WORKFLOW_SECONDS: [f64; 11] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];

/// Tokens of one request.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Calls that an agent makes.
const CALLS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// What an instrument is called and measures in.
pub(in crate::otel) struct Description {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) text: &'static str,
}

/// The same for the signals whose items are counted.
#[cfg(feature = "otlp-http")]
pub(in crate::otel) struct OfSignals {
    pub(in crate::otel) spans: Description,
    pub(in crate::otel) logs: Description,
}

const INFERENCE_DURATION: Description = Description {
    name: "gen_ai.client.inference.duration",
    unit: "s",
    text: "Duration of a request to a model, from its issue to the end of the answer, an error or a cancellation.",
};
const INFERENCE_TIME_TO_FIRST_CHUNK: Description = Description {
    name: "gen_ai.client.inference.time_to_first_chunk",
    unit: "s",
    text: "Time from the issue of a streaming request to the first chunk of its answer.",
};
const INFERENCE_TIME_PER_OUTPUT_CHUNK: Description = Description {
    name: "gen_ai.client.inference.time_per_output_chunk",
    unit: "s",
    text: "Time from one chunk of a streamed answer to the next, for each chunk after the first.",
};
const USAGE_INPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.usage.input_tokens",
    unit: "{token}",
    text: "Tokens of requests, cached ones included.",
};
const USAGE_OUTPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.usage.output_tokens",
    unit: "{token}",
    text: "Tokens of answers, reasoning included.",
};
const USAGE_CACHE_READ_INPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.usage.cache_read.input_tokens",
    unit: "{token}",
    text: "Those input tokens that came from the provider's cache.",
};
const USAGE_CACHE_WRITE_INPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.usage.cache_write.input_tokens",
    unit: "{token}",
    text: "Those input tokens that were written to the provider's cache.",
};
const USAGE_REASONING_OUTPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.usage.reasoning.output_tokens",
    unit: "{token}",
    text: "Those output tokens that were spent on reasoning.",
};
const OPERATION_INPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.operation.input_tokens",
    unit: "{token}",
    text: "Input tokens of one request.",
};
const OPERATION_OUTPUT_TOKENS: Description = Description {
    name: "gen_ai.client.inference.operation.output_tokens",
    unit: "{token}",
    text: "Output tokens of one request.",
};
const INVOKE_AGENT_DURATION: Description = Description {
    name: "gen_ai.invoke_agent.duration",
    unit: "s",
    text: "Duration of one invocation of an agent or one run of a workflow.",
};
const INVOKE_AGENT_INFERENCE_CALLS: Description = Description {
    name: "gen_ai.invoke_agent.inference_calls",
    unit: "{inference_call}",
    text: "Requests to a model in one invocation of an agent, failed ones included.",
};
const INVOKE_AGENT_TOOL_CALLS: Description = Description {
    name: "gen_ai.invoke_agent.tool_calls",
    unit: "{tool_call}",
    text: "Tools run in one invocation of an agent.",
};
const EXECUTE_TOOL_DURATION: Description =
    Description { name: "gen_ai.execute_tool.duration", unit: "s", text: "Duration of one execution of a tool." };
const LEGACY_WORKFLOW_DURATION: Description = Description {
    name: "gen_ai.invoke_workflow.duration",
    unit: "s",
    text: "Duration of one run of a workflow (legacy name).",
};

const LEGACY_TOKEN_USAGE: Description = Description {
    name: "gen_ai.client.token.usage",
    unit: "{token}",
    text: "Input and output tokens of one request (legacy name).",
};
const LEGACY_DURATION: Description = Description {
    name: "gen_ai.client.operation.duration",
    unit: "s",
    text: "Duration of a request to a model (legacy name for inference).",
};
const LEGACY_TIME_TO_FIRST_CHUNK: Description = Description {
    name: "gen_ai.client.operation.time_to_first_chunk",
    unit: "s",
    text: "Time from the issue of a streaming request to the first chunk of its answer (legacy name).",
};
const LEGACY_TIME_PER_OUTPUT_CHUNK: Description = Description {
    name: "gen_ai.client.operation.time_per_output_chunk",
    unit: "s",
    text: "Time from one chunk of a streamed answer to the next (legacy name).",
};

const WORKFLOW_STEP_DURATION: Description = Description {
    name: "agent_runtime.workflow_step.duration",
    unit: "s",
    text: "Duration of one step of a workflow.",
};
pub(super) const COMPONENTS_ACTIVE: Description = Description {
    name: "agent_runtime.components.active",
    unit: "{component}",
    text: "Components that have started and not yet ended.",
};
pub(super) const EVENTS: Description =
    Description { name: "agent_runtime.events", unit: "{event}", text: "Events that reached the bridge." };
const SYSTEM_EVENTS: Description = Description {
    name: "agent_runtime.system.events",
    unit: "{event}",
    text: "Events of the runtime itself, by the part of it that they are about.",
};
const OVERFLOWED_LABELS: Description = Description {
    name: "agent_runtime.metrics.overflowed_labels",
    unit: "{label}",
    text: "Labels of measurements that became `_OTHER`, since the attribute has too many values.",
};
const LLM_UNPRICED: Description = Description {
    name: "agent_runtime.llm.unpriced_requests",
    unit: "{request}",
    text: "Requests that told their usage and whose model has no price.",
};
/// Its unit is the price table's currency.
const LLM_COST_NAME: &str = "agent_runtime.llm.cost";
const LLM_COST_TEXT: &str = "What requests cost, by the prices given.";

/// What all subscribers missed; read when the metrics are collected, as the ones below are.
pub(super) const SUBSCRIBER_LAGGED: Description = Description {
    name: "agent_runtime.subscriber.lagged",
    unit: "{event}",
    text: "Events that subscribers missed, since they fell behind the whole log of their stream.",
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SPANS_ENDED: Description = Description {
    name: "agent_runtime.spans.ended",
    unit: "{span}",
    text: "Sampled spans that ended and were to be exported.",
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SPANS_EXPORTED: Description =
    Description { name: "agent_runtime.spans.exported", unit: "{span}", text: "Spans that the backend took." };
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SPANS_FAILED: Description = Description {
    name: "agent_runtime.spans.failed",
    unit: "{span}",
    text: "Spans whose export was given up after all retries.",
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SPANS_DROPPED: Description = Description {
    name: "agent_runtime.spans.dropped",
    unit: "{span}",
    text: "Spans that found the queue to the exporter full.",
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SPANS_INTERRUPTED: Description = Description {
    name: "agent_runtime.spans.interrupted",
    unit: "{span}",
    text: "Spans that were ended without their component's end, by age, by number or at shutdown.",
};

/// The SDK's own measurements as OpenTelemetry names them (`otel.sdk.*`, semantic conventions v1.41, status Development), which
/// its SDK for Rust does not make.
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SDK_EXPORTED: OfSignals = OfSignals {
    spans: Description {
        name: "otel.sdk.exporter.span.exported",
        unit: "{span}",
        text: "Spans whose export has ended, well or not.",
    },
    logs: Description {
        name: "otel.sdk.exporter.log.exported",
        unit: "{log_record}",
        text: "Log records whose export has ended, well or not.",
    },
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SDK_PROCESSED: OfSignals = OfSignals {
    spans: Description {
        name: "otel.sdk.processor.span.processed",
        unit: "{span}",
        text: "Spans that were handed to an exporter or found the queue to it full.",
    },
    logs: Description {
        name: "otel.sdk.processor.log.processed",
        unit: "{log_record}",
        text: "Log records that were handed to an exporter or found the queue to it full.",
    },
};
#[cfg(feature = "otlp-http")]
pub(in crate::otel) const SDK_INFLIGHT: OfSignals = OfSignals {
    spans: Description {
        name: "otel.sdk.exporter.span.inflight",
        unit: "{span}",
        text: "Spans that were sent and for which no answer has come yet.",
    },
    logs: Description {
        name: "otel.sdk.exporter.log.inflight",
        unit: "{log_record}",
        text: "Log records that were sent and for which no answer has come yet.",
    },
};

/// The instruments that are always there.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) inference: InferenceTimes,
    pub(super) input_tokens: Counter<u64>,
    pub(super) output_tokens: Counter<u64>,
    pub(super) cache_read_tokens: Counter<u64>,
    pub(super) cache_write_tokens: Counter<u64>,
    pub(super) reasoning_tokens: Counter<u64>,
    pub(super) operation_input_tokens: Histogram<u64>,
    pub(super) operation_output_tokens: Histogram<u64>,
    pub(super) agent_duration: Histogram<f64>,
    pub(super) agent_inference_calls: Histogram<u64>,
    pub(super) agent_tool_calls: Histogram<u64>,
    pub(super) tool_duration: Histogram<f64>,
    pub(super) step_duration: Histogram<f64>,
    pub(super) system_events: Counter<u64>,
}

/// The times of a request, under the new names or under the legacy ones.
#[derive(Debug)]
pub(super) struct InferenceTimes {
    pub(super) duration: Histogram<f64>,
    pub(super) time_to_first_chunk: Histogram<f64>,
    pub(super) time_per_output_chunk: Histogram<f64>,
}

/// The instruments under the names that the conventions had before v0.1.0 of their own.
#[derive(Debug)]
pub(super) struct LegacyInstruments {
    pub(super) times: InferenceTimes,
    pub(super) token_usage: Histogram<u64>,
    pub(super) workflow_duration: Histogram<f64>,
}

/// The instruments that a price table brings.
#[derive(Debug)]
pub(super) struct CostInstruments {
    pub(super) cost: Counter<f64>,
    pub(super) unpriced: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            inference: InferenceTimes {
                duration: INFERENCE_DURATION.seconds(meter, &CALL_SECONDS),
                time_to_first_chunk: INFERENCE_TIME_TO_FIRST_CHUNK.seconds(meter, &CALL_SECONDS),
                time_per_output_chunk: INFERENCE_TIME_PER_OUTPUT_CHUNK.seconds(meter, &CALL_SECONDS),
            },
            input_tokens: USAGE_INPUT_TOKENS.counter(meter),
            output_tokens: USAGE_OUTPUT_TOKENS.counter(meter),
            cache_read_tokens: USAGE_CACHE_READ_INPUT_TOKENS.counter(meter),
            cache_write_tokens: USAGE_CACHE_WRITE_INPUT_TOKENS.counter(meter),
            reasoning_tokens: USAGE_REASONING_OUTPUT_TOKENS.counter(meter),
            operation_input_tokens: OPERATION_INPUT_TOKENS.numbers(meter, &TOKENS),
            operation_output_tokens: OPERATION_OUTPUT_TOKENS.numbers(meter, &TOKENS),
            agent_duration: INVOKE_AGENT_DURATION.seconds(meter, &AGENT_SECONDS),
            agent_inference_calls: INVOKE_AGENT_INFERENCE_CALLS.numbers(meter, &CALLS),
            agent_tool_calls: INVOKE_AGENT_TOOL_CALLS.numbers(meter, &CALLS),
            tool_duration: EXECUTE_TOOL_DURATION.seconds(meter, &CALL_SECONDS),
            step_duration: WORKFLOW_STEP_DURATION.seconds(meter, &AGENT_SECONDS),
            system_events: SYSTEM_EVENTS.counter(meter),
        }
    }
}

impl LegacyInstruments {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            times: InferenceTimes {
                duration: LEGACY_DURATION.seconds(meter, &CALL_SECONDS),
                time_to_first_chunk: LEGACY_TIME_TO_FIRST_CHUNK.seconds(meter, &CALL_SECONDS),
                time_per_output_chunk: LEGACY_TIME_PER_OUTPUT_CHUNK.seconds(meter, &CALL_SECONDS),
            },
            token_usage: LEGACY_TOKEN_USAGE.numbers(meter, &TOKENS),
            workflow_duration: LEGACY_WORKFLOW_DURATION.seconds(meter, &WORKFLOW_SECONDS),
        }
    }
}

impl CostInstruments {
    pub(super) fn new(meter: &Meter, currency: Cow<'static, str>) -> Self {
        let cost = meter.f64_counter(LLM_COST_NAME).with_unit(currency).with_description(LLM_COST_TEXT).build();
        Self { cost, unpriced: LLM_UNPRICED.counter(meter) }
    }
}

/// The counter of labels that became `_OTHER`.
pub(super) fn overflowed_labels(meter: &Meter) -> Counter<u64> {
    OVERFLOWED_LABELS.counter(meter)
}

impl Description {
    fn counter(&self, meter: &Meter) -> Counter<u64> {
        meter.u64_counter(self.name).with_unit(self.unit).with_description(self.text).build()
    }

    fn seconds(&self, meter: &Meter, boundaries: &[f64]) -> Histogram<f64> {
        let builder = meter.f64_histogram(self.name).with_unit(self.unit).with_description(self.text);
        builder.with_boundaries(boundaries.to_vec()).build()
    }

    fn numbers(&self, meter: &Meter, boundaries: &[f64]) -> Histogram<u64> {
        let builder = meter.u64_histogram(self.name).with_unit(self.unit).with_description(self.text);
        builder.with_boundaries(boundaries.to_vec()).build()
    }
}
