//! Texts of others, which must not steer a terminal.

use std::fmt::Write as _;

use serde::Serialize;

/// A text on one line, with what could steer a terminal or turn the reading direction written out as an escape.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if steers(c) => write!(line, "\\u{{{:x}}}", u32::from(c)).expect("a string takes all"),
            c => line.push(c),
        }
    }
    line
}

/// A text whose line breaks are the program's own, printable between them.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => printable(line) + "\n",
            None => printable(line),
        })
        .collect()
}

/// A value as one line of JSON; what could steer a terminal is escaped, which leaves the value as it is.
pub(crate) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("what is written has texts for keys");
    if !text.contains(steers) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of strings JSON has none of these.
        if steers(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(line, "\\u{unit:04x}").expect("a string takes all");
            }
        } else {
            line.push(c);
        }
    }
    line
}

/// Control characters, separators of lines, marks of the reading direction, and tags, which no terminal shows.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns a printable text takes.
pub(crate) fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A printable text in at most so many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// A printable text in exactly so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let rest = columns.saturating_sub(width(&text));
    format!("{text}{:rest$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        let text = "a\u{1b}[2Jb\u{9b}31mc\r\n\td\u{202e}e\u{7}\u{e0041}";
        assert_eq!(printable(text), "a\\u{1b}[2Jb\\u{9b}31mc\\r\\n\\td\\u{202e}e\\u{7}\\u{e0041}");
        let json = json(&text);
        assert!(!json.contains(steers), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        // Joined emoji and texts of every script stay as they are.
        for text in ["👩‍💻 naïve 日本語 می‌خواهم", ""] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!((width("日本"), cut("日本語", 5), padded("日本", 6)), (4, "日本…".to_owned(), "日本  ".to_owned()));
    }
}
