//! `replay`: what is stored, shown again at its own pace or another, with a bar for how far it is, or sent to a collector again.

mod bar;
mod command;
mod otlp;

pub(crate) use command::run;
