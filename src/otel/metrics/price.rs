//! What tokens cost, as the user says. This crate knows no prices: they change, and differ by contract.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use thiserror::Error;

use crate::event::{EventData, Usage};

const PER_MILLION: f64 = 1_000_000.0;

/// The longest unit that a metric may have.
const MAX_CURRENCY_BYTES: usize = 63;

/// What a model's tokens cost, for each million of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    input: f64,
    output: f64,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
}

/// The prices of models, in one currency.
///
/// ```
/// use agent_runtime::otel::{Price, PriceTable};
///
/// let prices = PriceTable::new("USD")?
///     .with_price("small-model", Price::per_million(0.15, 0.60)?)
///     .with_price("large-model", Price::per_million(2.50, 10.0)?.with_cache_read(1.25)?);
/// assert_eq!(prices.currency(), "USD");
/// # Ok::<(), agent_runtime::otel::PriceError>(())
/// ```
#[derive(Clone)]
pub struct PriceTable {
    currency: Cow<'static, str>,
    prices: HashMap<String, Price>,
    lookup: Option<Arc<Lookup>>,
}

type Lookup = dyn Fn(&str) -> Option<Price> + Send + Sync;

/// A price or a currency is none.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum PriceError {
    /// A price is negative, infinite or not a number.
    #[error("a price must be zero or more and finite, not {0}")]
    Price(f64),
    /// The currency cannot be the unit of a metric.
    #[error("a currency must be 1 to {MAX_CURRENCY_BYTES} ASCII letters, digits or underscores, not {0:?}")]
    Currency(String),
}

impl Price {
    /// Prices a million tokens of requests and a million tokens of answers.
    ///
    /// # Errors
    ///
    /// [`PriceError::Price`] if one of them is negative, infinite or not a number.
    pub fn per_million(input: f64, output: f64) -> Result<Self, PriceError> {
        Ok(Self { input: valid(input)?, output: valid(output)?, cache_read: None, cache_write: None })
    }

    /// Prices a million of those input tokens that come from the provider's cache. By default, as other input.
    ///
    /// # Errors
    ///
    /// Those of [`per_million`](Self::per_million).
    pub fn with_cache_read(mut self, price: f64) -> Result<Self, PriceError> {
        self.cache_read = Some(valid(price)?);
        Ok(self)
    }

    /// Prices a million of those input tokens that are written to the provider's cache. By default, as other input.
    ///
    /// # Errors
    ///
    /// Those of [`per_million`](Self::per_million).
    pub fn with_cache_write(mut self, price: f64) -> Result<Self, PriceError> {
        self.cache_write = Some(valid(price)?);
        Ok(self)
    }

    /// What a request cost by the usage that its end reports; nothing if it reports none.
    pub(super) fn of(&self, data: &EventData) -> Option<f64> {
        let (input, output) = (data.input_tokens(), data.output_tokens());
        input.or(output)?;
        Some(self.of_tokens(
            input.unwrap_or_default(),
            output.unwrap_or_default(),
            data.cached_tokens().unwrap_or_default(),
            data.cache_write_tokens().unwrap_or_default(),
        ))
    }

    fn of_tokens(&self, input: u64, output: u64, cache_read: u64, cache_write: u64) -> f64 {
        let cache_read = cache_read.min(input);
        let cache_write = cache_write.min(input - cache_read);
        let parts = [
            (input - cache_read - cache_write, self.input),
            (cache_read, self.cache_read.unwrap_or(self.input)),
            (cache_write, self.cache_write.unwrap_or(self.input)),
            (output, self.output),
        ];
        #[expect(clippy::cast_precision_loss, reason = "no request has 2^53 tokens")]
        let cost = parts.into_iter().map(|(tokens, price)| tokens as f64 * price).sum::<f64>();
        cost / PER_MILLION
    }
}

impl PriceTable {
    /// Begins a table in a currency, such as `USD`, which becomes the unit of the metric.
    ///
    /// # Errors
    ///
    /// [`PriceError::Currency`] if it is empty, too long or has characters that a unit cannot have.
    pub fn new(currency: impl Into<Cow<'static, str>>) -> Result<Self, PriceError> {
        let currency = currency.into();
        let is_plain = currency.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if currency.is_empty() || currency.len() > MAX_CURRENCY_BYTES || !is_plain {
            return Err(PriceError::Currency(currency.into_owned()));
        }
        Ok(Self { currency, prices: HashMap::new(), lookup: None })
    }

    /// Adds a model by its exact name. A request is priced by the model that answered or, if that has no price, by the
    /// one that was asked.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.prices.insert(model.into(), price);
        self
    }

    /// Asks a function for models that were not added by name; it must be quick. By default, they have no price.
    #[must_use]
    pub fn with_lookup(mut self, lookup: impl Fn(&str) -> Option<Price> + Send + Sync + 'static) -> Self {
        self.lookup = Some(Arc::new(lookup));
        self
    }

    /// The currency of all prices.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What a request to a model cost; `None` if the model has no price. A
    /// [`UsageReport`](crate::view::UsageReport::with_prices) takes it as its prices.
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        let Usage { prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, .. } = *usage;
        let price = self.price([Some(model), None])?;
        let (cached, written) = (cached_tokens.unwrap_or_default(), cache_write_tokens.unwrap_or_default());
        Some(price.of_tokens(prompt_tokens, completion_tokens, cached, written))
    }

    /// The price of the first of the models that has one.
    pub(super) fn price(&self, models: [Option<&str>; 2]) -> Option<Price> {
        let find = |model: &str| {
            let known = self.prices.get(model).copied();
            known.or_else(|| self.lookup.as_ref().and_then(|lookup| lookup(model)))
        };
        models.into_iter().flatten().find_map(find)
    }
}

fn valid(price: f64) -> Result<f64, PriceError> {
    if price.is_finite() && price >= 0.0 { Ok(price) } else { Err(PriceError::Price(price)) }
}

impl fmt::Debug for PriceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PriceTable");
        debug.field("currency", &self.currency).field("prices", &self.prices).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_costs_what_its_usage_says() {
        let price = Price::per_million(2.0, 10.0).unwrap().with_cache_read(1.0).unwrap().with_cache_write(4.0).unwrap();
        let check = |usage: serde_json::Value, expected: Option<f64>| {
            assert_eq!(price.of(&json!({"usage": usage}).into()), expected, "{usage}");
        };
        check(json!({"prompt_tokens": 500_000, "completion_tokens": 100_000}), Some(2.0));
        check(json!({"prompt_tokens": 500_000, "cached_tokens": 100_000, "cache_write_tokens": 100_000}), Some(1.1));
        check(json!({"completion_tokens": 100_000}), Some(1.0));
        // More cached than there were is the provider's mistake and must not become a negative cost.
        check(json!({"prompt_tokens": 1_000_000, "cached_tokens": 9_000_000, "cache_write_tokens": 5}), Some(1.0));
        check(json!({}), None);
        check(json!(null), None);
        check(json!({"total_tokens": 7}), None);
    }

    #[test]
    fn the_model_that_answered_goes_before_the_one_that_was_asked() {
        let price = |input| Price::per_million(input, 0.0).unwrap();
        let table = PriceTable::new("EUR")
            .unwrap()
            .with_price("asked", price(1.0))
            .with_price("answered", price(2.0))
            .with_lookup(move |model| model.starts_with("known").then(|| price(3.0)));
        assert_eq!(table.price([Some("answered"), Some("asked")]), Some(price(2.0)));
        assert_eq!(table.price([Some("asked-2026"), Some("asked")]), Some(price(1.0)));
        assert_eq!(table.price([None, Some("known-7")]), Some(price(3.0)));
        assert_eq!(table.price([None, Some("other")]), None);
    }

    #[test]
    fn what_is_no_price_or_currency_is_refused() {
        for price in [-0.01, f64::NAN, f64::INFINITY] {
            assert!(matches!(Price::per_million(1.0, price), Err(PriceError::Price(_))), "{price}");
        }
        for currency in ["", "U D", "€", "x".repeat(64).as_str()] {
            let error = PriceTable::new(currency.to_owned()).unwrap_err();
            assert_eq!(error, PriceError::Currency(currency.to_owned()));
        }
        assert!(PriceTable::new("credits").is_ok());
    }
}
