//! Where a JSON object or array ends, found byte by byte as it comes.

/// How far an object or an array has come; each byte is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JsonSpan {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl JsonSpan {
    /// Goes on with the next bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    /// Whether every bracket that was opened is closed, and there was one.
    pub(super) const fn is_complete(&self) -> bool {
        self.has_begun && self.depth == 0
    }

    const fn step(&mut self, byte: u8) {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.has_begun = true;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_bracket_and_not_before() {
        for text in ["{}", "[]", r#"{"a":[1,{"b":"}"}],"c":"\"}\\"}"#, " { } "] {
            let mut span = JsonSpan::default();
            let end = text.trim_end().len();
            for (place, byte) in text.bytes().enumerate() {
                assert!(!span.is_complete() || place >= end, "{text}: complete before {place}");
                span.read(&[byte]);
            }
            assert!(span.is_complete(), "{text}");
        }
        for text in ["", "1", "\"{}\"", "{", "{\"a\":\"}"] {
            let mut span = JsonSpan::default();
            span.read(text.as_bytes());
            assert!(!span.is_complete(), "{text}");
        }
    }
}
