//! The server by what its clients see: real sockets, real runs, standard clients' libraries.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod limits;
mod rest;
mod resume;
mod socket;
mod storm;
mod support;
