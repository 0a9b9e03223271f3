//! Every way in which the user's guide to events consumes them, as a test that runs, on events of real runs.

mod collecting;
mod concepts;
mod fields;
mod homework;
mod monitoring;
mod persisting;
mod streaming;
mod subscribing;
mod tools;
