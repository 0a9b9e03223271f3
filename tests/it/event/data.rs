//! The data of an event reads as JSON and is never copied by a clone.

use std::ptr;

use agent_runtime::prelude::*;

use crate::stream::support::{chunk, drain};

/// Where the JSON value lies that two events read.
fn shares_data(left: &Event, right: &Event) -> bool {
    ptr::eq::<JsonValue>(&*left.data, &*right.data)
}

#[tokio::test]
async fn clones_subscribers_and_history_share_one_value() {
    let stream = EventStream::new();
    let mut subscribers = [stream.subscribe(), stream.subscribe(), stream.subscribe()];
    let events = [
        Event::tool_completed("search", None, None, json!({"result": ["large", "result"]})),
        chunk("writer:llm:0", "Hel"),
    ];
    for event in &events {
        assert!(shares_data(event, &event.clone()));
        let appended = stream.append(event.clone()).unwrap();
        assert!(shares_data(event, &appended));
    }
    for (event, kept) in events.iter().zip(stream.get_events(0).await) {
        assert!(shares_data(event, &kept));
    }
    for subscriber in &mut subscribers {
        for (event, received) in events.iter().zip(drain(subscriber)) {
            assert!(shares_data(event, &received));
        }
    }
}

#[tokio::test]
async fn recv_shared_gives_every_subscriber_the_event_in_the_log() {
    let stream = EventStream::new();
    let (mut one, mut two) = (stream.subscribe(), stream.subscribe());
    let appended = stream.append(chunk("writer:llm:0", "a")).unwrap();
    for subscription in [&mut one, &mut two] {
        assert!(ptr::eq(&*appended, &*subscription.recv_shared().await.unwrap()));
    }
}

#[test]
fn a_chunk_reads_like_the_json_it_stands_for() {
    let (bare, written) = (EventData::chunk("Hi \"you\""), EventData::from(json!({"chunk": "Hi \"you\""})));
    assert_eq!(bare, written);
    assert_eq!(bare, json!({"chunk": "Hi \"you\""}));
    assert_eq!((bare.chunk_text(), written.chunk_text()), (Some("Hi \"you\""), Some("Hi \"you\"")));
    assert_eq!(bare["chunk"].as_str(), Some("Hi \"you\""));
    assert_eq!(bare.to_string(), written.to_string());
    assert_eq!(format!("{bare:?}"), format!("{written:?}"));
    assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"chunk":"Hi \"you\""}"#);
    assert_eq!(JsonValue::from(bare.clone()), JsonValue::from(written));
    assert_eq!(bare.merged(), None);
}

#[test]
fn reading_what_is_not_there_gives_null_and_none() {
    for data in [json!(null), json!(3), json!([1]), json!({}), json!({"chunk": 7})] {
        let data = EventData::from(data);
        assert_eq!(data["chunk"].as_str(), None);
        assert_eq!(data.chunk_text(), None);
        assert!(data["usage"]["total_tokens"].is_null());
        assert_eq!((data.usage(), data.merged(), data.error_code()), (None, None, None));
    }
    assert_eq!(EventData::default(), json!(null));
}
