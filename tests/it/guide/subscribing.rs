//! Several readers of one stream, its history, filters, nested workflows and a page on a socket.

use agent_runtime::prelude::*;
use tokio::sync::mpsc;

use super::story::{CHUNKS, story, tell};

#[tokio::test]
async fn each_subscriber_sees_the_whole_run() {
    let stream = EventStream::new();
    let readers = ["page", "log", "metrics"].map(|_| {
        let mut rx = stream.subscribe();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Ok(event) = rx.recv().await {
                seen.push(event.component_id);
            }
            seen
        })
    });
    tell(&stream);
    drop(stream);
    let expected: Vec<_> = story().into_iter().map(|event| event.component_id).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_history_is_replayed_from_the_start_or_from_an_offset() {
    let stream = EventStream::new();
    tell(&stream);
    let all = stream.get_events(0).await;
    assert_eq!(all.len(), story().len());
    assert_eq!(stream.get_events(10).await, all[10..]);
    let replayed: String = all.iter().filter_map(|event| event.data["chunk"].as_str()).collect();
    assert_eq!(replayed, CHUNKS.concat());
    assert!(all.iter().all(|event| format!("{event:?}").contains(&event.component_id)));
}

#[tokio::test]
async fn a_reader_that_lagged_is_told_and_reads_on() {
    let stream = EventStream::builder().with_capacity(4).build();
    let mut rx = stream.subscribe();
    tell(&stream);
    drop(stream);
    let (mut seen, mut missed) = (0, 0);
    loop {
        match rx.recv().await {
            Ok(_event) => seen += 1,
            Err(RecvError::Lagged(lagged)) => missed += lagged.count(),
            Err(_) => break,
        }
    }
    assert_eq!((seen, missed), (4, story().len() as u64 - 4));
}

#[tokio::test]
async fn a_subscription_is_filtered_when_it_is_made() {
    let stream = EventStream::new();
    let mut rx = stream.subscribe().filter(EventScope::LlmRequest).filter_status(ComponentStatus::Failed);
    tell(&stream);
    drop(stream);
    let mut failed = Vec::new();
    while let Ok(event) = rx.recv().await {
        failed.push(event.component_id);
    }
    assert_eq!(failed, ["pupil:llm:0"]);
}

#[tokio::test]
async fn events_of_a_nested_workflow_name_the_one_above() {
    let stream = EventStream::new();
    let (mut by_hand, filtered) = (stream.subscribe(), stream.subscribe());
    let mut filtered = filtered.filter_workflow("wf_parent");
    let (parent, child) = (|| Some("wf_parent".to_owned()), || Some("wf_child".to_owned()));
    for event in [
        Event::workflow_started("outer", parent(), None, json!({})),
        Event::workflow_started("inner", child(), parent(), json!({"parent": "wf_parent"})),
        Event::agent_started("pupil", child(), parent(), json!({})),
        Event::workflow_started("unrelated", Some("wf_other".into()), None, json!({})),
    ] {
        stream.append(event).unwrap();
    }
    drop(stream);
    let (mut inside, mut with_parent) = (Vec::new(), Vec::new());
    while let Ok(event) = by_hand.recv().await {
        if event.parent_workflow_id == Some("wf_parent".to_owned()) {
            inside.push(event.component_id);
        }
    }
    while let Ok(event) = filtered.recv().await {
        with_parent.push(event.component_id);
    }
    assert_eq!(inside, ["inner", "pupil"]);
    assert_eq!(with_parent, ["outer", "inner", "pupil"]);
}

/// What serves one page: it subscribes anew when the page connects.
struct Connection {
    rx: Subscription,
}

impl Connection {
    fn started(&self, socket: mpsc::UnboundedSender<String>) -> tokio::task::JoinHandle<()> {
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
    let stream = EventStream::new();
    let connection = Connection { rx: stream.subscribe() };
    stream.append(Event::system_progress("system:boot", None, None, None, json!({}))).unwrap();
    let (socket, mut page) = mpsc::unbounded_channel();
    let served = connection.started(socket);
    tell(&stream);
    let expected = stream.get_events(1).await;
    drop(stream);
    served.await.unwrap();
    let mut received = Vec::new();
    while let Some(json) = page.recv().await {
        received.push(Event::from_json(&json).unwrap());
    }
    assert_eq!(received, expected, "what happened before the page connected is not sent");
}
