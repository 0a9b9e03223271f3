//! What a user of the runtime needs in scope: `use agent_runtime::prelude::*;`.

pub use async_trait::async_trait;
pub use serde_json::{Value as JsonValue, json};
pub use tokio::sync::mpsc;

#[cfg(feature = "openai")]
pub use crate::llm::OpenAiClient;
pub use crate::{
    component::{self, InCurrent, Run, RunOptions, Seed},
    event::{ComponentStatus, Event, EventData, EventError, EventScope, EventType, StepType},
    llm::{ChatModel, ScriptedModel, ScriptedReply},
    runtime::{
        Agent, AgentStep, BoxError, ConditionalStep, FnTool, ProgressCallback, RunError, RunOutput, Runtime, Step,
        SubWorkflowStep, Tool, ToolError, TransformStep, Workflow,
    },
    stream::{BatchWindow, Batched, EventStream, Lagged, RecvError, Subscription, TryRecvError},
};
