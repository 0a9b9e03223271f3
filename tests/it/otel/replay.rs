//! Stored events give the trace again, to the id.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agent_runtime::{
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    prelude::*,
};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId, Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{
    FULL_TREE, Ran, Recording, Spans, agent_flow, calling, check_over, dispatch_of, full_flow, history, run, spans,
    tool,
};

/// Panics unless both have the same spans, in all that they say.
#[track_caller]
fn assert_same(replayed: &Spans, live: &Spans) {
    let by_id = |spans: &Spans| -> BTreeMap<Vec<u8>, Span> {
        // Whether a parent was in the process is what a replay cannot know.
        let plain = |span: &Span| Span { flags: span.flags & 0xff, ..span.clone() };
        spans.iter().map(|span| (span.span_id.clone(), plain(span))).collect()
    };
    let (replayed_by_id, live_by_id) = (by_id(replayed), by_id(live));
    assert!(replayed_by_id.keys().eq(live_by_id.keys()), "{}is not\n{}", replayed.tree(), live.tree());
    for (id, span) in live_by_id {
        assert_eq!(replayed_by_id[&id], span, "in\n{}", replayed.tree());
    }
}

/// The events as a store gives them back.
fn stored(events: &[Event]) -> Vec<Event> {
    let restore =
        |event| Event::from_json(&serde_json::to_string(event).expect("it has a JSON form")).expect("it round-trips");
    events.iter().map(restore).collect()
}

#[tokio::test]
async fn a_replay_gives_the_same_spans_to_the_id() {
    let Ran { events, spans, .. } = run(&full_flow(), "go").await;
    let replayed = Recording::new().replay(&stored(&events));
    assert_same(&replayed, &spans);
    assert_same(&Recording::new().replay(&stored(&events)), &replayed);
}

#[tokio::test]
async fn a_replay_of_events_that_never_saw_a_bridge_nests_too() {
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    let recording = Recording::new();
    let events = history(&runtime).await;
    assert!(events.iter().all(|event| event.trace.is_none()));
    recording.replay(&events);
    assert_eq!(check_over(&recording, &events).tree(), FULL_TREE);
}

#[tokio::test]
async fn a_system_event_is_replayed_onto_the_span_that_it_was_on() {
    let noisy = ["noisy", "quiet"].map(|name| {
        tool(name, move |_, progress| async move {
            progress("half".to_owned(), Some(1));
            tokio::task::yield_now().await;
            Ok(json!("done"))
        })
    });
    let call = || ScriptedReply::tool_calls([("noisy", json!({})), ("quiet", json!({}))]);
    let model = crate::support::replies([call(), call(), ScriptedReply::text("Done.")]);
    let Ran { events, spans, .. } = run(&agent_flow(model, noisy), "go").await;
    assert_eq!(events.iter().filter(|event| event.scope == EventScope::System).count(), 2);
    assert_same(&Recording::new().replay(&stored(&events)), &spans);
}

#[tokio::test]
async fn a_replay_of_a_run_that_was_not_sampled_has_all_its_spans() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .with_id_generator(EventIdGenerator::default())
        .build();
    let look = || tool("look", |_, _| async { Ok(json!("seen")) });
    let call = || ScriptedReply::tool_calls([("look", json!({}))]);
    let model = || crate::support::replies([call(), call(), ScriptedReply::text("Done.")]);
    for whole in [true, false] {
        let mapper = SpanMapper::new(provider.tracer("test")).with_whole_workflows_sampled(whole);
        let dispatch = dispatch_of(registry().with(OtelLayer::new(Arc::new(mapper))));
        let runtime = Runtime::new();
        runtime.execute(&agent_flow(model(), [look()]), "go").with_subscriber(dispatch).await.expect("it succeeds");
        let events = stored(&history(&runtime).await);
        assert!(events.iter().all(|event| event.trace.is_some_and(|trace| !trace.sampled)));
        let replayed = Recording::new().replay(&events);
        let live = run(&agent_flow(model(), [look()]), "go").await.spans;
        assert_eq!(replayed.tree(), live.tree());
        let reports = |spans: &Spans| {
            let agent = spans.one("invoke_agent agent");
            spans::events(agent, "agent_runtime.system.tool_loop_detection").len()
        };
        assert_eq!((reports(&replayed), reports(&live)), (1, 1));
    }
}

/// A run in which tools at once each run a workflow, which ids alone cannot tell apart.
async fn nested_by_tools(recording: &Recording, user_span: bool) -> Vec<Event> {
    let runtime = Runtime::new();
    let tracer = recording.tracer_provider().tracer("the user's");
    let nest = tool("nest", {
        let runtime = runtime.clone();
        move |args, _| {
            let (runtime, tracer) = (runtime.clone(), tracer.clone());
            async move {
                let inner = Workflow::new(format!("inner_{args}")).add_step(crate::support::pass()).build();
                tokio::task::yield_now().await;
                let run = runtime.execute(&inner, "go");
                let result = if user_span {
                    let context = opentelemetry::Context::current_with_span(tracer.start(format!("mine_{args}")));
                    opentelemetry::context::FutureExt::with_context(run, context).await
                } else {
                    run.await
                };
                result.map(|run| run.output).map_err(Into::into)
            }
        }
    });
    let calls = (0..3).map(|n| ("nest", json!(n))).collect();
    let workflow = agent_flow(calling(calls, "Done."), [nest]);
    runtime.execute(&workflow, "go").with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    history(&runtime).await
}

#[tokio::test]
async fn workflows_run_by_tools_at_once_keep_their_places_in_a_replay() {
    for user_span in [false, true] {
        let recording = Recording::new();
        let events = nested_by_tools(&recording, user_span).await;
        let live = recording.spans().into_iter().filter(|span| !span.name.starts_with("mine"));
        let replayed = Recording::new().replay(&stored(&events));
        assert_same(&replayed, &spans::placed(live.collect()));
    }
}

#[tokio::test]
async fn with_random_ids_a_replay_nests_all_the_same() {
    let recording = Recording::with_id_generator(RandomIdGenerator::default());
    let events = nested_by_tools(&recording, false).await;
    for replay in [Recording::new(), Recording::with_id_generator(RandomIdGenerator::default())] {
        let replayed = replay.replay(&stored(&events));
        assert_eq!(replayed.tree(), recording.spans().tree());
        assert_eq!(replayed.trace_ids().len(), 1);
        replayed.assert_well_formed();
    }
}

#[tokio::test]
async fn a_run_inside_a_trace_of_the_users_is_replayed_into_that_trace() {
    let recording = Recording::new();
    let tracer = recording.tracer_provider().tracer("the user's");
    let context = opentelemetry::Context::current_with_span(tracer.start("request"));
    let runtime = Runtime::new();
    let workflow = full_flow();
    let run = opentelemetry::context::FutureExt::with_context(runtime.execute(&workflow, "go"), context.clone());
    run.with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    let events = history(&runtime).await;
    let trace_id = context.span().span_context().trace_id();
    drop(context);
    let live = recording.spans();
    assert!(live.iter().all(|span| span.trace_id == trace_id.to_bytes()));
    let live = spans::placed(live.into_iter().filter(|span| span.name != "request").collect());
    assert_same(&Recording::new().replay(&stored(&events)), &live);
}

/// Ids in a row, as a test's own generator would give them.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl IdGenerator for Counting {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[tokio::test]
async fn with_ids_of_another_generator_everything_nests_and_events_carry_those_ids() {
    let recording = Recording::with_id_generator(Counting::default());
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    let events = history(&runtime).await;
    let spans = check_over(&recording, &events);
    assert_eq!(spans.tree(), FULL_TREE);
    for event in &events {
        let trace = event.trace.expect("the bridge is on");
        let is_it = |span: &&Span| span.span_id == trace.span_id.to_bytes();
        assert_eq!(spans.iter().find(is_it).expect("it was exported").trace_id, trace.trace_id.to_bytes());
        assert!(trace.span_id.to_string().starts_with("00000000"), "it is a small number");
    }
}
