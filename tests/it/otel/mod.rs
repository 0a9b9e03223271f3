//! Events onto spans: the mapping, the layer, and what is exported.

mod hand_made;
mod layer;
mod mapping;
mod progress;
mod progress_signal;
mod replay;
mod telemetry;
