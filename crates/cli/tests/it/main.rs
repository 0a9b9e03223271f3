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
mod support;
