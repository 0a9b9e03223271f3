//! The examples against the real backends: what the collector, Jaeger and Prometheus have is what the native events say.
//!
//! `AGENT_RUNTIME_BACKENDS=1 cargo test --test backends` builds or finds the backends (`tests/backends/up`, see there)
//! and runs them, each test its own set on free loopback ports, which it ends again also when it panics. Without the
//! variable every test passes at once, so that a plain `cargo test` needs nothing but Rust; one for which a backend
//! cannot be had here (exit code 77 of `up`) passes too. Both say `skipped: …` on standard error, past the test harness's
//! capture. Any other failure of a backend fails the test. What is needed: Go, Debian's `prometheus`, pip for the model, Java
//! and Maven for Kafka; each test asks only for its own. Several minutes on two cores, most of them outages waited for.
#![expect(clippy::print_stderr, reason = "tests say what they skip")]
#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
#![expect(clippy::float_cmp, reason = "counts are whole numbers, also where Prometheus has them as floats")]

mod dashboard;
mod example;
mod jaeger;
mod kafka;
mod largest;
mod metrics;
mod native;
mod outage;
mod prometheus;
mod resumed;
mod stack;
mod traces;
