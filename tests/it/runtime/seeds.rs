//! Seeded runs: the same ids for the same components, whatever else runs and whatever was done before; other attempts in the
//! same trace, distinct.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use agent_runtime::{
    component::{self, RunOptions, Seed},
    otel::extract_context,
    prelude::*,
    store::{Cursor, EventStore as _, MemoryStore, Query, Recorder},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use opentelemetry::trace::FutureExt as _;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tracing::instrument::WithSubscriber as _;
use uuid::Uuid;

use crate::support::{Recording, Spans, agent_flow, calling, full_flow, history, replies, spans, tool};

/// A component and what begins in it, at once or one after the other.
#[derive(Clone, Debug)]
struct Plan {
    scope: EventScope,
    name: String,
    progress: u64,
    at_once: bool,
    inside: Vec<Self>,
}

impl Plan {
    /// A random tree. Equal siblings that begin at once are equal below too, or nothing would distinguish them.
    fn random(random: &mut StdRng, depth: u32) -> Self {
        let scopes = [EventScope::Workflow, EventScope::WorkflowStep, EventScope::Agent, EventScope::Tool];
        let mut inside: Vec<_> = Vec::new();
        if depth > 0 {
            for _ in 0..random.random_range(0..5) {
                let next = Self::random(random, depth - 1);
                let is_equal = |other: &&Self| (other.scope, &other.name) == (next.scope, &next.name);
                let equal = inside.iter().find(is_equal).cloned();
                inside.push(equal.unwrap_or(next));
            }
        }
        if depth == 0 && random.random_bool(0.5) {
            let progress = random.random_range(0..4);
            return Self { scope: EventScope::LlmRequest, name: "m".to_owned(), progress, at_once: false, inside };
        }
        Self {
            scope: scopes[random.random_range(0..scopes.len())],
            name: format!("n{}", random.random_range(0..3)),
            progress: random.random_range(0..4),
            at_once: random.random_bool(0.7),
            inside,
        }
    }

    fn run(self, random: Arc<parking_lot::Mutex<StdRng>>) -> BoxFuture<'static, Result<(), RunError>> {
        async move {
            let name = self.name.clone();
            match self.scope {
                EventScope::Workflow => component::nested_workflow(name).run(self.work(random)).await,
                EventScope::WorkflowStep => component::step(name).run(self.work(random)).await,
                EventScope::Agent => component::agent(name).run(self.work(random)).await,
                EventScope::LlmRequest => component::request("p", name).run(self.work(random)).await,
                _ => component::tool(name).run(self.work(random)).await,
            }
        }
        .boxed()
    }

    async fn work(self, random: Arc<parking_lot::Mutex<StdRng>>) -> Result<(), RunError> {
        pause(&random).await;
        for part in 0..self.progress {
            component::reporter().progress(format!("part {part}"));
        }
        if !self.at_once {
            for next in self.inside {
                next.run(Arc::clone(&random)).await?;
            }
            return Ok(());
        }
        let begin = |next: Self| component::spawn(next.run(Arc::clone(&random)));
        for task in self.inside.into_iter().map(begin).collect::<Vec<_>>() {
            task.await.expect("it does not panic")?;
        }
        pause(&random).await;
        Ok(())
    }
}

async fn pause(random: &parking_lot::Mutex<StdRng>) {
    let polls = random.lock().random_range(0..4);
    for _ in 0..polls {
        tokio::task::yield_now().await;
    }
}

/// What an event is, for comparison: not when, nor in which place.
fn identity(event: &Event) -> (Uuid, EventScope, EventType, String, Option<String>, Option<Uuid>, Option<Uuid>) {
    let Event { event_id, scope, event_type, workflow_id, start_id, parent_start_id, .. } = event.clone();
    (event_id, scope, event_type, event.component_name().to_owned(), workflow_id, start_id, parent_start_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_trees_have_the_same_ids_however_their_branches_interleave() {
    for round in 0..60 {
        let mut plan = Plan::random(&mut StdRng::seed_from_u64(round), 4);
        plan.scope = EventScope::Workflow;
        let run = async |order: u64, attempt: u32| {
            let stream = EventStream::new();
            let options = RunOptions::default().with_seed(Seed::new(format!("job-{round}"), attempt));
            let order = Arc::new(parking_lot::Mutex::new(StdRng::seed_from_u64(order)));
            let work = plan.clone().work(order);
            component::workflow(&stream, plan.name.as_str()).with_options(options).run(work).await.expect("it runs");
            stream.get_events(0).await
        };
        let (first, second, third) = (run(round, 1).await, run(1_000 + round, 1).await, run(round, 2).await);
        let all = |events: &[Event]| events.iter().map(identity).collect::<BTreeSet<_>>();
        assert_eq!(all(&first), all(&second), "round {round}: {plan:#?}");
        let ids = |events: &[Event]| events.iter().map(|event| event.event_id).collect::<BTreeSet<_>>();
        assert_eq!(ids(&first).len(), first.len(), "round {round}: each event has an id of its own");
        assert!(first.iter().all(|event| event.event_id.get_version_num() == 5));
        assert_eq!((third.len(), ids(&third).is_disjoint(&ids(&first))), (first.len(), true), "round {round}");
        let spans = |events: &[Event]| Recording::new().replay(events);
        let (of_first, of_third) = (spans(&first), spans(&third));
        assert_eq!((of_first.trace_ids(), of_first.trace_ids().len()), (of_third.trace_ids(), 1));
        assert!(span_ids(&of_first).is_disjoint(&span_ids(&of_third)));
    }
}

fn span_ids(spans: &Spans) -> BTreeSet<Vec<u8>> {
    spans.iter().map(|span| span.span_id.clone()).collect()
}

/// Runs a workflow of the runtime's own with a seed.
async fn run_seeded(recording: &Recording, flow: &Workflow, seed: Seed) -> Vec<Event> {
    let runtime = Runtime::new();
    let options = RunOptions::default().with_seed(seed).with_workflow_id("not this");
    let run = runtime.execute_with(flow, "go", options).with_subscriber(recording.dispatch());
    assert_eq!(run.await.expect("it runs").workflow_id, "job-1");
    history(&runtime).await
}

#[tokio::test]
async fn a_workflow_of_the_runtime_repeats_its_spans_to_the_id_and_another_attempt_is_beside_it() {
    let recordings = [(); 3].map(|()| Recording::new());
    let mut runs = Vec::new();
    for (recording, attempt) in recordings.iter().zip([1, 1, 2]) {
        let events = run_seeded(recording, &full_flow(), Seed::new("job-1", attempt)).await;
        assert_eq!(events[0].data.attempt(), Some(attempt));
        let attempts: Vec<_> =
            recording.spans().iter().map(|span| spans::attribute(span, "agent_runtime.workflow.attempt")).collect();
        assert_eq!(attempts.iter().filter(|attempt| !attempt.is_null()).collect::<Vec<_>>(), [&json!(attempt)]);
        runs.push((events, recording.spans()));
    }
    let [(first, of_first), (again, of_again), (next, of_next)] = &runs[..] else { panic!("three runs") };
    let by_id = |events: &[Event]| events.iter().map(identity).collect::<BTreeSet<_>>();
    assert_eq!((by_id(first), first.len()), (by_id(again), by_id(first).len()));
    assert_eq!((span_ids(of_first), of_first.tree()), (span_ids(of_again), of_again.tree()));
    assert!(span_ids(of_first).is_disjoint(&span_ids(of_next)));
    assert_eq!((of_first.trace_ids(), of_again.trace_ids()), (of_next.trace_ids(), of_next.trace_ids()));
    assert_eq!((of_next.trace_ids().len(), next.len()), (1, first.len()));
    // Also under one and the same bridge, which has seen the ids before.
    let recording = Recording::new();
    for _ in 0..2 {
        run_seeded(&recording, &full_flow(), Seed::new("job-1", 1)).await;
    }
    assert_eq!((recording.spans().len(), span_ids(&recording.spans())), (2 * of_first.len(), span_ids(of_first)));
    assert_eq!(recording.mapper().open_spans(), 0);
}

#[tokio::test]
async fn what_was_done_before_and_is_left_out_shifts_no_id_of_what_follows() {
    let work = async |done: &[&str]| {
        let stream = EventStream::new();
        let ask = async || {
            let look = async || component::tool("look").run(async { Ok::<_, RunError>(()) }).await;
            component::request("p", "m").run(async { Ok::<_, RunError>(()) }).await?;
            futures_util::try_join!(look(), look())?;
            component::request("p", "m").run(async { Ok::<_, RunError>(()) }).await
        };
        let steps = async {
            for name in ["load", "weigh", "tell"] {
                if !done.contains(&name) {
                    component::step(name).run(component::agent("clerk").run(ask())).await?;
                }
            }
            Ok::<_, RunError>(())
        };
        let options = RunOptions::default().with_seed(Seed::new("job", 3));
        component::workflow(&stream, "job").with_options(options).run(steps).await.expect("it runs");
        stream.get_events(0).await.iter().map(|event| event.event_id).collect::<BTreeSet<_>>()
    };
    let whole = work(&[]).await;
    for (done, left) in [(&["load"][..], 2), (&["load", "weigh"], 1), (&["weigh"], 2), (&["load", "weigh", "tell"], 0)]
    {
        let rest = work(done).await;
        assert_eq!((rest.is_subset(&whole), rest.len()), (true, 2 + left * 2 * 6), "without {done:?}");
    }
}

#[tokio::test]
async fn a_callers_trace_wins_and_nested_runs_and_system_events_follow_from_the_seed() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let caller = extract_context(&std::collections::HashMap::from([("traceparent".to_owned(), traceparent)]));
    let mut seen = BTreeMap::<_, Vec<_>>::new();
    for _ in 0..2 {
        let (recording, runtime) = (Recording::new(), Runtime::new());
        let nest = tool("nest", {
            let runtime = runtime.clone();
            move |_, _| {
                let runtime = runtime.clone();
                async move {
                    let (plain, own) = (Workflow::new("plain").build(), Workflow::new("own").build());
                    runtime.execute(&plain, "go").await?;
                    let seed = RunOptions::default().with_seed(Seed::new("other-job", 1));
                    runtime.execute_with(&own, "go", seed).await?;
                    Ok(json!("the same"))
                }
            }
        });
        let calls = || ScriptedReply::tool_calls([("nest", json!({}))]);
        let flow = agent_flow(replies([calls(), calls(), calls(), ScriptedReply::text("Done.")]), [nest]);
        let options = RunOptions::default().with_seed(Seed::new("job-1", 1));
        let run = runtime.execute_with(&flow, "go", options).with_context(caller.clone());
        run.with_subscriber(recording.dispatch()).await.expect("it runs");
        let events = history(&runtime).await;
        assert!(events.iter().any(|event| event.scope == EventScope::System), "the repeated call is reported");
        let traces: BTreeSet<_> =
            events.iter().filter_map(|event| event.trace).map(|trace| trace.trace_id.to_string()).collect();
        assert_eq!(traces, BTreeSet::from(["0af7651916cd43dd8448eb211c80319c".to_owned()]));
        let nested: Vec<_> = events
            .iter()
            .filter(|event| (event.scope, event.event_type) == (EventScope::Workflow, EventType::Started))
            .map(|event| (event.component_id.clone(), event.workflow_id.clone(), event.parent_workflow_id.clone()))
            .collect();
        assert_eq!(nested.len(), 1 + 3 * 2);
        assert!(nested[1..].iter().all(|(_, _, around)| around.as_deref() == Some("job-1")));
        seen.entry("events").or_default().push(events.iter().map(identity).collect::<BTreeSet<_>>());
        assert_eq!(recording.spans().iter().filter(|span| span.name == "invoke_workflow own").count(), 3);
    }
    assert_eq!(seen["events"][0], seen["events"][1]);
}

#[tokio::test]
async fn a_run_id_that_cannot_be_one_is_refused() {
    let runtime = Runtime::new();
    let flow = agent_flow(calling(Vec::new(), "unasked"), []);
    for bad in ["", " job", "a\nb"] {
        let options = RunOptions::default().with_seed(Seed::new(bad, 1));
        let error = runtime.execute_with(&flow, "go", options).await.expect_err("it is refused");
        assert!(matches!(&error, RunError::InvalidName(EventError::WorkflowId { id, .. }) if id == bad), "{error:?}");
    }
    assert!(history(&runtime).await.is_empty());
}

/// A store keeps by default no content, but what the ids follow from.
#[tokio::test]
async fn a_stored_run_makes_its_trace_again_to_the_id() {
    let (store, runtime, recording) = (Arc::new(MemoryStore::new()), Runtime::new(), Recording::new());
    let recorder = Recorder::builder(store.clone()).start(runtime.event_stream()).await.expect("the store is empty");
    let options = RunOptions::default().with_seed(Seed::new("job-1", 2));
    let flow = full_flow();
    runtime.execute_with(&flow, "go", options).with_subscriber(recording.dispatch()).await.expect("it runs");
    assert!(recorder.stop().await.is_complete());
    let page = store.read(Cursor::Beginning, &Query::default(), usize::MAX).await.expect("it is in memory");
    let stored: Vec<_> = page.events.iter().map(|stored| Event::clone(&stored.event)).collect();
    for without_trace in [false, true] {
        let mut events = stored.clone();
        if without_trace {
            events.iter_mut().for_each(|event| event.trace = None);
        }
        let replayed = Recording::new().replay(&events);
        assert_eq!((replayed.tree(), replayed.trace_ids()), (recording.spans().tree(), recording.spans().trace_ids()));
        assert_eq!(span_ids(&replayed), span_ids(&recording.spans()));
    }
}
