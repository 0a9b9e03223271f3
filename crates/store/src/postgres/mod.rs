//! Events in a database of Postgres, shared by processes on many machines.
//!
//! In flow batches, each one transaction; out flow pages of events in the order in which they were stored. One row is one
//! event, as JSON. A place in the order is taken from a counter in a row that each transaction holds until it has committed:
//! so places become visible in their order, and no slower transaction fills in one behind which a reader stands already. A
//! sequence of Postgres's would not do, as it hands out numbers in one order and they commit in another.
//!
//! Rows have no checksums of ours: Postgres has its own for its pages (`initdb --data-checksums`).

mod append;
mod connector;
mod definition;
mod epochs;
mod failure;
mod follow;
mod read;
mod schema;
mod session;
mod trim;

pub use definition::{PostgresStore, PostgresStoreBuilder};
