//! Questions with one answer: pages of events, runs, and the description of all routes.
//!
//! In flow the same feeds that streams have, read up to their present end; out flows JSON. What a question may cost is bounded
//! by time, and an answer says whether it is whole.

mod events;
mod openapi;
mod present;
mod runs;

pub(crate) use events::page;
pub(crate) use openapi::description;
pub(crate) use runs::{list, run};
