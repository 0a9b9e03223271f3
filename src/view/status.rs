//! What is open and how the rest ended, run by run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::text::{MAX_CHARS, one_line, title};
use crate::event::{ComponentStatus, Event, EventScope, EventType, OpenComponents};

/// Where each run stands.
///
/// A run is one execution of a workflow. A nested one is another run, and so is a second attempt under the same `workflow_id`,
/// also while the first one goes on; a component is of the run that it names as what it began in, else of the newest one with
/// its `workflow_id`. Events without a `workflow_id` count as one run.
///
/// ```
/// use agent_runtime::{event::ComponentStatus, prelude::*, view::StatusBoard};
///
/// let run = || Some("wf_1".to_owned());
/// let mut board = StatusBoard::new();
/// board.extend(&[
///     Event::workflow_started("report", run(), None, json!({})),
///     Event::tool_started("search:0", run(), None, json!({"tool_name": "search"})),
///     Event::tool_failed("search:0", "no network", run(), None, json!({})),
///     Event::agent_started("writer", run(), None, json!({})),
/// ]);
///
/// let report = board.runs().next().expect("there is one");
/// assert_eq!((report.name(), report.status(), report.failed()), ("report", ComponentStatus::Running, 1));
/// assert_eq!(report.last_failure(), Some("execute_tool search: no network"));
/// let open: Vec<_> = board.open(report).map(|(title, _)| title).collect();
/// assert_eq!(open, ["invoke_workflow report", "invoke_agent writer"]);
/// ```
#[derive(Debug, Default)]
pub struct StatusBoard {
    runs: BTreeMap<u64, RunStatus>,
    /// The newest of each id.
    by_id: HashMap<Option<Arc<str>>, u64>,
    next: u64,
    /// The runs that are over, which go first when there is no more room.
    ended: BTreeSet<u64>,
    /// The titles of what is open.
    open: OpenComponents<Titled>,
    latest: DateTime<Utc>,
    dropped_runs: u64,
    dropped_components: u64,
    unmatched: u64,
}

/// What an open component is called, and the number of its run.
#[derive(Debug)]
struct Titled {
    title: String,
    run: u64,
}

/// Where one run stands.
#[derive(Clone, Debug)]
pub struct RunStatus {
    number: u64,
    /// Whether its workflow has begun, as far as was seen.
    has_begun: bool,
    workflow_id: Option<Arc<str>>,
    name: String,
    status: ComponentStatus,
    started: DateTime<Utc>,
    ended: Option<DateTime<Utc>>,
    completed: u64,
    failed: u64,
    canceled: u64,
    last_failure: Option<String>,
}

impl RunStatus {
    fn new(number: u64, workflow_id: Option<Arc<str>>, event: &Event) -> Self {
        let name = workflow_id.as_deref().map_or_else(|| "(no workflow)".to_owned(), |id| one_line(id, MAX_CHARS));
        Self {
            number,
            has_begun: false,
            workflow_id,
            name,
            status: ComponentStatus::Running,
            started: event.timestamp,
            ended: None,
            completed: 0,
            failed: 0,
            canceled: 0,
            last_failure: None,
        }
    }

    /// The run's id.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.workflow_id.as_deref()
    }

    /// The workflow's name; the run's id if its start was not seen.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the workflow runs, and how it ended if it does not.
    #[must_use]
    pub const fn status(&self) -> ComponentStatus {
        self.status
    }

    /// From its beginning to its end; `None` while it runs.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.ended.map(|ended| (ended - self.started).to_std().unwrap_or_default())
    }

    /// How many components, the workflow itself included, ended well.
    #[must_use]
    pub const fn completed(&self) -> u64 {
        self.completed
    }

    /// How many components, the workflow itself included, failed.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// How many components, the workflow itself included, were canceled.
    #[must_use]
    pub const fn canceled(&self) -> u64 {
        self.canceled
    }

    /// What failed last and why, on one line.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    fn end(&mut self, event: &Event, title: &str) {
        let count = match event.event_type.status() {
            ComponentStatus::Pending | ComponentStatus::Running => return,
            ComponentStatus::Completed => &mut self.completed,
            ComponentStatus::Failed => &mut self.failed,
            ComponentStatus::Canceled => &mut self.canceled,
        };
        *count = count.saturating_add(1);
        if event.event_type == EventType::Failed {
            let message = event.message.as_deref().unwrap_or("no message");
            self.last_failure = Some(one_line(&format!("{title}: {message}"), MAX_CHARS));
        }
        if event.scope == EventScope::Workflow {
            self.status = event.event_type.status();
            self.ended = Some(event.timestamp);
        }
    }
}

impl StatusBoard {
    /// The most runs that are kept. When one more begins, the oldest that is over goes, or the oldest if all run.
    pub const MAX_RUNS: usize = 256;

    /// The most open components that are kept. When one more begins, the oldest goes.
    pub const MAX_OPEN: usize = 4_096;

    /// Makes an empty board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn observe(&mut self, event: &Event) {
        self.latest = self.latest.max(event.timestamp);
        match (event.scope, event.event_type) {
            (EventScope::System, _) | (_, EventType::Progress) => {}
            (_, EventType::Started) => self.start(event),
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => self.end(event),
        }
    }

    /// All runs, in the order of their beginnings.
    pub fn runs(&self) -> impl Iterator<Item = &RunStatus> {
        self.runs.values()
    }

    /// What is open in a run, in the order of its beginnings: what it is called, and for how long it has been running by the
    /// time of the latest event.
    pub fn open(&self, run: &RunStatus) -> impl Iterator<Item = (&str, Duration)> {
        let of_run = self.open.in_workflow(run.workflow_id()).filter(|(_, component)| component.kept.run == run.number);
        let mut open: Vec<_> = of_run.collect();
        open.sort_unstable_by_key(|(number, _)| *number);
        open.into_iter().map(|(_, component)| {
            (component.kept.title.as_str(), (self.latest - component.started).to_std().unwrap_or_default())
        })
    }

    /// How many runs were dropped because there were more than [`MAX_RUNS`](Self::MAX_RUNS).
    #[must_use]
    pub const fn dropped_runs(&self) -> u64 {
        self.dropped_runs
    }

    /// How many open components were dropped, with their run or because there were more than [`MAX_OPEN`](Self::MAX_OPEN).
    #[must_use]
    pub const fn dropped_components(&self) -> u64 {
        self.dropped_components
    }

    /// How many ends were of a component that is not kept as open.
    #[must_use]
    pub const fn unmatched(&self) -> u64 {
        self.unmatched
    }

    fn start(&mut self, event: &Event) {
        let overdue = self.open.take_beyond(Self::MAX_OPEN);
        self.dropped_components += overdue.len() as u64;
        let number = self.run_of(event);
        if let Some(run) = self.runs.get_mut(&number) {
            if event.scope == EventScope::Workflow {
                run.name = one_line(&event.component_id, MAX_CHARS);
                run.has_begun = true;
                run.status = ComponentStatus::Running;
                run.ended = None;
                self.ended.remove(&number);
            }
            self.open.insert(event, run.workflow_id.clone(), Titled { title: title(event), run: number });
        }
    }

    /// The run of a component that begins, made now if there was none.
    fn run_of(&mut self, event: &Event) -> u64 {
        let workflow_id: Option<Arc<str>> = event.workflow_id.as_deref().map(Arc::from);
        let newest = self.by_id.get(&workflow_id).copied();
        let known = if event.scope == EventScope::Workflow && workflow_id.is_some() {
            newest.filter(|number| self.runs.get(number).is_some_and(|run| !run.has_begun))
        } else {
            let parent = self.open.parent_of(event).filter(|parent| parent.workflow_id == workflow_id);
            parent.map(|parent| parent.kept.run).or(newest)
        };
        if let Some(number) = known {
            return number;
        }
        if self.runs.len() >= Self::MAX_RUNS {
            self.drop_a_run();
        }
        let number = self.next;
        self.next += 1;
        self.runs.insert(number, RunStatus::new(number, workflow_id.clone(), event));
        self.by_id.insert(workflow_id, number);
        number
    }

    fn drop_a_run(&mut self) {
        let oldest = || self.runs.keys().next().copied();
        let Some(number) = self.ended.first().copied().or_else(oldest) else { return };
        self.ended.remove(&number);
        let Some(run) = self.runs.remove(&number) else { return };
        if self.by_id.get(&run.workflow_id) == Some(&run.number) {
            self.by_id.remove(&run.workflow_id);
        }
        let open = self.open.in_workflow(run.workflow_id()).filter(|(_, component)| component.kept.run == run.number);
        let open: Vec<_> = open.map(|(number, _)| number).collect();
        self.dropped_components += open.len() as u64;
        for component in open {
            self.open.remove(component);
        }
        self.dropped_runs += 1;
    }

    fn end(&mut self, event: &Event) {
        let Some(component) = self.open.take(event) else {
            self.unmatched += 1;
            return;
        };
        let Titled { title, run } = component.kept;
        if let Some(run) = self.runs.get_mut(&run) {
            run.end(event, &title);
            if run.ended.is_some() {
                self.ended.insert(run.number);
            }
        }
    }
}

impl<'a> Extend<&'a Event> for StatusBoard {
    fn extend<I: IntoIterator<Item = &'a Event>>(&mut self, events: I) {
        events.into_iter().for_each(|event| self.observe(event));
    }
}

impl fmt::Display for StatusBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return f.write_str("no runs");
        }
        for (place, run) in self.runs.values().enumerate() {
            let break_before = if place == 0 { "" } else { "\n" };
            let duration = (run.ended.unwrap_or(self.latest) - run.started).num_milliseconds();
            let RunStatus { name, status, completed, failed, canceled, .. } = run;
            write!(f, "{break_before}{name}  {status}  {duration} ms  ")?;
            write!(f, "{completed} completed, {failed} failed, {canceled} canceled")?;
            if let Some(failure) = run.last_failure() {
                write!(f, "\n  last failure: {failure}")?;
            }
            for (title, duration) in self.open(run) {
                write!(f, "\n  {title}  {} ms", duration.as_millis())?;
            }
        }
        match self.dropped_runs {
            0 => Ok(()),
            dropped => write!(f, "\n… and {dropped} runs that were not kept"),
        }
    }
}
