//! How metrics are exported.

use std::time::Duration;

use opentelemetry_sdk::metrics::{SdkMeterProvider, exporter::PushMetricExporter};

use super::TelemetryBuilder;
use crate::otel::PriceTable;

impl TelemetryBuilder {
    /// Sends all metrics to an exporter as well, every [`with_metric_interval`](Self::with_metric_interval) and at the
    /// end.
    pub fn with_metric_exporter(mut self, exporter: impl PushMetricExporter) -> Self {
        self.metrics.add(exporter, None, None);
        self
    }

    /// Uses a meter provider of the user's instead of making one; metric exporters of this builder are not used then.
    ///
    /// Pull-based readers and views are added there.
    pub fn with_meter_provider(mut self, provider: SdkMeterProvider) -> Self {
        self.metrics.provider = Some(provider);
        self
    }

    /// Sets how often metrics are exported; zero counts as not set. By default, what `OTEL_METRIC_EXPORT_INTERVAL` says
    /// in milliseconds, else 60 seconds.
    pub fn with_metric_interval(mut self, interval: Duration) -> Self {
        self.metrics.interval = Some(interval).filter(|interval| !interval.is_zero());
        self
    }

    /// Sets whether the names that the conventions had before v0.1.0 are measured as well, for dashboards made for them.
    /// By default, they are not.
    pub fn with_legacy_metrics(mut self, enabled: bool) -> Self {
        self.metrics.legacy = enabled;
        self
    }

    /// Counts what requests cost. By default, there are no prices and no cost.
    pub fn with_prices(mut self, prices: PriceTable) -> Self {
        self.metrics.prices = Some(prices);
        self
    }

    /// Sets how many values each attribute of the metrics takes; those that come after become `_OTHER`. By default,
    /// [`DEFAULT_MAX_LABEL_VALUES`](crate::otel::DEFAULT_MAX_LABEL_VALUES).
    pub fn with_max_label_values(mut self, values: usize) -> Self {
        self.metrics.max_label_values = Some(values);
        self
    }
}
