//! Stores with runs in them, and the program run on them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use agent_runtime::{
    prelude::*,
    store::{Batch, EventStore, Recorder},
};
use agent_runtime_store::SqliteStore;
use tempfile::TempDir;

/// A folder with a store that a runtime has written.
pub(crate) struct Stored {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

/// What a run of the program came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, with nothing of the caller's environment that it would heed.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-runtime"));
    let heeded = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("OTEL_") || name.starts_with("AGENT_RUNTIME_") || name == "COLUMNS"
    });
    for name in heeded {
        command.env_remove(name);
    }
    command
}

pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("no signal ended the program");
    Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program on a store.
pub(crate) fn run(store: &Path, arguments: &[&str]) -> Ran {
    let output = program().args(arguments).arg("--store").arg(store).output();
    ran(output.expect("the program begins"))
}

/// The lines of JSON that the program wrote.
pub(crate) fn json_lines(text: &str) -> Vec<JsonValue> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

impl Stored {
    /// A store in which a workflow was run so often.
    pub(crate) fn with_runs(count: usize) -> Self {
        Self::made_by(async |runtime| {
            for _ in 0..count {
                runtime.execute(&report(), "go").await.expect("a scripted run succeeds");
            }
        })
    }

    /// What a store holds, as the program lists it.
    pub(crate) fn at(path: &Path) -> Vec<JsonValue> {
        json_lines(&run(path, &["events", "--format", "json"]).out)
    }

    /// Puts events into a store, changed after they were numbered, in an epoch that is closed.
    pub(crate) fn put(path: &Path, events: Vec<Event>, change: impl Fn(&mut Event)) {
        block_on(async {
            let store = SqliteStore::open(path).await.expect("the test is set up");
            let stream = EventStream::new();
            store.open_epoch(stream.epoch()).await.expect("the test is set up");
            let mut batch = Batch::new(stream.epoch());
            for event in events {
                let mut event = Event::clone(&stream.append(event).expect("the test is set up"));
                change(&mut event);
                batch.push(event.into()).expect("the test is set up");
            }
            store.append(&batch).await.expect("the test is set up");
            store.close_epoch(stream.epoch()).await.expect("the test is set up");
        });
    }

    /// A store of what is done with a runtime.
    pub(crate) fn made_by(work: impl AsyncFnOnce(&Runtime)) -> Self {
        let folder = TempDir::new().expect("the test is set up");
        let path = folder.path().join("events.db");
        block_on(record(&path, work));
        Self { _folder: folder, path }
    }
}

pub(crate) fn block_on<R>(work: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the test is set up").block_on(work)
}

/// Stores what is done with a runtime, and closes the store.
pub(crate) async fn record(path: &Path, work: impl AsyncFnOnce(&Runtime)) {
    record_into(Arc::new(SqliteStore::open(path).await.expect("the test is set up")), work).await;
}

/// Stores what is done with a runtime.
pub(crate) async fn record_into(store: Arc<dyn EventStore>, work: impl AsyncFnOnce(&Runtime)) {
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store).with_content(true).start(runtime.event_stream()).await.expect("it starts");
    work(&runtime).await;
    assert!(recorder.stop().await.is_complete());
}

/// A step, then an agent that calls a tool, of which one attempt fails.
pub(crate) fn report() -> Workflow {
    let look_up = FnTool::new("look_up", "Looks up.", json!({"type": "object"}), |arguments, progress| async move {
        progress("looking".to_owned(), Some(50));
        if arguments["of"] == "nobody" {
            return Err("there is no page of nobody".into());
        }
        Ok(json!("otter: 10 to 16 years"))
    });
    let model = Arc::new(ScriptedModel::answering(|request| match request.messages.len() {
        0..3 => ScriptedReply::tool_calls([("look_up", json!({"of": "otter"})), ("look_up", json!({"of": "nobody"}))]),
        _ => ScriptedReply::text("An otter lives for ten to sixteen years."),
    }));
    let tidy = TransformStep::new("tidy", |text: JsonValue| async move { Ok::<_, ToolError>(text) });
    let agent = Agent::builder("researcher", model).with_tool(look_up).build();
    Workflow::new("report").add_step(tidy).add_step(AgentStep::new(agent)).build()
}
