//! What of an event is stored.

use std::{fmt, sync::Arc};

use crate::{
    event::{Event, EventScope},
    stream::contain,
    wording,
};

/// What every event passes before it is stored; by default all content is withheld.
#[derive(Clone, Default)]
pub(super) struct Intake {
    pub(super) with_content: bool,
    pub(super) redaction: Option<Redaction>,
}

/// Takes out of an event what must not reach a disk.
pub(super) type Redaction = Arc<dyn Fn(&mut Event) + Send + Sync>;

impl Intake {
    /// The event as it is stored.
    pub(super) fn admit(&self, event: &Arc<Event>) -> Arc<Event> {
        if self.with_content && self.redaction.is_none() {
            return Arc::clone(event);
        }
        let mut admitted = Event::clone(event);
        if !self.with_content {
            withhold(&mut admitted);
        }
        if let Some(redaction) = &self.redaction {
            // No redaction can know half of a key.
            if let Some(data) = admitted.data.without_piece() {
                admitted.data = data;
            }
            let redacted = contain(|| {
                redaction(&mut admitted);
                admitted
            });
            admitted = redacted.unwrap_or_else(|| nothing_of(event));
            // Its identity is not for a redaction to change.
            admitted.event_id = event.event_id;
            admitted.offset = event.offset;
            (admitted.scope, admitted.event_type, admitted.status) = (event.scope, event.event_type, event.status);
            (admitted.start_id, admitted.parent_start_id) = (event.start_id, event.parent_start_id);
        }
        Arc::new(admitted)
    }
}

/// Takes out what was asked and answered, and of sentences what they quote.
fn withhold(event: &mut Event) {
    let message = event.message.take();
    event.message = message.map(|message| match event.data.error_summary() {
        Some(summary) => summary.to_owned(),
        None if event.scope == EventScope::LlmRequest => wording::known_words(&message),
        None => wording::without_quotations(&message).into_owned(),
    });
    event.data = event.data.without_content();
}

/// An event whose redaction panicked: nothing of it that a redaction may change.
fn nothing_of(event: &Event) -> Event {
    let mut bare = event.clone();
    withhold(&mut bare);
    bare.message = None;
    bare.data = crate::event::EventData::default();
    bare
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake")
            .field("with_content", &self.with_content)
            .field("has_redaction", &self.redaction.is_some())
            .finish()
    }
}
