//! What users of comparable systems report, tried here: tables of cases, each with the id under which it was reported.

mod batches;
mod endpoints;
mod environment;
mod models;
mod process_context;
mod program;
mod set_up;
mod way_out;
