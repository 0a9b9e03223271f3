//! From the bytes of an HTTP answer to deltas.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::Response;
use sse_stream::{Error as SseError, Sse, SseByteStream};

use super::peer::Peer;
use super::provider_error;
use super::wire::{Chunk, ChunkReader};
use crate::llm::{ChatDelta, ChatStream, ModelError};

/// The most bytes that may pass before an event of the stream is complete, and the most of an answer that is not
/// streamed: 4 MiB.
///
/// It bounds what one answer holds in memory here, beside one read of the network; more is a [`ModelError::Protocol`].
/// It does not bound the answer as a whole, which a reader may or may not keep.
pub(super) const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// What ends a stream.
const DONE: &str = "[DONE]";

/// How much of an answer of an unknown type is read, for the error to show.
const UNKNOWN_TYPE_BYTES: usize = 1024;

/// Reads a stream of server-sent events, whenever it is itself polled.
pub(super) fn streamed(response: Response, peer: Arc<Peer>) -> ChatStream {
    let events = Some(events(response, Arc::clone(&peer)));
    let answer = Answer { events, reader: ChunkReader::default(), deltas: VecDeque::new(), peer };
    stream::unfold(answer, async |mut answer| Some((answer.next().await?, answer))).boxed()
}

/// Reads the answer of a server that does not stream.
pub(super) async fn whole(mut response: Response, peer: &Peer) -> Result<ChatStream, ModelError> {
    let (body, is_whole) = peer.read(&mut response, MAX_EVENT_BYTES).await?;
    let body = String::from_utf8_lossy(&body);
    if !is_whole {
        return Err(peer.unreadable(&format!("the answer is longer than {MAX_EVENT_BYTES} bytes"), &body));
    }
    let chunk = parse(&body, peer)?;
    if !chunk.has_choices() {
        return Err(peer.unreadable("the answer has no choices", &body));
    }
    let mut deltas = VecDeque::new();
    ChunkReader::default().read(chunk, &mut deltas);
    Ok(stream::iter(deltas).map(Ok).boxed())
}

/// The error for an answer of another type than the protocol has.
pub(super) async fn of_unknown_type(media_type: &str, mut response: Response, peer: &Peer) -> ModelError {
    let (body, _) = peer.read(&mut response, UNKNOWN_TYPE_BYTES).await.unwrap_or_default();
    let reason = format!("expected server-sent events, got {}", peer.excerpt_of_body(media_type.as_bytes()));
    peer.unreadable(&reason, &String::from_utf8_lossy(&body))
}

struct Answer {
    /// `None` once the answer has ended, which closes the connection.
    events: Option<BoxStream<'static, Result<Sse, ModelError>>>,
    reader: ChunkReader,
    deltas: VecDeque<ChatDelta>,
    peer: Arc<Peer>,
}

impl Answer {
    async fn next(&mut self) -> Option<Result<ChatDelta, ModelError>> {
        loop {
            if let Some(delta) = self.deltas.pop_front() {
                return Some(Ok(delta));
            }
            let event = self.events.as_mut()?.next().await;
            if let Err(error) = self.read(event) {
                self.events = None;
                return Some(Err(error));
            }
        }
    }

    fn read(&mut self, event: Option<Result<Sse, ModelError>>) -> Result<(), ModelError> {
        let is_finished = self.reader.is_finished();
        let event = match event {
            Some(Ok(event)) => event,
            // The answer is whole: what is missing is at most its usage.
            None | Some(Err(ModelError::Connection { .. } | ModelError::Timeout { .. })) if is_finished => {
                self.events = None;
                return Ok(());
            }
            None => return Err(ModelError::StreamInterrupted),
            Some(Err(error)) => return Err(error),
        };
        // Without data it is a sign of life.
        let Some(data) = event.data.as_deref().map(str::trim).filter(|data| !data.is_empty()) else { return Ok(()) };
        if data == DONE {
            self.events = None;
            return Ok(());
        }
        if event.event.as_deref() == Some("error") {
            let error = serde_json::from_str(data).unwrap_or_else(|_| data.into());
            return Err(provider_error::from_json(&error, &self.peer));
        }
        self.reader.read(parse(data, &self.peer)?, &mut self.deltas);
        Ok(())
    }
}

fn parse(text: &str, peer: &Peer) -> Result<Chunk, ModelError> {
    let chunk: Chunk = serde_json::from_str(text)
        .map_err(|error| peer.unreadable(&format!("not a piece of an answer ({error})"), text))?;
    match &chunk.error {
        Some(error) => Err(provider_error::from_json(error, peer)),
        None => Ok(chunk),
    }
}

/// Cuts the body into events, holding at most [`MAX_EVENT_BYTES`] and one read of it.
fn events(response: Response, peer: Arc<Peer>) -> BoxStream<'static, Result<Sse, ModelError>> {
    // The parser has no limit of its own and does not show how much it holds. What went in since an event last came
    // out is at least that much.
    let held_bytes = Arc::new(AtomicUsize::new(0));
    let bytes = stream::unfold((response, Arc::clone(&peer), Arc::clone(&held_bytes)), async |mut state| {
        let (response, peer, held_bytes) = &mut state;
        let read = peer.wait_for(response.chunk()).await.transpose()?;
        let read = read.and_then(|bytes| {
            // Relaxed: the counter is only touched by whoever polls the stream.
            let held = held_bytes.fetch_add(bytes.len(), Ordering::Relaxed).saturating_add(bytes.len());
            let reason = format!("an event is longer than {MAX_EVENT_BYTES} bytes");
            if held > MAX_EVENT_BYTES { Err(ModelError::Protocol { reason }) } else { Ok(bytes) }
        });
        Some((read, state))
    });
    SseByteStream::new(bytes.boxed())
        .map(move |event| {
            held_bytes.store(0, Ordering::Relaxed);
            event.map_err(|error| from_parser(error, &peer))
        })
        .boxed()
}

fn from_parser(error: SseError, peer: &Peer) -> ModelError {
    match error {
        SseError::Body(error) => match error.downcast::<ModelError>() {
            Ok(error) => *error,
            Err(error) => peer.unreadable("the body cannot be read", &error.to_string()),
        },
        other => peer.unreadable("not server-sent events", &other.to_string()),
    }
}
