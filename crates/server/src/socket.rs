//! A stream over a WebSocket: a JSON text for each message; nothing is expected from the client.

use std::{error::Error as _, time::Duration};

use axum::{
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Error as ProtocolError;

use crate::{
    message::{EndReason, Message},
    refusal::Refusal,
    request::StreamRequest,
    session::Session,
    shared::Shared,
};

/// A client that is not heard of for so many heartbeats, each with a ping, is gone.
const MISSED_BEATS: u32 = 3;

enum Turn {
    Message(Option<Message>),
    Received(Option<Result<Frame, axum::Error>>),
}

pub(crate) async fn get(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade = upgrade.map_err(|rejection| {
        let message =
            format!("{}; open this address with a WebSocket, or /stream with a plain GET", rejection.body_text());
        Refusal::new(rejection.status(), "no_websocket", message)
    })?;
    let request = StreamRequest::of(query.as_deref(), &headers)?;
    let session = shared.open(request).await?;
    let limits = shared.limits();
    let upgrade = upgrade.max_message_size(limits.message_bytes).max_frame_size(limits.message_bytes);
    let connection =
        move |socket| Connection { socket, send_timeout: limits.send_timeout }.run(session, limits.heartbeat);
    Ok(upgrade.on_upgrade(connection))
}

struct Connection {
    socket: WebSocket,
    send_timeout: Duration,
}

impl Connection {
    async fn run(mut self, mut session: Session, heartbeat: Duration) {
        let mut heard = Instant::now();
        loop {
            let turn = tokio::select! {
                received = self.socket.recv() => Turn::Received(received),
                message = session.next() => Turn::Message(message),
            };
            match turn {
                Turn::Received(Some(Ok(Frame::Close(_))) | None) => return,
                Turn::Received(Some(Ok(_))) => heard = Instant::now(),
                Turn::Received(Some(Err(error))) => return self.refuse(&error).await,
                Turn::Message(Some(message)) => {
                    let is_beat = matches!(message, Message::Cursor { .. });
                    if is_beat && heard.elapsed() > heartbeat * MISSED_BEATS {
                        return self.close(close_code::POLICY, "not heard of any more").await;
                    }
                    let is_sent = self.send(Frame::text(Message::to_json(&message))).await
                        && (!is_beat || self.send(Frame::Ping(Default::default())).await);
                    if !is_sent {
                        return;
                    }
                    if let Message::End { reason, .. } = message {
                        let (code, reason) = closing(reason);
                        return self.close(code, reason).await;
                    }
                }
                Turn::Message(None) => return,
            }
        }
    }

    /// Sends in time, or says that the client does not read, which ends the connection.
    async fn send(&mut self, frame: Frame) -> bool {
        matches!(timeout(self.send_timeout, self.socket.send(frame)).await, Ok(Ok(())))
    }

    async fn refuse(mut self, error: &axum::Error) {
        let is_too_large = error
            .source()
            .and_then(|source| source.downcast_ref())
            .is_some_and(|error| matches!(error, ProtocolError::Capacity(_)));
        if is_too_large {
            self.close(close_code::SIZE, "the message is too large; nothing needs to be sent here").await;
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        // The client may be gone, or not read.
        self.send(Frame::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }))).await;
        let closed = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        drop(timeout(self.send_timeout, closed).await);
    }
}

const fn closing(reason: EndReason) -> (u16, &'static str) {
    match reason {
        EndReason::Closed => (close_code::NORMAL, "the stream is closed"),
        EndReason::Shutdown => (close_code::AWAY, "the server shuts down"),
        EndReason::StoreUnavailable => (close_code::AGAIN, "the store cannot be read now; come back with the last id"),
    }
}
