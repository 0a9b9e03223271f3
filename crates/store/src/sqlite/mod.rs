//! Events in a file of SQLite's.
//!
//! In flow batches, each one transaction; out flow pages of events in the order in which they were stored. One row is one
//! event, as JSON. Rows are indexed by blocks of some hundred: which epoch, offsets and times a block has and which workflows
//! and components are in it, since an index entry for each event would cost twice what the event does.

mod append;
mod definition;
mod durability;
mod epochs;
mod failure;
mod files;
mod follow;
mod owner;
mod read;
mod repair;
mod row;
mod salvage;
mod schema;
mod trim;
mod verify;
mod worker;

pub use definition::{SqliteStore, SqliteStoreBuilder};
pub use durability::Durability;
pub use repair::Repaired;
pub use verify::Verified;
