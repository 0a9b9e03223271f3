//! Span and trace ids that are functions of the events' ids, so that a replay makes the same trace.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use uuid::Uuid;

thread_local! {
    static PENDING_TRACE: Cell<Option<Uuid>> = const { Cell::new(None) };
    static PENDING_SPAN: Cell<Option<Uuid>> = const { Cell::new(None) };
}

/// An SDK [`IdGenerator`] that derives the ids of our spans from their events and draws all others at random.
///
/// Set it on the `SdkTracerProvider` that you build yourself; [`Telemetry`](crate::otel::Telemetry) does so by itself. With
/// another generator the spans nest just as well, only under random ids.
#[derive(Clone, Debug, Default)]
pub struct EventIdGenerator {
    random: RandomIdGenerator,
}

/// Calls `start` so that the span started in it gets the ids of an event, a root also its trace id, from what that follows from.
///
/// Each id is used once: samplers and processors, which `start` calls, may start spans that are not ours.
pub(super) fn with_ids_of<R>(event_id: Uuid, trace: Option<Uuid>, start: impl FnOnce() -> R) -> R {
    /// Takes the ids back also when `start` unwinds, so that they cannot reach a later span.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            PENDING_TRACE.set(None);
            PENDING_SPAN.set(None);
        }
    }
    let _reset = Reset;
    PENDING_TRACE.set(trace);
    PENDING_SPAN.set(Some(event_id));
    start()
}

impl IdGenerator for EventIdGenerator {
    fn new_trace_id(&self) -> TraceId {
        PENDING_TRACE.take().map_or_else(|| self.random.new_trace_id(), trace_id_of)
    }

    fn new_span_id(&self) -> SpanId {
        PENDING_SPAN.take().map_or_else(|| self.random.new_span_id(), span_id_of)
    }
}

fn trace_id_of(event_id: Uuid) -> TraceId {
    let (high, low) = event_id.as_u64_pair();
    TraceId::from(u128::from(mix(high ^ mix(low))) << 64 | u128::from(mix(low ^ mix(high)) | 1))
}

fn span_id_of(event_id: Uuid) -> SpanId {
    let (high, low) = event_id.as_u64_pair();
    SpanId::from(mix(high.wrapping_add(mix(low.wrapping_add(1)))).max(1))
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): a bijection in which every input bit moves every output
/// bit. A UUID has fixed version and variant bits and its time in front, while a ratio sampler reads the low bytes of a
/// trace id as if they were random.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_a_function_of_the_event_and_used_once() {
        let generator = EventIdGenerator::default();
        let event_id = Uuid::now_v7();
        let ids = || (generator.new_trace_id(), generator.new_span_id());
        let (first, second) = with_ids_of(event_id, Some(event_id), || (ids(), ids()));
        assert_eq!(with_ids_of(event_id, Some(event_id), ids), first);
        let others = [second, ids(), with_ids_of(Uuid::now_v7(), Some(Uuid::now_v7()), ids)];
        assert!(others.iter().all(|(trace, span)| *trace != first.0 && *span != first.1));
        let (trace, span) = with_ids_of(event_id, None, ids);
        assert!(trace != first.0 && span == first.1);
    }

    #[test]
    fn low_bytes_of_trace_ids_are_spread_evenly() {
        let kept = (0..100_000)
            .filter(|_| {
                let bytes = trace_id_of(Uuid::now_v7()).to_bytes();
                let low = u64::from_be_bytes(bytes[8..].try_into().unwrap());
                low >> 1 < (1 << 63) / 10
            })
            .count();
        assert!((9_000..=11_000).contains(&kept), "{kept} of 100000 in the lowest tenth");
    }
}
