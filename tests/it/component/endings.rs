//! The laws of endings, for components of foreign code: whatever becomes of the work, each start has one end, inner ones
//! first, which says what happened.

use std::{
    future::Future as _,
    sync::Arc,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use agent_runtime::{
    component::{self, ComponentStream},
    prelude::*,
};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::yield_now, time::timeout};
use tracing::{dispatcher, instrument::WithSubscriber as _};

use super::scene::{self, TREE};
use crate::support::{Recording, check_over, spans, story};

/// The events of a stream so far.
fn events(stream: &EventStream) -> Vec<Event> {
    stream.get_events(0).now_or_never().expect("the log never has to be awaited")
}

/// The ends among the events, each as `type component code`.
fn ends(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let code = event.data.error_code().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{} {}{code}", event.event_type, event.component_id)
    };
    events.iter().filter(|event| event.event_type.is_terminal()).map(line).collect()
}

fn outcomes(recording: &Recording) -> String {
    recording.spans().tree_with(|span| format!(" · {}", spans::outcome(span)))
}

#[tokio::test]
async fn a_scene_that_ends_well_completes_every_component() {
    let (recording, stream) = (Recording::new(), EventStream::new());
    scene::play(&stream).with_subscriber(recording.dispatch()).await.expect("it succeeds");
    let events = events(&stream);
    assert_eq!(check_over(&recording, &events).tree(), TREE);
    assert!(ends(&events).iter().all(|end| end.starts_with("completed")), "{:#?}", ends(&events));
}

/// Dropped after every number of polls, on this thread and on another one.
#[tokio::test]
async fn work_that_is_dropped_at_any_point_has_one_end_for_each_start() {
    for elsewhere in [false, true] {
        let mut points = 0;
        loop {
            let (recording, stream) = (Recording::new(), EventStream::new());
            let mut work = Box::pin({
                let stream = stream.clone();
                let dispatch = recording.dispatch();
                async move { scene::play(&stream).await }.with_subscriber(dispatch)
            });
            let mut is_over = false;
            for _ in 0..points {
                if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    is_over = true;
                    break;
                }
                yield_now().await;
            }
            if elsewhere {
                thread::spawn(move || drop(work)).join().expect("the drop goes well");
            } else {
                drop(work);
            }
            let events = events(&stream);
            check_over(&recording, &events);
            let end = events.last().map(|event| (event.component_id.as_str(), event.event_type));
            let expected = if is_over { EventType::Completed } else { EventType::Canceled };
            assert_eq!(end, (points > 0).then_some(("scene", expected)), "after {points} polls");
            if is_over {
                break;
            }
            points += 1;
        }
        assert!(points > 15, "only {points} points to drop it at");
    }
}

/// Work that hangs in a tool of an agent, beside a request that is read half.
async fn hang(stream: &EventStream) -> Result<(), BoxError> {
    let hang = async {
        let answer = component::request("acme", "small").stream(async { Ok::<_, BoxError>(half()) }).await?;
        let mut answer = answer.on_item(|request, piece| request.chunk(*piece));
        answer.next().await;
        component::tool("wait").run(std::future::pending::<Result<(), BoxError>>()).await?;
        drop(answer);
        Ok::<_, BoxError>(())
    };
    component::workflow(stream, "flow").run(component::agent("agent").run(hang)).await
}

fn half() -> impl futures_util::Stream<Item = Result<&'static str, BoxError>> + Unpin {
    stream::iter([Ok("half")]).chain(stream::pending())
}

#[tokio::test]
async fn a_timeout_an_abort_and_a_runtime_that_ends_cancel_what_hangs() {
    let expected = [
        "canceled wait:0 canceled",
        "canceled agent:llm:0 canceled",
        "canceled agent canceled",
        "canceled flow canceled",
    ];
    for way in ["timeout", "abort", "runtime"] {
        let (recording, stream) = (Recording::new(), EventStream::new());
        let work = {
            let stream = stream.clone();
            async move { hang(&stream).await }.with_subscriber(recording.dispatch())
        };
        match way {
            "timeout" => drop(timeout(Duration::from_millis(1), work).await.expect_err("it hangs")),
            "abort" => {
                let task = tokio::spawn(work);
                while recording.mapper().open_spans() < 4 {
                    yield_now().await;
                }
                task.abort();
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            }
            _ => {
                let open = recording.clone();
                thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                    runtime.spawn(work);
                    runtime.block_on(async {
                        while open.mapper().open_spans() < 4 {
                            yield_now().await;
                        }
                    });
                })
                .join()
                .expect("the runtime ends well");
            }
        }
        let events = events(&stream);
        check_over(&recording, &events);
        assert_eq!(ends(&events), expected, "{way}");
        let request = events.iter().find(|event| event.component_id == "agent:llm:0" && event.event_type.is_terminal());
        let data = &request.expect("it ended").data;
        assert_eq!((&data["response"], &data["chunk_count"]), (&json!("half"), &json!(1)), "{way}");
    }
}

#[tokio::test]
async fn a_panic_fails_every_component_around_it() {
    let (recording, stream) = (Recording::new(), EventStream::new());
    let work = {
        let stream = stream.clone();
        async move {
            let explode = async {
                yield_now().await;
                if true {
                    panic!("boom");
                }
                Ok::<_, BoxError>(())
            };
            component::workflow(&stream, "flow").run(component::agent("agent").run(explode)).await
        }
    };
    let task = tokio::spawn(work.with_subscriber(recording.dispatch()));
    assert!(task.await.is_err_and(|error| error.is_panic()));
    let events = events(&stream);
    check_over(&recording, &events);
    assert_eq!(ends(&events), ["failed agent panic", "failed flow panic"]);
    assert_eq!(
        outcomes(&recording),
        "invoke_workflow flow · error(panic): panicked\n  invoke_agent agent · error(panic): panicked\n"
    );
}

/// The reader of a stream in each of its ways to go.
#[tokio::test]
async fn a_component_lives_as_long_as_its_stream_is_read() {
    type Reader = fn(ComponentStream<stream::BoxStream<'static, Result<u32, BoxError>>>);
    let cases: [(&str, Reader, &str); 6] = [
        ("unread", drop, "canceled"),
        ("half", |stream| drop(stream.into_future().now_or_never()), "canceled"),
        ("to its end", |stream| drop(stream.collect::<Vec<_>>().now_or_never()), "failed"),
        ("to its error", |stream| drop(stream.try_collect::<Vec<_>>().now_or_never()), "failed"),
        ("without its error", |stream| drop(stream.take(2).collect::<Vec<_>>().now_or_never()), "canceled"),
        ("on another thread", |stream| drop(thread::spawn(move || drop(stream)).join()), "canceled"),
    ];
    for (name, reader, end) in cases {
        let (recording, log) = (Recording::new(), EventStream::new());
        dispatcher::with_default(&recording.dispatch(), || {
            let workflow = component::workflow(&log, "flow").start().expect("it starts");
            workflow.enter(|| {
                let items = [Ok(1), Ok(2), Err("cut off".into()), Ok(3)];
                let request = component::request("acme", "small").start().expect("it starts");
                reader(request.stream(stream::iter(items).boxed()));
            });
            workflow.complete(());
        });
        let events = events(&log);
        check_over(&recording, &events);
        let ended = ends(&events);
        assert!(ended[0].starts_with(&format!("{end} flow:llm:0")), "{name}: {ended:?}");
    }
    // One that is read to a good end completes there and then, not when it is dropped.
    let log = EventStream::new();
    let request = component::workflow(&log, "flow").start().expect("it starts");
    let mut stream = request.stream(stream::iter([Ok::<_, BoxError>(1)]));
    while stream.next().now_or_never().expect("it is ready").is_some() {}
    assert_eq!(ends(&events(&log)), ["completed flow"]);
    drop(stream);
    assert_eq!(ends(&events(&log)), ["completed flow"]);
}

/// What a stream starts while it is polled or dropped lies in its component, wherever that happens.
#[tokio::test]
async fn a_stream_is_polled_and_dropped_inside_its_component() {
    struct StartsInDrop;
    impl Drop for StartsInDrop {
        fn drop(&mut self) {
            component::tool("clean_up").start().expect("it starts").complete(());
        }
    }
    let (recording, log) = (Recording::new(), EventStream::new());
    let kept = StartsInDrop;
    let items = stream::iter([1, 2]).then(move |item| {
        let _kept = &kept;
        async move { component::tool("look").run(async { Ok::<_, BoxError>(item) }).await }
    });
    let work = async {
        let answer = component::request("acme", "small").start()?.stream(items.boxed());
        let other = component::agent("other").run(async {
            let mut answer = answer;
            answer.next().await.transpose()?;
            tokio::spawn(async move { drop(answer) }).await?;
            Ok::<_, BoxError>(())
        });
        other.await
    };
    component::workflow(&log, "flow").run(work).with_subscriber(recording.dispatch()).await.expect("it succeeds");
    assert_eq!(
        outcomes(&recording),
        "\
invoke_workflow flow · unset
  chat small · error(canceled): dropped before its end
    execute_tool look · unset
    execute_tool clean_up · unset
  invoke_agent other · unset
"
    );
}

#[tokio::test]
async fn a_reporter_is_silent_after_the_end_and_holds_no_stream_open() {
    let log = EventStream::new();
    let mut reader = log.subscribe();
    let agent = component::workflow(&log, "flow").start().expect("it starts");
    let late = agent.reporter();
    late.progress("in time");
    let place = agent.current();
    agent.complete(());
    assert!(!late.is_recording());
    late.progress("too late");
    late.chunk("too late");
    late.usage(agent_runtime::event::Usage::new(1, 1));
    late.output("too late");
    thread::spawn(move || late.progress("from elsewhere")).join().expect("no panic");
    assert_eq!(story(&events(&log)), ["started flow", "progress flow", "completed flow"]);
    drop(log);
    let mut seen = 0;
    while reader.recv().await.is_ok() {
        seen += 1;
    }
    assert_eq!(seen, 3, "the stream is closed, though a place in its run is kept");
    assert!(!place.enter(|| component::tool("late").start()).expect("it is inert").is_recording());
}

/// What a task starts that outlives its run is seen all the same, as long as there is a stream.
#[tokio::test]
async fn a_task_that_outlives_its_run_still_reports() {
    let (recording, log) = (Recording::new(), EventStream::new());
    let (go, mut goes) = mpsc::channel::<()>(1);
    let work = async {
        Ok::<_, BoxError>(component::spawn(async move {
            goes.recv().await;
            component::tool("late").run(async { Ok::<_, BoxError>(()) }).await
        }))
    };
    let late =
        component::workflow(&log, "flow").run(work).with_subscriber(recording.dispatch()).await.expect("it runs");
    go.send(()).await.expect("it waits");
    late.await.expect("no panic").expect("it succeeds");
    assert_eq!(recording.spans().tree(), "invoke_workflow flow\n  execute_tool late\n");
    assert_eq!(ends(&events(&log)), ["completed flow", "completed late:0"]);
}

/// However a run ends, and under whatever default it is polled, all its spans are its own subscriber's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_of_foreign_code_belongs_to_the_subscriber_that_it_began_under() {
    for _ in 0..20 {
        let (recording, other, log) = (Recording::new(), Recording::new(), EventStream::new());
        let flow = dispatcher::with_default(&recording.dispatch(), || component::workflow(&log, "flow").start());
        let flow = Arc::new(flow.expect("it starts"));
        let inside = Arc::clone(&flow);
        let work = async move { inside.run(component::agent("agent").run(scene::ask("one two three"))).await };
        tokio::spawn(work.with_subscriber(other.dispatch())).await.expect("no panic").expect("it succeeds");
        let flow = Arc::into_inner(flow).expect("the task is over");
        thread::spawn(move || drop(flow)).join().expect("the drop goes well");
        assert_eq!(check_over(&recording, &events(&log)).len(), 3);
        assert!(other.spans().is_empty() && other.mapper().open_spans() == 0);
    }
}

/// Ended on one thread while reported on others: nothing comes after the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_report_comes_after_the_end_from_any_thread() {
    for _ in 0..100 {
        let log = EventStream::new();
        let agent = component::workflow(&log, "flow").start().expect("it starts");
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let reporter = agent.reporter();
                thread::spawn(move || (0..20).for_each(|part| reporter.progress(format!("part {part}"))))
            })
            .collect();
        agent.complete(());
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        let events = events(&log);
        let is_end = |event: &Event| event.event_type == EventType::Completed;
        assert!(events.last().is_some_and(is_end), "{:?}", story(&events));
    }
}

#[tokio::test]
async fn the_hook_of_a_stream_that_panics_fails_the_component() {
    let (recording, log) = (Recording::new(), EventStream::new());
    let work = {
        let log = log.clone();
        async move {
            let answer = component::workflow(&log, "flow").stream(async { Ok::<_, BoxError>(half()) }).await?;
            let mut answer = answer.on_item(|_, _| panic!("the hook"));
            answer.next().await.transpose()
        }
    };
    let task = tokio::spawn(work.with_subscriber(recording.dispatch()));
    assert!(task.await.is_err_and(|error| error.is_panic()));
    assert_eq!(ends(&events(&log)), ["failed flow panic"]);
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let inert = component::request("acme", "small").start().expect("it is inert");
    let inert = inert.stream(stream::iter([Ok::<_, BoxError>(1)])).on_item(move |_, _| *count.lock() += 1);
    assert_eq!(inert.try_collect::<Vec<_>>().await.expect("it is read"), [1]);
    assert_eq!(*seen.lock(), 1);
}
