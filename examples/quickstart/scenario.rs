//! The workflow of the quickstart: research with two tools at once, a nested workflow that checks, and a writer.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    llm::{ChatModel, ChatRequest, GenerationOptions, Role},
    prelude::*,
};

const CHUNK_DELAY: Duration = Duration::from_millis(20);

/// Keeps a small real model from going on for ever.
const MAX_TOKENS: u64 = 120;

/// The whole workflow, with every agent on the given model.
pub(crate) fn workflow(model: Arc<dyn ChatModel>) -> Workflow {
    let options = GenerationOptions::default().with_max_tokens(MAX_TOKENS);
    let researcher = Agent::builder("researcher", Arc::clone(&model))
        .with_description("Finds the figures")
        .with_system_prompt("You are a researcher. Look up the filing and the share price, then sum up what you found.")
        .with_generation_options(options.clone())
        .with_tool(search_filings())
        .with_tool(fetch_prices())
        .build();
    let checker = Agent::builder("checker", Arc::clone(&model))
        .with_description("Checks the arithmetic")
        .with_system_prompt("You are a checker. Verify each figure with the calculator.")
        .with_generation_options(options.clone())
        .with_tool(calculator())
        .build();
    let writer = Agent::builder("writer", model)
        .with_description("Writes the answer")
        .with_system_prompt("You are a writer. Answer in two sentences.")
        .with_generation_options(options)
        .build();
    let fact_check = Workflow::new("fact_check")
        .add_step(TransformStep::new("extract_claims", |text: JsonValue| async move {
            Ok::<_, ToolError>(json!(format!("Check: {}", text.as_str().unwrap_or_default())))
        }))
        .add_step(AgentStep::new(checker))
        .build();
    Workflow::new("sales_report")
        .add_step(TransformStep::new("tidy_question", |question: JsonValue| async move {
            Ok::<_, ToolError>(json!(question.as_str().unwrap_or_default().trim()))
        }))
        .add_step(AgentStep::new(researcher))
        .add_step(SubWorkflowStep::new(fact_check))
        .add_step(AgentStep::new(writer))
        .build()
}

/// A model that plays all three agents from a script.
pub(crate) fn scripted_model() -> ScriptedModel {
    ScriptedModel::answering(reply).with_name("scripted-demo")
}

fn reply(request: &ChatRequest) -> ScriptedReply {
    let prompt = request.messages.first().map_or("", |message| message.content.as_str());
    let has_results = request.messages.last().is_some_and(|message| message.role == Role::Tool);
    let reply = match (prompt, has_results) {
        (prompt, false) if prompt.contains("researcher") => ScriptedReply::tool_calls([
            ("search_filings", json!({"company": "Acme", "quarter": "Q4"})),
            ("fetch_prices", json!({"ticker": "ACME", "days": 5})),
        ]),
        (prompt, true) if prompt.contains("researcher") => ScriptedReply::text(
            "Acme sold 1.38 million units in the fourth quarter, up from 1.20 million. The share closed at 48.20.",
        ),
        (prompt, false) if prompt.contains("checker") => {
            ScriptedReply::tool_calls([("calculator", json!({"operation": "growth", "a": 1.20, "b": 1.38}))])
        }
        (prompt, true) if prompt.contains("checker") => {
            ScriptedReply::text("Verified: from 1.20 to 1.38 million is a growth of 15 percent.")
        }
        _ => ScriptedReply::text(
            "Acme's sales grew by 15 percent in the fourth quarter, to 1.38 million units. \
             The share closed the week at 48.20.",
        ),
    };
    reply.with_delay(CHUNK_DELAY)
}

fn search_filings() -> FnTool {
    let parameters = json!({
        "type": "object",
        "properties": {"company": {"type": "string"}, "quarter": {"type": "string"}},
        "required": ["company", "quarter"],
    });
    FnTool::new("search_filings", "Searches company filings.", parameters, |_args, progress| async move {
        for page in 1..=4 {
            tokio::time::sleep(Duration::from_millis(120)).await;
            progress(format!("read page {page} of 4"), Some(page));
        }
        Ok(json!({"units_q3": 1_200_000, "units_q4": 1_380_000}))
    })
}

fn fetch_prices() -> FnTool {
    let parameters = json!({
        "type": "object",
        "properties": {"ticker": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["ticker"],
    });
    FnTool::new("fetch_prices", "Fetches closing prices of a share.", parameters, |args, progress| async move {
        let days = args["days"].as_u64().unwrap_or(1);
        for day in 1..=days {
            tokio::time::sleep(Duration::from_millis(70)).await;
            progress(format!("day {day} of {days}"), Some(day));
        }
        Ok(json!({"close": 48.20}))
    })
}

fn calculator() -> FnTool {
    let parameters = json!({
        "type": "object",
        "properties": {
            "operation": {"type": "string", "enum": ["growth"]},
            "a": {"type": "number"},
            "b": {"type": "number"},
        },
        "required": ["operation", "a", "b"],
    });
    FnTool::new("calculator", "Computes the growth from a to b in percent.", parameters, |args, _progress| async move {
        let (Some(a), Some(b)) = (args["a"].as_f64(), args["b"].as_f64()) else {
            return Err(ToolError::new("`a` and `b` must be numbers").into());
        };
        if a == 0.0 {
            return Err(ToolError::with_code("growth from zero is not defined", "DIV_BY_ZERO").into());
        }
        Ok(json!(((b / a - 1.0) * 100.0).round()))
    })
}
