//! Workflows, agents and tools: what they do and which events tell of it.

mod agents;
mod channel;
mod current;
mod endings;
mod ids;
mod one_id;
mod order;
mod seeds;
mod start;
mod steps;
mod tags;
mod tools;
