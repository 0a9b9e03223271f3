//! Where work lies: everything that a component does lies under its own span, two runs at once share none, and each of
//! several bridges has a whole tree.

use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

use agent_runtime::{
    component::{RunOptions, spawn, trace_headers},
    event::Usage,
    otel::EventIdGenerator,
    prelude::*,
};
use opentelemetry::{
    Context, SpanId, TraceId,
    trace::{
        FutureExt as _, SpanContext, TraceContextExt as _, TraceFlags, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use parking_lot::Mutex;
use tokio::{sync::Barrier, task::JoinSet, time};
use tracing::{dispatcher, instrument::WithSubscriber as _};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{
    FULL_TREE, Recording, agent_flow, calling, check_over, dispatch_of, full_flow, history, replies, spans, tool,
};

/// Opens a span, logs and asks for trace headers when it is dropped.
struct TracesItsDrop {
    tracer: SdkTracer,
    headers: Arc<Mutex<Vec<(String, String)>>>,
}

impl Drop for TracesItsDrop {
    fn drop(&mut self) {
        drop(self.tracer.start("clean up"));
        tracing::info!("cleaned up");
        *self.headers.lock() = trace_headers();
    }
}

/// B18: cut off by a timeout, by an abort, and by a drop on another thread.
#[tokio::test]
async fn what_a_canceled_tool_does_in_its_destructors_lies_under_it() {
    for way in ["timeout", "abort", "thread"] {
        let (recording, runtime) = (Recording::new(), Runtime::new());
        let headers = Arc::<Mutex<Vec<_>>>::default();
        let (started, mut is_started) = tokio::sync::mpsc::unbounded_channel();
        let hang = tool("hang", {
            let (tracer, headers) = (recording.tracer_provider().tracer("the user's"), Arc::clone(&headers));
            move |_, _| {
                let kept = TracesItsDrop { tracer: tracer.clone(), headers: Arc::clone(&headers) };
                let started = started.clone();
                async move {
                    started.send(()).expect("the test waits");
                    std::future::pending::<()>().await;
                    drop(kept);
                    Ok(json!(null))
                }
            }
        });
        let flow = agent_flow(calling(vec![("hang", json!({}))], "Done."), [hang]);
        let mut run = dispatcher::with_default(&recording.dispatch(), || runtime.start(&flow, "go").1);
        tokio::select! {
            _ = &mut run => panic!("the tool hangs"),
            _ = is_started.recv() => {}
        }
        match way {
            "timeout" => drop(time::timeout(Duration::ZERO, run).await.expect_err("the tool hangs")),
            "abort" => {
                let task = tokio::spawn(run);
                task.abort();
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            }
            _ => thread::spawn(move || drop(run)).join().expect("the drop goes well"),
        }
        let spans = recording.spans();
        spans.assert_well_formed();
        let hung = spans.one("execute_tool hang");
        let around = spans.parent_of(spans.one("clean up")).map(|span| span.name.as_str());
        assert_eq!(around, Some("execute_tool hang"), "{way}: {}", spans.tree());
        assert_eq!(spans::events(hung, "log").len(), 1, "{way}: {hung:?}");
        let traceparent = headers.lock().iter().find(|(name, _)| name == "traceparent").map(|(_, value)| value.clone());
        let id: String = hung.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(traceparent.is_some_and(|value| value.contains(&id)), "{way}");
        assert_eq!(recording.mapper().open_spans(), 0);
    }
}

fn caller(trace: u128) -> Context {
    let span = SpanContext::new(TraceId::from(trace), SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

/// B19: two runs at once under one id, each with its caller's trace; one of them may not be sampled.
#[tokio::test]
async fn two_runs_under_one_id_never_share_a_span_or_an_end() {
    for slow_first in [true, false] {
        let (recording, runtime) = (Recording::new(), Runtime::new());
        let both = Arc::new(Barrier::new(2));
        let (done, is_done) = tokio::sync::watch::channel(false);
        let flow = |tokens: u64, is_slow: bool| {
            let (both, done, is_done) = (Arc::clone(&both), done.clone(), is_done.clone());
            let meet = tool("meet", move |_, progress| {
                let (both, done, mut is_done) = (Arc::clone(&both), done.clone(), is_done.clone());
                async move {
                    both.wait().await;
                    if is_slow {
                        is_done.wait_for(|done| *done).await.expect("the other run is there");
                    }
                    progress(format!("{tokens} tokens"), Some(tokens));
                    // The other run goes on when this one has ended.
                    if !is_slow {
                        tokio::spawn(async move {
                            time::sleep(Duration::from_millis(1)).await;
                            done.send(true).expect("the other run waits");
                        });
                    }
                    Ok(json!("met"))
                }
            });
            let usage = Usage::new(tokens, 0);
            let model = replies([
                ScriptedReply::tool_calls([("meet", json!({}))]).with_usage(Usage::default()),
                ScriptedReply::text("Done.").with_usage(usage),
            ]);
            agent_flow(model, [meet])
        };
        let (slow, quick) = (flow(4, true), flow(1, false));
        let options = || RunOptions::default().with_workflow_id("request-1");
        let run = |flow: &Workflow, trace: u128| {
            let (runtime, flow) = (runtime.clone(), flow.clone());
            async move { runtime.execute_with(&flow, "go", options()).await }.with_context(caller(trace))
        };
        let both_run = async {
            if slow_first {
                tokio::join!(run(&slow, 4), run(&quick, 1))
            } else {
                let (quick, slow) = tokio::join!(run(&quick, 1), run(&slow, 4));
                (slow, quick)
            }
        };
        let (slow, quick) = both_run.with_subscriber(recording.dispatch()).await;
        slow.and(quick).expect("both succeed");
        assert_eq!(recording.mapper().open_spans(), 0);
        let spans = recording.spans();
        assert_eq!(spans.len(), 12);
        for trace in [4_u128, 1] {
            let own = spans.trace(&agent_runtime::event::TraceId::from_bytes(trace.to_be_bytes()));
            let tree = "invoke_workflow flow (its parent is missing)\n  workflow_step agent\n    invoke_agent agent\n      chat scripted\n      execute_tool meet\n      chat scripted\n";
            assert_eq!(own.tree(), tree, "trace {trace} of\n{}", spans.tree());
            let tokens: i64 = own
                .all("chat scripted")
                .iter()
                .filter_map(|span| spans::attribute(span, "gen_ai.usage.input_tokens").as_i64())
                .sum();
            assert_eq!(tokens, i64::try_from(trace).expect("few"), "slow first: {slow_first}");
            let said = &spans::events(own.one("execute_tool meet"), "agent_runtime.progress")[..];
            assert!(matches!(said, [one] if format!("{one:?}").contains(&format!("{trace} tokens"))), "{said:?}");
        }
        let events = history(&runtime).await;
        let starts: BTreeMap<_, _> = events
            .iter()
            .filter(|event| event.event_type == EventType::Started)
            .map(|event| (event.event_id, event.component_id.clone()))
            .collect();
        for event in events.iter().filter(|event| event.event_type != EventType::Started) {
            let start = event.start_id.and_then(|id| starts.get(&id));
            assert_eq!(start, Some(&event.component_id), "each names its start");
        }
        // Stored, the events make the same trees again.
        let replayed = Recording::new().replay(&events);
        assert_eq!((replayed.tree(), replayed.len()), (spans.tree(), 12));
    }
}

/// B20: what a tool starts inside a user's span, by our `spawn` and by OpenTelemetry's own idiom.
#[tokio::test]
async fn runs_that_a_tool_starts_by_the_usual_idioms_lie_under_it() {
    let (recording, runtime) = (Recording::new(), Runtime::new());
    let tracer = recording.tracer_provider().tracer("the user's");
    let nest = tool("nest", {
        let runtime = runtime.clone();
        move |_, _| {
            let (runtime, tracer) = (runtime.clone(), tracer.clone());
            async move {
                let users = Context::current_with_span(tracer.start("users"));
                let inner = |name: &str| Workflow::new(name).add_step(crate::support::pass()).build();
                async {
                    let (spawned, in_set) = (inner("spawned"), inner("in_set"));
                    let of_task = runtime.clone();
                    spawn(async move { of_task.execute(&spawned, 1).await }).await.expect("the task ends well")?;
                    let mut set = JoinSet::new();
                    let of_task = runtime.clone();
                    let run = async move { of_task.execute(&in_set, 2).await };
                    set.spawn(run.with_current_context().with_current_subscriber());
                    set.join_next().await.expect("there is one").expect("the task ends well")
                }
                .with_context(users)
                .await?;
                Ok(json!("nested"))
            }
        }
    });
    let flow = agent_flow(calling(vec![("nest", json!({}))], "Done."), [nest]);
    runtime.execute(&flow, "go").with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    let spans = recording.spans();
    spans.assert_well_formed();
    let users = spans.one("users");
    assert_eq!(spans.parent_of(users).map(|span| span.name.as_str()), Some("execute_tool nest"));
    for name in ["invoke_workflow spawned", "invoke_workflow in_set"] {
        assert_eq!(spans.parent_of(spans.one(name)).map(|span| span.name.as_str()), Some("users"), "{}", spans.tree());
    }
}

/// B21: a run that is polled by hand while contexts of the user's come and go in another order.
#[test]
fn a_run_polled_between_the_users_contexts_leaves_them_as_they_are() {
    let (recording, runtime) = (Recording::new(), Runtime::new());
    let tracer = recording.tracer_provider().tracer("the user's");
    let mut run = dispatcher::with_default(&recording.dispatch(), || runtime.start(&full_flow(), "go").1);
    let mut poll = || futures_util::FutureExt::now_or_never(&mut run).is_some();
    let current = || Context::current().span().span_context().span_id();
    let (first, second) = (tracer.start("first"), tracer.start("second"));
    let (first, second) = (Context::new().with_span(first), Context::new().with_span(second));
    let (first_id, second_id) = (first.span().span_context().span_id(), second.span().span_context().span_id());
    let outer = first.attach();
    poll();
    assert_eq!(current(), first_id);
    let inner = second.attach();
    poll();
    assert_eq!(current(), second_id);
    // The outer one goes first.
    drop(outer);
    poll();
    assert_eq!(current(), second_id);
    drop(inner);
    while !poll() {}
    assert_eq!(current(), SpanId::INVALID);
    assert_eq!(recording.mapper().open_spans(), 0);
}

/// Reads the current context wherever it is called.
#[derive(Debug)]
struct ReadsContext;

impl SpanProcessor for ReadsContext {
    fn on_start(&self, _: &mut Span, context: &Context) {
        assert!(!context.is_telemetry_suppressed());
        let _: Context = Context::current();
    }

    fn on_end(&self, _: SpanData) {
        let _: Context = Context::current();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[derive(Debug)]
struct ReadsContextInDrop;

impl Drop for ReadsContextInDrop {
    fn drop(&mut self) {
        let _: Context = Context::current();
    }
}

/// B22.
#[tokio::test]
async fn processors_and_values_that_read_the_context_disturb_nothing() {
    let provider = SdkTracerProvider::builder().with_span_processor(ReadsContext).build();
    let mapper = Arc::new(agent_runtime::otel::SpanMapper::new(provider.tracer("test")));
    let layer = agent_runtime::otel::OtelLayer::new(Arc::clone(&mapper));
    let runtime = Runtime::new();
    let context = Context::new().with_value(ReadsContextInDrop);
    let flow = full_flow();
    let run = runtime.execute(&flow, "go").with_context(context);
    run.with_subscriber(dispatch_of(registry().with(layer))).await.expect("the run succeeds");
    assert_eq!(mapper.open_spans(), 0);
    assert_eq!(runtime.event_stream().layer_panics(), 0);
}

/// B52, B53: two layers with a provider each.
#[tokio::test]
async fn each_of_two_bridges_has_a_whole_tree() {
    async fn check(ids: impl IdGenerator + Clone + 'static, are_equal: bool) {
        let (first, second) = (Recording::with_id_generator(ids.clone()), Recording::with_id_generator(ids));
        let users = second.tracer_provider().tracer("the user's");
        let look = tool("look", move |_, progress| {
            let users = users.clone();
            async move {
                progress("looking".to_owned(), None);
                tracing::info!("a line of the user's");
                drop(users.start("users"));
                spawn(async { tokio::task::yield_now().await }).await?;
                Ok(json!("seen"))
            }
        });
        let (runtime, flow) = (Runtime::new(), agent_flow(calling(vec![("look", json!({}))], "Done."), [look]));
        let dispatch = dispatch_of(registry().with(first.layer()).with(second.layer()));
        runtime.execute(&flow, "go").with_subscriber(dispatch.clone()).await.expect("the run succeeds");
        runtime.execute(&full_flow(), "go").with_subscriber(dispatch).await.expect("the run succeeds");
        let events = history(&runtime).await;
        check_over(&first, &events);
        let (of_first, of_second) = (first.spans(), second.spans());
        let users = of_second.one("users");
        assert_eq!(of_second.parent_of(users).map(|span| span.name.as_str()), Some("execute_tool look"));
        let without_users =
            |tree: &str| tree.lines().filter(|line| line.trim() != "users").collect::<Vec<_>>().join("\n");
        assert_eq!(without_users(&of_first.tree()), without_users(&of_second.tree()));
        assert!(of_first.tree().ends_with(FULL_TREE) || of_first.tree().starts_with(FULL_TREE), "{}", of_first.tree());
        for spans in [&of_first, &of_second] {
            spans.assert_well_formed();
            assert_eq!(spans::events(spans.one("execute_tool look"), "log").len(), 1);
        }
        assert_eq!(of_first.trace_ids() == of_second.trace_ids(), are_equal);
    }
    check(RandomIdGenerator::default(), false).await;
    check(EventIdGenerator::default(), true).await;
}
