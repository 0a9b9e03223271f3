//! One step as one component.

use serde_json::Value as JsonValue;

use super::Step;
use crate::{
    component::{Component, Run},
    event::{EventScope, FailureDetails, StepCompleted, StepStarted},
    runtime::{BoxError, RunError},
};

/// Runs a step between its Started and its one end.
pub(in crate::runtime) async fn execute(
    step: &dyn Step,
    id: String,
    input: JsonValue,
    run: &Run,
) -> Result<JsonValue, RunError> {
    let step_name = step.name().to_owned();
    let started = StepStarted { step_name: step_name.clone(), step_type: step.step_type(), input: input.clone() };
    let component = Component::start(run, EventScope::WorkflowStep, id, started)?;
    match component.run(step.run(input, run)).await {
        Ok(output) => {
            let duration_ms = component.elapsed_ms();
            component.complete(StepCompleted { step_name, output: output.clone(), duration_ms });
            Ok(output)
        }
        Err(error) => {
            let error = run_error(error, step);
            let details = FailureDetails {
                error_summary: Some(error.summary().into_text()),
                step_name: Some(step_name),
                ..FailureDetails::default()
            };
            component.fail_with(&error, error.code(), details);
            Err(error)
        }
    }
}

/// An error of a run is passed on as it is, so that its kind and code are kept.
fn run_error(error: BoxError, step: &dyn Step) -> RunError {
    match error.downcast::<RunError>() {
        Ok(error) => *error,
        Err(source) => RunError::Step { step: step.name().to_owned(), step_type: step.step_type(), source },
    }
}
