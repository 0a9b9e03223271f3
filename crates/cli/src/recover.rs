//! `recover`: ends what dead processes left open, and says what that was.

use std::{io, process::ExitCode};

use agent_runtime::{
    event::{EventScope, EventType},
    store::{Cursor, EpochRecord, EpochState, EventStore, Position, Query, StoreError, recover},
    view::{Tree, TreeNode},
};
use serde::Serialize;

use crate::{
    arguments::{Format, Recover},
    failure::Failure,
    pages,
    store::Location,
    terminal::{self, Output},
    times,
};

/// The most components that are named of an epoch.
const MAX_NAMED: usize = 100;

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    epochs: Vec<Ended>,
}

/// An epoch whose process is dead.
#[derive(Debug, Default, Serialize)]
struct Ended {
    epoch: String,
    opened: Option<String>,
    /// How many components were open.
    interrupted: u64,
    /// The first of them: scope, component and run.
    components: Vec<String>,
}

pub(crate) async fn run(
    location: &Location,
    asked: &Recover,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = location.open().await?;
    let ended = if asked.dry_run { would_end(&*store).await } else { end(&*store).await };
    let report = Report { dry_run: asked.dry_run, epochs: ended.map_err(|error| location.failed(error))? };
    match format {
        Format::Json => output.line(&terminal::json(&report))?,
        Format::Text => write(&report, output)?,
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What is open in epochs whose process is dead.
async fn would_end(store: &dyn EventStore) -> Result<Vec<Ended>, StoreError> {
    let mut ended = Vec::new();
    for record in store.epochs().await?.into_iter().filter(|record| record.state == EpochState::Abandoned) {
        let mut tree = Tree::new();
        let query = Query::default().with_epoch(record.epoch);
        pages::each(store, Cursor::Beginning, &query, |stored| tree.observe(&stored.event)).await?;
        let name = |node: &TreeNode| name(node.scope(), node.component_id(), node.workflow_id());
        let components = tree.running().take(MAX_NAMED).map(name).collect();
        ended.push(Ended::of(&record, tree.running().count() as u64, components));
    }
    Ok(ended)
}

/// Ends what is open, and reads what the store then says of it.
async fn end(store: &dyn EventStore) -> Result<Vec<Ended>, StoreError> {
    let known = store.epochs().await?;
    let mut ended = Vec::new();
    for recovered in recover(store).await? {
        let Some(record) = known.iter().find(|record| record.epoch == recovered.epoch) else {
            // Its process died since the list was read.
            ended.push(Ended {
                epoch: recovered.epoch.to_string(),
                interrupted: recovered.interrupted,
                ..Ended::default()
            });
            continue;
        };
        let behind = record.next_offset.checked_sub(1).map(|offset| Position::new(record.epoch, offset));
        let query = Query::default().with_epoch(record.epoch).with_type(EventType::Failed);
        let mut components = Vec::new();
        pages::each(store, behind.map_or(Cursor::Beginning, Cursor::After), &query, |stored| {
            let event = &stored.event;
            if components.len() < MAX_NAMED {
                components.push(name(event.scope, &event.component_id, event.workflow_id.as_deref()));
            }
        })
        .await?;
        ended.push(Ended::of(record, recovered.interrupted, components));
    }
    Ok(ended)
}

fn name(scope: EventScope, component: &str, run: Option<&str>) -> String {
    let run = run.map(|run| format!(" in {run}")).unwrap_or_default();
    format!("{} {component}{run}", scope.as_str())
}

fn write(report: &Report, output: &mut Output) -> io::Result<()> {
    if report.epochs.is_empty() {
        return output.line("nothing was left open by a dead process");
    }
    for epoch in &report.epochs {
        let done = if report.dry_run { "would end" } else { "ended" };
        let opened = epoch.opened.as_ref().map(|opened| format!(", opened {opened}")).unwrap_or_default();
        output.line(&format!("{done} {} components of epoch {}{opened}", epoch.interrupted, epoch.epoch))?;
        for component in &epoch.components {
            output.line(&format!("  {}", terminal::printable(component)))?;
        }
        let unnamed = epoch.interrupted.saturating_sub(epoch.components.len() as u64);
        if unnamed > 0 {
            output.line(&format!("  … and {unnamed} more"))?;
        }
    }
    Ok(())
}

impl Ended {
    fn of(record: &EpochRecord, interrupted: u64, components: Vec<String>) -> Self {
        let (epoch, opened) = (record.epoch.to_string(), Some(times::stamp(record.opened_at)));
        Self { epoch, opened, interrupted, components }
    }
}
