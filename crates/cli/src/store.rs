//! Which store is meant, and its opening: the one place that knows engines.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runtime::store::{EventStore, Gap, StoreError};
#[cfg(feature = "postgres")]
use agent_runtime_store::PostgresStore;
use agent_runtime_store::SqliteStore;
#[cfg(feature = "archive")]
use agent_runtime_store::{RepairedSegments, SegmentStore};

use crate::failure::Failure;

/// The stores that this build opens, as they are named.
const ENGINES: &[&str] = &[
    "the path of an SQLite file",
    #[cfg(feature = "postgres")]
    "postgres://user:password@host/database",
    #[cfg(feature = "archive")]
    "file://FOLDER",
    #[cfg(feature = "archive")]
    "s3://BUCKET/PREFIX",
];

/// Where a store is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Address),
    /// An archive in a folder.
    #[cfg(feature = "archive")]
    Folder(PathBuf),
    #[cfg(feature = "archive")]
    Bucket(Address),
}

/// An address that may hold a password, and how it is shown.
#[cfg(any(feature = "archive", feature = "postgres"))]
#[derive(Clone)]
pub(crate) struct Address {
    url: String,
    shown: String,
}

/// An open store, as what it is.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
    #[cfg(feature = "archive")]
    Archive(SegmentStore),
}

/// What of a store is as it was written.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) events: u64,
    /// The first few faults, for people to read.
    pub(crate) faults: Vec<String>,
}

/// What a repair has kept and lost.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) events: u64,
    pub(crate) lost: Vec<Gap>,
    /// Where what was damaged is now.
    pub(crate) damaged: String,
}

/// Reads which store is meant.
pub(crate) fn location(store: Option<String>) -> Result<Location, Failure> {
    let Some(text) = store.filter(|text| !text.is_empty()) else {
        return Err(Failure::usage("no store is named", "pass --store PATH-or-URL or set AGENT_RUNTIME_STORE"));
    };
    match text.split_once("://") {
        None if text.contains("password=") => Err(Failure::usage(
            "the store is no path",
            "name a server by a URL: postgres://user:password@host/database",
        )),
        None => Ok(Location::Sqlite(text.strip_prefix("sqlite:").unwrap_or(&text).into())),
        Some(("sqlite", path)) => Ok(Location::Sqlite(path.into())),
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => Ok(Location::Postgres(Address::of(text))),
        #[cfg(feature = "archive")]
        Some(("file", path)) => Ok(Location::Folder(path.into())),
        #[cfg(feature = "archive")]
        Some(("s3", _)) => Ok(Location::Bucket(Address::of(text))),
        // What follows the scheme may hold a password.
        Some((scheme, _)) => Err(Failure::usage(
            format!("this program has no engine for {scheme}:// stores"),
            format!("pass {}, or use a build with that engine", ENGINES.join(" or ")),
        )),
    }
}

impl Location {
    /// Opens the store. A file has to be there: looking at a store makes none.
    pub(crate) async fn open(&self) -> Result<Arc<dyn EventStore>, Failure> {
        Ok(self.open_engine().await?.store())
    }

    /// Opens the store as what it is.
    pub(crate) async fn open_engine(&self) -> Result<Engine, Failure> {
        let opened = match self {
            Self::Sqlite(path) => {
                self.is_there(path)?;
                SqliteStore::open(path).await.map(Engine::Sqlite)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => PostgresStore::open(address.url.as_str()).await.map(Engine::Postgres),
            #[cfg(feature = "archive")]
            Self::Folder(path) => {
                self.is_folder(path)?;
                SegmentStore::open(path).await.map(Engine::Archive)
            }
            #[cfg(feature = "archive")]
            Self::Bucket(address) => SegmentStore::bucket(address.url.as_str()).open().await.map(Engine::Archive),
        };
        opened.map_err(|error| self.failed(error))
    }

    /// The file or folder of a store that is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
            #[cfg(feature = "archive")]
            Self::Folder(path) => Some(path),
            #[cfg(feature = "archive")]
            Self::Bucket(_) => None,
        }
    }

    /// Makes a damaged store whole again, without what cannot be read; `None` if its server has its own means for that.
    pub(crate) async fn repair(&self) -> Result<Option<Kept>, StoreError> {
        match self {
            Self::Sqlite(path) => {
                let repaired = SqliteStore::repair(path).await?;
                let damaged = repaired.damaged.display().to_string();
                Ok(Some(Kept { events: repaired.events, lost: repaired.lost, damaged }))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(None),
            #[cfg(feature = "archive")]
            Self::Folder(path) => SegmentStore::builder(path).repair().await.map(Kept::of_archive).map(Some),
            #[cfg(feature = "archive")]
            Self::Bucket(address) => {
                let repaired = SegmentStore::bucket(address.url.as_str()).repair().await;
                repaired.map(Kept::of_archive).map(Some)
            }
        }
    }

    #[cfg(feature = "archive")]
    fn is_folder(&self, path: &Path) -> Result<(), Failure> {
        let mut entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let advice = "name the folder that a recorder writes to";
                return Err(Failure::missing(self.to_string(), "there is no such folder", advice));
            }
            Err(error) => {
                let what = "look at the path and at its permissions";
                return Err(self.failed(StoreError::unavailable(what, error)));
            }
        };
        if entries.next().is_some() {
            return Ok(());
        }
        let advice = "name the folder that a recorder writes to; a missing store is not made by looking at it";
        Err(Failure::missing(self.to_string(), "the folder is empty, so it is no store yet", advice))
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
        let is_local = self.path().is_some();
        let advice = match &source {
            #[cfg(feature = "postgres")]
            StoreError::Damaged { .. } if matches!(self, Self::Postgres(_)) => {
                Some("restore the database from a copy".to_owned())
            }
            StoreError::Damaged { .. } => Some(format!("agent-runtime doctor --store '{self}' --repair")),
            StoreError::Unavailable { .. } if is_local => {
                Some("look at the file, its folder and its permissions, then try again".to_owned())
            }
            StoreError::Unavailable { .. } => Some("look whether the server runs and lets you in".to_owned()),
            _ => None,
        };
        Failure::Store { location: self.to_string(), advice, source }
    }
}

impl Engine {
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store.clone()),
            #[cfg(feature = "archive")]
            Self::Archive(store) => Arc::new(store.clone()),
        }
    }

    /// What it is called, with the version of its schema where that is known.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(_) => format!("SQLite, schema version {}", SqliteStore::SCHEMA_VERSION),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "Postgres".to_owned(),
            #[cfg(feature = "archive")]
            Self::Archive(_) => "an archive".to_owned(),
        }
    }

    /// What an acknowledgment is worth.
    pub(crate) const fn durability(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "an acknowledged event survives the end of its process, also by SIGKILL; a loss of power too if its writer \
                 has Durability::Machine"
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                "an acknowledged event survives the end of its process, of the server and of its machine, unless the \
                 server runs with fsync = off"
            }
            #[cfg(feature = "archive")]
            Self::Archive(_) => "an acknowledged event is in an object that the folder or the bucket has taken",
        }
    }

    /// Whether each event is as it was written, by the engine's own means; `None` if it has none beside reading.
    pub(crate) async fn verify(&self) -> Result<Option<Verdict>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                let verified = store.verify().await?;
                Ok(Some(Verdict { events: verified.events, faults: verified.faults }))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(None),
            #[cfg(feature = "archive")]
            Self::Archive(store) => {
                let verified = store.verify().await?;
                Ok(Some(Verdict { events: verified.events, faults: verified.faults }))
            }
        }
    }
}

impl Verdict {
    pub(crate) const fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

#[cfg(feature = "archive")]
impl Kept {
    fn of_archive(repaired: RepairedSegments) -> Self {
        let damaged = format!("in the folder `damaged` of the archive, {} segments", repaired.segments.len());
        Self { events: repaired.events, lost: repaired.lost, damaged }
    }
}

#[cfg(any(feature = "archive", feature = "postgres"))]
impl Address {
    /// What is shown has neither the password nor the parameters, which may have one too.
    fn of(url: String) -> Self {
        let without_parameters = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = without_parameters.split_once("://").unwrap_or(("postgres", without_parameters));
        let shown = match rest.rsplit_once('@') {
            Some((who, host)) => format!("{scheme}://{}@{host}", who.split(':').next().unwrap_or_default()),
            None => format!("{scheme}://{rest}"),
        };
        Self { shown, url }
    }
}

#[cfg(any(feature = "archive", feature = "postgres"))]
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
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
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => f.write_str(&address.shown),
            #[cfg(feature = "archive")]
            Self::Folder(path) => write!(f, "file://{}", path.display()),
            #[cfg(feature = "archive")]
            Self::Bucket(address) => f.write_str(&address.shown),
        }
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (url, shown) in [
            ("postgres://user:hunter2@host:5432/db?password=hunter2", "postgres://user@host:5432/db"),
            ("postgresql://host/db#hunter2", "postgresql://host/db"),
            ("postgres://user:hunt@er2@host", "postgres://user@host"),
        ] {
            let address = Address::of(url.to_owned());
            assert_eq!((address.shown.as_str(), address.url.as_str()), (shown, url));
        }
    }
}
