//! The archive in a bucket of a real S3 server.
//!
//! `AGENT_RUNTIME_BACKENDS=1 cargo test -p agent-runtime-store --all-features --test s3` starts servers by `tests/backends/up` of
//! the repository, on free loopback ports, and ends them again also when a test panics. Without the variable every test passes
//! at once and says `skipped: …` on standard error, and so does one where the server cannot be had.

mod archive;
mod server;
#[expect(dead_code, reason = "shared with the tests of the other backends, which use other parts of it")]
#[path = "../../../../tests/backends/stack.rs"]
mod stack;
