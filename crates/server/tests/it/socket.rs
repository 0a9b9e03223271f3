//! The same over a WebSocket.

use agent_runtime::prelude::*;
use agent_runtime_server::EventServer;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, protocol::frame::coding::CloseCode},
};

use crate::support::{append, json, listen, serve};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn open(address: std::net::SocketAddr, query: &str) -> Socket {
    connect_async(format!("ws://{address}/socket{query}")).await.unwrap().0
}

async fn next(socket: &mut Socket) -> JsonValue {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return json(&text);
        }
    }
}

#[tokio::test]
async fn messages_carry_their_type_and_their_id() {
    let stream = EventStream::builder().with_capacity(2).build();
    append(&stream, 3);
    let server = serve(stream.clone()).await;
    let epoch = stream.epoch();
    let mut socket = open(server.address(), "?from=beginning").await;
    assert_eq!(next(&mut socket).await, json!({"type": "cursor", "id": format!("{epoch}:start")}));
    let gap = next(&mut socket).await;
    assert_eq!(
        (&gap["type"], &gap["id"], &gap["gap"]["missed"]),
        (&json!("gap"), &json!(format!("{epoch}:0")), &json!(1))
    );
    let event = next(&mut socket).await;
    assert_eq!(
        (&event["type"], &event["id"], &event["event"]["offset"]),
        (&json!("event"), &json!(format!("{epoch}:1")), &json!(1))
    );
    let mut socket = open(server.address(), &format!("?merge=on&from={epoch}:1")).await;
    next(&mut socket).await;
    let events = next(&mut socket).await;
    assert_eq!((&events["type"], &events["events"][0]["offset"]), (&json!("events"), &json!(2)));
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let server = listen(EventServer::builder(EventStream::new()).with_max_message_bytes(1_000)).await;
    let mut socket = open(server.address(), "").await;
    socket.send(Message::text("small ones are passed over")).await.unwrap();
    socket.send(Message::text("x".repeat(2_000))).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => {
                assert_eq!(frame.code, CloseCode::Size);
                assert!(frame.reason.contains("too large"), "{}", frame.reason);
                break;
            }
            Message::Text(_) | Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_socket() {
    let server = serve(EventStream::new()).await;
    let mut request = format!("ws://{}/socket", server.address()).into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let Err(Error::Http(response)) = connect_async(request).await else { panic!("it was let in") };
    assert_eq!(response.status().as_u16(), 403);
}
