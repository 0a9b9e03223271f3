//! Steps of every kind: what each hands on, which type its events name and how it fails.

use agent_runtime::{component::Run, event::StepType, prelude::*};

use crate::support::{assert_balanced, history, run};

/// A step of the user's that runs another one twice.
#[derive(Debug)]
struct Twice(TransformStep);

#[async_trait]
impl Step for Twice {
    fn name(&self) -> &str {
        "twice"
    }

    fn step_type(&self) -> StepType {
        StepType::Custom
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        self.0.run(self.0.run(input, run).await?, run).await
    }
}

fn add(name: &str, n: u64) -> TransformStep {
    TransformStep::map(name, move |input| json!(input.as_u64().unwrap_or(0) + n))
}

fn inner() -> Workflow {
    Workflow::new("inner").add_step(add("hundred", 100)).build()
}

/// A step, its input, its output or failure, and the type that its events name.
async fn check(step: impl Step + 'static, input: u64, expected: Result<u64, (&str, &str)>, step_type: &str) {
    let name = step.name().to_owned();
    let ran = run(&Workflow::new("flow").add_step(step).build(), input).await;
    let output = ran.result.map(|run| run.output.as_u64().expect("a number"));
    match (output, expected) {
        (Ok(output), Ok(expected)) => assert_eq!(output, expected, "{name}"),
        (Err(error), Err((code, text))) => {
            assert_eq!(error.code(), code, "{name}");
            let end = ran.events.last().expect("the workflow ended");
            assert!(end.message.as_deref().is_some_and(|message| message.contains(text)), "{name}: {end:?}");
        }
        (output, expected) => panic!("{name}: {output:?}, expected {expected:?}"),
    }
    let started = ran.events.iter().find(|event| event.scope == EventScope::WorkflowStep).expect("the step started");
    assert_eq!(
        (started.data["step_name"].as_str(), started.data["step_type"].as_str()),
        (Some(&*name), Some(step_type))
    );
}

#[tokio::test]
async fn every_kind_of_step_hands_on_its_output_or_its_failure() {
    check(add("map", 1), 1, Ok(2), "transform").await;
    check(TransformStep::then("then", async |_| json!(7)), 1, Ok(7), "transform").await;
    check(TransformStep::try_map("try_map", Ok::<_, BoxError>), 3, Ok(3), "transform").await;
    let fails = TransformStep::try_map("fails", |_| "x".parse::<u64>().map(JsonValue::from));
    check(fails, 1, Err(("transform", "invalid digit found in string")), "transform").await;
    check(SubWorkflowStep::new(inner()), 1, Ok(101), "subworkflow").await;
    check(Twice(add("one", 1)), 1, Ok(3), "custom").await;
    let never = TransformStep::try_map("never", |_| Err::<JsonValue, _>("no such order"));
    check(Twice(never), 1, Err(("step_failed", "no such order")), "custom").await;
}

#[tokio::test]
async fn a_conditional_step_does_the_work_of_the_step_that_it_chose() {
    let is_small = |input: &JsonValue| input.as_u64().is_some_and(|n| n < 10);
    let step = || ConditionalStep::new("choose", is_small).then(SubWorkflowStep::new(inner())).otherwise(add("one", 1));
    check(step(), 5, Ok(105), "conditional").await;
    check(step(), 50, Ok(51), "conditional").await;
    check(ConditionalStep::new("only", is_small).then(add("one", 1)), 50, Ok(50), "conditional").await;
    let within = ConditionalStep::new("outer", |_| true).then(step());
    check(within, 5, Ok(105), "conditional").await;
}

#[tokio::test]
async fn what_a_conditional_step_runs_nests_in_its_run() {
    let step = ConditionalStep::new("choose", |_| true).then(SubWorkflowStep::new(inner()));
    let runtime = Runtime::new();
    let outer = runtime.execute(&Workflow::new("flow").add_step(step).build(), 1).await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    let nested = events.iter().find(|event| event.component_id == "inner").expect("the nested workflow ran");
    assert_eq!(nested.parent_workflow_id.as_deref(), Some(outer.workflow_id.as_str()));
}

#[tokio::test]
async fn names_inside_a_conditional_step_are_checked_before_anything_runs() {
    let unnamed = Workflow::new("").add_step(add("one", 1)).build();
    let step = ConditionalStep::new("choose", |_| false).then(SubWorkflowStep::new(unnamed));
    let runtime = Runtime::new();
    let refused = runtime.execute(&Workflow::new("flow").add_step(step).build(), 1).await;
    assert!(matches!(refused, Err(RunError::InvalidName(_))), "{refused:?}");
    assert!(history(&runtime).await.is_empty());
}
