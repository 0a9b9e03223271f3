//! The store in a real Postgres, which is killed and started again.
//!
//! `AGENT_RUNTIME_BACKENDS=1 cargo test -p agent-runtime-store --all-features --test postgres` starts servers by
//! `tests/backends/up` of the repository, on free loopback ports, and ends them again also when a test panics. Without the
//! variable every test passes at once and says `skipped: …` on standard error, and so does one where Postgres cannot be had.

mod contract;
#[path = "../support/events.rs"]
mod events;
mod opening;
mod owners;
mod restart;
mod server;
#[expect(dead_code, reason = "shared with the tests of the other backends, which use other parts of it")]
#[path = "../../../../tests/backends/stack.rs"]
mod stack;
