//! Golden files are written where the environment asks for it, and only there.

use std::{fs, path::PathBuf};

use agent_runtime::testing::assert_golden;

use crate::support::process::run_child;

const TEXT: &str = "what a test found\n";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("golden").join("written.txt")
}

#[test]
fn a_golden_file_is_written_on_request_and_compared_otherwise() {
    let variable = "AGENT_RUNTIME_UPDATE_GOLDEN";
    for (value, is_good) in [("1", true), ("0", true), ("maybe", false)] {
        if value == "1" && path().exists() {
            fs::remove_file(path()).expect("it is ours");
        }
        let finished = run_child("child_compares_with_a_golden_file", &[(variable, value)]);
        let said = finished.stdout.lines().find_map(|line| line.strip_prefix("outcome: ")).expect("it says so");
        assert_eq!(said == "good", is_good, "{value}: {said}");
        assert!(is_good || said.contains(variable), "{said}");
        assert_eq!(fs::read_to_string(path()).expect("it was written"), TEXT);
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_compares_with_a_golden_file() {
    let outcome = std::panic::catch_unwind(|| assert_golden(path(), TEXT));
    let message = outcome.err().and_then(|panic| panic.downcast::<String>().ok());
    println!("\noutcome: {}", message.map_or_else(|| "good".to_owned(), |message| message.replace('\n', " ")));
}
