//! The position of a component in the tree: what begins in it names it as its parent.

use uuid::Uuid;

/// The position of a component that others begin in.
#[derive(Clone, Debug)]
pub(super) struct Position {
    start_id: Uuid,
}

impl Position {
    /// The position of a component with a given Started event.
    pub(super) const fn of(start_id: Uuid) -> Self {
        Self { start_id }
    }

    /// The id of the component's Started event.
    pub(super) const fn start_id(&self) -> Uuid {
        self.start_id
    }
}
