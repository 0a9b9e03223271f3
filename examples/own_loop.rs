//! Run `cargo run --example own_loop` to see a hand-written agent, a loop over a bare HTTP client, as a tree. The five
//! lines marked with `+` are all that it takes.
//!
//! It asks a script. To ask a real model, set `OPENAI_BASE_URL`, `OPENAI_MODEL` and, if the server wants one, `OPENAI_API_KEY`.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::env;

use agent_runtime::{component, event::Usage, prelude::*, view::Tree};
use anyhow::{Context as _, bail};
use axum::{Json, Router, routing::post};
use tokio::net::TcpListener;

const MAX_ROUNDS: usize = 5;

/// A server with OpenAI's chat API.
struct Model {
    url: String,
    name: String,
    key: Option<String>,
    http: reqwest::Client,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base_url = match env::var("OPENAI_BASE_URL") {
        Ok(url) => url,
        Err(_) => serve_script().await?,
    };
    let model = Model {
        url: format!("{}/chat/completions", base_url.trim_end_matches('/')),
        name: env::var("OPENAI_MODEL").unwrap_or_else(|_| "script".to_owned()),
        key: env::var("OPENAI_API_KEY").ok(),
        http: reqwest::Client::builder().no_proxy().build()?,
    };
    let events = EventStream::new(); // +
    let work = answer(&model, "How long do otters live?");
    let answer = component::workflow(&events, "research").run(component::agent("researcher").run(work)).await?; // +
    println!("{answer}\n\n{}", Tree::of(&events.get_events(0).await));
    Ok(())
}

/// The agent: asks the model, has done what it asks for, and asks again, until it answers.
async fn answer(model: &Model, question: &str) -> anyhow::Result<String> {
    let mut messages = vec![json!({"role": "user", "content": question})];
    for _ in 0..MAX_ROUNDS {
        let message = component::request("openai", &model.name).run(ask(model, &messages)).await?; // +
        messages.push(message.clone());
        let Some(calls) = message["tool_calls"].as_array() else {
            return Ok(message["content"].as_str().unwrap_or_default().to_owned());
        };
        for call in calls {
            let name = call["function"]["name"].as_str().unwrap_or_default();
            let result = component::tool(name).run(look_up(&call["function"])).await?; // +
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    bail!("no answer after {MAX_ROUNDS} rounds")
}

/// One request to the model: the message that it answers with.
async fn ask(model: &Model, messages: &[JsonValue]) -> anyhow::Result<JsonValue> {
    let body = json!({
        "model": model.name,
        "messages": messages,
        "tools": [{"type": "function", "function": {
            "name": "look_up",
            "description": "Looks a word up in an encyclopedia.",
            "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
        }}],
    });
    let mut request = model.http.post(&model.url).json(&body);
    if let Some(key) = &model.key {
        request = request.bearer_auth(key);
    }
    let mut answer: JsonValue = request.send().await?.error_for_status()?.json().await?;
    component::reporter().usage(serde_json::from_value::<Usage>(answer["usage"].take()).unwrap_or_default()); // +
    Ok(answer["choices"][0]["message"].take())
}

async fn look_up(function: &JsonValue) -> anyhow::Result<String> {
    let arguments = function["arguments"].as_str().context("a call has arguments")?;
    let arguments: JsonValue = serde_json::from_str(arguments)?;
    let word = arguments["word"].as_str().context("`word` is missing")?;
    Ok(format!("{word}: a mammal of rivers and coasts, which lives for 10 to 16 years"))
}

/// Serves the script in the model's place; returns its base URL.
async fn serve_script() -> anyhow::Result<String> {
    let call = json!({"id": "call_1", "function": {"name": "look_up", "arguments": "{\"word\": \"otter\"}"}});
    let answer = move |Json(request): Json<JsonValue>| async move {
        let is_first = request["messages"].as_array().is_some_and(|messages| messages.len() == 1);
        let message = if is_first {
            json!({"role": "assistant", "tool_calls": [call]})
        } else {
            json!({"role": "assistant", "content": "Otters live for 10 to 16 years."})
        };
        let usage = json!({"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30});
        Json(json!({"choices": [{"message": message}], "usage": usage}))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let routes = Router::new().route("/chat/completions", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    Ok(url)
}
