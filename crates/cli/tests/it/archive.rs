//! An archive in a folder.

use std::{path::Path, sync::Arc};

use agent_runtime_store::SegmentStore;
use tempfile::TempDir;

use crate::support::{block_on, json_lines, record_into, report, run};

#[test]
fn an_archive_is_listed_drawn_and_examined_and_none_is_made_by_looking() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("archive");
    block_on(async {
        let store = Arc::new(SegmentStore::open(&path).await.unwrap());
        record_into(store, async |runtime| {
            runtime.execute(&report(), "go").await.unwrap();
        })
        .await;
    });
    let url = format!("file://{}", path.display());
    let succeeds = |arguments: &[&str]| {
        let ran = run(Path::new(&url), arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    };
    assert!(json_lines(&succeeds(&["events", "--format", "json"])).len() > 10);
    assert!(succeeds(&["show"]).contains("invoke_workflow report"));
    assert!(succeeds(&["doctor"]).contains("an archive"));
    assert!(succeeds(&["doctor", "--repair"]).contains("nothing is damaged"));
    let missing = format!("file://{}", folder.path().join("missing").display());
    let ran = run(Path::new(&missing), &["events"]);
    assert!(ran.code == 1 && ran.err.contains("there is no such folder"), "{}", ran.err);
    assert!(!folder.path().join("missing").exists());
}
