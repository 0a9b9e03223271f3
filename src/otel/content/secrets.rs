//! Secrets that are known by the name before them: in JSON, in a URL's query, in settings and in headers.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use crate::wording::quotation_end;

/// Names of fields, in lower case and without separators, whose value is secret: as a whole name, or at its end.
const SECRET_FIELDS: [&str; 16] = [
    "accesskey",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "token",
];

/// Names in a URL's query whose value is secret, besides those.
const SECRET_PARAMETERS: [&str; 7] = ["auth", "jwt", "key", "session", "sid", "sig", "signature"];

/// The shortest secret behind a bare name, which may be a word of prose.
const MIN_BARE_BYTES: usize = 4;

/// The shortest secret behind the bare word `token`, which has a digit then, too.
const MIN_TOKEN_BYTES: usize = 8;

/// A name and what stands between it and its value: in quotes, in a query, or bare.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r#"(?i)(?:\\*["'](?<quoted>[\w.-]{1,64})\\*["']\s*[:=]\s*"#,
        r"|[?&;](?<query>[\w.-]{1,64})=",
        r"|(?<bare>api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|client[_-]?secret",
        r"|(?:access|refresh|auth|id|api|session|security|csrf)[_-]?token|passw(?:or)?d|passphrase|pwd|secret)\s*[:=]\s*",
        r"|(?<token>token)\s*[:=]\s*)",
    );
    Regex::new(pattern).expect("the pattern is a constant, and a test compiles it")
});

/// The next value behind a name that says that it is secret.
pub(super) fn next(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(found) = NAMES.captures_at(text, at) {
        at = found.get_match().end();
        if let Some(value) = value(&found, text, at) {
            if is_new(&text[value.clone()]) {
                return Some(value);
            }
            // So that no part of the text is looked at twice.
            at = value.end;
        }
    }
    None
}

/// Whether the name of a field says that its value is secret.
pub(super) fn is_secret(field: &str) -> bool {
    let name: String = field.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_FIELDS.iter().any(|secret| name.ends_with(secret))
}

/// Whether there is something that has not been redacted already; headers have a rule of their own.
fn is_new(value: &str) -> bool {
    let is_marker = value.starts_with("[redacted:") && value.ends_with(']');
    let is_header = value.split_once(' ').is_some_and(|(_, secret)| secret == "[redacted:credentials]");
    !value.is_empty() && !is_marker && !is_header
}

fn value(found: &Captures<'_>, text: &str, start: usize) -> Option<Range<usize>> {
    let quoted = found.name("quoted").map(|name| name.as_str());
    let query = found.name("query").map(|name| name.as_str());
    if quoted.is_some_and(|name| !is_secret(name)) || query.is_some_and(|name| !is_secret_parameter(name)) {
        return None;
    }
    if query.is_none()
        && let Some(value) = in_quotes(text, start)
    {
        return Some(value);
    }
    let rest = &text[start..];
    let is_end = |c: char| match (quoted, query) {
        (Some(_), _) => c.is_whitespace() || matches!(c, ',' | '}' | ']' | '"' | '\'' | '\\'),
        (_, Some(_)) => {
            c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'' | '`' | '<' | '>' | ')' | ',' | ';' | '\\')
        }
        (None, None) => c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '[' | '\\'),
    };
    let value = &rest[..rest.find(is_end).unwrap_or(rest.len())];
    let is_secret = if quoted.is_some() {
        !value.starts_with(['{', '[']) && !matches!(value, "null" | "true" | "false")
    } else if found.name("token").is_some() {
        value.len() >= MIN_TOKEN_BYTES && value.contains(|c: char| c.is_ascii_digit())
    } else {
        query.is_some() || value.len() >= MIN_BARE_BYTES
    };
    is_secret.then(|| start..start + value.len())
}

fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || SECRET_PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

/// The text of the quotation that begins here, in quotes that may have backslashes before them; one without an end goes to
/// the end of the line.
fn in_quotes(text: &str, start: usize) -> Option<Range<usize>> {
    let opening = start + text[start..].find(|c| c != '\\')?;
    let quote = text[opening..].chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let inside = opening + quote.len_utf8();
    let line_end = text[inside..].find('\n').map_or(text.len(), |at| inside + at);
    Some(inside..quotation_end(&text[..line_end], opening, inside, &[quote]))
}
