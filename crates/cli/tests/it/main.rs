//! The program as its user runs it, on stores that the runtime has written.

mod events;
mod show;
mod support;
