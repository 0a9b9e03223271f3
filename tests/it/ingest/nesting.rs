//! Where a span's component lies, and what lies in it.

use agent_runtime::{component, prelude::*};
use tracing::{Instrument as _, Span, info_span};

use super::{Scene, outline};

fn agent(name: &str) -> Span {
    info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = name)
}

fn tool(name: &str) -> Span {
    info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn components_and_spans_nest_in_each_other() {
    let scene = Scene::new();
    let _default = tracing::dispatcher::set_default(&scene.dispatch);
    let run = component::workflow(&scene.stream, "report").start().expect("a run");
    let work = async {
        let search = async {
            component::tool("native")
                .run(async {
                    tokio::task::yield_now().await;
                    async { tokio::task::yield_now().await }.instrument(tool("inner")).await;
                    Ok::<_, BoxError>(())
                })
                .await
        };
        search.instrument(agent("writer")).await.expect("nothing fails");
        tokio::task::yield_now().await;
    };
    run.run(work).await;
    run.complete(());
    let (events, spans) = scene.check();
    let tree = "invoke_workflow report\n  invoke_agent writer\n    execute_tool native\n      execute_tool inner\n";
    assert_eq!((outline(&events).as_str(), spans.tree().as_str()), (tree, tree));
}

#[test]
fn a_span_is_carried_into_other_tasks_and_threads() {
    let scene = Scene::new();
    let dispatch = scene.dispatch.clone();
    let on_start = dispatch.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&on_start)))
        .build()
        .expect("a runtime");
    let _default = tracing::dispatcher::set_default(&dispatch);
    runtime.block_on(carry());
    drop(runtime);
    let (events, spans) = scene.check();
    assert_eq!(events.len(), 2 * (1 + 8 + 8 + 2), "{}", outline(&events));
    let root = spans.one("invoke_agent writer");
    let children = spans.iter().filter(|span| span.parent_span_id == root.span_id).count();
    assert_eq!(children, spans.len() - 1, "{}", spans.tree());
}

async fn carry() {
    let writer = agent("writer");
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let work = async move {
                tokio::task::yield_now().await;
                let lookup = tool(["even", "odd"][number % 2]);
                async { tokio::task::yield_now().await }.instrument(lookup).await;
                component::tool("native").start().expect("a place").complete(());
            };
            tokio::spawn(work.instrument(writer.clone()))
        })
        .collect();
    for task in tasks {
        task.await.expect("nothing panics");
    }
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let thread_span = writer.clone();
    let thread = std::thread::spawn(move || {
        tracing::dispatcher::with_default(&dispatch, || thread_span.in_scope(|| drop(tool("thread"))));
    });
    thread.join().expect("nothing panics");
    // A user's span carries it as well.
    let user = writer.in_scope(|| info_span!("user"));
    drop(writer);
    tokio::spawn(async { drop(tool("user")) }.instrument(user)).await.expect("nothing panics");
}

#[test]
fn a_span_lies_where_its_parent_says() {
    let (events, spans) = Scene::new().run(|stream| {
        let (first, second) = (agent("first"), agent("second"));
        let _in_first = first.enter();
        drop(info_span!(parent: &second, "t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "there"));
        let user = info_span!(parent: &second, "user");
        drop(info_span!(parent: &user, "t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "below"));
        drop(info_span!(parent: None, "t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "apart"));
        let follower = tool("after");
        follower.follows_from(&second);
        drop(follower);
        let run = component::workflow(stream, "report").start().expect("a run");
        run.enter(|| {
            drop(info_span!(parent: None, "t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "inside"));
        });
        run.complete(());
    });
    let tree = "invoke_agent first\n  execute_tool apart\n  execute_tool after\n  invoke_workflow report\n    execute_tool inside\ninvoke_agent second\n  execute_tool there\n  execute_tool below\n";
    assert_eq!(outline(&events), tree);
    assert_eq!(spans.tree(), tree);
}

#[test]
fn spans_may_be_left_and_closed_in_any_order() {
    let (events, spans) = Scene::new().run(|_| {
        let outer = agent("outer");
        let outer_in = outer.clone().entered();
        let inner = tool("inner");
        let inner_in = inner.clone().entered();
        drop(outer_in);
        drop(outer);
        drop(tool("still"));
        drop(inner_in);
        drop(inner);
        drop(tool("later"));
    });
    let tree = "invoke_agent outer\n  execute_tool inner\n    execute_tool still\nexecute_tool later\n";
    assert_eq!((outline(&events).as_str(), spans.tree().as_str()), (tree, tree));
}

/// As libraries do that enter the span that they were called in, and hand it to the spans that they make.
#[test]
fn a_span_that_is_entered_again_does_not_lead_out_of_what_lies_in_it() {
    let (events, spans) = Scene::new().run(|_| {
        let outer = tool("outer");
        outer.in_scope(|| {
            let inner = component::agent("inner").start().expect("a place");
            inner.enter(|| {
                let _again = Span::current().entered();
                let parent = Span::current();
                drop(
                    info_span!(parent: &parent, "t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "made"),
                );
                component::tool("native").start().expect("a place").complete(());
            });
            inner.complete(());
            drop(tool("after"));
        });
    });
    let tree = "execute_tool outer\n  invoke_agent inner\n    execute_tool made\n    execute_tool native\n  execute_tool after\n";
    assert_eq!((outline(&events).as_str(), spans.tree().as_str()), (tree, tree));
}
