//! `doctor`: what is well, what is not, and what to do about it.
//!
//! Each part looks at one thing and returns [`Check`](check::Check)s, which [`command`] writes.

mod check;
mod clock;
mod command;
mod endpoint;
mod machine;
mod repair;
mod store;

pub(crate) use command::run;
