//! Where a quotation ends, also inside another one, where its quotes have backslashes before them.

/// Finds the end of the quotation whose opening quote stands at `opening` and whose text begins at `start`: the place of
/// the closing quote or of the backslashes before it, else the end of the text.
///
/// Each level of nesting doubles the backslashes before a quote and adds one: none, one, three. A quote with more of
/// them than the opening one has is a part of the quotation, and so is one that stands right before a letter or a digit.
pub(crate) fn end(text: &str, opening: usize, start: usize, closing: &[char]) -> usize {
    let level = backslashes_before(text, opening);
    let mut from = start;
    while let Some(found) = text[from..].find(closing).map(|at| from + at) {
        let backslashes = backslashes_before(&text[start..], found - start);
        let after = found + text[found..].chars().next().map_or(1, char::len_utf8);
        let is_this_level = backslashes < level || (backslashes - level).is_multiple_of(2 * (level + 1));
        if is_this_level && !text[after..].starts_with(char::is_alphanumeric) {
            return found - backslashes.min(level);
        }
        from = after;
    }
    text.len()
}

/// How many backslashes stand right before a place.
pub(crate) fn backslashes_before(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count()
}
