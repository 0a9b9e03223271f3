//! The application's words for a run, in the data of all its events.

use std::sync::Arc;

use serde_json::Value as JsonValue;

use crate::event::{self, Event, EventError};

/// How many tags a run may have.
pub(super) const MAX_TAGS: usize = 32;

/// The tags of a run, none of them twice.
#[derive(Debug, Default)]
pub(super) struct Tags {
    list: Vec<String>,
    /// The list as the events share it; `None` without tags.
    json: Option<Arc<JsonValue>>,
}

impl Tags {
    pub(super) fn new(tags: Vec<String>) -> Self {
        let mut list = Vec::with_capacity(tags.len());
        for tag in tags {
            if !list.contains(&tag) {
                list.push(tag);
            }
        }
        let json = (!list.is_empty()).then(|| Arc::new(JsonValue::from(list.clone())));
        Self { list, json }
    }

    pub(super) fn list(&self) -> &[String] {
        &self.list
    }

    /// Puts the tags into an event's data.
    pub(super) fn put_into(&self, event: &mut Event) {
        if let Some(tags) = &self.json {
            event.data = std::mem::take(&mut event.data).with_tags(tags);
        }
    }

    /// Checks what each event of the run would carry.
    pub(super) fn validate(&self) -> Result<(), EventError> {
        let count = self.list.len();
        if count > MAX_TAGS {
            return Err(EventError::TooManyTags { count, limit: MAX_TAGS });
        }
        self.list.iter().try_for_each(|tag| event::check_tag(tag))
    }
}
