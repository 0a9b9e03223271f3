//! Events beyond the process: recorded, read back, recovered, shown again.

mod contract;
mod position;
mod privacy;
mod recorder;
mod replay;
mod simulation;
