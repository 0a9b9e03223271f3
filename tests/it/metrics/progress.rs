//! The times of streamed answers.

use agent_runtime::prelude::*;
use chrono::TimeDelta;

use super::harness::{Meters, assert_close};

const FIRST: &str = "gen_ai.client.inference.time_to_first_chunk";
const GAP: &str = "gen_ai.client.inference.time_per_output_chunk";

#[test]
fn each_chunk_after_the_first_is_one_value() {
    let meters = Meters::new(|recorder| recorder.with_legacy_metrics(true));
    stream(&meters, json!({"model": "m", "stream": true}), &[30, 50, 90, 90], json!({"time_to_first_chunk_ms": 7}));
    let snapshot = meters.collect();
    for (first, gap) in
        [(FIRST, GAP), ("gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk")]
    {
        assert_eq!((snapshot.count(first), snapshot.count(gap)), (1, 3));
        // What was seen goes before what the end tells.
        assert_close(snapshot.sum(first), 0.030, first);
        assert_close(snapshot.sum(gap), 0.060, gap);
    }
}

#[test]
fn one_chunk_has_no_gap_and_none_has_no_time() {
    let meters = Meters::new(|recorder| recorder);
    stream(&meters, json!({}), &[40], json!({}));
    stream(&meters, json!({"stream": true}), &[], json!({}));
    let snapshot = meters.collect();
    assert_eq!((snapshot.count(FIRST), snapshot.count(GAP)), (1, 0));
}

#[test]
fn an_answer_in_one_piece_has_no_chunks() {
    let meters = Meters::new(|recorder| recorder);
    stream(&meters, json!({"stream": false}), &[], json!({"time_to_first_chunk_ms": 7}));
    assert_eq!(meters.collect().count(FIRST), 0);
    stream(&meters, json!({"stream": true}), &[], json!({"time_to_first_chunk_ms": 7}));
    assert_close(meters.collect().sum(FIRST), 0.007, "told by the end");
}

#[test]
fn chunks_of_requests_at_once_are_told_apart() {
    let meters = Meters::new(|recorder| recorder);
    let start = |id: &str| Event::llm_started(id, None, None, json!({"model": id}));
    let (a, b) = (start("a:llm:0"), start("b:llm:0"));
    let chunk = |of: &Event, ms: i64| {
        let mut event = Event::llm_progress(&*of.component_id, None, None, None, EventData::chunk("x"));
        event.timestamp = of.timestamp + TimeDelta::milliseconds(ms);
        meters.recorder.observe(&event);
    };
    meters.recorder.observe(&a);
    meters.recorder.observe(&b);
    for step in 0..3 {
        chunk(&a, 10 * step);
        chunk(&b, 100 * step);
    }
    // A chunk of a request that nobody started is no gap of another's.
    chunk(&start("c:llm:0"), 5);
    let snapshot = meters.collect();
    assert_close(snapshot.point(GAP, &[("gen_ai.request.model", "a:llm:0")]).sum, 0.020, "a");
    assert_close(snapshot.point(GAP, &[("gen_ai.request.model", "b:llm:0")]).sum, 0.200, "b");
    assert_eq!(snapshot.count(GAP), 4);
}

/// A request whose chunks come so many milliseconds after its start.
fn stream(meters: &Meters, started: JsonValue, chunks_ms: &[i64], completed: JsonValue) {
    let start = Event::llm_started("a:llm:0", None, None, started);
    let at = |mut event: Event, ms: i64| {
        event.timestamp = start.timestamp + TimeDelta::milliseconds(ms);
        meters.recorder.observe(&event);
    };
    at(start.clone(), 0);
    for ms in chunks_ms {
        at(Event::llm_progress("a:llm:0", None, None, None, EventData::chunk("x")), *ms);
    }
    at(Event::llm_completed("a:llm:0", None, None, completed), 200);
}
