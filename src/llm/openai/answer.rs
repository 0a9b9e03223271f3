//! From the bytes of an HTTP answer to deltas.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use reqwest::{Response, header::CONTENT_TYPE};
use serde_json::{Deserializer, Value as JsonValue};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    frames::{Frame, Frames, MAX_EVENT_BYTES},
    peer::Peer,
    provider_error,
    surrogates::keep_halves,
    wire::{Chunk, ChunkReader},
};
use crate::llm::{ChatDelta, ChatStream, ModelError};

/// How long the rest of a body is waited for once the model has said why it stopped: 2 seconds. The usage may still come.
pub(super) const FINISH_GRACE: Duration = Duration::from_secs(2);

/// How long the end of a body is waited for behind `[DONE]`: half a second. A connection whose body was read to its end
/// is used again.
pub(super) const DONE_GRACE: Duration = Duration::from_millis(500);

/// How long a whole answer waits behind the end of its body: a millisecond.
///
/// The HTTP client hands the connection back for the next request in a task of its own, which nothing reports. A request
/// that comes before it opens another connection, which costs more.
const HANDING_BACK: Duration = Duration::from_millis(1);

/// What ends a stream.
const DONE: &str = "[DONE]";

/// How much of a body is kept for an error to show.
const BEGINNING_BYTES: usize = 1024;

/// Reads an answer, whenever the stream is polled, to a request that offered tools of these names.
pub(super) fn read(response: Response, tools: Vec<String>, peer: Arc<Peer>) -> ChatStream {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answer = Answer {
        label: peer.label(response.headers()),
        is_event_stream: content_type.is_none_or(|value| value.to_ascii_lowercase().contains("event-stream")),
        response: Some(response),
        frames: Frames::default(),
        reader: ChunkReader::new(tools),
        deltas: VecDeque::new(),
        beginning: Vec::new(),
        has_bare: false,
        is_whole: false,
        is_done: false,
        deadline: None,
        peer,
    };
    stream::unfold(Some(answer), async |answer| {
        let mut answer = answer?;
        match answer.next().await? {
            Ok(delta) => Some((Ok(delta), Some(answer))),
            // Nothing follows an error; to drop the answer closes the connection.
            Err(error) => Some((Err(error), None)),
        }
    })
    .fuse()
    .boxed()
}

struct Answer {
    /// `None` once the body has ended or is not waited for any more.
    response: Option<Response>,
    frames: Frames,
    reader: ChunkReader,
    deltas: VecDeque<ChatDelta>,
    /// The first bytes of the body behind empty lines.
    beginning: Vec<u8>,
    label: String,
    is_event_stream: bool,
    /// Whether there was a JSON text that is in no event.
    has_bare: bool,
    /// Whether there was an answer in one piece.
    is_whole: bool,
    /// Whether there was `[DONE]`.
    is_done: bool,
    /// Until when the rest of the body is waited for; `None` while the answer is not whole.
    deadline: Option<Instant>,
    peer: Arc<Peer>,
}

impl Answer {
    async fn next(&mut self) -> Option<Result<ChatDelta, ModelError>> {
        loop {
            if let Some(delta) = self.deltas.pop_front() {
                return Some(Ok(delta));
            }
            let step = if let Some(frame) = self.frames.next() {
                self.read(&frame)
            } else if self.response.is_some() {
                self.receive().await
            } else {
                match self.end() {
                    Ok(()) if self.deltas.is_empty() => return None,
                    end => end,
                }
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// Waits for the next bytes of the body.
    async fn receive(&mut self) -> Result<(), ModelError> {
        let Some(response) = &mut self.response else { return Ok(()) };
        let received = match self.deadline {
            None => self.peer.wait_for(response.chunk()).await?,
            // The answer is whole: what is missing is at most its usage.
            Some(deadline) => timeout_at(deadline, response.chunk()).await.ok().and_then(Result::ok).flatten(),
        };
        let Some(bytes) = received else {
            self.response = None;
            self.frames.finish();
            if self.deadline.is_some() {
                sleep(HANDING_BACK).await;
            }
            return Ok(());
        };
        if self.is_done {
            return Ok(());
        }
        // Empty lines ahead are signs of life.
        let shown = if self.beginning.is_empty() { bytes.trim_ascii_start() } else { &bytes };
        let room = BEGINNING_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&shown[..shown.len().min(room)]);
        if !self.frames.push(&bytes) {
            return Err(self.unreadable(&format!("an event is longer than {MAX_EVENT_BYTES} bytes")));
        }
        if !self.frames.is_recognized() && self.beginning.len() == BEGINNING_BYTES {
            return Err(self.unreadable("expected server-sent events or JSON"));
        }
        Ok(())
    }

    fn read(&mut self, frame: &Frame) -> Result<(), ModelError> {
        if self.is_done {
            return Ok(());
        }
        self.has_bare |= frame.is_bare;
        let Ok(data) = str::from_utf8(&frame.data) else {
            return if frame.is_last { self.end() } else { Err(self.unreadable("an event is not UTF-8")) };
        };
        let data = data.trim();
        // Without data it is a sign of life.
        if data.is_empty() {
            return Ok(());
        }
        if data == DONE {
            self.is_done = true;
            self.reader.finish(&mut self.deltas);
            self.wait_at_most(DONE_GRACE);
            return Ok(());
        }
        if frame.event.as_deref() == Some("error") {
            let error = serde_json::from_str(data).unwrap_or_else(|_| data.into());
            return Err(provider_error::from_json(&error, &self.peer).into());
        }
        match parse(data) {
            Ok(chunks) => {
                // What holds no answer and has a sentence in it is an error, in whatever wrapping.
                if !self.reader.is_finished()
                    && !chunks.iter().any(Chunk::is_of_answer)
                    && let Some(refusal) = provider_error::without_wrapping(data, &self.peer)
                {
                    return Err(refusal.into());
                }
                chunks.into_iter().try_for_each(|chunk| self.read_chunk(chunk, frame.is_bare))
            }
            // Half of a text, or what follows a whole answer.
            Err(_) if frame.is_last || self.reader.is_finished() => Ok(()),
            Err(error) => {
                Err(self.peer.unreadable(&format!("not a piece of an answer ({error})"), &self.label, data.as_bytes()))
            }
        }
    }

    fn read_chunk(&mut self, chunk: Chunk, is_bare: bool) -> Result<(), ModelError> {
        if let Some(error) = chunk.error() {
            return Err(provider_error::from_json(error, &self.peer).into());
        }
        self.is_whole |= is_bare && chunk.is_whole_answer();
        let first_new = self.deltas.len();
        self.reader.read(chunk, &mut self.deltas);
        for delta in self.deltas.iter_mut().skip(first_new) {
            // What describes an answer goes into telemetry.
            if let ChatDelta::Id(word) | ChatDelta::Model(word) | ChatDelta::Finish(word) = delta {
                *word = self.peer.without_secrets(word);
            }
        }
        if self.reader.is_finished() && self.deadline.is_none() {
            self.wait_at_most(FINISH_GRACE);
        }
        Ok(())
    }

    fn wait_at_most(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.deadline = Some(self.deadline.map_or(deadline, |known| known.min(deadline)));
    }

    /// Judges the answer once nothing more comes.
    fn end(&mut self) -> Result<(), ModelError> {
        if self.is_done || self.is_whole || self.reader.is_finished() {
            self.reader.finish(&mut self.deltas);
            return Ok(());
        }
        let is_blank = self.beginning.is_empty();
        if self.has_bare && !self.reader.has_choices() {
            Err(self.unreadable("the answer has no choices"))
        } else if self.frames.is_recognized() || (is_blank && self.is_event_stream) {
            Err(ModelError::StreamInterrupted)
        } else if is_blank {
            Err(self.unreadable("the answer is empty"))
        } else {
            Err(self.unreadable("expected server-sent events or JSON"))
        }
    }

    fn unreadable(&self, reason: &str) -> ModelError {
        self.peer.unreadable(reason, &self.label, &self.beginning)
    }
}

/// Reads a text as a chunk, a list of chunks or several of them.
fn parse(text: &str) -> serde_json::Result<Vec<Chunk>> {
    match parse_strictly(text) {
        Ok(chunks) => Ok(chunks),
        Err(error) => match keep_halves(text) {
            kept if *kept == *text => Err(error),
            kept => parse_strictly(&kept),
        },
    }
}

fn parse_strictly(text: &str) -> serde_json::Result<Vec<Chunk>> {
    if text.starts_with('{') {
        return Deserializer::from_str(text).into_iter().collect();
    }
    if text.starts_with('[') {
        let lists = Deserializer::from_str(text).into_iter::<Vec<Chunk>>();
        return lists.collect::<serde_json::Result<Vec<_>>>().map(|lists| lists.into_iter().flatten().collect());
    }
    // For the error, which says what came instead.
    serde_json::from_str::<JsonValue>(text)?;
    Err(serde::de::Error::custom("neither an object nor a list"))
}
