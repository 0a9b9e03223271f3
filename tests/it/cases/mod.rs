//! What users of comparable systems report, tried here: tables of cases, each with the id under which it was reported.

mod batches;
mod canary;
mod endpoints;
mod environment;
mod models;
mod neighbors;
mod privacy;
mod process_context;
mod program;
mod propagation;
mod redactor;
mod set_up;
mod spans;
mod way_out;
