//! The redactor's way through a whole event, for what keeps events beyond the process.

use super::{ContentPolicy, redact::contained, scrub::Scrub, shape::Shape};
use crate::event::Event;

impl ContentPolicy {
    /// Passes every text of an event's data and its message through the redactor, for a store of events. Without a redactor
    /// nothing changes; what the policy says about where content goes is about telemetry alone.
    ///
    /// ```
    /// # async fn record(stream: &agent_runtime::stream::EventStream) -> Result<(), agent_runtime::store::StoreError> {
    /// use std::sync::Arc;
    ///
    /// use agent_runtime::{otel::{ContentPolicy, Redactor}, store::{MemoryStore, Recorder}};
    ///
    /// # struct MyRedactor;
    /// # impl Redactor for MyRedactor {
    /// #     fn redact<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> { text.into() }
    /// # }
    /// let policy = ContentPolicy::default().with_redactor(MyRedactor);
    /// let recorder = Recorder::builder(Arc::new(MemoryStore::new()))
    ///     .with_content(true)
    ///     .with_redaction(move |event| policy.redact_event(event))
    ///     .start(stream)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redact_event(&self, event: &mut Event) {
        let Some(redactor) = self.redactor() else { return };
        if let Some(message) = &mut event.message {
            *message = contained(redactor, None, message).into_owned();
        }
        let mut data = event.data.as_json().clone();
        Scrub::new(Some(redactor)).value(&mut data, Shape::Free);
        event.data = data.into();
    }
}
