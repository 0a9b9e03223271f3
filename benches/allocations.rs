//! How many allocations each operation makes, and of how many bytes: no more than the committed baseline.
//!
//! Only those of the operation's own thread count, so that nothing else in the process disturbs the figures.

use allocation_counter::measure;
use fixtures::{
    baseline::{self, Column, Measured},
    operations::{KEPT, OPERATIONS},
};
use tracing::dispatcher;

/// Until the history is full and nothing grows.
const WARM_UP: usize = 2 * KEPT;

/// A multiple of the chunks that share a span at the peer.
const ROUNDS: usize = 8_192;

#[test]
fn no_operation_allocates_more_than_its_baseline() {
    let mut measured = Vec::new();
    for operation in OPERATIONS {
        let (dispatch, start) = operation.set_up();
        let counted = dispatcher::with_default(&dispatch, || {
            let mut work = start();
            (0..WARM_UP).for_each(|_| work());
            measure(|| (0..ROUNDS).for_each(|_| work()))
        });
        for (column, total) in [(Column::Allocations, counted.count_total), (Column::Bytes, counted.bytes_total)] {
            measured.push(Measured { operation: operation.name, column, figure: total as f64 / ROUNDS as f64 });
        }
    }
    if let Err(faults) = baseline::hold(&measured) {
        panic!("{faults}");
    }
}
