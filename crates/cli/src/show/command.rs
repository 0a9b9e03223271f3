//! The command itself.

use std::process::ExitCode;

use crate::{
    arguments::{Format, Show},
    failure::Failure,
    store::Location,
    terminal::{self, Output},
};

use super::{drawing, read, story::Story};

pub(crate) async fn run(
    location: &Location,
    asked: &Show,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = location.open().await?;
    let failed = |error| location.failed(error);
    let last = async || read::last_run(&*store).await.map_err(failed);
    let workflow = match &asked.workflow {
        Some(workflow) => workflow.clone(),
        None => last().await?.ok_or_else(|| Failure::NotFound {
            location: location.to_string(),
            what: "the store has no run of a workflow".to_owned(),
            advice: "agent-runtime events lists what it has".to_owned(),
        })?,
    };
    let events = read::events_of(&*store, &workflow).await.map_err(failed)?;
    if events.is_empty() {
        return Err(Failure::NotFound {
            location: location.to_string(),
            what: format!("the store has no event of run {workflow:?}"),
            advice: "agent-runtime events --scope workflow --type started lists the runs".to_owned(),
        });
    }
    let story = Story::of(workflow, &events, &asked.price, &asked.currency);
    match format {
        Format::Json => output.line(&terminal::json(&story))?,
        Format::Text => drawing::draw(&story, output)?,
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
