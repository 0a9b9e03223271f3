//! What makes the ids of events that are made by hand unique.

use std::sync::LazyLock;

use parking_lot::Mutex;
use rand::{Rng as _, rngs::StdRng};

/// Not a generator of each thread: the last destructors of a thread may make events too, when that is gone.
static RANDOM: LazyLock<Mutex<StdRng>> = LazyLock::new(|| Mutex::new(rand::make_rng()));

/// The random bytes of an id.
pub(super) fn random() -> [u8; 10] {
    let mut random = [0; 10];
    RANDOM.lock().fill_bytes(&mut random);
    random
}
