//! Stdout: whether it is a terminal, how wide, and what happens when its reader ends.

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _, Stdout, Write},
};

/// What is drawn for, where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

/// The narrowest terminal that is drawn for, and the widest.
const WIDTHS: (usize, usize) = (40, 240);

/// Where results go, in pieces that are as large as they may be until they are flushed.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    has_colors: bool,
}

/// What a color says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Good,
    Bad,
    Warning,
    Running,
    Faint,
    Strong,
}

impl Output {
    /// Stdout, in colors if it is a terminal that has some and nobody asked for none.
    pub(crate) fn stdout() -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_plain = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let has_colors = io::stdout().is_terminal() && !is_unwanted && !is_plain;
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout()), has_colors }
    }

    /// How many columns there are: those of the terminal, else of the variable COLUMNS.
    pub(crate) fn columns() -> usize {
        let of_terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let of_variable = || env::var("COLUMNS").ok()?.parse().ok();
        of_terminal.or_else(of_variable).unwrap_or(DEFAULT_WIDTH).clamp(WIDTHS.0, WIDTHS.1)
    }

    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A text in a color, if there are colors.
    pub(crate) fn paint(&self, color: Color, text: &str) -> String {
        if !self.has_colors {
            return text.to_owned();
        }
        let code = match color {
            Color::Good => 32,
            Color::Bad => 31,
            Color::Warning => 33,
            Color::Running => 36,
            Color::Faint => 2,
            Color::Strong => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
