//! What may stay of a sentence that leaves without content: of the application's own, all but what it quotes and where
//! its URLs lead; of anybody else's, the words of a list.

use std::{borrow::Cow, ops::Range};

use super::{quoted, words};

/// Stands for what does not leave.
pub(super) const ELIDED: char = '…';

/// Opening quotes and the signs that close them.
const QUOTES: [(char, &[char]); 21] = [
    ('"', &['"']),
    ('`', &['`']),
    ('\'', &['\'']),
    ('’', &['’']),
    ('´', &['´']),
    ('＇', &['＇']),
    ('＂', &['＂']),
    ('“', &['”', '“']),
    ('”', &['”']),
    ('„', &['“', '”']),
    ('‟', &['”']),
    ('‘', &['’', '‘']),
    ('‚', &['‘', '’']),
    ('«', &['»']),
    ('»', &['«', '»']),
    ('‹', &['›']),
    ('›', &['‹', '›']),
    ('「', &['」']),
    ('『', &['』']),
    ('《', &['》']),
    ('〝', &['〞', '〟']),
];

/// The quotes that are apostrophes inside a word or behind it.
const APOSTROPHES: [char; 4] = ['\'', '’', '´', '＇'];

/// What may stand before a quote as a part of it, as in `b'…'`.
const PREFIXES: [&str; 8] = ["b", "br", "c", "f", "r", "rb", "u", "x"];

/// Keeps a sentence of the application's but for what it quotes and for where its URLs lead.
///
/// Errors quote what they could not take, in quotes of any kind. A quotation without an end goes to the end of the
/// sentence.
pub(crate) fn without_quotations(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let (mut copied, mut from) = (0, 0);
    while let Some((elided, next)) = next_elision(text, from) {
        if !elided.is_empty() {
            kept.push_str(&text[copied..elided.start]);
            kept.push(ELIDED);
            copied = elided.end;
        }
        from = next;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[copied..]);
    Cow::Owned(kept)
}

/// Keeps the words of a sentence that are on the list, with the numbers that belong to them, and the marks between them.
pub(crate) fn known_words(text: &str) -> String {
    let mut kept = String::new();
    // Marks behind an elision, which go if another one follows.
    let mut marks = "";
    let mut before = "";
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| is_mark(c) != is_mark(first)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(length);
        rest = after;
        if is_mark(first) {
            marks = token;
            continue;
        }
        let stays = words::may_stay(token, before);
        before = token;
        if stays || !kept.ends_with(ELIDED) {
            kept.push_str(marks);
            if stays {
                kept.push_str(token);
            } else {
                kept.push(ELIDED);
            }
        }
        marks = "";
    }
    kept.push_str(marks);
    kept
}

/// Whether a sign can stand between two words and says nothing.
const fn is_mark(c: char) -> bool {
    c.is_ascii_whitespace()
        || matches!(c, '.' | ',' | ':' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '\'' | '`' | '/' | '!' | '?')
}

/// The next part that is to go, and where to look on.
fn next_elision(text: &str, from: usize) -> Option<(Range<usize>, usize)> {
    for (at, c) in text[from..].char_indices().map(|(at, c)| (from + at, c)) {
        let quote = QUOTES.iter().find(|(opening, _)| *opening == c);
        if let Some((opening, closing)) = quote
            && opens(text, at, *opening)
        {
            let start = at + opening.len_utf8();
            let end = quoted::end(text, at, start, closing);
            let backslashes = text[end..].len() - text[end..].trim_start_matches('\\').len();
            let closing = text[end + backslashes..].chars().next().map_or(0, char::len_utf8);
            return Some((start..end, end + backslashes + closing));
        }
        if c == ':' && text[at..].starts_with("://") {
            let url = at + 3..at + 3 + url_length(&text[at + 3..]);
            return Some((url.start + host_length(&text[url.clone()])..url.end, url.end));
        }
    }
    None
}

/// Whether a quote is no apostrophe.
fn opens(text: &str, at: usize, quote: char) -> bool {
    if !APOSTROPHES.contains(&quote) {
        return true;
    }
    let after = &text[at + quote.len_utf8()..];
    let word = text[..at]
        .rfind(|c: char| !c.is_alphanumeric())
        .map_or(&text[..at], |before| &text[before + text[before..].chars().next().map_or(0, char::len_utf8)..at]);
    let is_genitive = after.strip_prefix('s').is_some_and(|after| !after.starts_with(char::is_alphanumeric));
    let is_prefix = || PREFIXES.iter().any(|prefix| word.eq_ignore_ascii_case(prefix));
    word.is_empty() || is_prefix() && !is_genitive
}

/// How long the URL is that begins here, behind its scheme.
fn url_length(text: &str) -> usize {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | ']' | '}');
    let end = text.find(is_end).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ',', ':', ';']).len()
}

/// How much of a URL names a host, which is none of it where a user is named, too.
fn host_length(url: &str) -> usize {
    let end = url.find(['/', '?', '#', '\\']).unwrap_or(url.len());
    if url[..end].contains('@') { 0 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_go_and_the_sentence_stays() {
        for (text, expected) in [
            ("the model's answer was interrupted", "the model's answer was interrupted"),
            ("the agents' plan isn’t known; plan b's is", "the agents' plan isn’t known; plan b's is"),
            (r#"the model of agent "writer" gave no answer"#, r#"the model of agent "…" gave no answer"#),
            (r#"cannot be read: not JSON: "{\"a\": \"b\"}" at 1"#, r#"cannot be read: not JSON: "…" at 1"#),
            (r#"in a text: \"dear \\\"old\\\" diary\" at 1"#, r#"in a text: \"…\" at 1"#),
            (r#"invalid type: string "dear diary", expected u32"#, r#"invalid type: string "…", expected u32"#),
            ("unknown variant `to be sure`, expected `a`", "unknown variant `…`, expected `…`"),
            (r#"{"input": "what they asked", "n": 1}"#, r#"{"…": "…", "…": 1}"#),
            ("input_value='it isn't said', n=1", "input_value='…', n=1"),
            ("b'dear diary' and br\"dear diary\"", "b'…' and br\"…\""),
            (r#"cut: "and so o"#, r#"cut: "…"#),
            (r#"a "quote "in quotes" unescaped" ends"#, r#"a "…" unescaped"…"#),
            (r#"ends in a quote ""#, r#"ends in a quote ""#),
            (r#"ends in a backslash "a b\"#, r#"ends in a backslash "…"#),
            ("“a b” «a b» „a b“ ‚a b‘ ‘a b’ 「a b」 ”a b” »a b«", "“…” «…» „…“ ‚…‘ ‘…’ 「…」 ”…” »…«"),
            ("url (https://a.example/?token=x): refused", "url (https://a.example…): refused"),
            ("at http://127.0.0.1:80, https://ann:pw@a.example/x.", "at http://127.0.0.1:80, https://…."),
            ("", ""),
        ] {
            assert_eq!(without_quotations(text), expected, "{text}");
        }
    }

    #[test]
    fn only_known_words_stay_of_somebody_elses_sentence() {
        for (text, expected) in [
            ("dropped before its end", "dropped before its end"),
            (
                "Rate limit reached for gpt-4o in organization org-77: retry",
                "Rate limit reached for … in organization …: retry",
            ),
            ("invalid type: integer `4111111111111111`, expected a date", "invalid type: integer `…`, expected a date"),
            ("expected value at line 1 column 22", "expected value at line 1 column 22"),
            ("the PIN is 4711, p@$$-w0rd!", "the … is …!"),
            ("off by 1", "off by 1"),
            ("患者張三患有糖尿病", "…"),
            ("diabetes", "…"),
            ("", ""),
        ] {
            assert_eq!(known_words(text), expected, "{text}");
        }
    }
}
