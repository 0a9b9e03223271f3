//! A hand-written agent that does what the runtime's full flow does, and takes many polls for it.

use agent_runtime::{
    component::{self, InCurrent as _},
    event::Usage,
    prelude::*,
};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::{try_join_all, try_join3},
    stream,
};
use tokio::task::yield_now;

/// What the scene leaves behind under a bridge.
pub(super) const TREE: &str = "\
invoke_workflow scene
  workflow_step research
    invoke_agent researcher
      chat small
      execute_tool fetch
      execute_tool fetch
      execute_tool count
      chat small
  invoke_workflow check
    invoke_agent checker
      chat small
";

/// Asks a model that streams `text`, a word at a time.
pub(super) async fn ask(text: &'static str) -> Result<String, BoxError> {
    let words: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
    let opening = async move {
        yield_now().await;
        let pieces = stream::iter(words).then(|piece| async move {
            yield_now().await;
            Ok::<_, BoxError>(piece)
        });
        Ok::<_, BoxError>(pieces.boxed())
    };
    let answer = component::request("acme", "small").stream(opening).await?;
    let answer = answer.on_item(|request, piece| {
        request.chunk(piece.as_str());
        request.usage(Usage::new(5, 2));
    });
    answer.try_collect().await
}

async fn fetch(page: u64) -> Result<u64, BoxError> {
    let work = async move {
        for part in 1..=3 {
            yield_now().await;
            component::reporter().progress(format!("part {part}"));
        }
        Ok(page)
    };
    component::tool("fetch").with_arguments(json!({ "page": page })).run(work).await
}

/// The scene, whose steps end in errors of `BoxError`.
pub(super) async fn play(stream: &EventStream) -> Result<(), BoxError> {
    let research = async {
        ask("look it up").await?;
        let count = component::tool("count").run(async {
            yield_now().await;
            Ok::<_, BoxError>(2)
        });
        try_join3(fetch(1), fetch(2).in_current(), count).await?;
        component::reporter().output(ask("two pages were read").await?);
        Ok::<_, BoxError>(())
    };
    let check = async { component::agent("checker").run(ask("it is right")).await };
    let work = async {
        component::step("research").run(component::agent("researcher").run(research)).await?;
        try_join_all([component::nested_workflow("check").run(check)]).await?;
        Ok::<_, BoxError>(())
    };
    component::workflow(stream, "scene").with_input("otters").run(work).await
}
