//! What clients may cost, and that all leave in the end.

use std::time::Duration;

use agent_runtime::prelude::*;
use agent_runtime_server::EventServer;
use futures_util::StreamExt as _;
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::{
    socket::open,
    support::{SseClient, append, listen},
};

#[tokio::test]
async fn one_connection_too_many_is_refused_until_another_leaves() {
    let server = listen(EventServer::builder(EventStream::new()).with_max_connections(2)).await;
    let first = SseClient::open(server.address(), "", None).await;
    let _second = open(server.address(), "").await;
    let get = || Client::new().get(format!("http://{}/stream", server.address()));
    let Err((status, body)) = SseClient::send(get()).await else { panic!("it was let in") };
    assert_eq!((status.as_u16(), &body["error"]["code"]), (503, &json!("too_many_connections")));
    // Questions with one answer are not among them.
    assert_eq!(Client::new().get(format!("http://{}/runs", server.address())).send().await.unwrap().status(), 200);
    assert_eq!(server.server().connections(), 2);
    drop(first);
    while SseClient::send(get()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_off_and_delays_nobody() {
    let stream = EventStream::new();
    let server = listen(EventServer::builder(stream.clone()).with_send_timeout(Duration::from_secs(1))).await;
    let stuck_socket = open(server.address(), "").await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET /stream HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    stuck.write_all(request.as_bytes()).await.unwrap();
    let mut reader = SseClient::open(server.address(), "", None).await;
    reader.next().await.unwrap();
    while server.server().connections() < 3 {
        tokio::task::yield_now().await;
    }
    // More than the buffers of sockets take, while the reader keeps up: nobody waits for those that are stuck.
    let name = "n".repeat(200);
    let mut read = 0;
    for _ in 0..200 {
        for _ in 0..100 {
            let data = json!({"tool_name": name, "description": name});
            stream.append(Event::tool_started("search", Some("w".repeat(256)), Some("p".repeat(256)), data)).unwrap();
        }
        read += reader.offsets(100).await.len();
    }
    assert_eq!(read, 20_000);
    while server.server().connections() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop((stuck, stuck_socket));
}

#[tokio::test]
async fn a_client_that_sends_no_request_holds_nobody_up() {
    let stream = EventStream::new();
    let server = listen(EventServer::builder(stream.clone())).await;
    let _silent = TcpStream::connect(server.address()).await.unwrap();
    let mut client = SseClient::open(server.address(), "", None).await;
    append(&stream, 1);
    assert_eq!(client.offsets(1).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_sends_every_client_the_end_and_cuts_off_who_stays() {
    let stream = EventStream::new();
    let server = listen(EventServer::builder(stream.clone()).with_shutdown_timeout(Duration::from_secs(20))).await;
    let address = server.address();
    let mut client = SseClient::open(address, "", None).await;
    let mut socket = open(address, "").await;
    client.next().await.unwrap();
    append(&stream, 1);
    assert_eq!(client.offsets(1).await, [0]);
    let ended = tokio::spawn(async move { server.shutdown().await });
    let end = client.next_shown().await.unwrap();
    assert_eq!(
        (end.name.as_str(), end.data.as_str(), end.id),
        ("end", "\"shutdown\"", format!("{}:0", stream.epoch()))
    );
    assert_eq!(client.next().await, None);
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Close(frame) => break assert_eq!(frame.unwrap().code, CloseCode::Away),
            Message::Text(_) | Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    while socket.next().await.is_some_and(|frame| frame.is_ok()) {}
    assert!(ended.await.unwrap());
    assert!(TcpStream::connect(address).await.is_err());

    let server = listen(EventServer::builder(stream.clone()).with_shutdown_timeout(Duration::from_millis(50))).await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET /stream?from=beginning HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    stuck.write_all(request.as_bytes()).await.unwrap();
    while server.server().connections() < 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..60 {
        let data = json!({"tool_name": "n".repeat(200_000)});
        stream.append(Event::tool_started("search", None, None, data)).unwrap();
    }
    server.shutdown().await;
    // What was on its way can still be read, and then it is over.
    let mut rest = Vec::new();
    drop(stuck.read_to_end(&mut rest).await);
}
