//! The values of arguments that are of the library's kinds: places, speeds, and what events are.

use std::str::FromStr as _;

use agent_runtime::{
    event::{ComponentStatus, EventScope, EventType},
    store::{Cursor, Position, Speed},
};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Where a reader begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Cursor(Cursor),
    End,
}

/// How many times as fast as it happened; infinite for without a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace(pub(crate) f64);

impl Pace {
    pub(crate) const fn speed(self) -> Speed {
        Speed::times(self.0)
    }
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
