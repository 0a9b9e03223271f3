//! The OpenAI chat API over HTTP, as OpenAI, llama.cpp, Ollama, vLLM, LM Studio and others serve it.
//!
//! In flows a [`ChatRequest`](super::ChatRequest), out flow the pieces of the answer, read from server-sent events as
//! the network delivers them. Servers differ from OpenAI in many details; what can be understood is, and what cannot
//! is an error, never an empty answer.

mod answer;
mod builder;
mod client;
mod dialect;
mod endpoint;
mod frames;
mod json_span;
mod lenient;
mod peer;
mod provider_error;
mod surrogates;
mod tool_calls;
mod wire;

pub use builder::OpenAiClientBuilder;
pub use client::OpenAiClient;
