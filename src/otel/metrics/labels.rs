//! The attributes of measurements, and the guard that keeps the values of each one few.
//!
//! Every set of attributes is a series that the SDK, the collector and the store keep, while names come from user code,
//! from other processes and from models. So each attribute takes a bounded number of values and the rest share one.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::{
    KeyValue, StringValue, Value,
    metrics::{Counter, Meter},
};
use parking_lot::Mutex;

use super::{
    instruments,
    series::{Group, Series},
};
use crate::otel::{ContentPolicy, content::OTHER, names};

/// How many values each attribute of the metrics takes by default; those that come after become `_OTHER`.
pub const DEFAULT_MAX_LABEL_VALUES: usize = 100;

/// The longest value in bytes; a longer one is no name and becomes `_OTHER`.
const MAX_LABEL_BYTES: usize = 256;

/// The labels whose values are words of this crate's own.
const WORDS: [&str; 5] =
    [names::OPERATION_NAME, names::STEP_TYPE, names::TOOL_TYPE, names::TOKEN_MODALITY, names::TOKEN_TYPE];

/// Knows which values each attribute has taken; the first ones stay, so that no series changes its name.
#[derive(Debug)]
pub(super) struct LabelGuard {
    max_values: usize,
    content: ContentPolicy,
    taken: Mutex<HashMap<&'static str, HashSet<Arc<str>>>>,
    series: Mutex<Series>,
    overflowed: AtomicU64,
    counter: Counter<u64>,
}

/// A set of attributes that is being put together.
pub(super) struct Labels<'a> {
    guard: &'a LabelGuard,
    set: Vec<KeyValue>,
}

impl LabelGuard {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            max_values: DEFAULT_MAX_LABEL_VALUES,
            content: ContentPolicy::default(),
            taken: Mutex::default(),
            series: Mutex::default(),
            overflowed: AtomicU64::new(0),
            counter: instruments::overflowed_labels(meter),
        }
    }

    pub(super) fn set_max_values(&mut self, values: usize) {
        self.max_values = values;
    }

    pub(super) fn set_content(&mut self, content: ContentPolicy) {
        self.content = content;
    }

    /// How many labels became `_OTHER`.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Begins a set.
    pub(super) fn labels(&self) -> Labels<'_> {
        Labels { guard: self, set: Vec::with_capacity(8) }
    }

    /// Goes on with a set.
    pub(super) fn labels_from(&self, set: &[KeyValue]) -> Labels<'_> {
        let mut labels = self.labels();
        labels.set.extend_from_slice(set);
        labels
    }

    /// The value in its shared form, or nothing if the attribute takes no more.
    fn admit(&self, key: &'static str, value: &str) -> Option<Arc<str>> {
        if value.len() <= MAX_LABEL_BYTES {
            let mut taken = self.taken.lock();
            let values = taken.entry(key).or_default();
            if let Some(known) = values.get(value) {
                return Some(Arc::clone(known));
            }
            if values.len() < self.max_values {
                let value = Arc::<str>::from(value);
                values.insert(Arc::clone(&value));
                return Some(value);
            }
        }
        self.count_overflow(StringValue::from(key));
        None
    }

    fn count_overflow(&self, key: StringValue) {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        self.counter.add(1, &[KeyValue::new(names::METRIC_LABEL, key)]);
    }
}

impl Labels<'_> {
    /// Adds a word of this crate's own.
    pub(super) fn word(mut self, key: &'static str, word: &'static str) -> Self {
        self.set.push(KeyValue::new(key, word));
        self
    }

    /// Adds a name from outside, if it is known.
    pub(super) fn name(self, key: &'static str, name: Option<&str>) -> Self {
        self.name_among(key, key, name)
    }

    /// Adds a name from outside that shares its attribute with names of other kinds, each of which has a number of values
    /// of its own, so that many of one kind leave room for the others.
    pub(super) fn name_among(mut self, kind: &'static str, key: &'static str, name: Option<&str>) -> Self {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let name = self.guard.content.text(name);
            let value = if name == OTHER { None } else { self.guard.admit(kind, &name) };
            let value = value.map_or(StringValue::from(OTHER), StringValue::from);
            self.set.push(KeyValue::new(key, value));
        }
        self
    }

    /// Adds a number from outside, if it is known; one too many is left out, since no number means "other".
    pub(super) fn number(mut self, key: &'static str, number: Option<i64>) -> Self {
        let admitted = number.filter(|number| self.guard.admit(key, &number.to_string()).is_some());
        self.set.extend(admitted.map(|number| KeyValue::new(key, number)));
        self
    }

    /// The set, from which others are made.
    pub(super) fn into_set(self) -> Vec<KeyValue> {
        self.set
    }

    /// The set that instruments of a group take: with `_OTHER` for all names and without numbers, if there is no room for
    /// another one.
    pub(super) fn for_instruments(mut self, group: Group) -> Vec<KeyValue> {
        if !self.guard.series.lock().admit(group, &self.set) {
            self.set.retain_mut(|label| {
                if WORDS.contains(&label.key.as_str()) {
                    return true;
                }
                self.guard.count_overflow(StringValue::from(label.key.as_str().to_owned()));
                let is_name = matches!(label.value, Value::String(_));
                label.value = OTHER.into();
                is_name
            });
        }
        self.set
    }
}
