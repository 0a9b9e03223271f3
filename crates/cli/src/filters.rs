//! Which events are wanted: from the arguments into a query.

use std::str::FromStr as _;

use agent_runtime::{
    event::{ComponentStatus, EventScope, EventType},
    store::{Cursor, Position, Query},
};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::arguments::{Filters, From, Pace};

/// The query of what is wanted.
pub(crate) fn query(filters: &Filters) -> Query {
    let mut query = Query::default();
    query.filter.scopes.clone_from(&filters.scope);
    query.filter.event_types.clone_from(&filters.event_type);
    query.filter.statuses.clone_from(&filters.status);
    query.filter.workflow_ids.clone_from(&filters.workflow);
    query.filter.component_ids.clone_from(&filters.component);
    (query.since, query.until) = (filters.since, filters.until);
    query
}

/// Reads where to begin.
pub(crate) fn from(text: &str) -> Result<From, String> {
    match text {
        "beginning" => Ok(From::Cursor(Cursor::Beginning)),
        "end" => Ok(From::End),
        position => match Position::from_str(position) {
            Ok(position) => Ok(From::Cursor(Cursor::After(position))),
            Err(error) => Err(format!("{error}, or `beginning`, or `end`")),
        },
    }
}

/// Reads where to begin, for what has to begin with something stored.
pub(crate) fn cursor(text: &str) -> Result<Cursor, String> {
    match from(text)? {
        From::Cursor(cursor) => Ok(cursor),
        From::End => Err("nothing is behind the end".to_owned()),
    }
}

/// Reads a speed.
pub(crate) fn speed(text: &str) -> Result<Pace, String> {
    let factor = || text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
    match text {
        "max" => Ok(Pace(f64::INFINITY)),
        _ => factor()
            .filter(|factor| factor.is_finite() && *factor > 0.0)
            .map(Pace)
            .ok_or_else(|| "expected a number above 0, such as 1, 10 or 0.5, or `max`".to_owned()),
    }
}

pub(crate) fn scope() -> impl TypedValueParser<Value = EventScope> {
    named(EventScope::ALL, EventScope::as_str)
}

pub(crate) fn event_type() -> impl TypedValueParser<Value = EventType> {
    named(EventType::ALL, EventType::as_str)
}

pub(crate) fn status() -> impl TypedValueParser<Value = ComponentStatus> {
    named(ComponentStatus::ALL, ComponentStatus::as_str)
}

fn named<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names: Vec<_> = all.iter().map(|value| name(*value)).collect();
    PossibleValuesParser::new(names).map(move |text| {
        let value = all.iter().find(|value| name(**value) == text);
        *value.expect("the parser lets through names of the list alone")
    })
}
