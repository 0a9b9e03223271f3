//! One process: it recovers what others left, runs agents, records what they do, and ends well or not.

use std::{convert::Infallible, sync::Arc, time::Duration};

use agent_runtime::{
    component,
    prelude::*,
    store::{EventStore, Recorder, StoreError, recover},
    stream::Epoch,
};
use rand::{RngExt as _, rngs::StdRng};

use super::faulty::Faulty;

/// What a process that ended well says of itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) is_complete: bool,
    /// How many events its stream had.
    pub(super) events: u64,
    pub(super) epoch: Epoch,
    /// How many of them the recorder named as missing.
    pub(super) missed: u64,
    pub(super) stored: u64,
    pub(super) interrupted: u64,
}

/// Lives until its work is done, if nobody kills it before.
pub(super) async fn live(store: Arc<Faulty>, mut random: StdRng) -> Ended {
    let interrupted = again(|| recover(&*store)).await;
    // The clock of each machine is another one, years apart.
    let clock = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(random.random_range(0..20_000));
    let capacity = if random.random_bool(0.2) { 8 } else { 4_096 };
    let stream =
        EventStream::builder().with_seed(random.random()).with_start_time(clock).with_capacity(capacity).build();
    let linger = Duration::from_millis(random.random_range(0..8));
    let recorder = again(|| {
        let store: Arc<dyn EventStore> = store.clone();
        let recorder = Recorder::builder(store).with_linger(linger).with_stop_timeout(Duration::from_secs(3_600));
        recorder.start(&stream)
    })
    .await;
    for run in 0..random.random_range(1..4) {
        let pauses: Vec<u64> = (0..6).map(|_| random.random_range(0..12)).collect();
        let work = component::workflow(&stream, format!("flow-{run}")).run(work(pauses, random.random_bool(0.3)));
        // Some of them are dropped in the middle.
        let limit = if random.random_bool(0.2) { 9 } else { 3_600_000 };
        tokio::time::timeout(Duration::from_millis(limit), work).await.ok();
    }
    let report = recorder.stop().await;
    Ended {
        is_complete: report.is_complete(),
        events: stream.next_offset(),
        epoch: stream.epoch(),
        missed: report.missed(),
        stored: report.stored(),
        interrupted: interrupted.iter().map(|recovered| recovered.interrupted).sum(),
    }
}

async fn work(pauses: Vec<u64>, fails: bool) -> Result<&'static str, std::io::Error> {
    let pause = |index: usize| tokio::time::sleep(Duration::from_millis(pauses[index]));
    let tool = |name: &'static str, index: usize| {
        component::tool(name).run(async move {
            pause(index).await;
            Ok::<_, Infallible>("found")
        })
    };
    component::agent("agent")
        .run(async {
            let request = component::request("scripted", "model").start().expect("it is valid");
            for piece in ["One ", "word ", "more."] {
                request.chunk(piece);
                pause(0).await;
            }
            request.complete(());
            let (one, two) = tokio::join!(tool("search", 1), tool("read", 2));
            pause(3).await;
            if fails {
                return Err(std::io::Error::other("the disk is full"));
            }
            Ok(one.and(two).unwrap_or("nothing"))
        })
        .await
}

/// Calls until the store answers.
async fn again<T, F: Future<Output = Result<T, StoreError>>>(call: impl Fn() -> F) -> T {
    loop {
        match call().await {
            Ok(value) => return value,
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("the store is away, not broken: {error}"),
        }
    }
}
