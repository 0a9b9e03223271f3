//! A thousand runs at once, half of their components of foreign code, in every way that work leaves its task and with the user's
//! spans between: each component lies where it was started, and each ends once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    thread,
};

use agent_runtime::{
    component::{self, ComponentStream, InCurrent as _},
    otel::{BridgeFilter, NeighborFilter},
    prelude::*,
    testing::event_list,
};
use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use tokio::task::{JoinSet, yield_now};
use tracing::{Instrument as _, info_span};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

use crate::{
    one_subscriber::{self, Recorded},
    support::{Spans, calling, eventually, pass, process::run_module, spans, tool},
};

const RUNS: u64 = 1_000;

/// Each kind of span in a run: what is started, under which span it lies, under which component, and how often.
const PLACES: [(&str, &str, &str, usize); 27] = [
    ("invoke_workflow flow", "", "", 1),
    ("workflow_step lead", "invoke_workflow flow", "invoke_workflow flow", 1),
    ("invoke_agent lead", "workflow_step lead", "workflow_step lead", 1),
    ("chat scripted", "invoke_agent lead", "invoke_agent lead", 2),
    ("execute_tool host", "invoke_agent lead", "invoke_agent lead", 1),
    ("invoke_workflow own", "", "", 1),
    ("invoke_agent sub", "HOST", "HOST", 1),
    ("chat answer", "invoke_agent sub", "invoke_agent sub", 1),
    ("while_reading", "chat answer", "", 2),
    ("execute_tool in_set", "invoke_agent sub", "invoke_agent sub", 2),
    ("in_a_set", "execute_tool in_set", "", 2),
    ("execute_tool spawned", "invoke_agent sub", "invoke_agent sub", 1),
    ("in_a_task", "execute_tool spawned", "", 1),
    ("invoke_workflow nested", "in_a_task", "execute_tool spawned", 1),
    ("workflow_step pass", "invoke_workflow nested", "invoke_workflow nested", 1),
    ("execute_tool blocking", "invoke_agent sub", "invoke_agent sub", 1),
    ("on_a_pool", "execute_tool blocking", "", 1),
    ("execute_tool threaded", "invoke_agent sub", "invoke_agent sub", 1),
    ("on_a_thread", "execute_tool threaded", "", 1),
    ("between_ours", "invoke_agent sub", "", 1),
    ("execute_tool between", "between_ours", "invoke_agent sub", 1),
    ("carrying", "invoke_agent sub", "", 1),
    ("execute_tool by_span", "carrying", "invoke_agent sub", 1),
    ("invoke_workflow carried", "carrying", "invoke_agent sub", 1),
    ("execute_tool by_hand_alone", "carrying", "invoke_agent sub", 1),
    ("execute_tool under_a_guard", "invoke_agent sub", "invoke_agent sub", 1),
    ("execute_tool by_hand", "execute_tool under_a_guard", "execute_tool under_a_guard", 1),
];

#[test]
fn the_cases_hold_in_a_process_with_one_subscriber() {
    run_module(module_path!());
}

async fn record() -> Recorded {
    one_subscriber::record(|ours, users| {
        let users = tracing_opentelemetry::layer().with_tracer(users).with_filter(NeighborFilter);
        tracing_subscriber::registry().with(ours.with_filter(BridgeFilter)).with(users).into()
    })
    .await
}

fn log() -> EventStream {
    EventStream::builder().with_capacity(200_000).with_capacity_bytes(1 << 30).build()
}

type Answer = ComponentStream<stream::BoxStream<'static, Result<u64, BoxError>>>;

/// Opens an answer, which outlives the call.
async fn open(run: u64) -> Result<Answer, BoxError> {
    let items = stream::iter(0..2).then(move |item| {
        async move {
            yield_now().await;
            Ok(item)
        }
        .instrument(info_span!("while_reading", run))
    });
    let opening = async { Ok::<_, BoxError>(items.boxed()) };
    let answer = component::request("acme", format!("answer_{run}")).stream(opening).await?;
    Ok(answer.on_item(|request, item| request.chunk(item.to_string())))
}

async fn idle() -> Result<(), BoxError> {
    yield_now().await;
    Ok(())
}

fn yield_in(span: &tracing::Span) -> Result<(), BoxError> {
    span.in_scope(thread::yield_now);
    Ok(())
}

/// Foreign code: all of its components by the guard, but for a workflow of the runtime's.
async fn foreign(runtime: Runtime, run: u64) -> Result<JsonValue, BoxError> {
    let named = |name: &str| component::tool(format!("{name}_{run}"));
    let work = async {
        let answer = open(run).await?;
        let mut set = JoinSet::new();
        for _ in 0..2 {
            let work = idle();
            set.spawn(
                named("in_set").run(async move { work.instrument(info_span!("in_a_set", run)).await }).in_current(),
            );
        }
        let nested = Workflow::new(format!("nested_{run}")).add_step(pass()).build();
        let nesting = runtime.clone();
        let spawned = component::spawn(named("spawned").run(async move {
            let runtime = nesting;
            let nested = async { runtime.execute(&nested, run).await }.instrument(info_span!("in_a_task", run));
            nested.await
        }));
        let blocking = component::spawn_blocking({
            let tool = named("blocking");
            move || tool.call(|| yield_in(&info_span!("on_a_pool", run)))
        });
        let threaded = thread::spawn({
            let (tool, here) = (named("threaded"), component::current());
            let work = move || yield_in(&info_span!("on_a_thread", run));
            move || here.enter(|| tool.call(work))
        });
        named("between").run(idle()).instrument(info_span!("between_ours", run)).await?;
        let carried = Workflow::new(format!("carried_{run}")).build();
        let (by_span, carrier) = (named("by_span"), runtime.clone());
        let carrying = async move {
            let by_span = by_span.run(idle());
            tokio::spawn(by_span.in_current_span()).await??;
            let log = carrier.event_stream().clone();
            let carried = async move { carrier.execute(&carried, run).await };
            tokio::spawn(carried.in_current_span()).await??;
            let by_hand = async move {
                let id = format!("by_hand_alone_{run}");
                log.append(Event::tool_started(id.clone(), None, None, json!({"tool_name": id})))?;
                log.append(Event::tool_completed(id, None, None, json!({})))
            };
            tokio::spawn(by_hand.in_current_span()).await??;
            Ok::<_, BoxError>(())
        };
        carrying.instrument(info_span!("carrying", run)).await?;
        let guard = named("under_a_guard").start()?;
        let by_hand = async {
            yield_now().await;
            let here = component::Run::current().ok_or("there is a run")?;
            let ids = (format!("by_hand_{run}"), Some(here.workflow_id().to_owned()));
            here.stream().append(Event::tool_started(
                ids.0.clone(),
                ids.1.clone(),
                None,
                json!({"tool_name": ids.0}),
            ))?;
            here.stream().append(Event::tool_completed(ids.0, ids.1, None, json!({})))?;
            Ok::<_, BoxError>(())
        };
        guard.run(by_hand).await?;
        guard.complete(());
        let read = tokio::spawn(answer.try_collect::<Vec<_>>());
        set.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        spawned.await??;
        blocking.await??;
        tokio::task::spawn_blocking(move || threaded.join()).await?.map_err(|_| "the thread panicked")??;
        read.await??;
        Ok::<_, BoxError>(json!(run))
    };
    component::agent(format!("sub_{run}")).run(work).await
}

/// One run: of the runtime with foreign code in a tool, or all foreign with a workflow of the runtime's in it.
async fn one_run(runtime: Runtime, run: u64) -> Result<(), BoxError> {
    if !run.is_multiple_of(2) {
        let stream = runtime.event_stream().clone();
        component::workflow(&stream, format!("own_{run}")).run(foreign(runtime, run)).await?;
        return Ok(());
    }
    let host = tool("host", {
        let runtime = runtime.clone();
        move |_, _| foreign(runtime.clone(), run)
    });
    let agent = Agent::builder("lead", calling(vec![("host", json!({}))], "Done.")).with_tool(host).build();
    let flow = Workflow::new(format!("flow_{run}")).add_step(AgentStep::new(agent)).build();
    runtime.execute(&flow, run).await?;
    Ok(())
}

/// A name without the run's number, and that number.
fn kind_of(name: &str) -> (&str, Option<u64>) {
    let numbered = name.rsplit_once('_').and_then(|(kind, number)| Some((kind, number.parse().ok()?)));
    numbered.map_or((name, None), |(kind, number)| (kind, Some(number)))
}

/// Where a kind lies, among spans and among components, in the run whose number is given.
fn places_of(kind: &str, run: u64) -> (&'static str, &'static str) {
    let host = if run.is_multiple_of(2) { "execute_tool host" } else { "invoke_workflow own" };
    let (_, span, component, _) = PLACES.into_iter().find(|(known, ..)| *known == kind).expect(kind);
    let or_host = |place| if place == "HOST" { host } else { place };
    (or_host(span), or_host(component))
}

/// Checks that each span lies where it belongs, in the trace of its own run, and counts them by run and kind.
#[track_caller]
fn check_spans(spans: &Spans) -> BTreeMap<(u64, String), usize> {
    spans.assert_well_formed();
    let mut counts = BTreeMap::new();
    for trace in spans.trace_ids() {
        let own = spans.trace(&trace);
        let number = |name: &str, said: JsonValue| kind_of(name).1.or_else(|| said.as_str()?.parse().ok());
        let numbers: BTreeSet<_> = own
            .iter()
            .filter_map(|span| {
                let said = spans::attribute(span, "run");
                number(&span.name, said.as_i64().map_or(said, |run| json!(run.to_string())))
            })
            .collect();
        assert_eq!(numbers.len(), 1, "one trace for each run: {numbers:?} in\n{}", own.tree());
        let run = *numbers.first().expect("there is one");
        for span in own.iter() {
            let kind = kind_of(&span.name).0;
            let parent = own.parent_of(span).map_or("", |parent| kind_of(&parent.name).0);
            assert_eq!(parent, places_of(kind, run).0, "{} in\n{}", span.name, own.tree());
            *counts.entry((run, kind.to_owned())).or_default() += 1;
        }
    }
    counts
}

/// Checks that each start has one end, and that each component names the one that it began in.
#[track_caller]
fn check_events(events: &[Event]) {
    let starts: HashMap<_, _> = events
        .iter()
        .filter(|event| event.event_type == EventType::Started)
        .map(|event| (event.event_id, event))
        .collect();
    let mut ends: HashMap<_, usize> = HashMap::new();
    for end in events.iter().filter(|event| event.event_type.is_terminal()) {
        let by_hand = || {
            starts.values().find(|start| start.component_id == end.component_id && start.workflow_id == end.workflow_id)
        };
        let start = end.start_id.or_else(|| by_hand().map(|start| start.event_id));
        *ends.entry(start.expect("an end has a start")).or_default() += 1;
    }
    let name_of = |start: &Event| {
        let operation = match start.scope {
            EventScope::Workflow => "invoke_workflow",
            EventScope::WorkflowStep => "workflow_step",
            EventScope::Agent => "invoke_agent",
            EventScope::LlmRequest => "chat",
            _ => "execute_tool",
        };
        let name = match start.scope {
            EventScope::WorkflowStep => start.data.step_name(),
            EventScope::LlmRequest => start.data.model(),
            _ => Some(start.component_name()),
        };
        format!("{operation} {}", name.unwrap_or_default())
    };
    for (id, start) in &starts {
        let of_run = || event_list(events.iter().filter(|event| event.workflow_id == start.workflow_id));
        assert_eq!(ends.get(id), Some(&1), "{} in\n{}", start.component_id, of_run());
        let name = name_of(start);
        let parent = start.parent_start_id.and_then(|parent| starts.get(&parent)).map(|parent| name_of(parent));
        let (kind, parent) = (kind_of(&name).0, parent.as_deref().map_or("", |parent| kind_of(parent).0));
        // A kind that lies in both halves lies in the host of its own.
        let either = [0, 1].map(|run| places_of(kind, run).1);
        assert!(either.contains(&parent), "{name} in {parent:?}, not in one of {either:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "runs in a process of its own"]
async fn a_thousand_runs_with_foreign_halves_have_every_component_in_its_place() {
    let recorded = record().await;
    let runtime = Runtime::with_event_stream(log());
    let runs = (0..RUNS).map(|run| tokio::spawn(one_run(runtime.clone(), run)));
    for run in join_all(runs).await {
        run.expect("no panic").expect("the run succeeds");
    }
    let spans = recorded.spans();
    let counts = check_spans(&spans);
    for run in 0..RUNS {
        for (kind, _, _, expected) in PLACES {
            let of_runtime = [
                "invoke_workflow flow",
                "workflow_step lead",
                "invoke_agent lead",
                "chat scripted",
                "execute_tool host",
            ];
            let is_there = match kind {
                "invoke_workflow own" => !run.is_multiple_of(2),
                kind if of_runtime.contains(&kind) => run.is_multiple_of(2),
                _ => true,
            };
            let count = counts.get(&(run, kind.to_owned())).copied().unwrap_or_default();
            assert_eq!(count, if is_there { expected } else { 0 }, "{kind} in run {run}");
        }
    }
    let events = runtime.event_stream().get_events(0).await;
    assert_eq!(events.first().and_then(|event| event.offset), Some(0), "all are kept");
    check_events(&events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "runs in a process of its own"]
async fn a_thousand_runs_that_are_aborted_and_dropped_leave_nothing_open_and_nothing_misplaced() {
    let recorded = record().await;
    let runtime = Runtime::with_event_stream(log());
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let cut = (0..RUNS).map(|run| {
        let (polls, way) = (next() % 40, next() % 3);
        let work = one_run(runtime.clone(), run);
        tokio::spawn(async move {
            let later = async {
                for _ in 0..polls {
                    yield_now().await;
                }
            };
            match way {
                0 => {
                    let task = tokio::spawn(work);
                    later.await;
                    task.abort();
                    task.await.is_err()
                }
                1 => tokio::select! {
                    _ = work => false,
                    () = later => true,
                },
                _ => {
                    let mut work = Box::pin(work);
                    let is_cut = tokio::select! {
                        _ = &mut work => false,
                        () = later => true,
                    };
                    thread::spawn(move || drop(work)).join().expect("the drop goes well");
                    is_cut
                }
            }
        })
    });
    let cut: Vec<_> = join_all(cut.collect::<Vec<_>>()).await.into_iter().map(|run| run.expect("no panic")).collect();
    let count = cut.iter().filter(|is_cut| **is_cut).count();
    assert!(count > 100, "only {count} were cut");
    // Tasks and threads that runs have left behind come to their ends.
    let mut before = 0;
    eventually("the end of what was left behind", || {
        let now = runtime.event_stream().next_offset();
        let is_quiet = std::mem::replace(&mut before, now) == now;
        is_quiet && recorded.open_spans() == 0
    })
    .await;
    let spans = recorded.spans();
    check_spans(&spans);
    check_events(&runtime.event_stream().get_events(0).await);
}
