//! Run `OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_MODEL=name cargo run --example chat`: the model's answer appears word by
//! word, after it has asked a tool for the time. This is the program in README.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this example is about what it prints")]

use std::io::{self, Write as _};

use agent_runtime::{llm::OpenAiClient, otel::Telemetry, prelude::*};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Exports to where OTEL_EXPORTER_OTLP_ENDPOINT says, and nothing if it is not set.
    let telemetry = Telemetry::builder("my-agents").with_otlp_if_endpoint_set().build()?.install()?;

    let clock = FnTool::new("clock", "Tells the time.", json!({"type": "object"}), |_args, progress| async move {
        progress("looking at the clock".to_owned(), None);
        Ok(json!("half past nine"))
    });
    let agent = Agent::builder("assistant", OpenAiClient::from_env()?).with_tool(clock).build();
    let workflow = Workflow::new("chat").add_step(AgentStep::new(agent)).build();

    let (events, run) = Runtime::new().start(&workflow, "What time is it?");
    let printer = tokio::spawn(print_answer(events));
    let result = run.await;
    printer.await?;

    // Sends the rest. What did not arrive is reported and does not fail the program.
    if let Err(lost) = telemetry.shutdown() {
        eprintln!("{lost}");
    }
    result?;
    Ok(())
}

/// Prints the pieces of the answer as they come, until the run ends.
async fn print_answer(mut events: Subscription) {
    loop {
        match events.recv().await {
            Ok(event) => {
                print!("{}", event.data.chunk_text().unwrap_or_default());
                io::stdout().flush().ok();
            }
            Err(RecvError::Lagged(lagged)) => eprintln!("… {lagged}"),
            Err(_) => return println!(),
        }
    }
}
