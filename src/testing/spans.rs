//! Finished spans, with the questions that tests ask of them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    ops::Deref,
};

use chrono::{DateTime, Utc};
use opentelemetry::{Value, trace::SpanId as OtelSpanId};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    event::{SpanId, TraceId},
    otel::EVENT_OFFSET,
    view::{Drawing, DrawingNode},
};

/// Finished spans of one kind, as the SDK has them or as a collector gets them, with the questions that tests ask.
///
/// It dereferences to the list of spans, in the order in which they were given.
///
/// ```
/// use agent_runtime::{prelude::*, testing::{Recorder, attribute}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let recorder = Recorder::new(1);
/// let tidy = TransformStep::new("tidy", |text: JsonValue| async move { Ok::<_, ToolError>(text) });
/// recorder.runtime().execute(&Workflow::new("report").add_step(tidy).build(), "text").await?;
///
/// let spans = recorder.spans();
/// spans.assert_well_formed();
/// assert_eq!(spans.tree(), "invoke_workflow report\n  workflow_step tidy\n");
/// let step = spans.one("workflow_step tidy");
/// assert_eq!(spans.parent_of(step).map(|parent| parent.name.as_ref()), Some("invoke_workflow report"));
/// assert_eq!(attribute(step, "agent_runtime.component.id"), Some(&"report:step:0".into()));
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Spans<S = SpanData> {
    spans: Vec<S>,
    places: Vec<SpanPlace>,
    by_id: HashMap<(TraceId, SpanId), usize>,
    place_of: fn(&S) -> SpanPlace,
}

/// Where a span lies among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanPlace {
    name: String,
    trace_id: TraceId,
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    offset: Option<u64>,
}

impl SpanPlace {
    /// Makes the place of a root.
    #[must_use]
    pub fn new(name: impl Into<String>, trace_id: TraceId, span_id: SpanId) -> Self {
        Self {
            name: name.into(),
            trace_id,
            span_id,
            parent_span_id: None,
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH,
            offset: None,
        }
    }

    /// Sets the span above it, in the same trace.
    #[must_use]
    pub const fn with_parent(mut self, parent_span_id: SpanId) -> Self {
        self.parent_span_id = Some(parent_span_id);
        self
    }

    /// Sets when it began and ended.
    #[must_use]
    pub const fn with_times(mut self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        self.start = start;
        self.end = end;
        self
    }

    /// Sets the offset of its Started event, which orders spans that began at once. By default, none, as of spans that are no
    /// component's.
    #[must_use]
    pub const fn with_offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

impl Spans {
    /// Takes in spans of the SDK.
    #[must_use]
    pub fn of(spans: Vec<SpanData>) -> Self {
        Self::placed(spans, place_of)
    }
}

impl<S> Spans<S> {
    /// Takes in spans of any kind, with a function that says where each lies.
    #[must_use]
    pub fn placed(spans: Vec<S>, place_of: fn(&S) -> SpanPlace) -> Self {
        let places: Vec<_> = spans.iter().map(place_of).collect();
        let mut by_id = HashMap::new();
        for (index, place) in places.iter().enumerate() {
            by_id.entry((place.trace_id, place.span_id)).or_insert(index);
        }
        Self { spans, places, by_id, place_of }
    }

    /// The one span of a name.
    ///
    /// # Panics
    ///
    /// If there is none, or more than one; the message has the tree.
    #[must_use]
    #[track_caller]
    pub fn one(&self, name: &str) -> &S {
        let found = self.all(name);
        assert_eq!(found.len(), 1, "spans named {name:?} in\n{}", self.tree());
        found[0]
    }

    /// All spans of a name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&S> {
        self.spans.iter().zip(&self.places).filter(|(_, place)| place.name == name).map(|(span, _)| span).collect()
    }

    /// The span above another, if it is among these.
    #[must_use]
    pub fn parent_of(&self, span: &S) -> Option<&S> {
        self.parent_index(&(self.place_of)(span)).map(|index| &self.spans[index])
    }

    /// The spans that lie below no other, here or elsewhere.
    #[must_use]
    pub fn roots(&self) -> Vec<&S> {
        let with_places = self.spans.iter().zip(&self.places);
        with_places.filter(|(_, place)| place.parent_span_id.is_none()).map(|(span, _)| span).collect()
    }

    /// The traces that the spans belong to.
    #[must_use]
    pub fn trace_ids(&self) -> BTreeSet<TraceId> {
        self.places.iter().map(|place| place.trace_id).collect()
    }

    /// The spans of one trace.
    #[must_use]
    pub fn trace(&self, id: &TraceId) -> Self
    where
        S: Clone,
    {
        let with_places = self.spans.iter().zip(&self.places);
        let spans = with_places.filter(|(_, place)| place.trace_id == *id).map(|(span, _)| span.clone()).collect();
        Self::placed(spans, self.place_of)
    }

    /// The names, indented by two spaces a level; siblings by their start, those that start at once by their offset.
    #[must_use]
    pub fn tree(&self) -> String {
        self.tree_with(|_| String::new())
    }

    /// The tree with a note behind each name. A span whose parent is not among these is a root, and said to be one.
    #[must_use]
    pub fn tree_with(&self, note: impl Fn(&S) -> String) -> String {
        self.draw(|span, place| {
            let is_lost = place.parent_span_id.is_some() && self.parent_index(place).is_none();
            let missing = if is_lost { " (its parent is missing)" } else { "" };
            format!("{}{missing}", note(span)).trim_start().to_owned()
        })
    }

    /// Asserts that every span has its id for itself, ends after it starts, lies below a span among these or is a root, and, if
    /// both are of components, starts no earlier than that one.
    ///
    /// Spans of the user's go by the wall clock, those of components by one that never goes back.
    ///
    /// # Panics
    ///
    /// If that is not so; the message names the span.
    #[track_caller]
    pub fn assert_well_formed(&self) {
        for (index, place) in self.places.iter().enumerate() {
            let SpanPlace { name, start, .. } = place;
            assert_eq!(self.by_id.get(&(place.trace_id, place.span_id)), Some(&index), "two spans of one id: {name}");
            assert!(place.end >= *start, "{name} ends before it starts");
            if place.parent_span_id.is_none() {
                continue;
            }
            let Some(parent) = self.parent_index(place).map(|index| &self.places[index]) else {
                panic!("{name} lies below a span that is not here:\n{}", self.tree())
            };
            if place.offset.is_some() && parent.offset.is_some() {
                assert!(*start >= parent.start, "{name} starts before {} above it", parent.name);
            }
        }
    }

    /// The spans themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<S> {
        self.spans
    }

    /// Draws the spans, each with a note.
    pub(super) fn draw(&self, note: impl Fn(&S, &SpanPlace) -> String) -> String {
        let id = |trace_id: TraceId, span_id: SpanId| (trace_id.to_bytes(), span_id.to_bytes());
        Drawing::of(self.spans.iter().zip(&self.places).map(|(span, place)| {
            let node = DrawingNode::new(id(place.trace_id, place.span_id), place.name.as_str())
                .with_times(place.start, place.end)
                .with_rank(place.offset.unwrap_or(u64::MAX))
                .with_note(note(span, place));
            place.parent_span_id.into_iter().fold(node, |node, parent| node.with_parent(id(place.trace_id, parent)))
        }))
        .outline()
    }

    fn parent_index(&self, place: &SpanPlace) -> Option<usize> {
        self.by_id.get(&(place.trace_id, place.parent_span_id?)).copied()
    }
}

impl<S> Deref for Spans<S> {
    type Target = [S];

    fn deref(&self) -> &[S] {
        &self.spans
    }
}

impl<S> IntoIterator for Spans<S> {
    type Item = S;
    type IntoIter = std::vec::IntoIter<S>;

    fn into_iter(self) -> Self::IntoIter {
        self.spans.into_iter()
    }
}

impl<'a, S> IntoIterator for &'a Spans<S> {
    type Item = &'a S;
    type IntoIter = std::slice::Iter<'a, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.spans.iter()
    }
}

impl<S: fmt::Debug> fmt::Debug for Spans<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.spans).finish()
    }
}

/// The value of a span's attribute.
#[must_use]
pub fn attribute<'a>(span: &'a SpanData, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
}

fn place_of(span: &SpanData) -> SpanPlace {
    let trace_id = TraceId::from_bytes(span.span_context.trace_id().to_bytes());
    let span_id = SpanId::from_bytes(span.span_context.span_id().to_bytes());
    let place =
        SpanPlace::new(span.name.as_ref(), trace_id, span_id).with_times(span.start_time.into(), span.end_time.into());
    let parent = Some(span.parent_span_id).filter(|parent| *parent != OtelSpanId::INVALID);
    let place =
        parent.into_iter().fold(place, |place, parent| place.with_parent(SpanId::from_bytes(parent.to_bytes())));
    match attribute(span, EVENT_OFFSET) {
        Some(Value::I64(offset)) => place.with_offset(u64::try_from(*offset).unwrap_or_default()),
        _ => place,
    }
}
