//! How many instructions each operation takes: no more than the committed baseline.
//!
//! Each operation runs in a process of its own under valgrind's callgrind, once for some rounds and once for more; the
//! difference has neither the start of the process nor what is set up in it.

use std::{
    env,
    process::{Command, ExitCode},
};

use fixtures::{
    BATCH,
    baseline::{self, Column, Measured},
    operations::{KEPT, OPERATIONS, Operation},
};
use tracing::dispatcher;

/// The shorter run fills the history; both are multiples of the chunks that share a span at the peer.
const ROUNDS: [u64; 2] = [2 * KEPT as u64, 2 * KEPT as u64 + 32 * BATCH];

/// What names the operation and its rounds to the process that is measured.
const CHILD: &str = "--operation";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some(CHILD) {
        let name = arguments.next().unwrap_or_default();
        let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or_default();
        run(&name, rounds);
        return ExitCode::SUCCESS;
    }
    let wanted = first.as_deref().unwrap_or_default();
    let held = measure_all(wanted).and_then(|measured| baseline::hold(&measured));
    if let Err(fault) = &held {
        eprintln!("{fault}");
    }
    if held.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs an operation so many times, with who listens installed for the whole process, as a program does.
fn run(name: &str, rounds: u64) {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name).expect("the operation is in the table");
    let (dispatch, start) = operation.set_up();
    dispatcher::set_global_default(dispatch).expect("the process has no subscriber yet");
    let mut work = start();
    (0..rounds).for_each(|_| work());
}

/// The operations whose names contain `wanted`.
fn measure_all(wanted: &str) -> Result<Vec<Measured>, String> {
    OPERATIONS
        .iter()
        .filter(|operation| operation.name.contains(wanted))
        .map(|operation| {
            let [short, long] = ROUNDS;
            let counted = count(operation, long)? - count(operation, short)?;
            let figure = counted as f64 / (long - short) as f64;
            println!("{figure:>8.0}  {}", operation.name);
            Ok(Measured { operation: operation.name, column: Column::Instructions, figure })
        })
        .collect()
}

/// The instructions of a whole process.
fn count(operation: &Operation, rounds: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([CHILD, operation.name, &rounds.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|_| output.status.success()).ok_or_else(|| format!("{}: {report}", operation.name))
}
