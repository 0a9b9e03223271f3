//! Prints the events of a run as they come.

use std::io::{self, Write as _};

use agent_runtime::prelude::*;

/// Prints until the stream is closed.
pub(crate) async fn print(mut events: Subscription) {
    let mut streaming = false;
    loop {
        match events.recv().await {
            Ok(event) => streaming = print_event(&event, streaming),
            Err(RecvError::Lagged(lagged)) => println!("… {lagged}"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Prints one event; says whether the line is left open for more of a model's answer.
fn print_event(event: &Event, streaming: bool) -> bool {
    let indent = match event.scope {
        EventScope::Workflow => "",
        EventScope::WorkflowStep => "  ",
        EventScope::Agent | EventScope::System => "    ",
        _ => "      ",
    };
    if let (EventScope::LlmRequest, EventType::Progress) = (event.scope, event.event_type) {
        if !streaming {
            print!("{indent}{} says: ", event.component_name());
        }
        print!("{}", event.data["chunk"].as_str().unwrap_or_default());
        // A closed terminal is no reason to stop the run.
        io::stdout().flush().ok();
        return true;
    }
    if streaming {
        println!();
    }
    let message = event.message.as_deref().unwrap_or_default();
    match (event.scope, event.event_type) {
        (EventScope::LlmRequest, EventType::Completed) => {
            let usage = event.data.usage().unwrap_or_default();
            println!("{indent}{} done, {} tokens", event.component_id, usage.total_tokens);
        }
        (EventScope::Tool, EventType::Started) => {
            println!("{indent}{} {}", event.component_id, event.data["arguments"]);
        }
        (EventScope::Tool, EventType::Completed) => {
            println!("{indent}{} = {}", event.component_id, event.data["result"]);
        }
        (_, EventType::Progress) => println!("{indent}{}: {message}", event.component_id),
        (_, EventType::Failed | EventType::Canceled) => {
            println!("{indent}{} {}: {message}", event.component_id, event.event_type);
        }
        (_, EventType::Started) => println!("{indent}{} {} started", event.scope, event.component_id),
        (EventScope::Workflow, EventType::Completed) => println!("{indent}{} {} done", event.scope, event.component_id),
        (_, EventType::Completed) => {}
    }
    false
}
