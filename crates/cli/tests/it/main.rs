//! The program as its user runs it, on stores that the runtime has written.

#[cfg(feature = "archive")]
mod archive;
mod doctor;
mod events;
mod help;
#[cfg(feature = "postgres")]
mod postgres;
mod recover;
mod replay;
#[cfg(unix)]
mod screen;
mod show;
#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "shared with the tests of the backends, which use other parts of it")]
#[path = "../../../../tests/backends/stack.rs"]
mod stack;
mod support;
