//! Model clients, seen through the trait that agents use.

#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod openai_failures;
mod scripted;

use agent_runtime::llm::{ChatDelta, ChatMessage, ChatRequest, ChatResponse, ChatStream, ModelError};
use futures_util::StreamExt;

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    deltas: Vec<ChatDelta>,
    response: ChatResponse,
    error: Option<ModelError>,
}

fn request(text: &str) -> ChatRequest {
    ChatRequest::new([ChatMessage::user(text)])
}

/// Reads an answer to its end, or to the error that ends it.
async fn read(opened: Result<ChatStream, ModelError>) -> Answer {
    let mut answer = Answer { deltas: Vec::new(), response: ChatResponse::default(), error: None };
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return Answer { error: Some(error), ..answer },
    };
    while let Some(item) = stream.next().await {
        assert!(answer.error.is_none(), "an item came after the error: {item:?}");
        match item {
            Ok(delta) => {
                answer.response.push(delta.clone());
                answer.deltas.push(delta);
            }
            Err(error) => answer.error = Some(error),
        }
    }
    answer
}
