//! How many series there may be in all: those that fit into one request to a collector, however long their labels are.
//!
//! Values that mix freely make far more sets than each label has values, and the exporters send all series at once.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use opentelemetry::{KeyValue, Value};

/// What all series take in a request together. A collector's gRPC receiver refuses more than 4 MiB by default; what is left
/// is for the resource, for series without labels from outside, and for metrics of the user's.
const MAX_BYTES: usize = 3 * 1024 * 1024;

/// What a point of a histogram with the most boundaries takes besides its labels, which is more than any other point takes.
const POINT_BYTES: usize = 352;

/// What a label takes besides its key and its text, a number as its value included.
const LABEL_BYTES: usize = 24;

/// The instruments that are given the same sets of labels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Group {
    Duration,
    OutputChunk,
    Request,
    Tokens,
    TokenUsage,
    Cost,
    Calls,
    System,
}

/// The series that there are.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: [HashSet<Box<[KeyValue]>, RandomState>; Group::COUNT],
    bytes: usize,
}

impl Group {
    const COUNT: usize = Self::System as usize + 1;

    /// How many instruments take a set at most, those with legacy names included.
    const fn instruments(self) -> usize {
        match self {
            Self::TokenUsage | Self::System => 1,
            Self::Duration | Self::OutputChunk | Self::Cost | Self::Calls => 2,
            Self::Request => 4,
            Self::Tokens => 5,
        }
    }
}

impl Series {
    /// Whether a set of labels is known or has room. The first ones stay, so that no series changes its name.
    pub(super) fn admit(&mut self, group: Group, set: &[KeyValue]) -> bool {
        let known = &mut self.known[group as usize];
        if known.contains(set) {
            return true;
        }
        let bytes = self.bytes + group.instruments() * bytes_of(set);
        let has_room = bytes <= MAX_BYTES;
        if has_room {
            self.bytes = bytes;
            known.insert(set.into());
        }
        has_room
    }
}

fn bytes_of(set: &[KeyValue]) -> usize {
    let text = |label: &KeyValue| if let Value::String(text) = &label.value { text.as_str().len() } else { 0 };
    POINT_BYTES + set.iter().map(|label| LABEL_BYTES + label.key.as_str().len() + text(label)).sum::<usize>()
}
