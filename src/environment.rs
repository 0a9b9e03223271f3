//! The environment variables of this crate: every one is read here, into typed values, and nowhere else.
//!
//! As the OpenTelemetry specification has it, a variable that is empty counts as not set, and words go by no case.

#[cfg(feature = "otlp-http")]
pub(crate) mod telemetry;

use std::{borrow::Cow, env};

use thiserror::Error;

/// The value of an environment variable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}={value:?} is not {expected}")]
pub struct EnvironmentError {
    variable: &'static str,
    value: String,
    expected: Cow<'static, str>,
}

impl EnvironmentError {
    pub(crate) fn new(
        variable: &'static str,
        value: impl Into<String>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { variable, value: value.into(), expected: expected.into() }
    }

    /// The variable's name.
    #[must_use]
    pub const fn variable(&self) -> &'static str {
        self.variable
    }

    /// Its value; `…` stands for what may be secret in it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What would be right, as the end of a sentence: `one of "gzip", "none"`, say.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

/// Whether tests write their golden files rather than compare with them.
#[cfg(feature = "testing")]
pub(crate) const UPDATE_GOLDEN: &str = "AGENT_RUNTIME_UPDATE_GOLDEN";

/// Reads [`UPDATE_GOLDEN`]. By default, no.
#[cfg(feature = "testing")]
pub(crate) fn updates_golden_files() -> Result<bool, EnvironmentError> {
    let words = [("1", true), ("true", true), ("0", false), ("false", false)];
    Ok(one_of(UPDATE_GOLDEN, &words)?.unwrap_or_default())
}

/// Whether spans carry OpenInference's names as well.
#[cfg(feature = "otlp-http")]
const OPEN_INFERENCE: &str = "AGENT_RUNTIME_OPEN_INFERENCE";

/// Reads [`OPEN_INFERENCE`].
#[cfg(feature = "otlp-http")]
pub(crate) fn open_inference() -> Result<Option<bool>, EnvironmentError> {
    one_of(OPEN_INFERENCE, &[("true", true), ("false", false)])
}

/// What a variable says, without the space around it.
pub(crate) fn text(variable: &'static str) -> Result<Option<String>, EnvironmentError> {
    match env::var(variable) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        // It may be a secret, so its value is not shown.
        Err(env::VarError::NotUnicode(_)) => Err(EnvironmentError::new(variable, "…", "UTF-8")),
    }
}

/// Whether a variable is set to nothing, for libraries that take this for a value.
#[cfg(feature = "otlp-http")]
fn is_empty(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.trim().is_empty())
}

/// What a variable says, read by a function that returns nothing for what it cannot read.
#[cfg(feature = "otel")]
pub(crate) fn parsed<T>(
    variable: &'static str,
    expected: impl Into<Cow<'static, str>>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, EnvironmentError> {
    let Some(value) = text(variable)? else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(EnvironmentError::new(variable, value, expected)),
    }
}

/// What a variable says that takes one of a few words.
#[cfg(feature = "otel")]
pub(crate) fn one_of<T: Copy>(
    variable: &'static str,
    words: &[(&'static str, T)],
) -> Result<Option<T>, EnvironmentError> {
    let listed = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let find = |value: &str| words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, found)| *found);
    parsed(variable, "", find)
        .map_err(|error| EnvironmentError { expected: format!("one of {}", listed()).into(), ..error })
}
