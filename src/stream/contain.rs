//! Calls into code that is not ours, a panic of which costs that one call.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls code of others: layers, redactors, samplers, wakers. Returns `None` if it panicked, which the panic hook has reported.
///
/// What is set for the time of the call must be put back by a guard.
pub(crate) fn contain<R>(foreign: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(foreign)) {
        Ok(answer) => Some(answer),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops what a panic carried. Its destructor is code of others too; what that panics with is leaked, since its destructor
/// may be the same.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}
