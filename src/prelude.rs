//! What a user of the runtime needs in scope: `use agent_runtime::prelude::*;`.

pub use async_trait::async_trait;
pub use serde_json::{Value as JsonValue, json};

pub use crate::{
    event::{
        BatchWindow, ComponentStatus, Event, EventData, EventError, EventScope, EventStream, EventType, Lagged,
        RecvError, Subscription, TryRecvError,
    },
    llm::{ChatModel, ScriptedModel, ScriptedReply},
    runtime::{
        Agent, AgentStep, FnTool, ProgressCallback, RunError, RunOutput, Runtime, SubWorkflowStep, Tool, ToolError,
        TransformStep, Workflow,
    },
};
