//! OpenTelemetry's globals: what instrumentation of other libraries takes its tracer, its meter and its propagator from.

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId, global,
    trace::{Span as _, SpanContext, TraceContextExt as _, TraceState, Tracer as _},
};
use opentelemetry_sdk::{metrics::SdkMeterProvider, propagation::TraceContextPropagator, trace::SdkTracerProvider};

/// Sets the globals that the program has not set itself.
pub(super) fn set(tracers: &SdkTracerProvider, meters: Option<&SdkMeterProvider>) {
    if !has_tracer_provider() {
        global::set_tracer_provider(tracers.clone());
        // There is no asking whether a meter provider is set; who sets one sets the other.
        if let Some(meters) = meters {
            global::set_meter_provider(meters.clone());
        }
    }
    // Without baggage, which would go to every server that is asked.
    if global::get_text_map_propagator(|propagator| propagator.fields().next().is_none()) {
        global::set_text_map_propagator(TraceContextPropagator::new());
    }
}

/// Whether the program has set a tracer provider: the default one takes a parent's ids for those of its spans.
fn has_tracer_provider() -> bool {
    // Not sampled, so that a provider of the user's exports nothing of it.
    let parent = SpanContext::new(
        TraceId::from(1_u128),
        SpanId::from(1_u64),
        TraceFlags::default(),
        true,
        TraceState::default(),
    );
    let context = Context::new().with_remote_span_context(parent.clone());
    let span = global::tracer("agent_runtime").start_with_context("is a provider set?", &context);
    span.span_context().span_id() != parent.span_id()
}
