//! What a failure says: the error with its sources, and a fixed word for its kind.

use std::{any::type_name, error::Error};

/// An error that a component can fail with: any [`Error`], a boxed one such as `anyhow::Error`, or a text.
///
/// `Kind` sets the three apart and is never named.
#[diagnostic::on_unimplemented(
    message = "a component cannot say that it failed with a `{Self}`",
    note = "an error is a `std::error::Error`, a `Box<dyn Error + Send + Sync>`, an `anyhow::Error` or a text"
)]
pub trait Cause<Kind> {
    #[doc(hidden)]
    fn describe(&self) -> Described;
}

/// An error as an event has it.
#[derive(Debug)]
pub struct Described {
    pub(super) message: String,
    /// The word for its kind, if its type is known.
    pub(super) code: Option<&'static str>,
}

/// Kinds of errors, which set [`Cause`]'s implementations apart.
#[derive(Debug)]
pub enum Typed {}

/// See [`Typed`].
#[derive(Debug)]
pub enum Boxed {}

/// See [`Typed`].
#[derive(Debug)]
pub enum Text {}

impl<E: Error> Cause<Typed> for E {
    fn describe(&self) -> Described {
        Described { message: with_sources(self), code: Some(type_word(type_name::<E>())) }
    }
}

impl<E: AsRef<dyn Error + Send + Sync>> Cause<Boxed> for E {
    fn describe(&self) -> Described {
        Described { message: with_sources(self.as_ref()), code: None }
    }
}

impl<E: AsRef<str>> Cause<Text> for E {
    fn describe(&self) -> Described {
        Described { message: self.as_ref().to_owned(), code: None }
    }
}

/// The error and its sources, as one sentence.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The path of a type without its parameters, which are no word of few.
fn type_word(name: &'static str) -> &'static str {
    name.split('<').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Outer<T>(T);

    impl<T: fmt::Debug> fmt::Display for Outer<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the search failed")
        }
    }

    impl<T: Error + 'static> Error for Outer<T> {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[track_caller]
    fn check<Kind>(cause: &impl Cause<Kind>, message: &str, code: Option<&str>) {
        let described = cause.describe();
        assert_eq!((described.message.as_str(), described.code), (message, code));
    }

    #[test]
    fn every_common_kind_of_error_says_what_happened() {
        let io = || io::Error::other("socket closed");
        check(&io(), "socket closed", Some("std::io::error::Error"));
        let code = "agent_runtime::component::cause::tests::Outer";
        check(&Outer(io()), "the search failed: socket closed", Some(code));
        let boxed: Box<dyn Error + Send + Sync> = Outer(io()).into();
        check(&boxed, "the search failed: socket closed", None);
        check(&anyhow::Error::new(Outer(io())), "the search failed: socket closed", None);
        check(&"no such file", "no such file", None);
        check(&String::from("no such file"), "no such file", None);
        let never: Option<Infallible> = None;
        assert!(never.map(|error| error.describe()).is_none());
    }
}
