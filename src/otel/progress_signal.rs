//! The choice of the signal that carries progress.

/// What the progress of components becomes, pieces of answers included.
///
/// OpenTelemetry is about to replace the API of span events by events that are log records of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProgressSignal {
    /// Events on the component's span, which readers of traces show. The default.
    #[default]
    SpanEvents,
    /// Log events in the component's span, which need an exporter of logs.
    LogEvents,
    /// Both.
    Both,
}

impl ProgressSignal {
    /// Whether spans carry the progress.
    #[must_use]
    pub const fn is_on_spans(self) -> bool {
        matches!(self, Self::SpanEvents | Self::Both)
    }

    /// Whether log events are emitted of it.
    #[must_use]
    pub const fn is_in_logs(self) -> bool {
        matches!(self, Self::LogEvents | Self::Both)
    }
}
