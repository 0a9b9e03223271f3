//! Positions as text.

use agent_runtime::{
    store::{Batch, Position, StoreError},
    stream::{Epoch, EventStream},
};
use serde_json::json;

const EPOCH: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

#[test]
fn a_position_is_an_epoch_a_colon_and_an_offset_everywhere() {
    let text = format!("{EPOCH}:18446744073709551615");
    let position: Position = text.parse().unwrap();
    assert_eq!((position.epoch.to_string().as_str(), position.offset), (EPOCH, u64::MAX));
    assert_eq!(position.to_string(), text);
    assert_eq!(json!(position), json!(text));
    assert_eq!(serde_json::from_value::<Position>(json!(text)).unwrap(), position);
}

#[test]
fn a_position_has_one_spelling() {
    let simple = EPOCH.replace('-', "");
    let bad = [
        String::new(),
        EPOCH.to_owned(),
        format!("{EPOCH}:"),
        format!("{EPOCH}:-1"),
        format!("{EPOCH}:+1"),
        format!("{EPOCH}:01"),
        format!("{EPOCH}: 1"),
        format!("{EPOCH}:18446744073709551616"),
        format!("{simple}:1"),
        format!("{{{EPOCH}}}:1"),
        "x:1".to_owned(),
        "é".repeat(1_000),
    ];
    for text in bad {
        let error = text.parse::<Position>().unwrap_err().to_string();
        assert!(error.contains("expected the UUID of an epoch") && error.len() < 400, "{error}");
    }
}

#[test]
fn each_stream_is_an_epoch_of_its_own_and_a_seeded_one_the_same_again() {
    assert_ne!(EventStream::new().epoch(), EventStream::new().epoch());
    let stream = EventStream::new();
    assert_eq!(stream.clone().epoch(), stream.epoch());
    let seeded = |seed| EventStream::builder().with_seed(seed).build().epoch();
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
}

#[test]
fn a_batch_takes_numbered_events_in_order_alone() {
    let stream = EventStream::new();
    let event = || agent_runtime::event::Event::tool_started("t", None, None, json!({}));
    let (first, second) = (stream.append(event()).unwrap(), stream.append(event()).unwrap());
    let mut batch = Batch::new(Epoch::new());
    batch.push(second.clone()).unwrap();
    for late in [first, second, event().into()] {
        let error = batch.push(late).unwrap_err();
        assert!(matches!(error, StoreError::Unordered { expected: 2, .. }), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!((batch.events().len(), batch.last().unwrap().offset), (1, 1));
}
