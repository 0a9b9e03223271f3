//! A stream as Server-Sent Events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event as Frame, Sse},
    },
};
use futures_util::stream;

use crate::{message::Message, refusal::Refusal, request::StreamRequest, shared::Shared};

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// What stands between must not gather what is to arrive now.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub(crate) async fn get(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let request = StreamRequest::of(query.as_deref(), &headers)?;
    let session = shared.open(request).await?;
    let frames = stream::unfold((session, true), |(mut session, is_first)| async move {
        let message = session.next().await?;
        let frame = frame(&message);
        Some((Ok::<_, Infallible>(if is_first { frame.retry(RETRY) } else { frame }), (session, false)))
    });
    Ok(([UNBUFFERED], Sse::new(frames)).into_response())
}

/// An event is a message without a name, so that `onmessage` has it. A cursor has no data: a browser keeps its id and shows
/// nothing.
fn frame(message: &Message) -> Frame {
    let frame = Frame::default().id(message.id().to_string());
    match message {
        Message::Event { event, .. } => frame.data(Message::to_json(event)),
        Message::Events { events, .. } => frame.data(Message::to_json(events)),
        Message::Gap { gap, .. } => frame.event("gap").data(Message::to_json(gap)),
        Message::Cursor { .. } => frame,
        Message::End { reason, .. } => frame.event("end").data(Message::to_json(reason)),
    }
}
