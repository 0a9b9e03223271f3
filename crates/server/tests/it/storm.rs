//! Many clients that drop and come back while events flow.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use agent_runtime::{
    prelude::*,
    store::{MemoryStore, Recorder},
};
use agent_runtime_server::Source;
use peak_alloc::PeakAlloc;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::support::{SseClient, event, serve};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CLIENTS: usize = 200;
const EVENTS: usize = 100_000;
/// Each client wants one of so many runs.
const RUNS: usize = 50;
const SEED: u64 = 1;
/// What clients, buffers and the log may take: it does not grow with the events.
const MAX_MB: f32 = 160.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_of_a_storm_sees_every_event_of_its_filter_once_and_in_order() {
    let store = Arc::new(MemoryStore::new());
    let stream = EventStream::builder().with_capacity(4_096).build();
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    let server = serve(Source::stream(stream.clone()).with_store(store)).await;
    let address = server.address();
    let drops = Arc::new(AtomicUsize::new(0));
    let begin = MEMORY.current_usage_as_mb();

    let http = reqwest::Client::new();
    let client = |number: usize| {
        let (drops, http) = (Arc::clone(&drops), http.clone());
        async move {
            let mut random = StdRng::seed_from_u64(SEED + number as u64);
            let query = format!("?workflow=run-{}&from=beginning", number % RUNS);
            let (mut last, mut seen) = (None::<String>, Vec::new());
            while seen.len() < EVENTS / RUNS {
                let mut client = SseClient::open_by(&http, address, &query, last.as_deref()).await;
                // It may leave before it has seen anything.
                let leaves_after = random.random_range(0..400);
                for _ in 0..leaves_after {
                    if seen.len() == EVENTS / RUNS {
                        break;
                    }
                    let frame = client.next().await.unwrap();
                    assert!(frame.name.is_empty(), "{frame:?}");
                    if !frame.data.is_empty() {
                        seen.push(event(&frame).offset.unwrap());
                    }
                    last = Some(frame.id);
                }
                drops.fetch_add(1, Ordering::Relaxed);
            }
            seen
        }
    };
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(number))).collect();
    let emitter = tokio::spawn(async move {
        for number in 0..EVENTS {
            let run = format!("run-{}", number % RUNS);
            let data = EventData::from(json!({"tool_name": "search"}));
            stream.append(Event::tool_started("search", Some(run), None, data)).unwrap();
            if number % 512 == 0 {
                // As long as the store needs; the clients are not waited for.
                assert!(recorder.flush().await);
            }
        }
        assert!(recorder.flush().await);
        (stream, recorder)
    });
    for (number, client) in clients.into_iter().enumerate() {
        let seen = client.await.unwrap();
        let expected: Vec<_> = (0..EVENTS as u64).filter(|offset| *offset as usize % RUNS == number % RUNS).collect();
        assert!(seen == expected, "client {number} of seed {SEED}: {} of {} events", seen.len(), expected.len());
    }
    drop(emitter.await.unwrap());
    let peak = MEMORY.peak_usage_as_mb() - begin;
    let drops = drops.load(Ordering::Relaxed);
    println!("{CLIENTS} clients, {drops} connections, {EVENTS} events, {peak:.0} MB at the most");
    assert!(drops > CLIENTS * 5, "{drops}");
    assert!(peak < MAX_MB, "{peak} MB");
}
