//! The hook that every text passes before it leaves the process.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Stands for a text whose redactor panicked.
const REDACTION_FAILED: &str = "[redaction failed]";

/// Takes out of texts what must not leave the process.
///
/// It sees every text of an event before a span, a log event or a metric gets it: content (messages, arguments, results,
/// tool definitions), names of fields included, and also names, ids, descriptions, progress and error messages, which are
/// exported without content capture, too. Of content that is longer than four times its limit it sees what is left of
/// that, cut between two words. It does not see the words that the bridge itself writes, such as the role `user` of a
/// message. Subscribers in the process get everything as it is.
///
/// It runs on the thread that emits the event, and must emit none itself. Other events of the stream do not wait for it, but
/// for names and ids, which a sampler is shown. A panic in it is contained: the text is replaced as a whole then.
///
/// ```
/// use std::borrow::Cow;
///
/// use agent_runtime::otel::Redactor;
///
/// struct ProjectName;
///
/// impl Redactor for ProjectName {
///     fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
///         if text.contains("Bluebird") { text.replace("Bluebird", "[project]").into() } else { text.into() }
///     }
/// }
/// assert_eq!(ProjectName.redact("Bluebird is late"), "[project] is late");
/// ```
pub trait Redactor: Send + Sync {
    /// Returns the text as it may leave the process.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str>;

    /// Returns the value of a JSON field as it may leave the process; a number comes as its digits.
    ///
    /// The field is the nearest one around the value. By default, what [`redact`](Self::redact) returns.
    fn redact_field<'a>(&self, field: &str, text: &'a str) -> Cow<'a, str> {
        let _ = field;
        self.redact(text)
    }
}

/// Calls the redactor, so that its panic costs no more than the text.
pub(super) fn contained<'a>(redactor: &dyn Redactor, field: Option<&str>, text: &'a str) -> Cow<'a, str> {
    let redact = || match field {
        Some(field) => redactor.redact_field(field, text),
        None => redactor.redact(text),
    };
    // A redactor's state may be left half-changed by its panic; it is then its own to mend.
    catch_unwind(AssertUnwindSafe(redact)).unwrap_or(Cow::Borrowed(REDACTION_FAILED))
}
