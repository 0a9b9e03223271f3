//! Every component in its place.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Drawing, DrawingNode, TreeNode};
use crate::event::{Event, EventScope, EventType, Number, OpenComponents, SpanId};

/// The components of one or many runs as a tree, with status, duration and tokens.
///
/// A component lies below the one whose span is its parent's, if a bridge made spans, else below the one that it names as
/// what it began in, else where workflow and component ids put it, as in a trace. System events are no components and are left out.
///
/// ```
/// use agent_runtime::{event::ComponentStatus, prelude::*, view::Tree};
///
/// let run = || Some("wf_1".to_owned());
/// let tree = Tree::of(&[
///     Event::workflow_started("report", run(), None, json!({})),
///     Event::agent_started("writer", run(), None, json!({})),
///     Event::llm_started("writer:llm:0", run(), None, json!({"model": "small"})),
///     Event::llm_failed("writer:llm:0", "rate_limit: slow down", run(), None, json!({})),
/// ]);
/// assert_eq!(tree.outline(), "invoke_workflow report\n  invoke_agent writer\n    chat small\n");
/// assert_eq!(tree.running().count(), 2);
///
/// let (depth, request) = tree.iter().last().expect("there are three");
/// assert_eq!((depth, request.status()), (2, ComponentStatus::Failed));
/// assert_eq!(request.message(), Some("rate_limit: slow down"));
/// ```
#[derive(Debug)]
pub struct Tree {
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// The numbers of the entries that run.
    open: OpenComponents<u64>,
    by_span: HashMap<SpanId, u64>,
    by_start: HashMap<Uuid, u64>,
    /// The roots that are over, which go first when there is no more room.
    ended_roots: BTreeSet<u64>,
    latest: DateTime<Utc>,
    dropped: u64,
    unmatched: u64,
}

#[derive(Debug)]
struct Entry {
    node: TreeNode,
    parent: Option<u64>,
    children: Vec<u64>,
    /// Where it is among the open ones.
    open: Option<Number>,
}

impl Tree {
    /// The most components that are kept. When one more begins, the oldest root that is over goes with all below it; if all
    /// roots run, the new component is not kept.
    pub const MAX_COMPONENTS: usize = 10_000;

    /// Makes an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
            open: OpenComponents::default(),
            by_span: HashMap::new(),
            by_start: HashMap::new(),
            ended_roots: BTreeSet::new(),
            latest: DateTime::UNIX_EPOCH,
            dropped: 0,
            unmatched: 0,
        }
    }

    /// Makes the tree of some events, given in the order of their stream.
    #[must_use]
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut tree = Self::new();
        tree.extend(events);
        tree
    }

    /// Takes in the next event.
    pub fn observe(&mut self, event: &Event) {
        self.latest = self.latest.max(event.timestamp);
        match (event.scope, event.event_type) {
            (EventScope::System, _) => {}
            (_, EventType::Started) => self.start(event),
            (_, EventType::Progress) => {
                let number = self.open.of(event).map(|component| component.kept);
                self.change(number, TreeNode::add_progress);
            }
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => {
                let number = self.open.take(event).map(|component| component.kept);
                self.change(number, |node| node.end(event));
                let is_root = |number: &u64| self.entries.get(number).is_some_and(|entry| entry.parent.is_none());
                self.ended_roots.extend(number.filter(is_root));
            }
        }
    }

    /// All components, each after the one that it lies below, with its level from 0.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &TreeNode)> {
        let roots = self.entries.iter().filter(|(_, entry)| entry.parent.is_none()).rev();
        let mut stack: Vec<_> = roots.map(|(number, _)| (0, *number)).collect();
        std::iter::from_fn(move || {
            let (depth, number) = stack.pop()?;
            let entry = self.entries.get(&number)?;
            stack.extend(entry.children.iter().rev().map(|child| (depth + 1, *child)));
            Some((depth, &entry.node))
        })
    }

    /// The components that have begun and not ended, in the order of their beginnings.
    pub fn running(&self) -> impl Iterator<Item = &TreeNode> {
        self.entries.values().filter(|entry| entry.open.is_some()).map(|entry| &entry.node)
    }

    /// How many components are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no component is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many components were dropped because there were more than [`MAX_COMPONENTS`](Self::MAX_COMPONENTS).
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many events were about a component that is not kept as running.
    #[must_use]
    pub const fn unmatched(&self) -> u64 {
        self.unmatched
    }

    /// The titles, indented by two spaces a level, each line with its line break: for comparison in a test.
    #[must_use]
    pub fn outline(&self) -> String {
        self.drawing(|_| String::new()).outline()
    }

    fn drawing(&self, note: impl Fn(&TreeNode) -> String) -> Drawing {
        Drawing::of(self.entries.iter().map(|(number, entry)| {
            let drawn = entry.node.drawn(*number, self.latest).with_note(note(&entry.node));
            let drawn = match entry.node.trace() {
                Some(trace) => drawn.with_heading(format!("trace {}", trace.trace_id)),
                None => drawn,
            };
            entry.parent.into_iter().fold(drawn, DrawingNode::with_parent)
        }))
    }

    fn start(&mut self, event: &Event) {
        if self.entries.len() >= Self::MAX_COMPONENTS && !self.drop_oldest_ended() {
            self.dropped += 1;
            return;
        }
        let number = self.next;
        self.next += 1;
        let parent = self.parent_of(event);
        if let Some(parent) = parent.and_then(|parent| self.entries.get_mut(&parent)) {
            parent.children.push(number);
        }
        // Unsampled components may share one id.
        if let Some(trace) = event.trace.filter(|trace| trace.sampled) {
            self.by_span.insert(trace.span_id, number);
        }
        self.by_start.insert(event.event_id, number);
        let workflow_id = event.workflow_id.as_deref().map(Into::into);
        let open = Some(self.open.insert(event, workflow_id, number));
        self.entries.insert(number, Entry { node: TreeNode::of(event), parent, children: Vec::new(), open });
    }

    fn parent_of(&self, event: &Event) -> Option<u64> {
        let by_span = event.trace.and_then(|trace| self.by_span.get(&trace.parent_span_id?)).copied();
        let by_start = || self.by_start.get(&event.parent_start_id?).copied();
        by_span.or_else(by_start).or_else(|| self.open.parent_of(event).map(|component| component.kept))
    }

    fn change(&mut self, number: Option<u64>, change: impl FnOnce(&mut TreeNode)) {
        match number.and_then(|number| self.entries.get_mut(&number)) {
            Some(entry) => {
                change(&mut entry.node);
                if entry.node.duration().is_some() {
                    entry.open = None;
                }
            }
            None => self.unmatched += 1,
        }
    }

    /// Drops the oldest root that is over and all below it. Reports whether there was one.
    fn drop_oldest_ended(&mut self) -> bool {
        let Some(root) = self.ended_roots.pop_first() else { return false };
        let mut numbers = vec![root];
        while let Some(number) = numbers.pop() {
            let Some(entry) = self.entries.remove(&number) else { continue };
            numbers.extend(entry.children);
            if let Some(open) = entry.open {
                self.open.remove(open);
            }
            if let Some(trace) = entry.node.trace().filter(|trace| self.by_span.get(&trace.span_id) == Some(&number)) {
                self.by_span.remove(&trace.span_id);
            }
            if self.by_start.get(&entry.node.start_id()) == Some(&number) {
                self.by_start.remove(&entry.node.start_id());
            }
            self.dropped += 1;
        }
        true
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Extend<&'a Event> for Tree {
    fn extend<I: IntoIterator<Item = &'a Event>>(&mut self, events: I) {
        events.into_iter().for_each(|event| self.observe(event));
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no components");
        }
        self.drawing(TreeNode::outcome).fmt(f)?;
        match self.dropped {
            0 => Ok(()),
            dropped => write!(f, "\n… and {dropped} components that were not kept"),
        }
    }
}
