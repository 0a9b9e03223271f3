//! Events in immutable compressed objects, in a folder or in a bucket: an archive that any number of processes share.
//!
//! In flow batches of a [`Recorder`](agent_runtime::store::Recorder), each of which becomes one object; out they flow by list
//! and get. All that a store holds is one log, `log/00000000000000000042.jsonl.zst`: a chain of objects whose names are numbers
//! in a row. Who wants to write, be it a batch, the opening or the closing of an epoch, an adoption or a retention, has read the
//! chain up to its end and puts the next number on the condition that there is none (`If-None-Match: *`; a hard link in a
//! folder). Of two writers one is refused, reads what the other has put, looks again whether it still may, and tries the number
//! behind. So:
//!
//! - the numbers are one order of all epochs, without a clock and without a server of ours;
//! - a batch is stored as a whole or not at all, and is acknowledged when its object is put;
//! - an owner that was taken for dead meets the adoption in the chain before it can write again, and is refused.
//!
//! A number must not be free again once it was taken. Retention deletes from the lowest number upward and never the last object,
//! so whoever finds the object that it had read last as it was knows that no number behind it was ever deleted; that is looked
//! at behind every put and every read of the end, and one who has slept through a retention reads the store anew.
//!
//! An object is a sequence of zstd frames, each with zstd's own checksum, over JSON lines: the header, the events one a line, the
//! header again, so that damage to one part leaves the names of what is lost. `zstdcat log/*.zst | jq` reads it. A `checkpoint/`
//! has what follows from the chain up to a number, so that opening reads few objects. `owners/` has the leases: an owner in
//! another process is alive as long as it renews its object. How long ago that was is the difference of two times that the
//! server set, theirs and that of a lease put for the comparison, so clocks of clients play no part.

mod append;
mod checkpoint;
mod definition;
mod epochs;
mod format;
mod index;
mod lease;
mod log;
mod objects;
mod read;
mod repair;
mod trim;
mod verify;

pub use definition::{SegmentStore, SegmentStoreBuilder};
pub use repair::RepairedSegments;
pub use verify::VerifiedSegments;
