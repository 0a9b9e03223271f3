//! What was looked at and what was found.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    part: Part,
    name: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Store,
    Endpoint,
    Clock,
    Versions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    /// To be known, and no reason for anything to be done.
    Note,
    Problem,
}

impl Part {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Endpoint => "endpoint",
            Self::Clock => "clock",
            Self::Versions => "versions",
        }
    }

    pub(super) fn ok(self, name: &'static str, what: impl Into<String>) -> Check {
        Check { part: self, name, state: State::Ok, what: what.into(), advice: None }
    }

    pub(super) fn note(self, name: &'static str, what: impl Into<String>) -> Check {
        Check { part: self, name, state: State::Note, what: what.into(), advice: None }
    }

    pub(super) fn problem(self, name: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { part: self, name, state: State::Problem, what: what.into(), advice: Some(advice.into()) }
    }
}

impl Check {
    pub(super) const fn part(&self) -> Part {
        self.part
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}
