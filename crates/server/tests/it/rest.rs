//! Pages, runs and the description.

use std::{collections::BTreeSet, sync::Arc};

use agent_runtime::prelude::*;
use agent_runtime_server::{EventServer, router};

use crate::support::{append, json, serve};

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, JsonValue) {
    let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (response.status().as_u16(), json(&response.text().await.unwrap()))
}

#[tokio::test]
async fn events_come_page_by_page_each_once() {
    let stream = EventStream::builder().with_capacity(90).build();
    append(&stream, 100);
    let server = serve(stream).await;
    let (mut next, mut offsets, mut missed) = ("beginning".to_owned(), Vec::new(), 0);
    loop {
        let (status, page) = get(server.address(), &format!("/events?limit=40&from={next}")).await;
        assert_eq!(status, 200);
        offsets
            .extend(page["events"].as_array().unwrap().iter().map(|entry| entry["event"]["offset"].as_u64().unwrap()));
        missed += page["gaps"].as_array().unwrap().iter().map(|gap| gap["missed"].as_u64().unwrap()).sum::<u64>();
        next = page["next"].as_str().unwrap().to_owned();
        if page["is_last"] == true {
            break;
        }
    }
    assert_eq!((offsets, missed), ((10..100).collect(), 10));
    let (_, page) = get(server.address(), "/events?scope=agent").await;
    assert_eq!((&page["events"], &page["next"]), (&json!([]), &json!(next)));
}

#[tokio::test]
async fn runs_have_status_tree_and_usage() {
    let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("a secret answer")));
    let workflow = Workflow::new("report").add_step(AgentStep::new(Agent::builder("writer", model).build())).build();
    let runtime = Runtime::new();
    let run = runtime.execute(&workflow, "a secret question").await.unwrap();
    let server = serve(runtime.event_stream().clone()).await;
    let (_, list) = get(server.address(), "/runs").await;
    let first = &list["runs"][0];
    assert_eq!(
        (&first["name"], &first["status"], &list["is_complete"]),
        (&json!("report"), &json!("completed"), &json!(true))
    );
    let id = first["workflow_id"].as_str().unwrap();
    assert_eq!(id, run.workflow_id);
    let (status, one) = get(server.address(), &format!("/runs/{id}")).await;
    let titles: Vec<_> = one["tree"].as_array().unwrap().iter().map(|node| node["title"].as_str().unwrap()).collect();
    let expected = ["invoke_workflow report", "workflow_step writer", "invoke_agent writer", "chat script"];
    assert_eq!((status, titles), (200, expected.to_vec()));
    assert_eq!(one["usage"]["agents"][0]["name"], "writer");
    assert!(!format!("{list}{one}").contains("secret"));
    let (status, body) = get(server.address(), "/runs/none").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_run")));
}

/// What the description says there is, there is, under the same parameters; and nothing else.
#[tokio::test]
async fn the_description_is_that_of_the_routes() {
    let stream = EventStream::new();
    append(&stream, 1);
    let server = serve(stream).await;
    let (_, description) = get(server.address(), "/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths.keys().map(String::as_str).collect();
    // A router names its routes to nobody but in this form.
    let debug = format!("{:?}", router(EventStream::new()));
    let routed = debug.split('"').filter(|text| text.starts_with('/'));
    let routed: BTreeSet<_> = routed.filter(|path| *path != "/" && !path.contains("fallback")).collect();
    assert_eq!(described, routed);
    for (path, item) in paths.iter().filter(|(path, _)| !path.contains("socket")) {
        let parameters = item["get"]["parameters"].as_array().unwrap();
        let address = format!("http://{}{}", server.address(), path.replace("{workflow_id}", "run-1"));
        let of_query: Vec<_> = parameters.iter().filter(|parameter| parameter["in"] == "query").collect();
        for parameter in &of_query {
            let name = parameter["name"].as_str().unwrap();
            let values = parameter["schema"]["items"]["enum"].as_array().cloned().unwrap_or_default();
            let default = match name {
                "from" => vec![json!("beginning")],
                "merge" => vec![json!("on"), json!("off"), json!("20")],
                "limit" => vec![json!("1000")],
                _ => vec![json!("any-id")],
            };
            for value in if values.is_empty() { default } else { values } {
                let response = reqwest::get(format!("{address}?{name}={}", value.as_str().unwrap())).await.unwrap();
                assert_eq!(response.status(), 200, "{path} {name} {value}");
            }
        }
        if !of_query.is_empty() {
            let response = reqwest::get(format!("{address}?unknown=1")).await.unwrap();
            let message = json(&response.text().await.unwrap())["error"]["message"].as_str().unwrap().to_owned();
            let known: BTreeSet<_> = message.split("use one of ").nth(1).unwrap().split(", ").collect();
            assert_eq!(known, of_query.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect());
        }
    }
}

#[tokio::test]
async fn the_routes_are_mounted_below_a_path_of_an_application() {
    let stream = EventStream::new();
    append(&stream, 1);
    let events = EventServer::builder(stream).with_token("t").build();
    let app = axum::Router::new().route("/", axum::routing::get(|| async { "home" })).nest("/agents", events.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    // The checks are those of its routes alone.
    assert_eq!(reqwest::get(format!("http://{address}/")).await.unwrap().text().await.unwrap(), "home");
    assert_eq!(get(address, "/agents/runs").await.0, 401);
    let request = reqwest::Client::new().get(format!("http://{address}/agents/stream?from=beginning")).bearer_auth("t");
    let mut client = crate::support::SseClient::send(request).await.unwrap_or_else(|(status, _)| panic!("{status}"));
    assert_eq!(client.offsets(1).await, [0]);
    let leaving = tokio::spawn(async move { events.shutdown().await });
    assert_eq!(client.next_shown().await.unwrap().name, "end");
    assert_eq!(client.next().await, None);
    assert!(leaving.await.unwrap());
    serving.abort();
}
