//! `events`: what the store holds, an event a line, and what comes.

use std::{pin::pin, process::ExitCode, time::Duration};

use agent_runtime::{
    event::{Event, EventScope, EventType},
    store::{Cursor, EventStore, Page, Query, StoreError, StoredEvent},
};
use futures_util::future::{Either, select};
use serde::Serialize;
use tokio::{signal::ctrl_c, time::sleep};

use crate::{
    arguments::{Events, Format},
    failure::Failure,
    store::Location,
    terminal::{self, Color, Output},
    times,
    values::From,
};

/// How many events are read at once.
const PAGE_SIZE: usize = 256;

/// The most characters of a line's message; JSON has the whole.
const MAX_MESSAGE: usize = 300;

/// How often a follower tries again while the store is busy, and how long it waits each time.
const RETRIES: (u32, Duration) = (10, Duration::from_secs(1));

/// An event of the list in JSON.
#[derive(Serialize)]
struct Line<'a> {
    position: String,
    event: &'a Event,
}

pub(crate) async fn run(
    location: &Location,
    asked: &Events,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = location.open().await?;
    let failed = |error| location.failed(error);
    let mut cursor = match asked.from {
        From::Cursor(cursor) => cursor,
        From::End => store.latest().await.map_err(failed)?.map_or(Cursor::Beginning, Cursor::After),
    };
    let query = asked.filters.query();
    let mut left = asked.limit.unwrap_or(u64::MAX);
    // Only who follows has something to end: without a handler Ctrl-C ends the process as it always does.
    let mut interrupted = pin!(async {
        if asked.follow { ctrl_c().await.map_err(Failure::Runtime) } else { std::future::pending().await }
    });
    while left > 0 {
        let next = pin!(next(&*store, cursor, &query, asked.follow));
        let page = match select(&mut interrupted, next).await {
            Either::Left((ended, _)) => {
                ended?;
                break;
            }
            Either::Right((page, _)) => page.map_err(failed)?,
        };
        for stored in &page.events {
            output.line(&line(stored, format, output))?;
            left -= 1;
            if left == 0 {
                break;
            }
        }
        output.flush()?;
        cursor = page.next;
        if page.is_last && !asked.follow {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The next page; a follower waits for one with events, and while the store is busy.
async fn next(store: &dyn EventStore, from: Cursor, query: &Query, follows: bool) -> Result<Page, StoreError> {
    let mut cursor = from;
    let mut failures = 0;
    loop {
        let page = async {
            let page = store.read(cursor, query, PAGE_SIZE).await?;
            if follows && page.is_last && page.events.is_empty() {
                store.changed(page.next).await?;
            }
            Ok(page)
        };
        match page.await {
            Ok(page) if follows && page.events.is_empty() => (cursor, failures) = (page.next, 0),
            Err(error @ StoreError::Unavailable { .. }) if follows && failures < RETRIES.0 => {
                drop(error);
                failures += 1;
                sleep(RETRIES.1).await;
            }
            page => return page,
        }
    }
}

/// An event as a line.
pub(crate) fn line(stored: &StoredEvent, format: Format, output: &Output) -> String {
    let event = &stored.event;
    if format == Format::Json {
        return terminal::json(&Line { position: stored.position.to_string(), event });
    }
    let color = match event.event_type {
        EventType::Started => Color::Strong,
        EventType::Progress => Color::Faint,
        EventType::Completed => Color::Good,
        EventType::Failed => Color::Bad,
        EventType::Canceled => Color::Warning,
    };
    let event_type = output.paint(color, &format!("{:<9}", event.event_type.as_str()));
    let mut line = format!(
        "{}  {}  {:<13}  {event_type}  {}",
        output.paint(Color::Faint, &times::stamp(event.timestamp)),
        output.paint(Color::Faint, &stored.position.to_string()),
        event.scope.as_str(),
        terminal::printable(&event.component_id),
    );
    if let Some(workflow) = event.workflow_id.as_deref().filter(|id| *id != event.component_id) {
        line.push_str(&format!("  {}", output.paint(Color::Faint, &terminal::printable(workflow))));
    }
    let said = said(event);
    if !said.is_empty() {
        line.push_str("  ");
        line.push_str(&said);
    }
    line
}

/// What the event has to say, in a few words.
fn said(event: &Event) -> String {
    let is_request = event.scope == EventScope::LlmRequest;
    let tokens = (event.data.input_tokens(), event.data.output_tokens());
    if let (EventType::Completed, true, (Some(input), Some(output))) = (event.event_type, is_request, tokens) {
        return format!("{input} → {output} tokens");
    }
    let chunk = || event.data.chunk_text().filter(|_| is_request);
    let Some(text) = event.message.as_deref().or_else(chunk) else { return String::new() };
    let end = text.char_indices().nth(MAX_MESSAGE).map(|(end, _)| end);
    match end {
        Some(end) => format!("{}…", terminal::printable(&text[..end])),
        None => terminal::printable(text),
    }
}
