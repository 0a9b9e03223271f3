//! SQLite's errors as those of a store: what to wait for, and what to repair.

use agent_runtime::store::StoreError;
use rusqlite::{Error, ErrorCode};

/// What a user of a damaged store has to do.
pub(super) const REPAIR: &str =
    "stop every process that uses it and call `SqliteStore::repair`, which keeps what can be read";

/// An error of SQLite's, met while something was done.
pub(super) fn of(doing: &str, error: Error) -> StoreError {
    let code = match &error {
        Error::SqliteFailure(failure, _) => Some(failure.code),
        _ => None,
    };
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::unavailable(format!("{doing}: another process holds the lock of the file"), error)
        }
        Some(ErrorCode::DiskFull) => StoreError::unavailable(format!("{doing}: the disk is full"), error),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport,
        ) => StoreError::unavailable(format!("{doing}: look at the file, its folder and its permissions"), error),
        _ => StoreError::damaged(format!("{doing}: {REPAIR}"), Some(error.into())),
    }
}

/// Something stored that cannot be.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::damaged(format!("{what}: {REPAIR}"), None)
}
