//! From the bytes of a body to the texts in it, whatever its label says.
//!
//! A body holds server-sent events (WHATWG HTML, 9.2), JSON texts, or both: compatible servers send a whole answer or an
//! error as a bare JSON text among events. Two departures from the standard keep what came whole: an event at the end of
//! the body needs no empty line behind it, and a line that begins a JSON text counts as data.

use std::collections::VecDeque;

use super::json_span::JsonSpan;

/// The most bytes that may pass before a text is complete: 4 MiB.
pub(super) const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// The fields of an event that the standard knows.
const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One text of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The event's type; `None` for `message` and for a bare JSON text.
    pub(super) event: Option<String>,
    pub(super) data: Vec<u8>,
    /// Whether it is a JSON text that is in no event.
    pub(super) is_bare: bool,
    /// Whether the body ended before the text did, or right behind it.
    pub(super) is_last: bool,
}

/// Cuts a body into its texts, and holds at most [`MAX_EVENT_BYTES`] and one read of the network.
#[derive(Debug, Default)]
pub(super) struct Frames {
    line: Vec<u8>,
    is_after_carriage_return: bool,
    is_after_first_line: bool,
    event: Option<String>,
    data: Option<Vec<u8>>,
    bare: Option<(Vec<u8>, JsonSpan)>,
    is_recognized: bool,
    ready: VecDeque<Frame>,
}

impl Frames {
    /// Goes on with the next bytes; false if a text is longer than [`MAX_EVENT_BYTES`].
    #[must_use]
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.is_after_carriage_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            self.is_recognized = self.is_recognized || begins_text(&self.line);
            if self.held_bytes() > MAX_EVENT_BYTES {
                return false;
            }
            let Some(end) = end else { break };
            self.is_after_carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line();
        }
        true
    }

    /// Ends the body.
    pub(super) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        let bare = self.bare.take().map(|(data, _)| data);
        let is_bare = bare.is_some();
        if let Some(data) = bare.or_else(|| self.data.take()) {
            self.ready.push_back(Frame { event: self.event.take(), data, is_bare, is_last: true });
        }
    }

    /// The next text.
    pub(super) fn next(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Whether a line has begun that events or JSON can have.
    pub(super) const fn is_recognized(&self) -> bool {
        self.is_recognized
    }

    fn held_bytes(&self) -> usize {
        let bare = self.bare.as_ref().map_or(0, |(data, _)| data.len());
        self.line.len() + self.data.as_ref().map_or(0, Vec::len) + bare
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut text = &line[..];
        if !std::mem::replace(&mut self.is_after_first_line, true) {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        let (name, value) = field(text);
        let is_field = FIELDS.contains(&name);
        if self.bare.is_some() && !is_field {
            self.go_on_with_bare(text);
        } else if text.is_empty() {
            self.end_event();
        } else if is_field {
            self.end_bare();
            self.read_field(name, value);
        } else if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
            self.end_event();
            self.bare = Some((Vec::new(), JsonSpan::default()));
            self.go_on_with_bare(text);
        }
        // Another line is a field of no meaning, which the standard passes over. The line's memory serves the next one.
        self.line = line;
        self.line.clear();
    }

    fn read_field(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.event = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }

    fn go_on_with_bare(&mut self, text: &[u8]) {
        let Some((data, span)) = &mut self.bare else { return };
        data.extend_from_slice(text);
        data.push(b'\n');
        span.read(text);
        if span.is_complete() {
            self.end_bare();
        }
    }

    fn end_bare(&mut self) {
        if let Some((data, _)) = self.bare.take() {
            self.ready.push_back(Frame { event: None, data, is_bare: true, is_last: false });
        }
    }

    fn end_event(&mut self) {
        let event = self.event.take();
        if let Some(data) = self.data.take() {
            self.ready.push_back(Frame { event, data, is_bare: false, is_last: false });
        }
    }
}

/// Whether a line, or its beginning, is one that events or JSON can have.
fn begins_text(line: &[u8]) -> bool {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
    matches!(line.first(), Some(b'{' | b'[' | b':')) || FIELDS.iter().any(|name| line.starts_with(name))
}

/// A line as a field's name and its value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return (line, b"") };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text as its event's type and its data, with a mark for a bare and for a last one.
    fn read<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut frames = Frames::default();
        for bytes in reads {
            assert!(frames.push(bytes));
        }
        frames.finish();
        let texts = std::iter::from_fn(|| frames.next()).map(|frame| {
            let data = String::from_utf8(frame.data).unwrap();
            let (bare, last) = (if frame.is_bare { "bare " } else { "" }, if frame.is_last { " last" } else { "" });
            format!("{bare}{}|{}{last}", frame.event.unwrap_or_default(), data.trim_end())
        });
        texts.collect()
    }

    #[test]
    fn a_body_is_the_same_texts_wherever_the_network_cuts_it() {
        for (body, expected) in [
            ("data: a\n\ndata:b\n\n", &["|a", "|b"][..]),
            ("\u{feff}data: a\r\rdata: b\r\r", &["|a", "|b"]),
            (": sign of life\r\n\r\nevent: ping\r\nid: 4\r\ndata: {\r\ndata:  }\r\n\r\n", &["ping|{\n }"]),
            ("event: nothing\n\ndata: a\n\n", &["|a"]),
            ("data: a", &["|a last"]),
            ("data: a\n", &["|a last"]),
            ("data\n\n", &["|"]),
            ("{\"a\":1}\n{\"b\":2}\n", &["bare |{\"a\":1}", "bare |{\"b\":2}"]),
            ("{\n \"a\": [\n1]\n}\n\ndata: b\n\n", &["bare |{\n \"a\": [\n1]\n}", "|b"]),
            ("{\"a\":1", &["bare |{\"a\":1 last"]),
            ("{\"a\":\ndata: b\n\n", &["bare |{\"a\":", "|b"]),
            ("data: a\n\n[{\"b\":1}]", &["|a", "bare |[{\"b\":1}]"]),
            ("no field\nx: y\n\n", &[]),
        ] {
            for cut in 0..=body.len() {
                let (first, second) = body.as_bytes().split_at(cut);
                assert_eq!(read([first, second]), expected, "{body:?} cut at {cut}");
            }
            assert_eq!(read(body.as_bytes().chunks(1)), expected, "{body:?} byte by byte");
        }
    }

    #[test]
    fn what_is_held_is_bounded_however_it_comes() {
        let long = vec![b'x'; 64 * 1024];
        for (start, between) in [("data: ", ""), ("data: ", "\ndata: "), ("{\"a\":\"", ""), ("{\n", "\n"), ("y", "")] {
            let mut frames = Frames::default();
            let mut is_within = frames.push(start.as_bytes());
            let mut reads = 0;
            while is_within && reads <= MAX_EVENT_BYTES / long.len() {
                is_within = frames.push(&long) && frames.push(between.as_bytes());
                reads += 1;
            }
            assert!(!is_within, "{start:?} {between:?}");
        }
    }
}
