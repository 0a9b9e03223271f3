//! What of an event leaves the process, into a store or over a network.

use std::{fmt, sync::Arc};

use crate::{
    event::{Event, EventData, EventScope},
    stream::contain,
    wording,
};

/// What every event passes before it leaves the process: a [`Recorder`](super::Recorder) has one, and so has whatever else hands
/// events out. By default what was asked and answered is withheld.
///
/// ```
/// use std::sync::Arc;
///
/// use agent_runtime::{prelude::*, store::Disclosure};
///
/// let asked = json!({"model": "small", "messages": ["my secret"]});
/// let event = Arc::new(Event::llm_started("writer:llm:0", None, None, asked));
/// assert_eq!(Disclosure::default().admit(&event).data, json!({"model": "small"}));
/// assert_eq!(Disclosure::default().with_content(true).admit(&event), event);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Disclosure {
    with_content: bool,
    redaction: Option<Redaction>,
}

/// Takes out of an event what must not be seen.
type Redaction = Arc<dyn Fn(&mut Event) + Send + Sync>;

impl Disclosure {
    /// Sets whether what was asked and answered is handed out. By default, it is not: of an event's data only numbers and names
    /// stay, and of its message the application's words.
    pub const fn with_content(mut self, disclosed: bool) -> Self {
        self.with_content = disclosed;
        self
    }

    /// Sets what every event passes, such as `move |event| policy.redact_event(event)` with a `ContentPolicy` of the module
    /// `otel`. By default, nothing is redacted.
    ///
    /// It cannot change what the event is about, its id, place and type. With a redaction the pieces of a streamed answer lose
    /// their text, since no redaction knows half of a key; the whole answer comes with its end. If it panics, the event loses
    /// data and message.
    pub fn with_redaction(mut self, redaction: impl Fn(&mut Event) + Send + Sync + 'static) -> Self {
        self.redaction = Some(Arc::new(redaction));
        self
    }

    /// The event as it is handed out.
    #[must_use]
    pub fn admit(&self, event: &Arc<Event>) -> Arc<Event> {
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
    Event { message: None, data: EventData::default(), ..event.clone() }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosure")
            .field("with_content", &self.with_content)
            .field("has_redaction", &self.redaction.is_some())
            .finish()
    }
}
