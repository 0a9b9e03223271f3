//! How many events a store takes in a second: `cargo bench -p agent-runtime-store`, best under `taskset -c 0` for one core.
//!
//! Postgres is measured too with `--features postgres` and `AGENT_RUNTIME_BENCH_POSTGRES=postgres://…`, which `tests/backends/up
//! postgres` prints; it gets a schema of its own that stays.
#![expect(clippy::print_stdout, reason = "it reports what it measured")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runtime::{
    event::{Event, EventData},
    store::{Batch, Cursor, EventStore, Query, Recorder},
    stream::{Epoch, EventStream},
};
use agent_runtime_store::{Durability, SqliteStore};
use tempfile::TempDir;

const EVENTS: usize = 400_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let events = events();
    println!("{EVENTS} pieces of answers, 500 to a run, the median of 3");
    for (name, durability) in [("process", Durability::Process), ("machine", Durability::Machine)] {
        for size in [1, 64, 1_024] {
            // One event at a time, a disk is waited for each.
            let events = if size == 1 { &events[..EVENTS / 100] } else { &events[..] };
            let mut rates: Vec<_> = (0..3).map(|_| runtime.block_on(append(events, size, durability))).collect();
            rates.sort_by(f64::total_cmp);
            println!("append, batches of {size:>5}, durability {name}: {:>9.0} events/s", rates[1]);
        }
    }
    let mut rates: Vec<_> = (0..3).map(|_| runtime.block_on(read(&events))).collect();
    rates.sort_by(f64::total_cmp);
    println!("read, pages of 1,000: {:>9.0} events/s", rates[1]);
    #[cfg(feature = "postgres")]
    match std::env::var("AGENT_RUNTIME_BENCH_POSTGRES") {
        Ok(url) => postgres(&runtime, &events, &url),
        Err(_) => println!("Postgres: skipped, AGENT_RUNTIME_BENCH_POSTGRES is not set"),
    }
}

#[cfg(feature = "postgres")]
fn postgres(runtime: &tokio::runtime::Runtime, events: &[Arc<Event>], url: &str) {
    use agent_runtime_store::PostgresStore;

    let schema = format!("bench_{}", std::process::id());
    let opened = runtime.block_on(PostgresStore::builder(url).with_schema(schema).open());
    let store = opened.expect("a store on the server");
    for size in [1, 64, 1_024] {
        let events = if size == 1 { &events[..EVENTS / 400] } else { &events[..EVENTS / 4] };
        let mut rates: Vec<_> = (0..3).map(|_| runtime.block_on(append_to(&store, events, size))).collect();
        rates.sort_by(f64::total_cmp);
        println!("Postgres: append, batches of {size:>5}: {:>9.0} events/s", rates[1]);
    }
    let mut rates: Vec<_> = (0..3).map(|_| runtime.block_on(read_from(&store))).collect();
    rates.sort_by(f64::total_cmp);
    println!("Postgres: read, pages of 1,000: {:>9.0} events/s", rates[1]);
}

fn events() -> Vec<Arc<Event>> {
    let stream = EventStream::builder().with_capacity(1).build();
    let event = |index: usize| {
        let (run, data) =
            (Some(format!("wf_0190163d-8694-739b-aea5-{:012x}", index / 500)), EventData::chunk("Hello "));
        let mut event = Event::llm_progress("writer:llm:0", None, run, None, data);
        event.start_id = Some(event.event_id);
        stream.append(event).expect("it is valid")
    };
    (0..EVENTS).map(event).collect()
}

async fn store(folder: &TempDir, durability: Durability) -> SqliteStore {
    let builder = SqliteStore::builder(folder.path().join("events.db")).with_durability(durability);
    builder.open().await.expect("a store in an empty folder")
}

async fn append(events: &[Arc<Event>], size: usize, durability: Durability) -> f64 {
    let folder = TempDir::new().expect("a folder");
    append_to(&store(&folder, durability).await, events, size).await
}

async fn append_to(store: &dyn EventStore, events: &[Arc<Event>], size: usize) -> f64 {
    let epoch = Epoch::new();
    store.open_epoch(epoch).await.expect("a new epoch");
    let began = Instant::now();
    for part in events.chunks(size.min(Recorder::MAX_BATCH)) {
        let mut batch = Batch::new(epoch);
        part.iter().for_each(|event| batch.push(Arc::clone(event)).expect("they are in order"));
        store.append(&batch).await.expect("it is appended");
    }
    rate(events.len(), began.elapsed())
}

async fn read(events: &[Arc<Event>]) -> f64 {
    let folder = TempDir::new().expect("a folder");
    let store = store(&folder, Durability::Process).await;
    let epoch = Epoch::new();
    store.open_epoch(epoch).await.expect("a new epoch");
    let mut batch = Batch::new(epoch);
    events.iter().for_each(|event| batch.push(Arc::clone(event)).expect("they are in order"));
    store.append(&batch).await.expect("it is appended");
    read_from(&store).await
}

async fn read_from(store: &dyn EventStore) -> f64 {
    let began = Instant::now();
    let (mut cursor, mut count) = (Cursor::Beginning, 0);
    loop {
        let page = store.read(cursor, &Query::default(), 1_000).await.expect("it is read");
        count += page.events.len();
        cursor = page.next;
        if page.is_last {
            return rate(count, began.elapsed());
        }
    }
}

fn rate(events: usize, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}
