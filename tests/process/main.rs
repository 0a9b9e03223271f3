//! What is global to a process: its environment, subscriber, allocator and exporters. Each case runs in a process of its own,
//! which is this binary with one of its ignored tests, `child_…`.

use peak_alloc::PeakAlloc;

mod again;
mod collectors;
mod crowd;
mod faults;
mod global_layer;
mod golden;
mod memory;
mod one_subscriber;
mod outage;
mod quickstart;
mod sampler;
#[expect(dead_code, unused_imports, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod two_processes;
mod user_spans;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
