//! The environment variable, read in a process of its own: it is the whole process's.

use std::process::Command;

use agent_runtime::otel::{CAPTURE_VARIABLE, ContentCapture, Telemetry};

/// Says that the process is the one that the test started.
const CHILD: &str = "AGENT_RUNTIME_TEST_CHILD";

#[test]
fn the_variable_is_read_and_what_is_unknown_captures_nothing_with_a_warning() {
    for (value, expected) in [
        (None, "NO_CONTENT, known"),
        (Some(""), "NO_CONTENT, known"),
        (Some("NO_CONTENT"), "NO_CONTENT, known"),
        (Some("span_only"), "SPAN_ONLY, known"),
        (Some("Event_Only"), "EVENT_ONLY, known"),
        (Some("SPAN_AND_EVENT"), "SPAN_AND_EVENT, known"),
        (Some("true"), "NO_CONTENT, unknown"),
        (Some("yes please"), "NO_CONTENT, unknown"),
    ] {
        let mut child = Command::new(std::env::current_exe().expect("the test has a file"));
        child.args(["--exact", "content::environment::child", "--nocapture"]).env(CHILD, "1");
        match value {
            Some(value) => child.env(CAPTURE_VARIABLE, value),
            None => child.env_remove(CAPTURE_VARIABLE),
        };
        let output = child.output().expect("the test can be started again");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(&format!("capture: {expected}")), "{value:?}: {printed}");
        let has_warning = printed.contains("WARN") && printed.contains(CAPTURE_VARIABLE);
        assert_eq!(has_warning, expected.contains("unknown"), "{value:?}: {printed}");
    }
}

#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::fmt().with_ansi(false).finish());
    let telemetry = Telemetry::builder("test").with_content_capture_from_env().build().unwrap();
    let capture = ContentCapture::from_env().unwrap_or_default();
    let known = if telemetry.ignored_settings().is_empty() { "known" } else { "unknown" };
    println!("capture: {capture}, {known}");
}
