//! Runs, by the views that the library has.

use agent_runtime::{
    event::{ComponentStatus, EventFilter, EventScope, TraceContext},
    view::{RunStatus, StatusBoard, Tree, UsageReport, UsageTotals},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::present::Present;
use crate::{LostRange, Place, feed::From, refusal::Refusal, request::quoted, shared::Shared};

#[derive(Serialize)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    /// How many more there were than a board keeps.
    dropped: u64,
    gaps: Vec<LostRange>,
    /// Whether everything was read.
    is_complete: bool,
}

#[derive(Serialize)]
pub(crate) struct OneRun {
    /// The run, and others under its id or directly inside it.
    runs: Vec<Run>,
    tree: Vec<Component>,
    usage: Usage,
    gaps: Vec<LostRange>,
    is_complete: bool,
}

#[derive(Serialize)]
struct Run {
    workflow_id: Option<String>,
    name: String,
    status: ComponentStatus,
    duration_ms: Option<u128>,
    completed: u64,
    failed: u64,
    canceled: u64,
    last_failure: Option<String>,
    open: Vec<String>,
}

/// A component, behind the one that it lies below.
#[derive(Serialize)]
struct Component {
    depth: usize,
    title: String,
    scope: EventScope,
    component_id: String,
    workflow_id: Option<String>,
    status: ComponentStatus,
    message: Option<String>,
    started: DateTime<Utc>,
    duration_ms: Option<u128>,
    progress: u64,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    trace: Option<TraceContext>,
}

#[derive(Serialize)]
struct Usage {
    total: Totals,
    models: Vec<Row>,
    agents: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize)]
struct Totals {
    requests: u64,
    failed: u64,
    without_usage: u64,
    input_tokens: u64,
    output_tokens: u64,
}

pub(crate) async fn list(State(shared): State<Shared>) -> Result<Json<Runs>, Refusal> {
    let _turn = shared.query().await;
    let mut present = Present::new(&shared, From::Place(Place::Beginning), EventFilter::default()).await?;
    let mut board = StatusBoard::new();
    while let Some(events) = present.next().await? {
        board.extend(events.iter().map(|(_, event)| &**event));
    }
    let runs = board.runs().map(|run| Run::of(run, &board)).collect();
    let Present { gaps, is_complete, .. } = present;
    Ok(Json(Runs { runs, dropped: board.dropped_runs(), gaps, is_complete }))
}

pub(crate) async fn run(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<OneRun>, Refusal> {
    let _turn = shared.query().await;
    let filter = EventFilter::default().with_workflow(&id);
    let mut present = Present::new(&shared, From::Place(Place::Beginning), filter).await?;
    let (mut board, mut tree, mut usage) = (StatusBoard::new(), Tree::new(), UsageReport::new());
    while let Some(events) = present.next().await? {
        for (_, event) in &events {
            board.observe(event);
            tree.observe(event);
            usage.observe(event);
        }
    }
    if board.runs().next().is_none() {
        let message = format!("no event of a run {} is kept here: /runs has those that are", quoted(&id));
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_run", message));
    }
    let runs = board.runs().map(|run| Run::of(run, &board)).collect();
    let Present { gaps, is_complete, .. } = present;
    Ok(Json(OneRun { runs, tree: components(&tree), usage: Usage::of(&usage), gaps, is_complete }))
}

impl Run {
    fn of(run: &RunStatus, board: &StatusBoard) -> Self {
        Self {
            workflow_id: run.workflow_id().map(str::to_owned),
            name: run.name().to_owned(),
            status: run.status(),
            duration_ms: run.duration().map(|duration| duration.as_millis()),
            completed: run.completed(),
            failed: run.failed(),
            canceled: run.canceled(),
            last_failure: run.last_failure().map(str::to_owned),
            open: board.open(run).map(|(title, _)| title.to_owned()).collect(),
        }
    }
}

fn components(tree: &Tree) -> Vec<Component> {
    let component = |(depth, node): (usize, &agent_runtime::view::TreeNode)| Component {
        depth,
        title: node.title().to_owned(),
        scope: node.scope(),
        component_id: node.component_id().to_owned(),
        workflow_id: node.workflow_id().map(str::to_owned),
        status: node.status(),
        message: node.message().map(str::to_owned),
        started: node.started(),
        duration_ms: node.duration().map(|duration| duration.as_millis()),
        progress: node.progress(),
        input_tokens: node.input_tokens(),
        output_tokens: node.output_tokens(),
        trace: node.trace(),
    };
    tree.iter().map(component).collect()
}

impl Usage {
    fn of(report: &UsageReport) -> Self {
        let row = |(name, totals): (&str, &UsageTotals)| Row { name: name.to_owned(), totals: Totals::of(totals) };
        Self {
            total: Totals::of(report.total()),
            models: report.models().map(row).collect(),
            agents: report.agents().map(row).collect(),
        }
    }
}

impl Totals {
    const fn of(totals: &UsageTotals) -> Self {
        Self {
            requests: totals.requests(),
            failed: totals.failed(),
            without_usage: totals.without_usage(),
            input_tokens: totals.input_tokens(),
            output_tokens: totals.output_tokens(),
        }
    }
}
