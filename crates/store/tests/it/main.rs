//! The engines, seen from outside.

mod contract;
mod crash;
mod damage;
mod files;
mod history;
mod support;
