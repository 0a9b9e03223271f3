//! Coming back: no gap that is not named, no duplicate.

use std::{sync::Arc, time::Duration};

use agent_runtime::{prelude::*, store::MemoryStore};
use agent_runtime_server::{EventServer, Source};

use crate::support::{SseClient, append, event, json, listen, recorded, serve};

#[tokio::test]
async fn a_client_that_leaves_before_the_first_event_misses_nothing() {
    let stream = EventStream::new();
    let server = serve(stream.clone()).await;
    let mut id = String::new();
    // It comes back twice before there is anything.
    for _ in 0..3 {
        let last = Some(id.as_str()).filter(|id| !id.is_empty());
        let first = SseClient::open(server.address(), "", last).await.next().await.unwrap();
        assert_eq!((first.id.as_str(), first.data.as_str()), (format!("{}:start", stream.epoch()).as_str(), ""));
        id = first.id;
    }
    append(&stream, 3);
    let mut client = SseClient::open(server.address(), "", Some(&id)).await;
    assert_eq!(client.offsets(3).await, [0, 1, 2]);
    // One that comes anew begins now.
    let mut new = SseClient::open(server.address(), "", None).await;
    assert_eq!(new.next().await.unwrap().id, format!("{}:2", stream.epoch()));
    append(&stream, 1);
    assert_eq!((new.offsets(1).await, client.offsets(1).await), (vec![3], vec![3]));
}

#[tokio::test]
async fn the_position_moves_on_where_the_filter_lets_nothing_through() {
    let stream = EventStream::builder().with_capacity(8).build();
    let server = listen(EventServer::builder(stream.clone()).with_heartbeat(Duration::from_millis(20))).await;
    let mut client = SseClient::open(server.address(), "?scope=agent", None).await;
    append(&stream, 50);
    let behind_all = format!("{}:49", stream.epoch());
    while client.next().await.unwrap().id != behind_all {}
    drop(client);
    append(&stream, 4);
    stream.append(Event::agent_started("writer", None, None, json!({}))).unwrap();
    // The stream keeps no more than the last eight: without the heartbeats there would be a gap.
    let mut client = SseClient::open(server.address(), "?scope=agent", Some(&behind_all)).await;
    assert_eq!(client.offsets(1).await, [54]);
}

#[tokio::test]
async fn each_filter_repeats_and_narrows() {
    let stream = EventStream::new();
    let run = || Some("run-2".to_owned());
    append(&stream, 1);
    stream.append(Event::agent_started("writer", run(), None, json!({}))).unwrap();
    stream.append(Event::agent_completed("writer", run(), None, json!({}))).unwrap();
    stream.append(Event::agent_failed("editor", "no", None, Some("run-3".into()), json!({}))).unwrap();
    append(&stream, 1);
    let server = serve(stream).await;
    for (query, expected) in [
        ("scope=tool", vec![0, 4]),
        ("scope=tool&scope=agent", vec![0, 1, 2, 3, 4]),
        ("scope=agent&type=started&type=failed", vec![1, 3]),
        ("status=completed", vec![2]),
        ("workflow=run-2&workflow=run-3", vec![1, 2, 3]),
        ("component=editor&component=search&scope=tool", vec![0, 4]),
    ] {
        let mut client = SseClient::open(server.address(), &format!("?from=beginning&{query}"), None).await;
        assert_eq!(client.offsets(expected.len()).await, expected, "{query}");
    }
}

#[tokio::test]
async fn what_nobody_keeps_is_named_with_its_range() {
    let stream = EventStream::builder().with_capacity(4).build();
    append(&stream, 10);
    let server = serve(stream.clone()).await;
    let mut client = SseClient::open(server.address(), "?from=beginning", None).await;
    let gap = client.next_shown().await.unwrap();
    let epoch = stream.epoch().to_string();
    let expected = json!({
        "epoch": epoch, "first_offset": 0, "last_offset": 5, "missed": 6, "reason": "not_kept",
        "resumes_at": format!("{epoch}:5"),
    });
    assert_eq!((gap.name.as_str(), json(&gap.data)), ("gap", expected));
    assert_eq!(client.offsets(4).await, [6, 7, 8, 9]);
    // Its id is behind the gap, which is not named twice.
    let mut client = SseClient::open(server.address(), "", Some(&gap.id)).await;
    assert_eq!(client.offsets(4).await, [6, 7, 8, 9]);
}

#[tokio::test]
async fn what_memory_keeps_no_longer_comes_from_the_store() {
    let store = Arc::new(MemoryStore::new());
    let (stream, recorder) = recorded(4, &store).await;
    for _ in 0..25 {
        append(&stream, 4);
        assert!(recorder.flush().await);
    }
    let server = serve(Source::stream(stream.clone()).with_store(store)).await;
    let mut client = SseClient::open(server.address(), "?from=beginning", None).await;
    assert_eq!(client.offsets(100).await, (0..100).collect::<Vec<_>>());
    append(&stream, 1);
    assert_eq!(client.offsets(1).await, [100]);
    let from = format!("?from={}:41", stream.epoch());
    assert_eq!(SseClient::open(server.address(), &from, None).await.offsets(2).await, [42, 43]);
}

#[tokio::test]
async fn what_the_recorder_missed_is_named_too() {
    let store = Arc::new(MemoryStore::new());
    let (stream, recorder) = recorded(4, &store).await;
    // On one thread: the recorder does not run meanwhile.
    append(&stream, 10);
    assert!(recorder.flush().await);
    append(&stream, 4);
    assert!(recorder.flush().await);
    let server = serve(Source::stream(stream).with_store(store)).await;
    let mut client = SseClient::open(server.address(), "?from=beginning", None).await;
    let gap = json(&client.next_shown().await.unwrap().data);
    assert_eq!((&gap["first_offset"], &gap["last_offset"], &gap["reason"]), (&json!(0), &json!(5), &json!("overrun")));
    assert_eq!(client.offsets(8).await, (6..14).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_earlier_life_goes_on_from_the_store_or_is_named_as_lost() {
    let store = Arc::new(MemoryStore::new());
    let (before, recorder) = recorded(64, &store).await;
    append(&before, 5);
    assert!(recorder.stop().await.is_complete());
    let (stream, _recorder) = recorded(64, &store).await;
    append(&stream, 2);
    let last = format!("{}:2", before.epoch());

    let server = serve(Source::stream(stream.clone()).with_store(store)).await;
    let mut client = SseClient::open(server.address(), "", Some(&last)).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(client.next_shown().await.unwrap().id);
    }
    let [old, new] = [before.epoch(), stream.epoch()];
    assert_eq!(ids, [format!("{old}:3"), format!("{old}:4"), format!("{new}:0"), format!("{new}:1")]);

    let server = serve(stream.clone()).await;
    let mut client = SseClient::open(server.address(), "", Some(&last)).await;
    let gap = client.next_shown().await.unwrap();
    let data = json(&gap.data);
    assert_eq!((&data["epoch"], &data["first_offset"], &data["last_offset"]), (&json!(old), &json!(3), &json!(null)));
    assert_eq!((&data["reason"], gap.id), (&json!("unknown_epoch"), format!("{new}:start")));
    assert_eq!(client.offsets(2).await, [0, 1]);
}

#[tokio::test]
async fn a_store_alone_is_followed_in_its_order() {
    let store = Arc::new(MemoryStore::new());
    let (one, first) = recorded(64, &store).await;
    append(&one, 2);
    assert!(first.flush().await);
    let (other, second) = recorded(64, &store).await;
    append(&other, 2);
    assert!(second.flush().await);
    let server = serve(Source::store(store)).await;
    let mut client = SseClient::open(server.address(), "?from=beginning", None).await;
    assert_eq!(client.offsets(4).await, [0, 1, 0, 1]);
    append(&one, 1);
    assert_eq!(client.offsets(1).await, [2]);
    let mut client = SseClient::open(server.address(), "", Some(&format!("{}:0", other.epoch()))).await;
    assert_eq!(client.offsets(2).await, [1, 2]);
}

#[tokio::test]
async fn merged_events_come_all_or_none() {
    let stream = EventStream::new();
    for (request, text) in [("a:llm:0", "Half "), ("b:llm:0", "Not "), ("a:llm:0", "past"), ("b:llm:0", "bad")] {
        stream.append(Event::llm_progress(request, None, None, None, EventData::chunk(text))).unwrap();
    }
    append(&stream, 1);
    let server = listen(EventServer::builder(stream.clone()).with_content(true)).await;
    let mut client = SseClient::open(server.address(), "?from=beginning&merge=on", None).await;
    let both = client.next_shown().await.unwrap();
    let texts: Vec<_> =
        json(&both.data).as_array().unwrap().iter().map(|event| event["data"]["chunk"].clone()).collect();
    // They stand for offsets that interleave, so that no id lies between them.
    assert_eq!((texts, both.id), (vec![json!("Half past"), json!("Not bad")], format!("{}:3", stream.epoch())));
    let next = client.next_shown().await.unwrap();
    assert_eq!((json(&next.data)[0]["offset"].clone(), next.id), (json!(4), format!("{}:4", stream.epoch())));
}

#[tokio::test]
async fn content_is_handed_out_only_on_request_and_redacted() {
    let stream = EventStream::new();
    let data = json!({"model": "small", "messages": ["canary"]});
    stream.append(Event::llm_started("writer:llm:0", None, None, data)).unwrap();
    let redact = |event: &mut Event| event.data = json!({"model": "small", "messages": ["[redacted]"]}).into();
    let builder = || EventServer::builder(stream.clone());
    for (builder, expected) in [
        (builder(), json!({"model": "small"})),
        (builder().with_content(true), json!({"model": "small", "messages": ["canary"]})),
        (builder().with_content(true).with_redaction(redact), json!({"model": "small", "messages": ["[redacted]"]})),
        (builder().with_content(true).with_redaction(|_| panic!("a redaction fails")), json!(null)),
    ] {
        let server = listen(builder).await;
        let frame = SseClient::open(server.address(), "?from=beginning", None).await.next_shown().await.unwrap();
        assert_eq!(JsonValue::from(event(&frame).data), expected);
    }
}
