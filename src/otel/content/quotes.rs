//! What an error quotes: the beginning of an answer that cannot be read, a value that does not fit.

use std::borrow::Cow;

/// Stands in a message for what it quoted.
const ELIDED: char = '…';

/// Takes out of a message what it quotes, unless that is a single word: a name, most likely.
///
/// It is not for people's prose but for the habit of errors to quote what they got, in double quotes, single quotes or
/// backticks, with backslashes before quotes inside. A quotation without an end goes to the end of the message.
pub(super) fn elide(text: &str) -> Cow<'_, str> {
    let mut elided = String::new();
    let mut kept = 0;
    let mut from = 0;
    while let Some(opening) = find_opening(text, from) {
        let quote = text.as_bytes()[opening];
        let (inside_end, end) =
            find_closing(text, opening + 1, quote).map_or((text.len(), text.len()), |at| (at, at + 1));
        if !is_word(&text[opening + 1..inside_end]) {
            elided.push_str(&text[kept..=opening]);
            elided.push(ELIDED);
            kept = inside_end;
        }
        from = end;
    }
    if elided.is_empty() {
        return Cow::Borrowed(text);
    }
    elided.push_str(&text[kept..]);
    Cow::Owned(elided)
}

/// A quote that is no apostrophe.
fn find_opening(text: &str, from: usize) -> Option<usize> {
    let is_opening = |(at, quote): &(usize, char)| {
        matches!(quote, '"' | '\'' | '`') && !text[..*at].chars().next_back().is_some_and(char::is_alphanumeric)
    };
    text[from..].char_indices().map(|(at, c)| (from + at, c)).find(is_opening).map(|(at, _)| at)
}

fn find_closing(text: &str, from: usize, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_go_and_names_stay() {
        for (text, expected) in [
            ("the model's answer was interrupted", "the model's answer was interrupted"),
            (r#"the model of agent "writer" gave no answer"#, r#"the model of agent "writer" gave no answer"#),
            (r#"cannot be read: not JSON: "{\"a\": \"b\"}" at 1"#, r#"cannot be read: not JSON: "…" at 1"#),
            (r#"invalid type: string "dear diary", expected u32"#, r#"invalid type: string "…", expected u32"#),
            ("unknown variant `to be sure`, expected `a`", "unknown variant `…`, expected `a`"),
            (r#"{"input": "what they asked", "n": 1}"#, r#"{"input": "…", "n": 1}"#),
            ("input_value='it isn't said', n=1", "input_value='…', n=1"),
            (r#"cut: "and so o"#, r#"cut: "…"#),
            (r#"ends in a quote ""#, r#"ends in a quote ""#),
            (r#"ends in a backslash "a b\"#, r#"ends in a backslash "…"#),
            (r#"„ä" "ö ü" 馬"#, r#"„ä" "…" 馬"#),
            ("", ""),
        ] {
            assert_eq!(elide(text), expected, "{text}");
        }
    }
}
