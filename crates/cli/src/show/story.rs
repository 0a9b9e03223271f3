//! A run's components in their places, with what they took.

use std::{collections::HashMap, time::Duration};

use agent_runtime::{
    event::{ComponentStatus, Event, EventScope, EventType},
    store::StoredEvent,
    view::{Tree, TreeNode, UsageReport},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    prices::{self, Price},
    times,
};

/// A run; in JSON as it stands here.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    pub(super) workflow_id: String,
    /// Where its first event is.
    pub(super) position: String,
    pub(super) trace_id: Option<String>,
    pub(super) components: Vec<Component>,
    pub(super) usage: Totals,
    /// How many components were left out, as there are too many to draw.
    pub(super) dropped: u64,
}

/// A component, behind the one that it lies below.
#[derive(Debug, Serialize)]
pub(super) struct Component {
    pub(super) depth: usize,
    pub(super) title: String,
    scope: EventScope,
    component_id: String,
    workflow_id: Option<String>,
    pub(super) status: ComponentStatus,
    pub(super) message: Option<String>,
    started: String,
    /// How long after the start of the first component it began.
    pub(super) start_ms: f64,
    /// How long it ran; up to the last event of the run if it has no end.
    pub(super) duration_ms: f64,
    pub(super) has_ended: bool,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cost: Option<f64>,
}

/// What all requests took together.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Of the requests that have a price.
    pub(super) cost: Option<f64>,
    pub(super) currency: String,
    pub(super) requests_without_price: u64,
}

/// What each request cost, by the id of its start.
struct Costs<'a> {
    prices: &'a [Price],
    /// The models that were asked.
    asked: HashMap<Uuid, Option<String>>,
    /// The last start of a component's ids, for ends that do not name theirs.
    starts: HashMap<(Option<&'a str>, &'a str), Uuid>,
    found: HashMap<Uuid, f64>,
}

impl Story {
    pub(super) fn of(workflow_id: String, stored: &[StoredEvent], prices: &[Price], currency: &str) -> Self {
        let events = || stored.iter().map(|stored| &*stored.event);
        let (mut tree, mut costs) = (Tree::new(), Costs::new(prices));
        for event in events() {
            tree.observe(event);
            costs.observe(event);
        }
        let owned = prices.to_vec();
        let mut usage = UsageReport::new()
            .with_prices(currency, move |model, usage| prices::cost(&owned, [Some(model), None], usage));
        usage.extend(events());
        let times = || events().map(|event| event.timestamp);
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let component = |(depth, node): (usize, &TreeNode)| Component::of(depth, node, (first, last), &costs);
        let total = usage.total();
        Self {
            workflow_id,
            position: stored.first().map(|stored| stored.position.to_string()).unwrap_or_default(),
            trace_id: events().find_map(|event| event.trace).map(|trace| trace.trace_id.to_string()),
            components: tree.iter().map(component).collect(),
            usage: Totals {
                requests: total.requests(),
                failed: total.failed(),
                input_tokens: total.input_tokens(),
                output_tokens: total.output_tokens(),
                cost: total.cost(),
                currency: currency.to_owned(),
                requests_without_price: total.without_price(),
            },
            dropped: tree.dropped(),
        }
    }
}

impl Component {
    fn of(depth: usize, node: &TreeNode, (first, last): (DateTime<Utc>, DateTime<Utc>), costs: &Costs<'_>) -> Self {
        let in_millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let millis = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).to_std().map_or(0.0, in_millis);
        let duration = node.duration().map(in_millis);
        Self {
            depth,
            title: node.title().to_owned(),
            scope: node.scope(),
            component_id: node.component_id().to_owned(),
            workflow_id: node.workflow_id().map(str::to_owned),
            status: node.status(),
            message: node.message().map(str::to_owned),
            started: times::stamp(node.started()),
            start_ms: millis(first, node.started()),
            duration_ms: duration.unwrap_or_else(|| millis(node.started(), last)),
            has_ended: duration.is_some(),
            input_tokens: node.input_tokens(),
            output_tokens: node.output_tokens(),
            cost: costs.found.get(&node.start_id()).copied(),
        }
    }
}

impl<'a> Costs<'a> {
    fn new(prices: &'a [Price]) -> Self {
        Self { prices, asked: HashMap::new(), starts: HashMap::new(), found: HashMap::new() }
    }

    fn observe(&mut self, event: &'a Event) {
        if event.scope != EventScope::LlmRequest || self.prices.is_empty() {
            return;
        }
        let ids = (event.workflow_id.as_deref(), event.component_id.as_str());
        match event.event_type {
            EventType::Started => {
                self.asked.insert(event.event_id, event.data.model().map(str::to_owned));
                self.starts.insert(ids, event.event_id);
            }
            EventType::Progress => {}
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                let Some(start) = event.start_id.or_else(|| self.starts.get(&ids).copied()) else { return };
                let asked = self.asked.get(&start).and_then(Option::as_deref);
                let cost = |usage| prices::cost(self.prices, [event.data.response_model(), asked], &usage);
                self.found.extend(event.data.usage().and_then(cost).map(|cost| (start, cost)));
            }
        }
    }
}
