//! The command itself.

use std::{io, process::ExitCode};

use agent_runtime_store::SqliteStore;
use serde::Serialize;

use super::{
    check::{Check, Part, State},
    clock, endpoint, repair, store as stored,
};
use crate::{
    arguments::{Doctor, Format},
    failure::{FAILED, Failure},
    store,
    terminal::{self, Color, Output},
};

/// What was found, in JSON as it stands here.
#[derive(Debug, Serialize)]
struct Report {
    is_well: bool,
    checks: Vec<Check>,
}

pub(crate) async fn run(
    named: Option<String>,
    asked: &Doctor,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let mut checks = Vec::new();
    let is_named = named.as_ref().is_some_and(|named| !named.is_empty());
    if is_named || asked.repair {
        let location = store::location(named)?;
        if asked.repair {
            checks.extend(repair::repair(&location).await?);
        }
        checks.extend(stored::checks(&location, asked.quick).await);
        checks.extend(clock::checks(Some(&location)).await);
    } else {
        checks.push(Part::Store.note("store", "none is named by --store or AGENT_RUNTIME_STORE"));
        checks.extend(clock::checks(None).await);
    }
    checks.push(endpoint::check().await);
    checks.push(Part::Versions.ok(
        "versions",
        format!(
            "agent-runtime {}, which knows SQLite stores up to schema version {}",
            env!("CARGO_PKG_VERSION"),
            SqliteStore::SCHEMA_VERSION
        ),
    ));
    let is_well = checks.iter().all(|check| check.state() != State::Problem);
    let report = Report { is_well, checks };
    match format {
        Format::Json => output.line(&terminal::json(&report))?,
        Format::Text => write(&report, output)?,
    }
    output.flush()?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn write(report: &Report, output: &mut Output) -> io::Result<()> {
    for check in &report.checks {
        let (word, color) = match check.state() {
            State::Ok => ("ok", Color::Good),
            State::Note => ("note", Color::Warning),
            State::Problem => ("problem", Color::Bad),
        };
        let word = output.paint(color, &format!("{word:<8}"));
        let what = terminal::printable(check.what());
        output.line(&format!("{word} {:<9} {:<12} {what}", check.part().as_str(), check.name()))?;
        if let Some(advice) = check.advice() {
            output.line(&format!("{:31} to do: {}", "", terminal::printable(advice)))?;
        }
    }
    let problems = report.checks.iter().filter(|check| check.state() == State::Problem).count();
    output.line(&match problems {
        0 => "all is well".to_owned(),
        1 => "1 problem".to_owned(),
        problems => format!("{problems} problems"),
    })
}
