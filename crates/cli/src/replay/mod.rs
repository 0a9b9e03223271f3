//! `replay`: what is stored, shown again at its own pace or another, with a bar for how far it is.

mod bar;
mod command;

pub(crate) use command::run;
