//! Who is let in, and what those read who are not.

use agent_runtime::prelude::*;
use agent_runtime_server::{EventServer, ServeError, Source};
use reqwest::{Client, RequestBuilder, StatusCode};

use crate::support::{SseClient, json, listen, serve};

/// Status, code, and where.
async fn refused(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = json(&response.text().await.unwrap());
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    assert!(text("message").len() > 20, "{body}");
    (status, text("code"), text("where"))
}

fn refusal(status: u16, code: &str, place: &str) -> (u16, String, String) {
    (status, code.to_owned(), place.to_owned())
}

#[tokio::test]
async fn pages_of_other_origins_and_foreign_names_are_refused() {
    let server = serve(EventStream::new()).await;
    let port = server.address().port();
    for path in ["stream", "socket", "runs", "events", "openapi.json"] {
        let get = || Client::new().get(format!("http://{}/{path}", server.address()));
        let origin = get().header("Origin", "https://evil.example");
        assert_eq!(refused(origin).await, refusal(403, "origin_not_allowed", "header Origin"), "{path}");
        let null = get().header("Origin", "null");
        assert_eq!(refused(null).await.0, 403, "{path}");
        let rebound = get().header("Host", format!("evil.example:{port}"));
        assert_eq!(refused(rebound).await, refusal(403, "host_not_allowed", "header Host"), "{path}");
    }
    // Its own pages, under either of its names.
    let get = || Client::new().get(format!("http://{}/stream", server.address()));
    let own = get().header("Host", format!("localhost:{port}")).header("Origin", format!("http://localhost:{port}"));
    let response = own.send().await.unwrap();
    assert_eq!((response.status(), response.headers().get("access-control-allow-origin")), (StatusCode::OK, None));
    // Another port of this machine is another origin.
    assert_eq!(refused(get().header("Origin", "http://localhost:1")).await.0, 403);
}

#[tokio::test]
async fn hosts_and_origins_are_allowed_by_name() {
    let builder = EventServer::builder(EventStream::new());
    let builder =
        builder.with_allowed_host("agents.example").with_allowed_origin("https://console.example").with_token("t");
    let server = listen(builder).await;
    let request = |method| {
        let request = Client::new().request(method, format!("http://{}/runs", server.address()));
        request.header("Host", "agents.example").header("Origin", "https://console.example")
    };
    let allowed = request(reqwest::Method::GET).bearer_auth("t").send().await.unwrap();
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://console.example");
    // What a browser asks before it sends a token.
    let preflight = request(reqwest::Method::OPTIONS).send().await.unwrap();
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere() {
    let builder = EventServer::builder(EventStream::new()).with_token("s3cret");
    let strict = listen(builder.clone()).await;
    let lenient = listen(builder.with_token_in_query(true)).await;
    let unauthorized = refusal(401, "unauthorized", "header Authorization");
    for path in ["stream", "socket", "runs", "events", "openapi.json"] {
        let get = |query: &str| Client::new().get(format!("http://{}/{path}{query}", strict.address()));
        assert_eq!(refused(get("")).await, unauthorized, "{path}");
        assert_eq!(refused(get("").bearer_auth("s3creT")).await, unauthorized, "{path}");
        assert_eq!(refused(get("").bearer_auth("")).await, unauthorized, "{path}");
        assert_eq!(refused(get("?access_token=s3cret")).await, unauthorized, "{path}");
    }
    let get = |query: &str| Client::new().get(format!("http://{}/stream{query}", lenient.address()));
    assert!(SseClient::send(get("").bearer_auth("s3cret")).await.is_ok());
    assert!(SseClient::send(get("?access_token=s3cret")).await.is_ok());
    assert_eq!(refused(get("?access_token=no")).await, unauthorized);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_token() {
    let open = EventServer::builder(EventStream::new());
    let error = open.clone().build().listen("0.0.0.0:0").await.unwrap_err();
    assert!(matches!(error, ServeError::Unprotected { .. }), "{error}");
    assert!(open.with_token("t").build().listen("0.0.0.0:0").await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_read_is_named_with_what_can() {
    let stream = EventStream::new();
    let server = serve(Source::stream(stream.clone())).await;
    let ahead = format!("from={}:7", stream.epoch());
    let many = (0..40).map(|n| format!("component=c{n}")).collect::<Vec<_>>().join("&");
    for (query, place) in [
        ("scope=tol", "parameter scope"),
        ("type=begun", "parameter type"),
        ("status=", "parameter status"),
        ("workflow=", "parameter workflow"),
        ("scopes=tool", "parameter scopes"),
        ("from=yesterday", "parameter from"),
        ("from=1:1", "parameter from"),
        ("merge=99999999", "parameter merge"),
        (many.as_str(), "parameter component"),
        (ahead.as_str(), "the position"),
    ] {
        let get = Client::new().get(format!("http://{}/stream?{query}", server.address()));
        assert_eq!(refused(get).await, refusal(400, "malformed_request", place), "{query}");
    }
    let get = || Client::new().get(format!("http://{}/stream?scope=tol", server.address()));
    let body = json(&get().send().await.unwrap().text().await.unwrap());
    let message = "\"tol\" is no scope: use one of workflow, workflow_step, agent, llm_request, tool, system";
    assert_eq!(body["error"]["message"], message);
    let resumed = Client::new().get(format!("http://{}/stream", server.address())).header("Last-Event-ID", "7");
    assert_eq!(refused(resumed).await, refusal(400, "malformed_request", "header Last-Event-ID"));
    let limit = Client::new().get(format!("http://{}/events?limit=0", server.address()));
    assert_eq!(refused(limit).await, refusal(400, "malformed_request", "parameter limit"));
    let nothing = Client::new().get(format!("http://{}/nothing", server.address()));
    assert_eq!(refused(nothing).await, refusal(404, "not_found", ""));
}
