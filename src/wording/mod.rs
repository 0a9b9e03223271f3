//! Which words of a sentence may leave the process, whoever wrote it.
//!
//! In flow the sentences of errors, of the application's and of others; out flow those without what they quote, or of
//! somebody else's only the words of a list. Errors compose their summaries with it, telemetry its messages.

mod prose;
mod quoted;
mod summary;
mod words;

pub(crate) use prose::{known_words, without_quotations};
#[cfg(feature = "redaction")]
pub(crate) use quoted::{backslashes_before, end as quotation_end};
pub(crate) use summary::Summary;
#[cfg(feature = "otel")]
pub(crate) use words::{is_finish_reason, is_identifier, is_of_schema, is_schema_field};
