//! Content capture: what was asked and answered, on spans and as log events, by the user's choice.
//!
//! In flow the same events that make the spans; out flow the attributes of the conventions' JSON schema for messages,
//! arguments and results, for spans and for log events. [`ContentPolicy`] is the choice: what
//! is captured ([`ContentCapture`], by default nothing), how long an attribute may be, and the [`Redactor`] that every
//! text passes before it leaves the process.

mod any_value;
mod budget;
mod capture;
mod fields;
mod finish_reason;
mod messages;
#[cfg(feature = "redaction")]
mod numbers;
mod open_inference;
mod partial;
#[cfg(feature = "redaction")]
mod patterns;
mod policy;
mod redact;
mod scrub;
#[cfg(feature = "redaction")]
mod secrets;
mod shape;
mod stored;
mod truncate;

pub use budget::MAX_OPEN_CONTENT_BYTES;
pub use capture::{CAPTURE_VARIABLE, ContentCapture, UnknownContentCapture};
#[cfg(feature = "redaction")]
pub use patterns::PatternRedactor;
pub use policy::{ContentPolicy, DEFAULT_MAX_CONTENT_BYTES, MAX_TEXT_BYTES, MIN_CONTENT_BYTES};
pub use redact::Redactor;

pub(super) use any_value::of_attribute;
pub(super) use budget::{Budget, Share};
pub(super) use fields::{Fields, input, interrupted, output};
pub(super) use finish_reason::finish_reason;
pub(super) use open_inference::kind as open_inference_kind;
pub(super) use partial::PartialAnswer;
pub(super) use policy::OTHER;
