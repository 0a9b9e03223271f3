//! The log under its bounds: what it keeps, what readers get and miss, and that looking at much of it stays linear.

use agent_runtime::{
    prelude::*,
    stream::{RecvError, TryRecvError},
    testing::check_balance,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

fn event(number: usize) -> Event {
    let run = Some(format!("run-{}", number % 3));
    match number % 2 {
        0 => Event::tool_progress("search", None, run, None, json!({ "number": number })),
        _ => Event::agent_progress("agent", None, run, None, json!({ "number": number })),
    }
}

/// C58.
#[tokio::test]
async fn an_event_that_is_longer_than_the_whole_bound_is_kept_as_the_newest_and_read_live() {
    let stream = EventStream::builder().with_capacity_bytes(1_000).build();
    let mut reader = stream.subscribe();
    stream.append(event(0)).unwrap();
    let long = Event::tool_progress("search", Some("m".repeat(10_000)), None, None, json!({}));
    stream.append(long).unwrap();
    let kept = stream.get_events(0).await;
    assert_eq!(kept.iter().map(|event| event.offset).collect::<Vec<_>>(), [Some(1)]);
    assert!(matches!(reader.recv().await, Err(RecvError::Lagged(_))), "the first one is gone, and that is said");
    assert_eq!(reader.recv().await.unwrap(), kept[0]);
}

/// C66: at a quadratic cost this does not come back within the patience of anybody.
#[test]
fn the_balance_of_many_runs_is_looked_at_once_each() {
    let mut events = Vec::new();
    for run in 0..60_000 {
        let run = || Some(format!("run-{run}"));
        events.push(Event::workflow_started("flow", run(), None, json!({})));
        events.push(Event::workflow_completed("flow", run(), None, json!({})));
    }
    check_balance(&events).expect("each run is whole");
}

/// A reader, held against what was appended.
struct Reader {
    subscription: Subscription,
    scope: Option<EventScope>,
    next: u64,
}

impl Reader {
    /// Reads until there is nothing more: each offset passes and is read, does not pass, or is named as missed.
    fn read_all(&mut self, appended: &[EventScope], first_kept: u64) {
        let passes =
            |offset: u64, scope: Option<EventScope>| scope.is_none_or(|scope| appended[offset as usize] == scope);
        loop {
            match self.subscription.try_recv() {
                Ok(event) => {
                    let offset = event.offset.expect("it is numbered");
                    let passed_over = self.next..offset;
                    assert!(
                        passed_over.clone().all(|offset| !passes(offset, self.scope)),
                        "{passed_over:?} were not read"
                    );
                    assert!(passes(offset, self.scope));
                    self.next = offset + 1;
                }
                Err(TryRecvError::Lagged(lagged)) => {
                    let missing = lagged.missing();
                    assert!(missing.end <= first_kept, "{missing:?} are missed and kept");
                    let passed_over = self.next..missing.start;
                    assert!(
                        passed_over.clone().all(|offset| !passes(offset, self.scope)),
                        "{passed_over:?} were not read"
                    );
                    assert!(
                        missing.start >= self.next && missing.start < missing.end,
                        "{missing:?} behind {}",
                        self.next
                    );
                    self.next = missing.end;
                }
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let left = self.next..appended.len() as u64;
        assert!(left.clone().all(|offset| !passes(offset, self.scope)), "{left:?} were not read");
    }
}

/// C68.
#[tokio::test]
async fn a_log_of_any_size_keeps_and_hands_out_what_a_model_of_it_says() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let capacity = random.random_range(1..=130);
        let stream = EventStream::builder().with_capacity(capacity).build();
        let (mut appended, mut readers): (Vec<EventScope>, Vec<Reader>) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let first_kept = appended.len().saturating_sub(capacity) as u64;
            match random.random_range(0..10) {
                0..=5 => {
                    let event = event(appended.len());
                    let scope = event.scope;
                    assert_eq!(stream.append(event).unwrap().offset, Some(appended.len() as u64), "seed {seed}");
                    appended.push(scope);
                }
                6 => {
                    let from = random.random_range(0..=appended.len() as u64 + 2);
                    let kept = stream.get_events(from).await;
                    let offsets: Vec<_> = kept.iter().filter_map(|event| event.offset).collect();
                    let expected: Vec<_> = (from.max(first_kept)..appended.len() as u64).collect();
                    assert_eq!(offsets, expected, "seed {seed}");
                    assert!(kept.iter().all(|event| event.data["number"] == event.offset.unwrap()), "seed {seed}");
                }
                7 if readers.len() < 8 => {
                    let from = random.random_range(0..=appended.len() as u64);
                    let scope = random.random_bool(0.5).then_some(EventScope::Tool);
                    let subscription = stream.subscribe_from(from);
                    let subscription = scope.into_iter().fold(subscription, Subscription::filter);
                    readers.push(Reader { subscription, scope, next: from });
                }
                _ if !readers.is_empty() => {
                    let reader = random.random_range(0..readers.len());
                    readers[reader].read_all(&appended, first_kept);
                }
                _ => {}
            }
        }
        let first_kept = appended.len().saturating_sub(capacity) as u64;
        readers.iter_mut().for_each(|reader| reader.read_all(&appended, first_kept));
    }
}
