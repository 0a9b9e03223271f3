//! Which clock the time of an event is read from.
//!
//! Within a run time never runs backwards, and runs that begin after the wall clock was set back lie on the new time. So
//! what was open then stays on the clock that it began with.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::{clock::Clock, log::Log};
use crate::event::{Event, EventScope, EventType};

/// How many clocks are kept for runs that began before the wall clock was set back.
const MAX_EARLIER: usize = 8;

/// The clocks of a stream.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Clock,
    /// Oldest first.
    earlier: Vec<Earlier>,
}

/// The clock of the runs that were open when the wall clock was set back.
#[derive(Debug)]
struct Earlier {
    clock: Clock,
    /// By workflow; what is in none counts as one run.
    runs: HashMap<Option<String>, OpenRun>,
}

/// A run, as far as its events say that it is open.
#[derive(Debug, Default)]
struct OpenRun {
    components: HashMap<(EventScope, String), usize>,
    /// There was something of a component whose start is not kept any more, so the end of the workflow is waited for.
    has_lost_starts: bool,
}

impl Timeline {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, earlier: Vec::new() }
    }

    /// The time now, for what belongs to no run.
    pub(super) fn now(&mut self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The time of an event that happens now. Its stream's log is looked at if the wall clock was set back.
    pub(super) fn time_of(&mut self, event: &Event, log: &Mutex<Log>) -> DateTime<Utc> {
        if event.event_type == EventType::Progress {
            return self.clock_of(event).now();
        }
        let reading = self.clock.read();
        if event.event_type == EventType::Started
            && let Some(clock) = self.clock.set_back(reading)
        {
            self.turn_back(clock, log.lock().events());
        }
        self.clock_of(event).near_wall(reading)
    }

    fn turn_back<'a>(&mut self, clock: Clock, kept: impl Iterator<Item = &'a Event>) {
        let before = std::mem::replace(&mut self.clock, clock);
        let mut runs: HashMap<Option<String>, OpenRun> = HashMap::new();
        for event in kept.filter(|event| self.earlier.iter().all(|earlier| !earlier.has(event))) {
            runs.entry(event.workflow_id.clone()).or_default().add(event, true);
        }
        runs.retain(|_, run| run.is_open());
        if self.earlier.len() == MAX_EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.push(Earlier { clock: before, runs });
    }

    fn clock_of(&mut self, event: &Event) -> &mut Clock {
        self.earlier.retain(|earlier| !earlier.runs.is_empty());
        match self.earlier.iter_mut().find(|earlier| earlier.has(event)) {
            Some(earlier) => {
                earlier.add(event);
                &mut earlier.clock
            }
            None => &mut self.clock,
        }
    }
}

impl Earlier {
    /// Whether an event is of one of the runs, or of one that is nested in them.
    fn has(&self, event: &Event) -> bool {
        let is_nested = || event.parent_workflow_id.is_some() && self.runs.contains_key(&event.parent_workflow_id);
        self.runs.contains_key(&event.workflow_id) || is_nested()
    }

    fn add(&mut self, event: &Event) {
        let run = self.runs.entry(event.workflow_id.clone()).or_default();
        run.add(event, false);
        if !run.is_open() {
            self.runs.remove(&event.workflow_id);
        }
    }
}

impl OpenRun {
    fn is_open(&self) -> bool {
        self.has_lost_starts || !self.components.is_empty()
    }

    fn add(&mut self, event: &Event, starts_may_be_lost: bool) {
        if event.scope == EventScope::System {
            return;
        }
        let component = (event.scope, event.component_id.clone());
        let open = self.components.get_mut(&component);
        self.has_lost_starts |= starts_may_be_lost && open.is_none() && event.event_type != EventType::Started;
        match (event.event_type, open) {
            (EventType::Started, Some(count)) => *count += 1,
            (EventType::Started, None) => drop(self.components.insert(component, 1)),
            (EventType::Progress, _) | (_, None) => {}
            (_, Some(count)) if *count > 1 => *count -= 1,
            (_, Some(_)) => drop(self.components.remove(&component)),
        }
        if event.scope == EventScope::Workflow && event.event_type.is_terminal() {
            self.has_lost_starts = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use serde_json::json;

    use super::{
        super::log::{Aftermath, Bounds, Kept},
        *,
    };

    const HOUR: i64 = 3_600;

    thread_local! {
        static WALL: Cell<Duration> = const { Cell::new(Duration::from_secs(1_800_000_000)) };
    }

    /// A stream with a wall clock that the test sets.
    struct Stream {
        timeline: Timeline,
        log: Mutex<Log>,
        seen: Vec<(String, i64)>,
    }

    impl Stream {
        /// Keeps so many events.
        fn new(capacity: usize) -> Self {
            let timeline = Timeline::new(Clock::following(|| WALL.get()));
            Self {
                timeline,
                log: Mutex::new(Log::new(Bounds { events: capacity, bytes: usize::MAX })),
                seen: Vec::new(),
            }
        }

        /// Appends an event from its script, `start id in run` or `end id in run under parent`, and notes its time.
        fn append(&mut self, line: &str) {
            let words: Vec<_> = line.split(' ').collect();
            let run = words.get(3).map(|run| (*run).to_owned());
            let parent = words.get(5).map(|parent| (*parent).to_owned());
            let mut event = match (words[0], words[1]) {
                ("start", "flow") => Event::workflow_started("flow", run, parent, json!({})),
                ("end", "flow") => Event::workflow_completed("flow", run, parent, json!({})),
                ("start", id) => Event::tool_started(id, run, parent, json!({})),
                ("end", id) => Event::tool_completed(id, run, parent, json!({})),
                (_, id) => Event::tool_progress(id, None, run, parent, json!({})),
            };
            event.timestamp = self.timeline.time_of(&event, &self.log);
            self.seen.push((line.to_owned(), event.timestamp.timestamp() - 1_800_000_000));
            let mut aftermath = Aftermath::default();
            self.log.lock().push(Kept::new(event), &mut aftermath);
            aftermath.settle();
        }
    }

    fn set_wall(seconds_on: i64) {
        let seconds = WALL.get().as_secs().checked_add_signed(seconds_on).expect("after 1970");
        WALL.set(Duration::from_secs(seconds));
    }

    /// B26, B27 and B28, each as a script of events and of what the clocks do: `wall` sets the wall clock on or back, `wait`
    /// lets both run. The times are in seconds since the beginning.
    #[tokio::test(start_paused = true)]
    async fn within_a_run_time_never_goes_back_and_new_runs_lie_on_the_new_time() {
        let cases: [(&str, &[&str], &[i64]); 9] = [
            (
                "B26 set back between two runs",
                &["start flow in a", "end flow in a", "wall -3600", "wait 3", "start flow in b", "start t in b"],
                &[0, 0, 3 - HOUR, 3 - HOUR],
            ),
            (
                "B27 set back while a run is open",
                &["start flow in a", "wait 5", "wall -3600", "start t in a", "end t in a", "wait 1", "end flow in a"],
                &[0, 5, 5, 6],
            ),
            (
                "B27 beside a run that begins",
                &[
                    "start flow in a",
                    "wall -3600",
                    "start flow in b",
                    "wait 2",
                    "start t in a",
                    "end flow in b",
                    "end t in a",
                    "end flow in a",
                    "start flow in a",
                ],
                &[0, -HOUR, 2, 2 - HOUR, 2, 2, 2 - HOUR],
            ),
            (
                "a run that is nested later in an open one",
                &[
                    "start flow in a",
                    "wall -3600",
                    "start flow in b",
                    "start flow in c under a",
                    "end flow in c under a",
                    "end flow in a",
                ],
                &[0, -HOUR, 0, 0, 0],
            ),
            (
                "what is in no workflow",
                &["start t", "wall -3600", "start flow in b", "end t", "start t", "end t"],
                &[0, -HOUR, 0, -HOUR, -HOUR],
            ),
            (
                "set back twice",
                &[
                    "start flow in a",
                    "wall -3600",
                    "start flow in b",
                    "wall -3600",
                    "start flow in c",
                    "end flow in a",
                    "end flow in b",
                    "end flow in c",
                ],
                &[0, -HOUR, -2 * HOUR, 0, -HOUR, -2 * HOUR],
            ),
            ("B28 the wall clock jumps ahead", &["start flow in a", "wall 3600", "end flow in a"], &[0, HOUR]),
            (
                "a second is no jump",
                &["start flow in a", "wall -1", "start flow in b", "wall 2", "end flow in b"],
                &[0, 0, 0],
            ),
            (
                "progress",
                &["start t in a", "wall -3600", "start flow in b", "go t in a", "end t in a"],
                &[0, -HOUR, 0, 0],
            ),
        ];
        for (case, script, expected) in cases {
            WALL.set(Duration::from_secs(1_800_000_000));
            let mut stream = Stream::new(100);
            for line in script {
                match line.split_once(' ') {
                    Some(("wall", seconds)) => set_wall(seconds.parse().expect("a number")),
                    Some(("wait", seconds)) => {
                        let seconds: u64 = seconds.parse().expect("a number");
                        tokio::time::advance(Duration::from_secs(seconds)).await;
                        set_wall(seconds.cast_signed());
                    }
                    _ => stream.append(line),
                }
            }
            let times: Vec<_> = stream.seen.iter().map(|(_, time)| *time).collect();
            assert_eq!(times, expected, "{case}: {:?}", stream.seen);
            assert!(stream.timeline.earlier.len() <= MAX_EARLIER);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_whose_start_is_not_kept_any_more_stays_on_its_clock_to_its_end() {
        let mut stream = Stream::new(1);
        ["start flow in a", "start t in a", "go t in a"].iter().for_each(|line| stream.append(line));
        set_wall(-HOUR);
        let then = ["start flow in b", "end t in a", "end flow in a", "start flow in a"];
        then.iter().for_each(|line| stream.append(line));
        let times: Vec<_> = stream.seen[3..].iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [-HOUR, 0, 0, -HOUR], "{:?}", stream.seen);
        assert!(stream.timeline.earlier.iter().all(|earlier| earlier.runs.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_again_and_again_keeps_few_clocks() {
        let mut stream = Stream::new(100);
        for number in 0..3 * MAX_EARLIER {
            stream.append(&format!("start flow in {number}"));
            set_wall(-HOUR);
        }
        assert_eq!(stream.timeline.earlier.len(), MAX_EARLIER);
    }
}
