//! Which store is meant, and its opening: the one place that knows engines.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runtime::store::{EventStore, StoreError};
use agent_runtime_store::SqliteStore;

use crate::failure::Failure;

/// Where a store is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Sqlite(PathBuf),
}

/// An open store, as what it is.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(SqliteStore),
}

/// Reads which store is meant.
pub(crate) fn location(store: Option<String>) -> Result<Location, Failure> {
    let Some(text) = store.filter(|text| !text.is_empty()) else {
        return Err(Failure::usage("no store is named", "pass --store PATH or set AGENT_RUNTIME_STORE"));
    };
    match text.split_once("://") {
        None => Ok(Location::Sqlite(text.strip_prefix("sqlite:").unwrap_or(&text).into())),
        Some(("sqlite", path)) => Ok(Location::Sqlite(path.into())),
        // What follows the scheme may hold a password.
        Some((scheme, _)) => Err(Failure::usage(
            format!("this program has no engine for {scheme}:// stores"),
            "pass the path of an SQLite file, or use a build with that engine",
        )),
    }
}

impl Location {
    /// Opens the store, which has to be there: looking at a store makes none.
    pub(crate) async fn open(&self) -> Result<Arc<dyn EventStore>, Failure> {
        Ok(self.open_engine().await?.store())
    }

    /// Opens the store as what it is.
    pub(crate) async fn open_engine(&self) -> Result<Engine, Failure> {
        match self {
            Self::Sqlite(path) => {
                self.is_there(path)?;
                let opened = SqliteStore::open(path).await;
                opened.map(Engine::Sqlite).map_err(|error| self.failed(error))
            }
        }
    }

    fn is_there(&self, path: &Path) -> Result<(), Failure> {
        let missing = |what: &str, advice| Err(Failure::missing(self.to_string(), what, advice));
        let advice = "name the file that a recorder writes to; a missing store is not made by looking at it";
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => missing("it is a folder", advice),
            // A store that was just made may have all it holds in the log beside it.
            Ok(found) if found.len() == 0 && !beside(path, "-wal").exists() => {
                missing("the file is empty, so it is no store yet", advice)
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing("there is no such file", advice),
            Err(error) => Err(self.failed(StoreError::unavailable("look at the path and at its permissions", error))),
        }
    }

    /// An error of this store.
    pub(crate) fn failed(&self, source: StoreError) -> Failure {
        let repair = format!("agent-runtime doctor --store '{self}' --repair");
        Failure::Store { location: self.to_string(), repair, source }
    }
}

impl Engine {
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
        }
    }
}

/// A path beside the store's.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
        }
    }
}
