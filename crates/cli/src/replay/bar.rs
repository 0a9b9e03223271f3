//! How far a replay is, on stderr if that is a terminal.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use agent_runtime::{
    event::Event,
    store::{Cursor, EventStore, Query, StoreError},
};
use chrono::{DateTime, Utc};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pages;

/// How often the bar is drawn in a second.
const DRAWN_PER_SECOND: u8 = 10;

/// Where a replay is in what it shows.
pub(super) struct Bar {
    drawn: Option<Drawn>,
}

struct Drawn {
    bar: ProgressBar,
    began: Instant,
    extent: Extent,
    shown: Extent,
}

/// Some events: how many, and how long their pauses are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    events: u64,
    /// At the pace of the replay, in its own time.
    pauses: Duration,
    longest_pause: Duration,
    last: Option<DateTime<Utc>>,
}

impl Bar {
    /// Counts what is to be shown and draws an empty bar; none where nobody would see it, and nothing is counted then.
    pub(super) async fn of(
        store: &dyn EventStore,
        from: Cursor,
        query: &Query,
        longest_pause: Duration,
    ) -> Result<Self, StoreError> {
        if !io::stderr().is_terminal() {
            return Ok(Self { drawn: None });
        }
        let mut extent = Extent::new(longest_pause);
        pages::each(store, from, query, |stored| extent.add(&stored.event)).await?;
        let bar =
            ProgressBar::with_draw_target(Some(extent.events), ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND));
        bar.set_style(
            ProgressStyle::with_template("{bar:30} {pos}/{len} events  {msg}").expect("the template is valid"),
        );
        let shown = Extent::new(longest_pause);
        Ok(Self { drawn: Some(Drawn { bar, began: Instant::now(), extent, shown }) })
    }

    /// Whether it is on the screen, so that lines have to make room for it.
    pub(super) const fn is_drawn(&self) -> bool {
        self.drawn.is_some()
    }

    /// Moves on by an event. `speed` is how fast pauses pass, infinite if there are none.
    pub(super) fn add(&mut self, event: &Event, speed: f64) {
        let Some(Drawn { bar, began, extent, shown }) = &mut self.drawn else { return };
        shown.add(event);
        let elapsed = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let (done, all) = (shown.events as f64, extent.events as f64);
        let rate = done / elapsed.max(1e-3);
        let by_rate = (all - done).max(0.0) / rate;
        let by_pauses = extent.pauses.saturating_sub(shown.pauses).as_secs_f64() / speed;
        let left = if speed.is_finite() { by_pauses } else { by_rate };
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        bar.set_message(format!("{rate:.0}/s  {} left", HumanDuration(left)));
        bar.set_position(shown.events);
    }

    /// Writes to the screen that the bar is on.
    pub(super) fn above<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.drawn {
            Some(drawn) => drawn.bar.suspend(write),
            None => write(),
        }
    }

    /// Takes it off the screen.
    pub(super) fn finish(&self) {
        if let Some(drawn) = &self.drawn {
            drawn.bar.finish_and_clear();
        }
    }
}

impl Extent {
    const fn new(longest_pause: Duration) -> Self {
        Self { events: 0, pauses: Duration::ZERO, longest_pause, last: None }
    }

    fn add(&mut self, event: &Event) {
        let before = self.last.replace(event.timestamp);
        let pause = before.and_then(|before| (event.timestamp - before).to_std().ok()).unwrap_or_default();
        self.events += 1;
        self.pauses = self.pauses.saturating_add(pause.min(self.longest_pause));
    }
}

#[cfg(test)]
mod tests {
    use agent_runtime::prelude::*;

    use super::*;

    #[test]
    fn an_extent_adds_pauses_up_to_the_longest() {
        let mut extent = Extent::new(Duration::from_secs(10));
        let mut event = Event::agent_started("writer", None, None, json!({}));
        for seconds in [0, 4, 3, 3_600] {
            event.timestamp = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
            extent.add(&event);
        }
        assert_eq!((extent.events, extent.pauses), (4, Duration::from_secs(14)));
    }
}
