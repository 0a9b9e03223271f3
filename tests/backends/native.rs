//! What the native events say, and what a backend must therefore have. Derived from the events alone: nothing here calls
//! the bridge.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use agent_runtime::event::{Event, EventScope, EventType};
use serde_json::{Value as JsonValue, json};

use crate::jaeger::JaegerSpan;

/// The events of a program's run.
pub(crate) struct Native {
    events: Vec<Event>,
}

/// What one component said.
#[derive(Clone)]
pub(crate) struct Component<'a> {
    pub(crate) start: &'a Event,
    pub(crate) end: &'a Event,
    /// Its reports in between.
    pub(crate) progress: Vec<&'a Event>,
    /// How many system events concern it.
    pub(crate) system: usize,
}

impl Native {
    /// Reads a file of JSON lines.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let events: Vec<_> = text.lines().map(|line| Event::from_json(line).expect("a line is an event")).collect();
        let offsets: Vec<_> = events.iter().filter_map(|event| event.offset).collect();
        assert!(offsets.iter().copied().eq(0..events.len() as u64), "the reader of the events missed some");
        Self { events }
    }

    /// All components with a span, each of which must have started once and ended once.
    pub(crate) fn components(&self) -> Vec<Component<'_>> {
        let mut by_span: HashMap<_, Vec<&Event>> = HashMap::new();
        for event in &self.events {
            let trace = event.trace.unwrap_or_else(|| panic!("no span was made for {event:?}"));
            by_span.entry(trace.span_id).or_default().push(event);
        }
        let mut components: Vec<_> = by_span.values().map(|events| component(events)).collect();
        components.sort_by_key(|component| component.start.offset);
        components
    }

    /// All events, in their order.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The components of a scope.
    pub(crate) fn components_of(&self, scope: EventScope) -> Vec<Component<'_>> {
        self.components().into_iter().filter(|component| component.start.scope == scope).collect()
    }

    /// The ids of the traces.
    pub(crate) fn traces(&self) -> BTreeSet<String> {
        self.components().iter().map(Component::trace_id).collect()
    }

    /// The ids of the traces in which a component meets a condition.
    pub(crate) fn traces_where(&self, condition: impl Fn(&Component<'_>) -> bool) -> BTreeSet<String> {
        self.components().iter().filter(|component| condition(component)).map(Component::trace_id).collect()
    }

    /// Checks that spans are those of the events, all of them and no other, and that each says what they say.
    pub(crate) fn check_all(&self, spans: &HashMap<String, JaegerSpan>, service: &str) {
        let components = self.components();
        let missing: Vec<_> = components.iter().filter(|component| !spans.contains_key(&component.span_id())).collect();
        let names: Vec<_> = missing.iter().take(5).map(|component| component.span_name()).collect();
        assert!(missing.is_empty(), "{} spans are not in Jaeger: {names:?}, …", missing.len());
        assert_eq!(spans.len(), components.len(), "Jaeger has spans that no event speaks of");
        let warned: Vec<_> = spans.values().filter(|span| !span.warnings.is_empty()).collect();
        assert!(warned.is_empty(), "Jaeger warns of {warned:#?}");
        self.check_present(spans, service);
    }

    /// Checks that each span that is there says what the events say; gives how many they are.
    pub(crate) fn check_present(&self, spans: &HashMap<String, JaegerSpan>, service: &str) -> u64 {
        let mut present = 0;
        for component in self.components() {
            if let Some(span) = spans.get(&component.span_id()) {
                component.check(span, service);
                present += 1;
            }
        }
        assert_eq!(present, spans.len() as u64, "Jaeger has spans that no event speaks of");
        present
    }
}

impl Component<'_> {
    pub(crate) fn trace_id(&self) -> String {
        self.start.trace.map(|trace| trace.trace_id.to_string()).unwrap_or_default()
    }

    pub(crate) fn span_id(&self) -> String {
        self.start.trace.map(|trace| trace.span_id.to_string()).unwrap_or_default()
    }

    /// What it is called: of a request, the model.
    pub(crate) fn name(&self) -> &str {
        let of = |field: &str| self.start.data.get(field).and_then(JsonValue::as_str).unwrap_or_default();
        match self.start.scope {
            EventScope::Workflow | EventScope::Agent => &self.start.component_id,
            EventScope::WorkflowStep => of("step_name"),
            EventScope::LlmRequest => of("model"),
            EventScope::Tool => of("tool_name"),
            _ => panic!("no component of this scope starts"),
        }
    }

    /// The name under which a stranger finds its span.
    pub(crate) fn span_name(&self) -> String {
        let does = match self.start.scope {
            EventScope::Workflow => "invoke_workflow",
            EventScope::WorkflowStep => "workflow_step",
            EventScope::Agent => "invoke_agent",
            EventScope::LlmRequest => "chat",
            EventScope::Tool => "execute_tool",
            _ => panic!("no component of this scope starts"),
        };
        format!("{does} {}", self.name())
    }

    /// From its start to its end.
    pub(crate) fn seconds(&self) -> f64 {
        (self.end.timestamp - self.start.timestamp).to_std().expect("time does not run backwards").as_secs_f64()
    }

    /// `error.type`: what the end says was the matter.
    pub(crate) fn error_type(&self) -> Option<&str> {
        match self.end.event_type {
            EventType::Completed => None,
            EventType::Canceled => Some("canceled"),
            EventType::Failed | EventType::Started | EventType::Progress => self.end.data["error_code"].as_str(),
        }
    }

    fn check(&self, span: &JaegerSpan, service: &str) {
        let Self { start, end, .. } = self;
        let parent = start.trace.and_then(|trace| trace.parent_span_id).map(|id| id.to_string());
        let begin = start.timestamp.timestamp_micros();
        let length = (end.timestamp - start.timestamp).num_microseconds().expect("it fits");
        let place = (&span.trace_id, &span.parent, &span.name, span.start_us, span.duration_us, span.service.as_str());
        assert_eq!(place, (&self.trace_id(), &parent, &self.span_name(), begin, length, service), "{span:#?}");
        for (key, value) in self.tags() {
            assert_eq!(span.tags.get(key), Some(&value), "{key} of {span:#?}");
        }
        if end.event_type == EventType::Completed {
            let wrong =
                ["error", "error.type", "otel.status_code"].into_iter().find(|key| span.tags.contains_key(*key));
            assert_eq!(wrong, None, "it ended well: {span:#?}");
        }
        self.check_logs(span);
    }

    /// The span events: all progress is accounted for, and lies within the span.
    fn check_logs(&self, span: &JaegerSpan) {
        let (name, count) = match self.start.scope {
            EventScope::LlmRequest => ("agent_runtime.llm.chunk", "agent_runtime.llm.chunk_count"),
            _ => ("agent_runtime.progress", "agent_runtime.progress.count"),
        };
        let is = |name: &str, log: &&crate::jaeger::JaegerLog| log.fields["event"].as_str() == Some(name);
        let reports = span.logs.iter().filter(|log| is(name, log));
        let told: u64 = reports.map(|log| log.fields[count].as_u64().expect("it is a number")).sum();
        assert_eq!(told, self.progress.len() as u64, "the progress of {span:#?}");
        let starts_system = |log: &&crate::jaeger::JaegerLog| {
            log.fields["event"].as_str().is_some_and(|name| name.starts_with("agent_runtime.system."))
        };
        assert_eq!(span.logs.iter().filter(starts_system).count(), self.system, "the system events of {span:#?}");
        let within = |at: i64| (span.start_us..=span.start_us + span.duration_us + 1).contains(&at);
        assert!(span.logs.iter().all(|log| within(log.at_us)), "a span event lies outside of {span:#?}");
    }

    fn tags(&self) -> BTreeMap<&'static str, JsonValue> {
        let (start, end) = (&self.start.data, &self.end.data);
        let mut tags = BTreeMap::from([
            ("agent_runtime.component.id", json!(self.start.component_id)),
            ("agent_runtime.workflow.id", json!(self.start.workflow_id)),
            ("agent_runtime.workflow.parent_id", json!(self.start.parent_workflow_id)),
            ("agent_runtime.event.offset", json!(self.start.offset)),
        ]);
        match self.start.scope {
            EventScope::Workflow => {
                tags.insert("gen_ai.operation.name", json!("invoke_workflow"));
                tags.insert("gen_ai.agent.name", json!(self.start.component_id));
                tags.insert("gen_ai.workflow.name", json!(self.start.component_id));
            }
            EventScope::WorkflowStep => {
                tags.insert("agent_runtime.step.name", start["step_name"].clone());
                tags.insert("agent_runtime.step.type", start["step_type"].clone());
            }
            EventScope::Agent => {
                tags.insert("gen_ai.operation.name", json!("invoke_agent"));
                tags.insert("gen_ai.agent.name", json!(self.start.component_id));
                tags.insert("agent_runtime.agent.llm_calls", end["llm_calls"].clone());
                tags.insert("agent_runtime.agent.total_tokens", end["total_tokens"].clone());
            }
            EventScope::LlmRequest => {
                tags.insert("gen_ai.operation.name", json!("chat"));
                tags.insert("gen_ai.provider.name", start["provider"].clone());
                tags.insert("gen_ai.request.model", start["model"].clone());
                tags.insert("gen_ai.response.model", end["response_model"].clone());
                let usage = &end["usage"];
                tags.insert("gen_ai.usage.input_tokens", usage["prompt_tokens"].clone());
                tags.insert("gen_ai.usage.output_tokens", usage["completion_tokens"].clone());
                tags.insert("gen_ai.usage.cache_read.input_tokens", usage["cached_tokens"].clone());
                tags.insert("gen_ai.usage.reasoning.output_tokens", usage["reasoning_tokens"].clone());
                tags.insert("span.kind", json!("client"));
            }
            EventScope::Tool => {
                tags.insert("gen_ai.operation.name", json!("execute_tool"));
                tags.insert("gen_ai.tool.name", start["tool_name"].clone());
                tags.insert("gen_ai.tool.call.id", start["tool_call_id"].clone());
            }
            _ => {}
        }
        if let Some(error_type) = self.error_type() {
            tags.insert("error", json!(true));
            tags.insert("error.type", json!(error_type));
            tags.insert("otel.status_code", json!("ERROR"));
            tags.insert("otel.status_description", json!(self.end.message));
        }
        if self.end.event_type == EventType::Canceled {
            tags.insert("agent_runtime.canceled", json!(true));
        }
        tags.retain(|_, value| !value.is_null());
        tags
    }
}

fn component<'a>(events: &[&'a Event]) -> Component<'a> {
    let (system, own): (Vec<&Event>, Vec<&Event>) = events.iter().partition(|event| event.scope == EventScope::System);
    let one = |what: &str, is: &dyn Fn(EventType) -> bool| {
        let found: Vec<&Event> = own.iter().copied().filter(|event| is(event.event_type)).collect();
        assert_eq!(found.len(), 1, "a component has one {what}: {own:#?}");
        found[0]
    };
    Component {
        start: one("start", &|event_type| event_type == EventType::Started),
        end: one("end", &EventType::is_terminal),
        progress: own.iter().copied().filter(|event| event.event_type == EventType::Progress).collect(),
        system: system.len(),
    }
}
