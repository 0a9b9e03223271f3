//! What agents did, from the store that their events are in: list, follow, draw, show again, recover, diagnose.

mod arguments;
mod doctor;
mod events;
mod failure;
mod pages;
mod prices;
mod recover;
mod replay;
mod show;
mod store;
mod terminal;
mod times;
mod values;

use std::{env, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    arguments::{Arguments, Command, Format},
    failure::Failure,
    terminal::Output,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let format = arguments.format;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime);
    let done = runtime.and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(code) => code,
        Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => failure.report(format),
    }
}

/// Help and version are no errors, and go to stdout; a reader that is gone has seen enough.
fn refused(error: &clap::Error) -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let is_json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    if error.use_stderr() && is_json {
        let advice = "agent-runtime --help lists the arguments";
        return Failure::usage(error.render().to_string().trim_end(), advice).report(Format::Json);
    }
    error.print().ok();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE))
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { store, format, command } = arguments;
    let mut output = Output::stdout();
    match command {
        Command::Events(wanted) => events::run(&store::location(store)?, &wanted, format, &mut output).await,
        Command::Show(wanted) => show::run(&store::location(store)?, &wanted, format, &mut output).await,
        Command::Replay(wanted) => replay::run(&store::location(store)?, &wanted, format, &mut output).await,
        Command::Recover(wanted) => recover::run(&store::location(store)?, &wanted, format, &mut output).await,
        Command::Doctor(wanted) => doctor::run(store, &wanted, format, &mut output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "agent-runtime", &mut script);
            output.bytes(&script)?;
            output.flush()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
