//! Runs the examples as a user does: as programs, told by the environment where to export.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// What `load` says of its spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) ended: u64,
    pub(crate) exported: u64,
    pub(crate) failed: u64,
    pub(crate) unsent: u64,
}

/// A running example and its lines.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// Starts an example, with the variables that it reads and no others of their kind.
pub(crate) fn start(name: &str, arguments: &[&str], variables: &[(String, String)]) -> Running {
    build();
    // The test's own program lies in `deps`, beside the directory of the examples.
    let directory =
        env::current_exe().expect("a test has a program").ancestors().nth(2).map(|path| path.join("examples"));
    let mut command = Command::new(directory.expect("it lies in `deps`").join(name));
    for (key, _) in env::vars().filter(|(key, _)| key.starts_with("OTEL_") || key.starts_with("OPENAI_")) {
        command.env_remove(key);
    }
    command.args(arguments).envs(variables.iter().cloned()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("example {name} cannot be run: {error}"));
    let stdout = child.stdout.take().expect("it is piped");
    let (sender, lines) = channel();
    thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    Running { child, lines, seen: Vec::new() }
}

/// Runs an example to its end and gives its lines.
pub(crate) fn run(name: &str, arguments: &[&str], variables: &[(String, String)]) -> Vec<String> {
    start(name, arguments, variables).finish()
}

/// The trace id in a line `trace …`.
pub(crate) fn trace_id(lines: &[String]) -> &str {
    let id = lines.iter().find_map(|line| line.strip_prefix("trace "));
    id.unwrap_or_else(|| panic!("no line says which trace it is:\n{}", lines.join("\n")))
}

impl Running {
    /// Waits for a line that a function reads something from.
    pub(crate) fn wait_for<T>(&mut self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("the example never said {what}:\n{}", self.seen.join("\n"));
            };
            let read = read(&line);
            self.seen.push(line);
            if let Some(read) = read {
                return read;
            }
        }
    }

    /// Waits until it says that so many spans have been exported.
    pub(crate) fn wait_for_exported(&mut self, spans: u64) -> Delivery {
        self.wait_for("that spans were exported", |line| {
            Delivery::read(line).filter(|delivery| delivery.exported >= spans)
        })
    }

    /// Waits for its end, which must be a success, and gives all its lines.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        assert!(Instant::now() < deadline, "the example does not end:\n{}", self.seen.join("\n"));
        let status = self.child.wait().expect("it can be waited for");
        let mut errors = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut errors).expect("it writes text");
        }
        assert!(status.success(), "the example ended with {status}:\n{}\n{errors}", self.seen.join("\n"));
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failure means that it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Delivery {
    /// Reads `… ended 4, exported 3, failed 1, unsent 0`.
    fn read(line: &str) -> Option<Self> {
        let (_, numbers) = line.split_once("ended ")?;
        let numbers = format!("ended {numbers}");
        let number = |name: &str| {
            let part = numbers.split(", ").find_map(|part| part.strip_prefix(name))?;
            part.trim().parse().ok()
        };
        Some(Self {
            ended: number("ended")?,
            exported: number("exported")?,
            failed: number("failed")?,
            unsent: number("unsent")?,
        })
    }

    /// The last of an example's lines, said after the shutdown.
    pub(crate) fn last(lines: &[String]) -> Self {
        let last = lines.last().and_then(|line| Self::read(line));
        last.unwrap_or_else(|| panic!("the last line says nothing of spans:\n{}", lines.join("\n")))
    }
}

/// `cargo test --test backends` does not build the examples.
fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--all-features"]);
        for name in ["quickstart", "failures", "load", "resumed_job", "service"] {
            command.args(["--example", name]);
        }
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("Cargo runs the tests");
        assert!(output.status.success(), "the examples do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    });
}
