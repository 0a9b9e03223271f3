//! The costs that were measured last and committed, in `costs.md`, and what stands above them.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, process::Command};

use crate::operations::OPERATIONS;

/// How far above its baseline a figure may be: what a change elsewhere in the program moves.
const TOLERANCE: f64 = 0.02;

/// Set by who wants the figures of this run to become the baseline.
const UPDATE: &str = "UPDATE_COSTS";

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/costs.md");

const HEAD: &str = "\
# Exact costs: the baseline

Per operation, in the release profile. Written by `.ci/costs --update`, held by `.ci/costs`; `README.md` says what the
operations are.
";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Instructions,
    Allocations,
    Bytes,
}

/// One counted figure.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub operation: &'static str,
    pub column: Column,
    pub figure: f64,
}

type Figures = BTreeMap<(String, Column), f64>;

impl Column {
    const ALL: [Self; 3] = [Self::Instructions, Self::Allocations, Self::Bytes];

    const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::Bytes => "bytes",
        }
    }

    fn show(self, figure: f64) -> String {
        match self {
            Self::Allocations => format!("{figure:.2}"),
            Self::Instructions | Self::Bytes => format!("{figure:.0}"),
        }
    }
}

/// Holds what was measured against the baseline, or makes it the baseline where that is asked for.
///
/// # Errors
///
/// One line for each figure above its baseline or without one.
///
/// # Panics
///
/// If `costs.md` cannot be read or written.
pub fn hold(measured: &[Measured]) -> Result<(), String> {
    let mut baseline = read();
    if env::var_os(UPDATE).is_some() {
        baseline.extend(measured.iter().map(|m| ((m.operation.to_owned(), m.column), m.figure)));
        fs::write(PATH, table(&baseline)).expect("costs.md can be written");
        return Ok(());
    }
    let faults: String = measured.iter().filter_map(|measured| fault(&baseline, *measured)).collect();
    if faults.is_empty() { Ok(()) } else { Err(format!("{faults}A deliberate change: .ci/costs --update")) }
}

fn fault(baseline: &Figures, Measured { operation, column, figure }: Measured) -> Option<String> {
    let (name, shown) = (column.name(), column.show(figure));
    let Some(before) = baseline.get(&(operation.to_owned(), column)) else {
        return Some(format!("{operation}: {shown} {name}, which have no baseline\n"));
    };
    let above = figure / before - 1.0;
    (above > TOLERANCE).then(|| {
        format!("{operation}: {shown} {name}, {:.1} % above the baseline of {}\n", above * 100.0, column.show(*before))
    })
}

fn read() -> Figures {
    let text = fs::read_to_string(PATH).unwrap_or_default();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?.to_owned(), cells))
    });
    let figures = rows.flat_map(|(operation, cells)| {
        let figures = Column::ALL.into_iter().zip(cells);
        figures.filter_map(move |(column, cell)| Some(((operation.clone(), column), cell.parse().ok()?)))
    });
    figures.collect()
}

fn table(figures: &Figures) -> String {
    let mut text = format!("{HEAD}\nMeasured with {}.\n\n", toolchain());
    text.push_str("| operation | instructions | allocations | bytes |\n| --- | --- | --- | --- |\n");
    for operation in OPERATIONS {
        let figure = |column: Column| figures.get(&(operation.name.to_owned(), column)).map(|f| column.show(*f));
        let [instructions, allocations, bytes] = Column::ALL.map(|column| figure(column).unwrap_or_default());
        writeln!(text, "| {} | {instructions} | {allocations} | {bytes} |", operation.name)
            .expect("a String takes all");
    }
    text
}

/// The compiler, on which the instructions depend.
fn toolchain() -> String {
    let version = Command::new("rustc").arg("--version").output().map(|output| output.stdout);
    String::from_utf8_lossy(&version.unwrap_or_default()).trim().to_owned()
}
