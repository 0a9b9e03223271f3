#![doc = include_str!("../README.md")]

mod access;
mod definition;
mod feed;
mod gap;
mod guard;
mod limits;
mod listen;
mod message;
mod place;
mod refusal;
mod request;
mod rest;
mod session;
mod shared;
mod socket;
mod source;
mod sse;

pub use definition::{EventServer, EventServerBuilder, router};
pub use gap::{LossReason, LostRange};
pub use listen::{Listening, ServeError, serve};
pub use place::{Place, PlaceError};
pub use source::Source;
