//! A set of running backends, which ends with its guard.

use std::{
    collections::HashMap,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    sync::atomic::{AtomicU32, Ordering},
};

const SWITCH: &str = "AGENT_RUNTIME_BACKENDS";
const EXIT_MISSING: i32 = 77;

/// Running backends; the drop ends them by their process ids.
pub(crate) struct Stack {
    state: PathBuf,
    env: HashMap<String, String>,
}

impl Stack {
    /// Starts parts, or says why the test is skipped and gives nothing.
    pub(crate) fn up(test: &str, parts: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if env::var(SWITCH).as_deref() != Ok("1") {
            skip(test, &format!("{SWITCH}=1 is not set"));
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let state = env::temp_dir().join(format!("agent-runtime-backends-{}-{number}", id()));
        let mut stack = Self { state, env: HashMap::new() };
        let output = stack.script("up", parts);
        if output.status.code() == Some(EXIT_MISSING) {
            skip(test, &String::from_utf8_lossy(&output.stderr));
            return None;
        }
        assert!(output.status.success(), "`up {parts:?}` failed:\n{}", String::from_utf8_lossy(&output.stderr));
        stack.read_env();
        Some(stack)
    }

    /// What the state directory says of a key: an address, a port, a process id.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("the backends have no {key}: {:?}", self.env))
    }

    /// The environment that makes a program export by a protocol.
    pub(crate) fn otlp(&self, protocol: &str) -> Vec<(String, String)> {
        let endpoint = if protocol == "grpc" { self.get("OTLP_GRPC") } else { self.get("OTLP_HTTP") };
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint.to_owned()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), protocol.to_owned()),
        ]
    }

    /// Does `stop` (SIGTERM), `kill` (SIGKILL) or `start` to a part; returns when it is gone, or ready again.
    pub(crate) fn part(&self, action: &str, part: &str) {
        let output = self.script("part", &[action, part]);
        assert!(output.status.success(), "`part {action} {part}`: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A file of the test's own, gone with the backends.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        // A member of the workspace lies below the repository's root.
        let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("tests/backends"));
        let script = folders.find(|folder| folder.is_dir()).expect("the repository has the scripts").join(name);
        let mut command = Command::new(&script);
        command.arg("--state").arg(&self.state).args(arguments);
        command.output().unwrap_or_else(|error| panic!("{} cannot be run: {error}", script.display()))
    }

    fn read_env(&mut self) {
        let text = fs::read_to_string(self.state.join("env")).expect("`up` writes the file");
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        self.env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if !self.state.exists() {
            return;
        }
        let down = self.script("down", &[]);
        if !down.status.success() {
            say(&format!("`down` failed: {}", String::from_utf8_lossy(&down.stderr)));
        }
        if std::thread::panicking() {
            say(&format!("the logs of the backends stay in {}", self.state.display()));
        } else if let Err(error) = fs::remove_dir_all(&self.state) {
            say(&format!("{} cannot be removed: {error}", self.state.display()));
        }
    }
}

fn skip(test: &str, reason: &str) {
    say(&format!("skipped: {test}: {}", reason.trim()));
}

/// Past the harness's capture, which swallows what a passing test prints.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error can be written to");
}
