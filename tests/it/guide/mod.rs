//! Every way in which the user's guide consumes events, as a test that runs.

mod collecting;
mod monitoring;
mod story;
mod streaming;
mod subscribing;
