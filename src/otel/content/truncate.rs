//! Cuts content to a size: the longest texts first, then long lists and deep nesting, and always to valid JSON of the
//! same shape.

use std::cmp::Reverse;

use serde_json::{Map, Value as JsonValue};

use super::shape::{MARKER, Shape};

/// A text in JSON is not cut to less than this many bytes; lists are shortened instead.
const MIN_TEXT_BYTES: usize = 64;

/// How long the name of a field may be once lists have to be shortened.
const MAX_FIELD_NAME_BYTES: usize = 64;

/// How much longer than the limit a text may be when it is redacted, since redaction may make it shorter.
const REDACTION_ALLOWANCE: usize = 4;

/// How far back from a cut the end of a word is looked for.
const MAX_WORD_BYTES: usize = 4 * 1024;

/// What content is pruned to, step by step until it fits: the elements of a list, and the depth of nesting.
const PRUNING: [(usize, usize); 9] =
    [(4_096, 48), (1_024, 48), (256, 32), (64, 32), (16, 16), (8, 8), (4, 6), (2, 4), (1, 2)];

/// How much of a text is kept for redaction if its limit is this.
pub(super) const fn kept_before_redaction(max_bytes: usize) -> usize {
    max_bytes.saturating_mul(REDACTION_ALLOWANCE)
}

/// The part of a very long text that is worth redacting.
///
/// It ends between two words, so that no half of a key slips through that the redactor would know as a whole.
pub(super) fn before_redaction(text: &str, max_bytes: usize) -> &str {
    let kept = kept_before_redaction(max_bytes);
    if text.len() <= kept { text } else { whole_words(&text[..text.floor_char_boundary(kept)]) }
}

/// A beginning of a text without its last word, which may be half of one; of a word that is longer than any key, without
/// its end.
fn whole_words(start: &str) -> &str {
    let window = start.floor_char_boundary(start.len().saturating_sub(MAX_WORD_BYTES.min(start.len() / 4)));
    let last = &start[window..];
    let end = last.rfind(is_between_words).or_else(|| last.rfind(|c: char| !c.is_alphanumeric()));
    &start[..window + end.unwrap_or(0)]
}

/// Whether a sign cannot be inside a key, an address or a number: space, quotes, brackets, and all of the scripts that
/// write no space between words.
fn is_between_words(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';')
        // Thai, Lao, Tibetan and Burmese; Khmer; Tai Lue and its neighbors; Chinese, Japanese and Korean.
        || matches!(c, '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{1aaf}')
        || c >= '\u{2e80}'
}

/// The beginning of a text and a marker, together no longer than the limit.
pub(super) fn cut_text(text: &str, max_bytes: usize) -> String {
    let text = text.strip_suffix(MARKER).unwrap_or(text);
    let end = text.floor_char_boundary(max_bytes.saturating_sub(MARKER.len()));
    [&text[..end], MARKER].concat()
}

/// Cuts a value so that its JSON is no longer than the limit; says whether it had to.
pub(super) fn to_fit(value: &mut JsonValue, shape: Shape, max_bytes: usize) -> bool {
    shorten(value, shape, max_bytes, escaped_boundary)
}

/// Cuts a value to what is worth redacting if it is to fit the limit afterwards, its texts between two words.
pub(super) fn to_redact(value: &mut JsonValue, shape: Shape, max_bytes: usize) -> bool {
    let boundary = |text: &str, max_escaped| whole_words(&text[..escaped_boundary(text, max_escaped)]).len();
    shorten(value, shape, kept_before_redaction(max_bytes), boundary)
}

/// Cuts a value; `boundary` is where a text ends whose escaped form may have so many bytes.
fn shorten(
    value: &mut JsonValue,
    shape: Shape,
    max_bytes: usize,
    boundary: impl Fn(&str, usize) -> usize + Copy,
) -> bool {
    let excess = json_len(value).saturating_sub(max_bytes);
    if excess == 0 {
        return false;
    }
    if shorten_texts(value, excess, boundary) {
        return true;
    }
    for (max_elements, max_depth) in PRUNING {
        prune(value, shape, max_elements, max_depth);
        let excess = json_len(value).saturating_sub(max_bytes);
        if excess == 0 || shorten_texts(value, excess, boundary) {
            return true;
        }
    }
    *value = shape.marker_for(value);
    true
}

/// How many bytes the value's JSON has.
fn json_len(value: &JsonValue) -> usize {
    match value {
        JsonValue::Null => 4,
        JsonValue::Bool(value) => 5 - usize::from(*value),
        JsonValue::Number(number) => number.to_string().len(),
        JsonValue::String(text) => 2 + escaped_len(text),
        JsonValue::Array(elements) => {
            2 + elements.len().saturating_sub(1) + elements.iter().map(json_len).sum::<usize>()
        }
        JsonValue::Object(fields) => {
            let field = |(name, value): (&String, &JsonValue)| 3 + escaped_len(name) + json_len(value);
            2 + fields.len().saturating_sub(1) + fields.iter().map(field).sum::<usize>()
        }
    }
}

/// How many bytes a text has between the quotes of JSON.
fn escaped_len(text: &str) -> usize {
    text.len() + text.bytes().map(|byte| escaped_byte_len(byte) - 1).sum::<usize>()
}

const fn escaped_byte_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Takes `excess` bytes off the longest texts, all of them to one length; does nothing if they would get too short.
fn shorten_texts(value: &mut JsonValue, excess: usize, boundary: impl Fn(&str, usize) -> usize + Copy) -> bool {
    let mut lengths = Vec::new();
    text_lengths(value, &mut lengths);
    lengths.sort_unstable_by_key(|length| Reverse(*length));
    let mut sum = 0;
    for (index, length) in lengths.iter().enumerate() {
        sum += length;
        let next = lengths.get(index + 1).copied().unwrap_or(0);
        // The length that the longest ones are cut to, if the next one stays whole.
        let Some(cap) = sum.checked_sub(excess).map(|left| left / (index + 1)) else { continue };
        if cap >= next {
            if cap >= MIN_TEXT_BYTES {
                cut_texts(value, cap, boundary);
            }
            return cap >= MIN_TEXT_BYTES;
        }
    }
    false
}

fn text_lengths(value: &JsonValue, lengths: &mut Vec<usize>) {
    match value {
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => {}
        JsonValue::String(text) => lengths.push(escaped_len(text)),
        JsonValue::Array(elements) => elements.iter().for_each(|element| text_lengths(element, lengths)),
        JsonValue::Object(fields) => fields.values().for_each(|value| text_lengths(value, lengths)),
    }
}

fn cut_texts(value: &mut JsonValue, cap: usize, boundary: impl Fn(&str, usize) -> usize + Copy) {
    match value {
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => {}
        JsonValue::String(text) => {
            if escaped_len(text) > cap {
                let whole = text.strip_suffix(MARKER).unwrap_or(text);
                text.truncate(boundary(whole, cap - MARKER.len()));
                text.push_str(MARKER);
            }
        }
        JsonValue::Array(elements) => elements.iter_mut().for_each(|element| cut_texts(element, cap, boundary)),
        JsonValue::Object(fields) => fields.values_mut().for_each(|value| cut_texts(value, cap, boundary)),
    }
}

/// The end of the longest beginning whose escaped form is no longer than the limit.
fn escaped_boundary(text: &str, max_escaped: usize) -> usize {
    let mut escaped = 0;
    let beyond = text.bytes().position(|byte| {
        escaped += escaped_byte_len(byte);
        escaped > max_escaped
    });
    text.floor_char_boundary(beyond.unwrap_or(text.len()))
}

/// Shortens lists and content of many fields, and flattens deep nesting.
fn prune(value: &mut JsonValue, shape: Shape, max_elements: usize, max_depth: usize) {
    let is_nested = |value: &JsonValue| value.is_array() || value.is_object();
    match value {
        JsonValue::Array(elements) => {
            shorten_list(elements, shape, max_elements);
            let is_free = shape.of_elements() == Shape::Free;
            for element in elements {
                if is_free && max_depth == 0 && is_nested(element) {
                    *element = JsonValue::from(MARKER);
                }
                prune(element, shape.of_elements(), max_elements, max_depth.saturating_sub(usize::from(is_free)));
            }
        }
        JsonValue::Object(fields) => {
            if !shape.has_fixed_fields() {
                drop_fields(fields, max_elements);
                if fields.keys().any(|name| name.len() > MAX_FIELD_NAME_BYTES) {
                    *fields =
                        std::mem::take(fields).into_iter().map(|(name, value)| (short_name(name), value)).collect();
                }
            }
            for (name, value) in fields {
                let shape = shape.of_field(name);
                let is_free = shape == Shape::Free;
                if is_free && max_depth == 0 && is_nested(value) {
                    *value = JsonValue::from(MARKER);
                }
                prune(value, shape, max_elements, max_depth.saturating_sub(usize::from(is_free)));
            }
        }
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) => {}
    }
}

/// Drops the middle of a list that is too long; says whether it was.
///
/// The first message has the instructions, and the last ones have what it is about now.
fn shorten_list(elements: &mut Vec<JsonValue>, shape: Shape, max_elements: usize) -> bool {
    let is_long = elements.len() > max_elements && shape != Shape::Answer;
    if is_long {
        let (head, tail) = (max_elements / 2, max_elements.div_ceil(2));
        elements.splice(head..elements.len() - tail, [shape.marker_element()]);
    }
    is_long
}

/// Drops the last of an object's fields if they are too many; says whether they were.
fn drop_fields(fields: &mut Map<String, JsonValue>, max_fields: usize) -> bool {
    let are_many = fields.len() > max_fields;
    if are_many {
        *fields = std::mem::take(fields).into_iter().take(max_fields).collect();
        fields.insert(MARKER.to_owned(), JsonValue::from(MARKER));
    }
    are_many
}

fn short_name(name: String) -> String {
    if name.len() > MAX_FIELD_NAME_BYTES { cut_text(&name, MAX_FIELD_NAME_BYTES) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In each script, with spaces or without, the cut is moved over a number that a redactor knows as a whole.
    #[test]
    fn no_script_has_a_number_cut_in_two() {
        let number = "4111111111111111";
        for unit in ["word ", "患者張三", "ผู้ป่วย", "អ្នកជំងឺ", "လူနာ", "ནད་པ", "환자", "/a?b=c&", "ж", "é-"]
        {
            for before in 0..2 * number.len() {
                let kept = kept_before_redaction(1_024);
                let start = &unit.repeat(kept / unit.len() + 1)[..];
                let start = &start[..start.floor_char_boundary(kept - before)];
                let text = [start, &unit[..unit.len() * usize::from(unit.len() > 2)], number, unit, start].concat();
                let left = before_redaction(&text, 1_024);
                let digits = left.len() - left.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                assert!(digits == 0 || digits == number.len(), "{unit} {before}: {digits} of the digits are left");
                assert!(left.len() > kept / 2, "{unit}: {} bytes", left.len());
            }
        }
    }
}
