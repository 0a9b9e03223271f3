//! The event model: one file for each promise.

mod constructors;
mod data;
mod json;
