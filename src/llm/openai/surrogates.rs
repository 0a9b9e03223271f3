//! JSON texts that spell half a character.
//!
//! Servers that cut a text between tokens may cut a `\ud83d\ude00` between its halves. JSON's grammar allows a lone half
//! (RFC 8259, 8.2), Rust's strings do not.

use std::borrow::Cow;

use serde_json::Value as JsonValue;

/// Where lone halves are kept in a string: two characters of plane 16, which is for private use, for each.
const PRIVATE: u32 = 0x10_0000;

const HALVES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
const FIRST_HALVES: std::ops::RangeInclusive<u32> = 0xd800..=0xdbff;

/// Replaces the lone halves of a JSON text by characters that [`Halves::join`] knows.
pub(super) fn keep_halves(json: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let (mut done, mut at) = (0, 0);
    let bytes = json.as_bytes();
    while let Some(offset) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += offset;
        let Some(half) = escape(bytes, at).filter(|code| HALVES.contains(code)) else {
            // The escaped character, too, so that `\\` is not taken for the beginning of another escape.
            at = (at + 2).min(bytes.len());
            continue;
        };
        let next = escape(bytes, at + 6);
        if FIRST_HALVES.contains(&half)
            && next.is_some_and(|next| HALVES.contains(&next) && !FIRST_HALVES.contains(&next))
        {
            at += 12;
            continue;
        }
        kept.push_str(&json[done..at]);
        kept.extend(char::from_u32(PRIVATE + half));
        at += 6;
        done = at;
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    kept.push_str(&json[done..]);
    Cow::Owned(kept)
}

/// Replaces what [`keep_halves`] kept in a value by U+FFFD.
pub(super) fn replace_halves(value: &mut JsonValue) {
    match value {
        JsonValue::String(text) if text.chars().any(|c| half(c).is_some()) => {
            *text = text.chars().map(|c| half(c).map_or(c, |_| char::REPLACEMENT_CHARACTER)).collect();
        }
        JsonValue::Array(values) => values.iter_mut().for_each(replace_halves),
        JsonValue::Object(fields) => fields.values_mut().for_each(replace_halves),
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) => {}
    }
}

/// Joins the halves of a character over the pieces of one text.
#[derive(Debug, Default)]
pub(super) struct Halves {
    first: Option<u32>,
}

impl Halves {
    /// The next piece, with each character that is whole now; what has no other half becomes U+FFFD.
    pub(super) fn join(&mut self, piece: String) -> String {
        if self.first.is_none() && !piece.chars().any(|c| half(c).is_some()) {
            return piece;
        }
        let mut joined = String::with_capacity(piece.len());
        for c in piece.chars() {
            match (self.first.take(), half(c)) {
                (first, Some(half)) if FIRST_HALVES.contains(&half) => {
                    joined.extend(first.map(|_| char::REPLACEMENT_CHARACTER));
                    self.first = Some(half);
                }
                (Some(first), Some(second)) => {
                    joined.extend(char::decode_utf16([first as u16, second as u16]).flatten())
                }
                (None, Some(_)) => joined.push(char::REPLACEMENT_CHARACTER),
                (first, None) => {
                    joined.extend(first.map(|_| char::REPLACEMENT_CHARACTER));
                    joined.push(c);
                }
            }
        }
        joined
    }

    /// The end of the text.
    pub(super) fn end(&mut self) -> Option<char> {
        self.first.take().map(|_| char::REPLACEMENT_CHARACTER)
    }
}

fn half(c: char) -> Option<u32> {
    u32::from(c).checked_sub(PRIVATE).filter(|half| HALVES.contains(half))
}

/// The code of a `\uXXXX` at a place.
fn escape(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_joined_over_pieces_and_lone_ones_replaced() {
        let check = |pieces: &[&str], expected: &str| {
            let mut halves = Halves::default();
            let mut text: String = pieces
                .iter()
                .map(|piece| halves.join(serde_json::from_str(&keep_halves(&format!("\"{piece}\""))).unwrap()))
                .collect();
            text.extend(halves.end());
            assert_eq!(text, expected, "{pieces:?}");
        };
        check(&["Hi \\ud83d", "\\ude00!"], "Hi 😀!");
        check(&["Hi \\ud83d\\ude00!"], "Hi 😀!");
        check(&["Hi \\ud83d", "!"], "Hi \u{fffd}!");
        check(&["Hi \\ud83d", "", "\\uDE00"], "Hi 😀");
        check(&["Hi \\ud83d"], "Hi \u{fffd}");
        check(&["\\ude00\\ud83d\\ud83d"], "\u{fffd}\u{fffd}\u{fffd}");
        check(&["\\\\ud83d \\n\\u00e9"], "\\ud83d \né");
        check(&["žluť 😀"], "žluť 😀");
    }
}
