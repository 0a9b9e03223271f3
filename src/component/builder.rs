//! How a component is started: what it is, where it belongs, and the form that ends it by what comes back.

use std::future::Future;

use futures_util::TryStream;
use serde_json::{Value as JsonValue, json};

use super::{
    Run, RunOptions,
    cause::Cause,
    current::{Current, begin_run},
    guard::{Beginning, Component},
    lineage::Lineage,
    owned_stream::ComponentStream,
    place::Place,
    start_data::StartData,
    work::WorkAs,
};
use crate::{
    event::{
        AgentStarted, EventError, EventScope, LlmStarted, StepStarted, StepType, ToolStarted, WorkflowStarted, name_of,
    },
    stream::EventStream,
};

/// A component that is about to start.
///
/// It starts in the component that is current, or in the one of
/// [`with_parent`](Self::with_parent). Outside every run, as in a library whose caller has no stream, it is inert: nothing is
/// reported, and work runs as it would without it.
#[derive(Debug)]
#[must_use = "nothing starts before `start`, `run`, `call` or `stream`"]
pub struct ComponentBuilder<D> {
    name: String,
    data: D,
    parent: Parent,
    options: RunOptions,
}

/// Where a component is to start. Made of a [`Component`], a [`Current`] or a [`Run`].
#[derive(Debug)]
pub struct Parent(Where);

#[derive(Debug)]
enum Where {
    Current,
    Place(Current),
    Run(Run),
    Stream(EventStream),
}

/// Begins a run on a stream: the workflow that all its components lie in. Inside a component the run is nested in that one's.
///
/// ```
/// use agent_runtime::{component, prelude::*};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = EventStream::new();
/// let look = async { component::tool("look").run(async { Err::<(), _>("the lights are out") }).await };
/// let result = component::workflow(&stream, "research").run(component::agent("researcher").run(look)).await;
///
/// assert_eq!(result, Err("the lights are out"));
/// let statuses: Vec<_> = stream.get_events(0).await.iter().map(|event| event.status).collect();
/// assert_eq!(statuses, [[ComponentStatus::Running; 3], [ComponentStatus::Failed; 3]].concat());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn workflow(stream: &EventStream, name: impl Into<String>) -> ComponentBuilder<WorkflowStarted> {
    let builder = ComponentBuilder::new(name.into(), WorkflowStarted::new(JsonValue::Null));
    ComponentBuilder { parent: Parent(Where::Stream(stream.clone())), ..builder }
}

/// Begins a run nested in the current one, on its stream.
pub fn nested_workflow(name: impl Into<String>) -> ComponentBuilder<WorkflowStarted> {
    ComponentBuilder::new(name.into(), WorkflowStarted::new(JsonValue::Null))
}

/// Starts the workflow of a run that has begun.
#[cfg(feature = "ingest")]
pub(crate) fn workflow_in(run: &Run, name: &str, data: WorkflowStarted) -> Result<Component, EventError> {
    ComponentBuilder::start_in(run, name.to_owned(), data)
}

/// Begins a step of the current run's workflow.
pub fn step(name: impl Into<String>) -> ComponentBuilder<StepStarted> {
    let name = name.into();
    let data = StepStarted::new(name.as_str(), StepType::Custom, JsonValue::Null);
    ComponentBuilder::new(name, data)
}

/// Begins an agent.
pub fn agent(name: impl Into<String>) -> ComponentBuilder<AgentStarted> {
    ComponentBuilder::new(name.into(), AgentStarted::new(JsonValue::Null))
}

/// Begins a request to a model: who answers, in the words of `gen_ai.provider.name`, and the model asked for.
///
/// It is numbered among the requests of the agent around it, or else of its workflow.
pub fn request(provider: impl Into<String>, model: impl Into<String>) -> ComponentBuilder<LlmStarted> {
    ComponentBuilder::new(String::new(), LlmStarted::new(provider, model, json!([])))
}

/// Begins a call of a tool, which is numbered among the calls of its name in the run.
pub fn tool(name: impl Into<String>) -> ComponentBuilder<ToolStarted> {
    let name = name.into();
    let data = ToolStarted::new(name.as_str(), JsonValue::Null);
    ComponentBuilder::new(name, data)
}

impl<D: StartData> ComponentBuilder<D> {
    pub(crate) fn new(name: String, data: D) -> Self {
        Self { name, data, parent: Parent(Where::Current), options: RunOptions::default() }
    }

    /// Sets all that the start says. By default, what the function that began it was passed.
    pub fn with_data(mut self, data: D) -> Self {
        self.data = data;
        self
    }

    /// Starts it inside a component that need not be current, or in a run. By default, in the component that is current.
    ///
    /// In a run, it lies in the current component if that is one of the run, else directly in the run's workflow.
    pub fn with_parent(mut self, parent: impl Into<Parent>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Starts the component.
    ///
    /// # Errors
    ///
    /// Nothing is reported then.
    ///
    /// - [`EventError::WorkflowId`] if the options name an id that cannot be one.
    /// - [`EventError::TooManyFollowers`] if a `tracing` layer starts too many while it is shown one event.
    pub fn start(self) -> Result<Component, EventError> {
        let Self { name, data, parent: Parent(parent), options } = self;
        match parent {
            Where::Current => Self::start_here(Run::current(), name, data, options),
            Where::Place(place) => place.enter(|| Self::start_here(place.its_run(), name, data, options)),
            Where::Run(run) => Self::start_here(Some(run), name, data, options),
            Where::Stream(stream) => Self::start_in(&begin_run(stream, &name, options), name, data),
        }
    }

    /// Runs work as the component, and ends it by the result that comes back: an error is a failure, with its sources and
    /// its type.
    ///
    /// The result is returned as it is. The work always runs, also where the component cannot start; use
    /// [`start`](Self::start) to learn why. Work that never fails returns `Ok::<_, Infallible>(..)`.
    ///
    /// # Errors
    ///
    /// The work's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work inside the component, which then says Canceled.
    pub fn run<T, E, Kind>(self, work: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>>
    where
        E: Cause<Kind>,
    {
        let start = || self.start_or_inert();
        WorkAs::new(work, start, |component, result| {
            end(component, &result);
            result
        })
    }

    /// Calls work as the component, as [`run`](Self::run) polls it.
    ///
    /// # Errors
    ///
    /// The work's.
    pub fn call<T, E, Kind>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        E: Cause<Kind>,
    {
        let component = self.start_or_inert();
        let result = component.enter(work);
        end(component, &result);
        result
    }

    /// Opens a stream as the component, which then lives as long as the stream is read.
    ///
    /// ```
    /// use agent_runtime::{component, prelude::*};
    /// use futures_util::{StreamExt as _, TryStreamExt as _, stream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let events = EventStream::new();
    /// let ask = async || Ok::<_, std::io::Error>(stream::iter(["Hello", " there"]).map(Ok::<_, std::io::Error>));
    /// let work = async {
    ///     let answer = component::request("acme", "small").stream(ask()).await?;
    ///     let answer = answer.on_item(|request, piece| request.chunk(*piece));
    ///     answer.try_collect::<String>().await
    /// };
    /// let text = component::workflow(&events, "greeting").run(work).await?;
    /// assert_eq!(text, "Hello there");
    /// let completed = &events.get_events(0).await[4];
    /// assert_eq!((&completed.data["response"], &completed.data["chunk_count"]), (&json!("Hello there"), &json!(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of opening it, with which the component fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the stream before its end, drops it inside the component, which then says Canceled.
    pub fn stream<S, E, Kind, ItemKind>(
        self,
        opening: impl Future<Output = Result<S, E>>,
    ) -> impl Future<Output = Result<ComponentStream<S>, E>>
    where
        S: TryStream,
        S::Error: Cause<ItemKind>,
        E: Cause<Kind>,
    {
        let start = || self.start_or_inert();
        WorkAs::new(opening, start, |component: Component, opened| match opened {
            Ok(stream) => Ok(component.stream(stream)),
            Err(error) => {
                component.fail(&error);
                Err(error)
            }
        })
    }

    fn start_or_inert(self) -> Component {
        self.start().unwrap_or_else(|error| {
            tracing::warn!(target: "agent_runtime::component", %error, "a component was not started, its work runs");
            Component::inert()
        })
    }

    /// Starts it in what is around, in a run that it is nested in if it is a workflow.
    fn start_here(run: Option<Run>, name: String, data: D, options: RunOptions) -> Result<Component, EventError> {
        match run {
            Some(run) if D::SCOPE == EventScope::Workflow => Self::start_in(&run.nested(&name, options), name, data),
            Some(run) => Self::start_in(&run, name, data),
            None => Ok(Component::inert()),
        }
    }

    fn start_in(run: &Run, name: String, mut data: D) -> Result<Component, EventError> {
        let agent = Place::agent_around(run.lineage());
        let agent_id = agent.as_deref().map(|agent| agent.component_id.as_str());
        data.complete(agent_id, run);
        let component_id = component_id(D::SCOPE, &name, agent_id, run.lineage());
        let name = matches!(D::SCOPE, EventScope::WorkflowStep | EventScope::Tool).then_some(name);
        Component::begin(run, Beginning { scope: D::SCOPE, component_id, name, agent, data: data.into() })
    }
}

impl ComponentBuilder<WorkflowStarted> {
    /// Sets the run's id, the run it is nested in, its conversation and its links. By default, those of
    /// [`RunOptions::default`].
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets what the workflow was given. By default, nothing.
    pub fn with_input(mut self, input: impl Into<JsonValue>) -> Self {
        self.data.input = input.into();
        self
    }
}

impl ComponentBuilder<StepStarted> {
    /// Sets what the step was given. By default, nothing.
    pub fn with_input(mut self, input: impl Into<JsonValue>) -> Self {
        self.data.input = input.into();
        self
    }
}

impl ComponentBuilder<AgentStarted> {
    /// Sets what the agent was given. By default, nothing.
    pub fn with_input(mut self, input: impl Into<JsonValue>) -> Self {
        self.data.input = input.into();
        self
    }

    /// Sets the model that it asks, where it is always the same. By default, none.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.data.model = Some(model.into());
        self
    }
}

impl ComponentBuilder<LlmStarted> {
    /// Sets the chat history as sent: a list of `{"role", "content", …}`. By default, it is empty.
    pub fn with_messages(mut self, messages: impl Into<JsonValue>) -> Self {
        self.data.messages = messages.into();
        self
    }
}

impl ComponentBuilder<ToolStarted> {
    /// Sets the call's arguments. By default, none.
    pub fn with_arguments(mut self, arguments: impl Into<JsonValue>) -> Self {
        self.data.arguments = arguments.into();
        self
    }
}

impl From<&Component> for Parent {
    fn from(component: &Component) -> Self {
        Self(Where::Place(component.current()))
    }
}

impl From<&Current> for Parent {
    fn from(current: &Current) -> Self {
        Self(Where::Place(current.clone()))
    }
}

impl From<&Run> for Parent {
    fn from(run: &Run) -> Self {
        Self(Where::Run(run.clone()))
    }
}

fn end<T, E, Kind>(component: Component, result: &Result<T, E>)
where
    E: Cause<Kind>,
{
    match result {
        Ok(_) => component.complete(()),
        Err(error) => component.fail(error),
    }
}

/// The id of a component, of a name that may be anything.
fn component_id(scope: EventScope, name: &str, agent: Option<&str>, run: &Lineage) -> String {
    let workflow = || run.workflow.get().map_or("workflow", |(id, _)| &**id);
    match scope {
        EventScope::Workflow | EventScope::Agent | EventScope::System => name_of(name).into_owned(),
        EventScope::WorkflowStep => run.numbered(&format!("{}:step", name_of(workflow()))),
        EventScope::LlmRequest => run.numbered(&format!("{}:llm", name_of(agent.unwrap_or_else(workflow)))),
        EventScope::Tool => run.numbered(&name_of(name)),
    }
}
