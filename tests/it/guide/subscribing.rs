//! Several readers of one stream, its history, filters, nested workflows and a page on a socket.

use agent_runtime::prelude::*;
use tokio::task::JoinHandle;

use super::homework::{CHUNKS, EVENTS, QUESTION, do_on, homework};
use crate::support::{full_flow, history};

/// The ids of all events until the stream is closed.
fn follow(mut rx: Subscription) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Ok(event) = rx.recv().await {
            seen.push(event.component_id);
        }
        seen
    })
}

#[tokio::test]
async fn each_subscriber_sees_the_whole_run() {
    let runtime = Runtime::new();
    let readers = ["page", "log", "metrics"].map(|_| follow(runtime.event_stream().subscribe()));
    runtime.execute(&homework(), QUESTION).await.expect("the homework is done");
    let expected: Vec<_> = history(&runtime).await.into_iter().map(|event| event.component_id).collect();
    assert_eq!(expected.len(), EVENTS);
    drop(runtime);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_thread_that_is_not_async_reads_along() {
    let runtime = Runtime::new();
    let mut rx = runtime.event_stream().subscribe();
    let reader = std::thread::spawn(move || std::iter::from_fn(|| rx.blocking_recv().ok()).count());
    runtime.execute(&homework(), QUESTION).await.expect("the homework is done");
    drop(runtime);
    let seen = tokio::task::spawn_blocking(|| reader.join()).await.expect("it waits").expect("the reader ends");
    assert_eq!(seen, EVENTS);
}

#[tokio::test]
async fn a_history_is_replayed_from_the_start_or_from_an_offset() {
    let runtime = Runtime::new();
    do_on(runtime.event_stream()).await;
    let all = runtime.event_stream().get_events(0).await;
    assert_eq!(all.len(), EVENTS);
    let half: usize = all.len() / 2;
    assert_eq!(runtime.event_stream().get_events(half).await, all[half..]);
    assert_eq!(runtime.event_stream().get_events(100).await, []);
    // What is stored replays into another stream, where every reader sees the same.
    let replayed = EventStream::new();
    let mut rx = replayed.subscribe();
    for event in &all {
        assert!(format!("{event:?}").contains(&event.component_id));
        let stored = serde_json::to_string(event).expect("an event has a JSON form");
        replayed.append(Event::from_json(&stored).expect("it is one")).expect("it is valid");
    }
    drop(replayed);
    let mut answer = String::new();
    while let Ok(event) = rx.recv().await {
        answer.extend(event.data["chunk"].as_str());
    }
    assert_eq!(answer, CHUNKS.concat());
}

#[tokio::test]
async fn a_reader_that_lagged_learns_what_it_missed_and_reads_on() {
    let stream = EventStream::builder().with_capacity(4).build();
    let mut rx = stream.subscribe();
    do_on(&stream).await;
    drop(stream);
    let (mut seen, mut missed, mut sent_on) = (0, 0, Vec::new());
    loop {
        match rx.recv().await {
            Ok(_event) => seen += 1,
            Err(RecvError::Lagged(lagged)) => {
                missed += lagged.count();
                sent_on.push(serde_json::to_value(lagged).expect("it has a JSON form"));
            }
            Err(_) => break,
        }
    }
    assert_eq!((seen, missed), (4, EVENTS as u64 - 4));
    assert_eq!(sent_on, [json!({"missed": 17, "first_offset": 0, "last_offset": 16})]);
}

#[tokio::test]
async fn a_subscription_is_filtered_when_it_is_made() {
    let runtime = Runtime::new();
    let failed_requests =
        runtime.event_stream().subscribe().filter(EventScope::LlmRequest).filter_status(ComponentStatus::Failed);
    let failed = runtime.event_stream().subscribe().filter_status(ComponentStatus::Failed);
    let (failed_requests, failed) = (follow(failed_requests), follow(failed));
    runtime.execute(&homework(), QUESTION).await.expect("the homework is done");
    drop(runtime);
    assert_eq!(failed_requests.await.unwrap(), ["pupil:llm:0"]);
    assert_eq!(failed.await.unwrap(), ["pupil:llm:0", "search:0"]);
}

#[tokio::test]
async fn events_of_a_nested_workflow_name_the_one_above() {
    let runtime = Runtime::new();
    let by_hand = runtime.event_stream().subscribe();
    let options = || RunOptions::default().with_workflow_id("wf_parent");
    let filtered = follow(runtime.event_stream().subscribe().filter_workflow("wf_parent"));
    runtime.execute_with(&full_flow(), "go", options()).await.expect("it succeeds");
    do_on(runtime.event_stream()).await;
    let all = history(&runtime).await;
    drop(runtime);
    let mut rx = by_hand;
    let mut inside = Vec::new();
    while let Ok(event) = rx.recv().await {
        if event.parent_workflow_id == Some("wf_parent".to_owned()) {
            assert_ne!(event.workflow_id.as_deref(), Some("wf_parent"), "it has an id of its own");
            inside.push(event.component_id);
        }
    }
    assert_eq!(inside.first().map(String::as_str), Some("check"));
    assert_eq!(inside.last().map(String::as_str), Some("check"));
    assert!(inside.contains(&"checker:llm:0".to_owned()));
    let of_run =
        all.iter().filter(|event| !event.component_id.contains("pupil") && !event.component_id.contains("homework"));
    let of_run: Vec<_> =
        of_run.filter(|event| ["calculator:0", "search:0"].iter().all(|id| event.component_id != *id)).collect();
    assert_eq!(filtered.await.unwrap(), of_run.iter().map(|event| event.component_id.clone()).collect::<Vec<_>>());
}

/// What serves one page: it subscribes anew when the page connects.
struct Connection {
    rx: Subscription,
}

impl Connection {
    fn started(&self, socket: mpsc::UnboundedSender<String>) -> JoinHandle<()> {
        let mut rx = self.rx.resubscribe();
        tokio::spawn(async move {
            while let Ok(event) = rx.recv().await {
                let json = serde_json::to_string(&event).expect("an event has a JSON form");
                if socket.send(json).is_err() {
                    break;
                }
            }
        })
    }
}

#[tokio::test]
async fn a_socket_gets_each_event_as_json() {
    let runtime = Runtime::new();
    let connection = Connection { rx: runtime.event_stream().subscribe() };
    do_on(runtime.event_stream()).await;
    let (socket, mut page) = mpsc::unbounded_channel();
    let served = connection.started(socket);
    do_on(runtime.event_stream()).await;
    let expected = runtime.event_stream().get_events(EVENTS).await;
    drop(runtime);
    served.await.unwrap();
    let mut received = Vec::new();
    while let Some(json) = page.recv().await {
        received.push(Event::from_json(&json).unwrap());
    }
    assert_eq!(received.len(), EVENTS, "what happened before the page connected is not sent");
    assert_eq!(received, expected);
}
