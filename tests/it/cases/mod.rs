//! What users of comparable systems report, tried here: tables of cases, each with the id under which it was reported.

mod api;
mod batches;
mod canary;
mod canary_environment;
mod endpoints;
mod ends;
mod environment;
mod holds;
mod levels;
mod locks;
mod log;
mod memory;
mod models;
mod neighbors;
mod nesting;
mod once;
mod privacy;
mod process_context;
mod program;
mod propagation;
mod redactor;
mod set_up;
mod spans;
mod turns;
mod way_out;
