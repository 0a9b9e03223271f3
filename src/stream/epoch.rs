//! The name of one life of a stream.

use std::{fmt, str::FromStr};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Names one life of a stream: a UUID that no other stream has, in this process or in another.
///
/// Offsets count from 0 in each stream, so that an offset that outlives the process needs the epoch beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Uuid);

/// The text is not the name of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not the UUID of an epoch")]
pub struct EpochError {
    text: String,
}

impl Epoch {
    /// Names a new epoch, by a UUID of version 7.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The epoch of a stream whose ids are drawn from a seed; drawn apart from them.
    pub(super) fn of_seed(seed: u64) -> Self {
        let mut bytes = [0; 16];
        StdRng::seed_from_u64(!seed).fill_bytes(&mut bytes);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Takes a UUID for an epoch, as a store does that reads one back.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl Default for Epoch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        // The hyphenated form alone, so that a position has one spelling.
        let uuid = Some(text).filter(|text| text.len() == 36).and_then(|text| Uuid::try_parse(text).ok());
        uuid.map(Self).ok_or_else(|| EpochError { text: text.chars().take(64).collect() })
    }
}
