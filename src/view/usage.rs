//! What the requests to models took: tokens and money.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::text::{MAX_CHARS, one_line};
use crate::event::{Event, EventScope, EventType, OpenComponents, Usage};

/// The row of requests whose model nobody named.
const UNKNOWN: &str = "unknown";

type Prices = dyn Fn(&str, &Usage) -> Option<f64> + Send + Sync;

/// Requests, tokens and cost, by model, by agent and in total.
///
/// A request counts when it ends. Sums stay at the largest number rather than begin again at zero.
///
/// ```
/// use agent_runtime::{prelude::*, view::UsageReport};
///
/// let in_dollars = |model: &str, usage: &agent_runtime::event::Usage| {
///     (model == "small").then_some(usage.prompt_tokens as f64 * 2e-6 + usage.completion_tokens as f64 * 8e-6)
/// };
/// let mut report = UsageReport::new().with_prices("USD", in_dollars);
/// let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500});
/// report.extend(&[
///     Event::llm_started("writer:llm:0", None, None, json!({"model": "small"})),
///     Event::llm_completed("writer:llm:0", None, None, json!({"usage": usage})),
/// ]);
///
/// let writer = report.by_agent("writer").expect("it asked");
/// assert_eq!((writer.requests(), writer.input_tokens(), writer.output_tokens()), (1, 1_000, 500));
/// assert_eq!(report.total().cost(), Some(0.006));
/// ```
#[derive(Default)]
pub struct UsageReport {
    total: UsageTotals,
    by_model: BTreeMap<String, UsageTotals>,
    by_agent: BTreeMap<String, UsageTotals>,
    /// The models that open requests asked for.
    open: OpenComponents<Option<String>>,
    prices: Option<(String, Arc<Prices>)>,
    dropped: u64,
}

/// What some requests took together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsageTotals {
    requests: u64,
    failed: u64,
    without_usage: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost: Option<f64>,
    without_price: u64,
}

impl UsageTotals {
    /// How many requests ended, however they did.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// How many of them failed or were canceled.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// How many of them ended without reporting their tokens.
    #[must_use]
    pub const fn without_usage(&self) -> u64 {
        self.without_usage
    }

    /// The tokens of the requests.
    #[must_use]
    pub const fn input_tokens(&self) -> u64 {
        self.input_tokens
    }

    /// The tokens of the answers.
    #[must_use]
    pub const fn output_tokens(&self) -> u64 {
        self.output_tokens
    }

    /// What those requests cost that have a price; `None` if none has.
    #[must_use]
    pub const fn cost(&self) -> Option<f64> {
        self.cost
    }

    /// How many requests reported their tokens and have no price.
    #[must_use]
    pub const fn without_price(&self) -> u64 {
        self.without_price
    }

    fn add(&mut self, request: &Self) {
        for (sum, added) in [
            (&mut self.requests, request.requests),
            (&mut self.failed, request.failed),
            (&mut self.without_usage, request.without_usage),
            (&mut self.input_tokens, request.input_tokens),
            (&mut self.output_tokens, request.output_tokens),
            (&mut self.without_price, request.without_price),
        ] {
            *sum = sum.saturating_add(added);
        }
        if let Some(cost) = request.cost {
            self.cost = Some((self.cost.unwrap_or_default() + cost).min(f64::MAX));
        }
    }
}

impl UsageReport {
    /// The most models, and the most agents, that have a row; the requests of others are in [`OTHERS`](Self::OTHERS).
    pub const MAX_ROWS: usize = 256;

    /// The row of the models, or agents, that are beyond [`MAX_ROWS`](Self::MAX_ROWS).
    pub const OTHERS: &str = "(others)";

    /// The most open requests whose model is remembered. When one more begins, the oldest goes.
    pub const MAX_OPEN: usize = 4_096;

    /// Makes an empty report without prices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Prices each request in a currency: the function gets a model's name and the tokens. It is asked for the model that
    /// answered and, if that has no price, for the one that was asked. What is negative, infinite or no number is no price.
    #[must_use]
    pub fn with_prices(
        mut self,
        currency: impl Into<String>,
        prices: impl Fn(&str, &Usage) -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        self.prices = Some((currency.into(), Arc::new(prices)));
        self
    }

    /// Takes in the next event.
    pub fn observe(&mut self, event: &Event) {
        if event.scope != EventScope::LlmRequest {
            return;
        }
        match event.event_type {
            EventType::Started => {
                let overdue = self.open.take_beyond(Self::MAX_OPEN);
                self.dropped += overdue.len() as u64;
                let model = event.data.model().map(|model| one_line(model, MAX_CHARS));
                self.open.insert(event, event.workflow_id.as_deref().map(Into::into), model);
            }
            EventType::Progress => {}
            EventType::Completed | EventType::Failed | EventType::Canceled => self.end(event),
        }
    }

    /// All requests together.
    #[must_use]
    pub const fn total(&self) -> &UsageTotals {
        &self.total
    }

    /// The requests for one model, by the name under which it was asked.
    #[must_use]
    pub fn by_model(&self, model: &str) -> Option<&UsageTotals> {
        self.by_model.get(model)
    }

    /// The requests of one agent.
    #[must_use]
    pub fn by_agent(&self, agent: &str) -> Option<&UsageTotals> {
        self.by_agent.get(agent)
    }

    /// All models with their requests, by name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &UsageTotals)> {
        self.by_model.iter().map(|(name, totals)| (name.as_str(), totals))
    }

    /// All agents with their requests, by name.
    pub fn agents(&self) -> impl Iterator<Item = (&str, &UsageTotals)> {
        self.by_agent.iter().map(|(name, totals)| (name.as_str(), totals))
    }

    /// How many open requests were dropped because there were more than [`MAX_OPEN`](Self::MAX_OPEN).
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn end(&mut self, event: &Event) {
        let asked = self.open.take(event).and_then(|request| request.kept);
        let answered = event.data.response_model();
        let is_reported = event.data.input_tokens().or(event.data.output_tokens()).is_some();
        let usage = event.data.usage().filter(|_| is_reported);
        let models = [answered, asked.as_deref()];
        let cost = usage.and_then(|usage| self.price(models, &usage));
        let request = UsageTotals {
            requests: 1,
            failed: u64::from(event.event_type != EventType::Completed),
            without_usage: u64::from(usage.is_none()),
            input_tokens: event.data.input_tokens().unwrap_or_default(),
            output_tokens: event.data.output_tokens().unwrap_or_default(),
            cost,
            without_price: u64::from(usage.is_some() && cost.is_none()),
        };
        self.total.add(&request);
        let model = asked.as_deref().or(answered).unwrap_or(UNKNOWN);
        row(&mut self.by_model, model).add(&request);
        row(&mut self.by_agent, event.component_name()).add(&request);
    }

    fn price(&self, models: [Option<&str>; 2], usage: &Usage) -> Option<f64> {
        let (_, prices) = self.prices.as_ref()?;
        let is_price = |price: &f64| price.is_finite() && *price >= 0.0;
        models.into_iter().flatten().find_map(|model| prices(model, usage).filter(is_price))
    }
}

fn row<'a>(rows: &'a mut BTreeMap<String, UsageTotals>, name: &str) -> &'a mut UsageTotals {
    let name = one_line(name, MAX_CHARS);
    let has_room = rows.len() < UsageReport::MAX_ROWS || rows.contains_key(&name);
    rows.entry(if has_room { name } else { UsageReport::OTHERS.to_owned() }).or_default()
}

impl<'a> Extend<&'a Event> for UsageReport {
    fn extend<I: IntoIterator<Item = &'a Event>>(&mut self, events: I) {
        events.into_iter().for_each(|event| self.observe(event));
    }
}

impl fmt::Debug for UsageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("UsageReport");
        debug.field("total", &self.total).field("by_model", &self.by_model).field("by_agent", &self.by_agent);
        debug.finish_non_exhaustive()
    }
}

impl fmt::Display for UsageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = [("total", &self.total)].into_iter();
        let rows: Vec<_> = titles.chain(self.models()).chain(self.agents()).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let currency = self.prices.as_ref().map(|(currency, _)| currency.as_str());
        write!(f, "{:width$}  requests  failed       input      output", "")?;
        if let Some(currency) = currency {
            write!(f, "  {currency:>12}")?;
        }
        for (name, totals) in rows {
            let UsageTotals { requests, failed, input_tokens, output_tokens, cost, .. } = totals;
            write!(f, "\n{name:width$}  {requests:>8}  {failed:>6}  {input_tokens:>10}  {output_tokens:>10}")?;
            if currency.is_some() {
                let cost = cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.6}"));
                write!(f, "  {cost:>12}")?;
            }
        }
        Ok(())
    }
}
