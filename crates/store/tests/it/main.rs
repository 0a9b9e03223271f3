//! The engines, seen from outside.

#[cfg(feature = "object-store")]
mod archive;
mod contract;
mod crash;
mod damage;
#[path = "../support/events.rs"]
mod events;
mod files;
#[path = "../../../../tests/support/history.rs"]
mod history;
mod support;
