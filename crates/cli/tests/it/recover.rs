//! `recover`: what a dead process left open.

use agent_runtime::{
    prelude::*,
    store::{Batch, EventStore as _},
};
use agent_runtime_store::SqliteStore;
use tempfile::TempDir;

use crate::support::{Stored, block_on, json_lines, run};

/// Stores starts without ends, and lets go of the store without closing the epoch, as a process does that dies.
async fn leave_open(path: &std::path::Path) {
    let store = SqliteStore::open(path).await.expect("the test is set up");
    let stream = EventStream::new();
    store.open_epoch(stream.epoch()).await.expect("the test is set up");
    let run = || Some("wf_1".to_owned());
    let mut batch = Batch::new(stream.epoch());
    for event in [
        Event::workflow_started("job", run(), None, json!({})),
        Event::agent_started("writer", run(), None, json!({})),
        Event::tool_started("done", run(), None, json!({})),
        Event::tool_completed("done", run(), None, json!({})),
    ] {
        batch.push(stream.append(event).expect("the test is set up")).expect("the test is set up");
    }
    store.append(&batch).await.expect("the test is set up");
}

#[test]
fn a_dry_run_names_what_is_open_and_a_recovery_ends_it_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    block_on(leave_open(&path));
    let count = || run(&path, &["events", "--format", "json"]).out.lines().count();
    let dry = run(&path, &["recover", "--dry-run"]);
    assert_eq!((dry.code, count()), (0, 4), "{}", dry.err);
    for line in ["would end 2 components", "  workflow job in wf_1", "  agent writer in wf_1"] {
        assert!(dry.out.contains(line), "{}", dry.out);
    }
    let sick = run(&path, &["doctor"]);
    assert!(sick.code == 1 && sick.out.contains("agent-runtime recover"), "{}", sick.out);

    let done = json_lines(&run(&path, &["recover", "--format", "json"]).out).remove(0);
    assert_eq!((&done["dry_run"], &done["epochs"][0]["interrupted"]), (&json!(false), &json!(2)));
    assert_eq!(done["epochs"][0]["components"], json!(["agent writer in wf_1", "workflow job in wf_1"]));
    assert_eq!(count(), 6);
    let again = run(&path, &["recover"]);
    assert_eq!((again.code, again.out.as_str()), (0, "nothing was left open by a dead process\n"));
    assert_eq!(count(), 6);
    let well = run(&path, &["doctor"]);
    assert_eq!(well.code, 0, "{}", well.out);
}

#[test]
fn what_a_live_process_has_open_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    block_on(async {
        let store = SqliteStore::open(&path).await.unwrap();
        let stream = EventStream::new();
        store.open_epoch(stream.epoch()).await.unwrap();
        let mut batch = Batch::new(stream.epoch());
        batch.push(stream.append(Event::agent_started("writer", None, None, json!({}))).unwrap()).unwrap();
        store.append(&batch).await.unwrap();
        let recovered = run(&path, &["recover"]);
        assert_eq!((recovered.code, recovered.out.as_str()), (0, "nothing was left open by a dead process\n"));
        let examined = run(&path, &["doctor"]);
        assert!(examined.code == 0 && examined.out.contains("epochs: 1 open under live processes"), "{}", examined.out);
        store.close_epoch(stream.epoch()).await.unwrap();
    });
    assert_eq!(Stored::at(&path).len(), 1);
}
