//! The server by what its clients see: real sockets, real runs, standard clients' libraries.

mod access;
mod limits;
mod rest;
mod resume;
mod socket;
mod storm;
mod support;
