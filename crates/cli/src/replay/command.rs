//! The command itself.

use std::{io, mem, pin::pin, process::ExitCode, time::Duration};

use agent_runtime::{
    store::{Replay as Shown, StoreError, StoredEvent},
    view::Live,
};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::{bar::Bar, otlp};
use crate::{
    arguments::{Format, Replay},
    events,
    failure::Failure,
    store::Location,
    terminal::{self, Output},
};

/// How many bytes are written at once beside a bar, where nothing is waited for.
const AT_ONCE: usize = 4_096;

/// Writes what is shown.
struct Show<'a> {
    output: &'a mut Output,
    format: Format,
    live: Live,
    bar: Bar,
    /// What is not written yet while a bar has the line of the screen: such as an answer that is not over.
    line: String,
    speed: f64,
}

pub(crate) async fn run(
    location: &Location,
    asked: &Replay,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = location.open().await?;
    if asked.otlp {
        return otlp::send(location, &*store, asked, format, output).await;
    }
    let failed = |error| location.failed(error);
    let query = asked.filters.query();
    let longest_pause = asked.max_pause.0.unwrap_or(Duration::MAX);
    let bar = Bar::of(&*store, asked.from, &query, longest_pause).await.map_err(failed)?;
    let mut show = Show { output, format, live: Live::new(), bar, line: String::new(), speed: asked.speed.0 };
    let replay = Shown::of(store)
        .with_from(asked.from)
        .with_query(query)
        .with_speed(asked.speed.speed())
        .with_longest_pause(longest_pause);
    let shown = until_seen(replay, &mut show).await.unwrap_or_else(|error| Err(failed(error)));
    show.finish()?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// Shows events until the last one, or until one cannot be written.
async fn until_seen(replay: Shown, show: &mut Show<'_>) -> Result<Result<(), Failure>, StoreError> {
    // The function that a replay calls cannot end it, so that it is ended from outside.
    let (failed, failure) = oneshot::channel();
    let mut failed = Some(failed);
    let run = replay.run(|stored| {
        if failed.is_some()
            && let Err(failure) = show.event(&stored)
            && let Some(failed) = failed.take()
        {
            // Whoever waits for it lives as long as this.
            failed.send(failure).ok();
        }
    });
    match select(pin!(failure), pin!(run)).await {
        Either::Left((Ok(failure), _)) => Ok(Err(failure)),
        Either::Left((Err(_), run)) => run.await.map(|_| Ok(())),
        Either::Right((shown, mut failure)) => {
            shown?;
            Ok(failure.try_recv().map_or(Ok(()), Err))
        }
    }
}

impl Show<'_> {
    fn event(&mut self, stored: &StoredEvent) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => format!("{}\n", events::line(stored, self.format, self.output)),
            Format::Text => {
                self.live.observe(&stored.event);
                terminal::printable_lines(&self.live.take())
            }
        };
        self.bar.add(&stored.event, self.speed);
        self.write(&text)
    }

    /// Writes a text, and keeps what is no whole line back while the bar has the line.
    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let whole = if self.bar.is_drawn() {
            self.line.push_str(text);
            // Without a wait nobody reads line by line, and drawing the bar anew for each would take the time.
            let is_due = self.speed.is_finite() || self.line.len() >= AT_ONCE;
            let end = self.line.rfind('\n').filter(|_| is_due).map_or(0, |end| end + 1);
            let rest = self.line.split_off(end);
            mem::replace(&mut self.line, rest)
        } else {
            text.to_owned()
        };
        if whole.is_empty() {
            return Ok(());
        }
        let Self { output, bar, speed, .. } = self;
        bar.above(|| -> io::Result<()> {
            output.bytes(whole.as_bytes())?;
            if speed.is_finite() || bar.is_drawn() { output.flush() } else { Ok(()) }
        })?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.bar.finish();
        let rest = mem::take(&mut self.line);
        self.output.bytes(rest.as_bytes())?;
        Ok(self.output.flush()?)
    }
}
