//! What an acknowledgment is worth.

/// What an acknowledgment of [`SqliteStore`](super::SqliteStore) is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// An acknowledged event survives the end of the process, however it ends. If the machine loses power, the last ones may be
    /// gone; those that are left are whole. SQLite's `synchronous = NORMAL`.
    #[default]
    Process,
    /// An acknowledged event survives the machine's loss of power too, if the disk keeps what it says it has written:
    /// `synchronous = FULL`, an `fsync` before each acknowledgment.
    Machine,
}

impl Durability {
    pub(super) const fn synchronous(self) -> &'static str {
        match self {
            Self::Process => "NORMAL",
            Self::Machine => "FULL",
        }
    }
}
