//! What the OpenTelemetry variables say of the SDK and of the way to a collector.
//!
//! A value that cannot be used and can do without is ignored and reported; one that says where telemetry goes, or how, is
//! an error.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use opentelemetry_otlp as otlp;
use opentelemetry_sdk::{
    logs as sdk_logs, metrics as sdk_metrics, trace as sdk_trace,
    trace::{Sampler, SpanLimits},
};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::{EnvironmentError, is_empty, one_of, parsed, text};

const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
const SPAN_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT";
const SPAN_EVENT_COUNT_LIMIT: &str = "OTEL_SPAN_EVENT_COUNT_LIMIT";
const SPAN_LINK_COUNT_LIMIT: &str = "OTEL_SPAN_LINK_COUNT_LIMIT";
const EVENT_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT";
const LINK_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT";

/// What the SDK has no limit for.
const NOT_SUPPORTED: [&str; 2] = ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"];

/// The attributes that a span of this crate has without content; with fewer, those that come last are lost, tokens
/// among them.
const SPAN_ATTRIBUTES: u32 = 32;

const EXPORTERS: Setting =
    Setting { own: ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"], for_all: None };
const PROTOCOL: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
        otlp::OTEL_EXPORTER_OTLP_METRICS_PROTOCOL,
        otlp::OTEL_EXPORTER_OTLP_LOGS_PROTOCOL,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_PROTOCOL),
};
const ENDPOINT: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
        otlp::OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
        otlp::OTEL_EXPORTER_OTLP_LOGS_ENDPOINT,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_ENDPOINT),
};
const INSECURE: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_INSECURE,
        otlp::OTEL_EXPORTER_OTLP_METRICS_INSECURE,
        otlp::OTEL_EXPORTER_OTLP_LOGS_INSECURE,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_INSECURE),
};
const TIMEOUT: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
        otlp::OTEL_EXPORTER_OTLP_METRICS_TIMEOUT,
        otlp::OTEL_EXPORTER_OTLP_LOGS_TIMEOUT,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_TIMEOUT),
};
const COMPRESSION: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_COMPRESSION,
        otlp::OTEL_EXPORTER_OTLP_METRICS_COMPRESSION,
        otlp::OTEL_EXPORTER_OTLP_LOGS_COMPRESSION,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_COMPRESSION),
};
const HEADERS: Setting = Setting {
    own: [
        otlp::OTEL_EXPORTER_OTLP_TRACES_HEADERS,
        otlp::OTEL_EXPORTER_OTLP_METRICS_HEADERS,
        otlp::OTEL_EXPORTER_OTLP_LOGS_HEADERS,
    ],
    for_all: Some(otlp::OTEL_EXPORTER_OTLP_HEADERS),
};
// The exporter reads none of these three, and has no names for them.
const CERTIFICATE: Setting = Setting {
    own: [
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    ],
    for_all: Some("OTEL_EXPORTER_OTLP_CERTIFICATE"),
};
const CLIENT_CERTIFICATE: Setting = Setting {
    own: [
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
    ],
    for_all: Some(FOR_ALL_CLIENT_CERTIFICATE),
};
const CLIENT_KEY: Setting = Setting {
    own: [
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
    ],
    for_all: Some(FOR_ALL_CLIENT_KEY),
};

/// The variable of a client's certificate for all signals.
pub(crate) const FOR_ALL_CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
/// The variable of a client's key for all signals.
pub(crate) const FOR_ALL_CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// What is exported, with variables of its own that go before those for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// How a signal travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// What the variables say of the SDK.
#[derive(Clone, Debug)]
pub(crate) struct SdkSettings {
    pub(crate) service_name: Option<String>,
    /// Without empty values.
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) limits: SpanLimits,
    pub(crate) spans: BatchSettings,
    pub(crate) logs: BatchSettings,
    pub(crate) metric_interval: Option<Duration>,
    /// The values that cannot be used and count as not set.
    pub(crate) ignored: Vec<EnvironmentError>,
}

/// What the variables say of the queue of a signal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchSettings {
    pub(crate) queue_size: Option<usize>,
    pub(crate) batch_size: Option<usize>,
    pub(crate) delay: Option<Duration>,
}

/// What the variables say of a signal's way to a collector.
#[derive(Clone, Debug)]
pub(crate) struct OtlpSettings {
    pub(crate) protocol: Value<Protocol>,
    pub(crate) endpoint: Url,
    pub(crate) timeout: Duration,
    pub(crate) compresses: bool,
    /// The headers for all signals, encoded, where the exporter would miss them behind an empty variable of the signal.
    pub(crate) missed_headers: Option<String>,
    pub(crate) certificate: Option<Value<PathBuf>>,
    pub(crate) client_certificate: Option<Value<PathBuf>>,
    pub(crate) client_key: Option<Value<PathBuf>>,
}

/// A value and the variable that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Value<T> {
    pub(crate) variable: &'static str,
    pub(crate) value: T,
}

/// The variables of a setting: one for each signal, in the order of [`Signal`], and one for all.
struct Setting {
    own: [&'static str; 3],
    for_all: Option<&'static str>,
}

impl Setting {
    /// The variables that count for a signal, its own first.
    fn variables(&self, signal: Signal) -> impl Iterator<Item = &'static str> {
        [self.own[signal as usize]].into_iter().chain(self.for_all)
    }

    /// What the first of them says that says anything.
    fn read<T>(
        &self,
        signal: Signal,
        read: impl Fn(&'static str) -> Result<Option<T>, EnvironmentError>,
    ) -> Result<Option<Value<T>>, EnvironmentError> {
        let values = self.variables(signal).map(|variable| Ok(read(variable)?.map(|value| Value { variable, value })));
        values.filter_map(Result::transpose).next().transpose()
    }
}

/// Whether the variables turn telemetry off; by the specification, what is not `true` is false.
pub(crate) fn is_disabled() -> bool {
    text(SDK_DISABLED).is_ok_and(|value| value.is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

/// Whether an endpoint is set for any signal.
pub(crate) fn has_endpoint() -> bool {
    let variables = ENDPOINT.own.into_iter().chain(ENDPOINT.for_all);
    variables.into_iter().any(|variable| !matches!(text(variable), Ok(None)))
}

impl SdkSettings {
    pub(crate) fn read() -> Self {
        let mut ignored = Vec::new();
        let mut heed = Heed(&mut ignored);
        let settings = Self {
            service_name: heed.value(text(SERVICE_NAME)),
            resource: heed
                .value(parsed(RESOURCE_ATTRIBUTES, "a list such as key=value,other=value", resource))
                .unwrap_or_default(),
            sampler: sampler(&mut heed),
            limits: limits(&mut heed),
            spans: BatchSettings {
                queue_size: heed.number(sdk_trace::OTEL_BSP_MAX_QUEUE_SIZE, BatchSettings::SIZES),
                batch_size: heed.number(sdk_trace::OTEL_BSP_MAX_EXPORT_BATCH_SIZE, BatchSettings::SIZES),
                delay: heed.milliseconds(sdk_trace::OTEL_BSP_SCHEDULE_DELAY),
            },
            logs: BatchSettings {
                queue_size: heed.number(sdk_logs::OTEL_BLRP_MAX_QUEUE_SIZE, BatchSettings::SIZES),
                batch_size: heed.number(sdk_logs::OTEL_BLRP_MAX_EXPORT_BATCH_SIZE, BatchSettings::SIZES),
                delay: heed.milliseconds(sdk_logs::OTEL_BLRP_SCHEDULE_DELAY),
            },
            metric_interval: heed.milliseconds(sdk_metrics::OTEL_METRIC_EXPORT_INTERVAL),
            ignored: Vec::new(),
        };
        for variable in NOT_SUPPORTED {
            heed.value::<()>(parsed(variable, "supported by the OpenTelemetry SDK for Rust", |_| None));
        }
        Self { ignored, ..settings }
    }
}

impl BatchSettings {
    /// The most items that a queue is made for, since the SDK takes the memory for all of them at once.
    pub(crate) const MAX_SIZE: usize = 131_072;

    const SIZES: RangeInclusive<usize> = 1..=Self::MAX_SIZE;
}

impl OtlpSettings {
    /// What the variables say of a signal; nothing if it is not exported over OTLP. What can do without is ignored.
    pub(crate) fn read(signal: Signal, ignored: &mut Vec<EnvironmentError>) -> Result<Option<Self>, EnvironmentError> {
        let exporters = [("otlp", true), ("none", false)];
        let exports = EXPORTERS.read(signal, |variable| one_of(variable, &exporters))?;
        if exports.is_some_and(|exports| !exports.value) {
            return Ok(None);
        }
        let protocols = [
            (otlp::OTEL_EXPORTER_OTLP_PROTOCOL_GRPC, Protocol::Grpc),
            (otlp::OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF, Protocol::HttpProtobuf),
        ];
        let protocol = PROTOCOL.read(signal, |variable| one_of(variable, &protocols))?;
        let default = Value { variable: otlp::OTEL_EXPORTER_OTLP_PROTOCOL, value: Protocol::HttpProtobuf };
        let protocol = protocol.unwrap_or(default);
        let compressions = [("gzip", true), ("none", false)];
        let compresses = COMPRESSION.read(signal, |variable| one_of(variable, &compressions))?;
        let file = |setting: Setting| setting.read(signal, |variable| Ok(text(variable)?.map(PathBuf::from)));
        let mut heed = Heed(ignored);
        if signal == Signal::Metrics {
            let words = [("cumulative", ()), ("delta", ()), ("lowmemory", ())];
            heed.value(one_of(otlp::OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, &words));
        }
        let timeout = TIMEOUT.variables(signal).find_map(|variable| heed.milliseconds(variable));
        Ok(Some(Self {
            endpoint: endpoint(signal, protocol.value)?,
            protocol,
            timeout: timeout.unwrap_or(otlp::OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT),
            compresses: compresses.is_some_and(|compresses| compresses.value),
            missed_headers: missed_headers(signal),
            certificate: file(CERTIFICATE)?,
            client_certificate: file(CLIENT_CERTIFICATE)?,
            client_key: file(CLIENT_KEY)?,
        }))
    }
}

/// Reads what can do without: a value that cannot be used is kept in the list and counts as not set.
struct Heed<'a>(&'a mut Vec<EnvironmentError>);

impl Heed<'_> {
    fn value<T>(&mut self, read: Result<Option<T>, EnvironmentError>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.0.push(error);
            None
        })
    }

    fn number<T>(&mut self, variable: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(parsed(variable, expected, |value| value.parse().ok().filter(|number| range.contains(number))))
    }

    fn milliseconds(&mut self, variable: &'static str) -> Option<Duration> {
        self.number(variable, 1..=u32::MAX).map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }
}

/// The pairs of a list, percent-decoded; nothing if one is not a pair or not UTF-8. Those without a value are left out.
fn resource(list: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let key = key.trim();
        if key.is_empty() {
            return None;
        }
        if !value.is_empty() {
            pairs.push((key.to_owned(), value.into_owned()));
        }
    }
    Some(pairs)
}

fn sampler(heed: &mut Heed<'_>) -> Option<Sampler> {
    #[derive(Clone, Copy)]
    enum Root {
        On,
        Off,
        Ratio,
    }
    let words = [
        ("always_on", (false, Root::On)),
        ("always_off", (false, Root::Off)),
        ("traceidratio", (false, Root::Ratio)),
        ("parentbased_always_on", (true, Root::On)),
        ("parentbased_always_off", (true, Root::Off)),
        ("parentbased_traceidratio", (true, Root::Ratio)),
    ];
    let (is_parent_based, root) = heed.value(one_of(TRACES_SAMPLER, &words))?;
    let root = match root {
        Root::On => Sampler::AlwaysOn,
        Root::Off => Sampler::AlwaysOff,
        Root::Ratio => {
            let share = |value: &str| value.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            let share = heed.value(parsed(TRACES_SAMPLER_ARG, "a number from 0 to 1", share));
            Sampler::TraceIdRatioBased(share.unwrap_or(1.0))
        }
    };
    Some(if is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root })
}

fn limits(heed: &mut Heed<'_>) -> SpanLimits {
    let defaults = SpanLimits::default();
    let mut limit = |variable| heed.number(variable, 0..=u32::MAX);
    let general = limit(ATTRIBUTE_COUNT_LIMIT);
    let of_attributes = |own: Option<u32>, default| own.or(general).unwrap_or(default);
    let limits = SpanLimits {
        max_attributes_per_span: of_attributes(limit(SPAN_ATTRIBUTE_COUNT_LIMIT), defaults.max_attributes_per_span),
        max_attributes_per_event: of_attributes(limit(EVENT_ATTRIBUTE_COUNT_LIMIT), defaults.max_attributes_per_event),
        max_attributes_per_link: of_attributes(limit(LINK_ATTRIBUTE_COUNT_LIMIT), defaults.max_attributes_per_link),
        max_events_per_span: limit(SPAN_EVENT_COUNT_LIMIT).unwrap_or(defaults.max_events_per_span),
        max_links_per_span: limit(SPAN_LINK_COUNT_LIMIT).unwrap_or(defaults.max_links_per_span),
    };
    if limits.max_attributes_per_span < SPAN_ATTRIBUTES {
        let variable = if general == Some(limits.max_attributes_per_span) {
            ATTRIBUTE_COUNT_LIMIT
        } else {
            SPAN_ATTRIBUTE_COUNT_LIMIT
        };
        let enough = format!("enough: spans have up to {SPAN_ATTRIBUTES} attributes, and the last of them are lost");
        heed.0.push(EnvironmentError::new(variable, limits.max_attributes_per_span.to_string(), enough));
    }
    limits
}

/// The headers for all signals, if the signal's own variable is set and empty, which the exporter takes for "no headers".
fn missed_headers(signal: Signal) -> Option<String> {
    let own = HEADERS.own[signal as usize];
    if is_empty(own) { text(HEADERS.for_all?).ok()? } else { None }
}

/// Where a signal goes. The endpoint of one signal is taken as it is; behind that for all comes the signal's path.
fn endpoint(signal: Signal, protocol: Protocol) -> Result<Url, EnvironmentError> {
    let is_insecure = INSECURE.read(signal, text)?;
    let is_insecure = is_insecure.is_some_and(|value| value.value.eq_ignore_ascii_case("true"));
    let own = ENDPOINT.own[signal as usize];
    let read = |variable| {
        let Some(value) = text(variable)? else { return Ok(None) };
        // By the specification, the variable counts for gRPC alone.
        let value = if protocol == Protocol::Grpc && is_insecure && !value.contains("://") {
            format!("http://{value}")
        } else {
            value
        };
        let expected = "a URL such as http://localhost:4318: it must begin with http:// or https:// and have a host";
        let url = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(Some).ok_or_else(|| EnvironmentError::new(variable, without_secrets(&value), expected))
    };
    let found = ENDPOINT.read(signal, read)?;
    let is_own = found.as_ref().is_some_and(|found| found.variable == own);
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let mut url = match found {
        Some(found) => found.value,
        None => Url::parse(default).expect("the default is a URL"),
    };
    if protocol == Protocol::HttpProtobuf && !is_own {
        let name = match signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        };
        // A URL with a host has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", name]);
        }
    }
    Ok(url)
}

/// A text that is no URL, without what would be the user's name, password and query if it were one.
fn without_secrets(endpoint: &str) -> String {
    let endpoint = endpoint.split('?').next().unwrap_or_default();
    match endpoint.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}…@{after}")
        }
        None => endpoint.to_owned(),
    }
}
