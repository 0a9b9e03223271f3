//! The events that one client wants, from where it stands, without a gap that it is not shown and without a duplicate.
//!
//! In flows a stream, a store, or both; out flow [`Delivery`]s. A stream is read through a subscription (`reader.rs`); what that
//! reports as missing is read from the store (`catch_up.rs`), and what the store lacks is named as a gap. A store alone is
//! followed in its order (`follow.rs`). Each is pulled: a client that does not read costs a cursor.

mod catch_up;
mod definition;
mod follow;
mod from;
mod outcome;
mod reader;
mod stream;

pub(crate) use definition::Feed;
pub(crate) use from::From;
pub(crate) use outcome::{Delivery, FeedError};
