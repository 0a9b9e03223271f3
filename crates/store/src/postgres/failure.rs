//! Postgres's errors as those of a store: what to wait for, and what to mend. None has a word of the connection string.

use agent_runtime::store::StoreError;
use tokio_postgres::{Error, error::SqlState};

/// What stopped some work: an error of Postgres's, which does not yet say what was done, or one that is said already.
#[derive(Debug)]
pub(super) enum Failure {
    Engine(Error),
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// The error of a store, met while something was done somewhere.
    pub(super) fn met(self, doing: &str, place: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Engine(error) => of(&format!("{doing} ({place})"), error),
        }
    }
}

/// Something stored that cannot be.
pub(super) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::damaged(
        format!("{what}: another program has written to the tables, or the disk is faulty; look with `pg_amcheck`"),
        None,
    )
}

fn of(doing: &str, error: Error) -> StoreError {
    let Some(code) = error.code() else {
        return StoreError::unavailable(
            format!("{doing}: the connection failed; look whether the server runs and can be reached"),
            error,
        );
    };
    if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) {
        return StoreError::damaged(format!("{doing}: look with `pg_amcheck`, restore a backup"), Some(error.into()));
    }
    // The first two digits are the class.
    let look = match code.code().get(..2) {
        Some("08") => "the connection failed; look whether the server runs and can be reached",
        Some("28") => "the server does not take the user and password; look at both and at the server's pg_hba.conf",
        Some("3D") => "there is no such database; make it with `createdb`",
        Some("42") if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "the role may not do that; grant it the schema and its tables, and CREATE on the database to make them"
        }
        Some("42") => "the tables are not as they were made; name another schema, or restore them",
        Some("53") => "the server has no room left, on its disk, in its memory or for connections",
        Some("55" | "57") => "the server is busy or going down; if that stays so, look for who holds its locks",
        Some("25") => "the session cannot write or was ended by the server as idle; look at where it is connected to",
        _ => "the server refused it; look at its log",
    };
    StoreError::unavailable(format!("{doing}: {look}"), error)
}
