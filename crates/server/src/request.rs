//! What a request asks for, read from its query string and headers.

use std::{mem, time::Duration};

use agent_runtime::{
    event::{ComponentStatus, EventFilter, EventScope, EventType},
    stream::BatchWindow,
};
use axum::http::HeaderMap;

use crate::{access::TOKEN_PARAMETER, feed::From, refusal::Refusal};

/// How many values the filters of one request may have together.
pub(crate) const MAX_FILTER_VALUES: usize = 32;

/// The longest time for which progress may be merged.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(10);

const LAST_EVENT_ID: &str = "last-event-id";

/// What a client of a stream asks for.
#[derive(Clone, Debug)]
pub(crate) struct StreamRequest {
    pub(crate) from: From,
    pub(crate) filter: EventFilter,
    pub(crate) window: Option<BatchWindow>,
}

impl StreamRequest {
    /// Reads `scope`, `type`, `status`, `workflow`, `component`, `from` and `merge`. The header `Last-Event-ID`, which a browser
    /// sends when it comes back to the same address, goes before `from`.
    pub(crate) fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut request = Self { from: From::Now, filter: EventFilter::default(), window: None };
        for (name, value) in pairs(query) {
            match name.as_str() {
                "merge" => request.window = window(&value)?,
                "from" => request.from = from(&value)?,
                _ if add_filter(&mut request.filter, &name, &value)? => {}
                _ => return Err(unknown(&name, "scope, type, status, workflow, component, from, merge")),
            }
        }
        if let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
            let place = id.to_str().ok().and_then(|id| id.parse().ok());
            request.from = From::Place(place.ok_or_else(|| {
                Refusal::malformed(
                    "header Last-Event-ID",
                    format!(
                        "{} is the id of no message: send one that was received, or no such header",
                        quoted(&String::from_utf8_lossy(id.as_bytes()))
                    ),
                )
            })?);
        }
        Ok(request)
    }
}

/// Takes a parameter into a filter; `false` if it is no filter.
pub(crate) fn add_filter(filter: &mut EventFilter, name: &str, value: &str) -> Result<bool, Refusal> {
    let more = EventFilter::default();
    let more = match name {
        "scope" => more.with_scope(named(name, value, EventScope::ALL, |scope| scope.as_str())?),
        "type" => more.with_type(named(name, value, EventType::ALL, |event_type| event_type.as_str())?),
        "status" => more.with_status(named(name, value, ComponentStatus::ALL, |status| status.as_str())?),
        "workflow" => more.with_workflow(id(name, value, EventScope::MAX_WORKFLOW_ID_BYTES)?),
        "component" => more.with_component(id(name, value, EventScope::MAX_COMPONENT_ID_BYTES)?),
        _ => return Ok(false),
    };
    *filter = mem::take(filter).with_all(more);
    if filter.len() > MAX_FILTER_VALUES {
        let message = format!("more than {MAX_FILTER_VALUES} values of filters: leave some out and filter what comes");
        return Err(Refusal::malformed(parameter(name), message));
    }
    Ok(true)
}

/// The parameters of a query string, but for the token.
pub(crate) fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).filter(|(name, _)| name != TOKEN_PARAMETER)
}

/// Where to begin.
pub(crate) fn from(value: &str) -> Result<From, Refusal> {
    if value == "now" {
        return Ok(From::Now);
    }
    value.parse().map(From::Place).map_err(|error| {
        let message = format!("{} is no position: {error}; or `now`", quoted(value));
        Refusal::malformed(parameter("from"), message)
    })
}

/// A parameter that there is not.
pub(crate) fn unknown(name: &str, known: &str) -> Refusal {
    Refusal::malformed(parameter(name), format!("there is no parameter {}: use one of {known}", quoted(name)))
}

/// The name of a parameter, for the place of an error.
pub(crate) fn parameter(name: &str) -> String {
    format!("parameter {}", shortened(name))
}

/// A text of the client's, as short as a message may be.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

fn named<T: Copy>(name: &str, value: &str, all: &[T], text: impl Fn(T) -> &'static str) -> Result<T, Refusal> {
    all.iter().copied().find(|one| text(*one) == value).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|one| text(*one)).collect();
        let message = format!("{} is no {name}: use one of {}", quoted(value), known.join(", "));
        Refusal::malformed(parameter(name), message)
    })
}

fn id(name: &str, value: &str, max_bytes: usize) -> Result<String, Refusal> {
    if value.is_empty() || value.len() > max_bytes {
        let message = format!("an id has 1 to {max_bytes} bytes, this one has {}", value.len());
        return Err(Refusal::malformed(parameter(name), message));
    }
    Ok(value.to_owned())
}

fn window(value: &str) -> Result<Option<BatchWindow>, Refusal> {
    let millis = |value: &str| value.parse().ok().map(Duration::from_millis).filter(|window| *window <= MAX_WINDOW);
    match value {
        "on" => Ok(Some(BatchWindow::default())),
        "off" => Ok(None),
        _ => millis(value).map(|window| Some(window.into())).ok_or_else(|| {
            let message = format!(
                "{} is no window: use `on` (50 ms for answers, 100 ms for tools), `off`, or milliseconds up to {}",
                quoted(value),
                MAX_WINDOW.as_millis()
            );
            Refusal::malformed(parameter("merge"), message)
        }),
    }
}
