//! What appending one chunk of a streamed answer costs its caller, beside a tokio broadcast of the same event.
//!
//! Both have room for `EventStream::DEFAULT_CAPACITY` events. The stream keeps them as history and is full, so that each append also
//! frees an event; the broadcast lets go of an event when its last receiver takes it, which is not timed. Where it is
//! called `kept`, one more receiver that never reads makes it keep its events too.

use std::{
    future::{Future, poll_fn},
    hint::{black_box, spin_loop},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use agent_runtime::{
    event::{Event, EventData},
    stream::{EventStream, RecvError, Subscription, TRACING_TARGET},
};
use criterion::{Criterion, criterion_group, criterion_main};
use fixtures::{BATCH, WORKFLOW_ID, chunk, chunks, config, time_batches};
use tokio::sync::broadcast;
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt as _, registry};

/// How long sleeping readers are left alone before they are woken, so that their thread sleeps too.
const NAP: Duration = Duration::from_micros(30);

/// A stream and a broadcast, as one who emits sees them.
trait Emit: Clone + Send + 'static {
    type Reader: Read + Send + 'static;
    fn emit(&self, event: Event);
    fn reader(&self) -> Self::Reader;
}

/// Their readers.
trait Read {
    /// Waits for an event; `false` if none will come.
    fn next(&mut self) -> impl Future<Output = bool> + Send;
    fn drain(&mut self);
}

impl Emit for EventStream {
    type Reader = Subscription;

    fn emit(&self, event: Event) {
        black_box(self.append(event).is_ok());
    }

    fn reader(&self) -> Subscription {
        self.subscribe()
    }
}

impl Read for Subscription {
    async fn next(&mut self) -> bool {
        !matches!(self.recv_shared().await, Err(RecvError::Closed))
    }

    fn drain(&mut self) {
        while self.try_recv().is_ok() {}
    }
}

impl Emit for broadcast::Sender<Event> {
    type Reader = broadcast::Receiver<Event>;

    fn emit(&self, event: Event) {
        black_box(self.send(event).is_ok());
    }

    fn reader(&self) -> Self::Reader {
        self.subscribe()
    }
}

/// The event is put into its `Arc` within the time, as it is by an append.
impl Emit for broadcast::Sender<Arc<Event>> {
    type Reader = broadcast::Receiver<Arc<Event>>;

    fn emit(&self, event: Event) {
        black_box(self.send(Arc::new(event)).is_ok());
    }

    fn reader(&self) -> Self::Reader {
        self.subscribe()
    }
}

impl<T: Clone + Send> Read for broadcast::Receiver<T> {
    async fn next(&mut self) -> bool {
        !matches!(self.recv().await, Err(broadcast::error::RecvError::Closed))
    }

    fn drain(&mut self) {
        while self.try_recv().is_ok() {}
    }
}

/// Making the event, which is in none of the other figures.
fn construct(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("construct");
    let message = || Some(" token".to_owned());
    let workflow_id = || Some(WORKFLOW_ID.to_owned());
    group.bench_function("chunk", |bencher| bencher.iter(chunk));
    group.bench_function("chunk_as_json", |bencher| {
        let data = || serde_json::json!({ "chunk": " token" });
        bencher.iter(|| Event::llm_progress("writer:llm:0", message(), workflow_id(), None, data()));
    });
    group.bench_function("data_only", |bencher| bencher.iter(|| EventData::chunk(" token")));
    group.finish();
}

/// Readers that take their events between the batches: the emitter alone, with nobody at its lock and nobody to wake.
fn alone(criterion: &mut Criterion) {
    fn bench<E: Emit>(criterion: &mut Criterion, name: &str, stream: &E, readers: usize) {
        let mut readers: Vec<_> = (0..readers).map(|_| stream.reader()).collect();
        let mut drain = || readers.iter_mut().for_each(Read::drain);
        fill(stream, &mut drain);
        criterion.bench_function(&format!("append_alone/{name}"), |bencher| {
            bencher.iter_custom(|n| time_batches(n, BATCH, chunks, |chunks| emit_all(stream, chunks), |()| drain()));
        });
    }
    for readers in [0, 1, 4] {
        bench(criterion, &format!("stream/{readers}"), &EventStream::new(), readers);
    }
    for readers in [1, 4] {
        let cloned = broadcast::Sender::<Event>::new(EventStream::DEFAULT_CAPACITY);
        bench(criterion, &format!("broadcast_clone/{readers}"), &cloned, readers);
        let shared = broadcast::Sender::<Arc<Event>>::new(EventStream::DEFAULT_CAPACITY);
        bench(criterion, &format!("broadcast_arc/{readers}"), &shared, readers);
        let never_reads = shared.subscribe();
        bench(criterion, &format!("broadcast_arc_kept/{readers}"), &shared, readers);
        drop(never_reads);
    }
}

/// Readers that run on another thread all the while and compete for the lock.
fn live(criterion: &mut Criterion) {
    fn bench<E: Emit>(criterion: &mut Criterion, name: &str, stream: E, readers: usize) {
        let asleep = Arc::new(AtomicUsize::new(0));
        let thread = read_on_thread(&stream, readers, &asleep);
        fill(&stream, || ());
        criterion.bench_function(&format!("append_live/{name}"), |bencher| {
            bencher.iter_custom(|n| time_batches(n, BATCH, chunks, |chunks| emit_all(&stream, chunks), |()| ()));
        });
        drop(stream);
        thread.join().expect("the readers do not panic");
    }
    for readers in [1, 4] {
        bench(criterion, &format!("stream/{readers}"), EventStream::new(), readers);
        bench(
            criterion,
            &format!("broadcast_clone/{readers}"),
            broadcast::Sender::<Event>::new(EventStream::DEFAULT_CAPACITY),
            readers,
        );
        let shared = broadcast::Sender::<Arc<Event>>::new(EventStream::DEFAULT_CAPACITY);
        bench(criterion, &format!("broadcast_arc/{readers}"), shared, readers);
    }
}

/// One event to readers that all sleep, as between the tokens of a real model; the caller wakes them.
fn asleep(criterion: &mut Criterion) {
    fn bench<E: Emit>(criterion: &mut Criterion, name: &str, stream: E, readers: usize) {
        let asleep = Arc::new(AtomicUsize::new(0));
        let thread = read_on_thread(&stream, readers, &asleep);
        criterion.bench_function(&format!("append_asleep/{name}"), |bencher| {
            let prepare = |_| {
                let event = chunk();
                while asleep.load(Ordering::Acquire) < readers {
                    spin_loop();
                }
                asleep.store(0, Ordering::Release);
                spin_for(NAP);
                event
            };
            bencher.iter_custom(|n| time_batches(n, 1, prepare, |event| stream.emit(event), |()| ()));
        });
        drop(stream);
        thread.join().expect("the readers do not panic");
    }
    for readers in [1, 4] {
        bench(criterion, &format!("stream/{readers}"), EventStream::new(), readers);
        let shared = broadcast::Sender::<Arc<Event>>::new(EventStream::DEFAULT_CAPACITY);
        bench(criterion, &format!("broadcast_arc/{readers}"), shared, readers);
    }
}

/// What a `tracing` subscriber adds, without anybody who reads; beside it a `tracing` event that has the same fields.
fn layers(criterion: &mut Criterion) {
    struct Nothing;
    impl<S: tracing::Subscriber> Layer<S> for Nothing {}

    let mut bench = |name: &str| {
        let stream = EventStream::new();
        fill(&stream, || ());
        criterion.bench_function(&format!("append_layer/{name}/stream"), |bencher| {
            bencher.iter_custom(|n| time_batches(n, BATCH, chunks, |chunks| emit_all(&stream, chunks), |()| ()));
        });
        criterion.bench_function(&format!("append_layer/{name}/tracing_event"), |bencher| {
            bencher.iter(|| {
                tracing::debug!(
                    target: TRACING_TARGET,
                    scope = "llm_request",
                    event_type = "progress",
                    component_id = black_box("writer:llm:0"),
                    workflow_id = black_box(WORKFLOW_ID),
                    offset = black_box(7_u64),
                );
            });
        });
    };
    bench("no_subscriber");
    tracing::subscriber::with_default(registry().with(Nothing.with_filter(LevelFilter::INFO)), || {
        bench("uninterested");
    });
    tracing::subscriber::with_default(registry().with(Nothing), || bench("interested"));
}

fn emit_all<E: Emit>(stream: &E, events: Vec<Event>) {
    events.into_iter().for_each(|event| stream.emit(event));
}

fn fill<E: Emit>(stream: &E, mut drain: impl FnMut()) {
    for _ in 0..EventStream::DEFAULT_CAPACITY {
        stream.emit(chunk());
    }
    drain();
}

/// Reads with several tasks on one thread, since two cores have room for one beside the emitter's. Counts in `asleep`
/// the readers that have gone to sleep.
fn read_on_thread<E: Emit>(stream: &E, readers: usize, asleep: &Arc<AtomicUsize>) -> thread::JoinHandle<()> {
    let readers: Vec<_> = (0..readers).map(|_| stream.reader()).collect();
    let asleep = Arc::clone(asleep);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let tasks: Vec<_> =
            readers.into_iter().map(|reader| runtime.spawn(read(reader, Arc::clone(&asleep)))).collect();
        for task in tasks {
            runtime.block_on(task).expect("a reader does not panic");
        }
    })
}

async fn read(mut reader: impl Read, asleep: Arc<AtomicUsize>) {
    loop {
        let mut next = pin!(reader.next());
        let goes_on = poll_fn(|cx| {
            let polled = next.as_mut().poll(cx);
            if polled.is_pending() {
                asleep.fetch_add(1, Ordering::AcqRel);
            }
            polled
        });
        if !goes_on.await {
            return;
        }
    }
}

fn spin_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        spin_loop();
    }
}

criterion_group! { name = benches; config = config(); targets = construct, alone, layers, live, asleep }
criterion_main!(benches);
