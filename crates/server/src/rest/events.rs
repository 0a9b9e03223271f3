//! Events, page by page.

use std::sync::Arc;

use agent_runtime::event::{Event, EventFilter};
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;

use super::present::Present;
use crate::{
    LostRange, Place,
    feed::From,
    refusal::Refusal,
    request::{add_filter, from, pairs, parameter, quoted, unknown},
    shared::Shared,
};

/// How many events a page has if nothing else is asked for, and at the most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

#[derive(Serialize)]
pub(crate) struct Page {
    events: Vec<Entry>,
    gaps: Vec<LostRange>,
    /// Where the next page begins.
    next: Place,
    /// Whether nothing was behind that.
    is_last: bool,
}

#[derive(Serialize)]
struct Entry {
    id: Place,
    event: Arc<Event>,
}

pub(crate) async fn page(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Result<Json<Page>, Refusal> {
    let _turn = shared.query().await;
    let (mut begin, mut filter, mut limit) = (From::Place(Place::Beginning), EventFilter::default(), DEFAULT_LIMIT);
    for (name, value) in pairs(query.as_deref()) {
        match name.as_str() {
            "from" => begin = from(&value)?,
            "limit" => limit = self::limit(&value)?,
            _ if add_filter(&mut filter, &name, &value)? => {}
            _ => return Err(unknown(&name, "scope, type, status, workflow, component, from, limit")),
        }
    }
    let mut present = Present::new(&shared, begin, filter).await?;
    let mut events = Vec::new();
    let mut next = present.place();
    while events.len() < limit {
        let Some(more) = present.next().await? else {
            // Behind what did not pass.
            next = present.place();
            break;
        };
        for (id, event) in more.into_iter().take(limit - events.len()) {
            next = id;
            events.push(Entry { id, event });
        }
    }
    Ok(Json(Page { events, gaps: present.gaps, next, is_last: present.is_complete }))
}

fn limit(value: &str) -> Result<usize, Refusal> {
    value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
        let message = format!("{} is no limit: use a number from 1 to {MAX_LIMIT}", quoted(value));
        Refusal::malformed(parameter("limit"), message)
    })
}
