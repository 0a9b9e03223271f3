//! The OpenAI client with a real model behind a real server.
//!
//! `AGENT_RUNTIME_MODEL_URL` is the address of its API, `http://127.0.0.1:8080/v1`, say, and `AGENT_RUNTIME_MODEL` the
//! model's name, by default `smollm2`; without an address the test is skipped. Not `OPENAI_BASE_URL`, which on many a
//! machine is set and costs money.

#![cfg(feature = "openai")]

use agent_runtime::llm::{
    ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatResponse, GenerationOptions, OpenAiClient,
};
use futures_util::StreamExt;

#[tokio::test]
async fn a_real_model_streams_text_usage_and_a_finish_reason() {
    let Ok(base_url) = std::env::var("AGENT_RUNTIME_MODEL_URL") else {
        println!("skipped: AGENT_RUNTIME_MODEL_URL is not set");
        return;
    };
    let model = std::env::var("AGENT_RUNTIME_MODEL").unwrap_or_else(|_| "smollm2".to_owned());
    let client = OpenAiClient::builder(model).with_base_url(base_url).build().unwrap();
    let messages =
        [ChatMessage::system("You are a helpful assistant."), ChatMessage::user("Name three colors of the rainbow.")];
    let options = GenerationOptions::default().with_temperature(0.0).with_max_tokens(32);
    let request = ChatRequest::new(messages).with_options(options);

    let mut stream = client.stream(request).await.unwrap();
    let (mut response, mut chunks) = (ChatResponse::default(), 0);
    while let Some(delta) = stream.next().await {
        let delta = delta.unwrap();
        chunks += u32::from(matches!(delta, ChatDelta::Text(_)));
        response.push(delta);
    }

    println!("{response:?}");
    assert!(chunks > 3, "{chunks} chunks");
    assert!(!response.text.trim().is_empty());
    assert!(matches!(response.finish_reason.as_deref(), Some("stop" | "length")), "{:?}", response.finish_reason);
    let usage = response.usage.unwrap();
    assert!(usage.prompt_tokens > 0 && (1..=32).contains(&usage.completion_tokens), "{usage:?}");
    assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert!(response.id.is_some() && response.model.is_some());
}
