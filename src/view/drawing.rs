//! Nodes in their places, as text: a tree of bars for people, an outline for comparison in a test.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::text::one_line;

/// A forest whose nodes know their parents, laid out as lines.
///
/// It prints with branches, and with a bar for when and how long each node was; [`outline`](Self::outline) is the plain
/// form. [`Tree`](super::Tree) draws components of events with it; spans of any kind can be drawn as well.
///
/// ```
/// use agent_runtime::view::{Drawing, DrawingNode};
///
/// let nodes = [DrawingNode::new(1, "run"), DrawingNode::new(2, "step").with_parent(1).with_note("ok")];
/// assert_eq!(Drawing::of(nodes).outline(), "run\n  step ok\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    lines: Vec<Line>,
}

/// One node of a [`Drawing`].
#[derive(Clone, Debug)]
pub struct DrawingNode<K> {
    id: K,
    parent: Option<K>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    rank: u64,
    title: String,
    note: String,
    heading: Option<String>,
}

#[derive(Clone, Debug)]
struct Line {
    depth: usize,
    /// The branches before the title.
    branches: String,
    title: String,
    note: String,
    heading: Option<String>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl<K> DrawingNode<K> {
    /// Makes a node without parent, note and duration.
    #[must_use]
    pub fn new(id: K, title: impl Into<String>) -> Self {
        Self {
            id,
            parent: None,
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH,
            rank: 0,
            title: title.into(),
            note: String::new(),
            heading: None,
        }
    }

    /// Puts the node below another. If that one is not drawn, or lies below this one, the node is a root.
    #[must_use]
    pub fn with_parent(mut self, parent: K) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Sets when the node began and ended. Siblings are drawn in the order of their beginnings.
    #[must_use]
    pub const fn with_times(mut self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        self.start = start;
        self.end = end;
        self
    }

    /// Orders siblings that began at once. By default, 0; equal ones are ordered by title.
    #[must_use]
    pub const fn with_rank(mut self, rank: u64) -> Self {
        self.rank = rank;
        self
    }

    /// Adds what is printed behind the title. By default, nothing.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Adds a line above the node if it is a root; an outline has none. By default, none.
    #[must_use]
    pub fn with_heading(mut self, heading: impl Into<String>) -> Self {
        self.heading = Some(heading.into());
        self
    }
}

impl Drawing {
    /// The columns of a bar.
    pub const BAR_WIDTH: usize = 32;

    /// The levels that have an indentation; what lies deeper is drawn at the deepest.
    pub const MAX_DEPTH: usize = 128;

    /// The widest column of titles, in characters; a longer one moves its own bar to the right.
    pub const MAX_TITLE_WIDTH: usize = 120;

    /// Lays out nodes, whatever order they come in. Of two with the same id, the first is the parent of those below it.
    #[must_use]
    pub fn of<K: Ord>(nodes: impl IntoIterator<Item = DrawingNode<K>>) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_by(|a, b| (a.start, a.rank, &a.title).cmp(&(b.start, b.rank, &b.title)));
        let mut by_id = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            by_id.entry(&node.id).or_insert(index);
        }
        let mut children = vec![Vec::new(); nodes.len()];
        let mut roots = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            match node.parent.as_ref().and_then(|parent| by_id.get(parent)) {
                Some(parent) => children[*parent].push(index),
                None => roots.push(index),
            }
        }
        // Nodes that lie below each other in a circle are reached from no root; the first of them becomes one.
        let order = roots.into_iter().chain(0..nodes.len());
        let mut taken: Vec<_> = nodes.into_iter().map(Some).collect();
        let mut lines = Vec::with_capacity(taken.len());
        for root in order {
            add_tree(root, &children, &mut taken, &mut lines);
        }
        Self { lines }
    }

    /// Titles and notes, indented by two spaces a level, each line with its line break.
    #[must_use]
    pub fn outline(&self) -> String {
        let mut text = String::new();
        for Line { depth, title, note, .. } in &self.lines {
            let space = if note.is_empty() { "" } else { " " };
            writeln!(text, "{:1$}{title}{space}{note}", "", 2 * depth).expect("writing to a string does not fail");
        }
        text
    }
}

/// Adds a node and what lies below it, unless it was added before. Without recursion, since a tree may be deep.
fn add_tree<K>(root: usize, children: &[Vec<usize>], nodes: &mut [Option<DrawingNode<K>>], lines: &mut Vec<Line>) {
    let mut stack = vec![(root, 0, String::new(), true)];
    while let Some((index, depth, indent, is_last)) = stack.pop() {
        let Some(node) = nodes[index].take() else { continue };
        let (branch, space) = match (depth, is_last) {
            (0, _) => ("", ""),
            (_, true) => ("└─ ", "   "),
            (_, false) => ("├─ ", "│  "),
        };
        lines.push(Line {
            depth,
            branches: format!("{indent}{branch}"),
            title: one_line(&node.title, usize::MAX),
            note: one_line(&node.note, usize::MAX),
            heading: node.heading.filter(|_| depth == 0),
            start: node.start,
            end: node.end.max(node.start),
        });
        let below = if depth < Drawing::MAX_DEPTH { format!("{indent}{space}") } else { indent };
        let depth = (depth + 1).min(Drawing::MAX_DEPTH);
        let last_first = children[index].iter().rev().enumerate();
        stack.extend(last_first.map(|(place, child)| (*child, depth, below.clone(), place == 0)));
    }
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label_width = |line: &Line| line.branches.chars().count() + line.title.chars().count();
        let width = self.lines.iter().map(label_width).max().unwrap_or_default().min(Self::MAX_TITLE_WIDTH);
        let mut lines = self.lines.as_slice();
        while let Some((root, rest)) = lines.split_first() {
            let size = 1 + rest.iter().take_while(|line| line.depth > 0).count();
            let (tree, others) = lines.split_at(size);
            let total = tree.iter().map(|line| line.end - root.start).max().unwrap_or_default();
            if let Some(heading) = &root.heading {
                writeln!(f, "{heading}")?;
            }
            for (index, line) in tree.iter().enumerate() {
                let label = format!("{}{}", line.branches, line.title);
                let bar = bar(line.start - root.start, line.end - root.start, total);
                let length = (line.end - line.start).num_milliseconds();
                let gap = if line.note.is_empty() { "" } else { "  " };
                write!(f, "{label:width$}  {bar}  {length:>5} ms{gap}{}", line.note)?;
                if index + 1 < size || !others.is_empty() {
                    writeln!(f)?;
                }
            }
            lines = others;
        }
        Ok(())
    }
}

fn bar(from: TimeDelta, to: TimeDelta, total: TimeDelta) -> String {
    let column = |at: TimeDelta| {
        let share = at.as_seconds_f64() / total.as_seconds_f64().max(f64::MIN_POSITIVE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a few dozen columns"
        )]
        let column = (share.max(0.0) * Drawing::BAR_WIDTH as f64).round() as usize;
        column.min(Drawing::BAR_WIDTH)
    };
    let first = column(from).min(Drawing::BAR_WIDTH - 1);
    let length = column(to).saturating_sub(first).max(1);
    format!("{}{}{}", "·".repeat(first), "█".repeat(length), "·".repeat(Drawing::BAR_WIDTH - first - length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    fn node(id: u32, parent: u32, start: i64, end: i64) -> DrawingNode<u32> {
        let node = DrawingNode::new(id, format!("n{id}")).with_times(at(start), at(end));
        if parent == 0 { node } else { node.with_parent(parent) }
    }

    #[test]
    fn every_node_is_drawn_once_whatever_the_parents_are() {
        let check = |nodes: Vec<DrawingNode<u32>>, expected: &str| assert_eq!(Drawing::of(nodes).outline(), expected);
        check(vec![], "");
        check(vec![node(2, 1, 3, 4), node(3, 1, 2, 4), node(1, 0, 1, 9)], "n1\n  n3\n  n2\n");
        check(vec![node(2, 7, 1, 2)], "n2\n");
        check(vec![node(1, 1, 1, 2)], "n1\n");
        check(vec![node(1, 2, 1, 2), node(2, 1, 1, 2), node(3, 2, 1, 2)], "n1\n  n2\n    n3\n");
        check(vec![node(1, 0, 1, 2), node(1, 0, 1, 2), node(2, 1, 1, 2)], "n1\n  n2\nn1\n");
        let ranked = [node(1, 0, 1, 1).with_rank(2), node(2, 0, 1, 1).with_rank(1).with_note("a\nb")];
        check(ranked.to_vec(), "n2 a b\nn1\n");
    }

    #[test]
    fn a_chain_that_is_deeper_than_the_drawing_stays_at_its_last_level() {
        let depth = 10_000;
        let drawing = Drawing::of((1..=depth).map(|id| node(id, id - 1, 0, 1)));
        assert_eq!(drawing.lines.len(), depth as usize);
        let deepest = drawing.lines.last().expect("there are some");
        assert_eq!((deepest.depth, deepest.title.as_str()), (Drawing::MAX_DEPTH, "n10000"));
        assert_eq!(deepest.branches.chars().count(), 3 * Drawing::MAX_DEPTH);
    }

    #[test]
    fn each_root_has_a_scale_of_its_own_and_a_heading() {
        let first = node(1, 0, 0, 100).with_heading("trace a").with_note("ok");
        let nodes = [first, node(2, 1, 50, 100), node(3, 1, 90, 40), node(4, 0, 1_000, 1_001)];
        let expected = format!(
            "trace a\nn1     {full}    100 ms  ok\n├─ n2  {half}     50 ms\n└─ n3  {late}      0 ms\nn4     {full}      1 ms",
            full = "█".repeat(32),
            half = "·".repeat(16) + &"█".repeat(16),
            late = "·".repeat(29) + "█" + "··",
        );
        assert_eq!(Drawing::of(nodes).to_string(), expected);
    }
}
