//! What can be wrong with an event.

use thiserror::Error;

use super::{ComponentStatus, EventScope, EventType};

/// An event was refused; nothing was emitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EventError {
    /// The component's id does not follow the rule of its scope.
    #[error(
        "component id {:?} is not valid for scope {scope}: expected {rule}, without control characters, \
         without an empty part between colons and at most {} bytes long",
        start(.id),
        EventScope::MAX_COMPONENT_ID_BYTES
    )]
    #[non_exhaustive]
    ComponentId {
        /// The scope whose rule was broken.
        scope: EventScope,
        /// The id as given.
        id: String,
        /// The form that the scope asks for.
        rule: &'static str,
    },
    /// The id of a run, or of the run around it, cannot be one.
    #[error(
        "workflow id {:?} is not valid: expected 1 to {} bytes, without control characters and without space at an end",
        start(.id),
        EventScope::MAX_WORKFLOW_ID_BYTES
    )]
    #[non_exhaustive]
    WorkflowId {
        /// The id as given.
        id: String,
    },
    /// A tag of a run cannot be one.
    #[error(
        "tag {:?} is not valid: expected 1 to {} bytes, without control characters and without space at an end",
        start(.tag),
        EventScope::MAX_TAG_BYTES
    )]
    #[non_exhaustive]
    Tag {
        /// The tag as given.
        tag: String,
    },
    /// A run has more tags than it may, those of the run around it included.
    #[error("a run has {count} tags, more than {limit}")]
    #[non_exhaustive]
    TooManyTags {
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The status cannot follow from the type.
    #[error(
        "event type {event_type} contradicts status {status}: expected status {}; use the constructor of the type",
        event_type.status()
    )]
    #[non_exhaustive]
    StatusMismatch {
        /// The type as given.
        event_type: EventType,
        /// The status as given.
        status: ComponentStatus,
    },
    /// A `tracing` layer has appended as much as it may while it is shown one event.
    #[error("a layer that is shown one event may append no more than {limit} {unit}")]
    #[non_exhaustive]
    TooManyFollowers {
        /// How much it may append.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The text is not the JSON of an event.
    #[error("not the JSON of an event")]
    Json(#[from] serde_json::Error),
}

/// As much of an id as an error shows.
fn start(id: &str) -> &str {
    &id[..id.floor_char_boundary(2 * EventScope::MAX_COMPONENT_ID_BYTES)]
}
