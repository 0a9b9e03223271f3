#![doc = include_str!("../README.md")]

mod answer;
mod error;
mod model;
mod question;

pub use model::GenaiModel;
