//! What a user of the runtime needs in scope: `use agent_runtime::prelude::*;`.

pub use async_trait::async_trait;
pub use serde_json::{Value as JsonValue, json};

pub use crate::{
    component::{self, InCurrent, RunOptions},
    event::{ComponentStatus, Event, EventData, EventError, EventScope, EventType},
    llm::{ChatModel, ScriptedModel, ScriptedReply},
    runtime::{
        Agent, AgentStep, BoxError, ConditionalStep, FnTool, ProgressCallback, RunError, RunOutput, Runtime, Step,
        SubWorkflowStep, Tool, ToolError, TransformStep, Workflow,
    },
    stream::{BatchWindow, EventStream, Lagged, RecvError, Subscription, TryRecvError},
};
