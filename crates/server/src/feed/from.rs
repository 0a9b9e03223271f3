//! Where a feed begins.

use crate::Place;

/// Where a feed begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// With what happens next.
    Now,
    /// At a place.
    Place(Place),
}
