//! How a component failed, in the words that may leave the process.

use std::borrow::Cow;

use opentelemetry::{KeyValue, trace::Status};

use super::{
    ContentPolicy,
    attributes::{Attributes, is_word},
    content::OTHER,
    names,
};
use crate::event::{Event, EventScope, EventType};

/// `error.type` of a component whose end was never reported.
pub(super) const INTERRUPTED: &str = "interrupted";

/// `error.type` of a component that was canceled, and what its status says without a message.
const CANCELED: &str = "canceled";

/// How a component failed or was canceled.
pub(super) struct Failure<'a> {
    error_type: Cow<'a, str>,
    message: Cow<'a, str>,
}

impl<'a> Failure<'a> {
    /// Reads it off a component's end, as a span may carry it; none for a good end.
    ///
    /// Without content on spans, the event's summary stands for its message; without one, the message counts as the
    /// application's, but for a request's, which a model, a provider or a library wrote.
    pub(super) fn of(event: &'a Event, content: &ContentPolicy) -> Option<Self> {
        let unsaid = match event.event_type {
            EventType::Failed => "",
            EventType::Canceled => CANCELED,
            EventType::Started | EventType::Progress | EventType::Completed => return None,
        };
        let message = event.message.as_deref().unwrap_or(unsaid);
        let message = match event.data.error_summary() {
            _ if content.capture().is_on_spans() => content.text(message),
            Some(summary) => content.text(summary),
            None if event.scope == EventScope::LlmRequest => content.foreign_sentence(message),
            None => content.sentence(message),
        };
        Some(Self { error_type: error_type(event), message })
    }

    /// That the end of a component was never reported.
    pub(super) const fn interrupted() -> Self {
        Self {
            error_type: Cow::Borrowed(INTERRUPTED),
            message: Cow::Borrowed("the end of the component was never reported"),
        }
    }

    /// The status of the component's span.
    pub(super) fn status(&self) -> Status {
        Status::error(self.message.clone().into_owned())
    }

    /// The attributes of the span event that readers look for the reason in.
    pub(super) fn exception(&self, content: &ContentPolicy) -> Vec<KeyValue> {
        let mut attributes = Attributes::new(content);
        attributes.text(names::EXCEPTION_TYPE, Some(&self.error_type));
        if !self.message.is_empty() {
            attributes.extend([KeyValue::new(names::EXCEPTION_MESSAGE, self.message.clone().into_owned())]);
        }
        attributes.into_list()
    }
}

/// A word of few for how a component failed.
pub(super) fn error_type(event: &Event) -> Cow<'_, str> {
    if event.event_type == EventType::Canceled {
        return CANCELED.into();
    }
    event.data.error_code().filter(|code| is_word(code)).map_or(OTHER.into(), Cow::from)
}
