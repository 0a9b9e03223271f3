//! What every [`EventStore`](crate::store::EventStore) has to do, as assertions that each engine's tests run.

mod appending;
mod contract;
mod epochs;
mod fixture;
mod following;
mod reading;
mod trimming;

pub use contract::assert_store_contract;
