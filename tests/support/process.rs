//! Child processes, each with its environment.

use std::{
    env,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// After this a process counts as hanging.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the ignored test of this binary that has this text in its path, in a process of its own.
#[track_caller]
pub(crate) fn run_child(test: &str, variables: &[(&str, &str)]) -> Finished {
    let finished = run_ignored(test, variables);
    assert!(finished.stdout.contains("test result: ok. 1 passed;"), "{test} with {variables:?}: {finished:#?}");
    finished
}

/// Runs all ignored tests of a module in a process of their own, one after another.
#[track_caller]
pub(crate) fn run_module(module_path: &str) {
    let (_, module) = module_path.split_once("::").expect("a module below the root");
    let finished = run_ignored(&format!("{module}::"), &[]);
    let has_run = finished.success && !finished.stdout.contains("test result: ok. 0 passed;");
    assert!(has_run, "{module}: {finished:#?}");
}

#[track_caller]
fn run_ignored(filter: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = Command::new(env::current_exe().expect("this binary has a path"));
    command.args([filter, "--ignored", "--nocapture", "--test-threads=1"]);
    finish(command, variables)
}

/// Runs an example as `cargo test` has built it.
#[track_caller]
pub(crate) fn run_example(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    finish(example(name, arguments), variables)
}

/// The command that runs an example as `cargo test` has built it.
#[track_caller]
pub(crate) fn example(name: &str, arguments: &[&str]) -> Command {
    let mut path = env::current_exe().expect("this binary has a path");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    path.set_extension(env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not built: run `cargo build --examples`", path.display());
    let mut command = Command::new(path);
    command.args(arguments);
    command
}

/// Replaces the `OTEL_*`, `OPENAI_*` and `AGENT_RUNTIME_*` variables of this process by others.
pub(crate) fn isolate(command: &mut Command, variables: &[(&str, &str)]) {
    for (name, _) in env::vars_os() {
        if ["OTEL_", "OPENAI_", "AGENT_RUNTIME_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("RUST_BACKTRACE", "0").envs(variables.iter().copied());
}

/// Runs a command with these variables instead of this process's own; panics if it hangs.
#[track_caller]
pub(crate) fn finish(mut command: Command, variables: &[(&str, &str)]) -> Finished {
    isolate(&mut command, variables);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stdout = read(child.stdout.take());
    let stderr = read(child.stderr.take());
    let started = Instant::now();
    let mut hangs = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
        if started.elapsed() > DEADLINE && !hangs {
            hangs = true;
            child.kill().expect("it is our child");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("the output is read");
    let finished = Finished { success: status.success(), stdout: text(stdout), stderr: text(stderr) };
    assert!(!hangs, "{command:?} hangs: {finished:#?}");
    finished
}

fn read(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut pipe = pipe.expect("it is piped");
    thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).expect("a pipe can be read");
        String::from_utf8_lossy(&text).into_owned()
    })
}
