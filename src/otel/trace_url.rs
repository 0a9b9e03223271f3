//! Links from an event to its trace in a backend's page.

use thiserror::Error;

use crate::{
    environment::{self, EnvironmentError},
    event::TraceContext,
};

/// The variable that holds the template of the links.
const TRACE_URL: &str = "AGENT_RUNTIME_TRACE_URL";

/// Stands for the trace's id in a template.
const TRACE_ID: &str = "{trace_id}";

/// Stands for the span's id in a template.
const SPAN_ID: &str = "{span_id}";

/// Makes links to traces, from a template with `{trace_id}` and, if the page can show one span, `{span_id}`.
///
/// ```
/// use agent_runtime::{event::TraceContext, otel::TraceUrl};
///
/// let trace: TraceContext = serde_json::from_str(
///     r#"{"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}"#,
/// )?;
/// let url = TraceUrl::new("https://traces.example/t/{trace_id}")?;
/// assert_eq!(url.of(&trace), "https://traces.example/t/0af7651916cd43dd8448eb211c80319c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl {
    template: String,
}

/// A template has no place for the trace's id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "trace link template {template:?} has no {{trace_id}} in it, such as http://127.0.0.1:16686/trace/{{trace_id}}"
)]
pub struct TraceUrlError {
    template: String,
}

impl TraceUrl {
    /// Takes a template.
    ///
    /// # Errors
    ///
    /// If it has no `{trace_id}` in it.
    pub fn new(template: impl Into<String>) -> Result<Self, TraceUrlError> {
        let template = template.into();
        if template.contains(TRACE_ID) { Ok(Self { template }) } else { Err(TraceUrlError { template }) }
    }

    /// Links to the span in the page of a Jaeger at a base URL, such as `http://127.0.0.1:16686`.
    #[must_use]
    pub fn jaeger(base_url: &str) -> Self {
        Self { template: format!("{}/trace/{TRACE_ID}?uiFind={SPAN_ID}", base_url.trim_end_matches('/')) }
    }

    /// Takes the template in `AGENT_RUNTIME_TRACE_URL`, if that is set.
    ///
    /// # Errors
    ///
    /// If it has no `{trace_id}` in it.
    pub fn from_env() -> Result<Option<Self>, EnvironmentError> {
        let expected = "a URL with {trace_id} in it, such as http://127.0.0.1:16686/trace/{trace_id}";
        environment::parsed(TRACE_URL, expected, |template| Self::new(template).ok())
    }

    /// The link to a component's span.
    #[must_use]
    pub fn of(&self, trace: &TraceContext) -> String {
        self.template.replace(TRACE_ID, &trace.trace_id.to_string()).replace(SPAN_ID, &trace.span_id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_needs_a_place_for_the_trace() {
        let error = TraceUrl::new("http://127.0.0.1/trace").unwrap_err();
        assert!(error.to_string().contains("{trace_id}"), "{error}");
        let trace = TraceContext {
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            span_id: "b7ad6b7169203331".parse().unwrap(),
            parent_span_id: None,
            sampled: true,
        };
        let expected = "http://127.0.0.1:1/trace/0af7651916cd43dd8448eb211c80319c?uiFind=b7ad6b7169203331";
        assert_eq!(TraceUrl::jaeger("http://127.0.0.1:1/").of(&trace), expected);
    }
}
