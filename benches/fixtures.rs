//! What the benchmarks share: how they are timed, a chunk of a streamed answer, and the operations whose cost is exact.

pub mod backend;
pub mod baseline;
pub mod operations;
pub mod peers;

use std::time::{Duration, Instant};

use agent_runtime::event::{Event, EventData};
use criterion::Criterion;

/// How many operations are timed between two readings of the clock.
///
/// It is also how many events an SDK span keeps by default, so that no peer is timed while it only drops.
pub const BATCH: u64 = 128;

/// The run of a workflow that the events belong to.
pub const WORKFLOW_ID: &str = "wf_0192f0c1e4a7";

/// Short runs: the machines are shared, so that a repeated run says more than a longer one.
#[must_use]
pub fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30)
        .without_plots()
}

/// A chunk as the runtime emits it: the text as message and as data, in a run of a workflow.
#[must_use]
pub fn chunk() -> Event {
    let text = " token";
    let workflow_id = Some(WORKFLOW_ID.to_owned());
    Event::llm_progress("writer:llm:0", Some(text.to_owned()), workflow_id, None, EventData::chunk(text))
}

/// Times `run` in batches of at most `size` operations, and gives what all would take at the pace of the median batch.
///
/// The machines are shared: a mean would tell how often the others took the core. What `prepare` makes for a batch is
/// there before its time begins; what `run` gives back is left to `settle` after it.
pub fn time_batches<B, R>(
    iterations: u64,
    size: u64,
    mut prepare: impl FnMut(u64) -> B,
    mut run: impl FnMut(B) -> R,
    mut settle: impl FnMut(R),
) -> Duration {
    let size = size.min(iterations);
    let mut batches: Vec<Duration> = (0..iterations.div_ceil(size))
        .map(|_| {
            let batch = prepare(size);
            let start = Instant::now();
            let rest = run(batch);
            let spent = start.elapsed();
            settle(rest);
            spent
        })
        .collect();
    batches.sort_unstable();
    batches[batches.len() / 2].mul_f64(iterations as f64 / size as f64)
}

/// The chunks of a batch.
#[must_use]
pub fn chunks(count: u64) -> Vec<Event> {
    (0..count).map(|_| chunk()).collect()
}
