//! Servers on free ports, and a client of Server-Sent Events.

use std::{collections::VecDeque, net::SocketAddr, pin::Pin, sync::Arc};

use agent_runtime::{
    prelude::*,
    store::{MemoryStore, Recorder},
};
use agent_runtime_server::{EventServer, EventServerBuilder, Listening, Source};
use futures_util::{Stream, StreamExt as _, future};
use reqwest::{Client, RequestBuilder, StatusCode};

/// A message without a name has an empty one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: String,
}

type Bytes = Pin<Box<dyn Stream<Item = Vec<u8>> + Send>>;

pub(crate) struct SseClient {
    bytes: Bytes,
    text: String,
    frames: VecDeque<Frame>,
}

impl SseClient {
    pub(crate) async fn open(address: SocketAddr, query: &str, last_id: Option<&str>) -> Self {
        Self::open_by(&Client::new(), address, query, last_id).await
    }

    pub(crate) async fn open_by(client: &Client, address: SocketAddr, query: &str, last_id: Option<&str>) -> Self {
        let request = client.get(format!("http://{address}/stream{query}"));
        let request = last_id.into_iter().fold(request, |request, id| request.header("Last-Event-ID", id));
        Self::send(request).await.unwrap_or_else(|(status, body)| panic!("{status}: {body}"))
    }

    pub(crate) async fn send(request: RequestBuilder) -> Result<Self, (StatusCode, JsonValue)> {
        let response = request.send().await.unwrap();
        if response.status() != StatusCode::OK {
            return Err((response.status(), serde_json::from_str(&response.text().await.unwrap()).unwrap()));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        // A connection that is cut off is an end too.
        let bytes = response
            .bytes_stream()
            .map(|bytes| bytes.ok().map(|bytes| bytes.to_vec()))
            .take_while(|bytes| future::ready(bytes.is_some()))
            .filter_map(future::ready);
        Ok(Self { bytes: Box::pin(bytes), text: String::new(), frames: VecDeque::new() })
    }

    /// The next frame, with or without data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            // What comes are JSON and ids, cut anywhere; ids and names are ASCII.
            self.text.push_str(&String::from_utf8(self.bytes.next().await?).unwrap());
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim_start).to_owned()
                };
                self.frames.push_back(Frame { id: field("id:"), name: field("event:"), data: field("data:") });
            }
        }
    }

    /// The next frame with data.
    pub(crate) async fn next_shown(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if !frame.data.is_empty() {
                return Some(frame);
            }
        }
    }

    /// The offsets of the next events.
    pub(crate) async fn offsets(&mut self, count: usize) -> Vec<u64> {
        let mut offsets = Vec::new();
        while offsets.len() < count {
            let frame = self.next_shown().await.unwrap();
            assert_eq!(frame.name, "", "{frame:?}");
            offsets.push(event(&frame).offset.unwrap());
        }
        offsets
    }
}

pub(crate) fn event(frame: &Frame) -> Event {
    Event::from_json(&frame.data).unwrap()
}

pub(crate) fn json(text: &str) -> JsonValue {
    serde_json::from_str(text).unwrap()
}

pub(crate) async fn listen(builder: EventServerBuilder) -> Listening {
    builder.build().listen("127.0.0.1:0").await.unwrap()
}

pub(crate) async fn serve(source: impl Into<Source>) -> Listening {
    listen(EventServer::builder(source)).await
}

/// Appends starts of tools, of one run.
pub(crate) fn append(stream: &EventStream, count: usize) {
    for _ in 0..count {
        stream.append(Event::tool_started("search", Some("run-1".to_owned()), None, json!({}))).unwrap();
    }
}

/// A stream that keeps few events, and a store that keeps them all.
pub(crate) async fn recorded(capacity: usize, store: &Arc<MemoryStore>) -> (EventStream, Recorder) {
    let stream = EventStream::builder().with_capacity(capacity).build();
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    (stream, recorder)
}
