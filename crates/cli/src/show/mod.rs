//! `show`: a run as a tree with a bar for when and how long each part ran.
//!
//! The events of the run, and of all runs inside it, are read ([`read`]) and become components with what they cost
//! ([`story`]), which are drawn for a terminal ([`drawing`]) or written as JSON ([`command`]).

mod command;
mod drawing;
mod read;
mod story;

pub(crate) use command::run;
