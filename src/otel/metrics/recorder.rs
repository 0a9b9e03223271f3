//! The state machine from events to measurements.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use parking_lot::Mutex;

use super::{
    PriceTable,
    counts::EventCounts,
    instruments::{CostInstruments, InferenceTimes, Instruments, LegacyInstruments},
    labels::LabelGuard,
    open::{Measured, start_labels},
    process,
    series::Group,
};
use crate::{
    event::{Event, EventData, EventScope, EventType, Open, SharedIds, UNKNOWN_TOOL},
    otel::{
        ContentPolicy, DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_SPAN_AGE,
        bounded::{Bounded, Bounds, Found, Seen},
        content::OTHER,
        failure, mapping, names,
    },
};

/// How many components may be open at once by default; beyond it the oldest counts as interrupted.
pub const DEFAULT_MAX_OPEN_COMPONENTS: usize = DEFAULT_MAX_OPEN_SPANS;

/// How long a component may stay open by default before it counts as interrupted.
pub const DEFAULT_MAX_COMPONENT_AGE: Duration = DEFAULT_MAX_SPAN_AGE;

/// The modality of tokens whose provider does not split them.
const UNKNOWN_MODALITY: &str = "unknown";

/// Turns events into measurements of the instruments of a [`Meter`], with the events' own times.
///
/// It knows neither `tracing` nor an exporter: [`OtelLayer`](crate::otel::OtelLayer) hands it live events, a replay
/// stored ones. Events of one component must come in order; components may interleave in any way. A duration is
/// that of the component's span.
pub struct MetricsRecorder {
    meter: Meter,
    instruments: Instruments,
    legacy: Option<LegacyInstruments>,
    prices: Option<(PriceTable, CostInstruments)>,
    guard: LabelGuard,
    counts: Arc<EventCounts>,
    bounds: Bounds,
    open: Mutex<Bounded<Measured>>,
}

impl MetricsRecorder {
    /// Makes a recorder with the instruments of a meter.
    ///
    /// The meter also observes, from now on, how many events the subscribers of all streams of the process miss. Give a
    /// meter to one recorder only: what two of them observe does not add up.
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        process::observe_lag(&meter);
        Self {
            instruments: Instruments::new(&meter),
            legacy: None,
            prices: None,
            guard: LabelGuard::new(&meter),
            counts: EventCounts::read_by(&meter),
            bounds: Bounds { max_open: DEFAULT_MAX_OPEN_COMPONENTS, max_age: DEFAULT_MAX_COMPONENT_AGE },
            open: Mutex::default(),
            meter,
        }
    }

    /// Sets whether the names that the conventions had before v0.1.0 are measured as well. By default, they are not.
    #[must_use]
    pub fn with_legacy_metrics(mut self, enabled: bool) -> Self {
        self.legacy = enabled.then(|| LegacyInstruments::new(&self.meter));
        self
    }

    /// Counts what requests cost. By default, there are no prices and no cost.
    #[must_use]
    pub fn with_prices(mut self, prices: PriceTable) -> Self {
        let instruments = CostInstruments::new(&self.meter, prices.currency().to_owned().into());
        self.prices = Some((prices, instruments));
        self
    }

    /// Sets how many values each attribute takes; those that come after become `_OTHER`, and with 0 all do. By default,
    /// [`DEFAULT_MAX_LABEL_VALUES`](super::DEFAULT_MAX_LABEL_VALUES).
    #[must_use]
    pub fn with_max_label_values(mut self, values: usize) -> Self {
        self.guard.set_max_values(values);
        self
    }

    /// Sets what names pass before they leave the process: the policy's redactor. By default, nothing is redacted.
    #[must_use]
    pub fn with_content(mut self, content: ContentPolicy) -> Self {
        self.guard.set_content(content);
        self
    }

    /// Sets how many components may be open at once; at least 1. By default, [`DEFAULT_MAX_OPEN_COMPONENTS`].
    #[must_use]
    pub fn with_max_open_components(mut self, components: usize) -> Self {
        self.bounds.max_open = components.max(1);
        self
    }

    /// Sets how long a component may stay open, counted from when its start was observed, whatever time that carries; it is
    /// looked at when the next one starts. By default,
    /// [`DEFAULT_MAX_COMPONENT_AGE`].
    #[must_use]
    pub fn with_max_component_age(mut self, age: Duration) -> Self {
        self.bounds.max_age = age;
        self
    }

    /// Takes in an event.
    pub fn observe(&self, event: &Event) {
        self.counts.event(event.scope, event.event_type);
        match (event.scope, event.event_type) {
            (EventScope::System, _) => self.system(event),
            (_, EventType::Started) => self.start(event),
            (EventScope::LlmRequest, EventType::Progress) => self.chunk(event),
            (_, EventType::Progress) => {}
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => self.end(event),
        }
    }

    /// How many components are open.
    #[must_use]
    pub fn open_components(&self) -> usize {
        self.open.lock().len()
    }

    /// How many labels became `_OTHER`, since their attribute had taken as many values as it may.
    #[must_use]
    pub fn overflowed_labels(&self) -> u64 {
        self.guard.overflowed()
    }

    /// Ends every open component as interrupted, and takes in no others from then on.
    pub fn close(&self) {
        let open = self.open.lock().close();
        open.iter().for_each(|component| self.interrupt(component));
    }

    fn start(&self, event: &Event) {
        let kept = Measured::of(event, &self.guard);
        let mut open = self.open.lock();
        if open.is_closed() {
            return;
        }
        if let Some(parent) = open.open_mut().parent_of_mut(event).filter(|parent| parent.scope == EventScope::Agent) {
            parent.kept.of.count_call(event.scope);
        }
        let overdue = open.insert(event, SharedIds::of(event), kept, self.bounds);
        drop(open);
        self.counts.opened(event.scope);
        overdue.iter().for_each(|component| self.interrupt(component));
    }

    fn chunk(&self, event: &Event) {
        let mut open = self.open.lock();
        let Some(request) = open.open_mut().of(event) else { return };
        let Some(gap) = request.kept.of.chunks.add(event.timestamp) else { return };
        let labels = Arc::clone(&request.kept.of.labels);
        drop(open);
        // The model that answers is only known at the end, and a chunk has no room for a set of its own.
        self.for_times(|times| times.time_per_output_chunk.record(seconds(gap), &labels));
    }

    fn end(&self, event: &Event) {
        let found = self.open.lock().take(event);
        let taken = match found {
            Found::Open(component) => Some(component),
            Found::Ended => return,
            Found::Abandoned | Found::Unknown => None,
        };
        // Without its start nobody knows how long a component took; what its end says is counted all the same.
        if let Some(component) = &taken {
            self.counts.closed(component.scope);
            let error = (event.event_type != EventType::Completed).then(|| failure::error_type(event));
            self.duration(component, event.timestamp, error.as_deref(), Some(event));
        }
        match event.scope {
            EventScope::Agent => self.calls(taken.as_ref(), event),
            EventScope::LlmRequest => self.request(taken.as_ref(), event),
            EventScope::Workflow | EventScope::WorkflowStep | EventScope::Tool | EventScope::System => {}
        }
    }

    fn system(&self, event: &Event) {
        let labels = self.guard.labels().name(names::SYSTEM_SUBSYSTEM, Some(event.component_name()));
        self.instruments.system_events.add(1, &labels.for_instruments(Group::System));
    }

    fn interrupt(&self, component: &Open<Seen<Measured>>) {
        self.counts.closed(component.scope);
        self.duration(component, component.abandoned_at(), Some(failure::INTERRUPTED), None);
    }

    /// Records how long a component took, as its span does.
    fn duration(&self, component: &Open<Seen<Measured>>, at: DateTime<Utc>, error: Option<&str>, end: Option<&Event>) {
        let took = seconds(at - component.started);
        let mut labels = self.guard.labels_from(&component.kept.of.labels);
        if component.scope == EventScope::Tool {
            // A name that the model made up must not take the place of a real one.
            let is_made_up = error == Some(UNKNOWN_TOOL);
            let name = if is_made_up { Some(OTHER) } else { component.kept.of.name.as_deref() };
            labels = labels.name(names::TOOL_NAME, name);
        }
        let response_model = end.and_then(|end| mapping::response_model(&end.data));
        labels = labels.name(names::RESPONSE_MODEL, response_model).name(names::ERROR_TYPE, error);
        let labels = labels.for_instruments(Group::Duration);
        let record = |histogram: &Histogram<f64>| histogram.record(took, &labels);
        match component.scope {
            EventScope::WorkflowStep => record(&self.instruments.step_duration),
            EventScope::Workflow => {
                record(&self.instruments.agent_duration);
                if let Some(legacy) = &self.legacy {
                    legacy.workflow_duration.record(took, &under_legacy_names(&labels));
                }
            }
            EventScope::Agent => record(&self.instruments.agent_duration),
            EventScope::LlmRequest => self.for_times(|times| record(&times.duration)),
            EventScope::Tool => record(&self.instruments.tool_duration),
            EventScope::System => {}
        }
    }

    /// Records how often an agent asked its model and ran tools: as its end says, else as was seen.
    fn calls(&self, agent: Option<&Open<Seen<Measured>>>, end: &Event) {
        let seen = agent.map(|agent| agent.kept.of.calls);
        let labels = self.guard.labels().name(names::AGENT_NAME, Some(end.component_name()));
        let labels = labels.for_instruments(Group::Calls);
        if let Some(calls) = end.data.llm_calls().or(seen.map(|calls| calls.inference)) {
            self.instruments.agent_inference_calls.record(calls, &labels);
        }
        if let Some(calls) = end.data.tool_call_count().or(seen.map(|calls| calls.tool)) {
            self.instruments.agent_tool_calls.record(calls, &labels);
        }
    }

    /// Records what the end of a request says besides its time.
    fn request(&self, request: Option<&Open<Seen<Measured>>>, end: &Event) {
        let data = &end.data;
        let start = request
            .map_or_else(|| start_labels(end, &self.guard).into_set().into(), |open| Arc::clone(&open.kept.of.labels));
        let labels = self.guard.labels_from(&start).name(names::RESPONSE_MODEL, mapping::response_model(data));
        let labels = labels.for_instruments(Group::Request);
        if let Some(time) = request.and_then(|request| time_to_first_chunk(request, data)) {
            self.for_times(|times| times.time_to_first_chunk.record(time, &labels));
        }
        self.count_tokens(data, &labels);
        if end.event_type == EventType::Completed {
            self.record_tokens(data, &labels);
        }
        // Last, since it calls code of the user's.
        self.cost(end, request.and_then(|request| request.kept.of.name.as_deref()).or(data.model()), &labels);
    }

    /// Counts the tokens that a request used, also if it failed; what was not reported is not made up.
    fn count_tokens(&self, data: &EventData, labels: &[KeyValue]) {
        let labels = self.guard.labels_from(labels).word(names::TOKEN_MODALITY, UNKNOWN_MODALITY);
        let labels = labels.for_instruments(Group::Tokens);
        let count = |counter: &Counter<u64>, tokens: Option<u64>| {
            if let Some(tokens) = tokens {
                counter.add(tokens, &labels);
            }
        };
        count(&self.instruments.input_tokens, data.input_tokens());
        count(&self.instruments.output_tokens, data.output_tokens());
        count(&self.instruments.cache_read_tokens, data.cached_tokens());
        count(&self.instruments.cache_write_tokens, data.cache_write_tokens());
        count(&self.instruments.reasoning_tokens, data.reasoning_tokens());
    }

    /// Records the tokens of one request that went well.
    fn record_tokens(&self, data: &EventData, labels: &[KeyValue]) {
        let record = |histogram: &Histogram<u64>, tokens: Option<u64>, token_type: &'static str| {
            let Some(tokens) = tokens else { return };
            histogram.record(tokens, labels);
            if let Some(legacy) = &self.legacy {
                let labels = self.guard.labels_from(labels).word(names::TOKEN_TYPE, token_type);
                legacy.token_usage.record(tokens, &labels.for_instruments(Group::TokenUsage));
            }
        };
        record(&self.instruments.operation_input_tokens, data.input_tokens(), "input");
        record(&self.instruments.operation_output_tokens, data.output_tokens(), "output");
    }

    fn cost(&self, end: &Event, asked: Option<&str>, labels: &[KeyValue]) {
        let Some((prices, instruments)) = &self.prices else { return };
        if end.data.input_tokens().or(end.data.output_tokens()).is_none() {
            return;
        }
        let price = prices.price([end.data.response_model(), asked]);
        let labels = self.guard.labels_from(labels).name(names::AGENT_NAME, Some(end.component_name()));
        let labels = labels.for_instruments(Group::Cost);
        match price.and_then(|price| price.of(&end.data)) {
            Some(cost) => instruments.cost.add(cost, &labels),
            None => instruments.unpriced.add(1, &labels),
        }
    }

    /// Records under the new names and, if wanted, under the legacy ones.
    fn for_times(&self, record: impl Fn(&InferenceTimes)) {
        record(&self.instruments.inference);
        if let Some(legacy) = &self.legacy {
            record(&legacy.times);
        }
    }
}

/// From a streaming request to its first chunk: as was seen, else, where a filter keeps progress away, as its end says.
fn time_to_first_chunk(request: &Open<Seen<Measured>>, end: &EventData) -> Option<f64> {
    let seen = request.kept.of.chunks.first.and_then(|first| (first - request.started).to_std().ok());
    let told = || end.time_to_first_chunk().filter(|_| !request.kept.of.chunks.unwanted);
    seen.or_else(told).map(|time| time.as_secs_f64())
}

/// A workflow's labels as the conventions had them before v0.1.0.
fn under_legacy_names(labels: &[KeyValue]) -> Vec<KeyValue> {
    let labels = labels.iter().filter(|label| label.key.as_str() != names::OPERATION_NAME);
    let renamed = labels.map(|label| match label.key.as_str() {
        names::AGENT_NAME => KeyValue::new(names::WORKFLOW_NAME, label.value.clone()),
        _ => label.clone(),
    });
    renamed.collect()
}

/// A time in seconds; an end before its start took none.
fn seconds(time: TimeDelta) -> f64 {
    time.to_std().unwrap_or_default().as_secs_f64()
}

impl fmt::Debug for MetricsRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsRecorder")
            .field("open", &self.open_components())
            .field("overflowed_labels", &self.overflowed_labels())
            .field("legacy", &self.legacy.is_some())
            .field("prices", &self.prices.as_ref().map(|(prices, _)| prices))
            .finish_non_exhaustive()
    }
}
